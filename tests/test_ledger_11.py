"""The ledger's rows of chapter 11, Capstone: what it says of our photo, computed with the library."""

from functools import cache

import numpy as np
import pytest
import torch
from inputs import network

from convlab import data
from convlab.capture import capture
from convlab.deconvnet import project
from convlab.fields import measure, receptive_field
from convlab.pretrained import efficientnet_lite0, preprocess, resize
from convlab.regions import level_of_box, project_box, roi_align, share_inside

BOX = (8, 66, 160, 156)  # top, left, bottom, right of the cup
AREA = 152 * 90 / 224**2
OTHERS = ["cat", "astronaut", "rocket", "hopper"]
STAGES = ["stem_relu", "blocks.4", "blocks.10", "blocks.15", "head_relu"]
PLACES = [(r, c, r + 152, c + 90) for r in range(0, 73, 8) for c in range(0, 135, 8)]
CHANNEL, UNIT = 69, (6, 5)  # the strongest of blocks.5


def maps_of(model, x, *names):
    with torch.no_grad(), capture(model, *names) as maps:
        model(x)
    return {name: maps[name].numpy() for name in names}


@cache
def photo(name="coffee"):
    return preprocess(data.photo(name))


def partly_random(learned, seed):
    """The network, but only the parts named in `learned` as trained."""
    torch.manual_seed(seed)
    model = efficientnet_lite0(pretrained=False)
    weights = network().state_dict().items()
    model.load_state_dict({key: one for key, one in weights if key.startswith(learned)}, strict=False)
    return model


@cache
def maps(name="coffee", seed=None, learned=()):
    model = network() if seed is None else partly_random(learned, seed)
    return maps_of(model, photo(name), *STAGES)


def shares(stack, box):
    top, left, bottom, right = box
    return share_inside(stack, [[(left, top, right, bottom)]], spatial_scale=stack.shape[-1] / 224)[0]


def typical(stack, box=BOX):
    return np.nanmedian(shares(stack, box))


def value(x):
    return maps_of(network(), x, "blocks.5")["blocks.5"][:, CHANNEL, *UNIT]


def covered(part, colour=None, x=None):
    x = photo() if x is None else x
    return torch.where(torch.tensor(part), x.mean((2, 3), keepdim=True) if colour is None else colour, x)


@pytest.mark.parametrize("stage", STAGES[:4])
def test_CP_1_below_the_head_the_typical_map_does_not_favour_the_cup(stage):
    assert typical(maps()[stage]) == pytest.approx(AREA, abs=0.045)
    controls = [typical(maps(name)[stage]) for name in OTHERS] + [
        typical(maps(seed=seed)[stage]) for seed in range(2)
    ]
    assert typical(maps()[stage]) < max(controls) + 0.005


def test_CP_1_the_typical_map_of_the_trained_head_favours_the_cup():
    assert typical(maps()["head_relu"]) == pytest.approx(0.62, abs=0.01)
    others = [typical(maps(name)["head_relu"]) for name in OTHERS]
    assert (min(others), max(others)) == pytest.approx((0.11, 0.36), abs=0.01)
    assert max(typical(maps(seed=seed)["head_relu"]) for seed in range(2)) < 0.32
    heads = [maps(seed=seed, learned=("stem", "blocks.")) for seed in range(2)]
    for head in heads:
        np.testing.assert_array_equal(head["blocks.15"], maps()["blocks.15"])
        assert typical(head["head_relu"]) == pytest.approx(0.33, abs=0.01)


def test_CP_1_but_not_the_astronaut():
    box = (0, 60, 150, 160)
    assert typical(maps("astronaut")["head_relu"], box) < 150 * 100 / 224**2


def ranks(stack, boxes):
    """Of each box, the mean over the maps of its rank among the places, the middle of equal ones."""
    there = np.array([shares(stack, place) for place in PLACES])
    alive = ~np.isnan(there[0])
    return [
        (np.sign((shares(stack, box) - there)[:, alive].round(9)) / 2 + 0.5).mean(dtype=float)
        for box in boxes
    ]


def test_CP_1_the_mean_rank_of_a_box_that_lies_anywhere_is_a_half():
    assert len(PLACES) == 170
    one_unit, even, random = np.zeros((1, 7, 7)), np.ones((1, 7, 7)), maps()["head_relu"][0]
    one_unit[0, 2, 3] = 1
    for stack in (one_unit, even, random):
        assert np.mean(ranks(stack[None], PLACES)) == pytest.approx(0.5)


