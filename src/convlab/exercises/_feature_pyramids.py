"""Exercises of chapter 10, Feature pyramids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import receptive_field
from convlab.nets import ssd300
from convlab.regions import level_of_box
from convlab.shapes import as_int, conv_parameters

Array = NDArray[Any]

_SHRINK = 2**-0.5  # of the sides of the picture, from level to level
_BOXES = (4, 6, 6, 6, 4, 4)  # that SSD judges at each unit of its maps


def _all_levels(factor: float) -> float:
    return 1 / (1 - factor)


def _judged(boxes: Sequence[int], power: int = 2) -> int:
    net = ssd300()
    fields = receptive_field(net)
    sides = [field.map_size[0] for name in net.outputs if (field := fields[name]).map_size]
    return sum(side**power * count for side, count in zip(sides, boxes, strict=True))


def _unfit(*more: str) -> float:
    """Percent of the figure's objects that fit none of the maps of SSD300, nor those."""
    from convlab.figures.scale_profiles import RULE, SCENES  # here, because it opens the figures

    net, (low, high) = ssd300(), RULE
    fields = receptive_field(net)
    sizes = [fields[name].size[0] for name in (*net.outputs, *more)]
    left = sum(
        count
        for side, count in enumerate(SCENES, start=6)
        if not any(low * side <= size <= high * side for size in sizes)
    )
    return 100 * left / sum(SCENES)


def _best_map() -> float:
    return min(_unfit(node.name) for node in ssd300().nodes)


_DEPTHS, _FILTERS = (128, 256, 512), 64


def _parameters(laterals: int = 1, smooths: int = 1, bias: bool = True) -> int:
    return laterals * sum(
        conv_parameters(depth, _FILTERS, 1, bias=bias) for depth in _DEPTHS
    ) + smooths * len(_DEPTHS) * conv_parameters(_FILTERS, _FILTERS, 3, bias=bias)


def _down(coarse: Array, laterals: list[Array]) -> Array:
    level = np.asarray(coarse)
    for lateral in laterals:
        rows, columns = np.shape(lateral)
        level = level.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns] + lateral
    return level


def _down_tiled(coarse: Array, laterals: list[Array]) -> Array:
    level = np.asarray(coarse)
    for lateral in laterals:
        rows, columns = np.shape(lateral)
        level = np.tile(level, (2, 2))[:rows, :columns] + lateral
    return level


def _down_only(coarse: Array, laterals: list[Array]) -> Array:
    return _down(coarse, [np.zeros_like(one) for one in laterals[:-1]] + laterals[-1:])


def _down_cut_first(coarse: Array, laterals: list[Array]) -> Array:
    level = np.asarray(coarse)
    for lateral in laterals:
        rows, columns = np.shape(lateral)
        large = level.repeat(2, axis=0).repeat(2, axis=1)
        level = large[large.shape[0] - rows :, large.shape[1] - columns :] + lateral
    return level


def _pyramids(rng: np.random.Generator) -> list[tuple[Array, list[Array]]]:
    cases = []
    for number in range(60):
        shape = rng.integers(1, 4, 2)
        coarse = rng.integers(0, 10, shape)
        laterals = []
        for _ in range(number % 4):
            shape = np.maximum(2 * shape - rng.integers(0, 2, 2), 1)
            laterals.append(rng.integers(0, 10, shape))
        cases.append((coarse, laterals))
    return cases


def _level(w: int, h: int, size: int, lowest: int, highest: int) -> int:
    return level_of_box(w, h, 4, size=size, lowest=lowest, highest=highest)


def _boxes(rng: np.random.Generator) -> list[tuple[int, int, int, int, int]]:
    fixed = [
        (224, 224, 224, 2, 5),
        (223, 223, 224, 2, 5),
        (112, 448, 224, 2, 5),
        (1, 1, 224, 0, 5),
        (4, 4, 16, 1, 6),
        (64, 64, 16, 1, 6),
        (900, 900, 24, 2, 5),
        (3, 12, 24, 1, 5),
    ]
    drawn = []
    for _ in range(70):
        lowest = int(rng.integers(0, 4))
        w, h = np.exp(rng.uniform(0, 6.5, 2)).astype(int).tolist()
        drawn.append((w, h, int(rng.choice([16, 24, 48, 224])), lowest, lowest + int(rng.integers(0, 6))))
    return [*fixed, *drawn]


def _ap(right: Sequence[int], objects: int) -> float:
    marks = np.asarray(right, float)
    precision = marks.cumsum() / np.arange(1, len(marks) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * marks).sum() / objects)


def _ap_without_envelope(right: Sequence[int], objects: int) -> float:
    marks = np.asarray(right, float)
    return float((marks.cumsum() / np.arange(1, len(marks) + 1) * marks).sum() / objects)


def _ap_of_found(right: Sequence[int], objects: int) -> float:
    return _ap(right, max(int(sum(right)), 1))


def _detections(rng: np.random.Generator) -> list[tuple[list[int], int]]:
    cases: list[tuple[list[int], int]] = [([], 1), ([0, 1], 1), ([1, 0, 1], 4), ([0, 1, 1], 2), ([0], 3)]
    for number in range(60):
        right = (rng.random(number % 9) < 0.6).astype(int).tolist()
        cases.append((right, max(sum(right), 1) + int(rng.integers(0, 4))))
    return cases


