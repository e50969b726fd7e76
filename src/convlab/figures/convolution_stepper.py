"""The convolution stepper: a kernel slides over a small image, and the output fills up number by number."""

from __future__ import annotations

from typing import Any

import traitlets
from numpy.typing import ArrayLike
from traitlets import Bool, List, observe, validate

from convlab import kernels
from convlab.figures.figure import Figure
from convlab.figures.grid import numbers, place
from convlab.shapes import output_size

IMAGE, KERNEL = (8, 8), (5, 5)  # the largest
STRIDES = (1, 2, 3)
PADDINGS = (0, 1, 2)
WEIGHT = 99  # the largest number of a kernel, in size
PRESETS = {
    "identity": kernels.identity,
    "box": kernels.box,
    "Sobel x": kernels.sobel_x,
    "Sobel y": kernels.sobel_y,
    "Laplacian": kernels.laplacian,
    "sharpen": kernels.sharpen,
}


class ConvolutionStepper(Figure):
    """Slide a kernel over an image: the products, their sum, and the output that fills up.

    Traits, live in both directions: `image` and `kernel` are nested lists (arrays are taken too), `stride` is
    1 to 3, `padding` 0 to 2 zeros at each side. With `flip` the kernel is turned by 180° first, which makes
    the cross-correlation a convolution. `unit` is the row and column of the output that is being computed,
    and `complete` shows all of the output, not only what has been computed. The reader chooses among
    `presets`, each a name and a kernel: the one given, and some of `convlab.kernels`.
    """

    front_end = "convolution_stepper"
    description = (
        "A kernel lies on a small image of numbers, with the products of its weights and the pixels below, "
        "and their sum as one number of the output. The reader moves the kernel step by step or by pointing, "
        "edits its weights, and sets stride, padding and whether the kernel is turned."
    )
    parts = ("grid",)

    image = traitlets.Any().tag(sync=True)
    kernel = traitlets.Any().tag(sync=True)
    stride = traitlets.Any(1).tag(sync=True)
    padding = traitlets.Any(0).tag(sync=True)
    flip = Bool(False).tag(sync=True)
    unit = traitlets.Any().tag(sync=True)
    complete = Bool(False).tag(sync=True)
    presets: List[Any] = List().tag(sync=True)

    def __init__(
        self,
        image: ArrayLike,
        kernel: ArrayLike,
        *,
        stride: int = 1,
        padding: int = 0,
        flip: bool = False,
        unit: tuple[int, int] | None = None,
        complete: bool = False,
        caption: str = "",
    ) -> None:
        """Check and keep the arguments.

        Parameters
        ----------
        image : array_like, shape (H, W), each 1 to 8
            Numbers from -999 to 999.
        kernel : array_like, shape (kh, kw), each 1 to 5
            Numbers from -99 to 99.
        stride, padding : int
            1 to 3, and 0 to 2.
        flip : bool
            Turn the kernel by 180° first.
        unit : (row, column) of the output, optional
            Where to begin; the output is filled up to there. Default: in the middle.
        complete : bool
            Show all of the output.
        caption : str
            Stands below the figure.

        Raises
        ------
        ValueError
            If one of them is not as said here, or the kernel does not fit into the padded image.
        """
        pixels: list[list[float]] = numbers("image", image, (1, 1), IMAGE)
        weights = _kernel(kernel)
        stride, padding = _one_of("stride", stride, STRIDES), _one_of("padding", padding, PADDINGS)
        shape = _shape(pixels, weights, stride, padding)
        presets = [[name, _kernel(preset)] for name, preset in PRESETS.items()]
        if weights not in (preset for _, preset in presets):
            presets.insert(0, ["as given", weights])
        super().__init__(
            image=pixels,
            kernel=weights,
            stride=stride,
            padding=padding,
            flip=flip,
            unit=place("unit", (side // 2 for side in shape) if unit is None else unit, shape),
            complete=complete,
            presets=presets,
            caption=caption,
        )

    @validate("image", "kernel", "stride", "padding", "unit")
    def _is_legal(self, proposal: dict[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "unit":
            return place("unit", value, self._shape)
        if name == "image":
            value = numbers(name, value, (1, 1), IMAGE)
        elif name == "kernel":
            value = _kernel(value)
        else:
            value = _one_of(name, value, STRIDES if name == "stride" else PADDINGS)
        settings = {key: getattr(self, key) for key in ("image", "kernel", "stride", "padding")}
        _shape(**settings | {name: value})
        return value

    @observe("image", "kernel", "stride", "padding")
    def _keep_unit_inside(self, _: object) -> None:
        self.unit = [min(at, size - 1) for at, size in zip(self.unit, self._shape, strict=True)]

    @property
    def _shape(self) -> tuple[int, int]:
        return _shape(self.image, self.kernel, self.stride, self.padding)


def _kernel(value: ArrayLike) -> list[list[float]]:
    kernel: list[list[float]] = numbers("kernel", value, (1, 1), KERNEL, largest=WEIGHT)
    return kernel


def _one_of(name: str, value: int, known: tuple[int, ...]) -> int:
    if isinstance(value, bool) or value not in known:
        raise ValueError(f"`{name}` must be one of {', '.join(map(str, known))}, got {value!r}")
    return int(value)


def _shape(image: list[list[float]], kernel: list[list[float]], stride: int, padding: int) -> tuple[int, int]:
    """Rows and columns of the output; ValueError if there are none."""
    sizes = [(len(part), len(part[0])) for part in (image, kernel)]
    (rows, columns), (height, width) = sizes
    if height > rows + 2 * padding or width > columns + 2 * padding:
        raise ValueError(
            f"`kernel` must fit into the padded image, got {height}×{width} "
            f"for {rows}×{columns} with padding {padding}"
        )
    high = output_size(rows, height, stride=stride, padding=padding)
    return high, output_size(columns, width, stride=stride, padding=padding)
