import numpy as np
import pytest
import torch
from hypothesis import given
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
