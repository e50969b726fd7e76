"""The operations of a convolutional network in numpy: short enough to read, and equal to torch.

Arrays are laid out as in torch: images and feature maps (N, C, H, W), or (C, H, W) for a single one; the
weights of a convolution (O, C/groups, kh, kw). Arguments have torch's names and meanings.

One convolution is here four times: `conv2d_loops`, `conv2d_windows` and `conv2d_matrix` are a ladder to read,
from the definition to a single matrix product; `conv2d` is that product in pieces, with every option.

A signal or a sentence is an image of height 1: `conv1d`, `max_pool1d` and `avg_pool1d` add that axis and take
it away again. Around any other operation, write ``x[..., None, :]`` and ``y[..., 0, :]``.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from convlab.shapes import (
    Padding,
    Pair,
    Sides,
    adaptive_bins,
    as_int,
    as_pair,
    as_sides,
    output_size,
    transposed_size,
    window_span,
)

Array = NDArray[Any]

TILE_BYTES = 2**20  # about the cache of one processor core: a tile is still there when it is multiplied
NUMPY_MODES: dict[str, Any] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """Slide every filter over every image and sum the products (cross-correlation: no kernel is flipped).

    y[n, o, i, j] = bias[o] + Σ_c Σ_u Σ_v weight[o, c, u, v] · x[n, c, i·s + u·d, j·s + v·d]

    with stride s, dilation d, and x padded first. Equals ``torch.nn.functional.conv2d`` to rounding.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W) for one image
    weight : (O, C/groups, kh, kw)
    bias : (O,), optional
    stride, dilation : int or (height, width)
    padding : int, (height, width), "same", "valid" or ((top, bottom), (left, right))
    groups : int
        The channels are split into this many groups; each group has O/groups filters that see no other.
    padding_mode : "zeros", "reflect", "replicate" or "circular"
        What to pad with: see `pad2d`.

    Returns
    -------
    (N, O, H', W') or (O, H', W')
        `shapes.output_size` gives H' and W'. The dtype is numpy's common dtype of the arguments; but integers
        of any width give int64, so that a uint8 photograph does not wrap around at 255. float16 is summed in
        float32.

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
    rows, columns = _axes(x.shape[-2:], weight.shape[2:], stride, padding, dilation)
    images = (x if x.ndim == 4 else x[None]).astype(_sum_dtype(dtype), copy=False)
    padded = pad2d(images, (rows.padding, columns.padding), padding_mode=padding_mode)
    y = _multiply(padded, weight.astype(padded.dtype, copy=False), groups, rows, columns)
    if bias is not None:
        y += bias.astype(y.dtype, copy=False)[:, None, None]
    return (y if x.ndim == 4 else y[0]).astype(dtype, copy=False)


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int = 1,
    padding: str | Pair = 0,
    dilation: int = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """`conv2d` along one axis: x (N, C, L) or (C, L) and weight (O, C/groups, k) give (N, O, L') or (O, L').

    `padding` is an int, (before, after), "same" or "valid". Errors as in `conv2d`.

    >>> conv1d([[0, 0, 5, 5]], [[[-1, 1]]])  # where a signal rises
    array([[0, 5, 0]])
    """
    weight = np.asarray(weight)
    if weight.ndim != 3:
        raise ValueError(f"`weight` must have shape (O, C/groups, k), got {weight.shape}")
    y = conv2d(
        _as_row(x),
        weight[:, :, None],
        bias,
        stride=(1, as_int("stride", stride, 1)),
        padding=_row_padding(padding),
        dilation=(1, as_int("dilation", dilation, 1)),
        groups=groups,
        padding_mode=padding_mode,
    )
    return y[..., 0, :]


