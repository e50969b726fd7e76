"""The ledger's rows of chapter 10, Feature pyramids."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from convlab import detector, kernels, nets, ops
from convlab.data import scene
from convlab.fields import measure, receptive_field
from convlab.pretrained import efficientnet_lite0
from convlab.pyramid import FPN, level_of_box, merge, smooth

ENDS = ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]


def test_FP_1_ten_times_as_far_is_a_tenth_as_large():
    near, far = (1000 * 1.5 / metres for metres in (5, 50))
    assert (near, far) == (300, 30)
    field = receptive_field(nets.resnet(50))["conv3_4"].size[0]
    assert far < field < near


@pytest.mark.parametrize("radius", [5, 10, 20])
def test_FP_2_a_difference_of_gaussians_finds_the_size_of_a_disk(radius):
    y, x = np.mgrid[-70:71, -70:71]
    disk = (np.hypot(x, y) <= radius).astype(float)
    sigmas = np.geomspace(radius / 4, radius * 1.5, 40)

    def response(sigma):
        narrow, wide = (np.exp(-(x**2 + y**2) / (2 * s**2)) for s in (sigma, np.sqrt(2) * sigma))
        return (disk * (narrow / narrow.sum() - wide / wide.sum())).sum()

    values = [response(sigma) for sigma in sigmas]
    assert sigmas[np.argmax(values)] == pytest.approx(radius / (2 * np.sqrt(np.log(2))), rel=0.07)
    assert max(values) == pytest.approx(0.25, abs=0.01)


def test_FP_3_six_maps_of_ssd():
    net = nets.ssd300()
    fields = receptive_field(net)
    assert [fields[name].map_size[0] for name in net.outputs] == [38, 19, 10, 5, 3, 1]
    assert [int(fields[name].jump[0]) for name in net.outputs] == [8, 16, 32, 64, 64, 64]
    assert [fields[name].size[0] for name in net.outputs] == [92, 420, 452, 516, 644, 772]
    sides = [fields[name].map_size[0] for name in net.outputs]
    assert sum(side**2 * count for side, count in zip(sides, (4, 6, 6, 6, 4, 4), strict=True)) == 8732


def test_FP_4_fields_of_the_stages_of_resnet_50_and_efficientnet():
    fields = receptive_field(nets.resnet(50))
    assert [fields[name].size[0] for name in ENDS] == [35, 99, 291, 483]
    assert [int(fields[name].jump[0]) for name in ENDS] == [4, 8, 16, 32]
    fields = receptive_field(efficientnet_lite0(pretrained=False), input_size=224)
    stages = ["blocks.2", "blocks.4", "blocks.10", "blocks.15"]
    assert [fields[name].size[0] for name in stages] == [19, 67, 339, 851]
    assert [int(fields[name].jump[0]) for name in stages] == [4, 8, 16, 32]


def test_FP_5_numpy_and_torch_agree_and_parameters_are_counted():
    torch.manual_seed(1)
    depths = [256, 512, 1024, 2048]
    fpn = FPN(depths).double()
    maps = [torch.randn(1, n, s, s, dtype=torch.float64) for n, s in zip(depths, (9, 5, 3, 2), strict=True)]
    with torch.no_grad():
        levels = fpn(maps)
    laterals, smooths = (
        [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in part]
        for part in (fpn.laterals, fpn.smooths)
    )
    ours = smooth(merge([x.numpy() for x in maps], laterals), smooths)
    for own, theirs, x in zip(ours, levels, maps, strict=True):
        assert theirs.shape == (1, 256, *x.shape[2:])
        np.testing.assert_allclose(own, theirs.numpy(), atol=1e-10)
    counts = [sum(p.numel() for p in part.parameters()) for part in (fpn.laterals, fpn.smooths)]
    assert counts == [984064, 2360320]
    assert counts[1] == 4 * 256 * (9 * 256 + 1)


def high_share(maps):
    window = np.outer(*(np.hanning(side) for side in maps.shape[-2:]))
    energy = abs(np.fft.fft2((maps - maps.mean((-2, -1), keepdims=True)) * window)) ** 2
    y, x = (abs(np.fft.fftfreq(side)) for side in maps.shape[-2:])
    return energy[..., np.maximum.outer(y, x) > 0.25].sum() / energy.sum()


def test_FP_6_repeated_pixels_alias_and_a_blur_removes_it():
    rng = np.random.default_rng(1)
    coarse = ops.conv2d(rng.normal(size=(50, 1, 30, 30)), kernels.gaussian(1)[None, None])
    large = coarse.repeat(2, axis=2).repeat(2, axis=3)
    blur = np.outer([1, 2, 1], [1, 2, 1])[None, None] / 16
    assert high_share(coarse) < 0.06
    assert high_share(large) > 0.04
    assert high_share(ops.conv2d(large, blur)) < high_share(large) / 20


@pytest.mark.parametrize("task", detector.SIDES)
def test_FP_6_a_trained_3x3_takes_more_of_the_alias_away_than_an_untrained_one(task):
    model, sums = detector.trained("FPN", task, 1), []
    model.pyramid.smooths[1].register_forward_pre_hook(lambda layer, x: sums.append(x[0]))
    scenes = [scene(index, task=task, size=64, seed=8) for index in range(20)]
    with torch.no_grad():
        model.maps(detector.as_input(scenes) / 255)
        large = nn.functional.interpolate(sums[0], scale_factor=2)
        trained = high_share(model.pyramid.smooths[0](large).numpy())
        torch.manual_seed(3)
        others = [high_share(nn.Conv2d(24, 24, 3, padding=1)(large).numpy()) for _ in range(15)]
    assert trained < min(others)
    assert trained < 0.7 * high_share(large.numpy())
    assert min(others) < high_share(large.numpy()) < max(others)


def test_FP_7_levels_of_boxes():
    boxes = [(32, 32), (112, 112), (224, 224), (112, 448), (223, 223), (600, 600)]
    assert [level_of_box(w, h) for w, h in boxes] == [2, 3, 4, 4, 3, 5]
    assert (112 / 2**4, 448 / 2**4) == (7, 28)
    widths = [side / 2 ** level_of_box(side, side) for side in range(56, 448)]
    assert min(widths) == 14
    assert 27 < max(widths) < 28


@cache
def precision(head, task, seed):
    """Average precision of the shipped weights, at an IoU of 0.5 and 0.75, on 300 of the test scenes."""
    scenes = [scene(index, task=task, size=64, seed=1000) for index in range(300)]
    found = detector.detect(detector.trained(head, task, seed), detector.as_input(scenes))
    true = detector.truth(scenes)
    return [detector.average_precision(found, true, overlap=overlap) for overlap in (0.5, 0.75)]


def mean(head, task, measure):
    return np.mean([detector.results()[f"{head}, {task}, {seed}"][measure][0] for seed in range(3)])


def test_FP_8_no_object_is_large_enough_for_level_5():
    levels = {
        task: {
            level_of_box(x2 - x1, y2 - y1, size=24)
            for index in range(300)
            for x1, y1, x2, y2 in scene(index, task=task, size=64, seed=9).boxes.tolist()
        }
        for task in detector.SIDES
    }
    assert levels == {"local": {2, 3, 4}, "contextual": {2}}


def test_FP_8_all_heads_have_the_same_number_of_parameters():
    counts = [sum(p.numel() for p in detector.Detector(head).parameters()) for head in detector.HEADS]
    assert max(counts) / min(counts) < 1.05


@pytest.mark.parametrize("head", detector.HEADS)
@pytest.mark.parametrize("task", detector.SIDES)
def test_FP_8_weights_reach_what_is_stated(head, task):
    stated = detector.results()[f"{head}, {task}, 0"]
    measured = precision(head, task, 0)
    assert measured == pytest.approx([stated["AP50"][0], stated["AP75"][0]], abs=0.06)  # of fewer scenes


def test_FP_8_of_the_four_only_the_pyramid_learns_what_needs_context():
    others = [mean(head, "contextual", "AP50") for head in ("deepest", "shallowest", "each alone")]
    assert mean("FPN", "contextual", "AP50") > max(others) + 0.2


def test_FP_8_dilated_convolutions_learn_it_too_but_later():
    def learned(head, seeds, steps=""):
        runs = [detector.results()[f"{head}, contextual, {seed}{steps}"] for seed in range(seeds)]
        return [run["AP50"][0] > 0.9 for run in runs]

    assert learned("FPN", 6) == 6 * [True]
    assert learned("FPN", 3, ", 1000 steps") == [False, True, False]
    assert learned("dilated", 6) == [True, False, False, True, False, False]
    assert learned("dilated", 3, ", 4000 steps") == 3 * [True]


def of_contextual(head, seed=1, count=100):
    scenes = [scene(index, task="contextual", size=64, seed=1000) for index in range(count)]
    model = detector.trained(head, "contextual", seed)
    return detector.detect(model, detector.as_input(scenes)), detector.truth(scenes)


@pytest.mark.parametrize("head", ["shallowest", "each alone"])
def test_FP_8_who_does_not_see_the_sign_says_both_readings(head):
    ratios, single = [], []
    found, true = of_contextual(head)
    for said, one in zip(found, true, strict=True):
        for near, kind in zip(detector.iou(one.boxes, said.boxes) >= 0.5, one.classes, strict=True):
            weaker, stronger = sorted(
                max(said.scores[near & (said.classes == k)], default=0) for k in (kind, kind ^ 1)
            )
            ratios.append(weaker / stronger)
        rivals = detector.iou(said.boxes, said.boxes) > 0.5
        rivals &= said.classes[:, None] // 2 == said.classes // 2
        first = rivals.argmax(1) == np.arange(len(rivals))
        single.append(detector.Found(*(part[first] for part in said)))
    assert np.median(ratios) > 0.7
    assert 0.4 < detector.average_precision(found, true) < 0.6
    assert 0.15 < detector.average_precision(single, true) < 0.4


def test_FP_8_the_deepest_map_knows_the_sign_and_not_the_place():
    found, true = of_contextual("deepest")
    assert all(said.classes[0] % 2 == one.classes[0] % 2 for said, one in zip(found, true, strict=True))
    assert detector.average_precision(found, true) < 0.05


def test_FP_8_with_the_sign_the_classes_turn():
    scenes = [scene(index, task="contextual", size=64, seed=1000) for index in range(50)]
    for one in scenes:
        x1, y1, x2, y2 = one.sign
        one.image[y1:y2, x1:x2] = one.image[y1:y2, x1:x2].swapaxes(0, 1).copy()
    found = detector.detect(detector.trained("FPN", "contextual", 1), detector.as_input(scenes))
    true = detector.truth(scenes)
    turned = [one._replace(classes=one.classes ^ 1) for one in true]
    assert detector.average_precision(found, turned) > 0.95
    assert detector.average_precision(found, true) < 0.5


def test_FP_8_where_the_object_tells_its_class_the_pyramid_is_not_better():
    assert mean("FPN", "local", "AP50") < mean("each alone", "local", "AP50") + 0.01
    assert mean("FPN", "local", "AP75") < mean("each alone", "local", "AP75")
    assert mean("deepest", "local", "AP50") < 0.3
    gaps = [
        np.subtract(
            *(
                np.mean([detector.results()[f"{head}, local, {seed}{steps}"]["AP75"][0] for seed in range(3)])
                for head in ("each alone", "FPN")
            )
        )
        for steps in ("", ", 4000 steps")
    ]
    assert gaps[0] > 0.05
    assert 0.01 < gaps[1] < 0.6 * gaps[0]


def test_FP_8_no_test_scene_was_trained_on():
    tests = {scene(index, size=64, seed=1000).image.tobytes() for index in range(100)}
    assert all(
        scene(i, size=64, seed=seed).image.tobytes() not in tests for seed in range(3) for i in range(100)
    )


def test_FP_9_the_way_down_enlarges_the_fields():
    fields = receptive_field(nets.fpn(nets.resnet(50), ENDS))
    assert [fields[f"P{level}"].size[0] for level in (2, 3, 4, 5)] == [515, 515, 515, 547]
    sizes = [max(rows) - min(rows) + 1 for rows in fields["P2"].phases[0]]
    assert sizes == [515, *[483] * 6, 515]
    middles = [(max(rows) + min(rows)) // 2 for rows in fields["P2"].phases[0]]
    assert [abs(4 * phase - middle) for phase, middle in enumerate(middles)] == [16, 4, 8, 12, 16, 20, 24, 12]


class Level(nn.Module):
    def __init__(self, head, number):
        super().__init__()
        self.model, self.number = detector.Detector(head).eval(), number

    def forward(self, x):
        return self.model.heads[self.number % len(self.model.heads)](self.model.maps(x)[self.number])


@pytest.mark.parametrize(
    ("head", "size"), [("each alone", 31), ("FPN", 215), ("shallowest", 31), ("dilated", 151)]
)
def test_FP_9_fields_of_our_own_detectors(head, size):
    field = list(receptive_field(Level(head, 0), input_size=(256, 256)).values())[-1]
    assert field.size == (size, size)
    unit = (32, 33)
    seen = measure(Level(head, 0), unit, input_size=256, channels=3)
    np.testing.assert_array_equal(seen, field.reads(unit, clip=(256, 256)))
