"""Shapes and counts: how many windows fit, what is left over, how many numbers a layer learns.

Integers in, integers out, exact for any size. Functions on sizes work along one axis: call them once for the
height and once for the width. Nothing is rounded silently: where a division floors, the docstring says so.
"""

import operator
from typing import Any

Pair = int | tuple[int, int]
Sides = tuple[tuple[int, int], tuple[int, int]]
Padding = str | Pair | Sides


def output_size(size: int, kernel_size: int, *, stride: int = 1, padding: Pair = 0, dilation: int = 1) -> int:
    """Number of positions that a window takes along one axis.

    ⌊(size + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1

    (Dumoulin & Visin 2016, relationship 15.) `padding` is the number of positions added to each end, or a
    pair (before, after) whose sum replaces 2·padding. ValueError if the window is wider than the padded axis.

    >>> output_size(32, 5)
    28
    >>> output_size(224, 7, stride=2, padding=3)
    112
    >>> output_size(1000, 10, stride=8)
    124
    """
    slack, stride = _slack(size, kernel_size, stride, padding, dilation)
    return slack // stride + 1


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


def same_padding(size: int, kernel_size: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Padding (before, after) of TensorFlow's "SAME", which gives ⌈size / stride⌉ outputs.

    The smallest total that is enough, halved; an odd one goes after (below, to the right). With stride 1 this
    is torch's ``padding="same"`` too; torch has no such rule for larger strides.

    >>> same_padding(5, 3)
    (1, 1)
    >>> same_padding(224, 3, stride=2)
    (0, 1)
    """
    size = as_int("size", size, 1)
    stride = as_int("stride", stride, 1)
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + window_span(kernel_size, dilation) - size)
    return total // 2, total - total // 2


def window_span(kernel_size: int, dilation: int = 1) -> int:
    """Extent of a window, holes included: dilation·(kernel_size − 1) + 1.

    >>> window_span(3, 2)
    5
    """
    return as_int("dilation", dilation, 1) * (as_int("kernel_size", kernel_size, 1) - 1) + 1


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


def _slack(size: int, kernel_size: int, stride: int, padding: Pair, dilation: int) -> tuple[int, int]:
    """How far the window can move along the padded axis, and the checked stride."""
    span = window_span(kernel_size, dilation)
    before, after = as_pair("padding", padding, 0)
    slack = as_int("size", size, 1) + before + after - span
    if slack < 0:
        raise ValueError(
            f"a window of {span} (`kernel_size` {kernel_size}, `dilation` {dilation}) does not fit into "
            f"{span + slack} (`size` {size}, `padding` {before} + {after})"
        )
    return slack, as_int("stride", stride, 1)
