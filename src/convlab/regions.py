"""Regions of interest: what a feature map says about one box of the image, at a fixed size.

A box is (x1, y1, x2, y2) in pixels of the image: x to the right, y down, x1 ≤ x2 and y1 ≤ y2. Between the
image and a map stands one number, `spatial_scale`: 1 / stride of the map. It is not the ratio of their sides,
because sides are rounded when a layer shrinks them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlab.shapes import Pair, as_int, as_pair

Array = NDArray[Any]


def project_box(box: ArrayLike, spatial_scale: float) -> list[int]:
    """Cells of the map at the corners of a box: each coordinate times the scale, rounded as C rounds.

    A half goes away from zero, so 2.5 gives 3, where Python's `round` gives the even neighbour, 2. Both ends
    are part of the region: it is x2 − x1 + 1 cells wide.

    Parameters
    ----------
    box : (x1, y1, x2, y2) in pixels
    spatial_scale : 1 / stride of the map

    Raises
    ------
    ValueError
        If `box` is not four finite numbers with x1 ≤ x2 and y1 ≤ y2, or the scale is not positive.

    >>> project_box((30, 40, 200, 400), 1 / 16)
    [2, 3, 13, 25]
    """
    corners = np.asarray(box)
    if corners.shape != (4,):
        raise ValueError(f"`box` must be (x1, y1, x2, y2), got shape {corners.shape}")
    _check_box(corners, "`box`")
    return _project(corners, _scale(spatial_scale))


@overload
def roi_pool(
    x: ArrayLike,
    boxes: Sequence[ArrayLike] | Array,
    output_size: Pair,
    *,
    spatial_scale: float,
    return_indices: Literal[False] = False,
) -> Array: ...
@overload
def roi_pool(
    x: ArrayLike,
    boxes: Sequence[ArrayLike] | Array,
    output_size: Pair,
    *,
    spatial_scale: float,
    return_indices: Literal[True],
) -> tuple[Array, Array]: ...
def roi_pool(
    x: ArrayLike,
    boxes: Sequence[ArrayLike] | Array,
    output_size: Pair,
    *,
    spatial_scale: float,
    return_indices: bool = False,
) -> Array | tuple[Array, Array]:
    """Largest value in each bin of each box, the bins being whole cells of the map.

    The rule is that of the Fast R-CNN code (Girshick 2015), which torchvision follows. `project_box` gives
    the region, both ends included. Of R rows, bin i of P takes those from ⌊i·R/P⌋ to ⌈(i+1)·R/P⌉ − 1: at
    least one, and neighbours share a row where P does not divide R. What lies outside the map is left out; a
    bin with nothing left gives 0.

    Two differences: bins are computed in integers (the reference's floats may add a row at the end, as with
    57 rows in 7 bins), and NaN is the maximum of every bin that has one, as in `ops.max_pool2d`.

    Parameters
    ----------
    x : (N, C, H, W)
    boxes : one (K, 4) array per image, rows (x1, y1, x2, y2) in pixels; K may differ, and may be 0
    output_size : int or (height, width), in bins
    spatial_scale : 1 / stride of the map
    return_indices : bool
        Also return where each maximum came from.

    Returns
    -------
    (ΣK, C, height, width) of the dtype of `x`
        The boxes of the first image come first. With the indices, int64 of the same shape: position
        row·W + column in the map (the first one of equals), −1 where the bin is empty. The gradient of a bin
        goes there and nowhere else.

    Raises
    ------
    ValueError
        If shapes do not fit, a box has x2 < x1 or y2 < y1 (the reference makes it one cell), or a number is
        not finite.
    TypeError
        If `x` does not hold real numbers.

    >>> x = np.arange(25).reshape(1, 1, 5, 5)
    >>> roi_pool(x, [[[0, 0, 2, 2]]], 2, spatial_scale=1)  # 3 cells in 2 bins: both have the middle one
    array([[[[ 6,  7],
             [11, 12]]]])
    """
    maps, per_image = _check(x, boxes)
    scale, (height, width) = _scale(spatial_scale), as_pair("output_size", output_size, 1)
    shape = (sum(map(len, per_image)), maps.shape[1], height, width)
    values, indices = np.zeros(shape, maps.dtype), np.full(shape, -1)
    for number, (image, box) in enumerate(_each(maps, per_image)):
        x1, y1, x2, y2 = _project(box, scale)
        columns = _bins(x1, x2, width, image.shape[2])
        for i, (top, bottom) in enumerate(_bins(y1, y2, height, image.shape[1])):
            for j, (left, right) in enumerate(columns):
                cells = (bottom - top) * (right - left)
                window = image[:, top:bottom, left:right].reshape(len(image), cells)
                if cells:
                    winner = window.argmax(1)  # (C,)
                    row, column = np.divmod(winner, right - left)
                    indices[number, :, i, j] = (top + row) * image.shape[2] + left + column
                    values[number, :, i, j] = window[np.arange(len(window)), winner]
    return (values, indices) if return_indices else values


def roi_align(
    x: ArrayLike,
    boxes: Sequence[ArrayLike] | Array,
    output_size: Pair,
    *,
    spatial_scale: float,
    sampling_ratio: int = -1,
    aligned: bool = True,
) -> Array:
    """Mean of bilinear samples in each bin of each box: nothing is rounded (He et al. 2017, Mask R-CNN).

    The rule is that of the reference kernels (Detectron2, torchvision). The box times the scale is cut into
    equal bins, each with a regular grid of sample points. A point more than one cell outside the map
    (below −1, above its side) counts as 0; nearer ones take the border's value.

    A sample's weight is a product of one number for its row and one for its column, so all bins of a box are
    A_y F A_xᵀ: two small matrix products in place of a gather of four corners per sample.

    Parameters
    ----------
    x : (N, C, H, W)
    boxes : one (K, 4) array per image, rows (x1, y1, x2, y2) in pixels; K may differ, and may be 0
    output_size : int or (height, width), in bins
    spatial_scale : 1 / stride of the map
    sampling_ratio : int
        Sample points per bin along each axis; if not positive, ⌈side of the bin⌉ of them.
    aligned : bool
        The centre of pixel 0 lies at ½ pixel, of cell 0 at ½ cell. True subtracts that ½, so that a box is
        sampled where it is; False is the first version, whose maps are shifted by half a cell and whose boxes
        are at least 1 cell wide and high.

    Returns
    -------
    (ΣK, C, height, width) of the dtype of `x`, or float64 for integers
        The boxes of the first image come first. A bin that reads a NaN or an infinity is NaN.

    Raises
    ------
    ValueError
        If shapes do not fit, a box has x2 < x1 or y2 < y1, or a number is not finite.
    TypeError
        If `x` does not hold real numbers, or `aligned` is not a bool.

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> roi_align(x, [[[0, 0, 4, 4]]], 2, spatial_scale=1)  # the means of the four quarters
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    maps, per_image = _check(x, boxes)
    scale, (height, width) = _scale(spatial_scale), as_pair("output_size", output_size, 1)
    ratio = as_int("sampling_ratio", sampling_ratio, -1)
    if not isinstance(aligned, bool):
        raise TypeError(f"`aligned` must be True or False, got {aligned!r}")
    dtype = maps.dtype if maps.dtype.kind == "f" else np.dtype(np.float64)
    corners = np.concatenate([np.empty((0, 4)), *per_image]) * scale - (0.5 if aligned else 0)  # (ΣK, 4)
    rows = _averages(corners[:, 1::2], height, maps.shape[2], ratio, aligned).astype(dtype)
    columns = _averages(corners[:, ::2], width, maps.shape[3], ratio, aligned).astype(dtype)
    down, across = _extents(rows), _extents(columns)
    # Channels last: then the cells of a box are, without a copy, one matrix of rows by columns·channels.
    channels_last = np.ascontiguousarray(maps.transpose(0, 2, 3, 1), dtype)
    combine = _combine if np.isfinite(channels_last).all() else _combine_some
    y = np.empty((len(corners), height, width, maps.shape[1]), dtype)
    for number, (image, _) in enumerate(_each(channels_last, per_image)):
        v, h = down[number], across[number]
        y[number] = combine(rows[number][:, v], image[v, h], columns[number][:, h])
    return y.transpose(0, 3, 1, 2)


