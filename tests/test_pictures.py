"""The stored landing picture is the one that its program draws, and its caption counts right."""

import io
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convlab.capture import capture
from convlab.pretrained import efficientnet_lite0

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pictures():
    return runpy.run_path(str(ROOT / "tools" / "pictures.py"))


def test_the_stored_picture_equals_a_fresh_one(pictures):
    fresh = io.BytesIO()
    pictures["save"](pictures["landing"](), fresh)
    with Image.open(pictures["PATH"]) as stored, Image.open(fresh) as again:
        assert stored.size == again.size
        difference = np.asarray(stored, float) - np.asarray(again, float)
    assert np.abs(difference).mean() < 1, "the stored picture is stale: run python tools/pictures.py"


def test_the_stored_preview_equals_a_fresh_one(pictures):
    fresh = pictures["preview"]()
    with Image.open(pictures["PREVIEW"]) as stored:
        assert stored.format == "JPEG"  # not every site shows WebP
        assert stored.size == fresh.size == pictures["PREVIEW_SIZE"]
        difference = np.asarray(stored, float) - np.asarray(fresh, float)
    assert np.abs(difference).mean() < 4, "the stored preview is stale: run python tools/pictures.py"
    assert pictures["PREVIEW"].stat().st_size <= 160_000


def test_the_stored_picture_is_small(pictures):
    assert pictures["PATH"].stat().st_size <= 120_000


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_the_caption_counts_right(pictures, page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    model = efficientnet_lite0(pretrained=False)
    with capture(model, *pictures["PANELS"]) as maps, torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    for name, per_side in pictures["PANELS"].items():
        _, channels, height, width = maps[name].shape
        assert f"{per_side**2} of {channels:,} maps of {height}×{width}" in text


def test_the_stored_logo_equals_a_fresh_one(pictures):
    assert pictures["LOGO"].read_text(encoding="utf-8") == pictures["logo"]()
