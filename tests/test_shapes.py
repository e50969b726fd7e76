from fractions import Fraction
from math import ceil

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
