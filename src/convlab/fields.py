"""Receptive fields: which pixels of the input a unit of a layer can see.

Along one axis, a layer is known by what its first units read: all others see the same pattern, moved. Unit i
of a window with stride s, dilation d and padding p reads the units i·s − p, i·s − p + d, i·s − p + 2·d, … of
the layer before. We follow these sets of pixels from the input up and take their union where branches join:
size, place and holes of every field come out exact, whatever the graph. After upsampling by two, the even
units see one pattern and the odd ones another: two phases, and two sets to follow.

In a terminal, ``python -m convlab.fields package.module.name`` prints the fields of the network of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from inspect import isroutine
from itertools import pairwise
from math import gcd, inf, lcm
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlab._rules import EACH, Rule, Rules, Step, windows
from convlab.shapes import Padding, Pair, as_int, as_pair

if TYPE_CHECKING:
    from torch import nn

    from convlab.nets import Net

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """A convolution or a pooling, as far as receptive fields are concerned.

    Every argument is an int or a pair (height, width); `padding` may also be "same", "valid" or
    ((top, bottom), (left, right)). ValueError or TypeError for anything else.

    >>> Layer(3, stride=2)
    Layer(kernel_size=3, stride=2, padding=0, dilation=1)
    """

    kernel_size: Pair
    _: KW_ONLY
    stride: Pair = 1
    padding: Padding = 0
    dilation: Pair = 1

    def __post_init__(self) -> None:
        self.rules()  # raises if an argument is wrong

    def rules(self) -> Rules:
        """Return what it does along each axis, for `receptive_field`."""
        return windows(self.kernel_size, self.stride, self.padding, self.dilation)


@dataclass(frozen=True)
class Field:
    """What the units of one layer see. Every number is a pair (height, width), in pixels of the input.

    Attributes
    ----------
    size
        extent, from the first to the last pixel that a unit reads, those in the padding included
    jump
        distance between the fields of neighbouring units
    start
        smallest index that unit (0, 0) reads; a negative one lies in the padding
    centre
        middle of the field of unit (0, 0)
    support
        how many distinct rows and columns a unit reads: less than `size` if the field has holes
    overlap
        share of these that a unit has in common with its neighbour, between 0 and 1
    misalignment
        largest distance between the centres of branches that join here or in a layer below,
        averaged over the phases; 0 if all of them lie one on top of the other
    map_size
        (h, w) of the layer's map; None if `receptive_field` was not told the size of the input

    Notes
    -----
    After upsampling, units differ by phase: `phases` holds them all. Then `jump` is the average, a Fraction
    if it is not whole; `size` and `support` are those of the largest phase, `overlap` is the mean, and
    `start` and `centre` belong to unit (0, 0), or to the first unit that reads anything.

    Where branches join whose jumps differ, they drift apart: `misalignment` is then the largest distance on
    the map if its size is known, and infinite if not. Such a map has no single field: the numbers are those
    of its first units, with the largest jump, while `reads`, `region` and `units_seeing` remain exact for
    each.
    """

    size: tuple[int, int]
    jump: tuple[int | Fraction, int | Fraction]
    start: tuple[int, int]
    centre: tuple[float, float]
    support: tuple[int, int]
    overlap: tuple[float, float]
    misalignment: tuple[float, float] = (0.0, 0.0)
    map_size: tuple[int, int] | None = field(default=None, repr=False, compare=False)
    _axes: tuple[_Axis, ...] = field(default=(), repr=False, compare=False)
    _steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)  # of the whole model
    _number: int = field(default=0, repr=False, compare=False)

    @property
    def aligned(self) -> bool:
        """Whether all branches that join here or below lie one on top of the other."""
        return self.misalignment == (0, 0)

    @property
    def phases(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Rows read by the units of rows 0, 1, …, and the same for columns: one entry for each phase.

        With n phases, unit i + n reads what unit i reads, n · `jump` further on. A unit that reads nothing
        has an empty entry: a transposed convolution whose stride is larger than its kernel leaves such gaps.

        >>> from convlab.nets import Net, Node, Upsample
        >>> up = Net("up", [Node("up", Upsample(2, mode="bilinear"))])
        >>> receptive_field(up)["up"].phases[0]
        ((-1, 0), (0, 1))
        """
        rows, columns = (
            tuple(tuple(axis.unit(i).positions()) for i in range(axis.count)) for axis in self._axes
        )
        return rows, columns

    def reads(self, unit: tuple[int, int], clip: tuple[int, int]) -> Mask:
        """Pixels that one unit reads in an image of a given size: True in an array (H, W).

        Exact at the border too: the unit's field is followed back layer by layer, and what lies in the
        padding of any of them is left out. Padding that repeats pixels of the image (reflect, replicate,
        circular) leads back to these pixels.

        Parameters
        ----------
        unit : (row, column) in the map
        clip : (H, W) of the image

        Raises
        ------
        ValueError
            If the map of such an image has no such unit.

        >>> receptive_field([Layer(3, dilation=2, padding=2)])["0"].reads((0, 2), clip=(4, 6)).astype(int)
        array([[1, 0, 1, 0, 1, 0],
               [0, 0, 0, 0, 0, 0],
               [1, 0, 1, 0, 1, 0],
               [0, 0, 0, 0, 0, 0]])
        """
        (row, column), size = as_pair("unit", unit, 0), as_pair("clip", clip, 1)
        return _mask(_pixels(self._steps[: self._number + 1], (row, column), size), size)

    def region(self, unit: tuple[int, int], clip: tuple[int, int]) -> tuple[int, int, int, int]:
        """Box (top, left, bottom, right) around the pixels that one unit reads in an image of a given size.

        The pixels are ``image[top:bottom, left:right]``: the hull of `reads`, exact at the border too.

        Parameters
        ----------
        unit : (row, column) in the map
        clip : (H, W) of the image

        Raises
        ------
        ValueError
            If the map of such an image has no such unit, or the unit reads nothing but padding.

        >>> first = receptive_field([Layer(7, stride=2, padding=3)])["0"]
        >>> first.region((0, 4), clip=(32, 32))  # without the border: rows −3 to 3, columns 5 to 11
        (0, 5, 4, 12)
        """
        row, column = as_pair("unit", unit, 0)
        boxes = _pixels(self._steps[: self._number + 1], (row, column), as_pair("clip", clip, 1))
        if not boxes:
            raise ValueError(f"unit ({row}, {column}) reads padding alone, no pixel of the image")
        rows, columns = frozenset[int]().union(*(r for r, _ in boxes)), {c for _, box in boxes for c in box}
        return min(rows), min(columns), max(rows) + 1, max(columns) + 1

    def units_seeing(self, box: Sequence[int], clip: tuple[int, int]) -> Mask:
        """Units that see some of a box of the image: True in an array (h, w), the inverse of `reads`.

        It is False everywhere if no unit does, as with pixels that a stride leaves over at the end.

        Parameters
        ----------
        box : (row, column) of one pixel, or (top, left, bottom, right) with bottom and right not included
        clip : (H, W) of the image

        Raises
        ------
        ValueError
            If the box is empty or not inside the image.

        >>> layers = [Layer(3, stride=2), Layer(3)]
        >>> receptive_field(layers)["1"].units_seeing((4, 0), clip=(11, 11)).astype(int)
        array([[1, 0, 0],
               [1, 0, 0],
               [1, 0, 0]])
        """
        size = as_pair("clip", clip, 1)
        edges = [as_int("box", edge, 0) for edge in box]
        if len(edges) == 2:
            edges += [edges[0] + 1, edges[1] + 1]
        if len(edges) != 4:
            raise ValueError(f"`box` must be (row, column) or (top, left, bottom, right), got {box!r}")
        top, left, bottom, right = edges
        if not (top < bottom <= size[0] and left < right <= size[1]):
            raise ValueError(f"`box` must hold pixels of an image of {size}, got {tuple(box)}")
        return _mask(*_units(self._steps[: self._number + 1], (range(top, bottom), range(left, right)), size))


