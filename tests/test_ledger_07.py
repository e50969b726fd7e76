"""The course's ledger, chapter 7: one test for each row that has a number or a measurement."""

import math
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convlab import data, nets, shapes
from convlab.fields import Layer, measure, receptive_field
from convlab.ops import conv1d, conv2d
from convlab.pretrained import efficientnet_lite0, preprocess


def field(rates, kernel_size=3):
    layers = [Layer(kernel_size, dilation=d) for d in rates]
    return receptive_field(layers)[str(len(layers) - 1)]


def stack(rates):
    return nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=d, dilation=d) for d in rates))


def measured(module, unit, size, layer=None):
    """Hull and number of rows read, and pixels read, by gradients."""
    seen = measure(module, (unit, unit), input_size=size, layer=layer)
    rows = np.flatnonzero(seen.any(axis=1))
    return rows[-1] - rows[0] + 1, len(rows), seen.sum()


def test_DL_1_a_3x3_of_rate_2_reads_9_pixels_of_a_5x5():
    assert shapes.window_span(3, 2) == 5
    assert (field([2]).size, field([2]).support) == ((5, 5), (3, 3))
    assert measured(stack([2]), 4, 9) == (5, 3, 9)
    assert conv1d([range(1, 8)], [[[1, 1, 1]]], dilation=2).tolist() == [[9, 12, 15]]
    assert conv1d([range(1, 8)], [[[1, 1, 1]]], dilation=3).tolist() == [[12]]


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_DL_1_zeros_in_the_holes_and_interleaved_images_give_the_same(rate):
    rng = np.random.default_rng(rate)
    x, kernel = rng.integers(-9, 10, (1, 14, 17)), rng.integers(-9, 10, (3, 3))
    dilated = conv2d(x, kernel[None, None], dilation=rate)
    filled = np.zeros((2 * rate + 1,) * 2, int)
    filled[::rate, ::rate] = kernel
    np.testing.assert_array_equal(dilated, conv2d(x, filled[None, None]))
    for top, left in product(range(rate), repeat=2):
        plain = conv2d(x[:, top::rate, left::rate], kernel[None, None])
        np.testing.assert_array_equal(dilated[:, top::rate, left::rate], plain)


def scale(area, overlap):
    """The program's area of a field after a 3×3 layer of rate 2."""
    return 9 * area - 24 * max(overlap - 1 / 2, 0) * area


def test_DL_2_the_rule_claims_243_where_five_layers_of_rate_2_have_a_hull_of_21():
    area, overlap = 1, 0
    for n in range(1, 6):
        area, overlap = scale(area, overlap), 15 * overlap / 9
        assert math.isqrt(area) == 3**n
        hull, positions = 4 * n + 1, 2 * n + 1
        assert (field([2] * n).size[0], field([2] * n).support[0]) == (hull, positions)
        assert measured(stack([2] * n), 20, 41) == (hull, positions, positions**2)
    assert (area, hull, positions) == (243**2, 21, 11)


def test_DL_2_neighbours_share_nothing_and_units_two_apart_two_thirds():
    first = receptive_field([Layer(3, dilation=2), Layer(1, stride=2)])
    assert first["0"].overlap == (0, 0)
    assert first["1"].overlap == pytest.approx((2 / 3, 2 / 3))


def test_DL_2_after_plain_layers_the_rule_gives_a_negative_area():
    before, after = field([1] * 4), field([1, 1, 1, 1, 2])
    area, overlap = before.size[0] ** 2, before.overlap[0]
    assert (area, overlap) == (81, pytest.approx(8 / 9))
    assert round(scale(area, overlap), 9) == -27
    assert scale(area, overlap) + 16 * (overlap - 1 / 2) ** 2 * area == pytest.approx(169)
    assert after.size == after.support == (13, 13)
    assert measured(stack([1, 1, 1, 1, 2]), 20, 41) == (13, 13, 169)


def test_DL_2_the_missing_term_makes_the_rule_exact_for_windows_without_holes():
    for plain in range(1, 8):
        before = field([1] * plain)
        area, overlap = before.size[0] ** 2, before.overlap[0]
        mended = scale(area, overlap) + 16 * max(overlap - 1 / 2, 0) ** 2 * area
        assert mended == pytest.approx(field([1] * plain + [2]).size[0] ** 2)


