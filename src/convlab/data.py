"""Pictures, ready to use without a download: real photographs, real digits, and scenes made by a generator.

The photographs come inside the packages scikit-image and matplotlib, the digits inside scikit-learn; all of
them are free to use. Scenes are drawn by a program, because no small real set for detection comes in one.

>>> photo("cat").shape  # (H, W, 3), bytes from 0 to 255
(300, 451, 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from convlab.shapes import as_int

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Photo:
    """Where a photograph comes from and under which terms."""

    title: str
    credit: str
    licence: str
    package: str
    file: str


PHOTOS = {
    "cat": Photo("Chelsea the cat", "Stéfan van der Walt", "CC0", "skimage.data", "chelsea.png"),
    "coffee": Photo("A cup of coffee", "Rachel Michetti", "CC0", "skimage.data", "coffee.png"),
    "astronaut": Photo("Eileen Collins", "NASA", "public domain", "skimage.data", "astronaut.png"),
    "rocket": Photo("Launch of DSCOVR", "SpaceX", "public domain", "skimage.data", "rocket.jpg"),
    "hopper": Photo(
        "Grace Hopper", "US Navy", "public domain", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"
    ),
}


def photo(name: str) -> NDArray[np.uint8]:
    """One of the photographs in `PHOTOS`, as RGB bytes.

    Returns
    -------
    array, shape (H, W, 3), uint8
        Row 0 is the top, column 0 the left.

    Raises
    ------
    ValueError
        If there is no photo of that name; the message lists those there are.
    ImportError
        If the package that carries it is missing; the message says how to install it.
    """
    if name not in PHOTOS:
        raise ValueError(f"`name` must be one of {', '.join(PHOTOS)}, got {name!r}")
    source = PHOTOS[name]
    try:
        from PIL import Image

        path = files(source.package).joinpath(source.file)
    except ImportError as error:
        raise ImportError(
            f"the photo {name!r} comes with a package that is missing ({error.name}); "
            "install it with: python -m pip install 'convlab[data]'"
        ) from error
    with path.open("rb") as stream, Image.open(stream) as image:
        return np.asarray(image.convert("RGB"))


def grey(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Brightness of an RGB image, between 0 and 1.

    Weights 0.299, 0.587, 0.114 for red, green, blue (ITU-R BT.601).

    Parameters
    ----------
    image : array, shape (H, W, 3), uint8

    Returns
    -------
    array, shape (H, W), float64

    >>> grey(np.full((1, 2, 3), 255, np.uint8))
    array([[1., 1.]])
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"`image` must be RGB bytes of shape (H, W, 3), got shape {image.shape} of {image.dtype}"
        )
    return np.asarray(image @ np.array([0.299, 0.587, 0.114]) / 255)


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """1,797 handwritten digits, scanned and reduced to 8×8, with what they mean.

    The test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, UCI, CC BY 4.0), by
    13 people, as scikit-learn ships it.

    Returns
    -------
    images : (1797, 1, 8, 8), float32
        Ink from 0 to 1, in seventeen steps.
    labels : (1797,), int64
        From 0 to 9.

    Raises
    ------
    ImportError
        If scikit-learn is missing; the message says how to install it.

    >>> images, labels = digits()
    >>> images.shape, labels[:10].tolist()
    ((1797, 1, 8, 8), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            f"the digits come with a package that is missing ({error.name}); "
            "install it with: python -m pip install 'convlab[data]'"
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64)


