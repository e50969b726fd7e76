from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlab import shapes

windows = {
    "size": st.integers(1, 60),
    "kernel_size": st.integers(1, 7),
    "stride": st.integers(1, 5),
    "padding": st.integers(0, 4) | st.tuples(st.integers(0, 4), st.integers(0, 4)),
    "dilation": st.integers(1, 4),
}


def slide(size, kernel_size, stride, padding, dilation):
    """Oracle: all windows, one by one, as lists of padded positions; and the length of the padded axis."""
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    length = before + size + after
    offsets = range(0, kernel_size * dilation, dilation)
    starts = range(0, length, stride)
    return [[s + o for o in offsets] for s in starts if s + offsets[-1] < length], length


@given(**windows)
def test_output_size_and_dropped_count_windows(size, kernel_size, stride, padding, dilation):
    found, length = slide(size, kernel_size, stride, padding, dilation)
    arguments = {"stride": stride, "padding": padding, "dilation": dilation}
    if found:
        assert shapes.output_size(size, kernel_size, **arguments) == len(found)
        assert shapes.dropped(size, kernel_size, **arguments) == length - 1 - found[-1][-1]
    else:
        for function in (shapes.output_size, shapes.dropped):
            with pytest.raises(ValueError, match=rf"does not fit into {length} \(`size` {size}, `padding` "):
                function(size, kernel_size, **arguments)


@given(**windows)
def test_ceil_mode_counts_windows_that_begin_inside(size, kernel_size, stride, padding, dilation):
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    span = (kernel_size - 1) * dilation + 1
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": True}
    starts = [s for s in range(0, before + size, stride) if s - stride + span < before + size + after]
    # of the windows that begin inside: those that fit, and the first that does not
    if before + size + after - span <= -stride:
        with pytest.raises(ValueError, match="does not fit"):
            shapes.output_size(size, kernel_size, **arguments)
    else:
        assert shapes.output_size(size, kernel_size, **arguments) == len(starts)


@given(
    size=st.integers(1, 12),
    kernel_size=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)
