"""The course's ledger, chapter 2: one test for each row that has a number or a measurement."""

import ast
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from inputs import network, photos
from numpy.lib.stride_tricks import sliding_window_view
from torch.utils.flop_counter import FlopCounterMode

from convlab import data, kernels, nets, shapes
from convlab.capture import capture
from convlab.exercises import _filters_vs_kernels as exercises
from convlab.ops import conv2d, convolve2d, max_pool2d, relu
from convlab.pretrained import efficientnet_lite0, preprocess

CHAPTER = Path(__file__).parents[1] / "chapters" / "02_filters_vs_kernels.ipynb"


@cache
def classes():
    with torch.no_grad():
        return network()(photos()).argmax(dim=1)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def counted_macs(layer, *shape):
    """MACs of a torch layer by torch's own counter, which counts two operations for each."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, *shape))
    return counter.get_total_flops() / 2


def test_FK_1_a_layer_has_c_in_times_c_out_kernels_and_one_map_per_filter():
    layer = network().stem_conv
    assert layer.weight.shape[:2] == (32, 3)
    filters = numbers(5, 3, 2, 2)
    for index, one in enumerate(filters):  # filter l alone makes map l
        stack = numbers(3, 6, 6)
        np.testing.assert_allclose(conv2d(stack, one[None])[0], conv2d(stack, filters)[index])
    assert torch.nn.Conv2d(1, 8, 3).weight.shape[:2] == (8, 1)
    assert network().blocks[0].depthwise_conv.weight.shape[:2] == (32, 1)
    assert network().blocks[0].project_conv.weight.shape == (16, 32, 1, 1)


def test_FK_2_weights_of_a_kernel_by_three_meanings():
    weight = np.zeros((96, 3, 11, 11))
    assert (weight[0, 0].size, weight[0].size, weight.size) == (121, 363, 34848)
    assert shapes.conv_parameters(3, 96, 11, bias=False) == weight.size


def test_FK_2_pytorch_says_both_words():
    assert "Size of the convolving kernel" in torch.nn.Conv2d.__doc__
    assert "weight: filters of shape" in F.conv2d.__doc__


def test_FK_3_intermediate_maps_add_up_to_the_networks_own_map():
    x = network().stem_pad(preprocess(data.photo("astronaut")))[0].numpy()
    one = network().stem_conv.weight[20].detach().numpy()
    between = np.stack([conv2d(x[c : c + 1], one[None, c : c + 1], stride=2)[0] for c in range(3)])
    with torch.no_grad():
        whole = network().stem_conv(torch.tensor(x)[None])[0, 20].numpy()
    np.testing.assert_allclose(between.sum(axis=0), whole, atol=1e-4)
    helmet, suit = (85, 90), (75, 35)
    assert np.abs(between[:2, *helmet]).min() > 8
    assert abs(whole[helmet]) < 0.2
    assert whole[suit] < -8
    with torch.no_grad(), capture(network(), "stem_relu") as made:
        network()(preprocess(data.photo("astronaut")))
    after = made["stem_relu"][0, 20]
    assert after[suit] == 0
    assert after[helmet].item() == pytest.approx(2.6, abs=0.1)
    np.testing.assert_allclose(one.sum(axis=(1, 2)), [-9.1, 9.1, 0.1], atol=0.05)


@pytest.mark.parametrize(("unit", "parts"), [((1, 1), [6, 5, 6]), ((2, 2), [-6, 3, 4])])
def test_FK_3_what_each_channel_of_the_figure_contributes(unit, parts):
    pairs = zip(exercises.MAPS, exercises.FILTER, strict=True)
    assert [conv2d(np.array([one]), np.array([[kernel]]))[0][unit] for one, kernel in pairs] == parts
    assert exercises.BIAS == -1


@pytest.mark.parametrize(
    ("maps", "filters", "tables", "parameters"), [(3, 32, 96, 896), (32, 64, 2048, 18496)]
)
def test_FK_4_kernels_and_parameters(maps, filters, tables, parameters):
    assert maps * filters == tables
    assert shapes.conv_parameters(maps, filters, 3) == parameters
    layer = torch.nn.Conv2d(maps, filters, 3)
    assert sum(p.numel() for p in layer.parameters()) == parameters


def test_FK_4_relu_and_pooling_act_on_each_map_alone():
    stack = numbers(32, 8, 8)
    other = stack.copy()
    other[7] += 10
    for step, changed in (
        (relu, [7]),
        (lambda x: max_pool2d(x, 2), [7]),
        (lambda x: conv2d(x, numbers(64, 32, 3, 3)), list(range(64))),
    ):
        difference = np.abs(step(stack) - step(other)).max(axis=(1, 2))
        assert len(step(stack)) == (32 if len(changed) == 1 else 64)
        assert np.flatnonzero(difference).tolist() == changed


def test_FK_5_a_layer_on_a_photo():
    weight = np.zeros((32, 3, 5, 5))
    assert (weight.size, len(weight)) == (2400, 32)
    assert shapes.conv_parameters(3, 32, 5) == 2432
    for padding, side in ((0, 220), (2, 224)):
        assert conv2d(np.zeros((3, 224, 224)), weight, padding=padding).shape == (32, side, side)


@pytest.mark.parametrize("depth", [1, 3, 5, 7])
def test_FK_6_the_message_says_which_number_is_wrong(depth):
    assert conv2d(np.zeros((6, 26, 26)), np.zeros((10, 6, 3, 3))).shape == (10, 24, 24)
    with pytest.raises(ValueError, match=rf"`x` has 6 channels, but .* expects {depth}"):
        conv2d(np.zeros((6, 26, 26)), np.zeros((10, depth, 3, 3)))


def test_FK_7_two_layouts_give_the_same_numbers():
    x, weight = numbers(2, 7, 9, 3), numbers(2, 4, 3, 5, seed=1)  # (b, h, w, in), (h, w, in, out)
    wanted = np.zeros((2, 6, 6, 5))
    for b, i, j, k in np.ndindex(wanted.shape):  # the definition of tf.nn.conv2d
        wanted[b, i, j, k] = (x[b, i : i + 2, j : j + 4] * weight[..., k]).sum()
    torchs = conv2d(x.transpose(0, 3, 1, 2), weight.transpose(3, 2, 0, 1))
    np.testing.assert_allclose(torchs.transpose(0, 2, 3, 1), wanted)
    torn = conv2d(x.reshape(2, 3, 7, 9), weight.transpose(3, 2, 0, 1))
    assert torn.shape == torchs.shape
    assert np.abs(torn - torchs).max() > 1


def test_FK_8_flipping_the_kernel_turns_correlation_into_convolution():
    x, weight = numbers(3, 8, 8), numbers(2, 3, 3, 2, seed=1)
    np.testing.assert_allclose(convolve2d(x, weight), conv2d(x, kernels.flip(weight)))
    assert np.abs(convolve2d(x, weight) - conv2d(x, weight)).max() > 1


def test_FK_8_convolution_commutes_and_correlation_turns():
    a, b = numbers(2, 2), numbers(2, 2, seed=1)

    def full(operation, x, kernel):
        return operation(x[None], kernel[None, None], padding=1)[0]

    np.testing.assert_allclose(full(convolve2d, a, b), full(convolve2d, b, a))
    assert np.abs(full(conv2d, a, b) - full(conv2d, b, a)).max() > 0.1
    np.testing.assert_allclose(full(conv2d, a, b), full(conv2d, b, a)[::-1, ::-1])


@pytest.mark.parametrize("operation", [conv2d, convolve2d])
def test_FK_8_kernels_in_a_row_commute_either_way_and_filters_do_not(operation):
    x, a, b = numbers(1, 12, 12), numbers(1, 1, 3, 3, seed=1), numbers(1, 1, 3, 3, seed=2)
    np.testing.assert_allclose(operation(operation(x, a), b), operation(operation(x, b), a))
    x, a, b = numbers(4, 12, 12), numbers(4, 4, 3, 3, seed=1), numbers(4, 4, 3, 3, seed=2)
    assert np.abs(operation(operation(x, a), b) - operation(operation(x, b), a)).max() > 1


def test_FK_8_a_network_with_everything_turned_gives_the_same_scores():
    turned = efficientnet_lite0()
    with torch.no_grad():
        for layer in turned.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.copy_(layer.weight.flip(2, 3))
        assert (turned(photos()).argmax(dim=1) == classes()).sum() == 2
        for layer in turned.modules():
            if isinstance(layer, torch.nn.ZeroPad2d):
                left, right, top, bottom = layer.padding
                layer.padding = (right, left, bottom, top)
        torch.testing.assert_close(turned(photos().flip(2, 3)), network()(photos()), atol=1e-3, rtol=0)


def test_FK_9_the_formula():
    x, h = numbers(3, 5, 6), numbers(2, 3, 2, 3, seed=1)
    wanted = np.zeros((2, 4, 4))
    for l, m, n in np.ndindex(wanted.shape):  # noqa: E741
        wanted[l, m, n] = sum(x[k, m + i, n + j] * h[l, k, i, j] for k, i, j in np.ndindex(3, 2, 3))
    np.testing.assert_allclose(conv2d(x, h), wanted)


def test_FK_9_each_weight_is_used_once_per_unit():
    net = nets.alexnet(groups=1)
    ledger = nets.ledger(net)
    for name, reuse in {"conv1": 3025, "conv2": 729, "conv5": 169, "fc6": 1}.items():
        row = ledger[name]
        assert row.macs == (row.parameters - row.shape[0]) * reuse
    convolutions = [row for row in ledger.rows if row.name.startswith("conv")]
    assert round(sum(row.parameters for row in convolutions) / ledger.parameters, 2) == 0.06
    assert round(sum(row.macs for row in convolutions) / ledger.macs, 2) == 0.95
    fully_connected = np.prod(ledger["conv4"].shape) * np.prod(ledger["conv5"].shape)
    assert round(fully_connected / 1e9, 1) == 2.8
    assert fully_connected == counted_macs(torch.nn.Linear(384 * 169, 1), 384 * 169) * 256 * 169
    assert round(ledger["conv5"].macs / 1e9, 2) == 0.15


def test_FK_9_flops_are_one_or_two_per_mac():
    assert round(nets.ledger(nets.resnet(34)).macs / 1e9, 1) == 3.7  # "3.6 billion FLOPs" without projections
    assert (
        counted_macs(torch.nn.Conv2d(3, 32, 5), 3, 224, 224) == shapes.conv_macs(3, 32, 5, 220) == 116160000
    )
    assert counted_macs(network(), 3, 224, 224) == 385187552


def test_FK_10_sobel_shows_edges_and_nothing_else():
    step = np.repeat([[0, 0, 0, 2, 2, 2]], 6, axis=0)[None]
    across, down = conv2d(step, np.stack([kernels.sobel_x, kernels.sobel_y])[:, None])
    assert across[0].tolist() == [0, 8, 8, 0]
    assert not down.any()


def blurred(kernel, learns=False):
    """The network with a depthwise layer of this kernel after block 4."""
    layer = torch.nn.Conv2d(
        40, 40, len(kernel), padding="same", groups=40, bias=False, padding_mode="replicate"
    )
    with torch.no_grad():
        layer.weight[:] = torch.tensor(kernel)
    layer.requires_grad_(learns)
    model = efficientnet_lite0()
    model.blocks.insert(5, layer)
    return model, layer


@pytest.mark.parametrize(
    ("kernel", "kept"), [(kernels.identity, 5), (kernels.gaussian(0.5), 5), (kernels.gaussian(1), 0)]
)
def test_FK_10_classes_kept_with_a_gaussian_between_trained_layers(kernel, kept):
    with torch.no_grad():
        assert (blurred(kernel)[0](photos()).argmax(dim=1) == classes()).sum() == kept


@pytest.mark.parametrize("seed", range(3))
def test_FK_10_the_same_weights_in_other_places_keep_fewer_classes(seed):
    blur = kernels.gaussian(0.5)
    mixed = np.random.default_rng(seed).permutation(blur.ravel()).reshape(blur.shape)
    with torch.no_grad():
        assert (blurred(mixed)[0](photos()).argmax(dim=1) == classes()).sum() < 5


@pytest.mark.parametrize("learns", [False, True])
def test_FK_10_a_layer_before_a_frozen_one_learns_through_it(learns):
    model, layer = blurred(kernels.gaussian(1), learns)
    model.requires_grad_(False)
    layer.requires_grad_(learns)
    early = list(model.blocks[4].requires_grad_(True).parameters())
    before = [w.detach().clone() for w in (layer.weight, early[0])]
    optimiser = torch.optim.Adam([layer.weight, *early], lr=0.001)
    for _ in range(4):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(photos()), classes()).backward()
        optimiser.step()
    assert torch.equal(before[0], layer.weight) == (not learns)
    assert not torch.equal(before[1], early[0])
    with torch.no_grad():
        assert (model(photos()).argmax(dim=1) == classes()).sum() == 4


def learned(picture, seed, steps):
    """The kernel after gradient descent from (picture, its Sobel response), and the error."""
    windows = sliding_window_view(picture, (3, 3)).reshape(-1, 9)
    products = windows.T @ windows / len(windows)
    rate = 0.5 / np.linalg.eigvalsh(products)[-1]
    wanted = kernels.sobel_x.ravel()
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(9, generator=generator, dtype=torch.float64).numpy()
    for _ in range(steps):  # the slope of the mean squared difference
        kernel = kernel - rate * 2 * products @ (kernel - wanted)
    error = np.square(windows @ (kernel - wanted)).mean()
    return kernel.reshape(3, 3), error


@pytest.mark.parametrize("seed", range(3))
def test_FK_11_gradient_descent_recovers_sobel_from_a_photo(seed):
    patch = data.grey(data.photo("cat"))[60:188, 100:228]
    patch = patch - patch.mean()
    np.testing.assert_allclose(learned(patch, seed, 3000)[0], kernels.sobel_x, atol=0.01)
    assert np.abs(learned(patch, seed, 500)[0] - kernels.sobel_x).max() > 0.1  # and it takes long


@pytest.mark.parametrize("seed", range(3))
def test_FK_11_noise_teaches_fast_and_a_flat_picture_nothing(seed):
    noise = np.random.default_rng(0).normal(size=(128, 128))
    np.testing.assert_allclose(learned(noise, seed, 2)[0], kernels.sobel_x, atol=0.1)
    kernel, error = learned(np.full((128, 128), 0.5), seed, 2000)
    assert error < 1e-12
    assert np.abs(kernel - kernels.sobel_x).max() > 2


def test_FK_12_special_cases():
    x, mix = numbers(6, 5, 5), numbers(4, 6, 1, 1, seed=1)
    np.testing.assert_allclose(conv2d(x, mix), np.tensordot(mix[:, :, 0, 0], x, 1))
    halves = numbers(4, 3, 3, 3, seed=2)
    zeros = np.zeros((4, 6, 3, 3))
    zeros[:2, :3], zeros[2:, 3:] = halves[:2], halves[2:]
    np.testing.assert_allclose(conv2d(x, halves, groups=2), conv2d(x, zeros))
    depthwise, pointwise = numbers(6, 1, 3, 3, seed=3), numbers(4, 6, 1, 1, seed=4)
    np.testing.assert_allclose(
        conv2d(conv2d(x, depthwise, groups=6), pointwise), conv2d(x, pointwise * depthwise[:, 0])
    )


def test_FK_12_cost_of_each_for_one_layer_of_the_network():
    block = network().blocks[9]
    filters, maps = block.project_conv.weight.shape[:2]
    assert (filters, maps, block.depthwise_conv.kernel_size) == (112, 672, (5, 5))
    costs = {}
    for name, outputs, side, groups in (
        ("standard", 112, 5, 1),
        ("4 groups", 112, 5, 4),
        ("1×1", 112, 1, 1),
        ("depthwise", 672, 5, 672),
    ):
        layer = torch.nn.Conv2d(672, outputs, side, padding=side // 2, groups=groups, bias=False)
        costs[name] = shapes.conv_macs(672, outputs, side, 14, groups=groups)
        assert counted_macs(layer, 672, 14, 14) == costs[name] == 196 * layer.weight.numel()
    assert costs["standard"] == 368793600
    assert costs["4 groups"] == costs["standard"] / 4
    separable = costs["depthwise"] + costs["1×1"]
    assert separable == 18044544
    assert costs["standard"] / separable == pytest.approx(1 / (1 / 112 + 1 / 25))


def test_FK_12_most_of_the_network_is_1x1():
    layers = {name: m for name, m in network().named_modules() if isinstance(m, torch.nn.Conv2d)}
    with torch.no_grad(), capture(network(), *layers) as maps:
        network()(photos()[:1])
    macs = {name: layer.weight.numel() * maps[name][0, 0].numel() for name, layer in layers.items()}
    mixing = sum(macs[name] for name, layer in layers.items() if layer.kernel_size == (1, 1))
    assert round(mixing / sum(macs.values()), 2) == 0.88


def test_FK_13_by_hand():
    image, kernel = np.array(exercises.IMAGE), np.array(exercises.KERNEL)
    by_hand = [[(image[i : i + 3, j : j + 3] * kernel).sum() for j in range(3)] for i in range(3)]
    output = conv2d(image[None], kernel[None, None])[0]
    np.testing.assert_array_equal(output, by_hand)
    assert output[0, 0] == 1 * 1 - 1 * 2 + 2 * 1 + 1 * 2 - 1 * 1
    stack = np.stack([image, image.T, image[::-1]])
    filters = np.random.default_rng(0).integers(-2, 3, (2, 3, 3, 3))
    assert conv2d(stack, filters).shape == (2, 3, 3)
    assert filters.size * 9 == 486
    for unit in np.ndindex(3, 3):  # a weight matters to six units: below it are three zeros
        other = kernel.copy()
        other[unit] += 1
        assert (conv2d(image[None], other[None, None]) != output).sum() == 6


def assigned(source):
    """What the assignments at the top level of a cell give, without running the rest of it."""
    names = {"np": np, "conv2d": conv2d, "sliding_window_view": sliding_window_view}
    statements = [line for line in ast.parse(source).body if isinstance(line, ast.Assign)]
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    return names


def test_exercises_use_the_numbers_of_the_chapters_figures():
    cells = {cell.id: cell.source for cell in nbformat.read(CHAPTER, as_version=4).cells}
    anatomy, stepper = assigned(cells["fk3-anatomy"]), assigned(cells["fk13-one"])
    assert (anatomy["maps"], anatomy["one_filter"]) == (exercises.MAPS, exercises.FILTER)
    assert f"bias={exercises.BIAS}" in cells["fk3-anatomy"]
    np.testing.assert_array_equal(stepper["image"], exercises.IMAGE)
    np.testing.assert_array_equal(stepper["kernel"], exercises.KERNEL)
