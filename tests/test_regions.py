"""RoI pooling and RoIAlign against plain loops that state the rule of the reference code."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convlab import ops
from convlab.regions import project_box, roi_align, roi_pool, share_inside


def c_round(number):
    return math.copysign(math.floor(abs(number) + 0.5), number)


def slow_roi_pool(x, boxes, size, scale):
    """Girshick's loop, with exact bins; values and indices."""
    height, width = x.shape[2:]
    values, indices = [], []
    for n, one in enumerate(boxes):
        for box in one:
            x1, y1, x2, y2 = (int(c_round(number * scale)) for number in box)
            rows, columns = y2 - y1 + 1, x2 - x1 + 1
            for c in range(x.shape[1]):
                for i in range(size[0]):
                    for j in range(size[1]):
                        best, where = 0, -1
                        for y in range(i * rows // size[0], math.ceil((i + 1) * rows / size[0])):
                            for z in range(j * columns // size[1], math.ceil((j + 1) * columns / size[1])):
                                r, s = y1 + y, x1 + z
                                if 0 <= r < height and 0 <= s < width and (where < 0 or x[n, c, r, s] > best):
                                    best, where = x[n, c, r, s], r * width + s
                        values.append(best)
                        indices.append(where)
    shape = (sum(map(len, boxes)), x.shape[1], *size)
    return np.reshape(values, shape), np.reshape(indices, shape)


def bilinear(image, y, x):
    """One sample of a map (H, W)."""
    height, width = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = int(y), int(x)
    if top >= height - 1:
        top = bottom = height - 1
        y = float(top)
    else:
        bottom = top + 1
    if left >= width - 1:
        left = right = width - 1
        x = float(left)
    else:
        right = left + 1
    down, across = y - top, x - left
    upper = (1 - across) * image[top, left] + across * image[top, right]
    lower = (1 - across) * image[bottom, left] + across * image[bottom, right]
    return (1 - down) * upper + down * lower


def slow_roi_align(x, boxes, size, scale, ratio, aligned):
    """The kernel of Detectron2 and torchvision."""
    y = []
    for n, one in enumerate(boxes):
        for box in one:
            x1, y1, x2, y2 = (number * scale - (0.5 if aligned else 0) for number in box)
            tall, wide = y2 - y1, x2 - x1
            if not aligned:
                tall, wide = max(tall, 1.0), max(wide, 1.0)
            down, across = tall / size[0], wide / size[1]
            points_y = ratio if ratio > 0 else math.ceil(down)
            points_x = ratio if ratio > 0 else math.ceil(across)
            for c in range(x.shape[1]):
                for i in range(size[0]):
                    for j in range(size[1]):
                        total = 0.0
                        for p in range(points_y):
                            for q in range(points_x):
                                row = y1 + i * down + (p + 0.5) * down / points_y
                                column = x1 + j * across + (q + 0.5) * across / points_x
                                total += bilinear(x[n, c], row, column)
                        y.append(total / max(points_y * points_x, 1))
    return np.reshape(y, (sum(map(len, boxes)), x.shape[1], *size))


sizes = st.integers(1, 5)
quarters = st.integers(-24, 48).map(lambda number: number / 4)
box = st.tuples(quarters, quarters, quarters, quarters).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@st.composite
def problems(draw):
    """Map, boxes, output size, scale."""
    n, c, h, w = draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(sizes), draw(sizes)
    seed = draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).integers(-9, 9, (n, c, h, w))
    boxes = [np.reshape(draw(st.lists(box, max_size=2)), (-1, 4)) for _ in range(n)]
    scale = draw(st.sampled_from([1, 1 / 2, 1 / 16, 2, 0.3]))
    return x, boxes, (draw(st.integers(1, 4)), draw(st.integers(1, 4))), scale


def test_the_box_of_the_chapter():
    assert project_box((30, 40, 200, 400), 1 / 16) == [2, 3, 13, 25]
    assert [round(number / 16) for number in (30, 40, 200, 400)] == [2, 2, 12, 25]  # Python's round


@given(st.integers(-1000, 1000).map(lambda number: number / 4))
@settings(max_examples=500)
@example(0.49999999999999994)  # adding ½ and rounding down would give 1
@example(-0.5)
@example(2.5)
def test_a_half_goes_away_from_zero(number):
    (x1, y1, x2, y2) = project_box((number, -abs(number), number, abs(number)), 1)
    expected = math.trunc(number) + math.copysign(1, number) * (abs(math.fmod(number, 1)) >= 0.5)
    assert [x1, y1, x2, y2] == [expected, -abs(expected), expected, abs(expected)]


@given(problems())
@settings(max_examples=500)
def test_roi_pool_is_the_reference(problem):
    x, boxes, size, scale = problem
    values, indices = roi_pool(x, boxes, size, spatial_scale=scale, return_indices=True)
    expected, where = slow_roi_pool(x, boxes, size, scale)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(indices, where)
    assert values.dtype == x.dtype
    np.testing.assert_array_equal(values, roi_pool(x, boxes, size, spatial_scale=scale))


@given(problems(), st.integers(-1, 3), st.booleans(), st.sampled_from([np.float32, np.float64, np.int64]))
@settings(max_examples=500)
def test_roi_align_is_the_reference(problem, ratio, aligned, dtype):
    x, boxes, size, scale = problem
    y = roi_align(x.astype(dtype), boxes, size, spatial_scale=scale, sampling_ratio=ratio, aligned=aligned)
    expected = slow_roi_align(x, boxes, size, scale, ratio, aligned)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 if dtype == np.float32 else 1e-12)
    assert y.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_bins_overlap_and_have_at_least_one_cell():
    x = np.arange(9).reshape(1, 1, 3, 3)
    three_in_two = roi_pool(x, [[[0, 0, 2, 2]]], 2, spatial_scale=1)
    np.testing.assert_array_equal(three_in_two[0, 0], [[4, 5], [7, 8]])
    one_in_two = roi_pool(x, [[[1, 1, 1, 1]]], 2, spatial_scale=1)
    np.testing.assert_array_equal(one_in_two, np.full((1, 1, 2, 2), 4))


