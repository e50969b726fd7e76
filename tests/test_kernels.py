import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlab import kernels
from convlab.ops import conv2d

NAMED = ["identity", "box", "sobel_x", "sobel_y", "laplacian", "sharpen", "emboss"]


def respond(image, kernel):
    return conv2d(np.asarray(image, float)[None, None], kernel[None, None])[0, 0]


@pytest.mark.parametrize("name", NAMED)
def test_named_kernels_are_constant_float_arrays(name):
    kernel = getattr(kernels, name)
    assert kernel.shape == (3, 3)
    assert kernel.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        kernel[0, 0] = 7


@pytest.mark.parametrize("name", NAMED)
def test_sum_is_the_answer_to_an_even_surface(name):
    expected = 0 if name in ("sobel_x", "sobel_y", "laplacian") else 1
    np.testing.assert_allclose(respond(np.ones((5, 5)), getattr(kernels, name)), expected, atol=1e-12)


def test_orientation():
    row, column = np.mgrid[:5, :6]
    np.testing.assert_array_equal(respond(column, kernels.sobel_x), 8)  # brighter to the right
    np.testing.assert_array_equal(respond(row, kernels.sobel_x), 0)
    np.testing.assert_array_equal(respond(row, kernels.sobel_y), 8)  # brighter downwards
    np.testing.assert_array_equal(respond(column, kernels.sobel_y), 0)
    np.testing.assert_array_equal(kernels.sobel_y, kernels.sobel_x.T)
    # the Laplacian is the sum of both second derivatives: 2 for x², and 0 for a slope
    np.testing.assert_array_equal(respond(column**2, kernels.laplacian), 2)
    np.testing.assert_array_equal(respond(3 * row - column, kernels.laplacian), 0)
    assert (respond(row + column, kernels.emboss) > respond(-row - column, kernels.emboss)).all()


def test_sharpen_adds_what_the_laplacian_removes():
    np.testing.assert_array_equal(kernels.sharpen, kernels.identity - kernels.laplacian)
    image = np.arange(25.0).reshape(5, 5) ** 2
    np.testing.assert_array_equal(respond(image, kernels.identity), image[1:-1, 1:-1])
    np.testing.assert_allclose(respond(image, kernels.box)[0, 0], image[:3, :3].mean())


@given(sigma=st.floats(0.1, 5), half=st.none() | st.integers(0, 9))
def test_gaussian_is_a_symmetric_average(sigma, half):
    kernel = kernels.gaussian(sigma, None if half is None else 2 * half + 1)
    side = 2 * int(np.ceil(3 * sigma)) + 1 if half is None else 2 * half + 1
    assert kernel.shape == (side, side)
    assert (kernel >= 0).all()
    np.testing.assert_allclose(kernel.sum(), 1)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernels.flip(kernel))
    assert kernel.argmax() == kernel.size // 2


@given(sigma=st.floats(1, 4))
def test_gaussian_has_the_width_asked_for(sigma):
    x = np.arange(2 * 40 + 1) - 40
    profile = kernels.gaussian(sigma, 81).sum(axis=0)
    np.testing.assert_allclose((profile * x**2).sum(), sigma**2, rtol=1e-3)


def test_flip_is_its_own_inverse_and_turns_both_axes():
    stack = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(kernels.flip(stack)[1], stack[1, ::-1, ::-1])
    np.testing.assert_array_equal(kernels.flip(kernels.flip(stack)), stack)
    np.testing.assert_array_equal(kernels.flip(kernels.sobel_x), -kernels.sobel_x)
    flipped = kernels.flip(kernels.emboss)
    flipped[0, 0] = 9  # a copy: the constant stays
    assert kernels.emboss[2, 2] == 2


sides = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(first=sides, second=sides, seed=st.integers(0, 9))
def test_compose_is_one_after_the_other(first, second, seed):
    generator = np.random.default_rng(seed)
    a, b = generator.integers(-9, 10, first), generator.integers(-9, 10, second)
    image = generator.integers(-9, 10, (9, 10))
    both = kernels.compose(a, b)
    np.testing.assert_array_equal(respond(image, both), respond(respond(image, a), b))
    np.testing.assert_array_equal(both, kernels.compose(b, a))
    np.testing.assert_array_equal(kernels.flip(both), kernels.compose(kernels.flip(a), kernels.flip(b)))


def test_compose_makes_the_named_kernels():
    np.testing.assert_array_equal(kernels.compose(kernels.identity, kernels.emboss)[1:4, 1:4], kernels.emboss)
    np.testing.assert_array_equal(kernels.compose([[1, 2, 1]], [[-1], [0], [1]]), kernels.sobel_y)
    np.testing.assert_array_equal(kernels.compose([[1], [2], [1]], [[-1, 0, 1]]), kernels.sobel_x)
    assert kernels.compose(np.ones((3, 3), "float32"), np.ones((3, 3), "int8")).dtype == np.float32
    np.testing.assert_array_equal(kernels.compose(np.array([[200, 200]], "uint8"), [[2]]), [[400, 400]])
    assert kernels.compose(np.array([[200]], "uint8"), np.array([[200]], "uint8")) == 40_000
    variance = 2.0**2 + 1.5**2  # of two blurs, one after the other
    blur = kernels.compose(kernels.gaussian(2, 25), kernels.gaussian(1.5, 25))
    np.testing.assert_allclose(blur, kernels.gaussian(variance**0.5, 49), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.gaussian(0), ValueError, "`sigma` must be positive and finite, got 0"),
        (lambda: kernels.gaussian(-1.0), ValueError, "`sigma` must be positive and finite, got -1.0"),
        (lambda: kernels.gaussian(float("nan")), ValueError, "`sigma` must be positive and finite, got nan"),
        (lambda: kernels.gaussian(1, 4), ValueError, "`size` must be odd, .*, got 4"),
        (lambda: kernels.gaussian(1, 0), ValueError, "`size` must be at least 1, got 0"),
        (lambda: kernels.gaussian(1, 3.0), TypeError, "`size` must be an integer, got 3.0"),
        (
            lambda: kernels.compose([1, 2], [[1]]),
            ValueError,
            r"`first` must have two axes .*, got shape \(2,\)",
        ),
        (lambda: kernels.compose([[1]], 3), ValueError, r"`second` must have two axes .*, got shape \(\)"),
        (lambda: kernels.flip([1, 2]), ValueError, r"at least two axes \(height, width\), got shape \(2,\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
