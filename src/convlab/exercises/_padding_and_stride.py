"""Exercises of chapter 3, Padding and stride."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.ops import NUMPY_MODES, avg_pool2d, conv1d, conv_transpose2d, max_pool2d
from convlab.shapes import as_int, coverage, dropped, output_size, same_padding, symmetric_padding


def _unread(padding: int) -> int:
    return int((coverage(12, 3, stride=4, padding=padding) == 0).sum())


def _unread_in_a_row(padding: int) -> int:
    return int((coverage((1, 12), (1, 3), stride=(1, 4), padding=(0, padding)) == 0).sum())


def _behind_the_last_window(padding: int) -> int:
    inside = 12 - max(0, dropped(12, 3, stride=4, padding=padding) - padding)
    return 12**2 - inside**2


def _row_coverage(size: int, kernel_size: int, stride: int) -> list[int]:
    counts: list[int] = coverage((1, size), (1, kernel_size), stride=(1, stride))[0].tolist()
    return counts


def _half_as_many(padding: tuple[int, int], kernel: Sequence[int] = (1, 0, 2)) -> list[int]:
    row = [[3, 1, 4, 1, 5, 9, 2, 6]]
    outputs: list[int] = conv1d(row, [[kernel]], stride=2, padding=padding)[0].tolist()
    return outputs


def _padded(row: list[int], padding: int, mode: str) -> list[int]:
    places: list[int] = np.pad(row, padding, mode).tolist()  # type: ignore[call-overload]
    return places


def _pooled(pool: Any) -> list[list[float]]:
    row = [0, 0, 0, 1, 1, 1] * 2
    return [pool(np.array([[line]]), (1, 2))[0, 0].tolist() for line in (row, [*row[1:], 0])]


def _written(kernel_size: int, stride: int) -> list[int]:
    places: list[int] = conv_transpose2d(
        np.ones((1, 1, 3), int), np.ones((1, 1, 1, kernel_size), int), stride=(1, stride)
    )[0, 0].tolist()
    return places


def _axes(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    cases = []
    for _ in range(80):
        size = int(rng.integers(1, 15))
        cases.append((size, int(rng.integers(1, size + 1)), int(rng.integers(1, 6))))
    return cases


def _rows(rng: np.random.Generator) -> list[tuple[list[int], int]]:
    rows = [rng.integers(0, 10, rng.integers(1, 9)).tolist() for _ in range(80)]
    return [(row, int(rng.integers(len(row)))) for row in rows]


def _judge_chain(chain: Any) -> str:
    layers = [tuple(as_int("layer", number, 0) for number in layer) for layer in chain]
    if not 1 <= len(layers) <= 5 or any(len(layer) != 3 for layer in layers):
        return f"One to five layers of three integers are asked for; this has {len(layers)}."
    size = 96
    for number, (k, s, p) in enumerate(layers, start=1):
        name = f"Layer {number}, {(k, s, p)},"
        if s < 1 or k < 1:
            return f"{name} has a kernel or a stride of 0."
        if s >= k:
            return f"{name} has windows that do not overlap: its step is {s} and its kernel {k}."
        if p >= k:
            return f"{name} has a padding of {p}, which is not less than its kernel size."
        if k > size + 2 * p:
            return f"{name} does not fit: {size} pixels and the padding make {size + 2 * p} places."
        if rest := dropped(size, k, stride=s, padding=p):
            places = "1 place" if rest == 1 else f"{rest} places"
            return f"{name} leaves {places} over at the end of {size} pixels with their padding."
        size = output_size(size, k, stride=s, padding=p)
    if size != 12:
        return f"The chain ends at {size} units, not at 12."
    total = sum(k for k, _, _ in layers)
    return f"The kernel sizes add up to {total}, more than 14." if total > 14 else ""


EXERCISES: dict[str, Exercise] = {
    "PS-E1": Predict(
        lambda: output_size(57, 5, stride=3, padding=5, dilation=2),
        mistakes={
            "You counted the steps; the first window needs none.": lambda: (
                output_size(57, 5, stride=3, padding=5, dilation=2) - 1
            ),
            "The padding stands at both ends.": lambda: output_size(
                57, 5, stride=3, padding=(5, 0), dilation=2
            ),
            "With dilation 2, a window of 5 taps spans more than 5 places.": lambda: output_size(
                57, 5, stride=3, padding=5
            ),
            "You left out the padding.": lambda: output_size(57, 5, stride=3, dilation=2),
        },
    ),
    "PS-E2": Predict(
        lambda: [_unread(p) for p in (0, 1, 2)],
        mistakes={
            "You counted along one axis; in the figure there are two.": lambda: [
                _unread_in_a_row(p) for p in (0, 1, 2)
            ],
            "These are the pixels behind the last window only; others are skipped between windows.": lambda: [
                _behind_the_last_window(p) for p in (0, 1, 2)
            ],
            "These are the pixels between windows only; others lie behind the last one.": lambda: [
                _unread(p) - _behind_the_last_window(p) for p in (0, 1, 2)
            ],
            "These are the pixels that are read.": lambda: [144 - _unread(p) for p in (0, 1, 2)],
        },
    ),
    "PS-E3": Implement(
        _row_coverage,
        _axes,
        mistakes={
            "It uses stride 1 always.": lambda size, kernel_size, stride: _row_coverage(size, kernel_size, 1),
            "It lets a last window stick out at the end.": lambda size, kernel_size, stride: [
                sum(0 <= pixel - first < kernel_size for first in range(0, size, stride))
                for pixel in range(size)
            ],
            "It leaves out the last window.": lambda size, kernel_size, stride: [
                sum(0 <= pixel - first < kernel_size for first in range(0, size - kernel_size, stride))
                for pixel in range(size)
            ],
            "It says whether a pixel is read, not how often.": lambda size, kernel_size, stride: [
                min(count, 1) for count in _row_coverage(size, kernel_size, stride)
            ],
        },
    ),
    "PS-E4": Predict(
        lambda: _half_as_many(same_padding(8, 3, stride=2)),
        mistakes={
            "This is symmetric padding, a zero at each end; SAME adds no more than it needs.": lambda: (
                _half_as_many((symmetric_padding(3),) * 2)
            ),
            "This is without padding; ⌈8/2⌉ outputs are wanted.": lambda: _half_as_many((0, 0)),
            "You turned the kernel around; lay it on as it is printed.": lambda: _half_as_many(
                same_padding(8, 3, stride=2), (2, 0, 1)
            ),
        },
    ),
    "PS-E5": Implement(
        lambda row, padding: _padded(row, padding, NUMPY_MODES["reflect"]),
        _rows,
        mistakes={
            "It repeats the border number; the mirror stands on it.": lambda row, padding: _padded(
                row, padding, "symmetric"
            ),
            "It repeats the border number as often as there are places: that is `replicate`.": (
                lambda row, padding: _padded(row, padding, NUMPY_MODES["replicate"])
            ),
            "It takes the numbers from the other end: that is `circular`.": lambda row, padding: _padded(
                row, padding, NUMPY_MODES["circular"]
            ),
            "It doesn't turn the mirrored numbers around.": lambda row, padding: [
                *row[1 : padding + 1],
                *row,
                *row[len(row) - 1 - padding : -1],
            ],
            "It pads at the end only.": lambda row, padding: _padded(row, padding, "reflect")[padding:],
        },
    ),
    "PS-E6": Predict(
        lambda: _pooled(avg_pool2d),
        mistakes={
            "This is the largest of each pair; the mean is asked for.": lambda: _pooled(max_pool2d),
            "These are the sums; the mean is half of that.": lambda: (
                2 * np.array(_pooled(avg_pool2d))
            ).tolist(),
            "You moved the map; move the row, and pool again.": lambda: [
                _pooled(avg_pool2d)[0],
                [*_pooled(avg_pool2d)[0][1:], 0],
            ],
            "Both are the first map: has the row been moved?": lambda: [_pooled(avg_pool2d)[0]] * 2,
        },
    ),
    "PS-E7": Design(
        _judge_chain,
        form="a list of tuples (kernel_size, stride, padding) of integers",
        wrong=[
            ([(3, 2, 1)] * 3, "Layer 1, (3, 2, 1), leaves 1 place over"),
            ([(2, 2, 0)] * 3, "Layer 1, (2, 2, 0), has windows that do not overlap"),
            ([(4, 2, 1)] * 2, "The chain ends at 24 units"),
            ([(4, 2, 1), (4, 2, 4)], "Layer 2, (4, 2, 4), has a padding of 4"),
            ([(96, 2, 0), (2, 1, 0)], "Layer 2, (2, 1, 0), does not fit"),
            ([(16, 8, 4)], "The kernel sizes add up to 16"),
            ([(4, 2, 1)] * 6, "One to five layers"),
            ([(0, 0, 0)], "Layer 1, (0, 0, 0), has a kernel or a stride of 0"),
            ([], "One to five layers"),
            (12, "The answer should be a list of tuples"),
        ],
    ),
    "PS-E8": Predict(
        lambda: _written(5, 3),
        mistakes={
            "You wrote the windows side by side; they begin 3 places apart and overlap.": lambda: _written(
                5, 5
            ),
            "You wrote them one place apart; the stride is 3.": lambda: _written(5, 1),
            "You wrote three weights for each unit; the kernel has five.": lambda: _written(3, 3),
            "Where two windows meet, add them up.": lambda: [min(n, 1) for n in _written(5, 3)],
        },
    ),
}
