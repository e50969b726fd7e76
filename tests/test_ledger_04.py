"""Chapter 4 of the course's ledger, Pooling: its numbers and measurements, computed without the notebook."""

from functools import cache

import numpy as np
import pytest
import torch

from convlab import data, kernels, nets, shapes
from convlab.capture import capture
from convlab.ops import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool2d,
    conv2d,
    max_pool1d,
    max_pool2d,
    max_unpool2d,
    sum_pool2d,
)
from convlab.pretrained import efficientnet_lite0, preprocess


def edges(name):
    grey = data.grey(data.photo(name))[None]
    return np.hypot(*(conv2d(grey, kernel[None, None]) for kernel in (kernels.sobel_x, kernels.sobel_y)))


@cache
def pieces():
    """96×104 of the edges of each photo, from a few places."""
    return np.stack(
        [
            edges(name)[:, i : i + 96, j : j + 104]
            for name in data.PHOTOS
            for i, j in ((10, 30), (100, 90), (180, 300))
        ]
    )


def moved(x, d):
    return x[..., 8 - d : x.shape[-1] - d]


def unchanged(before, after, limit=0.05):
    larger = np.maximum(before, after)
    active = larger > 0.1 * larger.max((-2, -1), keepdims=True)
    return (np.abs(before - after) <= limit * larger)[active].mean()


def test_PL_1_the_sum_is_the_average_times_k_squared_and_maps_stay_apart():
    stack = data.photo("cat").transpose(2, 0, 1) / 255
    for k in (2, 3, 5):
        np.testing.assert_allclose(sum_pool2d(stack, k), k**2 * avg_pool2d(stack, k))
    pools = (max_pool2d, avg_pool2d, sum_pool2d)
    for pool in pools:
        assert pool(stack, 2).shape == (3, 150, 225)
        alone = np.concatenate([pool(one[None], 2) for one in stack])
        np.testing.assert_array_equal(pool(stack, 2), alone)
    small = np.array([[[1, 5, 2, 0], [3, 4, 8, 8], [0, 0, 7, 1], [2, 6, 3, 3]]])
    assert [pool(small, 2)[0].ravel().tolist() for pool in pools] == [
        [5, 8, 6, 7],
        [3.25, 4.5, 2, 3.5],
        [13, 18, 8, 14],
    ]


def test_PL_1_padding_lowers_an_average_unless_it_is_not_counted_and_never_wins_a_maximum():
    ones = np.ones((1, 4, 4))
    np.testing.assert_array_equal(avg_pool2d(ones, 2, padding=1)[0, 0], [0.25, 0.5, 0.25])
    np.testing.assert_array_equal(avg_pool2d(ones, 2, padding=1, count_include_pad=False), np.ones((1, 3, 3)))
    np.testing.assert_array_equal(max_pool2d(-ones, 2, padding=1), -np.ones((1, 3, 3)))


@pytest.mark.parametrize(
    ("setting", "side"),
    [
        ({"kernel_size": 2}, 14),
        ({"kernel_size": 3}, 13),
        ({"kernel_size": 3, "padding": 1}, 14),
        ({"kernel_size": 3, "ceil_mode": True}, 14),
    ],
)
def test_PL_2_28_becomes_14_or_13(setting, side):
    assert max_pool2d(np.zeros((1, 28, 28)), stride=2, **setting).shape == (1, side, side)
    assert shapes.output_size(28, stride=2, **setting) == side


def test_PL_2_overlapping_windows_read_every_second_pixel_of_a_side_twice():
    reads = shapes.coverage(9, 3, stride=2)
    assert reads[0].tolist() == [1, 1, 2, 1, 2, 1, 2, 1, 1]
    assert reads.max() == 4
    assert (reads[2:8, 2:8] == 4).mean() == 1 / 4


@pytest.mark.parametrize("k", [2, 4, 8])
def test_PL_3_of_single_peaks_k_minus_d_of_k_stay_in_their_window(k):
    for d in range(9):
        starts = np.eye(k, k + 16)
        same = max_pool1d(starts, k) == max_pool1d(np.roll(starts, d, axis=1), k)
        assert same.all(axis=1).sum() == max(0, k - d)


def test_PL_3_two_by_two_pooling_is_hardly_invariant_to_shifts_of_real_maps():
    def share(pool, d):
        return unchanged(pool(moved(pieces(), 0)), pool(moved(pieces(), d)))

    shares = [share(lambda x: max_pool2d(x, 2), d) for d in range(1, 9)]
    assert 0.25 < shares[0] < 0.4
    assert 0.05 < shares[1] < 0.15
    assert max(shares[2:]) < 0.1
    assert share(lambda x: x, 1) < 0.15
    assert share(lambda x: avg_pool2d(x, 2), 1) < 0.2
    assert 0.5 < share(lambda x: max_pool2d(x, 8), 2) < 0.7