def test_DL_3_growing_rates_see_as_far_as_strides_and_keep_every_unit():
    kinds = {
        (11, 64): [Layer(3, padding=1)] * 5,
        (63, 2): [Layer(3, stride=2, padding=1)] * 5,
        (63, 64): [Layer(3, dilation=2**n, padding=2**n) for n in range(5)],
    }
    for (size, side), layers in kinds.items():
        found = receptive_field(layers, input_size=64)["4"]
        assert found.size == found.support == (size, size)
        assert found.map_size == (side, side)
    strided = nn.Sequential(*(nn.Conv2d(1, 1, 3, stride=2, padding=1) for _ in range(5)))
    assert measured(strided, 2, 128)[:2] == (63, 63)
    assert measured(stack([1, 2, 4, 8, 16]), 64, 128)[:2] == (63, 63)
    assert measured(stack([1] * 5), 64, 128)[:2] == (11, 11)


def test_DL_3_a_strided_network_is_a_dilated_one_looked_at_now_and_then():
    generator = torch.Generator().manual_seed(3)
    strided = dense = torch.randn(1, 1, 64, 96, dtype=torch.float64, generator=generator)
    for n in range(4):
        weight = torch.randn(3, strided.shape[1], 3, 3, dtype=torch.float64, generator=generator)
        strided = F.conv2d(strided, weight, stride=2, padding=1).relu()
        dense = F.conv2d(dense, weight, dilation=2**n, padding=2**n).relu()
    assert strided.shape[2:] == (4, 6)
    torch.testing.assert_close(dense[..., ::16, ::16], strided)


def denser(network, jump):
    at, rate = 1, 1
    pairs = [(network.stem_pad, network.stem_conv)]
    for pad, conv in pairs + [(block.pad, block.depthwise_conv) for block in network.blocks]:
        before, after = (rate * places for places in pad.padding[:2])
        conv.dilation, stride = (rate, rate), conv.stride[0]
        if stride > 1 and at < jump:
            at *= stride
        elif stride > 1:
            conv.stride, rate = (1, 1), rate * stride
        if conv.stride == (1, 1):
            after = conv.dilation[0] * (conv.kernel_size[0] - 1) - before
        pad.padding = (before, after) * 2
    return network


def test_DL_3_a_trained_network_answers_at_more_places_with_its_weights():
    def last_map(network):
        x = preprocess(data.photo("cat"))
        with torch.no_grad():
            for name, layer in network.named_children():
                if name == "pool":
                    return x
                x = layer(x)

    sparse, dense = last_map(efficientnet_lite0()), last_map(denser(efficientnet_lite0(), 16))
    assert (sparse.shape[2:], dense.shape[2:]) == ((7, 7), (14, 14))
    torch.testing.assert_close(dense[..., ::2, ::2], sparse, atol=1e-4, rtol=1e-4)


def test_DL_3_it_is_the_cat_that_the_dense_map_is_sure_of():
    network, most = denser(efficientnet_lite0(), 8), {}
    for name in ("cat", "coffee"):
        x = preprocess(data.photo(name))
        with torch.no_grad():
            for layer, module in network.named_children():
                if layer == "pool":
                    break
                x = module(x)
            scores = F.conv2d(x, network.classifier.weight[:, :, None, None], network.classifier.bias)
        most[name] = scores.softmax(dim=1)[0, 281:286].sum(dim=0).max().item()
    assert most["cat"] > 0.99
    assert most["coffee"] < 0.02


def paths(rates):
    counts = np.ones((1, 1, 1), int)
    for d in rates:
        counts = conv2d(counts, np.ones((1, 1, 3, 3), int), dilation=d, padding=2 * d)
    return counts[0]


@pytest.mark.parametrize(
    ("rates", "hull", "positions"),
    [
        ([1, 1, 1], 7, 7),
        ([2, 2, 2], 13, 7),
        ([2, 4, 8], 29, 15),
        ([1, 2, 3], 13, 13),
        ([1, 2, 4], 15, 15),
        ([4, 2, 1], 15, 15),
        ([2, 3], 11, 9),
        ([1, 2, 9], 25, 21),
        ([1, 3, 9, 27, 81], 243, 243),
    ],
)
def test_DL_4_which_pixels_are_read(rates, hull, positions):
    assert (field(rates).size[0], field(rates).support[0]) == (hull, positions)
    counts = paths(rates)
    assert counts.shape == (hull, hull)
    assert ((counts > 0).sum(), counts.sum()) == (positions**2, 9 ** len(rates))


def test_DL_4_no_holes_if_and_only_if_each_rate_is_at_most_the_field_before():
    seen = set()
    for rates in product(range(1, 9), repeat=3):
        reach, fits = 1, True
        for d in sorted(rates):
            fits, reach = fits and d <= reach, reach + 2 * d
        assert fits == (field(rates).support == field(rates).size), rates
        seen.add(fits)
    assert seen == {True, False}


