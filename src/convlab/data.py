"""Real photographs, ready to use without a download.

They come inside the packages scikit-image and matplotlib, and all of them are free to use.

>>> photo("cat").shape  # (H, W, 3), bytes from 0 to 255
(300, 451, 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


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
