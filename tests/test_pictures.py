"""What `tools/pictures.py` drew is up to date; pages show each picture small, in time, and in both themes."""

import io
import json
import re
import runpy
import shutil

import images
import notebooks
import numpy as np
import pytest
import torch
from browsing import DOCUMENTS, ROOT, VIEWPORTS, build
from PIL import Image

from convlab import plots
from convlab.capture import capture
from convlab.pretrained import efficientnet_lite0

# What `tools/pictures.py` drew


@pytest.fixture(scope="module")
def drawn():
    return runpy.run_path(str(ROOT / "tools" / "pictures.py"))


def test_the_stored_picture_equals_a_fresh_one(drawn):
    fresh = io.BytesIO()
    drawn["save"](drawn["landing"](), fresh)
    with Image.open(drawn["PATH"]) as stored, Image.open(fresh) as again:
        assert stored.size == again.size
        difference = np.asarray(stored, float) - np.asarray(again, float)
    assert np.abs(difference).mean() < 1, "the stored picture is stale: run python tools/pictures.py"


def test_the_stored_picture_is_small(drawn):
    assert drawn["PATH"].stat().st_size <= 120_000


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_the_caption_counts_right(drawn, page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    model = efficientnet_lite0(pretrained=False)
    with capture(model, *drawn["PANELS"]) as maps, torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    for name, per_side in drawn["PANELS"].items():
        _, channels, height, width = maps[name].shape
        assert f"{per_side**2} of {channels:,} maps of {height}×{width}" in text


def test_the_stored_drawings_equal_fresh_ones(drawn):
    fresh = drawn["drawings"]()
    assert len(fresh) == 2 + len(notebooks.CHAPTERS)  # the logo, the figure, and a sign for each chapter
    stale = [path.name for path, text in fresh.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run python tools/pictures.py"


# The version for the dark


def luminance(colour) -> float:
    """The relative luminance of WCAG 2."""
    shares = np.asarray(colour, float) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other) -> float:
    """The contrast of two colours, from 1 to 21, of WCAG 2."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def rgb(colour: str) -> np.ndarray:
    """Three bytes of "#rrggbb"."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def test_oklab_is_that_of_its_author():
    # Ottosson's own examples are in XYZ; these are the values that CSS Color 4 gives for red and white
    np.testing.assert_allclose(images.to_lab(np.array([255, 0, 0])), [0.62796, 0.22486, 0.12585], atol=1e-4)
    np.testing.assert_allclose(images.to_lab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-4)
    colours = np.random.default_rng(0).integers(0, 256, (50, 3))
    np.testing.assert_array_equal(images.from_lab(images.to_lab(colours)), colours)


@pytest.mark.parametrize("colour", ["#000000", "#555555", plots.INPUT, plots.KERNEL, plots.OUTPUT])
def test_what_is_drawn_can_be_read_in_the_dark(colour):
    turned = images.turn(rgb(colour))
    assert contrast(turned, images.GROUND) >= 4.5
    # the largest channel stays the largest: the hue is kept
    assert colour[1:3] == colour[3:5] or turned.argmax() == rgb(colour).argmax()


def test_white_becomes_the_ground_of_dark_pages():
    np.testing.assert_array_equal(
        images.turn(np.array([[255, 255, 255], [253, 253, 253]])), [images.GROUND] * 2
    )
    style = (ROOT / "book" / "_static" / "site.css").read_text(encoding="utf-8")
    assert f"--pst-color-background: #{bytes(images.GROUND).hex()};" in style


def opened(picture: plots.Picture) -> tuple[Image.Image, dict]:
    """The PNG of a picture, and its note."""
    image = Image.open(io.BytesIO(picture._repr_png_()))
    return image, json.loads(image.info["convlab"])


@pytest.mark.parametrize("size", [1.0, 1.37, 2.21])
@pytest.mark.parametrize("colour", [None, plots.OUTPUT])
def test_boxes_hold_the_photos_and_nothing_else(size, colour):
    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 0] = 255
    image, note = opened(plots.maps([red] * 3, ["a", "b", "c"], columns=2, size=size, colours=[colour] * 3))
    pixels = np.asarray(image.convert("RGB"))
    inside = np.zeros(pixels.shape[:2], bool)
    assert len(note["boxes"]) == 3
    for left, top, right, bottom in note["boxes"]:
        inside[top:bottom, left:right] = True
    assert (pixels[inside] == (255, 0, 0)).all()
    assert not (pixels[~inside] == (255, 0, 0)).all(axis=-1).any()
    dark = np.asarray(images.dark(image, note["boxes"]))
    np.testing.assert_array_equal(dark[inside], pixels[inside])
    assert tuple(dark[0, 0]) == images.GROUND
    assert luminance(dark[~inside].mean(axis=0)) < 0.3 < luminance(pixels[~inside].mean(axis=0))


def test_cells_and_colour_bars_stay_and_curves_turn():
    _, note = opened(plots.numbers([np.eye(3), np.eye(2)]))
    assert [(right - left, bottom - top) for left, top, right, bottom in note["boxes"]] == [
        (104, 104),
        (69, 69),
    ]
    assert len(opened(plots.maps([np.eye(3)], shared=True))[1]["boxes"]) == 2
    assert opened(plots.curves([0, 1], {"a": [0, 1]}, x_label="x", y_label="y"))[1]["boxes"] == []


def test_a_note_says_how_high_the_smallest_letters_are():
    assert opened(plots.maps([np.eye(2)], ["a"]))[1]["letters"] == 12.5  # 9 points at 100 pixels an inch
    assert opened(plots.numbers([np.eye(2)], size=0.18))[1]["letters"] == pytest.approx(8.5, abs=0.1)


