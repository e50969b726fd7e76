"""Exercises of chapter 9, Regions of interest."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import Layer, receptive_field
from convlab.regions import project_box, roi_align, roi_pool
from convlab.shapes import as_int

Box = Sequence[int]

_E1 = ((80, 48, 336, 265), 32)
_E4 = np.array([[1, 5, 2], [0, 7, 3], [4, 6, 8]])
_IMAGE = (800, 600)  # width, height


def _edges(cells: Sequence[int], box: Box, stride: int, last: int = 1) -> list[int]:
    x1, y1, x2, y2 = cells
    ends = [x1, y1, x2 + last, y2 + last]
    return [end * stride - number for end, number in zip(ends, box, strict=True)]


def _miss(box: Box, stride: int) -> list[int]:
    return _edges(project_box(box, 1 / stride), box, stride)


def _boxes(rng: np.random.Generator) -> list[tuple[list[int], int]]:
    cases = [([0, 0, 4, 4], 4), ([2, 2, 6, 6], 4), ([30, 40, 200, 400], 16)]
    for number in range(60):
        stride = int(rng.choice([2, 4, 8, 16, 32]))
        low = rng.integers(0, 4 + 6 * number, 2)
        box = np.concatenate([low, low + rng.integers(1, 4 + 6 * number, 2)])
        if number % 3 == 0:  # halves
            box = box // stride * stride + stride // 2
        cases.append((box.tolist(), stride))
    return cases


def _rows_of_bins(rows: int, bins: int, *, shared: bool = True) -> list[list[int]]:
    """First and last row of each bin: those that win where values rise, and where they fall."""
    box = [[[0, 0, 0, rows - 1]]]
    ends = []
    for sign in (1, -1):
        ramp = sign * np.arange(1, rows + 1).reshape(1, 1, rows, 1)
        ends.append((sign * roi_pool(ramp, box, (bins, 1), spatial_scale=1)).ravel() - 1)
    pairs = [[int(first), int(last)] for last, first in zip(*ends, strict=True)]
    if not shared:
        starts = [first for first, _ in pairs] + [rows]
        pairs = [[start, after - 1] for start, after in pairwise(starts)]
    return pairs


def _gradient(bins: int) -> list[list[int]]:
    _, winners = roi_pool(_E4[None, None], [[[0, 0, 2, 2]]], bins, spatial_scale=1, return_indices=True)
    counts: Any = np.bincount(winners.ravel(), minlength=_E4.size).reshape(_E4.shape).tolist()
    return list(counts)


def _sample(grid: NDArray[Any], y: float, x: float, stride: int, half: bool = True) -> float:
    moved = 0 if half else stride / 2
    point = (x + moved, y + moved, x + moved, y + moved)
    sample = roi_align(
        np.asarray(grid, float)[None, None], [[point]], 1, spatial_scale=1 / stride, sampling_ratio=1
    )
    return float(sample.item())


def _nearest(grid: NDArray[Any], y: float, x: float, stride: int) -> float:
    row, column = (min(int(at / stride), side - 1) for at, side in zip((y, x), np.shape(grid), strict=True))
    return float(grid[row, column])


def _points(rng: np.random.Generator) -> list[tuple[NDArray[Any], float, float, int]]:
    cases: list[tuple[NDArray[Any], float, float, int]] = []
    for number in range(70):
        height, width = (int(side) for side in rng.integers(1 + (number > 3), 3 + number // 12, 2))
        stride = int(rng.choice([2, 4, 8]))
        quarters = [int(rng.integers(0, 4 * side * stride, endpoint=True)) for side in (height, width)]
        grid = rng.integers(-20, 21, (height, width)).astype(float)
        cases.append((grid, quarters[0] / 4, quarters[1] / 4, stride))
    return cases


def _explored(last: int = 1, rounding: bool = True) -> list[int]:
    """Smallest and largest "off by" of the right edges of RO-E6."""
    off = [
        _edges(project_box((0, 0, right, 100), 1 / 16), (0, 0, right, 100), 16, last)[2]
        if rounding
        else 16 * (right // 16 + last) - right
        for right in range(100, 133)
    ]
    return [min(off), max(off)]


def _judge_twins(boxes: Any) -> str:
    one, other = ([as_int("box", number, 0) for number in box] for box in boxes)
    for box in (one, other):
        x1, y1, x2, y2 = box
        if x2 - x1 < 32 or y2 - y1 < 32:
            return f"{tuple(box)} is {x2 - x1} pixels wide and {y2 - y1} high; 32 are asked for."
        if x2 > _IMAGE[0] or y2 > _IMAGE[1]:
            return f"{tuple(box)} doesn't lie in the image of 600 rows and 800 columns."
    nearest = min(abs(a - b) for a, b in zip(one, other, strict=True))
    if nearest < 14:
        return f"One of the four coordinates differs by {nearest} only."
    cells = [project_box(box, 1 / 16) for box in (one, other)]
    if cells[0] != cells[1]:
        return f"RoI pooling tells them apart: one is {cells[0]} on the map, the other {cells[1]}."
    return ""


def _middles(padding: int = 1, *, half: bool = True) -> list[float]:
    field = list(receptive_field([Layer(3, stride=2, padding=padding)] * 3).values())[-1]
    jump = int(field.jump[0])
    return [field.centre[0] + 0.5 * half + 5 * jump, 5.5 * jump]


EXERCISES: dict[str, Exercise] = {
    "RO-E1": Predict(
        lambda: project_box(_E1[0], 1 / _E1[1]),
        mistakes={
            "This is how Python rounds a half.": lambda: [round(number / _E1[1]) for number in _E1[0]],
            "These are rounded down.": lambda: [number // _E1[1] for number in _E1[0]],
            "These are rounded up.": lambda: [-(-number // _E1[1]) for number in _E1[0]],
            "The stride is 32, not 16.": lambda: project_box(_E1[0], 1 / 16),
            "x2 and y2 give the last cell; nothing is added to them.": lambda: [
                cell + (place > 1) for place, cell in enumerate(project_box(_E1[0], 1 / _E1[1]))
            ],
        },
    ),
    "RO-E2": Implement(
        _miss,
        _boxes,
        mistakes={
            "The last cell is part of the region, so it ends one cell later.": lambda box, stride: _edges(
                project_box(box, 1 / stride), box, stride, last=0
            ),
            "It rounds a half as Python does.": lambda box, stride: _edges(
                [round(number / stride) for number in box], box, stride
            ),
            "It rounds down.": lambda box, stride: _edges([number // stride for number in box], box, stride),
            "It has the wrong sign: region minus box.": lambda box, stride: [
                -number for number in _miss(box, stride)
            ],
            "It counts in cells; pixels are asked for.": lambda box, stride: [
                number / stride for number in _miss(box, stride)
            ],
        },
    ),
    "RO-E3": Predict(
        lambda: _rows_of_bins(7, 3),
        mistakes={
            "Each end must be rounded up, so neighbours share a row.": lambda: _rows_of_bins(
                7, 3, shared=False
            ),
            "Give the last row, which is included, not the one behind it.": lambda: [
                [first, last + 1] for first, last in _rows_of_bins(7, 3)
            ],
            "Rows are counted from 0.": lambda: [
                [first + 1, last + 1] for first, last in _rows_of_bins(7, 3)
            ],
        },
    ),
    "RO-E4": Predict(
        lambda: _gradient(2),
        mistakes={
            "The bins overlap: each has 2×2 cells, and the one in the middle is in all.": lambda: _gradient(
                3
            ),
            "This counts in how many bins a cell lies; only the largest of a bin gets a gradient.": lambda: [
                [int(a * b) for a in (1, 2, 1)] for b in (1, 2, 1)
            ],
            "A cell that wins in several bins gets the sum of their gradients.": lambda: np.sign(
                _gradient(2)
            ).tolist(),
            "The 7 doesn't win where the 8 is.": lambda: [
                [4 * (i == j == 1) for i in range(3)] for j in range(3)
            ],
        },
    ),
    "RO-E5": Implement(
        _sample,
        _points,
        mistakes={
            "The middle of cell 0 lies half a cell inside: subtract ½.": lambda grid, y, x, stride: _sample(
                grid, y, x, stride, half=False
            ),
            "It takes the nearest cell and doesn't interpolate.": _nearest,
            "It takes y for the column and x for the row.": lambda grid, y, x, stride: _sample(
                grid, x, y, stride
            ),
        },
    ),
    "RO-E6": Predict(
        _explored,
        mistakes={
            "The region ends where its last cell ends, not where it begins.": lambda: _explored(last=0),
            "Corners are rounded to the nearest cell, not down.": lambda: _explored(rounding=False),
            "The largest comes first here.": lambda: _explored()[::-1],
        },
    ),
    "RO-E7": Design(
        _judge_twins,
        form="a tuple of two boxes (x1, y1, x2, y2) of integers",
        wrong=[
            (((24, 40, 200, 408), (25, 55, 215, 423)), "One of the four coordinates differs by 1 only"),
            (((24, 40, 200, 408), (40, 55, 215, 423)), "RoI pooling tells them apart"),
            (((24, 40, 40, 408), (39, 55, 55, 423)), "(24, 40, 40, 408) is 16 pixels wide"),
            (((24, 40, 200, 600), (39, 55, 215, 615)), "(39, 55, 215, 615) doesn't lie in the image"),
            (((24, 40, 200, 408),), "The answer should be a tuple of two boxes"),
            (((24, 40, 200), (39, 55, 215)), "The answer should be a tuple of two boxes"),
        ],
    ),
    "RO-E8": Predict(
        _middles,
        mistakes={
            "The middle of pixel 0 is at one half, not at 0.": lambda: _middles(half=False),
            "The padding of 1 moves each window by one unit of the layer below.": lambda: _middles(0),
            "First the field, then the cell.": lambda: _middles()[::-1],
            "The strides of the layers are multiplied, not added.": lambda: [
                number / 8 * 6 for number in _middles()
            ],
        },
    ),
}