def receptive_field(
    model: Sequence[Layer] | Net | nn.Module, *, input_size: Pair | None = None
) -> dict[str, Field]:
    """Receptive field of every layer, in the order in which they run; the output comes last.

    Parameters
    ----------
    model : list of Layer, convlab.nets.Net, or torch.nn.Module
        A list gives the keys "0", "1", …, a Net the names of its nodes. A module is traced with torch.fx, not
        run, and gives the paths of its submodules, blocks included ("blocks.3" is what that block hands on).
        If the forward method does something after its last submodule, one more key, "output", is added; if it
        returns several maps, a key for each, "output.0", "output.1", … or "output.name". A module that is
        called several times counts with its last call. Batch norm counts as it works in evaluation: each unit
        by itself. Group, layer and instance norm look at the whole map.
    input_size : int or (H, W)
        Needed by layers that look at the whole map (global and adaptive pooling, flatten, linear, norms of a
        single image) and by resizing to a given size. A layer that looks at the whole map counts as a window
        as large as the map before it: `region` then gives the whole image, and `size` is, as always, counted
        with the padding. A Net knows its own size, which is used if there is none here.

    Raises
    ------
    ValueError
        If no rule is known for a layer or function (the message names it), or if `input_size` is missing or
        does not fit.

    >>> fields = receptive_field([Layer(3), Layer(2, stride=2), Layer(3, dilation=2)])
    >>> fields["1"].size, fields["1"].jump, fields["1"].overlap
    ((4, 4), (2, 2), (0.5, 0.5))
    >>> fields["2"].size
    (12, 12)
    """
    from convlab.nets import Net  # here, because it builds on this module

    if isinstance(model, Net):
        steps, numbers = _steps_of_net(model)
        input_size = model.input_size if input_size is None else input_size
    elif isinstance(model, Sequence):
        steps, numbers = _steps_of_list(model)
    else:
        steps, numbers = _steps_of_module(model)
    sizes = (None, None) if input_size is None else as_pair("input_size", input_size, 1)
    axes = [_follow(steps, axis, sizes[axis]) for axis in (0, 1)]
    return {name: _field(steps, n, axes[0][n], axes[1][n]) for name, n in numbers.items()}