def test_DL_4_equal_rates_keep_interleaved_images_apart():
    x, kernel = np.random.default_rng(0).normal(size=(1, 40, 40)), np.ones((1, 1, 3, 3))

    def run(x, rates):
        for d in rates:
            x = np.maximum(conv2d(x, kernel, dilation=d, padding=d), 0)
        return x

    np.testing.assert_allclose(run(x, [2, 2, 2])[:, ::2, ::2], run(x[:, ::2, ::2], [1, 1, 1]))
    alone = np.zeros_like(x)  # one of the four interleaved images, the other three black
    alone[:, ::2, ::2] = x[:, ::2, ::2]
    for rates, changed in (([2, 2, 2], 0), ([2, 4, 6], 0), ([1, 2, 3], 1)):
        among, by_itself = run(x, rates)[:, ::2, ::2], run(alone, rates)[:, ::2, ::2]
        assert 1 - np.isclose(among, by_itself).mean() == pytest.approx(changed, abs=0.03)


def test_DL_4_hull_and_positions_do_not_carry_a_field_upwards():
    assert field([2, 3]).size == field([1, 4]).size == (11, 11)
    assert field([2, 3]).support == field([1, 4]).support == (9, 9)
    assert (field([2, 3, 2]).support[0], field([1, 4, 2]).support[0]) == (13, 15)