def test_PL_3_within_a_fifth_most_units_stay_after_one_pixel_and_a_quarter_of_them_thanks_to_pooling():
    before, after = (moved(pieces(), d) for d in (0, 1))
    pooled, plain = (
        unchanged(pool(before), pool(after), 0.2) for pool in (lambda x: max_pool2d(x, 2), lambda x: x)
    )
    np.testing.assert_allclose([pooled, plain], [0.60, 0.33], atol=0.02)


def test_PL_3_but_a_shift_by_the_stride_moves_the_pooled_map_along_exactly():
    still = max_pool2d(moved(pieces(), 0), 2)
    for d in range(2, 9, 2):
        after = max_pool2d(moved(pieces(), d), 2)
        np.testing.assert_array_equal(after[..., d // 2 :], still[..., : -d // 2])
    after = max_pool2d(moved(pieces(), 3), 2)
    assert unchanged(still[..., :-1], after[..., 1:]) < 0.4


def test_PL_3_a_window_as_large_as_a_digit_keeps_its_value_for_another_digit_too():
    digits = np.zeros((300, 1, 8, 24))
    digits[..., 8:16] = data.digits()[0][:300]
    still, after = (max_pool2d(moved(digits, d), 8) for d in (0, 1))
    assert unchanged(still, after) > 0.95
    assert unchanged(still, np.roll(still, 150, axis=0)) > 0.95


def test_PL_3_a_digit_moved_by_two_pixels_keeps_less_than_another_digit_shares():
    digits = np.zeros((300, 1, 8, 24))
    digits[..., 8:16] = data.digits()[0][:300]
    for k in (2, 4):
        still, after = (max_pool2d(moved(digits, d), k) for d in (0, 2))
        assert unchanged(still, after) < 0.6 * unchanged(still, np.roll(still, 150, axis=0))


def test_PL_3_maps_of_a_trained_layer_are_steadier_with_and_without_pooling():
    x = torch.cat([preprocess(data.photo(name)) for name in data.PHOTOS])
    network = efficientnet_lite0()
    with torch.no_grad(), capture(network, "stem_relu") as maps:
        network(x)
    stem = maps["stem_relu"].numpy().astype(float)[:, :, :96, :104]
    plain = unchanged(moved(stem, 0), moved(stem, 1))
    pooled = unchanged(max_pool2d(moved(stem, 0), 2), max_pool2d(moved(stem, 1), 2))
    np.testing.assert_allclose([plain, pooled], [0.53, 0.69], atol=0.01)


def truth(rng, density):
    wave = np.sin(np.linspace(0, 2 * np.pi, 128))
    background = 1 + 0.5 * np.outer(wave, wave)[None]
    return background, 2.0 * (rng.random((1, 128, 128)) < density)


def test_PL_4_average_pooling_lowers_noise_and_max_pooling_raises_it():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        clean = sum(truth(rng, 0.05))
        noisy = clean + 0.5 * rng.standard_normal(clean.shape)
        errors = [
            np.sqrt(np.mean((pool(noisy, 2) - pool(clean, 2)) ** 2)) for pool in (avg_pool2d, max_pool2d)
        ]
        np.testing.assert_allclose(errors, [0.25, 0.59], atol=0.02)
        difference = max_pool2d(noisy, 2) - max_pool2d(clean, 2)  # not more variance: a mean that is too high
        np.testing.assert_allclose([difference.mean(), difference.std()], [0.41, 0.43], atol=0.02)


@pytest.mark.parametrize("pool", [avg_pool2d, max_pool2d])
def test_PL_4_no_pooling_lowers_a_shifted_mean(pool):
    clean = sum(truth(np.random.default_rng(0), 0.05))
    np.testing.assert_allclose(pool(clean + 0.5, 2) - pool(clean, 2), 0.5)


def test_PL_4_nor_the_error_that_wrong_weights_make_in_a_real_layer():
    network = efficientnet_lite0()
    x = torch.cat([preprocess(data.photo(name)) for name in data.PHOTOS])
    intact = network.stem_conv.weight.detach()
    noise = torch.randn(intact.shape, generator=torch.Generator().manual_seed(0))
    wrong = intact + 0.1 * intact.square().mean((1, 2, 3), keepdim=True).sqrt() * noise
    with torch.no_grad():
        clean, spoilt = (
            network.stem_relu(
                network.stem_bn(torch.nn.functional.conv2d(network.stem_pad(x), weight, stride=2))
            ).numpy()
            for weight in (intact, wrong)
        )

    def relative(pool):
        a, b = pool(spoilt.astype(float)), pool(clean.astype(float))
        spread = b.std((0, 2, 3))
        errors = np.sqrt(((a - b) ** 2).mean((0, 2, 3)))
        return np.median(errors[spread > 0] / spread[spread > 0])

    plain = relative(lambda x: x)
    assert 0.08 < plain < 0.2
    assert relative(lambda x: max_pool2d(x, 2)) / plain == pytest.approx(1, abs=0.1)
    assert relative(lambda x: avg_pool2d(x, 2)) / plain == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("density", "k", "average", "maximum"),
    [(0.05, 2, 0.57, 0.09), (0.05, 4, 0.84, 0.06), (0.5, 2, 0.20, 0.21), (0.5, 4, 0.49, 1.00)],
)
def test_PL_4_the_maximum_keeps_the_texture_only_while_it_is_sparse(density, k, average, maximum):
    for pool, expected in ((avg_pool2d, average), (max_pool2d, maximum)):
        shares = []
        for seed in range(5):
            background, texture = truth(np.random.default_rng(seed), density)
            both = pool(background + texture, k).ravel(), pool(background, k).ravel()
            shares.append(np.corrcoef(*both)[0, 1] ** 2)
        assert np.mean(shares) == pytest.approx(expected, abs=0.02)


def without_pools(net):
    kept = [nets.Node(node.name, node.op) for node in net.nodes if not isinstance(node.op, nets.Pool)]
    return nets.Net(net.name, kept, channels=net.channels, input_size=net.input_size)


@pytest.mark.parametrize(
    ("net", "parameters", "macs"),
    [(nets.lenet5(), 66, 59), (nets.alexnet(), 52, 14), (nets.vgg16(), 761, 55)],
    ids=["lenet5", "alexnet", "vgg16"],
)
def test_PL_5_what_pooling_saves(net, parameters, macs):
    before, after = nets.ledger(net), nets.ledger(without_pools(net))
    assert round(after.parameters / before.parameters) == parameters
    assert round(after.macs / before.macs) == macs


def test_PL_5_but_no_parameter_of_a_convolution():
    for net in (nets.vgg16(), without_pools(nets.vgg16())):
        rows = [row for row in nets.ledger(net).rows if row.name.startswith("conv")]
        assert sum(row.parameters for row in rows) == 14_714_688


@pytest.mark.parametrize("name", data.PHOTOS)
def test_PL_6_any_size_gives_one_length(name):
    maps = edges(name)
    assert sum(adaptive_max_pool2d(maps, n).size for n in (1, 2, 4)) == 21
    assert adaptive_avg_pool2d(maps, 1).shape == (1, 1, 1)


def test_PL_6_the_network_takes_other_sizes_and_sentences_other_lengths():
    network = efficientnet_lite0(pretrained=False)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 160, 320)).shape == (1, 1000)
    for length in (2, 3, 19):
        assert max_pool1d(np.ones((2, length)), length).shape == (2, 1)


