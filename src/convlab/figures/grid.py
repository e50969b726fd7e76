"""What figures accept: small arrays kept as nested lists, places in them, boxes on pictures."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

Shape = tuple[int, ...]
LARGEST = 999  # in size, so that a number fits its cell


def numbers(name: str, value: Any, least: Shape, most: Shape, *, largest: int = LARGEST) -> Any:
    """Nested lists of a small array (a number for shape ()), whole numbers as int.

    Parameters
    ----------
    name : str
        What to call it in an error.
    value : array_like
    least, most : tuple of int
        The smallest and the largest shape that it may have.
    largest : int
        No number may be larger in size.

    Raises
    ------
    ValueError
        If the shape is another, or a number is not real, not finite, or too large.

    >>> numbers("kernel", [[0.5, 1.0]], (1, 1), (3, 3))
    [[0.5, 1]]
    """
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must be numbers, in rows of one length, got {value!r}")
    if array.ndim != len(least) or not all(
        low <= size <= high for low, size, high in zip(least, array.shape, most, strict=True)
    ):
        raise ValueError(f"`{name}` must have a shape from {least} to {most}, got {array.shape}")
    if not np.all(np.abs(array) <= largest):  # false for NaN too
        raise ValueError(f"the numbers of `{name}` must lie from -{largest} to {largest}, got {value!r}")
    return _short(array.tolist())


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(part) for part in value]
    return int(value) if value == int(value) else value


def place(name: str, value: Any, shape: tuple[int, int]) -> list[int]:
    """[row, column] as integers. ValueError if it lies outside of a map of `shape`, TypeError if no integers.

    >>> place("unit", (0, 2), (3, 3))
    [0, 2]
    """
    unit = [index(part) for part in value]
    if len(unit) != 2 or not all(0 <= at < size for at, size in zip(unit, shape, strict=True)):
        rows, columns = shape
        raise ValueError(f"`{name}` must be a row and a column of the {rows}×{columns} map, got {unit}")
    return unit


def box_on(picture: str, value: Any, size: tuple[int, int], least: int) -> list[int]:
    """[x1, y1, x2, y2] as integers. ValueError if it is smaller than `least` or leaves the picture's `size`.

    >>> box_on("photo", (0, 10, 30, 40), (50, 60), 20)
    [0, 10, 30, 40]
    """
    height, width = size
    try:
        box = [index(number) for number in value]
        x1, y1, x2, y2 = box
    except (TypeError, ValueError) as error:
        raise ValueError(f"`box` must be four integers x1, y1, x2, y2, got {value!r}") from error
    if not (0 <= x1 <= x2 - least <= width - least and 0 <= y1 <= y2 - least <= height - least):
        raise ValueError(
            f"`box` must be at least {least} pixels wide and high and lie on the {picture}, which is {width} "
            f"wide and {height} high, got {box}"
        )
    return box
