"""Exercises of chapter 4, Pooling."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.ops import adaptive_max_pool2d, avg_pool2d, max_pool2d, sum_pool2d

Map = NDArray[Any]

_NEGATIVE = np.arange(-16, 0).reshape(1, 4, 4)


def _moved(x: Map, down: int, right: int) -> Map:
    """The map moved; zeros come in."""
    reach = max(abs(down), abs(right))
    height, width = x.shape
    padded = np.pad(x, reach)
    moved: Map = padded[reach - down : reach - down + height, reach - right : reach - right + width]
    return moved


def _peaks_that_stay(down: int, right: int) -> int:
    """Of the 16 places of a single peak in its window of 4×4, those at which a move changes nothing."""
    count = 0
    for place in range(16):
        x = np.zeros((12, 12))
        x[4 + place // 4, 4 + place % 4] = 9
        count += np.array_equal(max_pool2d(x[None], 4), max_pool2d(_moved(x, down, right)[None], 4))
    return count


def _pyramid_length(*levels: int) -> int:
    maps = np.zeros((256, 13, 13), np.int8)
    return sum(adaptive_max_pool2d(maps, n).size for n in levels)


def _best_step(pool: Any = max_pool2d, empty: bool = True) -> list[int]:
    """[down, right, cells]: the step of the figure's digit that keeps most cells of the pooled map."""
    from convlab.data import digits  # here, because scikit-learn is slow to open

    x = (digits()[0][3, 0] * 16).astype(int)
    still = pool(x[None], 2)
    found = []
    for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        after = pool(_moved(x, down, right)[None], 2)
        kept = (still == after) & (empty | (after > 0))
        found.append([int(kept.sum()), down, right])
    cells, down, right = max(found)
    return [down, right, cells]


def _judge_steady_map(answer: Any) -> str:
    x = np.asarray(answer)
    if x.shape != (8, 8):
        return f"A map of 8×8 is asked for; this has the shape {x.shape}."
    if not np.isin(x, (0, 1)).all():
        return "The map must hold zeros and ones only."
    x = x.astype(int)
    if x.sum() < 8:
        return f"At least eight ones are asked for; there are {x.sum()}."
    still = max_pool2d(x[None], 2)
    empty = int((still == 0).sum())
    if empty < 4:
        return f"At least four windows must be empty; {empty} are."
    for (down, right), name in {(0, 1): "to the right", (1, 0): "down", (1, 1): "down and right"}.items():
        changed = int((max_pool2d(_moved(x, down, right)[None], 2) != still).sum())
        if changed:
            return f"Moved by one pixel {name}, {changed} of the 16 units of the pooled map change."
    return ""


def _every_second(row: int, column: int) -> list[list[int]]:
    x = np.zeros((8, 8), int)
    x[row::2, column::4] = 1
    rows: list[list[int]] = x.tolist()
    return rows


def _maps_and_windows(rng: np.random.Generator) -> list[tuple[Map, int, int]]:
    cases = []
    for _ in range(60):
        k, s = (int(number) for number in rng.integers(1, 4, 2))
        height, width = (k + int(more) for more in rng.integers(0, 6, 2))
        cases.append((rng.integers(-9, 10, (height, width)).astype(float), k, s))
    return cases


def _maps_of_whole_windows(rng: np.random.Generator) -> list[tuple[Map, int]]:
    cases = []
    for _ in range(60):
        k = int(rng.integers(1, 4))
        rows, columns = (int(number) for number in rng.integers(1, 4, 2))
        cases.append((rng.integers(-3, 4, (rows * k, columns * k)), k))
    return cases


def _average(x: Map, k: int, s: int) -> Map:
    pooled: Map = avg_pool2d(x[None], k, stride=s)[0]
    return pooled


def _switches(x: Map, k: int) -> Map:
    places: Map = max_pool2d(x[None], k, return_indices=True)[1][0]
    return places


def _in_window(x: Map, k: int) -> Map:
    rows, columns = np.divmod(_switches(x, k), x.shape[1])
    return np.asarray(rows % k * k + columns % k)


def _height_for_width(x: Map, k: int) -> Map:
    rows, columns = np.divmod(_switches(x, k), x.shape[1])
    return np.asarray(rows * x.shape[0] + columns)