def convolve2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, **options: Any) -> Array:
    """Convolution as mathematics defines it: `conv2d`, with every kernel turned by 180° first.

    y[m, n] = Σ_u Σ_v weight[u, v] · x[m − u, n − v]   (m and n from the kernel's last row and column on)

    Unlike cross-correlation it commutes: x ∗ a ∗ b = x ∗ b ∗ a. Options, result and errors are those of
    `conv2d`.

    >>> impulse = np.array([[[0, 0, 0], [0, 1, 0], [0, 0, 0]]])
    >>> convolve2d(impulse, [[[[1, 2], [3, 4]]]])  # answers with the kernel
    array([[[1, 2],
            [3, 4]]])
    >>> conv2d(impulse, [[[[1, 2], [3, 4]]]])  # answers with the kernel turned
    array([[[4, 3],
            [2, 1]]])
    """
    weight = np.asarray(weight)
    turned = weight[..., ::-1, ::-1] if weight.ndim == 4 else weight  # conv2d says what is wrong with others
    return conv2d(x, turned, bias, **options)


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Lay the kernels, times the pixel, down at every pixel, and add them up: the transpose of `conv2d`.

    y[n, o, i·s + u·d, j·s + v·d] += weight[c, o, u, v] · x[n, c, i, j]   for all c, i, j, u, v

    and then cut `padding` off. If conv2d with the same weight and options is the matrix A, see
    `convolution_matrix`, this is Aᵀ: it leads from the output size of conv2d back to the input size. It is
    not the inverse: the values do not come back. Equals ``torch.nn.functional.conv_transpose2d`` to rounding.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W) for one image
    weight : (C, O/groups, kh, kw)
    bias : (O,), optional
    stride, padding, dilation, groups
        As in `conv2d`.
    output_padding : int or (height, width)
        Rows and columns to add at the bottom and right: with a stride, conv2d gives the same size for several
        sizes of input, and the smallest comes back.

    Returns
    -------
    (N, O, H', W') or (O, H', W')
        `shapes.transposed_size` gives H' and W'. The dtype as in `conv2d`.

    Raises
    ------
    ValueError
        If shapes do not fit together, `output_padding` is too large, or `padding` leaves nothing.
    TypeError
        If an array holds no numbers.

    >>> conv_transpose2d([[[1, 2]]], [[[[1, 1, 1]]]], stride=(1, 2))  # 1 1 1 and, two further, 2 2 2
    array([[[1, 1, 3, 2, 2]]])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    groups = as_int("groups", groups, 1)
    _check_transposed(x, weight, bias, groups)
    dtype = _common_dtype(x=x, weight=weight, bias=bias)
    rows, columns = _transposed_axes(
        x.shape[-2:], weight.shape[2:], stride, padding, output_padding, dilation
    )
    images = (x if x.ndim == 4 else x[None]).astype(_sum_dtype(dtype), copy=False)
    canvas = _scatter(images, weight.astype(images.dtype, copy=False), groups, rows, columns)
    y = canvas[..., rows.inside, columns.inside]
    if bias is not None:
        y += bias.astype(y.dtype, copy=False)[:, None, None]
    return np.ascontiguousarray(y if x.ndim == 4 else y[0], dtype)


def pad2d(x: ArrayLike, padding: Pair | Sides, *, padding_mode: str = "zeros") -> Array:
    """Surround maps (…, H, W) with rows and columns: the padding of `conv2d`, on its own.

    `padding` is an int, (height, width) or ((top, bottom), (left, right)). Two on each side of 1234:

    ========== ========== ==============================================
    zeros      00123400
    reflect    32123432   at most H − 1 and W − 1: the border is not repeated
    replicate  11123444
    circular   34123412   at most H and W
    ========== ========== ==============================================

    The modes are those of ``torch.nn.Conv2d``. The dtype stays; without padding, x itself comes back.
    ValueError for another mode, or for more padding than the mode can fill.

    >>> pad2d([[1, 2, 3]], (0, 2), padding_mode="reflect")
    array([[3, 2, 1, 2, 3, 2, 1]])
    """
    x = np.asarray(x)
    if padding_mode not in NUMPY_MODES:
        raise ValueError(f"`padding_mode` must be one of {', '.join(NUMPY_MODES)}, got {padding_mode!r}")
    if isinstance(padding, str):
        raise ValueError(f"`padding` must be numbers here, where no kernel is known, got {padding!r}")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"`x` must have shape (…, H, W) with at least one pixel, got {x.shape}")
    sides = as_sides(padding, kernel_size=(1, 1), stride=(1, 1), dilation=(1, 1))
    for size, side in zip(x.shape[-2:], sides, strict=True):
        most = {"reflect": size - 1, "circular": size}.get(padding_mode, max(side))
        if max(side) > most:
            raise ValueError(
                f'`padding` can be at most {most} with `padding_mode` "{padding_mode}" and x of shape '
                f"{x.shape}, got {max(side)}"
            )
    if not any(map(any, sides)):
        return x
    if padding_mode == "zeros":
        return _surround(x, sides, 0)
    return np.pad(x, (*[(0, 0)] * (x.ndim - 2), *sides), NUMPY_MODES[padding_mode])


def conv2d_loops(x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1) -> Array:
    """`conv2d` as its formula says it, product by product: the first rung of the ladder, and a slow one.

    x (N, C, H, W) and weight (O, C, kh, kw) give (N, O, H', W'). For padding, see `pad2d`.

    >>> conv2d_loops([[[[1, 2, 3]]]], [[[[10, 1]]]])
    array([[[[12, 23]]]])
    """
    x, weight, rows, columns = _rung(x, weight, stride)
    y = np.zeros((len(x), len(weight), rows.outputs, columns.outputs), x.dtype)
    for n, o, i, j in np.ndindex(y.shape):
        top, left = i * rows.stride, j * columns.stride
        for c, u, v in np.ndindex(weight.shape[1:]):
            y[n, o, i, j] += weight[o, c, u, v] * x[n, c, top + u, left + v]
    return y


