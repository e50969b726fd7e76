"""The arithmetic of one convolution: its sizes, what its windows leave out, how often each pixel is read."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, List, TraitError, TraitType, observe, validate

from convlab.figures.figure import Figure
from convlab.figures.grid import place
from convlab.shapes import as_int, output_size, transposed_size, window_span

LARGEST = 24  # cells along a side, the most that a phone can show
_LAYER = ("size", "kernel_size", "stride", "padding", "dilation", "transposed", "output_padding")


class LayerError(TraitError, ValueError):
    """An impossible layer; traitlets takes back all assignments that were made together."""


class _Whole(TraitType[int, int]):
    """An integer from `low` to `high`."""

    def __init__(self, value: int, low: int, high: int) -> None:
        super().__init__(value)
        self.low, self.high = low, high

    def validate(self, obj: Any, value: Any) -> int:
        number = as_int(str(self.name), value, self.low)
        if number > self.high:
            raise LayerError(f"`{self.name}` must be at most {self.high}, got {number}")
        return number


class ConvolutionArithmetic(Figure):
    """One square convolution: its formula with the numbers put in, what its windows read, and how often.

    The layer is in `size` (1 to 12), `kernel_size` (1 to 7), `stride` (1 to 5), `padding` (0 to 6) and
    `dilation` (1 to 4); with `transposed`, also in `output_padding` (0 to 4), and its input spread by the
    stride may take 24 cells at most. `unit` is the row and column of the chosen output unit; it stays
    inside when the output shrinks. All are live in both directions. ValueError if the layer is impossible.

    >>> ConvolutionArithmetic(size=7, kernel_size=3, stride=2, padding=1).unit
    [0, 0]
    """

    front_end = "convolution_arithmetic"
    description = (
        "The padded input of a convolution stands beside its output; numbers say how many windows read each "
        "pixel and how many pixels each output unit reads, and marks show pixels that no window reads. The "
        "reader sets size, kernel size, stride, padding and dilation, can transpose it (with output "
        "padding), and chooses an output unit."
    )
    parts = ("grid",)

    size = _Whole(7, 1, 12).tag(sync=True)
    kernel_size = _Whole(3, 1, 7).tag(sync=True)
    stride = _Whole(1, 1, 5).tag(sync=True)
    padding = _Whole(0, 0, 6).tag(sync=True)
    dilation = _Whole(1, 1, 4).tag(sync=True)
    transposed = Bool(False).tag(sync=True)
    output_padding = _Whole(0, 0, 4).tag(sync=True)
    unit = List([0, 0]).tag(sync=True)

    def _outputs(self, **changes: int) -> int:
        """Side of the output; an error if the layer is impossible, or too large to draw."""
        layer = {name: getattr(self, name) for name in _LAYER} | changes
        transposed, extra = layer.pop("transposed"), layer.pop("output_padding")
        try:
            if not transposed:
                return output_size(**layer)
            outputs = transposed_size(**layer, output_padding=extra)
        except ValueError as error:
            raise LayerError(str(error)) from None
        spread = (layer["size"] - 1) * layer["stride"] + 1
        border = window_span(layer["kernel_size"], layer["dilation"]) - 1 - layer["padding"]
        drawn = max(spread, outputs + layer["padding"]) + max(border, 0)
        if drawn > LARGEST:
            raise LayerError(
                f"the spread and padded input may be {LARGEST} wide at most, to be drawn, got {drawn}"
            )
        return outputs

    @validate(*_LAYER)
    def _layer_is_possible(self, proposal: dict[str, Any]) -> Any:
        self._outputs(**{proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    @validate("unit")
    def _unit_exists(self, proposal: dict[str, Any]) -> list[int]:
        outputs = self._outputs()
        try:
            return place("unit", proposal["value"], (outputs, outputs))
        except ValueError as error:
            raise LayerError(str(error)) from None

    @observe(*_LAYER)
    def _unit_stays_inside(self, _: Any) -> None:
        self.unit = [min(at, self._outputs() - 1) for at in self.unit]
