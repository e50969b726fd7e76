"""The dilation grid: which input pixels a stack of dilated convolutions reads, and along how many paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from traitlets import Any as Anything
from traitlets import observe, validate

from convlab.figures.figure import Figure
from convlab.figures.grid import place
from convlab.shapes import as_int

LAYERS = 5
RATE = 16  # the largest
KERNELS = (2, 5)
SIZES = (9, 31)  # what a phone can show


class DilationGrid(Figure):
    """Input pixels under a stack of dilated convolutions: how many paths lead from one output unit to each.

    All layers have square kernels of one size, stride 1 and padding "same", so that every map has the size of
    the input; the shading and the numbers of a pixel say along how many paths the chosen unit reads it.
    Pixels inside the hull that it never reads are hatched. Paths that leave the image in between meet padding
    and don't count. The table tells hull, distinct positions, share read and overlap after each layer, away
    from the border, as `convlab.fields.receptive_field` does.

    The traits, live in both directions, are the arguments:

    - `rates`: one to five dilation rates from 1 to 16, the layer nearest to the input first;
    - `kernel_size`: from 2 to 5;
    - `size`: height and width of the input, from 9 to 31;
    - `unit`: row and column of the output unit, at first the middle.

    >>> DilationGrid(rates=[1, 2, 4]).unit
    [10, 10]
    """

    front_end = "dilation_grid"
    parts = ("grid",)
    description = (
        "A grid of input pixels under a stack of dilated convolutions: each pixel shows along how many paths "
        "one output unit reads it, and pixels between them that are never read are hatched. The reader "
        "chooses the dilation rates, the kernel size and the output unit; a table tells what each layer adds."
    )

    rates = Anything().tag(sync=True)
    kernel_size = Anything().tag(sync=True)
    size = Anything().tag(sync=True)
    unit = Anything().tag(sync=True)

    def __init__(
        self,
        rates: Sequence[int] = (1, 2, 4),
        *,
        kernel_size: int = 3,
        size: int = 21,
        unit: Sequence[int] | None = None,
        caption: str = "",
    ) -> None:
        side = _from_to("size", size, *SIZES)
        super().__init__(
            rates=rates,
            kernel_size=kernel_size,
            size=side,
            unit=[(side - 1) // 2] * 2 if unit is None else unit,
            caption=caption,
        )

    @validate("rates")
    def _rates_are_few(self, proposal: dict[str, Any]) -> list[int]:
        value = proposal["value"]
        try:
            rates = [_from_to("rates", rate, 1, RATE) for rate in value]
        except TypeError as error:
            raise ValueError(f"`rates` must be integers, one for each layer, got {value!r}") from error
        if not 1 <= len(rates) <= LAYERS:
            raise ValueError(f"`rates` must be of 1 to {LAYERS} layers, got {len(rates)}")
        return rates

    @validate("kernel_size")
    def _kernel_is_small(self, proposal: dict[str, Any]) -> int:
        return _from_to("kernel_size", proposal["value"], *KERNELS)

    @validate("size")
    def _grid_is_small(self, proposal: dict[str, Any]) -> int:
        return _from_to("size", proposal["value"], *SIZES)

    @validate("unit")
    def _unit_exists(self, proposal: dict[str, Any]) -> list[int]:
        try:
            return place("unit", proposal["value"], (self.size, self.size))
        except TypeError as error:
            raise ValueError(f"`unit` must be [row, column], got {proposal['value']!r}") from error

    @observe("size")
    def _unit_stays_inside(self, _: Any) -> None:
        self.unit = [min(at, self.size - 1) for at in self.unit]


def _from_to(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an integer from `low` to `high`; the errors call it `name`."""
    number = as_int(name, value, low)
    if number > high:
        raise ValueError(f"`{name}` must be at most {high}, got {number}")
    return number