def test_ceil_mode_equals_torch(size, kernel_size, stride, padding, dilation):
    torch = pytest.importorskip("torch")
    padding = min(padding, kernel_size // 2)
    if size + 2 * padding - shapes.window_span(kernel_size, dilation) <= -stride:
        return
    y = torch.nn.functional.max_pool1d(
        torch.ones(1, 1, size), kernel_size, stride, padding, dilation, ceil_mode=True
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": True}
    assert shapes.output_size(size, kernel_size, **options) == y.shape[2]


@given(
    size=st.integers(1, 40),
    kernel_size=windows["kernel_size"],
    stride=windows["stride"],
    padding=windows["padding"],
    dilation=windows["dilation"],
    extra=st.integers(0, 4),
)
def test_transposed_size_undoes_output_size(size, kernel_size, stride, padding, dilation, extra):
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    extra = min(extra, stride - 1)
    canvas = (size - 1) * stride + (kernel_size - 1) * dilation + 1 + extra
    if canvas <= before + after:
        with pytest.raises(
            ValueError, match=rf"`padding` {before} \+ {after} leaves nothing of an output of "
        ):
            shapes.transposed_size(size, kernel_size, output_padding=extra, **options)
        return
    back = shapes.transposed_size(size, kernel_size, output_padding=extra, **options)
    assert back == canvas - before - after
    assert shapes.output_size(back, kernel_size, **options) == size  # for each `extra` below the stride


@given(
    size=st.integers(1, 20),
    kernel_size=windows["kernel_size"],
    stride=windows["stride"],
    dilation=windows["dilation"],
    outputs=st.integers(1, 20),
)
def test_padding_for_is_the_least_that_works(size, kernel_size, stride, dilation, outputs):
    def outputs_with(total):
        options = {"stride": stride, "dilation": dilation, "padding": (0, total)}
        fits = size + total >= shapes.window_span(kernel_size, dilation)
        return shapes.output_size(size, kernel_size, **options) if fits else 0

    totals = [total for total in range(200) if outputs_with(total) == outputs]
    if not totals:
        least = outputs_with(0)
        message = f"`outputs` must be at least {least}, which needs no padding, got {outputs}"
        with pytest.raises(ValueError, match=message):
            shapes.padding_for(size, outputs, kernel_size, stride=stride, dilation=dilation)
        return
    before, after = shapes.padding_for(size, outputs, kernel_size, stride=stride, dilation=dilation)
    assert before + after == min(totals)
    assert 0 <= after - before <= 1
    if min(totals):
        assert len(totals) == stride


@given(
    size=windows["size"],
    kernel_size=st.integers(1, 9),
    dilation=windows["dilation"],
    stride=windows["stride"],
)
def test_symmetric_padding_centres_windows_on_positions(size, kernel_size, dilation, stride):
    span = (kernel_size - 1) * dilation + 1
    if span % 2 == 0:
        with pytest.raises(ValueError, match=rf"window of {span} \(.*\) has no centre: both sides cannot be"):
            shapes.symmetric_padding(kernel_size, dilation=dilation)
        return
    padding = shapes.symmetric_padding(kernel_size, dilation=dilation)
    found, _ = slide(size, kernel_size, stride, padding, dilation)
    assert [(w[0] + w[-1]) // 2 - padding for w in found] == list(range(0, size, stride))
    assert len(found) == ceil(Fraction(size, stride))


def test_same_is_one_shape_but_two_places():
    # a 3×3 with stride 2 over 4: TensorFlow reads from 0, symmetric padding from −1, and both give 2 outputs
    assert shapes.same_padding(4, 3, stride=2) == (0, 1)
    assert shapes.symmetric_padding(3) == 1
    assert shapes.output_size(4, 3, stride=2, padding=(0, 1)) == 2
    assert shapes.output_size(4, 3, stride=2, padding=1) == 2


@given(size=windows["size"], kernel_size=windows["kernel_size"], dilation=windows["dilation"])
def test_full_padding_counts_every_window_that_touches(size, kernel_size, dilation):
    padding = shapes.full_padding(kernel_size, dilation=dilation)
    span = (kernel_size - 1) * dilation + 1
    touching = [s for s in range(-99, 99) if s < size and s + span > 0]
    assert shapes.output_size(size, kernel_size, padding=padding, dilation=dilation) == len(touching)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sides=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_coverage_counts_windows(size, kernel_size, stride, sides, dilation):
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    axes = zip(size, kernel_size, strides, sides, dilation, strict=True)
    (rows, height), (columns, width) = (slide(*axis) for axis in axes)
    options = {"stride": stride, "padding": sides, "dilation": dilation}
    if not rows or not columns:
        with pytest.raises(ValueError, match="does not fit"):
            shapes.coverage(size, kernel_size, **options)
        return
    expected = np.zeros((height, width), int)
    for row in rows:
        for column in columns:
            expected[np.ix_(row, column)] += 1
    (top, _), (left, _) = sides
    expected = expected[top : top + size[0], left : left + size[1]]
    found = shapes.coverage(size, kernel_size, **options)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


def test_coverage_of_corner_and_centre():
    plain = shapes.coverage(6, 3)
    assert (plain[0, 0], plain[0, 3], plain[3, 3]) == (1, 3, 9)
    assert plain.sum() == 4 * 4 * 9
    padded = shapes.coverage((5, 7), 3, padding="same")
    assert (padded[0, 0], padded[2, 3]) == (4, 9)
    np.testing.assert_array_equal(shapes.coverage(5, 3, padding=shapes.full_padding(3)), 9)


@given(size=st.integers(1, 12), outputs=st.integers(1, 12))
def test_adaptive_bins_cover_everything(size, outputs):
    bins = shapes.adaptive_bins(size, outputs)
    assert len(bins) == outputs
    assert bins[0][0] == 0
    assert bins[-1][1] == size
    for (start, end), (next_start, next_end) in pairwise(bins):
        assert start <= next_start <= end <= next_end
    # a bin has the positions that its share of the axis touches
    width = Fraction(size, outputs)
    for i, (start, end) in enumerate(bins):
        assert [p for p in range(size) if p + 1 > i * width and p < (i + 1) * width] == list(
            range(start, end)
        )


@given(
    groups=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel_size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_macs_are_counted(groups, inputs, outputs, kernel_size, size):
    inputs, outputs = inputs * groups, outputs * groups
    products = sum(
        inputs // groups  # the channels that one filter sees
        for _ in np.ndindex(outputs, *size, *kernel_size)
    )
    assert shapes.conv_macs(inputs, outputs, kernel_size, size, groups=groups) == products
    weights = shapes.conv_parameters(inputs, outputs, kernel_size, groups=groups, bias=False)
    assert products == weights * shapes.weight_reuse(size)
    assert shapes.dense_macs(inputs, outputs) == shapes.conv_macs(inputs, outputs, 1, 1)


def test_macs_of_known_layers():
    # the first layer of ResNet-50, and its whole last one
    assert shapes.conv_macs(3, 64, 7, 112) == 112 * 112 * 64 * 147
    assert shapes.dense_macs(2048, 1000) == 2_048_000
    assert shapes.weight_reuse(112) == shapes.weight_reuse((112, 112)) == 12544


def test_stride_8_leaves_the_last_6_unseen():
    assert shapes.output_size(1000, 10, stride=10) == 100
    assert shapes.output_size(1000, 10, stride=8) == 124
    assert shapes.dropped(1000, 10, stride=8) == 6


@given(
    size=windows["size"],
    kernel_size=windows["kernel_size"],
    stride=windows["stride"],
    dilation=windows["dilation"],
)
def test_same_padding_is_the_least_that_keeps_every_position(size, kernel_size, stride, dilation):
    before, after = shapes.same_padding(size, kernel_size, stride=stride, dilation=dilation)
    outputs = ceil(Fraction(size, stride))
    assert 0 <= after - before <= 1

    def outputs_with(padding):
        return shapes.output_size(size, kernel_size, stride=stride, dilation=dilation, padding=padding)

    if before + after == 0:
        assert outputs_with(0) == outputs
    else:
        assert outputs_with((before, after)) == outputs
        less = before + after - 1
        fits = size + less >= shapes.window_span(kernel_size, dilation)
        assert not fits or outputs_with((0, less)) < outputs


def test_same_padding_examples():
    # TensorFlow: 224 with a 3×3 of stride 2 is padded at the bottom and right alone; 4 keeps an odd one after
    assert shapes.same_padding(224, 3, stride=2) == (0, 1)
    assert shapes.same_padding(225, 3, stride=2) == (1, 1)
    assert shapes.same_padding(10, 4) == (1, 2)
    assert shapes.same_padding(10, 1, stride=3) == (0, 0)


def test_weights_of_connections():
    image, units = 1000 * 1000, 10**6
    assert shapes.dense_parameters(image, units, bias=False) == 10**12
    assert shapes.local_parameters(units, 1, 10, bias=False) == 10**8
    assert shapes.conv_parameters(1, 1, 10, bias=False) == 100
    assert shapes.conv_parameters(1, 100, 10, bias=False) == 10**4
    image, units = 100 * 100, 10**5
    assert shapes.dense_parameters(image, units, bias=False) == 10**9
    assert shapes.local_parameters(units, 1, 3, bias=False) == 9 * 10**5
    assert shapes.conv_parameters(1, 1, 3, bias=False) == 9
    assert shapes.conv_parameters(1, 100, 3, bias=False) == 900


@given(
    groups=st.integers(1, 3),
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    kernel_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    bias=st.booleans(),
)
def test_parameters_equal_torch(groups, inputs, outputs, kernel_size, bias):
    nn = pytest.importorskip("torch.nn")
    inputs, outputs = inputs * groups, outputs * groups
    conv = nn.Conv2d(inputs, outputs, kernel_size, groups=groups, bias=bias)
    expected = sum(p.numel() for p in conv.parameters())
    assert shapes.conv_parameters(inputs, outputs, kernel_size, groups=groups, bias=bias) == expected
    dense = sum(p.numel() for p in nn.Linear(inputs, outputs, bias=bias).parameters())
    assert shapes.dense_parameters(inputs, outputs, bias=bias) == dense
    # one unit with weights of its own is a filter
    assert shapes.local_parameters(1, inputs, kernel_size, bias=bias) == shapes.conv_parameters(
        inputs, 1, kernel_size, bias=bias
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: shapes.output_size(5, 3, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (lambda: shapes.output_size(5, 3, stride=-2), ValueError, "`stride` must be at least 1, got -2"),
        (lambda: shapes.output_size(5, 3, padding=-1), ValueError, "`padding` must be at least 0, got -1"),
        (lambda: shapes.output_size(5, 0), ValueError, "`kernel_size` must be at least 1, got 0"),
        (lambda: shapes.output_size(0, 1, padding=3), ValueError, "`size` must be at least 1, got 0"),
        (lambda: shapes.output_size(5, 3, dilation=0), ValueError, "`dilation` must be at least 1, got 0"),
        (lambda: shapes.output_size(5.0, 3), TypeError, "`size` must be an integer, got 5.0"),
        (lambda: shapes.output_size(5, True), TypeError, "`kernel_size` must be an integer, got True"),
        (
            lambda: shapes.output_size(5, 3, padding="same"),
            TypeError,
            "`padding` must be an integer, got 'same'",
        ),
        (
            lambda: shapes.output_size(5, 3, padding=(1, 2, 3)),
            ValueError,
            "`padding` must be one integer or two",
        ),
        (
            lambda: shapes.dropped(5, 6),
            ValueError,
            r"window of 6 \(`kernel_size` 6, `dilation` 1\) does not fit",
        ),
        (lambda: shapes.same_padding(0, 3), ValueError, "`size` must be at least 1, got 0"),
        (lambda: shapes.same_padding(5, 3, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (lambda: shapes.padding_for(5, 0, 3), ValueError, "`outputs` must be at least 1, got 0"),
        (
            lambda: shapes.padding_for(5, 2, 3),
            ValueError,
            "`outputs` must be at least 3, which needs no padding",
        ),
        (lambda: shapes.symmetric_padding(4), ValueError, r"a window of 4 \(.*\) has no centre"),
        (lambda: shapes.full_padding(0), ValueError, "`kernel_size` must be at least 1, got 0"),
        (lambda: shapes.transposed_size(0, 3), ValueError, "`size` must be at least 1, got 0"),
        (
            lambda: shapes.transposed_size(5, 3, stride=2, output_padding=2),
            ValueError,
            "`output_padding` must be less than `stride` 2 or `dilation` 1, got 2",
        ),
        (
            lambda: shapes.transposed_size(1, 2, padding=1),
            ValueError,
            r"`padding` 1 \+ 1 leaves nothing of an output of 2",
        ),
        (lambda: shapes.coverage(3, 4), ValueError, "a window of 4 .* does not fit into 3"),
        (lambda: shapes.coverage((3, 0), 1), ValueError, "`size` must be at least 1, got 0"),
        (lambda: shapes.adaptive_bins(3, 0), ValueError, "`outputs` must be at least 1, got 0"),
        (lambda: shapes.conv_macs(3, 4, 3, 5, groups=2), ValueError, "`in_channels` must be a multiple of"),
        (lambda: shapes.weight_reuse((3, 0)), ValueError, "`output_size` must be at least 1, got 0"),
        (lambda: shapes.dense_macs(3, 0), ValueError, "`out_features` must be at least 1, got 0"),
        (
            lambda: shapes.conv_parameters(3, 4, 3, groups=2),
            ValueError,
            "`in_channels` must be a multiple of",
        ),
        (
            lambda: shapes.conv_parameters(4, 3, 3, groups=2),
            ValueError,
            "`out_channels` must be a multiple of",
        ),
        (
            lambda: shapes.conv_parameters(4, 3, (3, 3, 3)),
            ValueError,
            "`kernel_size` must be one integer or two",
        ),
        (lambda: shapes.dense_parameters(0, 3), ValueError, "`in_features` must be at least 1, got 0"),
        (lambda: shapes.local_parameters(3, 1, 2.5), TypeError, "`kernel_size` must be an integer, got 2.5"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("padding", "sides"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((2, 2), (1, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ((1, (2, 3)), ((1, 1), (2, 3))),
    ],
)
def test_forms_of_padding(padding, sides):
    assert shapes.as_sides(padding, kernel_size=(3, 4), stride=(1, 1), dilation=(2, 1)) == sides


@pytest.mark.parametrize(
    ("padding", "stride", "message"),
    [
        ("full", (1, 1), '`padding` must be "same", "valid" or numbers, got \'full\''),
        ("same", (2, 1), r'`padding` "same" needs `stride` 1, got \(2, 1\)'),
        (((1, 1),), (1, 1), r"`padding` must be \(\(top, bottom\), \(left, right\)\)"),
        (((0, -1), (0, 0)), (1, 1), "`padding` must be at least 0, got -1"),
    ],
)
def test_bad_padding(padding, stride, message):
    with pytest.raises(ValueError, match=message):
        shapes.as_sides(padding, kernel_size=(3, 3), stride=stride, dilation=(1, 1))
