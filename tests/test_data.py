import hashlib
import sys

import numpy as np
import pytest

from convlab import data
from convlab.data import CLASSES, scene, split


@pytest.mark.parametrize("name", data.PHOTOS)
def test_every_photo_is_a_picture_with_a_source(name):
    photo = data.photo(name)
    assert photo.dtype == np.uint8
    assert photo.ndim == 3
    assert photo.shape[2] == 3
    assert photo.std() > 20  # not an even area
    assert data.PHOTOS[name].licence in ("CC0", "public domain")


def test_an_unknown_photo_is_an_error_that_lists_the_others():
    with pytest.raises(ValueError, match=r"`name` must be one of cat, coffee, .*, got 'dog'"):
        data.photo("dog")


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.delitem(sys.modules, "skimage.data", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'convlab\[data\]'"):
        data.photo("cat")


def test_grey_weighs_the_three_colours():
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(data.grey(image), [[0.299, 0.587, 0.114]])


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_grey_takes_rgb_bytes_only(image):
    with pytest.raises(ValueError, match=r"`image` must be RGB bytes of shape \(H, W, 3\), got shape"):
        data.grey(image)


def test_the_digits_are_all_there_and_look_like_digits():
    images, labels = data.digits()
    assert (images.shape, images.dtype, images.min(), images.max()) == ((1797, 1, 8, 8), np.float32, 0, 1)
    np.testing.assert_array_equal(images * 16, np.round(images * 16))
    assert (labels.dtype, np.bincount(labels).min() > 150) == (np.int64, True)
    means = np.stack([images[:1000][labels[:1000] == digit].mean(0) for digit in range(10)])
    nearest = ((images[1000:, None] - means) ** 2).sum((2, 3, 4)).argmin(1)
    assert (nearest == labels[1000:]).mean() > 0.8  # so images and labels belong together


def test_digits_without_scikit_learn_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(ImportError, match=r"missing \(sklearn.*pip install 'convlab\[data\]'"):
        data.digits()


def test_split_parts_everything_and_keeps_to_its_seed():
    train, test = split(1797, test_share=0.3, seed=5)
    assert len(test) == 539
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    again = split(1797, test_share=0.3, seed=5)
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate([train, test]))
    other, _ = split(1797, test_share=0.3, seed=6)
    assert (other != train).mean() > 0.9
    assert abs(train.mean() - 898) < 50  # shuffled, not cut


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 1}, "`count` must be at least 2, got 1"),
        ({"count": 10, "test_share": 0}, "`test_share` must leave both parts some of 10, got 0"),
        ({"count": 10, "test_share": 0.04}, "some of 10, got 0.04"),
        ({"count": 10, "test_share": 0.96}, "some of 10, got 0.96"),
        ({"count": 10, "test_share": np.nan}, "got nan"),
        ({"count": 10, "seed": -1}, "`seed` must be at least 0, got -1"),
    ],
)
def test_a_split_that_makes_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        split(**arguments)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def gap(box, other):
    return max(box[0] - other[2], other[0] - box[2], box[1] - other[3], other[1] - box[3])


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("size", [48, 75, 96, 200])
def test_boxes_classes_and_masks_belong_together(task, size):
    for index in range(40):
        one = scene(index, task=task, size=size)
        count = len(one.boxes)
        assert 1 <= count <= (7 if task == "thin" else 4)
        assert (one.image.shape, one.image.dtype) == ((size, size, 3), np.uint8)
        assert (one.boxes.shape, one.boxes.dtype) == ((count, 4), np.int64)
        assert (one.classes.shape, one.classes.dtype) == ((count,), np.int64)
        assert (one.masks.shape, one.masks.dtype) == ((count, size, size), bool)
        assert one.masks.sum(0).max() == 1  # none overlap
        assert set(one.classes) <= set(range(len(CLASSES[task])))
        for (x1, y1, x2, y2), mask in zip(one.boxes, one.masks, strict=True):
            tight = mask[y1:y2, x1:x2]
            assert tight.sum() == mask.sum()
            assert tight[0].any() and tight[-1].any() and tight[:, 0].any() and tight[:, -1].any()  # noqa: PT018
        np.testing.assert_array_equal(one.labels > 0, one.masks.any(0))
        for number, mask in zip(one.classes, one.masks, strict=True):
            assert set(one.labels[mask]) == {number + 1}


@pytest.mark.parametrize("task", CLASSES)
def test_what_is_in_the_masks_is_in_the_picture(task):
    for index in range(40):
        one = scene(index, task=task, noise=0)
        colours = {tuple(colour) for colour in one.image[~one.masks.any(0)]}
        assert len(colours) == (3 if task == "contextual" else 1)  # the ground, and black and white
        ground = np.median(one.image[~one.masks.any(0)], axis=0)
        for mask in one.masks:
            (colour,) = {tuple(pixel) for pixel in one.image[mask].astype(int)}
            assert np.abs(colour - ground).min() >= 63


