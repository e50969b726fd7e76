"""What one unit of a stack of layers reads in every layer before it, down to the pixels of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from traitlets import List, default, observe, validate

from convlab.fields import Field, Layer, receptive_field
from convlab.figures.convolution_arithmetic import LayerError, _Whole
from convlab.figures.figure import Figure
from convlab.shapes import as_int

KINDS = ("conv", "pool")
LIMITS = {"kernel_size": (1, 11), "stride": (1, 4), "padding": (0, 8), "dilation": (1, 8)}
MOST_LAYERS = 8
MOST_PIXELS = 32
WIDEST = 48  # pixels over which the units of all maps may be spread
LARGEST_FIELD = 999


def _length(field: Field) -> int:
    return field.map_size[0] if field.map_size else 0


def _layer(name: str, layer: Sequence[Any]) -> list[Any]:
    """[kind, kernel_size, stride, padding, dilation] of one layer, checked."""
    if isinstance(layer, str) or not isinstance(layer, Sequence) or len(layer) != 5 or layer[0] not in KINDS:
        raise ValueError(
            f'`{name}` must be ("conv" or "pool", kernel_size, stride, padding, dilation), got {layer!r}'
        )
    kind, *numbers = layer
    kept = []
    for (part, (low, high)), value in zip(LIMITS.items(), numbers, strict=True):
        number = as_int(f"{part} of {name}", value, low)
        if number > high:
            raise ValueError(f"`{part} of {name}` must be at most {high}, got {number}")
        kept.append(number)
    if kind == "pool" and 2 * kept[2] > kept[0]:
        raise ValueError(
            f"`padding of {name}` must be at most half its kernel size, {kept[0]}, got {kept[2]}"
        )
    return [kind, *kept]


class _Layers(List[Any]):
    """A list of layers, each a list as `_layer` makes it."""

    def validate(self, obj: Any, value: Any) -> list[Any]:
        if not isinstance(value, Sequence) or not 1 <= len(value) <= MOST_LAYERS:
            raise ValueError(f"`layers` must be a list of 1 to {MOST_LAYERS} layers, got {value!r}")
        return [_layer(f"layers[{number}]", layer) for number, layer in enumerate(value)]


class _Unit(List[int]):
    """A list of integers."""

    def validate(self, obj: Any, value: Any) -> list[int]:
        return [as_int("unit", at, 0) for at in value]


class ReceptiveFieldTracer(Figure):
    """A cut along one axis through a stack of layers: choose a unit, see what it reads in every map before.

    `layers` are one to eight tuples (kind, kernel_size, stride, padding, dilation), where kind is "conv" or
    "pool": kernel sizes 1 to 11, strides 1 to 4, padding 0 to 8 (at most half the kernel size for a pool, as
    in torch), dilations 1 to 8. `size` is the number of pixels, 1 to 32. `unit` is [map, unit]: map 0 is the
    input, map n what layer n makes, counted from 1; by default the middle of the last map, and it stays
    inside when the maps shrink. All are live in both directions. ValueError if a window does not fit, if a
    field is wider than 999 pixels, or the units are spread over more than 48.

    >>> ReceptiveFieldTracer(layers=[("conv", 3, 1, 1, 1), ("pool", 2, 2, 0, 1)], size=8).unit
    [2, 1]
    """

    front_end = "receptive_field_tracer"
    description = (
        "A stack of layers along one axis: the pixels of the input in a row, and under it a row of units for "
        "each layer. For a chosen unit, everything that it reads is marked in each row before it, and what "
        "the border cuts off is hatched; a table gives field, jump, start and overlap of every layer. The "
        "reader chooses the unit, and adds, removes and changes layers."
    )

    layers = _Layers([["conv", 3, 1, 1, 1]]).tag(sync=True)
    size = _Whole(24, 1, MOST_PIXELS).tag(sync=True)
    unit = _Unit().tag(sync=True)

    def _lengths(self, **changes: Any) -> list[int]:
        """How many units each map has, the input first; an error if it is impossible, or too large."""
        layers, size = [changes.get(name, getattr(self, name)) for name in ("layers", "size")]
        made = [Layer(k, stride=s, padding=p, dilation=d) for _, k, s, p, d in layers]
        try:
            fields = list(receptive_field(made, input_size=size).values())
        except ValueError as error:
            raise LayerError(f"`layers` do not fit into {size} pixels: {error}") from None
        largest = max(field.size[0] for field in fields)
        if largest > LARGEST_FIELD:
            raise LayerError(
                f"a field may be {LARGEST_FIELD} pixels wide at most, to be drawn, got {largest}"
            )
        firsts = [0.0, *(field.centre[0] for field in fields)]
        lasts = [size - 1.0, *(field.centre[0] + (_length(field) - 1) * field.jump[0] for field in fields)]
        if (spread := max(lasts) - min(firsts) + 1) > WIDEST:
            raise LayerError(
                f"the units may be spread over {WIDEST} pixels at most, to be drawn, got {spread:g}"
            )
        return [size, *map(_length, fields)]

    @validate("layers", "size")
    def _stack_is_possible(self, proposal: dict[str, Any]) -> Any:
        self._lengths(**{proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    @default("unit")
    def _middle_of_the_last_map(self) -> list[int]:
        lengths = self._lengths()
        return [len(lengths) - 1, (lengths[-1] - 1) // 2]

    @validate("unit")
    def _unit_exists(self, proposal: dict[str, Any]) -> list[int]:
        unit, lengths = proposal["value"], self._lengths()
        if len(unit) != 2 or unit[0] >= len(lengths) or unit[1] >= lengths[unit[0]]:
            raise LayerError(f"`unit` must be a map and a unit of it, of {lengths} units, got {unit}")
        return list(unit)

    @observe("layers", "size")
    def _unit_stays_inside(self, _: Any) -> None:
        lengths = self._lengths()
        number = min(self.unit[0], len(lengths) - 1)
        self.unit = [number, min(self.unit[1], lengths[number] - 1)]