def lines(count, seed, size=33):
    """Pictures of lines one pixel wide in noise, and where the lines are."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((count, 1, size, size))
    for one in truth[:, 0]:
        for _ in range(4):
            y, x = rng.integers(0, size, 2)
            down, right = ((0, 1), (1, 0), (1, 1), (1, -1))[rng.integers(4)]
            for step in range(12):
                if 0 <= y + step * down < size and 0 <= x + step * right < size:
                    one[y + step * down, x + step * right] = 1
    noisy = truth + 0.2 * rng.standard_normal(truth.shape)
    return torch.from_numpy(noisy), torch.from_numpy(truth)


def enlarge(scores):
    """Bilinear, 33×33: unit 0 on pixel 0, the last on pixel 32, as the units of a strided network lie."""
    return F.interpolate(scores, size=(33, 33), mode="bilinear", align_corners=True)


def test_DL_5_enlarged_scores_lie_where_the_fields_of_their_units_are_centred():
    layers = [Layer(3, stride=s, padding=1) for s in (2, 2, 2, 1)]
    last = receptive_field(layers, input_size=33)["3"]
    assert (last.size, last.jump, last.map_size) == ((31, 31), (8, 8), (5, 5))
    scores = torch.arange(25.0).reshape(1, 1, 5, 5)
    torch.testing.assert_close(enlarge(scores)[..., ::8, ::8], scores)
    strided = nn.Sequential(*(nn.Conv2d(1, 1, 3, stride=s, padding=1) for s in (2, 2, 2, 1)))
    rows = np.flatnonzero(measure(strided, (2, 2), input_size=33).any(axis=1))
    assert (rows[0] + rows[-1]) / 2 == 2 * 8


@cache
def found(strides, rates, seed):
    """IoU of thin lines on new pictures, after a short training."""
    torch.manual_seed(seed)
    layers, depth = [], 1
    for s, d in zip(strides, rates, strict=True):
        layers += [nn.Conv2d(depth, 6, 3, s, padding=d, dilation=d), nn.ReLU()]
        depth = 6
    network = nn.Sequential(*layers, nn.Conv2d(depth, 1, 1)).double()
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    images, truth = lines(200, seed=0)
    new, wanted = lines(50, seed=1)

    def scores(x):
        return enlarge(network(x))

    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        batch = torch.randint(len(images), (8,))
        weight = 1 + 5 * truth[batch]
        loss = F.binary_cross_entropy_with_logits(scores(images[batch]), truth[batch], weight=weight)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        called, wanted = scores(new) > 0, wanted > 0
    return ((called & wanted).sum() / (called | wanted).sum()).item()


@pytest.mark.parametrize("seed", [0, 1])
def test_DL_5_stride_loses_thin_lines_and_dilation_keeps_them(seed):
    strided, dilated = found((2, 2, 2), (1, 1, 1), seed), found((1, 1, 1), (1, 2, 4), seed)
    assert strided < 0.3
    assert dilated > 0.7


@pytest.mark.parametrize(("jump", "score"), [(2, 0.6), (4, 0.4), (8, 0.3)])
def test_DL_5_even_a_map_fitted_to_the_truth_is_too_coarse_for_thin_lines(jump, score):
    _, truth = lines(50, seed=2)
    scores = torch.zeros(50, 1, 32 // jump + 1, 32 // jump + 1, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([scores], lr=0.3)
    for _ in range(60):
        loss = F.binary_cross_entropy_with_logits(enlarge(scores), truth, weight=1 + 5 * truth)
        adam.zero_grad()
        loss.backward()
        adam.step()
    called, wanted = enlarge(scores) > 0, truth > 0
    assert 0 < (called & wanted).sum() / (called | wanted).sum() < score


@pytest.mark.parametrize(
    ("rates", "share"), [((1, 2, 4, 8), 0.14), ((1, 1, 1, 1), 0.04), ((4, 4, 4, 4), 0.16)]
)
def test_DL_5_share_of_the_taps_in_the_padding(rates, share):
    inside = [shapes.coverage(33, 3, padding=d, dilation=d).sum() / (9 * 33**2) for d in rates]
    assert 1 - np.mean(inside) == pytest.approx(share, abs=0.005)


class Aspp(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(4, 2, 3, padding=d, dilation=d) for d in (6, 12, 18))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def test_DL_6_aspp_has_fields_of_13_25_and_37_in_one_stack():
    aspp = Aspp()
    assert aspp(torch.zeros(1, 4, 65, 65)).shape == (1, 6, 65, 65)
    found = receptive_field(aspp)
    assert [found[f"branches.{n}"].size[0] for n in range(3)] == [13, 25, 37]
    assert (found["output"].size, found["output"].support) == ((37, 37), (7, 7))
    for n, size in enumerate((13, 25, 37)):
        assert measured(aspp, 32, 65, layer=f"branches.{n}") == (size, 3, 9)
    assert measured(aspp, 32, 65) == (37, 7, 25)


@pytest.mark.parametrize(("side", "rate", "share"), [(65, 6, 0.12), (33, 18, 0.60), (33, 32, 0.88)])
def test_DL_6_large_rates_read_mostly_padding_on_small_maps(side, rate, share):
    inside = F.conv2d(torch.ones(1, 1, side, side), torch.ones(1, 1, 3, 3), padding=rate, dilation=rate).sum()
    assert 1 - inside.item() / (9 * side**2) == pytest.approx(share, abs=0.005)


def dense_net(net, jump):
    at, rate, nodes = {"input": 1}, {"input": 1}, []
    for node in net.nodes:
        op, below = node.op, node.inputs[0]
        here, d = at[below], rate[below]
        stride = getattr(op, "stride", 1)
        if isinstance(op, nets.Conv):
            op = replace(op, dilation=d, padding=op.padding * d)
        if here < jump:
            at[node.name], rate[node.name] = here * stride, d
        else:
            op = replace(op, stride=1) if stride > 1 else op
            at[node.name], rate[node.name] = here, d * stride
        nodes.append(replace(node, op=op))
    return nets.Net(net.name, nodes, input_size=net.input_size)


@pytest.mark.parametrize(
    ("jump", "side", "giga_macs", "megabytes"),
    [(32, 7, 3.9, 65.2), (16, 14, 6.1, 75.5), (8, 28, 19.0, 155.0), (4, 56, 73.6, 525.9)],
)
def test_DL_7_resolution_costs_macs_and_memory_but_no_parameters(jump, side, giga_macs, megabytes):
    plain = nets.ledger(nets.resnet(50))
    dense = nets.ledger(dense_net(nets.resnet(50), jump))
    assert dense.parameters == plain.parameters
    assert dense["conv5_3"].shape == (2048, side, side)
    assert dense["conv5_3"].field.size == plain["conv5_3"].field.size == (483, 483)
    assert dense.macs / 1e9 == pytest.approx(giga_macs, abs=0.05)
    assert dense.memory / 1e6 == pytest.approx(megabytes, abs=0.05)


def test_DL_7_an_answer_for_every_pixel_takes_21_times_the_macs_and_11_times_the_maps():
    def count(strides, rates):
        layers = [
            nets.Node(str(n), nets.Conv(3, 8, stride=s, padding=d, dilation=d))
            for n, (s, d) in enumerate(zip(strides, rates, strict=True))
        ]
        return nets.ledger(nets.Net("small", [*layers, nets.Node("scores", nets.Conv(1, 3))], channels=1), 33)

    strided, dense = count([2, 2, 2, 1], [1] * 4), count([1] * 4, [1, 2, 4, 8])
    assert dense.parameters == strided.parameters
    assert (round(dense.macs / strided.macs), round(dense.memory / strided.memory)) == (21, 11)
    assert dense.macs == count([1] * 4, [1] * 4).macs
