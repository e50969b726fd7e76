"""Shapes and counts: how many windows fit, what is left over, how many numbers a layer learns.

Integers in, integers out, exact for any size. Functions on sizes work along one axis: call them once for the
height and once for the width. Nothing is rounded silently: where a division floors, the docstring says so.
"""

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = int | tuple[int, int]
Sides = tuple[tuple[int, int], tuple[int, int]]
Padding = str | Pair | Sides


def output_size(
    size: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: Pair = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Number of positions that a window takes along one axis.

    ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1

    (Dumoulin & Visin 2016, relationship 15.) `padding` is the number of positions added to each end, or a
    pair (before, after) whose sum replaces 2·padding. ValueError if the window is wider than the padded axis.

    With `ceil_mode`, as torch's pooling has it, the division rounds up: a last window may reach past the end,
    but it has to begin inside the axis or the padding before it.

    >>> output_size(32, 5)
    28
    >>> output_size(224, 7, stride=2, padding=3)
    112
    >>> output_size(1000, 10, stride=8)
    124
    >>> output_size(1000, 10, stride=8, ceil_mode=True)
    125
    """
    slack, stride = _slack(size, kernel_size, stride, padding, dilation, ceil_mode)
    if not ceil_mode:
        return slack // stride + 1
    before, _ = as_pair("padding", padding, 0)
    return min(-(-slack // stride) + 1, -(-(size + before) // stride))


def transposed_size(
    size: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: Pair = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Output size of a transposed convolution along one axis: `output_size` backwards.

    (size − 1)·stride + dilation·(kernel_size − 1) + 1 − 2·padding + output_padding

    (Dumoulin & Visin 2016, relationship 14.) With a stride, several sizes have the same `output_size`; the
    smallest comes back, and `output_padding`, less than stride or dilation, asks for a larger one. `padding`
    is what the convolution had, and is cut off here. ValueError if nothing would be left.

    >>> transposed_size(2, 3)
    4
    >>> transposed_size(112, 7, stride=2, padding=3)
    223
    >>> transposed_size(112, 7, stride=2, padding=3, output_padding=1)
    224
    """
    before, after = as_pair("padding", padding, 0)
    extra = as_int("output_padding", output_padding, 0)
    span, stride = window_span(kernel_size, dilation), as_int("stride", stride, 1)
    if extra >= max(stride, dilation):
        raise ValueError(
            f"`output_padding` must be less than `stride` {stride} or `dilation` {dilation}, got {extra}"
        )
    canvas = (as_int("size", size, 1) - 1) * stride + span + extra
    if canvas <= before + after:
        raise ValueError(f"`padding` {before} + {after} leaves nothing of an output of {canvas}")
    return canvas - before - after


def dropped(size: int, kernel_size: int, *, stride: int = 1, padding: Pair = 0, dilation: int = 1) -> int:
    """Number of positions at the end of the padded axis that lie after the last window: nothing reads them.

    It is the remainder of the division in `output_size`. Padding at the end counts, as it is dropped first.

    >>> dropped(1000, 10, stride=8)
    6
    >>> dropped(1000, 10, stride=10)
    0
    """
    slack, stride = _slack(size, kernel_size, stride, padding, dilation)
    return slack % stride


def padding_for(
    size: int, outputs: int, kernel_size: int, *, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Padding (before, after) that gives this many outputs: `output_size` solved for the padding.

    The smallest total, max(0, (outputs − 1)·stride + dilation·(kernel_size − 1) + 1 − size), halved; an odd
    one goes after. Up to stride − 1 more would give the same number of outputs. ValueError if even no padding
    gives more.

    >>> padding_for(5, 5, 3)
    (1, 1)
    >>> padding_for(224, 112, 7, stride=2)  # torchvision's ResNets write 3: one more changes nothing
    (2, 3)
    """
    size, outputs = as_int("size", size, 1), as_int("outputs", outputs, 1)
    stride = as_int("stride", stride, 1)
    total = (outputs - 1) * stride + window_span(kernel_size, dilation) - size
    if total <= -stride:
        least = output_size(size, kernel_size, stride=stride, dilation=dilation)
        raise ValueError(f"`outputs` must be at least {least}, which needs no padding, got {outputs}")
    total = max(0, total)
    return total // 2, total - total // 2


def same_padding(size: int, kernel_size: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Padding (before, after) of TensorFlow's "SAME", which gives ⌈size / stride⌉ outputs.

    The smallest total that is enough, halved; an odd one goes after (below, to the right). With stride 1 this
    is torch's ``padding="same"`` too; torch has no such rule for larger strides.

    >>> same_padding(5, 3)
    (1, 1)
    >>> same_padding(224, 3, stride=2)
    (0, 1)
    """
    outputs = -(-as_int("size", size, 1) // as_int("stride", stride, 1))
    return padding_for(size, outputs, kernel_size, stride=stride, dilation=dilation)


def symmetric_padding(kernel_size: int, *, dilation: int = 1) -> int:
    """Padding of each side that puts a window's centre on every position: dilation·(kernel_size − 1)/2.

    With stride 1 the size stays; with stride s there are ⌈size / s⌉ outputs, as many as with `same_padding`,
    but their windows can lie elsewhere. ValueError if the window has no centre: its span is even.

    >>> symmetric_padding(3)
    1
    >>> symmetric_padding(3, dilation=2)
    2
    """
    span = window_span(kernel_size, dilation)
    if span % 2 == 0:
        raise ValueError(
            f"a window of {span} (`kernel_size` {kernel_size}, `dilation` {dilation}) has no centre: "
            f"both sides cannot be padded alike"
        )
    return span // 2


def full_padding(kernel_size: int, *, dilation: int = 1) -> int:
    """Padding of each side with which every window that touches the axis counts: dilation·(kernel_size − 1).

    >>> full_padding(3), output_size(5, 3, padding=full_padding(3))
    (2, 7)
    """
    return window_span(kernel_size, dilation) - 1


def window_span(kernel_size: int, dilation: int = 1) -> int:
    """Extent of a window, holes included: dilation·(kernel_size − 1) + 1.

    >>> window_span(3, 2)
    5
    """
    return as_int("dilation", dilation, 1) * (as_int("kernel_size", kernel_size, 1) - 1) + 1


def coverage(
    size: Pair, kernel_size: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> NDArray[np.int64]:
    """How many windows read each pixel of an image of `size` (height, width): an array of that shape.

    All arguments as in `ops.conv2d`. The padding is read too, but has no place in the map; without it, the
    map sums to windows · height · width of the kernel. ValueError if the window does not fit.

    >>> coverage(5, 3)
    array([[1, 2, 3, 2, 1],
           [2, 4, 6, 4, 2],
           [3, 6, 9, 6, 3],
           [2, 4, 6, 4, 2],
           [1, 2, 3, 2, 1]])
    """
    kernel, strides = as_pair("kernel_size", kernel_size, 1), as_pair("stride", stride, 1)
    dilations = as_pair("dilation", dilation, 1)
    sides = as_sides(padding, kernel_size=kernel, stride=strides, dilation=dilations)
    counts = []
    for n, k, s, d, (before, after) in zip(
        as_pair("size", size, 1), kernel, strides, dilations, sides, strict=True
    ):
        windows = output_size(n, k, stride=s, padding=(before, after), dilation=d)
        read = np.add.outer(s * np.arange(windows), d * np.arange(k))  # (windows, k) positions
        counts.append(np.bincount(read.ravel(), minlength=before + n)[before : before + n])
    return np.outer(*counts)


def adaptive_bins(size: int, outputs: int) -> list[tuple[int, int]]:
    """Where the bins of adaptive pooling begin and end: ⌊i·size/outputs⌋ and ⌈(i + 1)·size/outputs⌉.

    Every position is in a bin; bins overlap where `size` is no multiple of `outputs`. (He et al. 2014,
    spatial pyramid pooling, appendix A; torch rounds in the same way.)

    >>> adaptive_bins(6, 3)
    [(0, 2), (2, 4), (4, 6)]
    >>> adaptive_bins(5, 3)
    [(0, 2), (1, 4), (3, 5)]
    """
    size, outputs = as_int("size", size, 1), as_int("outputs", outputs, 1)
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: Pair, *, groups: int = 1, bias: bool = True
) -> int:
    """Numbers that a convolution learns: out_channels · (in_channels/groups · height · width + bias).

    The size of the image is not in the formula: every position uses the same weights.

    >>> conv_parameters(32, 64, 3)
    18496
    >>> conv_parameters(1, 100, 10, bias=False)
    10000
    """
    inputs, outputs = as_int("in_channels", in_channels, 1), as_int("out_channels", out_channels, 1)
    height, width = as_pair("kernel_size", kernel_size, 1)
    groups = as_int("groups", groups, 1)
    for name, channels in (("in_channels", inputs), ("out_channels", outputs)):
        if channels % groups:
            raise ValueError(f"`{name}` must be a multiple of `groups`, got {channels} and {groups}")
    return outputs * (inputs // groups * height * width + bool(bias))


def conv_macs(
    in_channels: int, out_channels: int, kernel_size: Pair, output_size: Pair, *, groups: int = 1
) -> int:
    """Multiply-accumulates of a convolution on one image: its weights, times the pixels of `output_size`.

    A MAC is one product and one addition. Authors who count those as two operations give twice this number as
    FLOPs; others call the MACs themselves FLOPs (He et al. 2016 do).

    >>> conv_macs(3, 64, 7, 112)
    118013952
    """
    weights = conv_parameters(in_channels, out_channels, kernel_size, groups=groups, bias=False)
    return weights * weight_reuse(output_size)


def weight_reuse(output_size: Pair) -> int:
    """How often a convolution uses each weight on one image: once per output pixel, height · width.

    It is the ratio of `conv_macs` to `conv_parameters`; in a fully connected layer it is 1.

    >>> weight_reuse((112, 112))
    12544
    """
    height, width = as_pair("output_size", output_size, 1)
    return height * width


def local_parameters(units: int, in_channels: int, kernel_size: Pair, *, bias: bool = True) -> int:
    """Numbers that a locally connected layer learns: `units` windows, and every one with weights of its own.

    units · (in_channels · height · width + bias)

    >>> local_parameters(10**6, 1, 10, bias=False)
    100000000
    """
    height, width = as_pair("kernel_size", kernel_size, 1)
    window = as_int("in_channels", in_channels, 1) * height * width
    return as_int("units", units, 1) * (window + bool(bias))


def dense_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Numbers that a fully connected layer learns: out_features · (in_features + bias).

    >>> dense_parameters(1000 * 1000, 10**6, bias=False)
    1000000000000
    """
    inputs, outputs = as_int("in_features", in_features, 1), as_int("out_features", out_features, 1)
    return outputs * (inputs + bool(bias))


def dense_macs(in_features: int, out_features: int) -> int:
    """Multiply-accumulates of a fully connected layer on one input: each weight is used once.

    >>> dense_macs(512, 1000)
    512000
    """
    return dense_parameters(in_features, out_features, bias=False)


def as_int(name: str, value: Any, minimum: int) -> int:
    """Return `value` as an int that is at least `minimum`; the errors call it `name`.

    >>> as_int("stride", 0, 1)
    Traceback (most recent call last):
    ValueError: `stride` must be at least 1, got 0
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    if number < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {number}")
    return number


def as_pair(name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return one integer, or two for (height, width), as two.

    >>> as_pair("stride", 2, 1)
    (2, 2)
    """
    if not isinstance(value, tuple | list):
        number = as_int(name, value, minimum)
        return number, number
    if len(value) != 2:
        raise ValueError(f"`{name}` must be one integer or two, got {value!r}")
    return as_int(name, value[0], minimum), as_int(name, value[1], minimum)


def as_sides(
    padding: Any, *, kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Sides:
    """Return padding in any of its forms as ((top, bottom), (left, right)).

    The forms: an int, a pair (height, width), "valid" (none), "same" (stride 1 only, as in torch), and
    ((top, bottom), (left, right)) itself.

    >>> as_sides("same", kernel_size=(3, 4), stride=(1, 1), dilation=(1, 1))
    ((1, 1), (1, 2))
    """
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise ValueError(f'`padding` must be "same", "valid" or numbers, got {padding!r}')
        if stride != (1, 1):
            raise ValueError(
                f'`padding` "same" needs `stride` 1, got {stride}; for others see shapes.same_padding'
            )
        (kh, kw), (dh, dw) = kernel_size, dilation
        return same_padding(1, kh, dilation=dh), same_padding(1, kw, dilation=dw)
    nested = isinstance(padding, tuple | list) and any(isinstance(side, tuple | list) for side in padding)
    if not nested:
        height, width = as_pair("padding", padding, 0)
        return (height, height), (width, width)
    if len(padding) != 2:
        raise ValueError(f"`padding` must be ((top, bottom), (left, right)), got {padding!r}")
    return as_pair("padding", padding[0], 0), as_pair("padding", padding[1], 0)


def _slack(
    size: int, kernel_size: int, stride: int, padding: Pair, dilation: int, ceil_mode: bool = False
) -> tuple[int, int]:
    """How far the window can move along the padded axis, and the checked stride."""
    span, stride = window_span(kernel_size, dilation), as_int("stride", stride, 1)
    before, after = as_pair("padding", padding, 0)
    slack = as_int("size", size, 1) + before + after - span
    if slack <= (-stride if ceil_mode else -1):
        raise ValueError(
            f"a window of {span} (`kernel_size` {kernel_size}, `dilation` {dilation}) does not fit into "
            f"{span + slack} (`size` {size}, `padding` {before} + {after})"
        )
    return slack, stride