def test_the_ends_are_part_of_the_region_and_the_outside_is_not():
    x = -1 - np.arange(16).reshape(1, 1, 4, 4)  # negative, so that an empty bin's 0 stands out
    y, indices = roi_pool(x, [[[2, 2, 5, 5]]], 2, spatial_scale=1, return_indices=True)
    np.testing.assert_array_equal(y[0, 0], [[-11, 0], [0, 0]])
    np.testing.assert_array_equal(indices[0, 0], [[10, -1], [-1, -1]])


def test_roi_pool_over_the_whole_map_is_max_pooling():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 8))
    y = roi_pool(x, [[[0, 0, 7, 5]]] * 2, (3, 4), spatial_scale=1)
    np.testing.assert_array_equal(y, ops.max_pool2d(x, 2))


def test_bins_are_exact_where_floats_are_not():
    assert math.ceil(7 * (58 / 7)) == 59  # the reference would read one row too many
    x = np.zeros((1, 1, 60, 1))
    x[0, 0, 58] = 1
    assert roi_pool(x, [[[0, 0, 0, 57]]], (7, 1), spatial_scale=1).max() == 0


def test_nan_in_roi_pool_is_the_maximum_of_its_bins_only():
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 1] = np.nan
    y = roi_pool(x, [[[0, 0, 3, 3]]], 2, spatial_scale=1)
    np.testing.assert_array_equal(y[0, 0], [[np.nan, 0], [0, 0]])


