"""The detectors of chapter 10: their size, what they are told, how they are measured, and their weights."""

import json

import numpy as np
import pytest
import torch
import train_heads
from torch import nn

from convlab import detector
from convlab.data import scene
from convlab.detector import (
    HEADS,
    PARAMETERS,
    SIDES,
    STRIDES,
    Detector,
    Found,
    average_precision,
    detect,
    iou,
)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_heads_have_the_same_number_of_parameters_and_use_all_of_them(head):
    torch.manual_seed(0)
    model = Detector(head)
    assert abs(parameters(model) / PARAMETERS - 1) < 0.01
    logits, boxes = model(torch.rand(2, 3, 64, 64))
    (logits.square().sum() + boxes.square().sum()).backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in model.parameters())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [64, 96])
def test_a_place_for_each_unit_of_the_maps_that_are_read(head, size):
    model = Detector(head).eval()
    places = sum((size // stride) ** 2 for stride in model.strides)
    with torch.no_grad():
        logits, boxes = model(torch.rand(2, 3, size, size))
    assert (logits.shape, boxes.shape) == ((2, places, 4), (2, places, 4))
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    assert logits.sigmoid().max() < 0.05  # nothing found before training
    (classes, wanted) = detector.targets(scene(0, size=size), model.strides)
    assert (classes.shape, wanted.shape) == ((places,), (places, 4))


def test_boxes_start_around_the_centres_of_their_places():
    model = Detector("each alone").eval()
    for head in model.heads:
        nn.init.zeros_(head[-1].weight)
    _, boxes = model(torch.rand(1, 3, 64, 64))
    start = 0
    for stride in STRIDES:
        side = 64 // stride
        for place in (0, 1, side, side * side - 1):
            row, column = divmod(place, side)
            expected = [column * stride, row * stride, (column + 1) * stride, (row + 1) * stride]
            assert boxes[0, start + place].tolist() == expected
        start += side * side


def test_targets_by_hand():
    picture = np.zeros((64, 64, 3), np.uint8)
    boxes = np.array([[8, 8, 40, 40], [50, 2, 57, 9], [50, 20, 56, 26]])
    one = detector.Scene(picture, boxes, np.array([3, 1, 2]), np.zeros((3, 64, 64), bool))
    classes, wanted = detector.targets(one, STRIDES)
    fine = classes[:256].reshape(16, 16)
    assert np.argwhere(fine == 1).tolist() == [[1, 13]]  # its centre is (53.5, 5.5)
    assert np.argwhere(fine == 2).tolist() == [[5, 13]]
    assert (fine == 3).sum() == 0
    level_4 = classes[256 + 64 : 256 + 64 + 16].reshape(4, 4)  # 32 pixels: level 4, 16 pixels apart
    assert np.argwhere(level_4 == 3).tolist() == [[1, 1]]
    assert wanted[256 + 64 + 5].tolist() == [8, 8, 40, 40]
    assert (classes >= 0).sum() == 3
    deep, _ = detector.targets(one, STRIDES[3:])
    assert deep.tolist() == [3, 2, -1, -1]  # the smaller of two in one place
    shallow, _ = detector.targets(one, STRIDES[:1])
    assert np.argwhere(shallow.reshape(16, 16) == 3).tolist() == [
        [r, c] for r in range(4, 8) for c in range(4, 8)
    ]


@pytest.mark.parametrize("task", SIDES)
def test_every_object_is_told_to_a_detector_that_reads_the_finest_map(task):
    for index in range(100):
        one = scene(index, task=task, size=64)
        classes, wanted = detector.targets(one, STRIDES)
        told = {tuple(box) for box in wanted[classes >= 0].astype(int).tolist()}
        assert told == {tuple(box) for box in one.boxes.tolist()}


def test_loss_is_least_for_the_truth():
    classes, boxes = (torch.from_numpy(part)[None] for part in detector.targets(scene(3, size=64), STRIDES))
    right = torch.full((*classes.shape, 4), -20.0)
    right[0, classes[0] >= 0, classes[0][classes[0] >= 0]] = 20
    box = boxes + torch.tensor([0.0, 0, 0, 1e-3])
    least = detector.loss(right, box, classes, boxes)
    assert 0 <= least < 0.01
    assert detector.loss(right, box + torch.tensor([2.0, 0, 2, 0]), classes, boxes) > least + 0.05
    assert detector.loss(right.roll(1, -1), box, classes, boxes) > 1
    far = detector.loss(right, box + 500, classes, boxes)
    assert 1 < far - least < 2  # GIoU goes on where the IoU is 0


def test_loss_without_an_object():
    logits, boxes = Detector("FPN")(torch.rand(2, 3, 64, 64))
    nothing = torch.full(logits.shape[:2], -1)
    value = detector.loss(logits, boxes, nothing, torch.zeros_like(boxes))
    assert torch.isfinite(value)
    value.backward()


def test_iou_counts_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 12, (2, 30, 2, 2))
    a, b = (np.concatenate([one.min(1), one.max(1) + 1], 1) for one in corners)
    ratios = iou(a, b)
    for (i, j), ratio in np.ndenumerate(ratios):
        grids = np.zeros((2, 14, 14), bool)
        for grid, (x1, y1, x2, y2) in zip(grids, (a[i], b[j]), strict=True):
            grid[y1:y2, x1:x2] = True
        assert ratio == pytest.approx((grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum())


def found(*rows):
    """Detections or objects: (x, side, class, score)."""
    rows = np.array(rows, float).reshape(-1, 4)
    boxes = np.stack([rows[:, 0], 0 * rows[:, 0], rows[:, 0] + rows[:, 1], rows[:, 1]], 1)
    return Found(boxes, rows[:, 2].astype(int), rows[:, 3])


TRUE = [found((0, 8, 0, 1), (30, 20, 0, 1)), found((0, 8, 0, 1), (40, 8, 1, 1))]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TRUE, 1),
        ([found(), found()], 0),
        ([TRUE[0], found()], (2 / 3 + 0) / 2),  # two of three of class 0, none of class 1
        ([found((0, 8, 0, 0.9), (0, 8, 0, 0.8), (30, 20, 0, 0.7)), TRUE[1]], (1 / 3 + 2 / 3 + 1 / 3) / 2 + 0),
        ([found((0, 8, 1, 0.9), (30, 20, 1, 0.9)), found()], 0),  # wrong class
        ([found((4, 8, 0, 0.9)), found()], 0),  # IoU 1/3
        ([found((2, 8, 0, 0.9)), found()], 1 / 6),  # IoU 0.6
    ],
)
def test_average_precision_by_hand(said, expected):
    if said[0].scores.tolist() == [0.9, 0.8, 0.7]:
        # right at 1.0 (second picture), right at 0.9, wrong at 0.8, right at 0.7: 1, 1, 3/4; class 1: 1
        expected = ((1 + 1 + 3 / 4) / 3 + 1) / 2
    assert average_precision(said, TRUE) == pytest.approx(expected)


