"""The course's ledger, chapter 9: one test for each row that has a number or a measurement."""

import numpy as np
import pytest
import torch
from torch import nn

from convlab import data, nets
from convlab.fields import measure, receptive_field
from convlab.pretrained import efficientnet_lite0, preprocess
from convlab.regions import project_box, roi_align, roi_pool

BOX = (30, 40, 200, 400)
BINS = 7


def test_RO_1_the_box_on_the_map_with_both_roundings():
    shape = nets.ledger(nets.resnet(50), (600, 800))["conv4_6"].shape
    assert shape[1:] == (38, 50)
    assert project_box(BOX, 1 / 16) == [2, 3, 13, 25]
    assert [round(number / 16) for number in BOX] == [2, 2, 12, 25]


def test_RO_1_the_ratio_of_sides_gives_other_rows_for_some_boxes():
    assert round(38 / 600, 4) == 0.0633 != 1 / 16
    assert project_box(BOX, 38 / 600)[1::2] == project_box(BOX, 1 / 16)[1::2] == [3, 25]
    lower = (30, 40, 200, 390)
    assert project_box(lower, 1 / 16)[1::2] == [3, 24]
    assert project_box(lower, 38 / 600)[1::2] == [3, 25]
    drift = {size: -(-size // 16) * 16 - size for size in range(577, 609)}
    assert (drift[592], drift[600], drift[577], max(drift.values())) == (0, 8, 15, 15)


def test_RO_1_units_are_a_stride_apart_whatever_the_image():
    four = nn.Sequential(*(nn.Conv2d(1, 1, 3, 2, 1) for _ in range(4)))
    assert four(torch.zeros(1, 1, 600, 32)).shape[2] == 38
    first, last = (
        measure(four, (row, 1), input_size=(600, 32)).any(axis=1).argmax().item() for row in (4, 34)
    )
    assert last - first == 30 * 16 != round(30 * 600 / 38)


def test_RO_1_one_box_in_eight_is_rounded_differently():
    rng = np.random.default_rng(1)
    boxes = np.sort(rng.integers(0, 600, (20_000, 2, 2)), axis=1).reshape(-1, 4).tolist()
    share = np.mean([project_box(box, 1 / 16) != [round(number / 16) for number in box] for box in boxes])
    assert share == pytest.approx(1 - (31 / 32) ** 4, abs=0.01)


def test_RO_2_bins_overlap_and_the_gradient_goes_to_the_winners():
    grid = np.array(
        [
            [1, 0, 2, 1, 0, 3],
            [0, 4, 1, 7, 2, 1],
            [2, 1, 0, 0, 1, 0],
            [1, 3, 5, 0, 0, 6],
            [9, 0, 1, 2, 8, 1],
        ]
    )
    values, where = roi_pool(
        grid[None, None], [[(16, 16, 80, 48)]], 2, spatial_scale=1 / 16, return_indices=True
    )
    np.testing.assert_array_equal(values[0, 0], [[7, 7], [5, 6]])
    x = torch.tensor(grid, dtype=torch.float64, requires_grad=True)
    parts = [
        x[rows, columns].max()
        for rows in (slice(1, 3), slice(2, 4))
        for columns in (slice(1, 4), slice(3, 6))
    ]
    torch.stack(parts).sum().backward()
    np.testing.assert_array_equal(x.grad, np.bincount(where.ravel(), minlength=30).reshape(5, 6))
    assert x.grad[1, 3] == 2


def test_RO_2_neighbours_share_a_row_where_their_border_falls_inside_it():
    ramp = np.arange(6.0).reshape(1, 1, 6, 1)
    last, first = (
        sign * roi_pool(sign * ramp, [[(0, 0, 0, 5)]], (4, 1), spatial_scale=1).ravel() for sign in (1, -1)
    )
    np.testing.assert_array_equal(np.stack([first, last], axis=1), [(0, 1), (1, 2), (3, 4), (4, 5)])


def test_RO_2_empty_bins_give_0():
    pooled = roi_pool(np.full((1, 1, 4, 4), -5), [[(32, 0, 95, 48)]], 4, spatial_scale=1 / 16)
    np.testing.assert_array_equal(pooled[0, 0], [[-5, -5, 0, 0]] * 4)


def test_RO_2_an_eighth_of_the_cells_learn():
    maps = np.random.default_rng(1).standard_normal((1, 300, 38, 50))
    _, winners = roi_pool(maps, [[BOX]], BINS, spatial_scale=1 / 16, return_indices=True)
    share = np.mean([len(set(one.ravel())) for one in winners[0]]) / (12 * 23)
    assert 0.11 < share < 0.13 < 49 / 276


def places(how, ends, stride):
    """Where bins read along x, from ramps of the places of cells."""
    cells = 1024 // stride
    ramp = np.tile((np.arange(cells) + 0.5) * stride, (1, 1, 2, 1))
    boxes = [[(x1, 0, x2, stride) for x1, x2 in ends]]
    scale = 1 / stride
    if how == "pool":
        last = roi_pool(ramp, boxes, (1, BINS), spatial_scale=scale)
        return (last - roi_pool(-ramp, boxes, (1, BINS), spatial_scale=scale))[:, 0, 0] / 2
    if how == "rounded":
        cells = [project_box(box, scale) for box in boxes[0]]
        boxes = [[(x1 * stride, 0, (x2 + 1) * stride, stride) for x1, _, x2, _ in cells]]
    return roi_align(ramp, boxes, (1, BINS), spatial_scale=scale, aligned=how != "first")[:, 0, 0]


def intervals(rng):
    """Random boxes along x, and the middles of their bins."""
    width = rng.uniform(64, 400, 2000)
    left = rng.uniform(64, 1024 - 128 - width)
    middles = left[:, None] + (np.arange(BINS) + 0.5) * width[:, None] / BINS
    return np.stack([left, left + width], axis=1), middles


def errors(how, stride, seed=1):
    ends, middles = intervals(np.random.default_rng(seed))
    return places(how, ends, stride) - middles


def test_RO_3_localisation_errors_in_pixels():
    found = {how: errors(how, 16) for how in ("pool", "rounded", "first", "align")}
    mean = {how: error.mean(axis=0) for how, error in found.items()}
    scatter = {how: error.std(axis=0).mean() for how, error in found.items()}
    np.testing.assert_allclose(found["align"], 0, atol=1e-9)
    np.testing.assert_allclose(found["first"], 8, atol=1e-9)
    assert scatter["pool"] == pytest.approx(4.4, abs=0.15)
    assert scatter["rounded"] == pytest.approx(3.7, abs=0.15)
    np.testing.assert_allclose(mean["pool"][[0, 3, 6]], [4.3, 8, 11.4], atol=0.4)
    np.testing.assert_allclose(mean["rounded"][[0, 3, 6]], [1, 8, 14.8], atol=0.4)


def test_RO_3_errors_grow_with_the_stride_and_vanish_on_the_grid():
    scatter = [errors("pool", stride).std(axis=0).mean() for stride in (8, 16, 32)]
    np.testing.assert_allclose(np.divide(scatter, scatter[0]), [1, 2, 4], rtol=0.05)
    begin = np.random.default_rng(1).integers(4, 20, 50) * 16
    read = places("pool", np.stack([begin, begin + 14 * 16 - 16], axis=1), 16)
    np.testing.assert_allclose(read, begin[:, None] + (np.arange(BINS) + 0.5) * 32)


def test_RO_3_winners_on_random_maps_scatter_far_more_than_the_rounding():
    rng = np.random.default_rng(1)
    ends, middles = intervals(rng)
    boxes = [[(x1, 0, x2, 0) for x1, x2 in ends]]
    noise = rng.standard_normal((1, 5, 1, 64))
    _, won = roi_pool(noise, boxes, (1, BINS), spatial_scale=1 / 16, return_indices=True)
    error = (won[:, :, 0] + 0.5) * 16 - middles[:, None]
    assert error.std(axis=(0, 1)).mean() == pytest.approx(14.2, abs=0.7)


def trunk(network, x, blocks):
    return network.blocks[:blocks](network.stem_relu(network.stem_bn(network.stem_conv(network.stem_pad(x)))))


def test_RO_3_pooling_does_not_notice_most_moves_by_a_pixel():
    with torch.no_grad():
        maps = trunk(efficientnet_lite0(), preprocess(data.photo("coffee")), 11).numpy()
    rng = np.random.default_rng(1)
    still = {roi_pool: [], roi_align: []}
    for _ in range(10):
        box = rng.uniform((8, 8, 104, 120), (72, 96, 184, 216))
        moved = [np.add(box, (d, 0, d, 0)) for d in range(33)]
        for how, steps in still.items():
            y = how(maps, [moved], BINS, spatial_scale=1 / 16).reshape(33, -1)
            steps.append((np.diff(y, axis=0) == 0).all(axis=1).mean())
    assert 0.85 < np.mean(still[roi_pool]) < 0.95  # two edges, each once in 16 pixels
    assert np.mean(still[roi_align]) == 0


def test_RO_4_the_middle_of_a_field_need_not_be_that_of_its_cell():
    vgg, resnet, mobile = (
        receptive_field(net)[layer]
        for net, layer in (
            (nets.vgg16(), "conv5_3"),
            (nets.resnet(50), "conv4_6"),
            (nets.mobilenet_v1(), "conv12"),
        )
    )
    efficient = receptive_field(efficientnet_lite0(), input_size=224)["blocks.5"]
    assert [one.jump[0] for one in (vgg, resnet, mobile, efficient)] == [16] * 4
    assert [one.centre[0] + 0.5 for one in (vgg, resnet, mobile, efficient)] == [8, 0.5, 15.5, 15.5]
    assert efficient.size[0] == 83
    first, last = (efficient.region(unit, clip=(224, 224)) for unit in ((4, 4), (9, 10)))
    assert (first[:2], last[2:]) == ((38, 38), (201, 217))
    first, last = (efficient.region(unit, clip=(224, 224)) for unit in ((6, 7), (7, 7)))  # of the middle bin
    assert (first[:2], last[2:]) == ((70, 86), (169, 169))


def test_RO_4_training_moves_where_a_unit_looks_towards_its_cell():
    pixel = torch.arange(224) + 0.5

    def off(network, name, turned=False):
        x = preprocess(data.photo(name))
        image = (x.flip(2, 3) if turned else x).requires_grad_()
        unit = 6 if turned else 7
        units = trunk(network, image, 6)[0, :, unit, unit]
        signs = torch.randint(0, 2, (4, len(units)), generator=torch.Generator().manual_seed(1)) * 2 - 1
        weight = sum(torch.autograd.grad((units * s).sum(), image, retain_graph=True)[0] ** 2 for s in signs)
        centres = [(weight.sum(axes) * pixel).sum() / weight.sum() for axes in ((0, 1, 3), (0, 1, 2))]
        return np.mean([one.item() for one in centres]) - 16 * (unit + 0.5)

    torch.manual_seed(0)
    assert abs(off(efficientnet_lite0(pretrained=False).eval(), "cat") - 7.5) < 1.5
    trained = efficientnet_lite0()
    for turned in (False, True):  # a pull of the content would change its sign
        assert 1 < np.mean([off(trained, name, turned) for name in ("cat", "hopper")]) < 5


def test_RO_4_the_surroundings_that_count_are_near():
    network, x = efficientnet_lite0(), preprocess(data.photo("coffee"))
    rng = np.random.default_rng(1)
    boxes = rng.integers((8, 8, 104, 104), (88, 88, 200, 200), (6, 4))

    def changes(blocks, box):
        def read(image):
            return roi_align(trunk(network, image, blocks), [[box]], BINS, spatial_scale=1 / 16)

        inside, near = torch.zeros(2, 224, 224, dtype=torch.bool)
        for mask, gap in ((inside, 0), (near, 32)):
            x1, y1, x2, y2 = np.add(box, (-gap, -gap, gap, gap)).clip(0, 224)
            mask[y1:y2, x1:x2] = True
        mean, before = x.mean(dim=(2, 3), keepdim=True), read(x)
        return [
            np.linalg.norm(read(torch.where(part, mean, x)) - before) / np.linalg.norm(before)
            for part in (~inside, ~near, inside)
        ]

    with torch.no_grad():
        outside, far, inside = np.mean([changes(6, box) for box in boxes], axis=0)
        deep_outside, deep_far, deep_inside = np.mean([changes(11, box) for box in boxes], axis=0)
    assert far < 0.05 < 0.35 < outside < 0.7 < 1 < inside < 1.4
    assert 0.05 < deep_far < 0.35 < 0.5 < deep_outside < 0.9 < deep_inside < 1.2
