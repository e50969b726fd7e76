"""Chapter 5 of the course's ledger, A whole CNN: its numbers and measurements, without the notebook."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from convlab import data, kernels, nets, shapes
from convlab.ops import conv1d, conv2d, linear, max_pool2d, relu, sigmoid, tanh

STANDING = np.array([[-1, 2, -1]] * 3)


def pooled_lines(line):
    x = np.zeros((1, 1, 6, 6), int)
    x[0, 0][line] = 1
    return max_pool2d(relu(conv2d(x, np.stack([STANDING, STANDING.T])[:, None])), 2)


def test_CN_1_every_part_does_its_own_thing_to_the_shape():
    pooled = pooled_lines(np.s_[1:5, 2])
    assert pooled.shape == (1, 2, 2, 2)
    np.testing.assert_array_equal(pooled.sum(axis=(2, 3)), [[12, 4]])
    for row in range(6):
        standing, lying = pooled_lines(np.s_[1:5, row]), pooled_lines(np.s_[row, 1:5])
        np.testing.assert_array_equal(standing, lying.swapaxes(2, 3)[:, ::-1])


def test_CN_2_a_spectrogram_is_a_strided_convolution():
    sound = np.random.default_rng(0).normal(size=8000)
    windows = np.lib.stride_tricks.sliding_window_view(sound, 256)[::64]
    angle = 2 * np.pi * np.outer(np.arange(129), np.arange(256)) / 256
    parts = [
        conv1d(sound[None], (wave(angle) * np.hanning(256))[:, None], stride=64) for wave in (np.cos, np.sin)
    ]
    strength = np.abs(np.fft.rfft(windows * np.hanning(256))).T
    np.testing.assert_allclose(np.hypot(*parts), strength, atol=1e-9)
    assert strength.shape == (129, 122) == (129, shapes.output_size(8000, 256, stride=64))


def test_CN_2_a_level_kernel_answers_on_the_crest_of_a_thick_line_that_climbs():
    level = np.array([[-1, -1, -1], [2, 2, 2], [-1, -1, -1]])[None, None]
    rows, columns = np.mgrid[:31, :31]
    line = np.exp(-((rows - 15 - 0.82 * (columns - 15)) ** 2) / 8)
    assert conv2d(line[None], level)[0, 14, 14] > 0.5
    diagonal = np.eye(31)[None]
    assert conv2d(diagonal, level)[0, 14, 14] == 0


def test_CN_2_a_pair_of_words_is_found_in_its_order_wherever_it_stands():
    deny, praise, other = [1, 0], [0, 1], [0, 0]
    pair = np.array([[[1, 0], [0, 1]]])

    def fires(*words):
        return relu(conv1d(np.array(words).T, pair, bias=[-1]))[0].tolist()

    assert fires(other, deny, praise) == [0, 1]
    assert fires(deny, praise, other, other) == [1, 0, 0]
    assert fires(praise, deny, other) == [0, 0]


def test_CN_2_maps_outgrow_the_weights_as_the_batch_grows():
    vgg, resnet = nets.ledger(nets.vgg16()), nets.ledger(nets.resnet(50))

    def both(count, batch):
        return 4 * count.parameters + batch * count.memory

    assert both(vgg, 32) > both(resnet, 32)
    assert both(vgg, 256) < both(resnet, 256)
    assert round(both(vgg, 32) / 1e6) == 2485
    assert round(both(resnet, 256) / 1e6) == 16804


@pytest.mark.parametrize("batch", [1, 7])
def test_CN_2_torch_keeps_for_the_gradient_what_the_count_says(batch):
    layers = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2))
    own = {weight.data_ptr() for weight in layers.parameters()}
    sizes = {}

    def note(x):
        sizes[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        layers(torch.zeros(batch, 1, 32, 32))
    kept = sum(size for pointer, size in sizes.items() if pointer not in own)
    assert kept == batch * (4 * (32 * 32 + 6 * 28 * 28) + 8 * 6 * 14 * 14) == batch * 32320


def test_CN_3_lenet5_layer_by_layer():
    today = nets.ledger(nets.lenet5())
    assert [row.shape for row in today.rows] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120, 1, 1),
        (84, 1, 1),
        (10, 1, 1),
    ]
    assert [row.parameters for row in today.rows] == [156, 0, 2416, 0, 48120, 10164, 850]
    assert (today.parameters, today.macs, today.memory) == (61706, 416520, 32376)
    layers = [nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)]
    layers += [nn.Linear(120, 84), nn.Linear(84, 10)]
    assert sum(p.numel() for layer in layers for p in layer.parameters()) == 61706


def test_CN_3_the_paper_connects_only_some_maps():
    # Table I of LeCun et al. 1998, row by row: the maps of S2
    table = """X . . . X X X . . X X X X . X X
               X X . . . X X X . . X X X X . X
               X X X . . . X X X . . X . X X X
               . X X X . . X X X X . . X . X X
               . . X X X . . X X X X . X X . X
               . . . X X X . . X X X X . X X X"""
    seen = np.array([[mark == "X" for mark in row.split()] for row in table.splitlines()])
    rule = [[(f + i) % 6 for i in range(3)] for f in range(6)]
    rule += [[(f + i) % 6 for i in range(4)] for f in range(6)]
    rule += [[f, f + 1, (f + 3) % 6, (f + 4) % 6] for f in range(2)] + [[0, 2, 3, 5], list(range(6))]
    np.testing.assert_array_equal(seen, [[m in maps for maps in rule] for m in range(6)])
    paper = nets.ledger(nets.lenet5("1998"))
    assert seen.sum() * 25 + 16 == paper["C3"].parameters == 1516
    assert (paper["S2"].parameters, paper["S4"].parameters, paper["output"].parameters) == (12, 32, 0)
    assert paper.parameters == 60000


def test_CN_4_without_a_bend_two_layers_are_one():
    rng = np.random.default_rng(0)
    first, b1, second, b2 = (rng.integers(-5, 6, size) for size in ((4, 3), 4, (2, 4), 2))
    x = rng.integers(-5, 6, (20, 3))
    one = linear(x, second @ first, second @ b1 + b2)
    np.testing.assert_array_equal(linear(linear(x, first, b1), second, b2), one)
    assert (linear(relu(linear(x, first, b1)), second, b2) != one).any()
    image, a, b = rng.integers(-5, 6, (1, 9, 9)), *rng.integers(-2, 3, (2, 3, 3))
    twice = conv2d(conv2d(image, a[None, None]), b[None, None])
    np.testing.assert_array_equal(twice, conv2d(image, kernels.compose(a, b)[None, None]))


def test_CN_4_slopes():
    def slope(function, x):
        return (function(x + 1e-5) - function(x - 1e-5)) / 2e-5

    x = np.linspace(-8, 8, 1601)
    for function, largest in ((sigmoid, 0.25), (tanh, 1), (relu, 1)):
        assert slope(function, x).max() == pytest.approx(largest, abs=1e-4)
    assert slope(sigmoid, np.array(5.0)) < 0.01
    assert slope(tanh, np.array(5.0)) < 0.001
    assert slope(relu, np.array(5.0)) == pytest.approx(1)
    assert slope(relu, np.array(-5.0)) == 0


def shrinkage(bend, scale, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    x = bottom = normal(100, 64).requires_grad_()
    for _ in range(10):
        x = bend(x @ normal(64, 64) * scale / 8)
    top = normal(100, 64)
    return (torch.autograd.grad(x, bottom, top)[0].norm() / top.norm()).item()


def test_CN_4_with_weights_times_8_most_units_of_tanh_are_saturated():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(100, 64, generator=generator)
    for _ in range(10):
        x = torch.tanh(x @ torch.randn(64, 64, generator=generator))
    assert 0.65 < (x.abs() > 0.99).double().mean() < 0.8


@pytest.mark.parametrize(
    ("bend", "scale", "low", "high"),
    [
        (lambda x: x, 1, 0.7, 1.4),
        (torch.sigmoid, 1, 3e-7, 7e-7),
        (torch.tanh, 1, 0.15, 0.35),
        (torch.relu, 1, 0.02, 0.045),
        (torch.relu, 2**0.5, 0.5, 2),
        (torch.tanh, 8, 700, 3000),
    ],
    ids=["none", "sigmoid", "tanh", "relu", "relu √2", "tanh saturated"],
)
def test_CN_4_gradient_through_ten_layers(bend, scale, low, high):
    factors = [shrinkage(bend, scale, seed) for seed in range(5)]
    assert low < min(factors)
    assert max(factors) < high


def test_CN_5_fully_connected_is_a_convolution_as_large_as_the_map():
    rng = np.random.default_rng(0)
    stack, weight = rng.integers(-9, 10, (2, 16, 5, 5)), rng.integers(-9, 10, (120, 400))
    np.testing.assert_array_equal(
        conv2d(stack, weight.reshape(120, 16, 5, 5))[..., 0, 0], linear(stack.reshape(2, -1), weight)
    )


def test_CN_5_a_network_of_convolutions_gives_a_map_of_scores():
    rng = np.random.default_rng(0)
    sizes = [(6, 1, 5, 5), (16, 6, 5, 5), (120, 16, 5, 5), (84, 120, 1, 1), (10, 84, 1, 1)]
    c1, c3, c5, f6, output = (rng.normal(size=size) / math.prod(size[1:]) ** 0.5 for size in sizes)

    def scores(x):
        x = max_pool2d(tanh(conv2d(x, c1)), 2)
        x = max_pool2d(tanh(conv2d(x, c3)), 2)
        return conv2d(tanh(conv2d(tanh(conv2d(x, c5)), f6)), output)

    image = rng.random((1, 1, 48, 64))
    large = scores(image)
    assert large.shape == (1, 10, 5, 9)
    for i, j in np.ndindex(5, 9):
        crop = image[..., 4 * i : 4 * i + 32, 4 * j : 4 * j + 32]
        np.testing.assert_allclose(scores(crop)[0, :, 0, 0], large[0, :, i, j], atol=1e-12)


@cache
def digits():
    images, labels = data.digits()
    rest, held_out = data.split(len(labels), seed=0)
    training = rest[data.split(len(rest), test_share=0.2, seed=0)[0]]
    padded = nn.functional.pad(torch.from_numpy(images).double(), [4] * 4)
    return padded, torch.from_numpy(labels), training, held_out


def flat_head():
    return [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(384, 10, dtype=torch.float64)]


def global_head():
    return [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(24, 10, dtype=torch.float64)]


def cnn(head=flat_head, stride=2):
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, dtype=torch.float64),
        nn.ReLU(),
        nn.MaxPool2d(2, stride=stride),
        nn.Conv2d(12, 24, 3, padding=1, dtype=torch.float64),
        nn.ReLU(),
        *head(),
    )


def dense():
    double = {"dtype": torch.float64}
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 32, **double), nn.ReLU(), nn.Linear(32, 10, **double))


MAKERS = {
    "dense": dense,
    "CNN": cnn,
    "global": lambda: cnn(global_head),
    "stride 1": lambda: cnn(global_head, stride=1),
}


@cache
def trained(name, seed=5):
    """A network from another seed than those of the chapter."""
    images, labels, training, _ = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MAKERS[name]()
        adam = torch.optim.Adam(model.parameters())
        steps = 10 * math.ceil(len(training) / 32)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=steps)
        for _ in range(10):
            for batch in torch.from_numpy(training)[torch.randperm(len(training))].split(32):
                adam.zero_grad()
                nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
                adam.step()
                schedule.step()
    return model


def right(model, by=0):
    images, labels, _, held_out = digits()
    shares = []
    for move in {(by, 0), (-by, 0), (0, by), (0, -by)}:
        with torch.no_grad():
            scores = model(images[held_out].roll(move, (2, 3)))
        shares.append((scores.argmax(1) == labels[held_out]).double().mean().item())
    return np.mean(shares)


def test_CN_6_a_small_cnn_reads_digits_that_it_has_not_seen():
    assert right(trained("CNN")) >= 0.97
    assert right(cnn()) < 0.3


def test_CN_7_dense_and_flattened_networks_fail_on_moved_digits_and_global_pooling_does_not():
    shares = {name: [right(trained(name), by) for by in range(5)] for name in MAKERS}
    assert all(share[0] >= 0.95 for share in shares.values())
    assert shares["dense"][1] < 0.55
    assert shares["dense"][1] < shares["CNN"][1] < 0.8
    assert max(shares["dense"][2], shares["CNN"][2]) < 0.4
    assert min(shares["global"][2], shares["global"][4]) > 0.85
    assert max(shares["global"][1], shares["global"][3]) < 0.9
    assert min(shares["stride 1"][:4]) > 0.95


def test_CN_7_global_pooling_ignores_shifts_by_its_stride_exactly_if_the_border_is_far():
    images, _, _, held_out = digits()
    far = nn.functional.pad(images[held_out[:50]], [8] * 4)
    with torch.no_grad():
        for name, stride in (("global", 2), ("stride 1", 1)):
            still = trained(name)(far)
            for by in range(1, 5):
                change = (trained(name)(far.roll(by, 3)) - still).abs().max()
                assert (change < 1e-9) == (by % stride == 0)


def test_CN_7_at_one_pixel_hardly_any_ink_lies_on_weights_that_were_not_trained():
    images, _, training, held_out = digits()
    blank = (images[training] == 0).all(dim=0)
    shares = []
    for by in range(5):
        ink = images[held_out].roll(by, 3).sum(dim=0)
        shares.append((ink[blank].sum() / ink.sum()).item())
    np.testing.assert_allclose(shares, [0, 0.01, 0.09, 0.30, 0.55], atol=0.006)


def test_CN_7_a_dense_network_learns_from_shifted_digits_but_slowly():
    images, labels, training, _ = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = dense()
        adam = torch.optim.Adam(model.parameters())
        steps = 20 * math.ceil(len(training) / 32)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, 0.02, total_steps=steps)
        for _ in range(20):
            for batch in torch.from_numpy(training)[torch.randperm(len(training))].split(32):
                moves = torch.randint(-4, 5, (len(batch), 2)).tolist()
                x = torch.stack([one.roll(by, (1, 2)) for one, by in zip(images[batch], moves, strict=True)])
                adam.zero_grad()
                nn.functional.cross_entropy(model(x), labels[batch]).backward()
                adam.step()
                schedule.step()
    shares = [right(model, by) for by in range(5)]
    assert min(shares) > 0.5
    assert max(shares) < 0.8


def test_CN_7_weights_of_pixels_without_ink_are_never_trained():
    images, _, training, _ = digits()
    blank = (images[training] == 0).all(dim=0).flatten()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        start = dense()
    unmoved = (start[1].weight == trained("dense")[1].weight).all(dim=0)
    assert torch.equal(unmoved, blank)
    assert blank.sum() == 195
