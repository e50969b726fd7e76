"""What layers do to a map, along one axis: which units of the map before do their own units read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import ClassVar

from convlab.shapes import Padding, Pair, as_pair, as_sides, output_size, window_span


@dataclass(frozen=True)
class Rule:
    """Which units of a map the units of the next map read.

    The pattern repeats: `up` units make a period, and a period reads `stride` units further on than the last.
    """

    up: int = 1
    stride: int = 1
    edge: str = "zeros"  # what stands outside the map
    size_needed: ClassVar[str] = ""

    def taps(self, phase: int) -> Iterable[int]:
        """Which units are read by unit `phase` of the first period."""
        return (phase,)

    def length(self, length: int) -> int:
        """How many units are made of a map of this length."""
        return length

    def fit(self, length: int, lengths: list[int]) -> Rule:
        """The same with its numbers known, for a map of this length; `lengths` are those of all steps."""
        return self

    def check_size_is_not_needed(self) -> None:
        if self.size_needed:
            raise ValueError(f"{self.size_needed}: pass `input_size`")

    def reads(self, unit: int, length: int) -> list[int]:
        """Which units of a map of this length are read by a unit."""
        period, phase = divmod(unit, self.up)
        below = (period * self.stride + tap for tap in self.taps(phase))
        if self.edge == "reflect":
            below = (abs((n + length - 1) % max(2 * length - 2, 1) - length + 1) for n in below)
        elif self.edge == "replicate":
            below = (min(max(n, 0), length - 1) for n in below)
        elif self.edge == "circular":
            below = (n % length for n in below)
        return [n for n in below if 0 <= n < length]


@dataclass(frozen=True)
class Window(Rule):
    """A convolution or a pooling; padding below zero cuts the map; `ceil` as in torch's pooling."""

    kernel: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False

    def taps(self, phase: int) -> range:
        return range(-self.before, self.kernel * self.dilation - self.before, self.dilation)

    def length(self, length: int) -> int:
        padded = length + self.before + self.after + (self.stride - 1 if self.ceil else 0)
        if padded < 1:
            raise ValueError(f"nothing is left of a map of {length}")
        units = output_size(padded, self.kernel, stride=self.stride, dilation=self.dilation)
        starts_outside = (units - 1) * self.stride >= length + self.before
        return units - 1 if self.ceil and starts_outside else units


@dataclass(frozen=True)
class Transposed(Rule):
    """A transposed convolution of stride `up`, whose result loses some units at both ends."""

    kernel: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    def taps(self, phase: int) -> list[int]:
        places = (phase + self.before - n * self.dilation for n in range(self.kernel))
        return [place // self.up for place in places if place % self.up == 0]

    def length(self, length: int) -> int:
        span = window_span(self.kernel, self.dilation)
        return (length - 1) * self.up + span - self.before - self.after


@dataclass(frozen=True)
class Resize(Rule):
    """Interpolation to up/stride of the size, or to `total` units."""

    mode: str = "nearest"
    corners: bool = False  # whether first and last units stay where they are
    total: int | None = None

    def taps(self, phase: int) -> Iterable[int]:
        if self.mode == "nearest":
            return (phase * self.stride // self.up,)
        half = 0 if self.corners else Fraction(1, 2)
        place = (phase + half) * Fraction(self.stride, self.up) - half
        low, high = floor(place), ceil(place)
        if self.mode == "nearest-exact":
            return (floor(place + half),)
        if self.mode == "bicubic" and low < high:
            return range(low - 1, high + 2)
        return {low, high}

    def length(self, length: int) -> int:
        return length * self.up // self.stride if self.total is None else self.total


@dataclass(frozen=True)
class ResizeTo(Rule):
    """Interpolation that depends on the map's size.

    To `total` units, to `scale` times as many as there are, or to as many as step `like` has.
    """

    mode: str = "nearest"
    corners: bool = False
    total: int = 0
    scale: Fraction | None = None
    like: int | None = None
    size_needed: ClassVar[str] = "depends on the size of the map"

    def fit(self, length: int, lengths: list[int]) -> Rule:
        total = self.total if self.like is None else lengths[self.like]
        if self.scale is not None:
            total = floor(length * self.scale)
        ends = int(self.corners)
        if length == 1 or total == ends:  # the first unit, again and again
            return Resize(stride=0, total=total)
        ratio = Fraction(total - ends, length - ends)
        return Resize(
            up=ratio.numerator, stride=ratio.denominator, mode=self.mode, corners=self.corners, total=total
        )


@dataclass(frozen=True)
class Parts(Rule):
    """A window as wide as the map, or a map cut evenly into so many windows."""

    parts: int = 1
    size_needed: ClassVar[str] = "looks at the whole map"

    def fit(self, length: int, lengths: list[int]) -> Rule:
        if length % self.parts:
            raise ValueError(
                f"windows of different sizes: a map of {length} is not cut evenly into {self.parts}"
            )
        return Window(kernel=length // self.parts, stride=length // self.parts)


Rules = tuple[Rule, Rule]
EACH = Rule(), Rule()  # every unit by itself
WHOLE = Parts(), Parts()  # all units at once


def windows(
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    ceil: bool = False,
    edge: str = "zeros",
) -> tuple[Window, Window]:
    """Rules of a convolution or a pooling, whose arguments are checked."""
    kernels, strides = as_pair("kernel_size", kernel_size, 1), as_pair("stride", stride, 1)
    dilations = as_pair("dilation", dilation, 1)
    sides = as_sides(padding, kernel_size=kernels, stride=strides, dilation=dilations)
    rows, columns = (
        Window(
            stride=strides[axis],
            kernel=kernels[axis],
            dilation=dilations[axis],
            before=sides[axis][0],
            after=sides[axis][1],
            ceil=ceil,
            edge=edge,
        )
        for axis in (0, 1)
    )
    return rows, columns


def transposed(
    kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, output_padding: Pair = 0
) -> tuple[Transposed, Transposed]:
    """Rules of a transposed convolution, whose arguments are checked."""
    extra = as_pair("output_padding", output_padding, 0)
    rows, columns = (
        Transposed(
            up=window.stride,
            kernel=window.kernel,
            dilation=window.dilation,
            before=window.before,
            after=window.after - extra[axis],
        )
        for axis, window in enumerate(windows(kernel_size, stride, as_pair("padding", padding, 0), dilation))
    )
    return rows, columns


@dataclass(frozen=True)
class Step:
    """One step of a network: a rule for the sum of its parents, which are numbers of earlier steps.

    Along an axis where parents have one unit, and others more, the one is repeated.
    """

    name: str
    parents: tuple[int, ...] = ()
    rules: Rules = EACH