def test_roi_align_of_a_ramp_is_the_centre_of_every_bin():
    """Cells that hold the places of their centres, in pixels, give back places: the half pixel is right."""
    stride = 4
    places = (np.arange(20) + 0.5) * stride
    x = np.stack(np.broadcast_arrays(places[None], places[:, None]))[None]  # (1, 2, 20, 20): x and y
    box = (13.0, 21.5, 34.0, 49.5)
    y = roi_align(x, [[box]], 2, spatial_scale=1 / stride)
    centres = [box[0] + 21 / 4, box[0] + 3 * 21 / 4], [box[1] + 7, box[1] + 21]
    np.testing.assert_allclose(y[0, 0], [centres[0]] * 2)
    np.testing.assert_allclose(y[0, 1], np.transpose([centres[1]] * 2))
    old = roi_align(x, [[box]], 2, spatial_scale=1 / stride, aligned=False)
    np.testing.assert_allclose(old - y, stride / 2)


def test_roi_align_is_linear():
    generator = np.random.default_rng(1)
    x, z = generator.standard_normal((2, 1, 3, 7, 5))
    boxes = [[[1, 2, 60, 90], [-9, 0, 33, 8]]]
    both, one, other = (roi_align(m, boxes, 3, spatial_scale=1 / 16) for m in (2 * x - z, x, z))
    np.testing.assert_allclose(both, 2 * one - other, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_reaches_the_bins_that_read_it_and_no_others(bad):
    x = np.ones((1, 2, 8, 8), np.float32)
    x[0, 1, 2, 3] = bad
    y = roi_align(x, [[[0, 0, 8, 8]]], 4, spatial_scale=1)
    expected = np.ones((1, 2, 4, 4))
    expected[0, 1, 1, 1] = np.nan  # rows 2 and 3, columns 2 and 3
    np.testing.assert_array_equal(y, expected)


def test_samples_beyond_one_cell_outside_count_as_zero():
    x = np.ones((1, 1, 2, 2))
    at = {  # a box of no height, so that every sample lies at one y; x stays inside
        place: roi_align(x, [[[1, place + 0.5, 1, place + 0.5]]], 1, spatial_scale=1, sampling_ratio=1).item()
        for place in (-1.25, -1, -0.5, 0.5, 1.5, 2, 2.25)
    }
    assert at == {-1.25: 0, -1: 1, -0.5: 1, 0.5: 1, 1.5: 1, 2: 1, 2.25: 0}


@pytest.mark.parametrize("pool", [roi_pool, roi_align])
@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([], r"one array of shape \(K, 4\) per image, so 1, got 0"),
        ([[1, 2, 3, 4]], r"per image, so 1, got 1 of shape \(4,\)"),
        ([[[1, 2, 3]]], r"got 1 of shape \(1, 3\)"),
        (np.zeros((2, 4)), r"so 1, got 2 of shape \(4,\), \(4,\)"),
        (np.zeros((5, 3, 4)), r"got 5 of shape .*, …$"),
        (
            [[[0, 0, 1, 1], [5, 0, 4, 1]]],
            r"row 1 of `boxes` for image 0 must .* x1 ≤ x2 .*got \[5, 0, 4, 1\]",
        ),
        ([[[0, 3, 1, 1]]], "y1 ≤ y2"),
        ([[[0, 0, np.nan, 1]]], r"must be finite .*nan"),
        ([[[0, 0, np.inf, 1]]], r"must be finite .*inf"),
    ],
)
def test_boxes_that_are_wrong(pool, boxes, message):
    with pytest.raises(ValueError, match=message):
        pool(np.zeros((1, 1, 4, 4)), boxes, 2, spatial_scale=1)