def test_a_scene_depends_on_its_arguments_and_on_nothing_else():
    first = scene(7, seed=3)
    scene(8)
    again = scene(7, seed=3)
    for name in ("image", "boxes", "classes", "masks"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    for other in (scene(8, seed=3), scene(7, seed=4), scene(7, seed=3, noise=0)):
        assert (other.image != first.image).any()


@pytest.mark.parametrize(
    ("task", "boxes"),
    [
        ("local", [[6, 1, 13, 8], [36, 22, 88, 74]]),
        ("contextual", [[50, 78, 56, 84]]),
        ("thin", [[31, 6, 59, 34], [17, 5, 28, 71], [40, 13, 55, 64], [59, 39, 67, 94]]),
    ],
)
def test_scenes_stay_what_they_were(task, boxes):
    """Weights that were trained on them would no longer fit."""
    assert scene(0, task=task).boxes.tolist() == boxes


def test_noise_has_its_deviation_and_stops_at_black_and_white():
    clean = scene(1, task="contextual", noise=0).image.astype(int)
    error = scene(1, task="contextual", noise=8).image - clean
    assert abs(error[(clean > 40) & (clean < 215)].std() - 8) < 0.2
    assert np.abs(error).max() < 60  # no byte wraps around
    assert (error[clean == 255] < 0).any()
    assert (error[clean == 255] == 0).any()


def test_ten_thousand_pictures_without_a_repeat():
    seen = {hashlib.blake2b(scene(index, noise=0).image.tobytes()).digest() for index in range(10_000)}
    assert len(seen) == 10_000  # also without noise, which would make this easy


def test_no_repeat_between_tasks_and_seeds():
    seen = {
        scene(index, task=other, seed=seed, noise=0, size=48).image.tobytes()
        for other in CLASSES
        for seed in range(3)
        for index in range(30)
    }
    assert len(seen) == 270


def test_local_scenes_show_every_class_at_every_scale():
    sides = {number: [] for number in range(4)}
    for index in range(600):
        one = scene(index)
        for box, number in zip(one.boxes, one.classes, strict=True):
            sides[number].append(area(box) ** 0.5)
    for found in sides.values():
        shares = np.histogram(found, [0, 12, 24, 48, 65])[0] / len(found)
        assert shares.min() > 0.03
        assert min(found) <= 7
        assert max(found) > 56


def test_shapes_are_what_they_are_called():
    """By the share of their box that they fill: π/4, 1, ½, and 3π/16 for a ring with half the radius open."""
    shares = {number: [] for number in range(4)}
    for index in range(300):
        one = scene(index)
        for box, number, mask in zip(one.boxes, one.classes, one.masks, strict=True):
            if box[2] - box[0] > 24:
                shares[number].append(mask.sum() / area(box))
                x1, y1, x2, y2 = box
                assert mask[(y1 + y2) // 2, (x1 + x2) // 2] != (CLASSES["local"][number] == "ring")
    means = [np.mean(shares[number]) for number in range(4)]
    np.testing.assert_allclose(means, [np.pi / 4, 1, 1 / 2, 3 * np.pi / 16], atol=0.04)


@pytest.mark.parametrize("size", [48, 96, 130])
def test_the_sign_is_far_away_and_decides_the_class(size):
    counts = np.zeros((2, 2), int)
    for index in range(200):
        one = scene(index, task="contextual", size=size, noise=0)
        x1, y1, x2, y2 = one.sign
        assert min(gap(box, one.sign) for box in one.boxes) >= size / 2
        assert max(area(box) for box in one.boxes) <= (size // 6) ** 2
        sign = one.image[y1:y2, x1:x2, 0].astype(int)
        upright = int((sign == sign[0]).all())
        assert set(sign.ravel()) == {0, 255}
        assert (sign == sign[:, :1]).all() != upright  # lying or upright, never both
        np.testing.assert_array_equal(one.classes % 2, upright)
        for box, number, mask in zip(one.boxes, one.classes, one.masks, strict=True):
            assert (number // 2 == 1) == (mask.sum() == area(box))  # a square fills its box
            counts[number // 2, number % 2] += 1
    assert counts.min() > 0.15 * counts.sum()


def test_wires_are_thin_and_long_and_blobs_are_not():
    widths = []
    for index in range(150):
        one = scene(index, task="thin")
        assert set(one.classes) == {0, 1}
        for box, number, mask in zip(one.boxes, one.classes, one.masks, strict=True):
            if number == 0:
                widths.append(mask.sum() / np.hypot(box[2] - box[0], box[3] - box[1]))
            else:
                assert mask.sum() > 0.5 * area(box)
        x1, y1, x2, y2 = one.boxes[-1]  # of the wire on top, which nothing covers
        assert np.hypot(x2 - x1, y2 - y1) >= 96 / 3
    assert max(widths) < 3.8
    assert np.percentile(widths, 20) < 1.3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"index": -1}, ValueError, "`index` must be at least 0, got -1"),
        ({"index": 0.5}, TypeError, "`index` must be an integer, got 0.5"),
        (
            {"index": 0, "task": "global"},
            ValueError,
            "`task` must be one of local, contextual, thin, got 'global'",
        ),
        ({"index": 0, "size": 47}, ValueError, "`size` must be at least 48, got 47"),
        ({"index": 0, "noise": -1}, ValueError, "`noise` must be at least 0 and finite, got -1"),
        ({"index": 0, "noise": np.nan}, ValueError, "`noise` must be at least 0 and finite, got nan"),
        ({"index": 0, "seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
    ],
)
def test_a_scene_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        scene(**arguments)
