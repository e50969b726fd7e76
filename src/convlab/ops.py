"""The operations of a convolutional network in numpy: short enough to read, and equal to torch.

Arrays are laid out as in torch: images and feature maps (N, C, H, W), or (C, H, W) for a single one; the
weights of a convolution (O, C/groups, kh, kw). Arguments have torch's names and meanings.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from convlab.shapes import Padding, Pair, Sides, as_int, as_pair, as_sides, output_size, window_span

Array = NDArray[Any]

TILE_BYTES = 2**20  # about the cache of one processor core: a tile is still there when it is multiplied


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Slide every filter over every image and sum the products (cross-correlation: no kernel is flipped).

    y[n, o, i, j] = bias[o] + Σ_c Σ_u Σ_v weight[o, c, u, v] · x[n, c, i·s + u·d, j·s + v·d]

    with stride s, dilation d, and x padded by zeros first. Equals ``torch.nn.functional.conv2d`` to rounding.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W) for one image
    weight : (O, C/groups, kh, kw)
    bias : (O,), optional
    stride, dilation : int or (height, width)
    padding : int, (height, width), "same", "valid" or ((top, bottom), (left, right))
    groups : int
        The channels are split into this many groups; each group has O/groups filters that see no other.

    Returns
    -------
    (N, O, H', W') or (O, H', W'), where `shapes.output_size` gives H' and W'. The dtype is numpy's common
    dtype of the arguments; but integers of any width give int64, so that a uint8 photograph does not wrap
    around at 255.

    Raises
    ------
    ValueError
        If shapes do not fit together: the message says which number is wrong.
    TypeError
        If an array holds no numbers (booleans, objects), or uint64, which int64 cannot hold.

    >>> x = np.arange(25).reshape(1, 1, 5, 5)
    >>> weight = np.array([[[[0, 0, 0], [-1, 0, 1], [0, 0, 0]]]])  # right neighbour − left neighbour
    >>> conv2d(x, weight, stride=2)
    array([[[[2, 2],
             [2, 2]]]])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    groups = as_int("groups", groups, 1)
    _check_shapes(x, weight, bias, groups)
    dtype = _common_dtype(x=x, weight=weight, bias=bias)
    images = x if x.ndim == 4 else x[None]
    windows = _windows(images.astype(dtype, copy=False), weight.shape[2:], stride, padding, dilation)
    y = _multiply(windows, weight.astype(dtype, copy=False), groups)
    if bias is not None:
        y += bias.astype(dtype, copy=False)[:, None, None]
    return y if x.ndim == 4 else y[0]


def relu(x: ArrayLike) -> Array:
    """max(x, 0), element by element; dtype and NaN stay. TypeError unless x holds real numbers.

    >>> relu([-2, 0, 3])
    array([0, 0, 3])
    """
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"`x` must hold real numbers, got dtype {x.dtype}")
    return np.asarray(np.maximum(x, 0))


def _windows(x: Array, kernel_size: tuple[int, ...], stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """View of all windows of x (N, C, H, W): (N, C, kh, kw, H', W'). Only the padding copies anything."""
    kh, kw = kernel_size
    (sh, sw), (dh, dw) = as_pair("stride", stride, 1), as_pair("dilation", dilation, 1)
    rows, columns = as_sides(padding, kernel_size=(kh, kw), stride=(sh, sw), dilation=(dh, dw))
    output_size(x.shape[2], kh, stride=sh, padding=rows, dilation=dh)  # raises if the window does not fit
    output_size(x.shape[3], kw, stride=sw, padding=columns, dilation=dw)
    spans = window_span(kh, dh), window_span(kw, dw)
    windows = sliding_window_view(_pad(x, (rows, columns)), spans, axis=(2, 3))  # (N, C, top, left, u, v)
    return windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)


def _multiply(windows: Array, weight: Array, groups: int) -> Array:
    """Products of the filters (O, C/groups, kh, kw) with the windows (N, C, kh, kw, H', W'): (N, O, H', W').

    With one column per window, convolution is a matrix product ("im2col", Chellapilla et al. 2006). All
    columns at once would take kh·kw times the memory of the image; here a band of output rows at a time goes
    through one small tile, which stays in the cache.
    """
    n, channels, kh, kw, height, width = windows.shape
    depth, taps = channels // groups, channels // groups * kh * kw
    filters = weight.reshape(groups, len(weight) // groups, taps)
    y = np.empty((n, *filters.shape[:2], height * width), weight.dtype)
    band = min(height, max(1, TILE_BYTES // (max(1, taps) * width * y.itemsize)))  # rows of output in a tile
    tile = np.empty((depth, kh, kw, band, width), y.dtype)
    columns = tile.reshape(taps, band * width)  # the same memory
    for image, group in np.ndindex(n, groups):
        source = windows[image, group * depth : (group + 1) * depth]
        for top in range(0, height, band):
            rows = min(band, height - top)
            tile[..., :rows, :] = source[..., top : top + rows, :]
            target = y[image, group, :, top * width : (top + rows) * width]
            np.matmul(filters[group], columns[:, : rows * width], out=target)
    return y.reshape(n, len(weight), height, width)


def _pad(x: Array, sides: Sides) -> Array:
    """Put zeros around every map; without padding, x itself."""
    return np.pad(x, ((0, 0), (0, 0), *sides)) if any(map(any, sides)) else x


def _common_dtype(**arrays: Array | None) -> np.dtype[Any]:
    """Dtype of the result: numpy's common dtype of the arrays, but int64 for integers of any width."""
    given = {name: array for name, array in arrays.items() if array is not None}
    for name, array in given.items():
        if array.dtype.kind not in "iufc" or array.dtype == np.uint64:
            raise TypeError(f"`{name}` must hold floats, or integers that fit int64, got {array.dtype}")
    dtype = np.result_type(*given.values())
    return np.dtype(np.int64) if dtype.kind in "iu" else dtype


def _check_shapes(x: Array, weight: Array, bias: Array | None, groups: int) -> None:
    if x.ndim not in (3, 4):
        raise ValueError(f"`x` must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
    if weight.ndim != 4:
        raise ValueError(f"`weight` must have shape (O, C/groups, kh, kw), got {weight.shape}")
    if 0 in x.shape[-2:]:
        raise ValueError(f"`x` has no pixels: its shape is {x.shape}")
    filters, depth = weight.shape[:2]
    if filters == 0 or filters % groups:
        raise ValueError(f"the filters of `weight` must be a multiple of `groups` {groups}, got {filters}")
    if x.shape[-3] != depth * groups:
        raise ValueError(
            f"`x` has {x.shape[-3]} channels, but `weight` of shape {weight.shape} with `groups` {groups} "
            f"expects {depth * groups}"
        )
    if bias is not None and bias.shape != (filters,):
        raise ValueError(f"`bias` must have one number per filter, shape ({filters},), got {bias.shape}")