@pytest.mark.parametrize("pool", [roi_pool, roi_align])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.zeros((1, 4, 4))}, ValueError, r"`x` must have shape \(N, C, H, W\).*got \(1, 4, 4\)"),
        ({"x": np.zeros((1, 1, 0, 4))}, ValueError, r"H and W at least 1, got \(1, 1, 0, 4\)"),
        ({"x": np.zeros((1, 1, 4, 4), bool)}, TypeError, "`x` must hold real numbers, got dtype bool"),
        ({"boxes": [[["a", "b", "c", "d"]]]}, TypeError, "row 0 of `boxes` for image 0 must hold real"),
        ({"output_size": 0}, ValueError, "`output_size` must be at least 1, got 0"),
        ({"output_size": (2, 2, 2)}, ValueError, "`output_size` must be one integer or two"),
        (
            {"spatial_scale": 0},
            ValueError,
            "`spatial_scale` must be positive and finite, such as 1/16, got 0",
        ),
        ({"spatial_scale": -1 / 16}, ValueError, "`spatial_scale` must be positive"),
        ({"spatial_scale": np.nan}, ValueError, "`spatial_scale` must be positive and finite.*nan"),
        ({"spatial_scale": (1, 1)}, TypeError, r"`spatial_scale` must be one number, .*got \(1, 1\)"),
    ],
)
def test_other_arguments_that_are_wrong(pool, change, error, message):
    arguments = {"x": np.zeros((1, 1, 4, 4)), "boxes": [[[0, 0, 1, 1]]], "output_size": 2, "spatial_scale": 1}
    with pytest.raises(error, match=message):
        pool(**arguments | change)


def test_arguments_of_one_of_them():
    x, boxes = np.zeros((1, 1, 4, 4)), [[[0, 0, 1, 1]]]
    with pytest.raises(ValueError, match="`sampling_ratio` must be at least -1, got -2"):
        roi_align(x, boxes, 2, spatial_scale=1, sampling_ratio=-2)
    with pytest.raises(TypeError, match="`aligned` must be True or False, got 1"):
        roi_align(x, boxes, 2, spatial_scale=1, aligned=1)
    with pytest.raises(ValueError, match=r"`box` must be \(x1, y1, x2, y2\), got shape \(3,\)"):
        project_box((1, 2, 3), 1)
    with pytest.raises(ValueError, match="`box` must be finite"):
        project_box((1, 2, 0, 3), 1)
    with pytest.raises(ValueError, match="`spatial_scale` must be positive"):
        project_box((1, 2, 3, 4), 0)


# share_inside --------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 8]))
@settings(max_examples=60, deadline=None)
def test_a_share_is_what_a_count_of_pixels_gives(seed, height, width, stride):
    rng = np.random.default_rng(seed)
    x = rng.integers(-5, 6, (2, 3, height, width))
    corners = rng.integers(-3, (width * stride + 4, height * stride + 4), (2, 4, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], axis=2)  # (2, 4, 4)
    shares = share_inside(x, boxes, spatial_scale=1 / stride)
    pixels = np.maximum(x, 0).repeat(stride, axis=2).repeat(stride, axis=3)
    for number, (image, box) in enumerate([(n, box) for n in range(2) for box in boxes[n]]):
        x1, y1, x2, y2 = np.maximum(box, 0)
        inside, total = pixels[image, :, y1:y2, x1:x2].sum((1, 2)), pixels[image].sum((1, 2))
        expected = [a / b if b else math.nan for a, b in zip(inside, total, strict=True)]
        np.testing.assert_allclose(shares[number], expected, atol=1e-12)


def test_shares_of_boxes_that_tile_the_image_add_up_to_one():
    x = np.abs(np.random.default_rng(0).normal(size=(1, 5, 4, 4)))
    tiles = [(a, b, a + 7.5, b + 8) for a in (0, 7.5, 15, 22.5) for b in (0, 8, 16)]  # beyond the border, too
    np.testing.assert_allclose(share_inside(x, [tiles], spatial_scale=1 / 6).sum(0), 1)


def test_a_share_is_counted_in_parts_of_cells():
    assert share_inside([[[[1.0, 1.0]]]], [[[2, 0, 3, 4]]], spatial_scale=1 / 4)[0, 0] == 0.125


@pytest.mark.parametrize(
    ("x", "boxes", "scale"),
    [
        (np.ones((1, 2, 2)), [[[0, 0, 1, 1]]], 1),
        (np.ones((1, 1, 2, 2)), [[[1, 0, 0, 1]]], 1),
        (np.ones((1, 1, 2, 2)), [[[0, 0, 1, 1]]], 0),
    ],
)
def test_a_share_needs_maps_boxes_and_a_scale(x, boxes, scale):
    with pytest.raises(ValueError, match="`"):
        share_inside(x, boxes, spatial_scale=scale)
