"""Exercises of chapter 7, Dilated convolution."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import Field, Layer, receptive_field
from convlab.nets import Conv, Net, Node, ledger
from convlab.ops import conv1d
from convlab.shapes import as_int, coverage


def _field(rates: Sequence[int], kernels: Sequence[int] | None = None) -> Field:
    sizes = [3] * len(rates) if kernels is None else kernels
    layers = [Layer(k, dilation=d) for k, d in zip(sizes, rates, strict=True)]
    return receptive_field(layers)[str(len(layers) - 1)]


def _hull_and_positions(rates: Sequence[int], kernels: Sequence[int] | None = None) -> list[int]:
    field = _field(rates, kernels)
    return [field.size[0], field.support[0]]


def _dilated(row: Sequence[int], kernel: Sequence[int], rate: int) -> list[int]:
    outputs: list[int] = conv1d([row], [[kernel]], dilation=rate)[0].tolist()
    return outputs


def _windows(row: Sequence[int], kernel: Sequence[int], rate: int, stride: int = 1) -> list[int]:
    """What `_dilated` gives, and an empty list where no window fits."""
    firsts = range(0, len(row) - rate * (len(kernel) - 1), stride)
    return [sum(w * row[first + rate * n] for n, w in enumerate(kernel)) for first in firsts]


def _rates_without(strides: Sequence[int], kept: int, itself: bool = False) -> list[int]:
    """Rate of each layer when the strides after the first `kept` are taken out."""
    rates, rate = [], 1
    for layer, stride in enumerate(strides):
        after = rate * stride if layer >= kept else rate
        rates.append(after if itself else rate)
        rate = after
    return rates


_STRIDES = [2, 1, 2, 1, 2, 1]
_ROW, _KERNEL = [3, 1, 4, 1, 5, 9, 2, 6, 5], [1, -1, 2]
_STACKS = ([2, 3], [1, 3, 10], [4, 1, 2])


def _unread(side: int = 2) -> list[int]:
    both = [_hull_and_positions(rates) for rates in _STACKS]
    return [hull**side - positions**side for hull, positions in both]


def _in_padding(axes: int = 2) -> float:
    """Share of the taps of a 3×3 branch of rate 12 on 48×48 units that fall in its padding."""
    inside = coverage((1, 48), (1, 3), padding=(0, 12), dilation=(1, 12)).sum() / (3 * 48)
    return 1 - float(inside) ** axes


def _macs(strides: Sequence[int], rates: Sequence[int], layers: int = 5) -> int:
    nodes = [
        Node(str(n), Conv(3, 16, stride=s, padding=d, dilation=d))
        for n, (s, d) in enumerate(zip(strides, rates, strict=True))
    ]
    return sum(row.macs for row in ledger(Net("five", nodes, channels=16), 64).rows[-layers:])


def _times(layers: int = 5) -> float:
    return _macs([1] * 5, [1, 2, 4, 8, 16], layers) / _macs([2] * 5, [1] * 5, layers)


def _rows(rng: np.random.Generator) -> list[tuple[list[int], list[int], int]]:
    cases = []
    for _ in range(80):
        taps, rate = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        size = rate * (taps - 1) + 1 + int(rng.integers(0, 7))
        cases.append((rng.integers(-9, 10, size).tolist(), rng.integers(-9, 10, taps).tolist(), rate))
    return cases


def _stacks(rng: np.random.Generator) -> list[tuple[list[int]]]:
    return [(rng.integers(1, 9, rng.integers(1, 5)).tolist(),) for _ in range(80)]


def _judge_rates(rates: Any) -> str:
    numbers = [as_int("rate", rate, 0) for rate in rates]
    if len(numbers) != 4:
        return f"Four rates are asked for; this has {len(numbers)}."
    if min(numbers) < 1:
        return "A rate is at least 1: that is the ordinary convolution."
    if max(numbers) > 100:
        return f"A rate of {max(numbers)} alone makes a field larger than 61 pixels."
    hull, positions = _hull_and_positions(numbers)
    if hull != 61:
        return f"The field is {hull}×{hull} pixels, not 61×61."
    if positions < hull:
        return f"The field has holes: only {positions} of its 61 positions along an axis are read."
    return ""


EXERCISES: dict[str, Exercise] = {
    "DL-E1": Predict(
        lambda: _dilated(_ROW, _KERNEL, 3),
        mistakes={
            "This is rate 2; with rate 3 there are two pixels in each hole.": lambda: _dilated(
                _ROW, _KERNEL, 2
            ),
            "This is rate 4; here a hole is one pixel smaller than the rate.": lambda: _dilated(
                _ROW, _KERNEL, 4
            ),
            "This is the ordinary convolution.": lambda: _dilated(_ROW, _KERNEL, 1),
            "You turned the kernel around; lay it on as it is printed.": lambda: _dilated(
                _ROW, _KERNEL[::-1], 3
            ),
            "You moved the windows three apart; that is a stride.": lambda: conv1d(
                [_ROW], [[_KERNEL]], stride=3
            )[0].tolist(),
        },
    ),
    "DL-E2": Implement(
        _dilated,
        _rows,
        mistakes={
            "It ignores the rate.": lambda row, kernel, rate: _windows(row, kernel, 1),
            "Its holes have as many pixels as the rate; they have one less.": lambda row, kernel, rate: (
                _windows(row, kernel, rate + 1)
            ),
            "It leaves out the last window.": lambda row, kernel, rate: _windows(row, kernel, rate)[:-1],
            "It turns the kernel around.": lambda row, kernel, rate: _windows(row, kernel[::-1], rate),
            "It moves the window by the rate; that is a stride.": lambda row, kernel, rate: _windows(
                row, kernel, rate, stride=rate
            ),
        },
    ),
    "DL-E3": Predict(
        lambda: _hull_and_positions([3, 3, 2], [5, 5, 3]),
        mistakes={
            "These are three kernels of 3; the first two have five taps.": lambda: _hull_and_positions(
                [3, 3, 2]
            ),
            "You took the positions for a hull without holes.": lambda: (
                _hull_and_positions([3, 3, 2], [5, 5, 3])[:1] * 2
            ),
            "This is the field without the rates.": lambda: _hull_and_positions([1, 1, 1], [5, 5, 3]),
            "You multiplied the taps of the layers; some paths end at the same pixel.": lambda: [
                _field([3, 3, 2], [5, 5, 3]).size[0],
                5 * 5 * 3,
            ],
            "This is the field after two layers.": lambda: _hull_and_positions([3, 3], [5, 5]),
        },
    ),
    "DL-E4": Predict(
        lambda: _rates_without(_STRIDES, 1),
        mistakes={
            "Keep the first stride: the units are to be 2 pixels apart, not 1.": lambda: _rates_without(
                _STRIDES, 0
            ),
            "You dilated the layer that loses its stride; its own taps stay where they are.": lambda: (
                _rates_without(_STRIDES, 1, itself=True)
            ),
            "Two strides must go, not one.": lambda: _rates_without(_STRIDES, 3),
            "These would be the jumps of the old network.": lambda: _rates_without(_STRIDES, 0, itself=True),
        },
    ),
    "DL-E5": Implement(
        lambda rates: _hull_and_positions(rates)[1],
        _stacks,
        mistakes={
            "It returns the hull, holes included.": lambda rates: _hull_and_positions(rates)[0],
            "It counts paths; some of them end at the same position.": lambda rates: 3 ** len(rates),
            "It counts as if all rates were 1.": lambda rates: _hull_and_positions([1] * len(rates))[1],
            "It forgets the middle tap.": lambda rates: len(
                {
                    sum(d * (2 * sign - 1) for d, sign in zip(rates, signs, strict=True))
                    for signs in np.ndindex(*[2] * len(rates))
                }
            ),
        },
    ),
    "DL-E6": Predict(
        _unread,
        mistakes={
            "You counted along one axis; in the figure there are two.": lambda: _unread(1),
            "These are the pixels that are read.": lambda: [
                _hull_and_positions(rates)[1] ** 2 for rates in _STACKS
            ],
            "These are all pixels of the hulls.": lambda: [
                _hull_and_positions(rates)[0] ** 2 for rates in _STACKS
            ],
            "A pixel is unread already if its row is unread, or its column.": lambda: [
                missing**2 for missing in _unread(1)
            ],
        },
    ),
    "DL-E7": Design(
        _judge_rates,
        form="a list of four integers, the rates",
        wrong=[
            ([1, 2, 4, 8], "The field is 31×31 pixels"),
            ([1, 2, 4, 23], "The field has holes: only 45 of its 61"),
            ([2, 4, 8, 16], "The field has holes: only 31 of its 61"),
            ([1, 3, 10, 16], "The field has holes"),
            ([1, 2, 9, 9, 9], "Four rates are asked for; this has 5"),
            ([0, 1, 9, 20], "A rate is at least 1"),
            ([1, 3, 9, 1000], "A rate of 1000 alone"),
            ([], "Four rates are asked for"),
            (61, "The answer should be a list of four integers"),
        ],
    ),
    "DL-E8": Predict(
        _in_padding,
        mistakes={
            "This is the share that falls on the map.": lambda: 1 - _in_padding(),
            "This is the share along one axis; a tap must be inside along both.": lambda: _in_padding(1),
            "You squared the share outside; square the share inside.": lambda: _in_padding(1) ** 2,
        },
        tolerance=0.005,
    ),
    "DL-E9": Predict(
        _times,
        mistakes={
            "This is the ratio of the last layer alone.": lambda: _times(1),
            "The strided layers have sides from 32 down, the dilated all of 64.": lambda: (
                _macs([1] * 5, [1] * 5) / _macs([1, 2, 2, 2, 2], [1] * 5)
            ),
            "This is the ratio the other way round.": lambda: 1 / _times(),
            "With stride 2 along both axes a layer keeps a quarter of the units, not a half.": lambda: (
                5 * 64 / sum(64 // 2**n for n in range(1, 6))
            ),
        },
        tolerance=0.06,
    ),
}