def measure(
    module: nn.Module,
    unit: tuple[int, int],
    *,
    input_size: Pair,
    layer: str | None = None,
    channels: int | None = None,
) -> Mask:
    """Find by gradients what `Field.reads` finds by arithmetic: True in an array (H, W) where a unit looks.

    The unit is differentiated with respect to every pixel, on a copy of the module in float64, in one forward
    and one backward pass. Wherever a real network could hide a connection, the copy does not: weights are
    positive, so that paths never cancel; activations hand on their input, batch norm too; a maximum becomes a
    sum, so that the losers count. Norms over the whole map add its mean, and operations on two maps add them.

    Parameters
    ----------
    module : torch.nn.Module
        Any that runs on a tensor (1, channels, H, W); it need not be traceable and is left as it is.
    unit : (row, column) in the map; (0, 0) where the layer gives a vector
    input_size : int or (H, W)
    layer : path of a submodule, whose last call counts; by default the module's own result
    channels : of the input; by default as many as the module's first convolution takes

    Raises
    ------
    ValueError
        If there is no such layer or unit, or the layer does not return one tensor.
    """
    from convlab._modules import gradient  # here, because it opens torch

    size, (row, column) = as_pair("input_size", input_size, 1), as_pair("unit", unit, 0)
    seen: Mask = gradient(module, (row, column), size, layer, channels) != 0
    return seen


# One axis at a time: sets of pixels, and the units that read them.


class _Pixels(NamedTuple):
    """A set of pixels: bit n of `bits` stands for pixel `first` + n, and bit 0 is set unless it is empty."""

    first: int
    bits: int

    def moved(self, distance: int) -> _Pixels:
        return _Pixels(self.first + distance, self.bits)

    def positions(self) -> Iterator[int]:
        return (self.first + n for n in range(self.bits.bit_length()) if self.bits >> n & 1)

    @property
    def middle(self) -> float:
        return self.first + (self.bits.bit_length() - 1) / 2

    def shared(self, other: _Pixels) -> int:
        first = min(self.first, other.first)
        return (self.bits << (self.first - first) & other.bits << (other.first - first)).bit_count()


def _union(sets: Iterable[_Pixels]) -> _Pixels:
    some = [pixels for pixels in sets if pixels.bits]
    first = min((pixels.first for pixels in some), default=0)
    bits = 0
    for pixels in some:
        bits |= pixels.bits << (pixels.first - first)
    return _Pixels(first, bits)