def share_inside(x: ArrayLike, boxes: Sequence[ArrayLike] | Array, *, spatial_scale: float) -> Array:
    """Share of the positive response of each map that lies in each box.

    Each unit's value is spread evenly over its cell, the pixels from i·stride to (i + 1)·stride, and values
    below 0 count as 0. A map that is even has in a box that box's share of the area.

    Parameters
    ----------
    x : (N, C, H, W)
    boxes : one (K, 4) array per image, rows (x1, y1, x2, y2) in pixels; K may differ, and may be 0
    spatial_scale : 1 / stride of the map

    Returns
    -------
    (ΣK, C), float64
        The boxes of the first image come first. NaN where a map has no positive value.

    Raises
    ------
    ValueError
        If shapes do not fit, a box has x2 < x1 or y2 < y1, or a number is not finite.
    TypeError
        If `x` does not hold real numbers.

    >>> share_inside([[[[1, 3], [-5, 4]]]], [[[0, 0, 4, 8], [4, 2, 8, 4]]], spatial_scale=1 / 4)
    array([[0.125 ],
           [0.1875]])
    """
    maps, per_image = _check(x, boxes)
    scale = _scale(spatial_scale)
    positive = np.maximum(maps, 0).astype(np.float64)  # (N, C, H, W)
    shares = [np.empty((0, maps.shape[1]))]
    for image, its_boxes in zip(positive, per_image, strict=True):
        columns, rows = (
            _overlaps(its_boxes[:, axis::2] * scale, size)
            for axis, size in enumerate((maps.shape[3], maps.shape[2]))
        )  # (K, W) and (K, H)
        strips = rows @ image  # (C, K, W)
        total = image.sum((1, 2))
        inside = (strips * columns).sum(2).T  # (K, C)
        shares.append(np.divide(inside, total, out=np.full(inside.shape, np.nan), where=total > 0))
    return np.concatenate(shares)


