import sys

import numpy as np
import pytest

from convlab import data


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
