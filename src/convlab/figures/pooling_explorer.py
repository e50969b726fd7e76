"""The pooling explorer: max, average and sum pooling of a small image, its shift, switches, and unpooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from traitlets import Any as Anything
from traitlets import observe, validate

from convlab.figures.figure import Figure
from convlab.shapes import as_int, output_size

MODES = ("max", "average", "sum")
SIZES = (2, 12)  # rows and columns of the image
VALUES = (-9, 99)  # what fits a cell
LARGEST = 6  # kernel and stride
REACH = 3  # of the shift


class PoolingExplorer(Figure):
    """A small image, its pooled map, and the map put back: all three answer to a shift of the image.

    The window of the chosen output unit is outlined in the image, and the text tells its arithmetic. Max
    pooling shows its switches, the places that the maxima came from, by the rule of `ops.max_pool2d`: of
    several equal values, the first. Unpooling puts each maximum back at its switch and zeros elsewhere, as
    `ops.max_unpool2d` does; an average or a sum is spread evenly over its window, and where windows overlap,
    the mean of their parts stands. Output units that are the same as without the shift bear a tick.

    The traits, live in both directions, are the arguments:

    - `image`: up to 12 rows and columns of integers from −9 to 99;
    - `kernel_size` and `stride`: integers from 1 to 6; the stride is that of the kernel if not given;
    - `mode`: "max", "average" or "sum";
    - `shift`: rows down and columns to the right, from −3 to 3; zeros move in;
    - `unit`: row and column of the output, at first a unit near its middle.

    >>> figure = PoolingExplorer(np.arange(64).reshape(8, 8), kernel_size=3, stride=2, shift=[0, 1])
    >>> figure.unit
    [1, 1]
    """

    front_end = "pooling_explorer"
    parts = ("grid",)
    description = (
        "A small image, the map that pooling makes of it, and that map put back to the image's size. The "
        "reader shifts the image, chooses maximum, average or sum, the window and its stride, and sees which "
        "numbers of the output stay as they were."
    )

    image = Anything().tag(sync=True)
    kernel_size = Anything().tag(sync=True)
    stride = Anything().tag(sync=True)
    mode = Anything().tag(sync=True)
    shift = Anything().tag(sync=True)
    unit = Anything().tag(sync=True)

    def __init__(
        self,
        image: ArrayLike,
        *,
        kernel_size: int = 2,
        stride: int | None = None,
        mode: str = "max",
        shift: Sequence[int] = (0, 0),
        unit: Sequence[int] | None = None,
        caption: str = "",
    ) -> None:
        pixels = _image(image)
        kernel = _kernel_size(kernel_size, pixels)
        step = _from_to("stride", kernel if stride is None else stride, 1, LARGEST)
        middle = [(size - 1) // 2 for size in _output_shape(pixels, kernel, step)]
        super().__init__(
            image=pixels,
            kernel_size=kernel,
            stride=step,
            mode=mode,
            shift=shift,
            unit=middle if unit is None else unit,
            caption=caption,
        )

    @validate("image")
    def _image_is_small(self, proposal: dict[str, Any]) -> list[list[int]]:
        pixels = _image(proposal["value"])
        _kernel_size(self.kernel_size, pixels)
        return pixels

    @validate("kernel_size")
    def _kernel_fits(self, proposal: dict[str, Any]) -> int:
        return _kernel_size(proposal["value"], self.image)

    @validate("stride")
    def _stride_is_small(self, proposal: dict[str, Any]) -> int:
        return _from_to("stride", proposal["value"], 1, LARGEST)

    @validate("mode")
    def _mode_is_known(self, proposal: dict[str, Any]) -> str:
        mode: str = proposal["value"]
        if mode not in MODES:
            raise ValueError(f"`mode` must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
        return mode

    @validate("shift")
    def _shift_is_small(self, proposal: dict[str, Any]) -> list[int]:
        return [_from_to("shift", value, -REACH, REACH) for value in _two("shift", proposal["value"])]

    @validate("unit")
    def _unit_exists(self, proposal: dict[str, Any]) -> list[int]:
        unit = [as_int("unit", value, 0) for value in _two("unit", proposal["value"])]
        rows, columns = _output_shape(self.image, self.kernel_size, self.stride)
        if unit[0] >= rows or unit[1] >= columns:
            raise ValueError(f"`unit` must lie within the {rows}×{columns} output, got {unit}")
        return unit

    @observe("image", "kernel_size", "stride")
    def _keep_the_unit_inside(self, change: dict[str, Any]) -> None:
        shape = _output_shape(self.image, self.kernel_size, self.stride)
        self.unit = [min(place, size - 1) for place, size in zip(self.unit, shape, strict=True)]


def _output_shape(image: list[list[int]], kernel_size: int, stride: int) -> list[int]:
    return [output_size(size, kernel_size, stride=stride) for size in (len(image), len(image[0]))]


def _image(image: ArrayLike) -> list[list[int]]:
    try:
        pixels = np.asarray(image)
    except ValueError:  # rows of different lengths
        pixels = np.empty(0)
    low, high = SIZES
    if pixels.ndim != 2 or not all(low <= size <= high for size in pixels.shape):
        raise ValueError(
            f"`image` must be {low} to {high} rows of {low} to {high} columns, got shape {pixels.shape}"
        )
    if pixels.dtype.kind not in "iu":
        raise TypeError(f"`image` must hold integers, got {pixels.dtype}")
    smallest, largest = VALUES
    outside = pixels[(pixels < smallest) | (pixels > largest)]
    if outside.size:
        raise ValueError(f"`image` must hold integers from {smallest} to {largest}, got {outside[0]}")
    rows: list[list[int]] = pixels.tolist()
    return rows


def _kernel_size(value: Any, image: list[list[int]]) -> int:
    return _from_to("kernel_size", value, 1, min(LARGEST, len(image), len(image[0])))


def _from_to(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an integer from `low` to `high`; the errors call it `name`."""
    number = as_int(name, value, low)
    if number > high:
        raise ValueError(f"`{name}` must be at most {high}, got {number}")
    return number


def _two(name: str, value: Any) -> list[Any]:
    try:
        pair = list(value)
    except TypeError:
        pair = []
    if len(pair) != 2 or isinstance(value, str):
        raise ValueError(f"`{name}` must be [row, column], got {value!r}")
    return pair
