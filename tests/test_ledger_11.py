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
from convlab.pyramid import level_of_box
from convlab.regions import project_box, roi_align, share_inside

BOX = (8, 66, 160, 156)  # top, left, bottom, right of the cup
AREA = 152 * 90 / 224**2
OTHERS = ["cat", "astronaut", "rocket", "hopper"]
STAGES = ["stem_relu", "blocks.2", "blocks.4", "blocks.10", "head_relu"]
CHANNEL, UNIT = 69, (6, 5)  # the winner of blocks.5


def maps_of(model, x, *names):
    with torch.no_grad(), capture(model, *names) as maps:
        model(x)
    return {name: maps[name].numpy() for name in names}


@cache
def photo(name="coffee"):
    return preprocess(data.photo(name))


@cache
def maps(name="coffee", seed=None):
    if seed is None:
        return maps_of(network(), photo(name), *STAGES)
    torch.manual_seed(seed)
    return maps_of(efficientnet_lite0(pretrained=False), photo(name), *STAGES)


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
def test_CP_1_below_the_head_the_typical_map_does_not_mark_the_cup(stage):
    assert typical(maps()[stage]) == pytest.approx(AREA, abs=0.045)
    controls = [typical(maps(name)[stage]) for name in OTHERS] + [
        typical(maps(seed=seed)[stage]) for seed in range(2)
    ]
    assert typical(maps()[stage]) < max(controls) + 0.005


def test_CP_1_the_typical_map_of_the_head_marks_the_cup():
    assert typical(maps()["head_relu"]) == pytest.approx(0.62, abs=0.01)
    others = [typical(maps(name)["head_relu"]) for name in OTHERS]
    assert (min(others), max(others)) == pytest.approx((0.11, 0.36), abs=0.01)
    assert max(typical(maps(seed=seed)["head_relu"]) for seed in range(2)) < 0.32


def test_CP_1_but_not_the_astronaut():
    box = (0, 60, 150, 160)
    assert typical(maps("astronaut")["head_relu"], box) < 0.5 * 150 * 100 / 224**2


def test_CP_1_random_stems_have_more_maps_that_pick_the_cup():
    places = [(r, c, r + 152, c + 90) for r in range(0, 73, 8) for c in range(0, 135, 8)]
    assert len(places) == 170

    def picks(stack):
        here, there = shares(stack, BOX), np.array([shares(stack, place) for place in places])
        alive = ~np.isnan(here)
        return ((there[:, alive] < here[alive] - 1e-9).mean(0) >= 0.95).mean()

    randoms = [{stage: picks(maps(seed=seed)[stage]) for stage in STAGES} for seed in range(2)]
    for stage in ("stem_relu", "blocks.2"):
        assert picks(maps()[stage]) < min(one[stage] for one in randoms)
    assert picks(maps()["head_relu"]) == pytest.approx(0.23, abs=0.01)
    assert max(one["head_relu"] for one in randoms) < 0.06
    assert max(picks(maps(name)["head_relu"]) for name in OTHERS) < 0.12


def test_CP_2_the_winner_sits_on_the_cup():
    spread = maps_of(network(), torch.cat([photo(name) for name in OTHERS]), "blocks.5")["blocks.5"]
    stack = maps_of(network(), photo(), "blocks.5")["blocks.5"][0]
    relative = stack / spread.std((0, 2, 3))[:, None, None]
    assert np.unravel_index(relative.argmax(), relative.shape) == (CHANNEL, *UNIT)
    assert stack[CHANNEL][UNIT] == pytest.approx(32.4, abs=0.1)


def field_part():
    return receptive_field(network(), input_size=224)["blocks.5"].reads(UNIT, clip=(224, 224))


def test_CP_2_its_field_by_rule_and_by_gradients():
    part = field_part()
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    assert (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) == (70, 54, 153, 137)
    np.testing.assert_array_equal(measure(network(), UNIT, input_size=224, layer="blocks.5"), part)


def test_CP_2_it_needs_its_field_and_nothing_else():
    before = value(photo())[0]
    for colour in (None, -1, 1):
        assert value(covered(field_part(), colour))[0] < before / 2
        assert value(covered(~field_part(), colour))[0] == pytest.approx(before, abs=1e-3)
    for name in OTHERS:
        other = torch.where(torch.tensor(field_part()), photo(name), photo())
        assert value(other)[0] < before / 2


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


def test_CP_2_influence_says_where_a_place_looks_and_not_what_a_map_wants():
    def squares(pixels):
        return pixels.reshape(8, 28, 8, 28).sum((1, 3))

    before, touch = value(photo())[0], squares(field_part().astype(float)) > 0
    parts = []
    for square in range(64):
        part = np.zeros((8, 28, 8, 28), bool)
        part[square // 8, :, square % 8] = True
        parts.append(covered(part.reshape(224, 224)))
    falls = np.concatenate([before - value(torch.cat(parts[n : n + 8])) for n in range(0, 64, 8)])
    falls = falls.reshape(8, 8)
    assert touch.sum() == 16
    assert np.abs(falls[~touch]).max() < 1e-3
    assert falls.max() == falls[3, 3] == pytest.approx(27.4, abs=0.2)

    def agreement(channel):
        pixels = project(network(), photo(), "blocks.5", channel, UNIT, rule="gradient")[0]
        return np.corrcoef(falls[touch], squares(pixels.square().sum(0).numpy())[touch])[0, 1]

    assert agreement(CHANNEL) > 0.9
    assert np.mean([agreement((CHANNEL + 10 * step) % 80) for step in range(1, 8)]) > 0.9


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


def test_CP_3_rounding_the_box_changes_the_reading_more_than_a_pixel():
    exact = np.array([66, 8, 156, 160])
    found = maps_of(network(), photo(), "blocks.4", "blocks.10")
    for stack, stride, worst in zip(found.values(), (8, 16), (12, 20), strict=True):
        rounded = np.add(project_box(exact, 1 / stride), (0, 0, 1, 1)) * stride
        assert np.abs(rounded - exact).max() == worst
        one, two, three = (
            roi_align(stack, [[box]], 7, spatial_scale=1 / stride)
            for box in (exact, rounded, np.add(exact, (1, 0, 1, 0)))
        )
        assert np.linalg.norm(two - one) > 5 * np.linalg.norm(three - one)


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
