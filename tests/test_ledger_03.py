"""The course's ledger, chapter 3: one test for each row that has a number or a measurement."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from inputs import network, photos

from convlab import data, fields, kernels, shapes
from convlab.ops import conv1d, conv2d, conv_transpose2d, convolution_matrix, pad2d
from convlab.pretrained import efficientnet_lite0


def lopsided(model):
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, torch.nn.ZeroPad2d) and layer.padding[0] != layer.padding[1]
    ]


def test_PS_1_the_formula_counts_the_windows_that_fit():
    assert shapes.output_size(32, 5) == 28
    assert shapes.output_size(5, 3) == 3
    for i, k, s, p, d in np.ndindex(12, 4, 3, 3, 3):
        i, k, s, d = i + 1, k + 1, s + 1, d + 1
        taps = [[u * s - p + d * j for j in range(k)] for u in range(i + 2 * p)]
        fits = sum(window[-1] < i + p for window in taps)
        if fits:
            assert shapes.output_size(i, k, stride=s, padding=p, dilation=d) == fits


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "units", "left_over"),
    [
        (10, 3, 2, 0, 4, 1),
        (10, 3, 2, 1, 5, 1),
        (11, 3, 2, 0, 5, 0),
        (11, 3, 3, 0, 3, 2),
        (224, 7, 2, 3, 112, 1),
        (224, 11, 4, 0, 54, 1),
        (227, 11, 4, 0, 55, 0),
    ],
)
def test_PS_1_what_the_division_leaves_over_is_never_read(size, kernel, stride, padding, units, left_over):
    assert shapes.output_size(size, kernel, stride=stride, padding=padding) == units
    assert shapes.dropped(size, kernel, stride=stride, padding=padding) == left_over
    unread = max(0, left_over - padding)
    counts = shapes.coverage((1, size), (1, kernel), stride=(1, stride), padding=(0, padding))[0]
    assert (counts == 0).sum() == unread
    assert (counts[size - unread :] == 0).all()


def test_PS_1_a_dilation_skips_pixels_when_nothing_is_left_over():
    axis = {"stride": (1, 3), "padding": (0, 1), "dilation": (1, 2)}
    assert shapes.dropped(11, 4, stride=3, padding=1, dilation=2) == 0
    assert np.flatnonzero(shapes.coverage((1, 11), (1, 4), **axis)[0] == 0).tolist() == [0, 10]


def test_PS_2_without_padding_one_window_reads_a_corner_and_nine_the_centre():
    counts = shapes.coverage(5, 3)
    assert (counts[0, 0], counts[0, 2], counts[2, 2]) == (1, 3, 9)
    assert counts.sum() == 9 * 9
    once = shapes.coverage(5, 3, padding=1)
    assert (once[0, 0], once[0, 2], once[2, 2], once.sum()) == (4, 6, 9, 169)
    assert (shapes.coverage(5, 3, padding=2) == 9).all()


def test_PS_2_fifteen_layers_use_up_32_pixels():
    side, layers = 32, 0
    while side >= 3:
        side, layers = shapes.output_size(side, 3), layers + 1
    assert (side, layers) == (2, 15)


@pytest.mark.parametrize(("k", "d", "outputs"), [(3, 1, (8, 12)), (5, 1, (6, 14)), (3, 2, (6, 14))])
def test_PS_3_valid_same_and_full(k, d, outputs):
    assert shapes.symmetric_padding(k, dilation=d) == d * (k - 1) / 2
    same = shapes.same_padding(10, k, dilation=d)
    assert same == (shapes.symmetric_padding(k, dilation=d),) * 2
    assert shapes.output_size(10, k, padding=same, dilation=d) == 10
    full = shapes.full_padding(k, dilation=d)
    assert tuple(shapes.output_size(10, k, padding=p, dilation=d) for p in (0, full)) == outputs


def test_PS_3_an_even_kernel_pads_one_end_more():
    assert shapes.same_padding(10, 4) == (1, 2)


def test_PS_3_same_with_stride_2_has_one_shape_and_two_results():
    ones = np.ones((1, 1, 3), int)
    assert shapes.same_padding(6, 3, stride=2) == (0, 1)
    assert conv1d([range(1, 7)], ones, stride=2, padding=(1, 1)).tolist() == [[3, 9, 15]]
    assert conv1d([range(1, 7)], ones, stride=2, padding=(0, 1)).tolist() == [[6, 12, 11]]
    assert shapes.same_padding(7, 3, stride=2) == (1, 1)
    assert conv1d([range(1, 8)], ones, stride=2, padding=(1, 1)).tolist() == [[3, 9, 15, 13]]


def test_PS_3_symmetric_padding_changes_the_scores_of_the_real_network():
    changed, mirrored = efficientnet_lite0(), efficientnet_lite0()
    for layer in lopsided(changed):
        layer.padding = (layer.padding[1],) * 4
    for layer in lopsided(mirrored):
        left, right, top, bottom = layer.padding
        layer.padding = (right, left, bottom, top)
    assert len(lopsided(network())) == 5
    moved = F.pad(photos(), (1, 0, 1, 0), mode="replicate")[..., :224, :224]
    with torch.no_grad():
        scores, symmetric = network()(photos()), changed(photos())
        torch.testing.assert_close(mirrored(photos()), symmetric, atol=1e-3, rtol=0)
        for other, expected in ((symmetric, 0.41), (network()(moved), 0.17)):
            change = (other - scores).square().mean(dim=1).sqrt() / scores.std(dim=1)
            assert change.mean().item() == pytest.approx(expected, abs=0.01)
    assert scores.argmax(dim=1).tolist() == [285, 967, 450, 540, 652]
    assert symmetric.argmax(dim=1).tolist() == [285, 967, 573, 657, 652]
    starts = [
        fields.receptive_field(model, input_size=224)["head_relu"].start[0] for model in (network(), changed)
    ]
    assert starts[0] - starts[1] == 31


@pytest.mark.parametrize(
    ("kernel", "errors"),
    [
        (kernels.gaussian(1), [0.47, 0.07, 0.04, 0.28, 0.27]),
        (kernels.sobel_x, [4.4, 0.78, 0.46, 2.7, 2.5]),
        (kernels.laplacian, [4.0, 0.70, 0.45, 2.4, 2.3]),
    ],
    ids=["blur", "Sobel x", "Laplacian"],
)
def test_PS_4_zeros_are_the_worst_guess_of_what_lies_beyond_the_border(kernel, errors):
    rng, reach, size = np.random.default_rng(7), len(kernel) // 2, 64
    edge = np.pad(np.zeros((size - 2 * reach,) * 2, bool), reach, constant_values=True)
    squares = {mode: [] for mode in ("zeros", "reflect", "replicate", "circular", "mid grey")}
    truths = []
    for name in data.PHOTOS:
        photo = data.grey(data.photo(name))[None]
        for _ in range(12):
            top, left = (rng.integers(reach, n - size - reach) for n in photo.shape[1:])
            wide = photo[:, top - reach : top + size + reach, left - reach : left + size + reach]
            truth = conv2d(wide, kernel[None, None])[0]
            truths.append(truth.var())
            for mode, found in squares.items():
                level, mode = (0.5, "zeros") if mode == "mid grey" else (0, mode)
                guess = pad2d(wide[:, reach:-reach, reach:-reach] - level, reach, padding_mode=mode) + level
                error = conv2d(guess, kernel[None, None])[0] - truth
                np.testing.assert_allclose(error[~edge], 0, atol=1e-12)
                found.append((error[edge] ** 2).mean())
    measured = [np.sqrt(np.mean(found) / np.mean(truths)) for found in squares.values()]
    np.testing.assert_allclose(measured, errors, rtol=0.35)
    zeros, reflect, replicate, circular, grey = measured
    assert replicate < reflect < circular < zeros
    assert reflect < grey < 0.7 * zeros


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_PS_5_a_stride_keeps_one_window_in_s(stride):
    x = np.random.default_rng(0).integers(-9, 10, (3, 224, 224))
    weight = np.random.default_rng(1).integers(-9, 10, (4, 3, 3, 3))
    strided = conv2d(x, weight, padding=1, stride=stride)
    np.testing.assert_array_equal(strided, conv2d(x, weight, padding=1)[:, ::stride, ::stride])
    assert strided.shape[1] == -(-224 // stride)


def test_PS_5_units_become_fewer_while_maps_become_more():
    depth, side, units = network().stem_conv.out_channels, 112, []
    for block in network().blocks:
        if block.depthwise_conv.stride[0] == 2:
            side //= 2
            assert block.project_conv.out_channels < 4 * depth
            depth = block.project_conv.out_channels
            units.append(depth * side**2)
    assert units == [75264, 31360, 15680, 9408]


@pytest.mark.parametrize(("stride", "overlap"), [(1, 2 / 3), (2, 1 / 3), (3, 0)])
def test_PS_6_the_overlap_is_the_correlation_of_neighbours_on_noise(stride, overlap):
    assert max(0, 3 - stride) / 3 == overlap
    assert fields.receptive_field([fields.Layer(3, stride=stride)])["0"].overlap == (overlap, overlap)
    noise = np.random.default_rng(5).normal(size=(1, 1000, 1000))
    map_ = conv2d(noise, np.ones((1, 1, 3, 3)), stride=(1, stride))[0]
    measured = np.corrcoef(map_[:, :-1].ravel(), map_[:, 1:].ravel())[0, 1]
    assert measured == pytest.approx(overlap, abs=0.01)


def half_way(y):
    left, right = y[..., 1:-2], y[..., 2:-1]
    return (9 * (left + right) - y[..., :-3] - y[..., 3:]) / 16


def test_PS_6_high_overlap_is_redundant():
    weight = network().stem_conv.weight.detach().numpy()
    shares = []
    for stride in (1, 2, 3):
        y = conv2d(photos().numpy(), weight, stride=(1, stride))
        y = y[..., : y.shape[-1] // 2 * 2]
        missing = y[..., 3:-3:2]
        rest = ((half_way(y[..., ::2]) - missing) ** 2).mean(axis=(2, 3))
        shares.append(1 - rest.sum() / missing.var(axis=(2, 3)).sum())
    np.testing.assert_allclose(shares, [0.97, 0.87, 0.78], atol=0.01)


def test_PS_6_without_overlap_fine_stripes_come_out_three_times_as_wide():
    stripes, ones = [[0, 0, 1, 1] * 9], np.ones((1, 1, 3), int)
    assert conv1d(stripes, ones)[0, :8].tolist() == [1, 2, 2, 1, 1, 2, 2, 1]
    assert conv1d(stripes, ones, stride=2)[0, :6].tolist() == [1, 2] * 3
    assert conv1d(stripes, ones, stride=3)[0, :8].tolist() == [1, 1, 2, 2, 1, 1, 2, 2]


def test_PS_7_one_row_of_zhangs_example():
    row = torch.tensor([0.0, 0, 1, 1] * 4)[None, None]
    blur = torch.tensor([1.0, 2, 1])[None, None] / 4
    plain, soft = [], []
    for move in (0, 1):
        plain.append(F.max_pool1d(row[..., move:], 2)[0, 0, :4].tolist())
        dense = F.max_pool1d(row[..., move:], 2, stride=1)
        soft.append(F.conv1d(dense, blur, stride=2)[0, 0, :4].tolist())
    assert plain == [[0, 1, 0, 1], [1, 1, 1, 1]]
    assert soft == [[0.75] * 4, [1, 0.5, 1, 0.5]]


OFFSETS = torch.arange(-8, 8) + 0.5
CURVE = torch.sinc(OFFSETS) * torch.cos(torch.pi * OFFSETS / 16)
TAPS = torch.arange(-20, 21.0)
LOW = torch.sinc(0.4 * TAPS) * torch.hamming_window(41, periodic=False)


def along(y, weights):
    """Filter the rows of each map by itself with weights that add up to 1."""
    weights = (weights / weights.sum()).expand(y.shape[1], 1, 1, -1)
    return F.conv2d(y, weights, groups=y.shape[1])


def unsteady(maps, stride, move):
    """How much the maps of moved photos differ from those that the maps of the photos foretell."""
    a, b = (maps(photos()[..., begin : begin + 220]) for begin in (0, move))
    a = a[..., move // stride :]
    if move % stride:
        a, b = along(a, CURVE), b[..., 7:]
    b = b[..., : a.shape[-1]]
    rest = (a - b[..., : a.shape[-1]]).square().mean(dim=(2, 3)).sum(dim=1)
    return (rest / b.var(dim=(2, 3)).sum(dim=1)).sqrt()


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_PS_7_strides_and_pools_alias_and_a_blur_helps(seed):
    weight = network().stem_conv.weight.detach()
    if seed is not None:
        weight = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
    side = torch.tensor([1.0, 2, 1]) / 4
    square = torch.outer(side, side).expand(len(weight), 1, 3, 3)

    def conv(x):
        return F.conv2d(x, weight).relu()

    def pool(x):
        return F.max_pool2d(conv(x), 2, stride=1)

    for dense, low, high in ((conv, 0.18, 0.5), (pool, 0.14, 0.35)):
        plain = unsteady(lambda x, y=dense: y(x)[..., ::2, ::2], 2, 1)
        soft = unsteady(lambda x, y=dense: F.conv2d(y(x), square, groups=len(weight))[..., ::2, ::2], 2, 1)
        assert low < plain.min() < plain.max() < high
        assert (soft < 0.4 * plain).all()
        free = unsteady(lambda x, y=dense: along(y(x), LOW)[..., ::2, ::2], 2, 1)
        assert free.max() < 0.01  # without aliases the curve is right
        assert unsteady(dense, 1, 1).max() < 1e-4
        assert unsteady(lambda x, y=dense: y(x)[..., ::2, ::2], 2, 2).max() < 1e-4


def spread(kernel):
    k = kernel.shape[-1]
    y, x = np.mgrid[:k, :k] - k // 2
    energy = kernel**2
    return np.sqrt(((energy * (y**2 + x**2)).sum(axis=(1, 2)) / energy.sum(axis=(1, 2))).mean())


@pytest.mark.parametrize(("k", "away"), [(1, 0), (3, 1.07), (5, 1.88), (7, 2.64), (11, 4.18)])
def test_PS_8_a_larger_kernel_answers_farther_from_the_place(k, away):
    impulse = np.zeros((1, 2 * k + 1, 2 * k + 1))
    impulse[0, k, k] = 1
    random = np.random.default_rng(11).normal(size=(1500, 1, k, k))
    answers = np.abs(conv2d(impulse, random, padding=k // 2))
    rows, columns = np.divmod(answers.reshape(len(answers), -1).argmax(axis=1), 2 * k + 1)
    distances = np.hypot(rows - k, columns - k)
    assert distances.max() <= np.hypot(k // 2, k // 2)
    assert distances.mean() == pytest.approx(away, abs=0.1)
    assert spread(random[:, 0]) == pytest.approx(np.sqrt((k**2 - 1) / 6), abs=0.05)


def test_PS_8_learned_kernels_stay_nearer_the_middle_than_random_ones():
    spreads = {3: [], 5: []}
    for block in network().blocks:
        conv = block.depthwise_conv
        if conv.stride == (1, 1):
            learned = conv.weight.detach().double().numpy()[:, 0]
            learned = learned[(learned**2).sum(axis=(1, 2)) > 1e-12]
            spreads[conv.kernel_size[0]].append(spread(learned))
    np.testing.assert_allclose(spreads[3], [0.72, 0.85, 0.86, 0.85, 1.17], atol=0.01)
    np.testing.assert_allclose(spreads[5], [1.14, 1.10, 1.32, 1.31, 1.58, 1.63, 1.64], atol=0.01)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "down", "back"),
    [
        (4, 3, 1, 0, 2, 4),
        (9, 3, 2, 0, 4, 9),
        (10, 4, 2, 1, 5, 10),
        (10, 3, 2, 1, 5, 9),
        (224, 7, 2, 3, 112, 223),
    ],
)
def test_PS_9_the_shape_rule_leads_back_to_the_smallest_size(size, kernel, stride, padding, down, back):
    assert shapes.output_size(size, kernel, stride=stride, padding=padding) == down
    assert shapes.transposed_size(down, kernel, stride=stride, padding=padding) == back
    assert size - back == shapes.dropped(size, kernel, stride=stride, padding=padding)


def test_PS_9_it_is_the_transpose_of_the_matrix_and_not_its_inverse():
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    matrix = convolution_matrix(kernel, 4)
    assert matrix.shape == (4, 16)
    x = np.random.default_rng(0).integers(-5, 6, (1, 4, 4))
    down = conv2d(x, kernel)
    np.testing.assert_array_equal(matrix @ x.ravel(), down.ravel())
    np.testing.assert_array_equal(matrix.T @ down.ravel(), conv_transpose2d(down, kernel).ravel())
    product = matrix.T @ matrix
    assert np.linalg.matrix_rank(product) == 4
    assert (product.diagonal().min(), product.diagonal().max()) == (1, 206)


@pytest.mark.parametrize(("kernel", "writes"), [(2, {1}), (3, {1, 2, 4}), (4, {4}), (5, {4, 6, 9}), (6, {9})])
def test_PS_9_a_checkerboard_where_the_kernel_is_no_multiple_of_the_stride(kernel, writes):
    written = conv_transpose2d(np.ones((1, 9, 9), int), np.ones((1, 1, kernel, kernel), int), stride=2)
    assert set(written[0, kernel:-kernel, kernel:-kernel].ravel().tolist()) == writes


def test_PS_9_random_weights_are_uneven_even_at_a_multiple():
    def unevenness(weight):
        size = len(weight)
        y = conv_transpose2d(np.ones((1, 20, 20)), weight[None, None], stride=2)[0, size:-size, size:-size]
        return y.std() / y.mean()

    means = []
    for kernel in (3, 4, 5, 6):
        draws = [np.random.default_rng(seed).uniform(size=(kernel, kernel)) for seed in range(20)]
        uneven = [unevenness(weight) for weight in draws]
        assert min(uneven) > 0.04
        means.append(np.mean(uneven))
    np.testing.assert_allclose(means, [0.61, 0.24, 0.34, 0.15], atol=0.01)
    tent = np.array([0.5, 1, 0.5])
    assert unevenness(np.outer(tent, tent)) < 1e-12  # even, though 3 is no multiple of 2