def split(
    count: int, *, test_share: float = 0.25, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shuffle the numbers 0 … count − 1 and part them: which examples to train on, and which to test on.

    The same seed gives the same parts. ValueError if one of them would be empty.

    >>> train, test = split(8)
    >>> len(train), len(test), sorted([*train.tolist(), *test.tolist()])
    (6, 2, [0, 1, 2, 3, 4, 5, 6, 7])
    """
    count, share = as_int("count", count, 2), float(test_share)
    if not 0 < share < 1 or round(count * share) in (0, count):
        raise ValueError(f"`test_share` must leave both parts some of {count}, got {test_share}")
    order = np.random.default_rng(as_int("seed", seed, 0)).permutation(count)
    tests = round(count * share)
    return order[tests:], order[:tests]


CLASSES = {
    "local": ("disk", "square", "triangle", "ring"),
    "contextual": ("disk, sign lying", "disk, sign upright", "square, sign lying", "square, sign upright"),
    "thin": ("wire", "blob"),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is in it.

    Attributes
    ----------
    image : (H, W, 3), uint8
    boxes : (K, 4), int64
        (x1, y1, x2, y2) around the pixels of each object, as in `convlab.regions`: x to the right, y down, x2
        and y2 one past the last pixel, so that x2 − x1 is the width and ``image[y1:y2, x1:x2]`` the object.
    classes : (K,), int64
        Which of the task's `CLASSES`.
    masks : (K, H, W), bool
        The pixels where each object shows; no two overlap.
    sign : (x1, y1, x2, y2) or None
        Where the sign of a "contextual" scene is. It is no object: it is not in `boxes`.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.int64]
    classes: NDArray[np.int64]
    masks: Mask
    sign: Box | None = None

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of every pixel (H, W): 0 for the background, otherwise 1 + the object's class."""
        return np.asarray(((1 + self.classes)[:, None, None] * self.masks).sum(0))


def scene(index: int, *, task: str = "local", size: int = 96, noise: float = 8.0, seed: int = 0) -> Scene:
    """Picture number `index` of an endless series; the same arguments always give the same one.

    Colours and places are random and say nothing about classes. The tasks:

    - "local": one to four shapes, from 6 pixels to two thirds of the side. The class is the shape, so the
      object's own pixels tell it.
    - "contextual": one to four small disks and squares, from 6 pixels to a sixth of the side, and a striped
      sign in a corner, at least half a side away from all of them. The class is the shape and whether the
      stripes lie or stand: without the sign, two classes look the same.
    - "thin": two to four wires, 1 to 3 pixels thick, over one to three blobs: for segmentation, with
      `Scene.labels`.

    Parameters
    ----------
    index : int
        From 0. Take other numbers for testing than for training.
    task : "local", "contextual" or "thin"
    size : int
        Height and width in pixels, at least 48.
    noise : float
        Standard deviation of what is added to every byte.
    seed : int
        Another seed is another series.

    Raises
    ------
    ValueError
        If an argument is none of these.

    >>> one = scene(0)
    >>> [CLASSES["local"][number] for number in one.classes], one.boxes.tolist()
    (['disk', 'triangle'], [[6, 1, 13, 8], [36, 22, 88, 74]])
    """
    index, seed, size = as_int("index", index, 0), as_int("seed", seed, 0), as_int("size", size, 48)
    if task not in CLASSES:
        raise ValueError(f"`task` must be one of {', '.join(CLASSES)}, got {task!r}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"`noise` must be at least 0 and finite, got {noise}")
    random = np.random.default_rng([list(CLASSES).index(task), seed, index])
    background = random.integers(0, 256, 3)
    image = np.broadcast_to(background, (size, size, 3)).astype(np.float32)
    sign = None
    if task == "local":
        objects = _place(random, size, CLASSES["local"], (6, 2 * size // 3))
    elif task == "contextual":
        sign, upright = _draw_sign(random, image)
        small = _place(random, size, ("disk", "square"), (6, size // 6), sign)
        objects = [(mask, 2 * shape + upright) for mask, shape in small]
    else:
        blobs = _place(random, size, ("disk",), (size // 6, size // 3), most=3)
        wires = [(_wire(random, size), 0) for _ in range(random.integers(2, 5))]
        objects = _visible([*((mask, 1) for mask, _ in blobs), *wires])
    for mask, _ in objects:
        image[mask] = (background + random.integers(64, 193, 3)) % 256  # far from it in every colour
    image += noise * random.standard_normal(image.shape, np.float32)
    return Scene(
        image.round().clip(0, 255).astype(np.uint8),
        np.array([_box(mask) for mask, _ in objects]),
        np.array([number for _, number in objects]),
        np.array([mask for mask, _ in objects]),
        sign,
    )


def _place(
    random: np.random.Generator,
    size: int,
    shapes: tuple[str, ...],
    sides: tuple[int, int],
    sign: Box | None = None,
    most: int = 4,
) -> list[tuple[Mask, int]]:
    """One to `most` shapes that do not touch, far from the sign: the mask and the number of each."""
    count = random.integers(1, most + 1)
    objects: list[tuple[Mask, int]] = []
    taken: list[Box] = []
    tries = 0
    while not objects or (len(objects) < count and tries < 100):
        tries += 1
        side = round(np.exp(random.uniform(*np.log(sides))))  # as many between 6 and 12 as between 12 and 24
        x, y = random.integers(0, size - side + 1, 2).tolist()
        box = x, y, x + side, y + side
        if any(_gap(box, other) < 1 for other in taken) or (sign and _gap(box, sign) < size / 2):
            continue
        number = int(random.integers(len(shapes)))
        mask = np.zeros((size, size), bool)
        mask[y : y + side, x : x + side] = _shape(shapes[number], side)
        objects.append((mask, number))
        taken.append(box)
    return objects


def _shape(name: str, side: int) -> Mask:
    """A shape that fills a square of pixels."""
    y, x = np.ogrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    if name == "square":
        return np.ones((side, side), bool)
    if name == "triangle":
        return np.asarray(abs(x) <= (y + 1.01) / 2 + 1 / (side - 1))
    radius = np.hypot(x, y)
    return np.asarray((radius <= 1 + 1 / side) & (radius >= (0.5 if name == "ring" else 0)))


def _wire(random: np.random.Generator, size: int) -> Mask:
    """A straight line at least a third of the side long, one to three pixels thick."""
    length = 0.0
    while length < size / 3:
        start, end = random.uniform(0, size - 1, (2, 2))
        along = end - start
        length = float(np.hypot(*along))
    y, x = np.ogrid[:size, :size]
    y, x = y - start[0], x - start[1]
    share = ((y * along[0] + x * along[1]) / length**2).clip(0, 1)  # of the way, at the nearest point
    distance = np.hypot(y - share * along[0], x - share * along[1])
    return np.asarray(distance <= random.integers(1, 4) / 2)


def _draw_sign(random: np.random.Generator, image: NDArray[np.float32]) -> tuple[Box, int]:
    """Black and white stripes in one of the corners: where, and whether they stand upright."""
    size = len(image)
    side, stripe = size // 6, size // 24
    inset = random.integers(0, stripe + 1, 2)
    x, y = np.where(random.integers(2, size=2), inset, size - side - inset).tolist()
    upright = int(random.integers(2))
    stripes = np.arange(side) // stripe % 2 * 255
    image[y : y + side, x : x + side] = (stripes if upright else stripes[:, None])[..., None]
    return (x, y, x + side, y + side), upright


def _visible(objects: list[tuple[Mask, int]]) -> list[tuple[Mask, int]]:
    """What later objects leave of each; nothing, if they leave no pixel."""
    covered = np.zeros_like(objects[0][0])
    left = []
    for mask, number in reversed(objects):
        left.append((mask & ~covered, number))
        covered |= mask
    return [(mask, number) for mask, number in reversed(left) if mask.any()]


def _box(mask: Mask) -> Box:
    """(x1, y1, x2, y2) around the pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _gap(box: Box, other: Box) -> int:
    """Pixels between two boxes, along the axis that has more of them; below 0 if they overlap."""
    return max(box[0] - other[2], other[0] - box[2], box[1] - other[3], other[1] - box[3])
