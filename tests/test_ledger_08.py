"""Chapter 8 of the course's ledger, What layers see: its measurements, computed without the notebook."""

from functools import cache

import numpy as np
import pytest
import torch
from inputs import network
from torch import nn

from convlab import data
from convlab.capture import capture
from convlab.deconvnet import RULES, project, relu_rule, strongest
from convlab.fields import receptive_field
from convlab.ops import conv2d, conv_transpose2d, max_pool2d, max_unpool2d, relu
from convlab.pretrained import efficientnet_lite0, preprocess


@cache
def photos():
    return torch.cat([preprocess(data.photo(name)) for name in ("cat", "coffee", "hopper")])


@cache
def classes():
    with torch.no_grad():
        return network()(photos()).argmax(dim=1)


def alike(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


def asked(model, questions, rule):
    """The pictures (3, 3, 224, 224) of three photos, each with its question."""
    pictures = []
    for photo, question in zip(photos(), questions, strict=True):
        with relu_rule(rule):
            pixels = photo[None].clone().requires_grad_()
            score = model(pixels)[0, question]
        pictures.append(torch.autograd.grad(score, pixels)[0][0].numpy())
    return np.stack(pictures)


@cache
def trained(rule):
    return asked(network(), classes(), rule)


def likeness(views, others):
    """With the picture of the same photo, and with that of another: means over the photos."""
    pairs = [(alike(a, others[i]), alike(a, others[i - 1])) for i, a in enumerate(views)]
    return np.mean(pairs, axis=0)


def test_VZ_1_one_map_of_96_needs_one_filter_on_the_way_back():
    rng = np.random.default_rng(1)
    photo, filters = rng.normal(size=(3, 224, 224)), rng.normal(size=(96, 3, 7, 7))
    maps = relu(conv2d(photo, filters, stride=2, padding=3))
    assert maps.shape == (96, 112, 112)
    maps[np.arange(96) != 40] = 0
    back = conv_transpose2d(maps, filters, stride=2, padding=3, output_padding=1)
    alone = conv_transpose2d(maps[40:41], filters[40:41], stride=2, padding=3, output_padding=1)
    assert back.shape == (3, 224, 224)
    np.testing.assert_allclose(back, alone, atol=1e-9)


def test_VZ_1_the_deconvnet_by_hand_is_the_one_by_autograd():
    torch.manual_seed(0)
    one, two = nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.Conv2d(8, 6, 3, padding=1)
    model = nn.Sequential(one, nn.ReLU(), nn.MaxPool2d(2), two, nn.ReLU(), nn.MaxPool2d(2)).double().eval()
    x = torch.randn(3, 32, 32, dtype=torch.double)
    (a, a_bias), (b, b_bias) = ([p.detach().numpy() for p in layer.parameters()] for layer in (one, two))
    first, at_first = max_pool2d(
        relu(conv2d(x.numpy(), a, a_bias, stride=2, padding=2)), 2, return_indices=True
    )
    second, at_second = max_pool2d(relu(conv2d(first, b, b_bias, padding=1)), 2, return_indices=True)

    def back(kept, at_relu):
        signal = conv_transpose2d(at_relu(max_unpool2d(kept, at_second, 2)), b, padding=1)
        signal = at_relu(max_unpool2d(signal, at_first, 2))
        return conv_transpose2d(signal, a, stride=2, padding=2, output_padding=1)

    for m in range(6):
        kept = np.zeros_like(second)
        kept[m] = second[m]
        expected = project(model, x[None], "5", m, rule="deconvnet")[0].numpy()
        assert np.abs(expected).max() > 0.001
        np.testing.assert_allclose(back(kept, relu), expected, atol=1e-12)
        without = back(kept, lambda signal: signal)
        assert np.linalg.norm(without - expected) > 0.5 * np.linalg.norm(expected)


@pytest.mark.parametrize(("k", "places_win"), [(2, False), (4, True), (8, True)])
def test_VZ_2_switches_place_the_strokes_and_bring_the_photo_in(k, places_win):
    layer, norm = network().stem_conv, network().stem_bn
    factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    filters = (layer.weight.detach() * factor[:, None, None, None]).double().numpy()
    bias = (norm.bias - norm.running_mean * factor).detach().double().numpy()
    sides = {"stride": 2, "padding": ((0, 1), (0, 1))}
    maps = relu(conv2d(photos().double().numpy(), filters, bias, **sides))
    maxima, switches = max_pool2d(maps, k, return_indices=True)
    first = np.arange(0, 112, k)[:, None] * 112 + np.arange(0, 112, k)

    def view(places):
        return conv_transpose2d(max_unpool2d(maxima, places, k), filters, **sides)

    whole = conv_transpose2d(maps, filters, **sides)
    with_switches = likeness(view(switches), whole)[0]
    without = likeness(view(np.broadcast_to(first, switches.shape)), whole)[0]
    assert with_switches > without + 0.2
    numbers, places = likeness(view(np.roll(switches, 1, axis=0)), whole)
    assert (places > numbers + 0.05) == places_win
    neither = np.mean([alike(a, whole[i - 2]) for i, a in enumerate(view(np.roll(switches, 1, axis=0)))])
    assert neither < min(numbers, places)
    maxima = maxima.mean(axis=(0, 2, 3), keepdims=True) + 0 * maxima  # the switches alone know the photo
    alone = likeness(view(switches), whole)[0]
    assert max(without, numbers) + 0.05 < alone < with_switches


def test_VZ_3_without_switches_nine_projections_are_one_picture():
    layer, channel = "blocks.2.depthwise_bn", 103
    patches = torch.cat(
        [
            photo[None, :, top : top + 96, left : left + 96]
            for photo in photos()
            for top in (0, 96)
            for left in (0, 96)
        ]
    )
    with torch.no_grad(), capture(network(), layer) as maps:
        network()(patches)
    field = receptive_field(network(), input_size=96)[layer]
    assert field.size == (19, 19)
    inner = maps[layer][:, :, 2:21, 2:21]  # fields that lie in the patch
    found = strongest(inner, channel)
    assert len(found) == 9
    crops = {rule: [] for rule in RULES}
    for patch, row, column in found:
        unit = row + 2, column + 2
        top, left, bottom, right = field.region(unit, clip=(96, 96))
        assert (bottom - top, right - left) == (19, 19)
        for rule, views in crops.items():
            pixels = project(network(), patches[patch : patch + 1], layer, channel, unit, rule=rule)
            views.append(pixels[0, :, top:bottom, left:right].numpy())
            assert pixels.abs().sum() == pytest.approx(
                pixels[0, :, top:bottom, left:right].abs().sum().item()
            )
    pairs = {rule: [alike(a, b) for i, a in enumerate(v) for b in v[:i]] for rule, v in crops.items()}
    assert min(pairs["deconvnet"]) > 0.999
    assert np.mean(pairs["gradient"]) < 0.5
    assert np.mean(pairs["guided"]) < 0.6


def test_VZ_4_only_the_gradient_points_where_the_score_rises():
    def rise(pictures):
        step = torch.as_tensor(pictures).float()
        step = step / step.flatten(1).norm(dim=1)[:, None, None, None]
        with torch.no_grad():
            return (network()(photos() + step) - network()(photos()))[torch.arange(3), classes()].numpy()

    random = np.random.default_rng(0).normal(size=photos().shape)
    assert (rise(trained("gradient")) > 2).all()
    for pictures in (trained("deconvnet"), trained("guided"), random):
        assert (np.abs(rise(pictures)) < 0.6).all()


def test_VZ_4_only_the_gradient_answers_another_question_with_another_picture():
    for rule, same_for_question, same_for_photo in (
        ("gradient", False, False),
        ("deconvnet", True, True),
        ("guided", True, False),
    ):
        question, _ = likeness(trained(rule), asked(network(), classes().roll(1), rule))
        _, photo = likeness(trained(rule), trained(rule))
        assert (question > 0.98, photo > 0.98) == (same_for_question, same_for_photo)
        assert same_for_question or question < 0.1
        assert same_for_photo or photo < 0.3


def test_VZ_4_noise_that_nobody_sees_changes_much_of_the_gradient_and_little_of_the_guided_picture():
    noise = np.random.default_rng(0).normal(scale=1 / (255 * 0.502), size=photos().shape)
    noisy = photos() + torch.as_tensor(noise).float()
    for rule, low, high in (("gradient", 0.35, 0.7), ("guided", 0.8, 0.97)):
        again = []
        for photo, question in zip(noisy, classes(), strict=True):
            with relu_rule(rule):
                pixels = photo[None].clone().requires_grad_()
                score = network()(pixels)[0, question]
            again.append(torch.autograd.grad(score, pixels)[0][0].numpy())
        same, other = likeness(again, trained(rule))
        assert low < same < high
        assert other < 0.3


def test_VZ_5_a_random_head_on_trained_blocks_has_as_many_maps_of_the_cat():
    source, patches = [], []
    for name in data.PHOTOS:
        photo = torch.tensor(data.photo(name)).permute(2, 0, 1) / 255
        for top in range(0, photo.shape[1] - 95, 96):
            for left in range(0, photo.shape[2] - 95, 96):
                source.append(name)
                patches.append((photo[:, top : top + 96, left : left + 96] - 0.498) / 0.502)
    assert (len(patches), source.count("cat")) == (115, 12)

    def of_the_cat(model):
        with torch.no_grad(), capture(model, "head_bn") as maps:
            model(torch.stack(patches))
        best = np.argsort(-maps["head_bn"].amax(dim=(2, 3)).numpy(), axis=0)[:9]
        return ((np.array(source)[best] == "cat").sum(axis=0) >= 8).sum()

    assert of_the_cat(network()) == 19
    assert of_the_cat(random_above(("stem", "blocks."))) >= 10
    assert of_the_cat(random_above(())) <= 2


def random_above(learned):
    """The network with random weights in every part but those whose names begin with `learned`."""
    torch.manual_seed(7)
    model = efficientnet_lite0(pretrained=False)
    kept = {name: value for name, value in network().state_dict().items() if name.startswith(learned)}
    model.load_state_dict(kept, strict=False)
    return model


def test_VZ_5_deep_maps_have_one_guided_picture():
    pictures = {}
    for rule in ("gradient", "guided"):
        for blocks in (3, 16):
            part = nn.Sequential(
                network().stem_pad,
                network().stem_conv,
                network().stem_bn,
                network().stem_relu,
                *network().blocks[:blocks],
            )
            with relu_rule(rule):
                pixels = photos()[:, :, 64:160, 64:160].clone().requires_grad_()
                maps = part(pixels)
            middle = maps.shape[-1] // 2
            views = [
                torch.autograd.grad(maps[0, m, middle, middle], pixels, retain_graph=True)[0][0].numpy()
                for m in (0, 5, 11, 17, 23)
            ]
            pairs = [alike(a, b) for i, a in enumerate(views) for b in views[:i]]
            pictures[rule, blocks] = np.mean(pairs)
    assert abs(pictures["gradient", 3]) < 0.2
    assert abs(pictures["gradient", 16]) < 0.2
    assert pictures["guided", 3] < 0.75
    assert pictures["guided", 16] > 0.98


def test_VZ_5_the_sanity_check():
    head = random_above(("stem", "blocks."))
    lower = random_above(("stem", *(f"blocks.{i}." for i in range(5))))
    nothing = random_above(())
    assert abs(likeness(asked(head, classes(), "gradient"), trained("gradient"))[0]) < 0.2
    same, other = likeness(asked(head, classes(), "guided"), trained("guided"))
    assert same > 0.95
    assert other < 0.3
    same, other = likeness(asked(lower, classes(), "guided"), trained("guided"))
    assert 0.6 < same < 0.8
    assert other < 0.3
    same, other = likeness(asked(random_above(("stem", "blocks.0.")), classes(), "guided"), trained("guided"))
    assert 0.1 < same < 0.4
    drawn = asked(nothing, classes(), "guided")
    assert abs(likeness(drawn, trained("guided"))[0]) < 0.25

    def small(pictures):
        return np.asarray(pictures).reshape(3, 3, 56, 4, 56, 4).mean(axis=(1, 3, 5))

    def size_of(views):
        pairs = [(alike(a, b), alike(a, small(photos())[i - 1])) for i, (a, b) in enumerate(views)]
        return np.abs(pairs).mean(axis=0)

    guided = size_of(zip(small(drawn), small(photos()), strict=True))
    gradient = size_of(zip(small(asked(nothing, classes(), "gradient")), small(photos()), strict=True))
    assert guided[0] > 0.6 > 0.25 > guided[1]
    assert gradient[0] < 0.15