def level_of_box(
    width: float, height: float, k0: int = 4, *, size: float = 224, lowest: int = 2, highest: int = 5
) -> int:
    """Level of the pyramid for a box: ⌊k0 + log2(√(width·height) / size)⌋, between lowest and highest.

    (Lin et al. 2017, equation 1.) A box of `size` pixels, ImageNet's 224, belongs to level `k0`; one of half
    that side to the level below. ValueError if a side is not positive and finite.

    >>> [level_of_box(side, side) for side in (56, 112, 223, 224, 448)]
    [2, 3, 3, 4, 5]
    """
    for name, value in (("width", width), ("height", height), ("size", size)):
        if not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be positive and finite, got {value}")
    if lowest > highest:
        raise ValueError(f"`lowest` must not be above `highest`, got {lowest} and {highest}")
    _, exponent = math.frexp(math.sqrt(width * height) / size)  # ⌊log2⌋ + 1, and exact at powers of two
    return min(max(k0 + exponent - 1, lowest), highest)


def _overlaps(ends: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Which part of each cell lies between two ends (K, 2), in cells: (K, size)."""
    cells = np.arange(size)
    parts: NDArray[np.float64] = np.minimum(ends[:, 1:], cells + 1) - np.maximum(ends[:, :1], cells)
    return parts.clip(0, 1)


def _bins(first: int, last: int, count: int, size: int) -> list[tuple[int, int]]:
    """Start and stop of the bins of cells first … last, both included, cut to a map of `size` cells."""
    cells = last - first + 1
    starts = (first + i * cells // count for i in range(count))
    stops = (first - (-(i + 1) * cells // count) for i in range(count))  # rounded up
    return [(min(max(a, 0), size), min(max(b, 0), size)) for a, b in zip(starts, stops, strict=True)]


def _averages(
    ends: NDArray[np.float64], count: int, size: int, ratio: int, aligned: bool
) -> NDArray[np.float64]:
    """For every box a matrix that makes the bins of one axis from its cells: (K, count, size)."""
    start, extent = ends[:, 0], ends[:, 1] - ends[:, 0]
    side = (extent if aligned else np.maximum(extent, 1)) / count
    points = np.full(len(ends), ratio) if ratio > 0 else np.ceil(side).astype(int)  # in each bin
    samples = count * points
    box = np.repeat(np.arange(len(ends)), samples)  # to which box each sample belongs
    number = np.arange(len(box)) - np.repeat(np.cumsum(samples) - samples, samples)  # from 0 in each box
    bins, point = np.divmod(number, points[box])
    where = start[box] + bins * side[box] + (point + 0.5) * side[box] / points[box]
    weight = ((where >= -1) & (where <= size)) / points[box]
    where = np.clip(where, 0, size - 1)
    low = where.astype(int)
    share = where - low  # of the cell after `low`
    row, total = (box * count + bins) * size, len(ends) * count * size
    matrices = np.bincount(row + low, weight * (1 - share), total)
    matrices += np.bincount(row + np.minimum(low + 1, size - 1), weight * share, total)
    return np.asarray(matrices.reshape(len(ends), count, size))


def _extents(matrices: Array) -> list[slice]:
    """Cells from the first to the last that each matrix reads."""
    reads = np.asarray(matrices.any(1))
    stops = reads.shape[1] - reads[:, ::-1].argmax(1)
    return [slice(*ends) for ends in zip(reads.argmax(1), stops, strict=True)]


def _combine(rows: Array, cells: Array, columns: Array) -> Array:
    """A_y F A_xᵀ for F (h, w, C): (height, width, C)."""
    h, w, channels = cells.shape
    strips = (rows @ cells.reshape(h, w * channels)).reshape(len(rows), w, channels)
    return np.asarray(columns @ strips)


def _combine_some(rows: Array, cells: Array, columns: Array) -> Array:
    """Do the same where F has a NaN or an infinity: 0 · NaN must not reach the bins that do not read it."""
    finite = np.isfinite(cells)
    spoilt = _combine(np.sign(rows), (~finite).astype(rows.dtype), np.sign(columns)) > 0
    return np.where(spoilt, np.nan, _combine(rows, np.where(finite, cells, 0), columns))


def _project(box: Array, scale: float) -> list[int]:
    return [_c_round(number) for number in (box * scale).tolist()]


def _c_round(number: float) -> int:
    """Nearest integer, and of two the one away from zero: C's `round`."""
    whole = math.trunc(number)
    return whole + int(math.copysign(abs(number - whole) >= 0.5, number))


def _each(maps: Array, per_image: list[Array]) -> Iterator[tuple[Array, Array]]:
    """Every box with the map of its image."""
    return ((image, box) for image, boxes in zip(maps, per_image, strict=True) for box in boxes)


def _check(x: ArrayLike, boxes: Any) -> tuple[Array, list[Array]]:
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"`x` must hold real numbers, got dtype {x.dtype}")
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ValueError(f"`x` must have shape (N, C, H, W) with H and W at least 1, got {x.shape}")
    return x, _boxes(boxes, len(x))