def test_CP_1_in_the_head_the_cup_ranks_somewhat_above_the_controls():
    def rank(**which):
        return {stage: ranks(stack, [BOX])[0] for stage, stack in maps(**which).items()}

    this, others = rank(), [rank(name=name) for name in OTHERS]
    randoms = [rank(seed=seed) for seed in range(2)]
    heads = [rank(seed=seed, learned=("stem", "blocks.")) for seed in range(2)]
    assert this["head_relu"] == pytest.approx(0.62, abs=0.01)
    assert max(one["head_relu"] for one in others + randoms + heads) < 0.56
    for stage in STAGES[:4]:
        assert this[stage] < max(one[stage] for one in others + randoms) + 0.005


def test_CP_1_random_networks_have_maps_that_fit_the_cup():
    assert np.nanmax(shares(maps()["head_relu"], BOX)) == pytest.approx(1)
    for seed in range(2):
        for stage, least in {"stem_relu": 0.85, "blocks.10": 0.99, "head_relu": 0.9}.items():
            assert np.nanmax(shares(maps(seed=seed)[stage], BOX)) > least


@cache
def layer_maps():
    """The maps of blocks.5, and mean and standard deviation of each over the other photos."""
    four = maps_of(network(), torch.cat([photo(name) for name in OTHERS]), "blocks.5")["blocks.5"]
    stack = maps_of(network(), photo(), "blocks.5")["blocks.5"][0]
    return stack, *(of((0, 2, 3))[:, None, None] for of in (four.mean, four.std))


def test_CP_2_the_strongest_unit_sits_on_the_cup():
    stack, mean, spread = layer_maps()
    relative = stack / spread
    assert np.unravel_index(relative.argmax(), relative.shape) == (CHANNEL, *UNIT)
    assert stack[CHANNEL][UNIT] == pytest.approx(32.4, abs=0.1)
    other = (stack - mean) / spread
    assert np.unravel_index(other.argmax(), other.shape) == (57, 11, 8)


def field_part():
    return receptive_field(network(), input_size=224)["blocks.5"].reads(UNIT, clip=(224, 224))


def test_CP_2_its_field_by_rule_and_by_gradients():
    part = field_part()
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    assert (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) == (70, 54, 153, 137)
    np.testing.assert_array_equal(measure(network(), UNIT, input_size=224, layer="blocks.5"), part)


def test_CP_2_without_its_field_it_falls_and_without_the_rest_it_does_not():
    before = value(photo())[0]
    for colour in (None, -1, 1):
        assert value(covered(field_part(), colour))[0] < before / 2
        assert value(covered(~field_part(), colour))[0] == pytest.approx(before, abs=1e-3)
    for name in OTHERS:
        other = torch.where(torch.tensor(field_part()), photo(name), photo())
        assert value(other)[0] < before / 2


def test_CP_2_but_other_large_units_fall_too():
    stack, _, spread = layer_maps()
    field, lost = receptive_field(network(), input_size=224)["blocks.5"], 0
    high = np.argwhere(stack > spread)
    for channel, *place in np.random.default_rng(0).permutation(high)[:20]:
        part = field.reads(tuple(place), clip=(224, 224))
        lost += all(
            maps_of(network(), covered(part, colour), "blocks.5")["blocks.5"][0][channel, *place]
            < stack[channel, *place] / 2
            for colour in (None, -1, 1)
        )
    assert lost == 16


def test_CP_2_the_guided_picture_is_that_of_other_maps_too():
    def correlation(rule):
        own, *others = (
            project(network(), photo(), "blocks.5", (CHANNEL + 10 * step) % 80, UNIT, rule=rule)[0].numpy()
            for step in range(4)
        )
        inside = np.s_[:, 70:153, 54:137]
        return np.mean([np.corrcoef(own[inside].ravel(), one[inside].ravel())[0, 1] for one in others])

    assert correlation("guided") > 0.8
    assert abs(correlation("gradient")) < 0.25


def test_CP_2_noise_changes_neither_picture_as_much():
    torch.manual_seed(0)
    noisy = photo() + torch.randn(photo().shape) / (255 * 0.502)

    def correlation(rule):
        one, other = (
            project(network(), x, "blocks.5", CHANNEL, UNIT, rule=rule)[0, :, 70:153, 54:137].numpy()
            for x in (photo(), noisy)
        )
        return np.corrcoef(one.ravel(), other.ravel())[0, 1]

    assert correlation("gradient") == pytest.approx(0.69, abs=0.05)
    assert correlation("guided") == pytest.approx(0.93, abs=0.02)


