import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlab import ops
from convlab.kernels import flip

pairs = st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3))
small = st.integers(0, 3)


@st.composite
def convolutions(draw):
    """Shapes of x, weight and bias, and the arguments: everything that torch accepts, up to a small size."""
    groups = draw(st.integers(1, 3))
    depth, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation = draw(pairs), draw(pairs)
    padding = draw(small | st.tuples(small, small) | st.just("valid"))
    if draw(st.booleans()):
        stride, padding = 1, "same"
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, np.broadcast_to(dilation, 2), strict=True)]
    size = tuple(span + draw(st.integers(0, 7)) for span in spans)
    batch = draw(st.sampled_from([(), (0,), (1,), (3,)]))
    bias = (filters,) if draw(st.booleans()) else None
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (*batch, depth * groups, *size), (filters, depth, *kernel), bias, arguments


def numbers(shape, dtype, seed):
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "i":
        return generator.integers(-9, 10, shape).astype(dtype)
    return generator.standard_normal(shape).astype(dtype)


def torch_conv2d(x, weight, bias, **arguments):
    bias = None if bias is None else torch.tensor(bias)
    return torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), bias, **arguments).numpy()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=500)
@given(
    case=convolutions(),
    dtype=st.sampled_from(["float32", "float64", "int64", "complex64"]),
    seed=st.integers(0, 9),
)
def test_conv2d_equals_torch(case, dtype, seed):
    x_shape, weight_shape, bias_shape, arguments = case
    x, weight = numbers(x_shape, dtype, seed), numbers(weight_shape, dtype, seed + 1)
    bias = None if bias_shape is None else numbers(bias_shape, dtype, seed + 2)
    y, expected = ops.conv2d(x, weight, bias, **arguments), torch_conv2d(x, weight, bias, **arguments)
    assert y.dtype == expected.dtype
    tolerance = {"float32": 1e-4, "complex64": 1e-4, "float64": 1e-12, "int64": 0}[dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("tile_bytes", [1, 500, 2000, 2**20])
def test_conv2d_in_bands_of_any_height(tile_bytes, monkeypatch):
    monkeypatch.setattr(ops, "TILE_BYTES", tile_bytes)  # from one output row at a time to all 11 at once
    x, weight = numbers((2, 4, 13, 9), "int64", 0), numbers((6, 2, 3, 2), "int64", 1)
    np.testing.assert_array_equal(ops.conv2d(x, weight, groups=2), torch_conv2d(x, weight, None, groups=2))


@pytest.mark.parametrize("maps", [1, 2, 3, 5, 9])
def test_conv2d_with_several_groups_in_a_tile(maps, monkeypatch):
    monkeypatch.setattr(ops, "TILE_BYTES", maps * 3 * 2 * 11 * 8 * 8)  # windows of so many maps fit
    x, weight = numbers((2, 5, 13, 9), "int64", 0), numbers((10, 1, 3, 2), "int64", 1)
    np.testing.assert_array_equal(ops.conv2d(x, weight, groups=5), torch_conv2d(x, weight, None, groups=5))


@pytest.mark.parametrize("groups", [1, 64])
def test_conv2d_takes_little_memory(groups):
    x, weight = numbers((4, 64, 56, 56), "float32", 0), numbers((64, 64 // groups, 3, 3), "float32", 1)
    tracemalloc.start()
    y = ops.conv2d(x, weight, groups=groups)  # all windows of one image are 7 MiB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - y.nbytes < 2 * 2**20


def test_conv2d_by_hand():
    x = [[[1, 2, 0], [0, 1, 3], [4, 0, 1]]]
    weight = [[[[1, 2], [3, 4]]]]
    y = ops.conv2d(x, weight, [10])
    # 1·1 + 2·2 + 0·3 + 1·4 + 10, …
    np.testing.assert_array_equal(y, [[[19, 27], [24, 21]]])
    assert y.dtype == np.int64


def test_padding_of_each_side():
    x, weight = numbers((2, 3, 6, 5), "float64", 0), numbers((4, 3, 3, 2), "float64", 1)
    wide = np.pad(x, ((0, 0), (0, 0), (0, 2), (3, 1)))
    expected = ops.conv2d(wide, weight, stride=2)
    np.testing.assert_array_equal(ops.conv2d(x, weight, stride=2, padding=((0, 2), (3, 1))), expected)


@given(case=convolutions(), seed=st.integers(0, 9), a=st.integers(-3, 3), b=st.integers(-3, 3))
def test_conv2d_is_linear(case, seed, a, b):
    x_shape, weight_shape, _, arguments = case
    x, y = numbers(x_shape, "int64", seed), numbers(x_shape, "int64", seed + 1)
    weight = numbers(weight_shape, "int64", seed + 2)

    def conv(image):
        return ops.conv2d(image, weight, **arguments)

    np.testing.assert_array_equal(conv(a * x + b * y), a * conv(x) + b * conv(y))


@given(down=st.integers(0, 3), right=st.integers(0, 3), stride=st.integers(1, 2), dilation=st.integers(1, 2))
def test_conv2d_moves_with_the_image(down, right, stride, dilation):
    scene, weight = numbers((1, 2, 24, 22), "int64", 0), numbers((3, 2, 3, 3), "int64", 1)
    y = ops.conv2d(scene, weight, stride=stride, dilation=dilation)
    moved = scene[:, :, down * stride :, right * stride :]
    y_moved = ops.conv2d(moved, weight, stride=stride, dilation=dilation)
    np.testing.assert_array_equal(y_moved, y[:, :, down:, right:])


def test_flipped_kernels_commute():
    x, a, b = (
        numbers((1, 1, 9, 9), "int64", 0),
        numbers((1, 1, 3, 3), "int64", 1),
        numbers((1, 1, 2, 3), "int64", 2),
    )

    def convolve(image, kernel):
        return ops.conv2d(image, flip(kernel), padding=(kernel.shape[2] - 1, kernel.shape[3] - 1))

    np.testing.assert_array_equal(convolve(convolve(x, a), b), convolve(convolve(x, b), a))
    np.testing.assert_array_equal(convolve(a, b), convolve(b, a))


def test_input_is_left_alone():
    x, weight, bias = (
        numbers((1, 2, 5, 5), "float32", 0),
        numbers((2, 2, 3, 3), "float32", 1),
        np.ones(2, "float32"),
    )
    copies = x.copy(), weight.copy(), bias.copy()
    for array in (x, weight, bias):
        array.setflags(write=False)
    ops.conv2d(x[:, ::-1], weight.swapaxes(2, 3), bias, padding=1)
    for array, copy in zip((x, weight, bias), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_integers_do_not_wrap_around(dtype):
    x = np.full((1, 1, 4, 4), 100, dtype)
    y = ops.conv2d(x, np.full((1, 1, 3, 3), 100, dtype), np.array([1], dtype))
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y, 90_001)


def test_float16_stays_float16_but_is_summed_in_float32():
    x, weight = np.full((1, 1, 64, 64), 1, "float16"), np.full((1, 1, 64, 64), 1, "float16")
    weight[0, 0, 0, 0] = (
        2048  # above 2048, float16 cannot count in ones: summed one by one it would stay there
    )
    y = ops.conv2d(x, weight)
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, np.float16(2048 + 64 * 64 - 1))
    x, weight = numbers((2, 3, 7, 7), "float16", 0), numbers((4, 3, 3, 3), "float16", 1)
    np.testing.assert_allclose(ops.conv2d(x, weight), torch_conv2d(x, weight, None), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "result"),
    [
        ("uint8", "float64", None, "float64"),  # a photograph and a kernel
        ("float32", "float64", None, "float64"),
        ("float32", "float32", "float64", "float64"),
        ("float16", "float32", None, "float32"),
        ("uint8", "int16", "int64", "int64"),
        ("float32", "complex64", None, "complex64"),
    ],
)
def test_mixed_dtypes_give_the_common_one(x, weight, bias, result):
    arrays = (
        np.ones((1, 1, 3, 3), x),
        np.full((1, 1, 2, 2), 2, weight),
        None if bias is None else np.ones(1, bias),
    )
    y = ops.conv2d(*arrays)
    assert y.dtype == result
    np.testing.assert_array_equal(y, 8 if bias is None else 9)


def test_empty_batch_and_no_channels():
    assert ops.conv2d(np.ones((0, 2, 5, 5)), np.ones((3, 2, 3, 3))).shape == (0, 3, 3, 3)
    y = ops.conv2d(
        np.ones((1, 0, 5, 5)), np.ones((2, 0, 3, 3)), np.array([1.0, 2.0])
    )  # an empty sum, and the bias
    np.testing.assert_array_equal(y[0, :, 0, 0], [1, 2])


image, kernel = np.ones((1, 2, 5, 4)), np.ones((3, 2, 3, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((image[0, 0], kernel), {}, ValueError, r"`x` must have shape \(N, C, H, W\) or .*, got \(5, 4\)"),
        ((image[None], kernel), {}, ValueError, r"`x` must have shape .*, got \(1, 1, 2, 5, 4\)"),
        ((image, kernel[0]), {}, ValueError, r"`weight` must have shape .*, got \(2, 3, 3\)"),
        (
            (image, kernel[:, :1]),
            {},
            ValueError,
            r"`x` has 2 channels, but `weight` .*\(3, 1, 3, 3\).* expects 1$",
        ),
        ((image, kernel), {"groups": 3}, ValueError, "`x` has 2 channels, but .* with `groups` 3 expects 6"),
        (
            (image, kernel),
            {"groups": 2},
            ValueError,
            "filters of `weight` must be a multiple of `groups` 2, got 3",
        ),
        ((image, kernel), {"groups": 0}, ValueError, "`groups` must be at least 1, got 0"),
        ((image, kernel[:0]), {}, ValueError, "filters of `weight` must be a multiple of `groups` 1, got 0"),
        ((image, kernel[:, :, :0]), {}, ValueError, "`kernel_size` must be at least 1, got 0"),
        (
            (image[:, :, :0], kernel),
            {"padding": 2},
            ValueError,
            r"`x` has no pixels: its shape is \(1, 2, 0, 4\)",
        ),
        ((image, kernel, np.ones(2)), {}, ValueError, r"`bias` must .* shape \(3,\), got \(2,\)"),
        ((image, kernel, 1.0), {}, ValueError, r"`bias` must .* shape \(3,\), got \(\)"),
        ((image, kernel), {"stride": 0}, ValueError, "`stride` must be at least 1, got 0"),
        ((image, kernel), {"stride": (1, -1)}, ValueError, "`stride` must be at least 1, got -1"),
        ((image, kernel), {"stride": 1.5}, TypeError, "`stride` must be an integer, got 1.5"),
        ((image, kernel), {"stride": (1, 1, 1)}, ValueError, "`stride` must be one integer or two"),
        ((image, kernel), {"dilation": 0}, ValueError, "`dilation` must be at least 1, got 0"),
        (
            (image, kernel),
            {"dilation": 2},
            ValueError,
            r"a window of 5 \(.*`dilation` 2\) does not fit into 4",
        ),
        ((image, kernel), {"padding": -1}, ValueError, "`padding` must be at least 0, got -1"),
        ((image, kernel), {"padding": "full"}, ValueError, '`padding` must be "same", "valid" or numbers'),
        ((image, kernel), {"padding": "same", "stride": 2}, ValueError, '`padding` "same" needs `stride` 1'),
        ((image[:, :, :2], kernel), {}, ValueError, r"a window of 3 \(.*\) does not fit into 2 \(`size` 2"),
        ((image > 0, kernel), {}, TypeError, "`x` must hold floats, or integers that fit int64, got bool"),
        ((image, kernel.astype("uint64")), {}, TypeError, "`weight` must hold .*, got uint64"),
        ((image, kernel, np.array(["1", "2", "3"])), {}, TypeError, "`bias` must hold .*, got <U1"),
    ],
)
def test_bad_input(arguments, options, error, message):
    with pytest.raises(error, match=message):
        ops.conv2d(*arguments, **options)


@settings(max_examples=500)
@given(
    seed=st.integers(0, 9), dtype=st.sampled_from(["float16", "float32", "float64", "int8", "int64", "uint8"])
)
def test_relu_equals_torch(seed, dtype):
    x = (100 * np.random.default_rng(seed).standard_normal((3, 4, 2))).astype("int64").astype(dtype)
    y = ops.relu(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, torch.relu(torch.tensor(x)).numpy())


def test_relu_of_special_values():
    np.testing.assert_array_equal(ops.relu([np.nan, -np.inf, np.inf, -0.0]), [np.nan, 0, np.inf, 0])
    assert ops.relu(np.ones((0, 3))).shape == (0, 3)
    assert ops.relu(-2.0) == 0


@pytest.mark.parametrize("x", [np.array([True]), np.array([1j]), np.array(["a"])])
def test_relu_needs_real_numbers(x):
    with pytest.raises(TypeError, match=f"`x` must hold real numbers, got dtype {x.dtype}"):
        ops.relu(x)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def options_of(draw, kernel, most=None):
    """Stride, dilation and padding for a kernel; padding up to `most` on each side."""
    stride, dilation = draw(pairs), draw(pairs)
    most = (3, 3) if most is None else most
    padding = tuple(draw(st.integers(0, m)) for m in most)
    return (
        stride,
        dilation,
        draw(st.sampled_from([padding, padding[0]])) if padding[0] <= min(most) else padding,
    )


def spans_of(kernel, dilation):
    return [(k - 1) * d + 1 for k, d in zip(kernel, pair(dilation), strict=True)]


batches = st.sampled_from([(), (0,), (1,), (2,)])
kernels_drawn = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def transposed(draw):
    """What conv_transpose2d of torch accepts, but no empty results."""
    groups, kernel = draw(st.integers(1, 3)), draw(kernels_drawn)
    depth, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride, dilation, padding = options_of(draw, kernel)
    room = [max(s, d) - 1 for s, d in zip(pair(stride), pair(dilation), strict=True)]
    extra = tuple(draw(st.integers(0, r)) for r in room)
    size = []
    for span, s, p, e in zip(
        spans_of(kernel, dilation),
        pair(stride),
        pair(padding),
        extra,
        strict=True,
    ):
        least = max(1, -((span + e - 2 * p - 1) // s) + 1)  # (size − 1)·s + span + e > 2·p
        size.append(least + draw(st.integers(0, 4)))
    bias = (groups * filters,) if draw(st.booleans()) else None
    arguments = {
        "stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    x_shape = (*draw(batches), depth * groups, *size)
    return x_shape, (depth * groups, filters, *kernel), bias, arguments


@settings(max_examples=500)
@given(case=transposed(), dtype=st.sampled_from(["float32", "float64", "int64"]), seed=st.integers(0, 9))
def test_conv_transpose2d_equals_torch(case, dtype, seed):
    x_shape, weight_shape, bias_shape, arguments = case
    x, weight = numbers(x_shape, dtype, seed), numbers(weight_shape, dtype, seed + 1)
    bias = None if bias_shape is None else numbers(bias_shape, dtype, seed + 2)
    y = ops.conv_transpose2d(x, weight, bias, **arguments)
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x), torch.tensor(weight), None if bias is None else torch.tensor(bias), **arguments
    ).numpy()
    assert y.dtype == expected.dtype
    tolerance = {"float32": 1e-4, "float64": 1e-12, "int64": 0}[dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@given(case=convolutions(), seed=st.integers(0, 9))
def test_conv_transpose2d_is_the_transpose(case, seed):
    x_shape, weight_shape, _, arguments = case
    x, weight = numbers(x_shape, "int64", seed), numbers(weight_shape, "int64", seed + 1)
    y = ops.conv2d(x, weight, **arguments)
    z = numbers(y.shape, "int64", seed + 2)
    smallest = ops.conv_transpose2d(z, weight, **arguments).shape
    extra = tuple(a - b for a, b in zip(x.shape[-2:], smallest[-2:], strict=True))  # what the stride dropped
    stride = pair(arguments["stride"])
    assert all(0 <= e < s for e, s in zip(extra, stride, strict=True))
    back = ops.conv_transpose2d(z, weight, output_padding=extra, **arguments)
    assert back.shape == x.shape
    assert (y * z).sum() == (x * back).sum()  # ⟨conv x, z⟩ = ⟨x, convᵀ z⟩


def test_conv_transpose2d_by_hand():
    x, weight = [[[1, 2], [3, 4]]], [[[[1, 10], [100, 1000]]]]
    y = ops.conv_transpose2d(x, weight, [5], stride=2, output_padding=(1, 0))
    expected = [[1, 10, 2, 20], [100, 1000, 200, 2000], [3, 30, 4, 40], [300, 3000, 400, 4000], [0, 0, 0, 0]]
    np.testing.assert_array_equal(y[0], np.array(expected) + 5)
    cut = ops.conv_transpose2d(x, weight, stride=2, padding=((1, 0), (0, 2)))
    np.testing.assert_array_equal(cut[0], [[100, 1000], [3, 30], [300, 3000]])
    np.testing.assert_array_equal(
        ops.conv_transpose2d(x, np.ones((1, 1, 3, 3), int), padding="same"), [[[10, 10]] * 2]
    )
    half = ops.conv_transpose2d(
        np.ones((1, 64, 64), "float16"), np.ones((1, 1, 64, 64), "float16"), padding=63
    )
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, [[[4096]]])


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_matrix(stride):
    weight, x = numbers((3, 2, 3, 2), "int64", 0), numbers((4, 5, 6), "int64", 1)
    weight = np.concatenate([weight, weight[::-1]])
    options = {"stride": stride, "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    matrix = ops.convolution_matrix(weight, (5, 6), **options)
    y = ops.conv2d(x, weight, **options)
    assert matrix.shape == (y.size, x.size)
    np.testing.assert_array_equal(matrix @ x.ravel(), y.ravel())
    extra = tuple(
        a - b for a, b in zip(x.shape[1:], ops.conv_transpose2d(y, weight, **options).shape[1:], strict=True)
    )
    back = ops.conv_transpose2d(y, weight, output_padding=extra, **options)
    np.testing.assert_array_equal(matrix.T @ y.ravel(), back.ravel())


def test_convolution_matrix_of_3x3_over_4x4():
    matrix = ops.convolution_matrix(np.arange(1, 10).reshape(1, 1, 3, 3), 4)
    assert matrix.shape == (4, 16)
    np.testing.assert_array_equal(matrix[0], [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(matrix[3], np.roll(matrix[0], 5))
    assert np.linalg.matrix_rank(matrix) == 4  # so Aᵀ A, of rank 4, is not the identity: it is no inverse
    circular = ops.convolution_matrix(
        np.ones((1, 1, 1, 3), int), (1, 4), padding=(0, 1), padding_mode="circular"
    )
    np.testing.assert_array_equal(circular, [[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]])


@given(case=convolutions(), seed=st.integers(0, 9))
def test_convolve2d_turns_the_kernels(case, seed):
    x_shape, weight_shape, bias_shape, arguments = case
    x, weight = numbers(x_shape, "int64", seed), numbers(weight_shape, "int64", seed + 1)
    bias = None if bias_shape is None else numbers(bias_shape, "int64", seed + 2)
    expected = ops.conv2d(x, flip(weight), bias, **arguments)
    np.testing.assert_array_equal(ops.convolve2d(x, weight, bias, **arguments), expected)


def test_convolve2d_equals_numpy_in_one_dimension():
    x, kernel = numbers((9,), "int64", 0), numbers((4,), "int64", 1)
    y = ops.convolve2d(x[None, None], kernel[None, None, None], padding=(0, 3))
    np.testing.assert_array_equal(y[0, 0], np.convolve(x, kernel, mode="full"))


LADDER = [ops.conv2d_loops, ops.conv2d_windows, ops.conv2d_matrix]


@pytest.mark.parametrize("rung", LADDER)
@settings(max_examples=40)
@given(case=convolutions(), seed=st.integers(0, 9), dtype=st.sampled_from(["int64", "float64", "uint8"]))
def test_ladder_equals_conv2d(rung, case, seed, dtype):
    x_shape, (filters, depth, kh, kw), _, arguments = case
    x = numbers((2, depth, *x_shape[-2:]), "int64", seed)[:, :, :6, :6].astype(dtype)
    weight = numbers((filters, depth, *np.minimum((kh, kw), x.shape[2:])), "int64", seed + 1).astype(dtype)
    y = rung(x, weight, stride=arguments["stride"])
    expected = ops.conv2d(x, weight, stride=arguments["stride"])
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12 if dtype == "float64" else 0)


def test_im2col_has_a_column_per_window():
    x = numbers((2, 3, 6, 5), "int64", 0)
    columns = ops.im2col(x, (3, 2), stride=(2, 1))
    assert columns.shape == (2, 3 * 3 * 2, 2 * 4)
    np.testing.assert_array_equal(columns[1, :, 5], x[1, :, 2:5, 1:3].ravel())  # window (1, 1)
    unfolded = torch.nn.functional.unfold(torch.tensor(x).double(), (3, 2), stride=(2, 1)).numpy()
    np.testing.assert_array_equal(columns, unfolded)


MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


@settings(max_examples=500)
@given(
    mode=st.sampled_from(sorted(MODES)),
    sides=st.tuples(small, small, small, small),
    more=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    lead=st.sampled_from([(0, 2), (1, 1), (2, 3), (2,)]),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
def test_pad2d_equals_torch(mode, sides, more, lead, dtype):
    top, bottom, left, right = sides
    least = {"reflect": 1, "circular": 0}.get(mode, -9)
    size = [max(1, max(s) + least) + m for s, m in zip(((top, bottom), (left, right)), more, strict=True)]
    x = numbers((*lead, *size), dtype, 0)
    y = ops.pad2d(x, ((top, bottom), (left, right)), padding_mode=mode)
    expected = torch.nn.functional.pad(torch.tensor(x), (left, right, top, bottom), mode=MODES[mode]).numpy()
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("mode", "padded"),
    [("zeros", "00123400"), ("reflect", "32123432"), ("replicate", "11123444"), ("circular", "34123412")],
)
def test_padding_modes_in_digits(mode, padded):
    y = ops.pad2d([[1, 2, 3, 4]], (0, 2), padding_mode=mode)
    assert "".join(map(str, y[0])) == padded
    assert padded in ops.pad2d.__doc__


@settings(max_examples=500)
@given(mode=st.sampled_from(sorted(MODES)), same=st.booleans(), batch=batches, seed=st.integers(0, 9))
def test_conv2d_with_padding_mode_equals_torch(mode, same, batch, seed):
    options = {"padding": "same" if same else (2, 1), "dilation": (1, 2), "groups": 2, "padding_mode": mode}
    module = torch.nn.Conv2d(4, 6, (3, 2) if same else (3, 3), dtype=torch.float64, **options)
    x = numbers((*batch, 4, 6, 5), "float64", seed)
    expected = module(torch.tensor(x)).detach().numpy()
    y = ops.conv2d(x, module.weight.detach().numpy(), module.bias.detach().numpy(), **options)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_pad2d_without_padding_is_its_input():
    x = numbers((2, 3), "int64", 0)
    assert ops.pad2d(x, 0, padding_mode="reflect") is x
    assert ops.pad2d(np.array([[True]]), 1).dtype == bool


@st.composite
def pools(draw, dilated):
    """A shape and options that torch's pools accept; also sizes that only `ceil_mode` allows."""
    kernel = draw(kernels_drawn)
    stride, dilation, padding = options_of(draw, kernel, most=[k // 2 for k in kernel])
    dilation = dilation if dilated else 1
    stride, ceil_mode = draw(st.sampled_from([stride, None])), draw(st.booleans())
    size = []
    for span, s, p in zip(
        spans_of(kernel, dilation),
        kernel if stride is None else pair(stride),
        pair(padding),
        strict=True,
    ):
        least = max(1, span - 2 * p - (s - 1 if ceil_mode else 0))
        size.append(least + draw(st.integers(0, 7)))
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    if dilated:
        options["dilation"] = dilation
    return (*draw(batches), draw(st.integers(1, 2)), *size), kernel, options


def special(shape, dtype, seed):
    """Few different numbers, so that there are ties; for floats also NaN and infinities."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind != "f":
        info = np.iinfo(dtype)
        return generator.choice(np.array([info.min, 0, 1, info.max], dtype), shape)
    few = [-np.inf, -1.5, 0, 2] if seed % 2 else [-np.inf, np.inf, 0, 2, np.nan]
    return generator.choice(np.array(few, dtype), shape)


@settings(max_examples=500)
@given(
    case=pools(dilated=True),
    dtype=st.sampled_from(["float32", "float64", "float16", "int64", "uint8"]),
    seed=st.integers(0, 9),
)
def test_max_pool2d_equals_torch(case, dtype, seed):
    shape, kernel, options = case
    x = special(shape, dtype, seed)
    expected, places = torch.nn.functional.max_pool2d(torch.tensor(x), kernel, return_indices=True, **options)
    y, indices = ops.max_pool2d(x, kernel, return_indices=True, **options)
    assert y.dtype == dtype
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(indices, places.numpy())
    np.testing.assert_array_equal(ops.max_pool2d(x, kernel, **options), expected.numpy())


@settings(max_examples=500)
@given(
    case=pools(dilated=False),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 9),
    count_include_pad=st.booleans(),
    divisor=st.none() | st.integers(1, 5),
    nan=st.booleans(),
)
def test_avg_and_sum_pool2d_equal_torch(case, dtype, seed, count_include_pad, divisor, nan):
    shape, kernel, options = case
    x = numbers(shape, dtype, seed)
    if nan:
        x[..., -1, 0] = np.nan
    avg_options = options | {"count_include_pad": count_include_pad, "divisor_override": divisor}
    expected = torch.nn.functional.avg_pool2d(torch.tensor(x), kernel, **avg_options).numpy()
    y = ops.avg_pool2d(x, kernel, **avg_options)
    assert y.dtype == dtype
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    total = torch.nn.functional.avg_pool2d(torch.tensor(x), kernel, divisor_override=1, **options).numpy()
    np.testing.assert_allclose(ops.sum_pool2d(x, kernel, **options), total, rtol=tolerance, atol=tolerance)


def test_pools_of_integers_are_exact():
    x = np.full((1, 2, 2), 255, "uint8")
    x[0, 1, 1] = 252
    assert ops.sum_pool2d(x, 2).dtype == np.int64
    np.testing.assert_array_equal(ops.sum_pool2d(x, 2), 1017)
    for average in (ops.avg_pool2d(x, 2), ops.adaptive_avg_pool2d(x, 1)):
        assert average.dtype == np.float64
        np.testing.assert_array_equal(average, 254.25)
    half = ops.avg_pool2d(np.full((1, 100, 100), 1, "float16"), 100)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, 1)


def test_padding_of_pools_by_side_and_by_name():
    x = numbers((1, 2, 6, 5), "int64", 0)
    wide = np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 0)), constant_values=-99)
    np.testing.assert_array_equal(
        ops.max_pool2d(x, 2, stride=1, padding=((0, 1), (1, 0))), ops.max_pool2d(wide, 2, stride=1)
    )
    assert ops.avg_pool2d(x, 3, stride=1, padding="same").shape == x.shape
    assert ops.avg_pool2d(x, (3, 2), padding="valid").shape == (1, 2, 2, 2)


@given(case=pools(dilated=False), seed=st.integers(0, 9))
def test_sum_is_average_times_window_and_a_convolution_with_ones(case, seed):
    shape, kernel, options = case
    options = options | {"ceil_mode": False}
    if any(s + 2 * p < k for s, p, k in zip(shape[-2:], pair(options["padding"]), kernel, strict=True)):
        return
    x = numbers(shape, "int64", seed)
    ones = np.ones((shape[-3], 1, *kernel), int)
    stride = kernel if options["stride"] is None else options["stride"]
    total = ops.conv2d(x, ones, stride=stride, padding=options["padding"], groups=shape[-3])
    np.testing.assert_array_equal(ops.sum_pool2d(x, kernel, **options), total)
    average = ops.avg_pool2d(x, kernel, **options)
    np.testing.assert_allclose(average * kernel[0] * kernel[1], total, rtol=1e-12)


@settings(max_examples=500)
@given(case=pools(dilated=False), seed=st.integers(0, 9), name_size=st.booleans())
def test_max_unpool2d_equals_torch(case, seed, name_size):
    shape, kernel, options = case
    options.pop("ceil_mode")
    sides = list(zip(shape[-2:], pair(options["padding"]), kernel, strict=True))
    shape = (*shape[:-2], *(max(s, k - 2 * p) for s, p, k in sides))
    x = numbers(shape, "float64", seed)
    y, indices = ops.max_pool2d(x, kernel, return_indices=True, **options)
    stride = pair(kernel if options["stride"] is None else options["stride"])
    least = [(n - 1) * s - 2 * p + k for n, s, (_, p, k) in zip(y.shape[-2:], stride, sides, strict=True)]
    if min(least) < 1:  # torch makes an empty map of it
        return
    if not name_size and any(n != m for n, m in zip(least, shape[-2:], strict=True)):
        return  # an index could lie outside
    size = shape[-2:] if name_size else None
    back = ops.max_unpool2d(y, indices, kernel, output_size=size, **options)
    if all(abs(n - m) < s for n, m, s in zip(least, shape[-2:], stride, strict=True)):
        expected = torch.nn.functional.max_unpool2d(
            torch.tensor(y), torch.tensor(indices), kernel, output_size=size, **options
        )
        np.testing.assert_array_equal(back, expected.numpy())
    # the maxima are where they were, and zeros elsewhere
    kept = np.zeros((*x.shape[:-2], x.shape[-2] * x.shape[-1]), bool)
    np.put_along_axis(kept, indices.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1]), True, -1)
    np.testing.assert_array_equal(back, np.where(kept.reshape(x.shape), x, 0))


def test_max_unpool2d_sizes_and_dtypes():
    x, indices = np.array([[[5, 8]]], "uint8"), np.array([[[1, 6]]], "int32")
    y = ops.max_unpool2d(x, indices, 2, output_size=(1, 1, 3, 5))
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y, [[[0, 5, 0, 0, 0], [0, 8, 0, 0, 0], [0] * 5]])
    y = ops.max_unpool2d(x, indices - 1, (2, 3), stride=2, padding=(0, 1))
    np.testing.assert_array_equal(y, [[[5, 0, 0], [0, 0, 8]]])


adaptive_sizes = st.integers(1, 6) | st.tuples(st.none() | st.integers(1, 6), st.none() | st.integers(1, 6))


@settings(max_examples=500)
@given(
    lead=st.sampled_from([(0, 2), (1, 3), (2, 1), (2,)]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    output_size=adaptive_sizes,
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 9),
)
def test_adaptive_pools_equal_torch(lead, size, output_size, dtype, seed):
    x = special((*lead, *size), dtype, seed)
    largest, places = torch.nn.functional.adaptive_max_pool2d(
        torch.tensor(x), output_size, return_indices=True
    )
    y, indices = ops.adaptive_max_pool2d(x, output_size, return_indices=True)
    assert y.dtype == dtype
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(y, largest.numpy())
    np.testing.assert_array_equal(indices, places.numpy())
    np.testing.assert_array_equal(ops.adaptive_max_pool2d(x, output_size), largest.numpy())
    x = numbers((*lead, *size), dtype, seed)
    x[..., 0, -1] = np.nan
    average = ops.adaptive_avg_pool2d(x, output_size)
    assert average.dtype == dtype
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.tensor(x), output_size).numpy()
    np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-5 if dtype == "float32" else 1e-12)


@settings(max_examples=500)
@given(case=convolutions(), seed=st.integers(0, 9))
def test_conv1d_equals_torch(case, seed):
    x_shape, (filters, depth, _, k), bias_shape, arguments = case
    x, weight = (
        numbers((*x_shape[:-2], x_shape[-1]), "float64", seed),
        numbers((filters, depth, k), "float64", 1),
    )
    bias = None if bias_shape is None else numbers(bias_shape, "float64", seed + 2)
    last = {name: value if isinstance(value, str) else pair(value)[1] for name, value in arguments.items()}
    expected = torch.nn.functional.conv1d(
        torch.tensor(x), torch.tensor(weight), None if bias is None else torch.tensor(bias), **last
    )
    np.testing.assert_allclose(ops.conv1d(x, weight, bias, **last), expected.numpy(), rtol=1e-12, atol=1e-12)


@settings(max_examples=500)
@given(case=pools(dilated=True), seed=st.integers(0, 9), count_include_pad=st.booleans())
def test_pools_in_one_dimension_equal_torch(case, seed, count_include_pad):
    shape, (_, k), options = case
    x = special((*shape[:-2], shape[-1]), "float64", seed)
    last = {
        name: value if value is None or isinstance(value, bool) else pair(value)[1]
        for name, value in options.items()
    }
    expected, places = torch.nn.functional.max_pool1d(torch.tensor(x), k, return_indices=True, **last)
    y, indices = ops.max_pool1d(x, k, return_indices=True, **last)
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(indices, places.numpy())
    np.testing.assert_array_equal(ops.max_pool1d(x, k, **last), expected.numpy())
    last.pop("dilation")
    if x.shape[-1] + 2 * last["padding"] >= k:
        x = numbers(x.shape, "float64", seed)
        expected = torch.nn.functional.avg_pool1d(
            torch.tensor(x), k, count_include_pad=count_include_pad, **last
        )
        average = ops.avg_pool1d(x, k, count_include_pad=count_include_pad, **last)
        np.testing.assert_allclose(average, expected.numpy(), rtol=1e-12, atol=1e-12)


def test_other_operations_in_one_dimension():
    x, weight = numbers((2, 3, 7), "float64", 0), numbers((3, 2, 4), "float64", 1)
    y = ops.conv_transpose2d(x[..., None, :], weight[..., None, :], stride=(1, 2))[..., 0, :]
    expected = torch.nn.functional.conv_transpose1d(torch.tensor(x), torch.tensor(weight), stride=2).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    weight = weight.swapaxes(0, 1)
    causal = ops.conv1d(x, weight, padding=(3, 0))  # the past alone
    np.testing.assert_array_equal(causal, ops.conv1d(np.pad(x, ((0, 0), (0, 0), (3, 0))), weight))
    ahead = ops.max_pool1d(x, 2, stride=1, padding=(0, 1))
    np.testing.assert_array_equal(ahead[..., -1], x[..., -1])


@settings(max_examples=500)
@given(
    lead=st.sampled_from([(), (0,), (3,), (2, 3)]),
    inputs=st.integers(0, 5),
    outputs=st.integers(1, 4),
    bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
    seed=st.integers(0, 9),
)
def test_linear_equals_torch(lead, inputs, outputs, bias, dtype, seed):
    x, weight = numbers((*lead, inputs), dtype, seed), numbers((outputs, inputs), dtype, seed + 1)
    offset = numbers((outputs,), dtype, seed + 2) if bias else None
    expected = torch.nn.functional.linear(
        torch.tensor(x), torch.tensor(weight), None if offset is None else torch.tensor(offset)
    ).numpy()
    y = ops.linear(x, weight, offset)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-5)


def test_linear_is_a_convolution_with_a_kernel_as_large_as_the_map():
    x, weight = numbers((2, 3, 4, 5), "int64", 0), numbers((6, 60), "int64", 1)
    dense = ops.linear(x.reshape(2, -1), weight)
    np.testing.assert_array_equal(ops.conv2d(x, weight.reshape(6, 3, 4, 5))[..., 0, 0], dense)
    assert ops.linear(np.full(3, 200, "uint8"), np.full((1, 3), 200, "uint8"))[0] == 120_000


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@settings(max_examples=500)
@given(
    x=st.lists(st.floats(-800, 800, width=32) | st.sampled_from([0.0, -np.inf, np.inf, np.nan]), max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_curves_equal_torch(name, x, dtype):
    x = np.array(x, dtype)
    y = getattr(ops, name)(x)
    assert y.dtype == dtype
    # below 1.2e-38, float32 loses digits, and torch may flush to zero
    np.testing.assert_allclose(y, getattr(torch, name)(torch.tensor(x)).numpy(), rtol=3e-7, atol=2e-38)


def test_curves_of_integers_and_single_numbers():
    assert ops.sigmoid(np.array([-128], "int8")).dtype == np.float64
    np.testing.assert_allclose(ops.sigmoid(np.array([-128], "int8")), np.exp(-128.0), rtol=1e-15)
    assert ops.sigmoid(0) == 0.5
    assert ops.tanh(0) == 0
    x = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(ops.tanh(x), 2 * ops.sigmoid(2 * x) - 1, rtol=1e-14, atol=1e-15)


maps, ones = np.ones((1, 2, 4, 4)), np.ones((2, 3, 2, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.conv_transpose2d(maps[0, 0], ones), ValueError, r"`x` must have shape .*, got \(4, 4\)"),
        (
            lambda: ops.conv_transpose2d(maps, ones[0]),
            ValueError,
            r"`weight` must have shape \(C, O/groups, kh, kw\)",
        ),
        (lambda: ops.conv_transpose2d(maps[..., :0], ones), ValueError, "`x` has no pixels"),
        (
            lambda: ops.conv_transpose2d(maps[:, :1], ones),
            ValueError,
            r"`x` has 1 channels, but `weight` .* expects 2$",
        ),
        (
            lambda: ops.conv_transpose2d(maps, ones, groups=3),
            ValueError,
            "channels of `x` must be a multiple of `groups` 3, got 2",
        ),
        (
            lambda: ops.conv_transpose2d(maps[:, :0], ones[:0]),
            ValueError,
            "channels of `x` must be a multiple .*, got 0",
        ),
        (
            lambda: ops.conv_transpose2d(maps, ones[:, :0]),
            ValueError,
            r"`weight` has no filters: its shape is \(2, 0, 2, 2\)",
        ),
        (
            lambda: ops.conv_transpose2d(maps, ones, np.ones(3), groups=2),
            ValueError,
            r"`bias` must have .* shape \(6,\), got \(3,\)",
        ),
        (
            lambda: ops.conv_transpose2d(maps, ones, stride=2, output_padding=2),
            ValueError,
            "`output_padding` must be less than `stride` 2 or `dilation` 1, got 2",
        ),
        (
            lambda: ops.conv_transpose2d(maps[..., :1], ones, padding=1),
            ValueError,
            r"`padding` 1 \+ 1 leaves nothing of an output of 2",
        ),
        (lambda: ops.conv_transpose2d(maps > 0, ones), TypeError, "`x` must hold floats, or integers"),
        (lambda: ops.convolve2d(maps, ones[0]), ValueError, "`weight` must have shape"),
        (lambda: ops.convolve2d(maps, maps, side=2), TypeError, "unexpected keyword argument 'side'"),
        (
            lambda: ops.conv2d_loops(maps[0], maps),
            ValueError,
            r"`x` must have shape \(N, C, H, W\), got \(2, 4, 4\)",
        ),
        (lambda: ops.conv2d_windows(maps, ones), ValueError, "`x` has 2 channels, but .* expects 3"),
        (lambda: ops.conv2d_matrix(maps, maps > 0), TypeError, "`weight` must hold floats"),
        (lambda: ops.im2col(maps[0], 2), ValueError, r"`x` must have shape \(N, C, H, W\), got \(2, 4, 4\)"),
        (lambda: ops.im2col(maps, 5), ValueError, "a window of 5 .* does not fit into 4"),
        (
            lambda: ops.convolution_matrix(maps[0], 4),
            ValueError,
            r"`weight` must have shape .*, got \(2, 4, 4\)",
        ),
        (lambda: ops.convolution_matrix(maps, 0), ValueError, "`size` must be at least 1, got 0"),
        (
            lambda: ops.conv2d(maps, maps, padding_mode="wrap"),
            ValueError,
            "`padding_mode` must be one of zeros, reflect, replicate, circular, got 'wrap'",
        ),
        (lambda: ops.pad2d(maps, "same"), ValueError, "`padding` must be numbers here, .* got 'same'"),
        (lambda: ops.pad2d(maps[0, 0, 0], 1), ValueError, r"`x` must have shape \(…, H, W\) .*, got \(4,\)"),
        (lambda: ops.pad2d(maps[..., :0], 1), ValueError, r"at least one pixel, got \(1, 2, 4, 0\)"),
        (
            lambda: ops.pad2d(maps, (0, 4), padding_mode="reflect"),
            ValueError,
            '`padding` can be at most 3 with `padding_mode` "reflect" and x of shape .*, got 4',
        ),
        (
            lambda: ops.pad2d(maps, ((0, 5), (0, 0)), padding_mode="circular"),
            ValueError,
            '`padding` can be at most 4 with `padding_mode` "circular" .*, got 5',
        ),
        (
            lambda: ops.conv1d(maps[0], maps),
            ValueError,
            r"`weight` must have shape \(O, C/groups, k\), got \(1, 2, 4, 4\)",
        ),
        (
            lambda: ops.conv1d(maps, maps[0]),
            ValueError,
            r"`x` must have shape \(N, C, L\) or \(C, L\), got \(1, 2, 4, 4\)",
        ),
        (
            lambda: ops.conv1d(maps[0], maps[0], stride=(1, 1)),
            TypeError,
            r"`stride` must be an integer, got \(1, 1\)",
        ),
        (lambda: ops.max_pool2d(maps[0, 0], 2), ValueError, r"`x` must have shape .*, got \(4, 4\)"),
        (
            lambda: ops.max_pool2d(maps[..., :0], 2),
            ValueError,
            r"`x` has no pixels: its shape is \(1, 2, 4, 0\)",
        ),
        (lambda: ops.max_pool2d(maps > 0, 2), TypeError, "`x` must hold real numbers, got dtype bool"),
        (
            lambda: ops.max_pool2d(maps, 2, padding=(0, 2)),
            ValueError,
            "`padding` must be at most half of `kernel_size` 2, got 2",
        ),
        (lambda: ops.max_pool2d(maps, 5), ValueError, "a window of 5 .* does not fit into 4"),
        (
            lambda: ops.max_pool2d(maps, 9, stride=5, ceil_mode=True),
            ValueError,
            "a window of 9 .* does not fit into 4",
        ),
        (lambda: ops.max_pool2d(maps, 2, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (
            lambda: ops.max_pool1d(maps[0], (2, 2)),
            TypeError,
            r"`kernel_size` must be an integer, got \(2, 2\)",
        ),
        (lambda: ops.avg_pool1d(maps, 2), ValueError, r"`x` must have shape \(N, C, L\) or \(C, L\)"),
        (
            lambda: ops.avg_pool2d(maps, 2, divisor_override=0),
            ValueError,
            "`divisor_override` must be at least 1, got 0",
        ),
        (lambda: ops.sum_pool2d(np.ones((1, 2, 2), "uint64"), 2), TypeError, "`x` must hold .* got uint64"),
        (
            lambda: ops.max_unpool2d(maps, maps, 2),
            ValueError,
            r"`indices` must be integers of the shape of x, .*, got float64 \(1, 2, 4, 4\)",
        ),
        (
            lambda: ops.max_unpool2d(maps, np.zeros((2, 4, 4), int), 2),
            ValueError,
            r"`indices` must be .*, got int64 \(2, 4, 4\)",
        ),
        (
            lambda: ops.max_unpool2d(maps, np.full(maps.shape, 64), 2),
            ValueError,
            "`indices` must be from 0 to 63, got 64",
        ),
        (
            lambda: ops.max_unpool2d(maps, np.full(maps.shape, -1), 2),
            ValueError,
            "`indices` must be from 0 to 63, got -1",
        ),
        (
            lambda: ops.max_unpool2d(maps, maps.astype(int), 2, output_size=(8, 10)),
            ValueError,
            "`output_size` must be less than `stride` 2 away from 8, got 10",
        ),
        (
            lambda: ops.max_unpool2d(maps, maps.astype(int), 2, output_size=(2, 8, 8)),
            ValueError,
            r"`output_size` must be \(H, W\) or \(N, C, H, W\), got \(2, 8, 8\)",
        ),
        (
            lambda: ops.max_unpool2d(maps, maps.astype(int), 2, output_size=8),
            ValueError,
            r"`output_size` must be \(H, W\) or \(N, C, H, W\), got 8",
        ),
        (lambda: ops.adaptive_avg_pool2d(maps, 0), ValueError, "`output_size` must be at least 1, got 0"),
        (
            lambda: ops.adaptive_max_pool2d(maps, (1, 2, 3)),
            ValueError,
            "`output_size` must be one integer or two",
        ),
        (lambda: ops.adaptive_avg_pool2d(maps, 1.5), TypeError, "`output_size` must be an integer, got 1.5"),
        (
            lambda: ops.adaptive_max_pool2d(maps * 1j, 1),
            TypeError,
            "`x` must hold real numbers, got dtype complex128",
        ),
        (
            lambda: ops.linear(maps, ones),
            ValueError,
            r"`weight` must have shape \(out, in\), got \(2, 3, 2, 2\)",
        ),
        (
            lambda: ops.linear(maps, ones[0, 0]),
            ValueError,
            r"`x` must have shape \(…, 2\), .* got \(1, 2, 4, 4\)",
        ),
        (lambda: ops.linear(1.0, ones[0, 0]), ValueError, r"`x` must have shape .*, got \(\)"),
        (
            lambda: ops.linear(ones, ones[0, 0], [1.0]),
            ValueError,
            r"`bias` must have shape \(2,\), .* got \(1,\)",
        ),
        (lambda: ops.linear([True], [[1]]), TypeError, "`x` must hold floats"),
        (lambda: ops.sigmoid("0"), TypeError, "`x` must hold real numbers, got dtype <U1"),
        (lambda: ops.tanh([1j]), TypeError, "`x` must hold real numbers, got dtype complex128"),
    ],
)
def test_bad_input_of_the_others(call, error, message):
    with pytest.raises(error, match=message):
        call()