class _Strand(NamedTuple):
    """Units that repeat: unit i + n reads what unit i reads, `step` pixels further on, with n phases."""

    step: int
    phases: tuple[_Pixels, ...]

    @property
    def jump(self) -> Fraction:
        return Fraction(self.step, len(self.phases))

    def unit(self, number: int) -> _Pixels:
        periods, phase = divmod(number, len(self.phases))
        return self.phases[phase].moved(periods * self.step)

    def through(self, rule: Rule) -> _Strand:
        """What the units of the next layer see of this one."""
        count = len(self.phases)
        periods = count // gcd(count, rule.stride)  # until the pattern of both repeats
        phases = tuple(
            _union([self.unit(period * rule.stride + tap) for tap in rule.taps(phase)])
            for period in range(periods)
            for phase in range(rule.up)
        )
        return _Strand(periods * rule.stride * self.step // count, phases)


@dataclass(frozen=True)
class _Axis:
    """What a layer's units see along one axis: one strand, unless branches of different jump have met."""

    strands: tuple[_Strand, ...]
    misalignment: float = 0.0
    length: int | None = None

    @property
    def count(self) -> int:
        count = lcm(*(len(strand.phases) for strand in self.strands))
        return count if self.length is None else min(count, self.length)

    @property
    def moves(self) -> bool:
        return any(strand.step for strand in self.strands)

    def unit(self, number: int) -> _Pixels:
        return _union([strand.unit(number) for strand in self.strands])

    def middle(self, number: int) -> float | None:
        """Middle of a unit's field, without the parts that are the same for all units."""
        pixels = _union([strand.unit(number) for strand in self.strands if strand.step])
        return pixels.middle if pixels.bits else None


def _follow(steps: tuple[Step, ...], axis: int, size: int | None) -> list[_Axis]:
    """Fields of all steps along one axis, from the input up."""
    maps = None if size is None else _fit(steps, axis, size)
    axes = [_Axis((_Strand(1, (_Pixels(0, 1),)),), length=size)]
    for number, step in enumerate(steps[1:], 1):
        parents = [axes[parent] for parent in step.parents]
        if maps is None:
            rule, below, length = step.rules[axis], None, None
            with _naming(step):
                rule.check_size_is_not_needed()
        else:
            rule, below, length = maps[number]
            parents = [_spread(parent, below) for parent in parents]
        joined = _join(parents, below)
        strands = tuple(strand.through(rule) for strand in joined.strands)
        axes.append(_Axis(strands, joined.misalignment, length))
    return axes


def _spread(axis: _Axis, length: int) -> _Axis:
    """The only unit of a map, repeated for each unit of a longer map that it joins."""
    if axis.length == length:
        return axis
    return _Axis((_Strand(0, (axis.unit(0),)),), axis.misalignment)


def _join(parents: list[_Axis], length: int | None) -> _Axis:
    """Branches, unit by unit: strands of the same jump become one."""
    if len(parents) == 1:
        return parents[0]
    together: dict[Fraction, list[_Strand]] = {}
    for strand in dict.fromkeys(strand for parent in parents for strand in parent.strands):
        together.setdefault(strand.jump, []).append(strand)
    strands = []
    for same in together.values():
        count = max(lcm(*(len(strand.phases) for strand in same)), 1)
        phases = tuple(_union([strand.unit(i) for strand in same]) for i in range(count))
        strands.append(_Strand(same[0].step * count // len(same[0].phases), phases))
    below = max(parent.misalignment for parent in parents)
    return _Axis(tuple(strands), max(below, _misalignment(parents, strands, length)))


def _misalignment(parents: list[_Axis], strands: list[_Strand], length: int | None) -> float:
    """How far apart the centres of branches lie: on average over phases, or at most if they drift apart."""
    branches = [parent for parent in parents if parent.moves]
    moving = [strand for strand in strands if strand.step]
    drift = len(moving) > 1
    if drift and length is None:
        return inf
    units = (0, (length or 1) - 1) if drift else range(len(moving[0].phases) if moving else 0)
    rows = [[branch.middle(i) for branch in branches] for i in units]
    full = [[m for m in row if m is not None] for row in rows if None not in row]
    if drift:
        return max((max(row) - min(row) for row in full), default=0.0)
    means = [sum(column) / len(full) for column in zip(*full, strict=True)]
    return max(means, default=0.0) - min(means, default=0.0)


def _field(steps: tuple[Step, ...], number: int, rows: _Axis, columns: _Axis) -> Field:
    with _naming(steps[number]):
        numbers = [_summary(rows), _summary(columns)]
    size, jump, start, centre, support, overlap = zip(*numbers, strict=True)
    return Field(
        size=size,
        jump=jump,
        start=start,
        centre=centre,
        support=support,
        overlap=overlap,
        misalignment=(rows.misalignment, columns.misalignment),
        map_size=None if rows.length is None or columns.length is None else (rows.length, columns.length),
        _axes=(rows, columns),
        _steps=steps,
        _number=number,
    )


def _summary(axis: _Axis) -> tuple[int, int | Fraction, int, float, int, float]:
    units = [axis.unit(i) for i in range(axis.count + 1)]
    pairs = [(unit, after) for unit, after in pairwise(units) if unit.bits]
    if not pairs:
        raise ValueError("none of its units reads anything of the input")
    jump = max(strand.jump for strand in axis.strands)
    overlap = sum(unit.shared(after) / unit.bits.bit_count() for unit, after in pairs) / len(pairs)
    return (
        max(unit.bits.bit_length() for unit, _ in pairs),
        jump.numerator if jump.denominator == 1 else jump,
        pairs[0][0].first,
        pairs[0][0].middle,
        max(unit.bits.bit_count() for unit, _ in pairs),
        overlap,
    )


# Back from a unit to the pixels of an image of known size, and the other way round.


class _Map(NamedTuple):
    """A step along one axis of an image of known size."""

    rule: Rule
    below: int  # length of the map that the rule reads
    length: int  # and of the one that it makes

    def reads(self, units: Iterable[int]) -> frozenset[int]:
        return frozenset(below for unit in units for below in self.rule.reads(unit, self.below))

    def readers(self, below: frozenset[int]) -> frozenset[int]:
        return frozenset(
            unit for unit in range(self.length) if not below.isdisjoint(self.rule.reads(unit, self.below))
        )


def _fit(steps: tuple[Step, ...], axis: int, size: int) -> list[_Map]:
    maps = [_Map(EACH[axis], size, size)]
    for step in steps[1:]:
        lengths = {maps[parent].length for parent in step.parents}
        below = max(lengths)
        with _naming(step):
            if lengths - {below, 1}:
                sizes = [maps[parent].length for parent in step.parents]
                raise ValueError(f"joins maps of different sizes: {sizes}")
            rule = step.rules[axis].fit(below, [made.length for made in maps])
            length = rule.length(below)
            if length < 1:
                raise ValueError(f"nothing is left of a map of {below}")
        maps.append(_Map(rule, below, length))
    return maps


_Box = tuple[frozenset[int], frozenset[int]]  # each of these rows in each of these columns


def _pixels(steps: tuple[Step, ...], unit: tuple[int, int], size: tuple[int, int]) -> list[_Box]:
    """What one unit of the last step reads: back from there to the input."""
    maps = [_fit(steps, axis, size[axis]) for axis in (0, 1)]
    for axis in (0, 1):
        length = maps[axis][-1].length
        if unit[axis] >= length:
            raise ValueError(
                f"unit {unit[axis]} is outside the map: an image of {size[axis]} gives {length} units"
            )
    wanted: list[list[_Box]] = [[] for _ in steps]
    wanted[-1] = [(frozenset({unit[0]}), frozenset({unit[1]}))]
    for number in reversed(range(1, len(steps))):
        for box in wanted[number]:
            read = [maps[axis][number].reads(box[axis]) for axis in (0, 1)]
            for parent in steps[number].parents:
                rows, columns = (
                    frozenset({0} if read[axis] else ())  # the only unit there is
                    if maps[axis][parent].length < maps[axis][number].below
                    else read[axis]
                    for axis in (0, 1)
                )
                _add(wanted[parent], (rows, columns))
    return wanted[0]


def _units(
    steps: tuple[Step, ...], box: tuple[range, range], size: tuple[int, int]
) -> tuple[list[_Box], tuple[int, int]]:
    """Units of the last step that read any of these pixels, from the input up, and the size of its map."""
    maps = [_fit(steps, axis, size[axis]) for axis in (0, 1)]
    seeing: list[list[_Box]] = [[(frozenset(box[0]), frozenset(box[1]))]]
    for number, step in enumerate(steps[1:], 1):
        joined: list[_Box] = []
        for parent in step.parents:
            for seen in seeing[parent]:
                rows, columns = (
                    frozenset(range(maps[axis][number].below))
                    if maps[axis][parent].length < maps[axis][number].below
                    else seen[axis]
                    for axis in (0, 1)
                )
                _add(joined, (rows, columns))
        above: list[_Box] = []
        for seen in joined:
            _add(above, (maps[0][number].readers(seen[0]), maps[1][number].readers(seen[1])))
        seeing.append(above)
    return seeing[-1], (maps[0][-1].length, maps[1][-1].length)


def _add(boxes: list[_Box], new: _Box) -> None:
    """Add a box to others, unless it is empty; none of them keeps a place inside another."""
    if not (new[0] and new[1]) or any(new[0] <= old[0] and new[1] <= old[1] for old in boxes):
        return
    boxes[:] = [old for old in boxes if not (old[0] <= new[0] and old[1] <= new[1])]
    boxes.append(new)


def _mask(boxes: list[_Box], size: tuple[int, int]) -> Mask:
    mask = np.zeros(size, bool)
    for rows, columns in boxes:
        mask[np.ix_(sorted(rows), sorted(columns))] = True
    return mask


@contextmanager
def _naming(step: Step) -> Iterator[None]:
    """Put the name of the step in front of an error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{step.name}: {error}") from None


# From models to steps.

_Steps = tuple[tuple[Step, ...], dict[str, int]]  # and the number of the step that a key stands for


def _steps_of_list(layers: Sequence[Layer]) -> _Steps:
    if not layers:
        raise ValueError("`model` must have at least one layer, got an empty list")
    steps = [Step("input")]
    for number, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"`model[{number}]` must be a Layer, got {layer!r}")
        steps.append(Step(f"layer {number}", (number,), layer.rules()))
    return tuple(steps), {str(number): number + 1 for number in range(len(layers))}


def _steps_of_net(net: Net) -> _Steps:
    from convlab.nets import rules

    steps, numbers = [Step("input")], {"input": 0}
    for node in net.nodes:
        numbers[node.name] = len(steps)
        steps.append(Step(f"`{node.name}`", tuple(numbers[name] for name in node.inputs), rules(node.op)))
    del numbers["input"]
    return tuple(steps), numbers


def _steps_of_module(model: nn.Module) -> _Steps:
    from convlab._modules import steps_of_module

    return steps_of_module(model)


# On the command line.


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table
    ]


def _text(pair: tuple[float | Fraction, float | Fraction]) -> str:
    """One number if both axes have the same, else height×width."""
    height, width = (f"{n:.3g}" if isinstance(n, float) else str(n) for n in pair)
    return height if height == width else f"{height}×{width}"


def _main() -> None:
    from argparse import ArgumentParser
    from pkgutil import resolve_name

    parser = ArgumentParser(
        prog="python -m convlab.fields", description="Print the receptive field of every layer of a network."
    )
    parser.add_argument(
        "path",
        help="dotted path to a torch module, Net or list of Layer, or to a class or function that makes one",
    )
    parser.add_argument(
        "--input-size", type=int, nargs="+", metavar="N", help="one number, or height and width"
    )
    arguments = parser.parse_args()
    try:
        model = resolve_name(arguments.path)
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"path must lead to a network, got {arguments.path!r}: {error}")
    if isinstance(model, type) or isroutine(model):
        try:
            model = model()
        except TypeError as error:
            parser.error(
                f"path must name what can be made without arguments, got {arguments.path!r}: {error}"
            )
    size = arguments.input_size
    try:
        fields = receptive_field(model, input_size=size[0] if size and len(size) == 1 else size)
    except (TypeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    numbers = ("size", "jump", "start", "support", "overlap", "misalignment")
    rows = [(path, *(_text(getattr(field, name)) for name in numbers)) for path, field in fields.items()]
    print("\n".join(_aligned([("layer", *numbers), *rows])))


if __name__ == "__main__":
    from convlab.fields import _main as main  # not this copy of the module, whose classes nobody else knows

    main()