def _last_of_equals(x: Map, k: int) -> Map:
    return np.asarray(x.size - 1 - _switches(x[::-1, ::-1], k)[::-1, ::-1])


EXERCISES: dict[str, Exercise] = {
    "PL-E1": Predict(
        lambda: max_pool2d(_NEGATIVE, 2, padding=1)[0],
        mistakes={
            "You let zeros of the padding win; the padding of max pooling never does.": lambda: max_pool2d(
                np.pad(_NEGATIVE, ((0, 0), (1, 1), (1, 1))), 2
            )[0],
            "You took the smallest of each window.": lambda: -max_pool2d(-_NEGATIVE, 2, padding=1)[0],
            "The windows move by 2; yours move by 1, without the padding.": lambda: max_pool2d(
                _NEGATIVE, 2, stride=1
            )[0],
        },
    ),
    "PL-E2": Implement(
        _average,
        _maps_and_windows,
        mistakes={
            "It divides by k; a window of k×k holds more numbers.": lambda x, k, s: (
                sum_pool2d(x[None], k, stride=s)[0] / k
            ),
            "It adds up without dividing.": lambda x, k, s: sum_pool2d(x[None], k, stride=s)[0],
            "It moves the window by k; the stride is s.": lambda x, k, s: _average(x, k, k),
            "It takes the maximum of each window.": lambda x, k, s: max_pool2d(x[None], k, stride=s)[0],
            "It also keeps windows that reach over the edge.": lambda x, k, s: avg_pool2d(
                x[None], k, stride=s, ceil_mode=True
            )[0],
        },
    ),
    "PL-E3": Predict(
        lambda: _peaks_that_stay(1, 1),
        mistakes={
            "You looked at one of the two directions only.": lambda: _peaks_that_stay(0, 1),
            "These are the places from which the peak leaves its window.": lambda: (
                16 - _peaks_that_stay(1, 1)
            ),
            "This is for a move by two pixels in both directions.": lambda: _peaks_that_stay(2, 2),
        },
    ),
    "PL-E4": Design(
        _judge_steady_map,
        form="eight rows of eight zeros and ones",
        wrong=[
            (_every_second(1, 1), "Moved by one pixel to the right, "),
            (_every_second(1, 0), "Moved by one pixel down, "),
            ([[1] * 8] * 8, "At least four windows must be empty; 0 are"),
            ([[0] * 8] * 8, "At least eight ones are asked for; there are 0"),
            ([[0] * 4] * 4, "A map of 8×8 is asked for"),
            ([[2] * 8] * 8, "The map must hold zeros and ones only"),
        ],
    ),
    "PL-E5": Predict(
        lambda: _pyramid_length(6, 3, 2, 1),
        mistakes={
            "A level of 6×6 has more than 6 windows.": lambda: 256 * (6 + 3 + 2 + 1),
            "You counted one map; there are 256.": lambda: _pyramid_length(6, 3, 2, 1) // 256,
            "You left out the level of 1×1.": lambda: _pyramid_length(6, 3, 2),
            "These are all numbers of the maps; how many are left after pooling?": lambda: 256 * 13 * 13,
        },
    ),
    "PL-E6": Predict(
        _best_step,
        mistakes={
            "The shift is right, but you did not count the cells that are 0; they have a tick too.": lambda: (
                _best_step(empty=False)
            ),
            "The sign of the shift is turned around: to the left and up are −1.": lambda: [
                -_best_step()[0],
                -_best_step()[1],
                _best_step()[2],
            ],
            "Down comes before right.": lambda: [_best_step()[1], _best_step()[0], _best_step()[2]],
        },
    ),
    "PL-E7": Implement(
        _switches,
        _maps_of_whole_windows,
        mistakes={
            "It gives places in the window; places in the map are asked for.": _in_window,
            "It multiplies the row by the height of the map; a row is as long as the map is wide.": (
                _height_for_width
            ),
            "Of several equal maxima it takes the last; the first is asked for.": _last_of_equals,
            "It gives the maxima themselves.": lambda x, k: max_pool2d(x[None], k)[0],
        },
    ),
}