def conv2d_windows(x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1) -> Array:
    """`conv2d` by a view of all windows, which copies nothing: the second rung.

    >>> conv2d_windows([[[[1, 2, 3]]]], [[[[10, 1]]]])
    array([[[[12, 23]]]])
    """
    x, weight, rows, columns = _rung(x, weight, stride)
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))  # (N, C, top, left, kh, kw)
    windows = windows[:, :, :: rows.stride, :: columns.stride]  # (N, C, H', W', kh, kw)
    return np.asarray(np.einsum("ncijuv,ocuv->noij", windows, weight))


def conv2d_matrix(x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1) -> Array:
    """`conv2d` as one matrix product: the third rung. One row per filter, times one column per window.

    >>> conv2d_matrix([[[[1, 2, 3]]]], [[[[10, 1]]]])
    array([[[[12, 23]]]])
    """
    x, weight, rows, columns = _rung(x, weight, stride)
    matrix = weight.reshape(len(weight), -1)  # (O, C·kh·kw)
    y = matrix @ im2col(x, weight.shape[2:], stride=stride)  # (N, O, H'·W')
    return y.reshape(len(x), len(weight), rows.outputs, columns.outputs)


def im2col(x: ArrayLike, kernel_size: Pair | tuple[int, ...], *, stride: Pair = 1) -> Array:
    """Copy every window of every image into a column: (N, C, H, W) becomes (N, C·kh·kw, H'·W').

    The matrix is about kh·kw / stride² times as large as the images (Chellapilla et al. 2006).

    >>> im2col([[[[1, 2, 3], [4, 5, 6]]]], 2)
    array([[[1, 2],
            [2, 3],
            [4, 5],
            [5, 6]]])
    """
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"`x` must have shape (N, C, H, W), got {x.shape}")
    kernel = as_pair("kernel_size", kernel_size, 1)
    rows, columns = _axes(x.shape[2:], kernel, stride, 0, 1)
    windows = sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: rows.stride, :: columns.stride]
    taps, places = x.shape[1] * kernel[0] * kernel[1], rows.outputs * columns.outputs
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), taps, places)