def test_CP_2_one_square_makes_most_of_it_and_influence_says_where_a_place_looks_and_not_what_a_map_wants():
    def squares(pixels):
        return pixels.reshape(8, 28, 8, 28).sum((1, 3))

    before, touch = value(photo())[0], squares(field_part().astype(float)) > 0
    parts = np.zeros((64, 8, 28, 8, 28), bool)
    for square, part in enumerate(parts):
        part[square // 8, :, square % 8] = True
    falls_in = {}
    for colour in (None, -1, 1):
        painted = [covered(part.reshape(224, 224), colour) for part in parts]
        after = [value(torch.cat(painted[n : n + 8])) for n in range(0, 64, 8)]
        falls_in[colour] = before - np.stack(after)
    falls = falls_in[None]
    assert touch.sum() == 16
    assert np.abs(falls[~touch]).max() < 1e-3
    assert falls.max() == falls[3, 3] == pytest.approx(27.4, abs=0.2)
    for colour in (-1, 1):
        assert falls_in[colour][3, 3] == falls_in[colour].max() > before / 2
        assert np.sort(falls_in[colour], axis=None)[-2] < 13

    def agreement(channel):
        pixels = project(network(), photo(), "blocks.5", channel, UNIT, rule="gradient")[0]
        return np.corrcoef(falls[touch], squares(pixels.square().sum(0).numpy())[touch])[0, 1]

    assert agreement(CHANNEL) > 0.9
    assert np.mean([agreement((CHANNEL + 10 * step) % 80) for step in range(1, 8)]) > 0.9


def test_CP_2_other_classes_lose_as_much_and_have_such_evidence():
    i, j = np.indices((224, 224))
    parts = [
        (abs(i - a + 0.5) < 32) & (abs(j - b + 0.5) < 32)
        for a in range(16, 224, 32)
        for b in range(16, 224, 32)
    ]
    with torch.no_grad():
        scores = network()(photo())[0]
        after = torch.cat([network()(covered(part)) for part in parts])
    drops = (scores - after).numpy()
    hidden = np.array([part[8:160, 66:156].sum() for part in parts])
    much = hidden >= hidden.max() / 2
    assert much.sum() == 13
    difference = drops[much].mean(0) - drops[~much].mean(0)
    assert difference[967] == pytest.approx(0.8, abs=0.05)
    assert 25 <= (difference > difference[967]).sum() <= 45
    weights = network().classifier.weight.detach().numpy()
    evidences = np.einsum("kc,chw->khw", weights, maps()["head_relu"][0]).reshape(1000, 49)
    likeness = np.array([np.corrcoef(drops[:, 967], one)[0, 1] for one in evidences])
    assert likeness[967] == pytest.approx(0.7, abs=0.05)
    assert 40 <= (likeness > likeness[967]).sum() <= 60


def test_CP_3_as_it_is_the_rules_agree_for_the_smallest_boxes_only():
    sizes = {2: 19, 3: 67, 4: 339, 5: 851}
    boxes = [(h, w) for h in range(16, 225) for w in range(16, 225) if 2 * h * w <= 224**2]
    levels = {box: level_of_box(*box) for box in boxes}
    assert set(levels.values()) == {2, 3}
    agree = [box for box in boxes if 0.9 * max(box) <= sizes[levels[box]] <= 3.1 * max(box)]
    assert len(agree) == 36
    assert max(map(max, agree)) == 21


def test_CP_3_two_rules_for_the_level_of_the_cup():
    fields = receptive_field(network(), input_size=224)
    sizes = [fields[name].size[0] for name in ("blocks.2", "blocks.4", "blocks.10", "blocks.15")]
    assert sizes == [19, 67, 339, 851]
    fits = {
        zoom: [n for n, size in enumerate(sizes, 2) if 0.9 * 152 * zoom <= size <= 3.1 * 152 * zoom]
        for zoom in (0.25, 0.5, 1, 2)
    }
    assert fits == {0.25: [3], 0.5: [], 1: [4], 2: [4, 5]}
    assert [level_of_box(90 * zoom, 152 * zoom) for zoom in fits] == [2, 2, 3, 4]


def test_CP_3_rounding_the_box_and_drawing_it_carelessly():
    exact = np.array([66, 8, 156, 160])
    found = maps_of(network(), photo(), "blocks.4", "blocks.10")
    changes = []
    for stack, stride, worst in zip(found.values(), (8, 16), (12, 20), strict=True):
        rounded = np.add(project_box(exact, 1 / stride), (0, 0, 1, 1)) * stride
        assert np.abs(rounded - exact).max() == worst
        first, *moved = (
            roi_align(stack, [[box]], 7, spatial_scale=1 / stride)
            for box in (exact, rounded, np.add(exact, (8, 0, 8, 0)))
        )
        changes.append([np.linalg.norm(one - first) / np.linalg.norm(first) for one in moved])
    np.testing.assert_allclose(changes, [[0.59, 0.66], [0.84, 0.47]], atol=0.01)


def test_CP_3_a_small_cup_is_lost_more_than_a_blurred_one():
    def rank(pixels):
        x = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            scores = network()((x - 0.498) / 0.502)[0]
        return int((scores > scores[967]).sum()) + 1

    small = resize(data.photo("coffee"), 64)
    assert rank(small) > 30
    assert rank(resize(small)) < 6
    assert rank(resize(data.photo("coffee"), 448)) == 1