def test_average_precision_by_size_ignores_other_sizes():
    said = [
        found((0, 8, 0, 0.5), (30, 20, 0, 0.9), (60, 30, 0, 0.8)),
        found((0, 8, 0, 0.4), (60, 8, 0, 0.45)),
    ]
    assert average_precision(said, TRUE, (16, 64)) == 0.5 + 0.5  # the wrong one comes after the only object
    assert average_precision(said, TRUE, (16, 25)) == 1  # the wrong one is too large to count
    small = (1 + 2 / 3) / 2  # of class 0: right at 0.5, wrong at 0.45, right at 0.4; of class 1: nothing
    assert average_precision(said, TRUE, (0, 16)) == pytest.approx(small / 2)


def test_average_precision_depends_on_the_order_of_scores_alone():
    rng = np.random.default_rng(1)
    true = detector.truth(scene(index, size=64) for index in range(20))
    said = [
        Found(
            np.concatenate([one.boxes + rng.integers(-2, 3, one.boxes.shape), one.boxes + 20]),
            np.tile(one.classes, 2),
            rng.random(2 * len(one.classes)),
        )
        for one in true
    ]
    value = average_precision(said, true)
    assert 0 < value < 1
    assert average_precision([one._replace(scores=one.scores**3) for one in said], true) == value
    best = [one._replace(scores=np.repeat([0.9, 0.1], len(one.scores) // 2)) for one in said]
    assert average_precision(best, true) > value


def test_detect_keeps_one_of_several_boxes():
    class Same(nn.Module):
        def forward(self, images):
            logits = torch.full((len(images), 60, 2), -5.0)
            logits[:, :3, 0] = torch.tensor([1.0, 3.0, 2.0])
            logits[:, 1, 1] = 0.5
            boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(60, 1) + 20 * torch.arange(60.0)[:, None]
            boxes[:3] = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [8, 0, 18, 10]])
            return logits, boxes.expand(len(images), -1, -1)

    for one in detect(Same(), torch.zeros(3, 3, 64, 64, dtype=torch.uint8), most=4):
        assert one.boxes.tolist() == [[1, 0, 11, 10], [8, 0, 18, 10], [1, 0, 11, 10]]
        assert one.classes.tolist() == [0, 0, 1]
        np.testing.assert_allclose(one.scores, 1 / (1 + np.exp([-3, -2, -0.5])), rtol=1e-6)


def test_unknown_names_are_clear_messages():
    with pytest.raises(
        ValueError, match="`head` must be one of deepest, shallowest, each alone, FPN, dilated, got 'fpn'"
    ):
        Detector("fpn")
    with pytest.raises(ValueError, match="`task` must be one of local, contextual, got 'thin'"):
        detector.trained("FPN", "thin")


def test_training_is_repeatable_and_learns(monkeypatch):
    monkeypatch.setattr(train_heads, "SCENES", 32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        losses = [[], []]
        for run in losses:
            train_heads.train("FPN", "local", 5, 12, lambda step, value, run=run: run.append(value))
    finally:
        torch.set_num_threads(threads)
    assert losses[0] == losses[1]
    assert len(losses[0]) == 12
    assert np.mean(losses[0][-3:]) < 0.9 * np.mean(losses[0][:3])


def test_command_trains_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train_heads, "SCENES", 8)
    monkeypatch.setattr(train_heads, "TESTS", 4)
    monkeypatch.setattr(detector, "_WEIGHTS", tmp_path)
    command = ["--heads", "FPN", "deepest", "--tasks", "local", "--seeds", "0", "--steps", "2"]
    train_heads.main([*command, "--folder", str(tmp_path)])
    assert len(capsys.readouterr().out.splitlines()) == 2
    (tmp_path / "fpn_local_0.safetensors").unlink()
    train_heads.main([*command, "--folder", str(tmp_path)])
    assert capsys.readouterr().out.startswith("FPN")
    names = ["FPN, local, 0, 2 steps", "deepest, local, 0, 2 steps"]
    assert sorted(json.loads((tmp_path / "results.json").read_text())) == names
    for said in (True, False):  # the second time, its result is there
        train_heads.main(
            [*command[:2], *command[3:], "--seeds", "1", "--results-only", "--folder", str(tmp_path)]
        )
        assert capsys.readouterr().out.startswith("FPN, local, 1, 2 steps") == said
    assert not (tmp_path / "fpn_local_1.safetensors").exists()
    images = detector.as_input([scene(0, size=64)])
    torch.manual_seed(0)
    model = detector.trained("deepest", "local")
    assert len(detect(model, images)) == 1
    assert not model.training