def convolution_matrix(
    weight: ArrayLike,
    size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Array:
    """The matrix A for which `conv2d` of an image of `size` (height, width) is ``A @ x.ravel()``.

    weight (O, C/groups, kh, kw) gives (O·H'·W', C·H·W). Column p holds the answer to an image that is 1 at
    its pixel p and 0 elsewhere. Options and errors are those of `conv2d`. Meant for small images: nearly all
    of it is zeros.

    >>> convolution_matrix([[[[1, 2]]]], (1, 4))
    array([[1, 2, 0, 0],
           [0, 1, 2, 0],
           [0, 0, 1, 2]])
    >>> convolution_matrix(np.ones((1, 1, 3, 3)), 4).shape
    (4, 16)
    """
    weight = np.asarray(weight)
    if weight.ndim != 4:
        raise ValueError(f"`weight` must have shape (O, C/groups, kh, kw), got {weight.shape}")
    height, width = as_pair("size", size, 1)
    channels = weight.shape[1] * as_int("groups", groups, 1)
    pixels = channels * height * width
    answers = conv2d(
        np.eye(pixels, dtype=weight.dtype).reshape(pixels, channels, height, width),
        weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return answers.reshape(pixels, -1).T


def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in every window, in each map on its own.

    y[n, c, i, j] = max over u, v of x[n, c, i·s + u·d, j·s + v·d]

    Equals ``torch.nn.functional.max_pool2d``: NaN counts as the largest, and padding never wins.

    Parameters
    ----------
    x : (N, C, H, W) or (C, H, W)
    kernel_size : int or (height, width)
    stride : int or (height, width)
        By default `kernel_size`: windows side by side.
    padding : as in `conv2d`, but on each side at most half of `kernel_size`
    dilation : int or (height, width)
    ceil_mode : bool
        Whether a last window may reach past the end: see `shapes.output_size`.
    return_indices : bool

    Returns
    -------
    (N, C, H', W') or (C, H', W'), of the dtype of x
        The maxima. With `return_indices`, two such arrays: the maxima, and where each was found, as a
        position in the flattened map (row · W + column): the first of several equal ones, but the last of
        several NaN. `max_unpool2d` uses them.

    Raises
    ------
    ValueError
        If shapes do not fit together.
    TypeError
        If x does not hold real numbers.

    >>> x = np.array([[[1, 5, 2, 0], [3, 4, 8, 8]]])
    >>> max_pool2d(x, 2)
    array([[[5, 8]]])
    >>> max_pool2d(x, 2, return_indices=True)[1]
    array([[[1, 6]]])
    """
    x = _as_maps(x)
    rows, columns = _pool_axes(x, kernel_size, stride, padding, dilation, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = _pool_input(x, rows, columns, lowest)
    if return_indices:
        return _first_maxima(padded, rows, columns, lowest)
    return _reduce(np.maximum, padded, rows, columns)


def sum_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Array:
    """The sum of every window, in each map on its own; padding counts as 0.

    Arguments and errors as in `max_pool2d`. The dtype is that of x; but integers give int64.

    >>> sum_pool2d([[[1, 5, 2, 0], [3, 4, 8, 8]]], 2)
    array([[[13, 18]]])
    """
    x = _as_maps(x)
    dtype = _common_dtype(x=x)
    rows, columns = _pool_axes(x, kernel_size, stride, padding, 1, ceil_mode)
    padded = _pool_input(x.astype(_sum_dtype(dtype), copy=False), rows, columns, 0)
    return _reduce(np.add, padded, rows, columns).astype(dtype, copy=False)


def avg_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of every window, in each map on its own: `sum_pool2d` divided by the number of positions.

    The padding counts as zeros that are averaged too, or not at all without `count_include_pad`; what
    `ceil_mode` reads past the padding never counts. `divisor_override`, at least 1, replaces the number.
    Equals ``torch.nn.functional.avg_pool2d`` on floats; integers give float64 (torch cuts decimals off).
    The other arguments, and errors, as in `max_pool2d`.

    >>> avg_pool2d([[[1, 5, 2, 0], [3, 4, 8, 8]]], 2)
    array([[[3.25, 4.5 ]]])
    """
    x = _as_maps(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    total = sum_pool2d(
        x.astype(_sum_dtype(dtype), copy=False),
        kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
    )
    if divisor_override is not None:
        return np.asarray(total / as_int("divisor_override", divisor_override, 1), dtype)
    rows, columns = _pool_axes(x, kernel_size, stride, padding, 1, ceil_mode)
    counts = np.outer(rows.counts(count_include_pad), columns.counts(count_include_pad))
    return np.asarray(total / counts, dtype)


def max_unpool2d(
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
    output_size: tuple[int, ...] | None = None,
) -> Array:
    """Put every maximum back where `max_pool2d` found it, and zeros elsewhere.

    x and `indices` (N, C, H, W), or (C, H, W), are what max_pool2d returned; `kernel_size`, `stride` and
    `padding` what it was given. The maps get (H − 1)·stride − 2·padding + kernel_size rows, and so for
    columns; pooling may have dropped some, so `output_size` (H', W'), or (N, C, H', W'), names another size,
    less than one stride away. Where windows overlapped, several maxima may go back to one place. The dtype
    stays. Equals ``torch.nn.functional.max_unpool2d``.

    ValueError if shapes do not fit together, or an index lies outside the map.

    >>> max_unpool2d([[[5, 8]]], [[[1, 6]]], 2)
    array([[[0, 5, 0, 0],
            [0, 0, 8, 0]]])
    """
    x, indices = _as_maps(x), np.asarray(indices)
    if indices.shape != x.shape or indices.dtype.kind not in "iu":
        raise ValueError(
            f"`indices` must be integers of the shape of x, {x.shape}, got {indices.dtype} {indices.shape}"
        )
    height, width = _unpooled_size(x.shape[-2:], kernel_size, stride, padding, output_size)
    outside = indices[(indices < 0) | (indices >= height * width)]
    if outside.size:
        raise ValueError(f"`indices` must be from 0 to {height * width - 1}, got {outside[0]}")
    y = np.zeros((*x.shape[:-2], height * width), x.dtype)
    flat = *x.shape[:-2], x.shape[-2] * x.shape[-1]
    np.put_along_axis(y, indices.reshape(flat), x.reshape(flat), axis=-1)
    return y.reshape(*x.shape[:-2], height, width)


def adaptive_avg_pool2d(x: ArrayLike, output_size: Any) -> Array:
    """The mean of every bin, in each map on its own, with bins so large that the output has `output_size`.

    x (N, C, H, W), or (C, H, W), of any height and width gives (N, C, H', W'): `shapes.adaptive_bins` says
    which rows and columns are in a bin. `output_size` is an int or (height, width); None keeps that side;
    1 is global average pooling. Equals ``torch.nn.functional.adaptive_avg_pool2d``; integers give float64.

    >>> adaptive_avg_pool2d([[[1, 5, 2, 0], [3, 4, 8, 8]]], (1, 2))
    array([[[3.25, 4.5 ]]])
    """
    x = _as_maps(x)
    rows, columns = _bins(x.shape[-2:], output_size)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    y = np.empty((*x.shape[:-2], len(rows), len(columns)), dtype)
    for (i, (top, bottom)), (j, (left, right)) in product(enumerate(rows), enumerate(columns)):
        y[..., i, j] = x[..., top:bottom, left:right].mean((-2, -1))
    return y


def adaptive_max_pool2d(x: ArrayLike, output_size: Any, *, return_indices: bool = False) -> Any:
    """The largest value of every bin: as `adaptive_avg_pool2d`, with the results of `max_pool2d`.

    >>> adaptive_max_pool2d([[[1, 5, 2, 0], [3, 4, 8, 8]]], 1, return_indices=True)
    (array([[[8]]]), array([[[6]]]))
    """
    x = _as_maps(x)
    rows, columns = _bins(x.shape[-2:], output_size)
    y = np.empty((*x.shape[:-2], len(rows), len(columns)), x.dtype)
    indices = np.empty(y.shape, np.int64)
    for (i, (top, bottom)), (j, (left, right)) in product(enumerate(rows), enumerate(columns)):
        bin_values = x[..., top:bottom, left:right]
        y[..., i, j] = bin_values.max((-2, -1))
        row, column = np.divmod(_argmax(bin_values), right - left)
        indices[..., i, j] = (top + row) * x.shape[-1] + left + column
    return (y, indices) if return_indices else y


def max_pool1d(
    x: ArrayLike,
    kernel_size: int,
    *,
    stride: int | None = None,
    padding: str | Pair = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` along one axis: x (N, C, L) or (C, L) gives (N, C, L') or (C, L'), and indices along L.

    >>> max_pool1d([[1, 5, 2, 0]], 2)
    array([[5, 2]])
    """
    pooled = max_pool2d(
        _as_row(x),
        (1, as_int("kernel_size", kernel_size, 1)),
        stride=None if stride is None else (1, as_int("stride", stride, 1)),
        padding=_row_padding(padding),
        dilation=(1, as_int("dilation", dilation, 1)),
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )
    return tuple(array[..., 0, :] for array in pooled) if return_indices else pooled[..., 0, :]


def avg_pool1d(
    x: ArrayLike,
    kernel_size: int,
    *,
    stride: int | None = None,
    padding: str | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """`avg_pool2d` along one axis: x (N, C, L) or (C, L) gives (N, C, L') or (C, L').

    >>> avg_pool1d([[1, 5, 2, 0]], 2)
    array([[3., 1.]])
    """
    pooled = avg_pool2d(
        _as_row(x),
        (1, as_int("kernel_size", kernel_size, 1)),
        stride=None if stride is None else (1, as_int("stride", stride, 1)),
        padding=_row_padding(padding),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    return pooled[..., 0, :]


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """A fully connected layer: y = x @ weight.T + bias.

    x (…, in), weight (out, in) and bias (out,) give (…, out). The dtype is chosen as in `conv2d`. Equals
    ``torch.nn.functional.linear``. ValueError if shapes do not fit together.

    >>> linear([1, 2, 3], [[1, 1, 1], [0, 0, 1]], [10, 20])
    array([16, 23])
    """
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    if weight.ndim != 2:
        raise ValueError(f"`weight` must have shape (out, in), got {weight.shape}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"`x` must have shape (…, {weight.shape[1]}), as `weight` {weight.shape}, got {x.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"`bias` must have shape {weight.shape[:1]}, one number per output, got {bias.shape}"
        )
    dtype = _common_dtype(x=x, weight=weight, bias=bias)
    work = _sum_dtype(dtype)
    y = x.astype(work, copy=False) @ weight.astype(work, copy=False).T
    return np.asarray(y if bias is None else y + bias.astype(work, copy=False)).astype(dtype, copy=False)


def relu(x: ArrayLike) -> Array:
    """max(x, 0), element by element; dtype and NaN stay. TypeError unless x holds real numbers.

    >>> relu([-2, 0, 3])
    array([0, 0, 3])
    """
    return np.asarray(np.maximum(_real(x), 0))


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(−x)), element by element: from 0 to 1, and 1/2 at 0. TypeError unless x is real.

    Written with exp(−|x|), which cannot overflow. Floats keep their dtype; integers give float64.

    >>> sigmoid([-1000, 0, 1000])
    array([0. , 0.5, 1. ])
    """
    x = _as_float(x)
    small = np.exp(-np.abs(x))  # from 0 to 1
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small), x.dtype)


def tanh(x: ArrayLike) -> Array:
    """(exp(x) − exp(−x)) / (exp(x) + exp(−x)), element by element: from −1 to 1. TypeError unless x is real.

    It is the sigmoid stretched: tanh(x) = 2·sigmoid(2x) − 1. Floats keep their dtype; integers give float64.

    >>> tanh([-1000, 0, 1000])
    array([-1.,  0.,  1.])
    """
    return np.asarray(np.tanh(_as_float(x)))


class _Axis(NamedTuple):
    """One axis of sliding windows: what convolution and pooling read, and transposed convolution writes."""

    size: int
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int]  # before and after
    outputs: int

    @property
    def span(self) -> int:
        return window_span(self.kernel, self.dilation)

    @property
    def inside(self) -> slice:
        """Where the map lies on the padded axis."""
        return slice(self.padding[0], self.padding[0] + self.size)

    def taps(self, offset: int) -> slice:
        """What number `offset` of every window reads, on the padded axis."""
        first = offset * self.dilation
        return slice(first, first + (self.outputs - 1) * self.stride + 1, self.stride)

    def positions(self, offset: int) -> Array:
        """The same as positions in the map, negative in the padding: one per window."""
        return np.arange(self.outputs) * self.stride + offset * self.dilation - self.padding[0]

    def counts(self, with_padding: bool) -> Array:
        """How many positions every window averages (without dilation)."""
        before, after = self.padding if with_padding else (0, 0)
        starts = self.positions(0)
        return np.asarray(np.minimum(starts + self.kernel, self.size + after) - np.maximum(starts, -before))


def _axes(
    sizes: tuple[int, ...],
    kernel_size: Any,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool = False,
) -> tuple[_Axis, _Axis]:
    """Check the options of a window, and split them into rows and columns."""
    kernel, strides = as_pair("kernel_size", kernel_size, 1), as_pair("stride", stride, 1)
    dilations = as_pair("dilation", dilation, 1)
    sides = as_sides(padding, kernel_size=kernel, stride=strides, dilation=dilations)
    rows, columns = (
        _Axis(n, k, s, d, side, output_size(n, k, stride=s, padding=side, dilation=d, ceil_mode=ceil_mode))
        for n, k, s, d, side in zip(sizes, kernel, strides, dilations, sides, strict=True)
    )
    return rows, columns


def _transposed_axes(
    sizes: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
) -> tuple[_Axis, _Axis]:
    """The axes of the convolution whose transpose is asked for: its outputs are our `sizes`."""
    kernel, strides = as_pair("kernel_size", kernel_size, 1), as_pair("stride", stride, 1)
    dilations, extra = as_pair("dilation", dilation, 1), as_pair("output_padding", output_padding, 0)
    sides = as_sides(padding, kernel_size=kernel, stride=strides, dilation=dilations)
    rows, columns = (
        _Axis(transposed_size(n, k, stride=s, padding=side, output_padding=e, dilation=d), k, s, d, side, n)
        for n, k, s, d, side, e in zip(sizes, kernel, strides, dilations, sides, extra, strict=True)
    )
    return rows, columns


def _pool_axes(
    x: Array, kernel_size: Pair, stride: Pair | None, padding: Padding, dilation: Pair, ceil_mode: bool
) -> tuple[_Axis, _Axis]:
    """`_axes` with torch's rules for pooling: `stride` is `kernel_size` by default, and padding is short."""
    kernel = as_pair("kernel_size", kernel_size, 1)
    axes = _axes(x.shape[-2:], kernel, kernel if stride is None else stride, padding, dilation, ceil_mode)
    for axis in axes:
        if (most := max(axis.padding)) > axis.kernel // 2:
            raise ValueError(f"`padding` must be at most half of `kernel_size` {axis.kernel}, got {most}")
    return axes


def _unpooled_size(
    sizes: tuple[int, ...], kernel_size: Pair, stride: Pair | None, padding: Padding, output_size: Any
) -> tuple[int, int]:
    """Size of the maps before pooling: as `output_size` says, if that can be."""
    kernel = as_pair("kernel_size", kernel_size, 1)
    rows, columns = _transposed_axes(sizes, kernel, kernel if stride is None else stride, padding, 0, 1)
    if output_size is None:
        return rows.size, columns.size
    if not isinstance(output_size, tuple | list) or len(output_size) not in (2, 4):
        raise ValueError(f"`output_size` must be (H, W) or (N, C, H, W), got {output_size!r}")
    height, width = as_pair("output_size", tuple(output_size[-2:]), 1)
    for axis, asked in ((rows, height), (columns, width)):
        if abs(asked - axis.size) >= axis.stride:
            raise ValueError(
                f"`output_size` must be less than `stride` {axis.stride} away from {axis.size}, got {asked}"
            )
    return height, width


def _bins(sizes: tuple[int, ...], output_size: Any) -> list[list[tuple[int, int]]]:
    """The bins of adaptive pooling along the rows and along the columns."""
    pair = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    if len(pair) != 2:
        raise ValueError(f"`output_size` must be one integer or two, got {output_size!r}")
    wanted = (n if o is None else as_int("output_size", o, 1) for n, o in zip(sizes, pair, strict=True))
    return [adaptive_bins(n, o) for n, o in zip(sizes, wanted, strict=True)]


def _multiply(x: Array, weight: Array, groups: int, rows: _Axis, columns: _Axis) -> Array:
    """Products of the filters (O, C/groups, kh, kw) with the windows of the padded x: (N, O, H', W').

    With one column per window, convolution is a matrix product ("im2col", Chellapilla et al. 2006). All
    columns at once would take kh·kw times the memory of the image; here a few rows of the output, or a few
    groups, go through one small tile at a time, which stays in the cache.
    """
    (filters, depth, kh, kw), height, width = weight.shape, rows.outputs, columns.outputs
    taps = depth * kh * kw
    band, block = _tile_shape(max(1, taps) * width * x.itemsize, height, groups)
    tile = np.empty((block, depth, kh, kw, band, width), x.dtype)
    matrix = weight.reshape(groups, filters // groups, taps)
    y = np.empty((len(x), groups, filters // groups, height * width), x.dtype)
    for image, result in zip(x, y, strict=True):
        sources = _sources(image.reshape(groups, depth, *image.shape[1:]), rows, columns)
        for group, top in product(range(0, groups, block), range(0, height, band)):
            part, count = slice(group, group + block), min(band, height - top)
            used = tile[: groups - group]  # the last block can have fewer groups; the last band, fewer rows
            for some, source in sources:
                used[:, :, :, some, :count] = source[part, ..., top : top + count, :]
            table = used.reshape(len(used), taps, band * width)[..., : count * width]
            np.matmul(matrix[part], table, out=result[part, :, top * width : (top + count) * width])
    return y.reshape(len(x), filters, height, width)


def _tile_shape(row_bytes: int, height: int, groups: int) -> tuple[int, int]:
    """Rows of output, and groups, that fit a tile: whole maps of several groups, or a band of one map."""
    band = min(height, max(1, TILE_BYTES // row_bytes))
    band = -(-height // -(-height // band))  # the same number of bands, equally high
    return band, min(groups, max(1, TILE_BYTES // (row_bytes * height)))


def _sources(image: Array, rows: _Axis, columns: _Axis) -> list[tuple[slice, Array]]:
    """For some columns of the kernel at a time, a view (…, kh, some, H', W') of what they read.

    numpy copies neighbours several times faster than every other number. So, with a stride, pixels that are a
    stride apart are first laid side by side, in one strip for all columns of the kernel that read them.
    """
    stride, dilation = columns.stride, columns.dilation
    sources = []
    for v in range(min(stride, columns.kernel)):
        some = slice(v, None, stride)  # each reads the strip of the one before, `dilation` pixels further on
        start, phase = divmod(v * dilation, stride)
        strip = np.ascontiguousarray(image[..., phase::stride])[..., start:]
        reach = (len(range(columns.kernel)[some]) - 1) * dilation + 1
        windows = sliding_window_view(strip, (rows.span, reach), axis=(-2, -1))
        windows = windows[..., :: rows.stride, : columns.outputs, :: rows.dilation, ::dilation]
        sources.append((some, np.moveaxis(windows, (-2, -1), (-4, -3))))
    return sources


def _scatter(x: Array, weight: Array, groups: int, rows: _Axis, columns: _Axis) -> Array:
    """Add every pixel's kernels up on a canvas (N, O, H', W') that still has its padding."""
    _, filters, kh, kw = weight.shape
    sizes = [axis.padding[0] + axis.size + axis.padding[1] for axis in (rows, columns)]
    canvas = np.zeros((len(x), groups, filters, *sizes), x.dtype)
    matrix = weight.reshape(groups, -1, filters * kh * kw).swapaxes(1, 2)  # (groups, filters·kh·kw, depth)
    for image, result in zip(x, canvas, strict=True):
        pixels = image.reshape(groups, -1, rows.outputs * columns.outputs)  # (groups, depth, H·W)
        products = (matrix @ pixels).reshape(groups, filters, kh, kw, rows.outputs, columns.outputs)
        for u, v in np.ndindex(kh, kw):
            result[..., rows.taps(u), columns.taps(v)] += products[:, :, u, v]
    return canvas.reshape(len(x), groups * filters, *sizes)


def _pool_input(x: Array, rows: _Axis, columns: _Axis, value: float) -> Array:
    """Put `value` around the maps as far as the windows of a pool reach, which may be past the padding."""
    down, across = (
        (axis.padding[0], max(0, axis.taps(axis.kernel - 1).stop - axis.padding[0] - axis.size))
        for axis in (rows, columns)
    )
    return _surround(x, (down, across), value)


def _surround(x: Array, sides: Sides, value: float) -> Array:
    """Maps with `value` around them; the same as np.pad, in half the time."""
    (top, bottom), (left, right) = sides
    height, width = x.shape[-2:]
    padded = np.full((*x.shape[:-2], top + height + bottom, left + width + right), value, x.dtype)
    padded[..., top : top + height, left : left + width] = x
    return padded


def _reduce(combine: np.ufunc, x: Array, rows: _Axis, columns: _Axis) -> Array:
    """Combine the numbers of every window, one axis at a time: kh + kw steps in place of kh·kw."""
    down = x[..., rows.taps(0), :].copy()
    for u in range(1, rows.kernel):
        combine(down, x[..., rows.taps(u), :], out=down)
    y = down[..., columns.taps(0)].copy()
    for v in range(1, columns.kernel):
        combine(y, down[..., columns.taps(v)], out=y)
    return y


def _first_maxima(x: Array, rows: _Axis, columns: _Axis, lowest: float) -> tuple[Array, Array]:
    """Maxima of all windows and their places: row by row, keep what is larger than all before, or is NaN."""
    y = np.full((*x.shape[:-2], rows.outputs, columns.outputs), lowest, x.dtype)
    row, column = (
        axis.positions(0) - np.minimum(axis.positions(0), 0) // axis.dilation * axis.dilation
        for axis in (rows, columns)  # the first that is not in the padding: the answer if nothing is larger
    )
    indices = np.broadcast_to(row[:, None] * columns.size + column, y.shape).copy()
    for u, v in np.ndindex(rows.kernel, columns.kernel):
        number = x[..., rows.taps(u), columns.taps(v)]
        better = (number > y) | (number != number)
        np.copyto(y, number, where=better)
        place = rows.positions(u)[:, None] * columns.size + columns.positions(v)
        np.copyto(indices, place, where=better)
    return y, indices


def _argmax(x: Array) -> Array:
    """Place of the maximum in every flattened map, by the rule of `_first_maxima`."""
    flat = x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
    nan = flat != flat
    last_nan = flat.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
    return np.asarray(np.where(nan.any(-1), last_nan, flat.argmax(-1)))


def _rung(x: ArrayLike, weight: ArrayLike, stride: Pair) -> tuple[Array, Array, _Axis, _Axis]:
    """Check the input of a rung of the ladder, in the dtype of its result."""
    x, weight = np.asarray(x), np.asarray(weight)
    if x.ndim != 4:
        raise ValueError(f"`x` must have shape (N, C, H, W), got {x.shape}")
    _check_shapes(x, weight, None, 1)
    dtype = _common_dtype(x=x, weight=weight)
    return (
        x.astype(dtype, copy=False),
        weight.astype(dtype, copy=False),
        *_axes(x.shape[2:], weight.shape[2:], stride, 0, 1),
    )


def _as_row(x: ArrayLike) -> Array:
    """Signals (N, C, L) or (C, L) as images of height 1."""
    x = np.asarray(x)
    if x.ndim not in (2, 3):
        raise ValueError(f"`x` must have shape (N, C, L) or (C, L), got {x.shape}")
    return x[..., None, :]


def _row_padding(padding: str | Pair) -> Padding:
    return padding if isinstance(padding, str) else ((0, 0), as_pair("padding", padding, 0))


def _as_maps(x: ArrayLike) -> Array:
    """Input of a pool: maps of real numbers, with at least one pixel."""
    x = _real(x)
    if x.ndim not in (3, 4):
        raise ValueError(f"`x` must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
    if 0 in x.shape[-2:]:
        raise ValueError(f"`x` has no pixels: its shape is {x.shape}")
    return x


def _real(x: ArrayLike) -> Array:
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"`x` must hold real numbers, got dtype {x.dtype}")
    return x


def _as_float(x: ArrayLike) -> Array:
    x = _real(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _common_dtype(**arrays: Array | None) -> np.dtype[Any]:
    """Dtype of the result: numpy's common dtype of the arrays, but int64 for integers of any width."""
    given = {name: array for name, array in arrays.items() if array is not None}
    for name, array in given.items():
        if array.dtype.kind not in "iufc" or array.dtype == np.uint64:
            raise TypeError(f"`{name}` must hold floats, or integers that fit int64, got {array.dtype}")
    dtype = np.result_type(*given.values())
    return np.dtype(np.int64) if dtype.kind in "iu" else dtype


def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype to add in: float32 for float16, which has only three digits."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


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
    _check_bias(bias, filters)


def _check_transposed(x: Array, weight: Array, bias: Array | None, groups: int) -> None:
    if x.ndim not in (3, 4):
        raise ValueError(f"`x` must have shape (N, C, H, W) or (C, H, W), got {x.shape}")
    if weight.ndim != 4:
        raise ValueError(f"`weight` must have shape (C, O/groups, kh, kw), got {weight.shape}")
    if 0 in x.shape[-2:]:
        raise ValueError(f"`x` has no pixels: its shape is {x.shape}")
    channels, filters = weight.shape[:2]
    if x.shape[-3] != channels:
        raise ValueError(
            f"`x` has {x.shape[-3]} channels, but `weight` of shape {weight.shape} expects {channels}"
        )
    if channels == 0 or channels % groups:
        raise ValueError(f"the channels of `x` must be a multiple of `groups` {groups}, got {channels}")
    if filters == 0:
        raise ValueError(f"`weight` has no filters: its shape is {weight.shape}")
    _check_bias(bias, filters * groups)


def _check_bias(bias: Array | None, filters: int) -> None:
    if bias is not None and bias.shape != (filters,):
        raise ValueError(f"`bias` must have one number per filter, shape ({filters},), got {bias.shape}")