def enlarged(mask, k, how):
    x = mask[None].astype(float)
    pooled = max_pool2d(x, k) > 0 if how == "max" else avg_pool2d(x, k) >= 0.5
    return pooled[0].repeat(k, 0).repeat(k, 1)


def mean_iou(masks, how):
    pairs = [[(mask, enlarged(mask, k, how)) for mask in masks] for k in (2, 4, 8)]
    return [np.mean([(a & b).sum() / (a | b).sum() for a, b in pair]) for pair in pairs]


def test_PL_7_thin_lines_vanish_and_disks_do_not():
    rng = np.random.default_rng(1)  # other lines than the chapter's
    y, x = np.mgrid[:96, :96] - 47.5
    lines = [
        np.abs(x * np.sin(angle) + y * np.cos(angle) - offset) < 0.5
        for angle, offset in rng.uniform((0, -16), (np.pi, 16), (40, 2))
    ]
    disks = [np.hypot(y - down, x - right) < 20 for down, right in rng.uniform(-16, 16, (20, 2))]
    np.testing.assert_allclose(mean_iou(lines, "max"), [0.44, 0.21, 0.11], atol=0.03)
    np.testing.assert_allclose(mean_iou(lines, "average"), [0.47, 0, 0], atol=0.03)
    np.testing.assert_allclose(mean_iou(disks, "max"), [0.94, 0.83, 0.68], atol=0.03)
    np.testing.assert_allclose(mean_iou(disks, "average"), [0.96, 0.91, 0.83], atol=0.03)