def _judge_levels(answer: Any) -> str:
    from convlab.figures.scale_profiles import SCENES

    size, lowest = answer
    size, lowest = as_int("size", size, 1), as_int("lowest", lowest, -99)
    if not 1 <= lowest <= 4:
        return f"The lowest level is {lowest}, which is not 1, 2, 3 or 4."
    served = [0] * 5
    for side, count in enumerate(SCENES, start=6):
        served[_level(side, side, size, lowest, lowest + 4) - lowest] += count
    for number, count in enumerate(served, start=lowest):
        share = 100 * count / sum(SCENES)
        if not 12 <= share <= 28:
            return f"Level {number} serves {share:.0f} % of the objects."
    return ""


def _flowing_in(row: int, column: int, finest: int = 0) -> int:
    """Units of C2 to C5, or of the coarser of them, that have a gradient at a unit of P2."""
    import torch  # here, because it takes a while

    from convlab.pyramid import FPN

    pyramid = FPN([1, 1, 1, 1], 1)
    for weight in pyramid.parameters():
        torch.nn.init.ones_(weight)
    maps = [torch.ones(1, 1, side, side, requires_grad=True) for side in (32, 16, 8, 4)]
    found = torch.autograd.grad(pyramid(maps)[0][0, 0, row, column], maps)
    return sum(int(one.count_nonzero()) for one in found[finest:])


def _fewest_and_most(rows: Sequence[int] = range(8, 16), finest: int = 0) -> tuple[int, int]:
    numbers = [_flowing_in(row, column, finest) for row in rows for column in range(8, 16)]
    return min(numbers), max(numbers)


EXERCISES: dict[str, Exercise] = {
    "FP-E1": Predict(
        lambda: _all_levels(_SHRINK**2),
        tolerance=0.01,
        mistakes={
            "Both sides shrink, so the pixels shrink by the square of it.": lambda: _all_levels(_SHRINK),
            "That is for levels of half the side.": lambda: _all_levels(_SHRINK**4),
            "That is without the picture itself, which is the first level.": lambda: (
                _all_levels(_SHRINK**2) - 1
            ),
        },
    ),
    "FP-E2": Predict(
        lambda: _judged(_BOXES),
        mistakes={
            "A map of side 38 has 38 units in a row, and 38 rows.": lambda: _judged(_BOXES, power=1),
            "Count 4 boxes on three of the maps, not 6 on all.": lambda: _judged([6] * 6),
            "These are the units; at each of them stand several boxes.": lambda: _judged([1] * 6),
        },
    ),
    "FP-E3": Predict(
        _best_map,
        tolerance=1.0,
        mistakes={
            "That is the share with the six maps alone.": _unfit,
            "A layer a little deeper leaves fewer.": lambda: _unfit("pool2"),
            "A layer a little less deep leaves fewer.": lambda: _unfit("conv3_3"),
            "This is by how much it shrinks; what is left?": lambda: _unfit() - _best_map(),
        },
    ),
    "FP-E4": Predict(
        _parameters,
        mistakes={
            "You forgot the biases.": lambda: _parameters(bias=False),
            "These are the laterals alone.": lambda: _parameters(smooths=0),
            "These are the 3×3s alone.": lambda: _parameters(laterals=0),
        },
    ),
    "FP-E5": Implement(
        _down,
        _pyramids,
        mistakes={
            "It lays copies of the whole map side by side; each pixel must be repeated.": _down_tiled,
            "It adds the last lateral only.": _down_only,
            "Where a side is odd, it cuts off the first row or column, not the last.": _down_cut_first,
        },
    ),
    "FP-E6": Implement(
        _level,
        _boxes,
        mistakes={
            "It doesn't hold the level between lowest and highest.": lambda w, h, size, lowest, highest: (
                _level(w, h, size, -60, 60)
            ),
            "It takes the longer side, not the area.": lambda w, h, size, lowest, highest: _level(
                max(w, h), max(w, h), size, lowest, highest
            ),
            "A box of half the side lies one level lower, not two.": lambda w, h, size, lowest, highest: min(
                max(2 * _level(w, h, size, -60, 60) - 4, lowest), highest
            ),
            "A box of exactly `size` belongs to level 4 already.": lambda w, h, size, lowest, highest: _level(
                w, h, size + 1, lowest, highest
            ),
        },
    ),
    "FP-E7": Implement(
        _ap,
        _detections,
        mistakes={
            "At each recall, take the best precision there or further on.": _ap_without_envelope,
            "Divide by all objects, not by those that are found.": _ap_of_found,
        },
    ),
    "FP-E8": Design(
        _judge_levels,
        form="a tuple (size, lowest) of integers",
        wrong=[
            ((224, 2), "Level 2 serves 95 %"),
            ((16, 2), "Level 2 serves 8 %"),
            ((24, 2), "Level 6 serves 9 %"),
            ((20, 3), "Level 3 serves 45 %"),
            ((20, 5), "The lowest level is 5"),
            ((24.5, 2), "The answer should be a tuple (size, lowest) of integers"),
            (24, "The answer should be a tuple (size, lowest) of integers"),
        ],
    ),
    "FP-E9": Predict(
        _fewest_and_most,
        mistakes={
            "Move it down, too.": lambda: _fewest_and_most(rows=[9]),
            "You forgot the units of C2 itself.": lambda: _fewest_and_most(finest=1),
            "Away from the border of the picture, please.": lambda: (
                _flowing_in(0, 0),
                _fewest_and_most()[1],
            ),
        },
    ),
}