def _boxes(boxes: Any, images: int) -> list[Array]:
    """Boxes of each image as float64 arrays (K, 4)."""
    per_image = [np.asarray(one) for one in boxes]
    if len(per_image) != images or any(one.ndim != 2 or one.shape[1] != 4 for one in per_image):
        shapes = ", ".join(str(one.shape) for one in per_image[:3]) + ", …" * (len(per_image) > 3)
        raise ValueError(
            f"`boxes` must hold one array of shape (K, 4) per image, so {images}, "
            f"got {len(per_image)} of shape {shapes or '()'}"
        )
    for image, one in enumerate(per_image):
        for row, box in enumerate(one):
            _check_box(box, f"row {row} of `boxes` for image {image}")
    return [one.astype(np.float64) for one in per_image]


def _check_box(box: Array, name: str) -> None:
    if box.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {box.dtype}")
    x1, y1, x2, y2 = box.tolist()
    if not (-math.inf < x1 <= x2 < math.inf and -math.inf < y1 <= y2 < math.inf):
        raise ValueError(
            f"{name} must be finite (x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2, got {box.tolist()}"
        )


def _scale(spatial_scale: Any) -> float:
    if not isinstance(spatial_scale, Real):
        raise TypeError(f"`spatial_scale` must be one number, such as 1/16, got {spatial_scale!r}")
    number = float(spatial_scale)
    if not 0 < number < math.inf:
        raise ValueError(f"`spatial_scale` must be positive and finite, such as 1/16, got {spatial_scale}")
    return number