def test_a_picture_without_its_note_is_run_again():
    image, _ = opened(plots.maps([np.eye(2)]))
    noted, plain = io.BytesIO(), io.BytesIO()
    image.save(plain, "PNG")
    image.save(noted, "PNG", pnginfo=plots.PngInfo())
    one, other = (notebooks.base64.b64encode(file.getvalue()).decode() for file in (noted, plain))
    assert notebooks.same_picture(one, other)
    with_note = notebooks.base64.b64encode(plots.maps([np.eye(2)])._repr_png_()).decode()
    assert not notebooks.same_picture(with_note, other)


# On the page


@pytest.fixture(scope="module")
def page(tmp_path_factory, browser):
    """A page of a book with three pictures, as on a phone: a wide one, a narrow one, one without a note."""
    source = tmp_path_factory.mktemp("book")
    (source / "book").symlink_to(ROOT / "book")
    shutil.copy(ROOT / "_config.yml", source)
    (source / "_toc.yml").write_text(
        "{ format: jb-book, root: page, chapters: [{ file: other }] }", encoding="utf-8"
    )
    (source / "other.md").write_text("# Another", encoding="utf-8")
    shown = {
        "wide": plots.maps(np.ones((4, 9, 9)), list("abcd"), columns=4, size=1.8),
        "narrow": plots.maps(np.ones((1, 9, 9)), ["a"], size=2),
    }
    for name, picture in shown.items():
        (source / f"{name}.png").write_bytes(picture._repr_png_())
    Image.new("RGB", (100, 50), "white").save(source / "plain.png")
    blocks = [
        f"```{{image}} {name}.png\n:alt: The picture that is called {name}.\n```"
        for name in (*shown, "plain")
    ]
    (source / "page.md").write_text("# A page\n\n" + "\n\n".join(blocks), encoding="utf-8")
    pages = build(source / "built", "https://git.example.org/ada/convlab", source)
    context = browser.new_context(viewport=VIEWPORTS["phone"], color_scheme="light")
    page = context.new_page()
    page.requested = []
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto((pages / "page.html").as_uri())
    page.wait_for_load_state("networkidle")
    yield page
    context.close()


def test_only_the_version_of_the_theme_is_loaded_and_shown(page):
    assert page.locator("article img").count() == 5
    for theme, other in [("light", "dark"), ("dark", "light")]:
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
        page.wait_for_load_state("networkidle")
        assert page.locator("article img:visible").count() == 3
        assert page.locator(f"article img.only-{other}:visible").count() == 0
        assert any(f"only-{theme}" in url for url in page.requested)
        if theme == "light":
            assert [url for url in page.requested if "only-dark" in url] == []
        for name in ("wide", "narrow", "plain"):  # a screen reader meets each once
            assert page.get_by_role("img", name=f"is called {name}").count() == 1


def test_every_picture_keeps_its_place_and_waits(page):
    for image in page.locator("article img").all():
        assert image.get_attribute("loading") == "lazy"
        width, height = (int(image.get_attribute(side)) for side in ("width", "height"))
        box = image.bounding_box()
        if box:
            assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.02)


def test_a_wide_picture_scrolls_by_itself_and_stays_legible(page):
    wide = page.locator("article img:visible").first
    around = wide.locator("xpath=..")
    assert wide.bounding_box()["width"] * 12.5 / 720 >= images.LETTERS - 0.1
    assert around.evaluate("e => e.scrollWidth > e.clientWidth")
    assert around.get_attribute("tabindex") == "0"
    assert page.evaluate("document.documentElement.scrollWidth") <= VIEWPORTS["phone"]["width"]


def test_every_image_of_the_book_has_its_size(site):
    for name in DOCUMENTS:
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        ours = re.findall(r"<img\b[^>]*>", text[text.index("<article") : text.index("</article>")])
        assert [image for image in ours if not re.search(r' width="\d+" height="\d+"', image)] == []
        early = [image for image in ours if 'loading="lazy"' not in image]
        assert len(early) <= 1  # what stands at the top


# One palette

PALETTE = {
    "#0072b2": "input",
    "#d55e00": "kernel",
    "#009e73": "output",
    "#e08214": "positive: the orange of matplotlib's PuOr, in which maps with signs are drawn",
    "#8073ac": "negative: its purple",
    "#0a7d91": "the focus, where neither the book nor JupyterLab has a colour for it",
}
SOURCES = [path for kind in ("py", "mjs", "css") for path in (ROOT / "src" / "convlab").rglob(f"*.{kind}")]
HEX = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
NAMED = re.compile(
    r"""(?:colou?rs?|c|facecolor|edgecolor|fill|stroke|background)\s*[=:]\s*\[?"""
    r"""((?:["']?(?:red|green|blue|orange|purple|cyan|magenta|yellow|brown|pink)|["'](?:tab:\w+|C\d|[rgbcmy]))\b)"""
)


def stray(text: str) -> list[str]:
    """Colours that are neither in the palette nor nearly grey."""
    found = []
    for colour in HEX.findall(text):
        full = (
            colour.lower() if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:].lower())
        )
        if full not in PALETTE and np.ptp(rgb(full)) > 0x24:
            found.append(colour)
    return found + [match[1] for match in NAMED.finditer(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_figures_have_one_palette(path):
    assert stray(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", notebooks.CHAPTERS, ids=lambda path: path.stem)
def test_chapters_have_one_palette(path):
    for cell in notebooks.code_cells(notebooks.read(path)):
        assert stray(cell.source) == []
        assert re.findall(r"cmap\s*=|colormaps", cell.source) == []  # `convlab.plots` chooses


@pytest.mark.parametrize("text", ["#ff0000", 'color="red"', "fill: orange", "colour='C1'", "#0a0"])
def test_stray_colours_are_found(text):
    assert len(stray(text)) == 1