def test_PL_8_unpooling_puts_every_maximum_back_in_its_place_and_zeros_elsewhere():
    small = np.array([[[1, 5, 2, 0], [3, 4, 8, 8], [0, 0, 7, 1], [2, 6, 3, 3]]])
    maxima, switches = max_pool2d(small, 2, return_indices=True)
    assert switches.ravel().tolist() == [1, 6, 13, 10]
    back = max_unpool2d(maxima, switches, 2)
    assert back.ravel().tolist() == [0, 5, 0, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 6, 0, 0]
    np.testing.assert_array_equal(max_pool2d(back, 2), maxima)


def test_PL_8_repeating_comes_closer_in_small_windows_and_unpooling_in_large_ones():
    face = edges("astronaut")[:, 52:148, 170:266]
    errors = []
    for k in (2, 4, 8):
        maxima, switches = max_pool2d(face, k, return_indices=True)
        for back in (max_unpool2d(maxima, switches, k), maxima.repeat(k, 1).repeat(k, 2)):
            errors.append(((back - face) ** 2).sum() / (face**2).sum())
    np.testing.assert_allclose(errors, [0.58, 0.25, 0.82, 0.93, 0.92, 2.48], atol=0.01)


def test_PL_8_the_gradient_goes_to_the_switches_and_adds_up_where_windows_overlap():
    x = torch.rand(1, 9, 9, dtype=torch.float64, requires_grad=True)
    _, switches = max_pool2d(x.detach().numpy(), 3, stride=2, return_indices=True)
    (gradient,) = torch.autograd.grad(torch.nn.functional.max_pool2d(x, 3, stride=2).sum(), x)
    np.testing.assert_array_equal(gradient.flatten(), np.bincount(switches.ravel(), minlength=81))
    small = torch.tensor([[[1.0, 5, 2, 0], [3, 4, 8, 8], [0, 0, 7, 1], [2, 6, 3, 3]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.nn.functional.max_pool2d(small, 3, stride=1).sum(), small)
    assert gradient[0, 1].tolist() == [0, 0, 4, 0]
    assert gradient.sum() == 4
    (gradient,) = torch.autograd.grad(torch.nn.functional.avg_pool2d(small, 2).sum(), small)
    assert (gradient == 0.25).all()


@pytest.mark.parametrize(
    ("net", "pools", "strides"),
    [
        (nets.lenet5("1998"), 2, 0),
        (nets.alexnet(), 3, 1),
        (nets.vgg16(), 5, 0),
        (nets.resnet(50), 1, 4),
        (nets.mobilenet_v1(), 0, 5),
        (nets.mobilenet_v2(), 0, 5),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_PL_9_newer_networks_halve_by_stride(net, pools, strides):
    ops, jump, found = {node.name: node.op for node in net.nodes}, 1, []
    for row in nets.ledger(net).rows:
        if row.field.jump[0] > jump and row.shape[1] > 1:
            jump = row.field.jump[0]
            found.append(type(ops[row.name]))
    assert (found.count(nets.Pool), found.count(nets.Conv)) == (pools, strides)


def test_PL_9_how_far_averages_lie_behind_maxima_depends_on_the_step_size():
    images, labels = (torch.as_tensor(part) for part in data.digits())
    images = images.double()

    def share(pool, step):
        torch.manual_seed(0)
        conv, relu = torch.nn.Conv2d, torch.nn.ReLU
        second, first = conv(8, 16, 3, padding=1), conv(1, 8, 3, padding=1)  # as the chapter draws them
        layers = [first, relu(), second, relu(), pool(2), torch.nn.Flatten(), torch.nn.Linear(256, 10)]
        model = torch.nn.Sequential(*layers).double()
        learn, held_out = map(torch.as_tensor, data.split(len(labels), seed=0))
        adam = torch.optim.Adam(model.parameters(), lr=step)
        for _ in range(10):
            for batch in learn[torch.randperm(len(learn))].split(128):
                adam.zero_grad()
                torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                adam.step()
        with torch.no_grad():
            return (model(images[held_out]).argmax(1) == labels[held_out]).double().mean().item()

    pools = torch.nn.MaxPool2d, torch.nn.AvgPool2d
    small_steps, large_steps = ([share(pool, step) for pool in pools] for step in (0.008, 0.03))
    assert small_steps[0] - small_steps[1] > 0.015
    assert abs(large_steps[0] - large_steps[1]) < 0.01
