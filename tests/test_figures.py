import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browsing import check_layout, in_javascript, says, walk
from PIL import Image
from playwright.sync_api import expect

from convlab.capture import capture
from convlab.data import photo
from convlab.deconvnet import project
from convlab.fields import Layer, receptive_field
from convlab.figures import FeatureMapBrowser, Figure, feature_map_browser, figure
from convlab.pretrained import efficientnet_lite0, preprocess
from convlab.shapes import output_size

FOLDER = Path(figure.__file__).parent
STATE = re.compile(r'(?s)(<script type="application/json">)(.*?)(</script>)')
PHOTOS = {name: photo(name) for name in ("cat", "coffee", "hopper", "rocket")}
LAYERS = {
    "stem_relu": [0, 1, 2, 5, 7, 12],
    "blocks.2": 8,
    "blocks.4.depthwise_relu": 12,
    "blocks.5.depthwise_relu": 12,
    "head_relu": 12,
}
START = ("cat", "blocks.5.depthwise_relu", 227)


def build(**changes) -> FeatureMapBrowser:
    arguments = {"photos": PHOTOS, "layers": LAYERS, "start": START, "caption": "Point at a unit."} | changes
    return FeatureMapBrowser.from_model(efficientnet_lite0(), **arguments)


@pytest.fixture(scope="module")
def widget() -> FeatureMapBrowser:
    return build()


@pytest.fixture(scope="module")
def small() -> FeatureMapBrowser:
    """Quick to build, with different content."""
    return build(photos={"coffee": PHOTOS["coffee"]}, layers={"head_relu": 2}, start=None)


# The base class


@pytest.mark.parametrize("cls", Figure.__subclasses__(), ids=lambda cls: cls.__name__)
def test_front_end_is_small_and_self_contained(cls):
    assert len(cls._esm.encode()) < 15_000
    assert (FOLDER / "host.mjs").stat().st_size < 2_000
    for text in (cls._esm, cls._css, (FOLDER / "host.mjs").read_text(encoding="utf-8")):
        assert re.findall(r"</script|</style|<!--|https?:|@import|\bimport .* from", text) == []
        assert (
            re.findall(r"""\bid=|getElementById|['"]#\w""", text) == []
        )  # another figure may be on the page


@pytest.mark.parametrize("name", [file.name for file in FOLDER.glob("*.css")])
def test_styles_reach_nothing_outside_the_figure(name):
    text = re.sub(r"(?s)/\*.*?\*/", "", (FOLDER / name).read_text(encoding="utf-8"))
    selectors = [
        part.strip() for rule in re.findall(r"([^{}]+)\{", text) for part in re.split(r",(?![^(]*\))", rule)
    ]
    assert len(selectors) > 5
    for selector in selectors:
        assert re.match(
            r"\.convlab-figure\b|\.text_html:has\(> \.convlab-figure\)|\.cf[a-z]?-|@container", selector
        )


def test_output_has_a_view_a_page_and_a_text(widget):
    data, _ = widget._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert data["text/plain"] == repr(widget) == f"FeatureMapBrowser: {widget.description}"
    assert data["text/html"] == widget.html()
    assert (
        '<div class="convlab-figure" data-convlab-figure="feature-map-browser" role="group"' in widget.html()
    )


def test_state_in_the_page_is_the_state_of_the_widget(widget):
    ((_, state, _),) = STATE.findall(widget.html())
    assert json.loads(state) == json.loads(json.dumps(widget.state()))
    assert widget.state().keys() == {"caption", "content", "selection"}


def test_same_figure_gives_the_same_bytes(widget):
    assert build().html() == widget.html()


def test_all_that_depends_on_the_machine_is_in_the_state(widget, small):
    one, other = (STATE.sub(r"\1\3", figure.html()) for figure in (widget, build(caption="Point at a unit.")))
    assert one == other
    other = STATE.sub(r"\1\3", small.html())
    assert one.replace("Point at a unit.", "") == other.replace("Point at a unit.", "")


def test_text_cannot_end_the_script(small):
    html = build(
        photos={"</script><b>": PHOTOS["cat"]},
        layers={"head_relu": 1},
        start=None,
        caption="<!-- </script> <i>",
    ).html()
    assert html.count("</script>") == small.html().count("</script>") == 3
    assert "<b>" not in STATE.search(html)[2]
    assert "<i>" not in re.sub(r'(?s)<script type="text/plain">.*', "", html)
    assert json.loads(STATE.search(html)[2])["selection"]["photo"] == "</script><b>"


# The feature-map browser: its content


def test_state_is_small(widget):
    assert 200_000 < len(STATE.search(widget.html())[2]) <= 400_000


def levels_of(layer: dict, photos: int) -> np.ndarray:
    """Stored levels (N, K, H, W) of one layer."""
    image = Image.open(io.BytesIO(base64.b64decode(layer["levels"].partition(",")[2])))
    return np.asarray(image.convert("RGB"))[..., 0].reshape(photos, len(layer["maps"]), *layer["shape"])


def test_values_are_within_one_part_in_255_of_the_scale(widget):
    model = efficientnet_lite0()
    with capture(model, *LAYERS) as maps:
        for n, image in enumerate(PHOTOS.values()):
            model(preprocess(image))
            for layer in widget.content["layers"]:
                levels = levels_of(layer, len(PHOTOS))
                assert levels.max() <= feature_map_browser.LEVELS
                for k, item in enumerate(layer["maps"]):
                    low, high = item["scale"]
                    true = maps[layer["name"]][0, item["channel"]].numpy()
                    stored = low + levels[n, k] / feature_map_browser.LEVELS * (high - low)
                    np.testing.assert_allclose(stored, true, atol=(high - low) / 255)


def test_scale_is_symmetric_only_where_values_are_negative(widget):
    layers = {layer["name"]: layer for layer in widget.content["layers"]}
    assert all(low == 0 < high for low, high in (m["scale"] for m in layers["head_relu"]["maps"]))
    assert all(low == -high < 0 for low, high in (m["scale"] for m in layers["blocks.2"]["maps"]))


def test_maps_are_those_asked_for_or_those_that_vary_most(widget):
    chosen = {
        layer["name"]: [item["channel"] for item in layer["maps"]] for layer in widget.content["layers"]
    }
    assert chosen["stem_relu"] == LAYERS["stem_relu"]
    model = efficientnet_lite0()
    with capture(model, "blocks.2") as maps:
        stacks = []
        for image in PHOTOS.values():
            model(preprocess(image))
            stacks.append(maps["blocks.2"][0].numpy().reshape(24, -1))
    variance = np.concatenate(stacks, axis=1).var(axis=1)
    assert chosen["blocks.2"] == sorted(chosen["blocks.2"])
    assert variance[chosen["blocks.2"]].min() > np.delete(variance, chosen["blocks.2"]).max()


def test_map_of_zeros_is_stored_as_zeros():
    packed = feature_map_browser.pack_maps(np.zeros((1, 1, 4, 4)), [0])
    assert packed["maps"] == [{"channel": 0, "scale": [0.0, 1.0]}]
    assert levels_of(packed, 1).max() == 0


def test_first_unit_is_the_strongest(widget):
    model = efficientnet_lite0()
    with capture(model, START[1]) as maps:
        model(preprocess(PHOTOS[START[0]]))
    strongest = maps[START[1]][0, START[2]]
    assert strongest[tuple(widget.selection["unit"])] == strongest.max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photos": {}}, "`photos` must not be empty"),
        ({"layers": {}}, "`layers` must not be empty"),
        ({"layers": {"blocks.99": 3}}, "blocks.99"),
        ({"layers": {"stem_relu": 0}}, "`layers` must ask for 1 to 32 maps of 'stem_relu', got 0"),
        ({"layers": {"stem_relu": 33}}, "1 to 32 maps"),
        ({"layers": {"stem_relu": []}}, r"different maps of 'stem_relu', from 0 to 31, got \[\]"),
        ({"layers": {"stem_relu": [3, 3]}}, "different maps"),
        ({"layers": {"stem_relu": [32]}}, "from 0 to 31"),
        ({"layers": {"stem_relu": [3]}, "start": ("dog", "stem_relu", 3)}, "photo must be one of 'cat'"),
        (
            {"layers": {"stem_relu": [3]}, "start": ("cat", "head_relu", 3)},
            "layer must be one of 'stem_relu'",
        ),
        ({"layers": {"stem_relu": [3]}, "start": ("cat", "stem_relu", 4)}, "map must be one of 3, got 4"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**{"start": None} | changes)


def test_selection_must_exist(small):
    before = small.selection
    for unit in ([7, 0], [0, -1], [0]):
        with pytest.raises(ValueError, match="within the 7×7 map"):
            small.selection = before | {"unit": unit}
    assert small.selection == before


# Its arithmetic, in JavaScript, against Python's


def random_fields(count: int):
    """Yield Field, map shape and image size of random stacks of layers, different along each axis."""
    rng = np.random.default_rng(0)
    while count:
        shape = image = tuple(rng.integers(12, 60, 2).tolist())
        layers = []
        for _ in range(rng.integers(1, 5)):
            kernel, stride, dilation = (tuple(rng.integers(1, top, 2).tolist()) for top in (6, 4, 3))
            padding = tuple((k - 1) // 2 for k in kernel)
            layers.append(Layer(kernel, stride=stride, padding=padding, dilation=dilation))
            axes = list(zip(shape, kernel, stride, padding, dilation, strict=True))
            if any(d * (k - 1) + 1 > n + 2 * p for n, k, _, p, d in axes):
                break
            shape = tuple(output_size(n, k, stride=s, padding=p, dilation=d) for n, k, s, p, d in axes)
        else:
            count -= 1
            yield receptive_field(layers)[str(len(layers) - 1)], shape, image


def test_regions_equal_those_of_python(page):
    vectors, expected = [], []
    for number, (field, shape, image) in enumerate(random_fields(250)):
        unit = [int(i) for i in np.random.default_rng(number).integers(0, shape)]
        vectors.append([feature_map_browser.pack_field(field, shape, image), unit])
        top, left = (field.start[axis] + unit[axis] * field.jump[axis] for axis in (0, 1))
        whole = [top, left, top + field.size[0], left + field.size[1]]
        expected.append({"whole": whole, "seen": [*field.region(tuple(unit), image)]})
    assert sum(one["whole"] != one["seen"] for one in expected) > 50  # both cases occur
    assert sum(one["whole"] == one["seen"] for one in expected) > 50
    assert in_javascript(page, FeatureMapBrowser, "x.map((one) => m.region(...one))", vectors) == expected


def test_unit_over_a_pixel_is_the_one_whose_field_is_centred_nearest(page):
    rng = np.random.default_rng(1)
    vectors, distances = [], []
    for field, shape, image in random_fields(250):
        point = (rng.random(2) * image).tolist()
        vectors.append([feature_map_browser.pack_field(field, shape, image), point, list(shape)])
        centres = [
            field.start[axis] + field.size[axis] / 2 + field.jump[axis] * np.arange(shape[axis])
            for axis in (0, 1)
        ]
        distances.append([abs(centres[axis] - point[axis]) for axis in (0, 1)])
    units = in_javascript(page, FeatureMapBrowser, "x.map((one) => m.unitAt(...one))", vectors)
    for unit, distance in zip(units, distances, strict=True):
        for axis in (0, 1):
            np.testing.assert_allclose(distance[axis][unit[axis]], distance[axis].min(), atol=1e-9)


def test_text_of_a_value_is_right_in_every_digit_it_shows(page):
    rng = np.random.default_rng(2)
    vectors = [
        [int(level), [-high if signed else 0, high]]
        for high in (10.0 ** rng.uniform(-3, 3, 100)).tolist()
        for level, signed in zip(rng.integers(0, 129, 2), (False, True), strict=True)
    ]
    texts = in_javascript(page, FeatureMapBrowser, "x.map((one) => m.valueAt(...one))", vectors)
    for (level, (low, high)), text in zip(vectors, texts, strict=True):
        value, digits = low + level / 128 * (high - low), len(text.partition(".")[2])
        assert abs(float(text.replace("−", "-")) - value) <= 0.5001 * 10**-digits
        assert 10**-digits >= (high - low) / 128 or digits == 0  # no digit that the levels don't resolve
        assert text not in ("-0", "−0", "−0.0", "−0.00")


# In a browser


def test_first_view(visit, widget):
    page = visit(widget)
    row, column = widget.selection["unit"]
    says(page, "cat, layer blocks.5.depthwise_relu (240 maps of 14×14), map 227, ")
    says(page, f"unit ({row}, {column}): value ")
    expect(page.locator("figcaption")).to_have_text("Point at a unit.")
    assert [page.locator(f"[name={name}]:checked").input_value() for name in ("photo", "layer", "map")] == [
        str(part) for part in START
    ]


def test_first_view_tells_the_true_value(visit, widget):
    model = efficientnet_lite0()
    with capture(model, START[1]) as maps:
        model(preprocess(PHOTOS["cat"]))
    true = float(maps[START[1]][0, START[2]].max())
    text = visit(widget).locator("[aria-live]").inner_text()
    assert float(re.search(r"value ([\d.]+)", text)[1]) == pytest.approx(true, abs=0.08)


def test_drawn_map_is_the_map(visit, widget):
    page = visit(widget)
    says(page, "unit")
    pixels = page.locator("canvas.cfb-pixels").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    brightness = np.array(pixels).reshape(14, 14, 4)[..., :3] @ [0.3, 0.6, 0.1]
    layer = next(layer for layer in widget.content["layers"] if layer["name"] == START[1])
    k = [item["channel"] for item in layer["maps"]].index(START[2])
    levels = levels_of(layer, len(PHOTOS))[0, k]
    order = np.argsort(levels, axis=None, kind="stable")
    assert np.all(np.diff(brightness.ravel()[order]) > -2)  # grows brighter with the value


def test_keyboard(visit, widget):
    page = visit(widget)
    for unit in walk(page, 14, 14):
        says(page, f"unit {unit}:")
    page.get_by_role("button", name="strongest").press("Enter")
    says(page, f"unit {tuple(widget.selection['unit'])}:")


def test_radio_buttons_by_keyboard(visit, widget):
    page = visit(widget)
    page.locator("[name=photo]:checked").press("ArrowRight")
    says(page, "coffee, layer blocks.5")
    page.locator("[name=layer]:checked").press("ArrowRight")
    says(page, "coffee, layer head_relu (1280 maps of 7×7)")
    before = page.locator("[name=map]:checked").input_value()
    page.locator("[name=map]:checked").press("ArrowLeft")
    assert page.locator("[name=map]:checked").input_value() != before
    expect(page.locator("[name=map]:checked")).to_be_focused()


def test_new_layer_keeps_the_place(visit, widget):
    page = visit(widget)
    page.locator("[name=layer][value=stem_relu]").check()
    row, column = widget.selection["unit"]
    centre = [-26 + 16 * i + 83 / 2 for i in (row, column)]  # of the 83×83 field of blocks.5
    says(page, f"unit ({round((centre[0] - 1.5) / 2)}, {round((centre[1] - 1.5) / 2)}):")


def test_pointer_on_the_map_and_on_the_photo(visit, widget):
    page = visit(widget, viewport={"width": 1280, "height": 1000})
    says(page, "unit")
    box = page.locator("[data-drive=pointer]").bounding_box()

    def move(box: dict, row: float, column: float) -> None:
        """Go to a place in the picture, which takes 224 of 264 parts of its box."""
        places = [(20 + 224 * part) / 264 for part in (column, row)]
        page.mouse.move(box["x"] + places[0] * box["width"], box["y"] + places[1] * box["height"])

    move(box, 5.5 / 14, 7.5 / 14)
    says(page, "unit (5, 7):")
    move(box, -0.05, 1.05)
    says(page, "unit (0, 13):")
    page.locator("[name=layer][value=stem_relu]").check()
    move(page.locator(".cfb-stage").first.bounding_box(), 101.5 / 224, 31.5 / 224)
    says(page, "unit (50, 15): ")
    says(page, "sees rows 100–102, columns 30–32 of the photo (3×3).")


def test_field_at_the_border_is_told_and_drawn(visit, widget):
    page = visit(widget)
    page.locator("[data-drive=keys]").press("Control+Home")
    says(
        page,
        "sees rows 0–56, columns 0–56 of the photo (57×57); its field of 83×83 reaches beyond, into padding.",
    )
    beyond, field = (page.locator(f".cfb-{name}").first for name in ("beyond", "field"))
    assert [float(beyond.get_attribute(name)) for name in ("x", "y", "width", "height")] == [-26, -26, 83, 83]
    assert [float(field.get_attribute(name)) for name in ("x", "y", "width", "height")] == [0, 0, 57, 57]
    page.locator("[name=layer][value=head_relu]").check()
    says(page, "sees the whole photo; its field of 851×851 reaches beyond, into padding.")


def test_touch(visit, widget):
    page = visit(widget, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    surface = page.locator("[data-drive=pointer]")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2 + 1)
    says(page, "unit (7, 7):")
    assert page.locator(".cfb-stage").evaluate_all(
        "all => all.map(e => getComputedStyle(e).touchAction)"
    ) == [
        "pan-y",
        "pan-y",
    ]  # a vertical swipe scrolls the page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, widget, width, theme):
    page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
    says(page, "unit")
    check_layout(page)


@pytest.fixture(scope="module")
def projected() -> FeatureMapBrowser:
    layers = {"blocks.2.depthwise_bn": [43, 103], "blocks.4.depthwise_bn": [234]}
    return build(
        photos={"cat": PHOTOS["cat"], "hopper": PHOTOS["hopper"]}, layers=layers, start=None, rule="guided"
    )


def projected_levels(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))))[..., 0].astype(float)


def test_a_projection_is_that_of_the_strongest_unit(projected):
    model, x = efficientnet_lite0(), preprocess(PHOTOS["hopper"])
    assert projected.content["rule"] == "guided"
    for layer in projected.content["layers"]:
        with capture(model, layer["name"]) as maps:
            model(x)
        for item in layer["maps"]:
            shown = maps[layer["name"]][0, item["channel"]].detach().numpy()
            unit = tuple(int(i) for i in np.unravel_index(shown.argmax(), shown.shape))
            wanted = project(model, x, layer["name"], item["channel"], unit)[0].mean(dim=0).numpy()
            levels = projected_levels(item["views"][1])
            assert levels.shape == (224, 224)
            assert (levels[wanted == 0] == 64).all()
            reach = np.percentile(np.abs(wanted[wanted != 0]), 99)
            np.testing.assert_allclose((levels - 64) / 64, np.clip(wanted / reach, -1, 1), atol=0.126)


def test_a_projection_of_zeros_is_stored_as_zeros():
    assert (projected_levels(feature_map_browser.pack_projection(np.zeros((3, 8, 8)))) == 64).all()


def test_without_a_rule_there_are_no_projections(small, visit):
    assert "rule" not in small.content
    page = visit(small)
    says(page, "unit")
    expect(page.locator(".cfb-view")).to_have_count(0)
    with pytest.raises(ValueError, match="`rule` must be one of gradient, deconvnet, guided, got 'lrp'"):
        build(photos={"cat": PHOTOS["cat"]}, layers={"stem_bn": 1}, start=None, rule="lrp")


def drawn_on(page, selector):
    return page.evaluate("(one) => document.querySelector(one).toDataURL()", selector)


def test_the_projection_lies_over_the_photo_on_request(visit, projected):
    page = visit(projected)
    box, stage = page.get_by_label("Projection of the strongest unit (guided)"), ".cfb-stage canvas"
    expect(box).not_to_be_checked()
    photo_drawn = drawn_on(page, stage)
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    says(page, "covered by the projection of the map’s strongest unit (guided)")
    first = drawn_on(page, stage)
    assert first != photo_drawn
    page.locator('[name=map][value="103"]').check(force=True)
    says(page, "map 103")
    assert drawn_on(page, stage) not in (first, photo_drawn)
    box.click()
    expect(box).not_to_be_checked()
    expect(page.locator("[aria-live]")).not_to_contain_text("projection")
    assert drawn_on(page, stage) == photo_drawn


@pytest.mark.parametrize("width", [390, 1280])
def test_layout_with_a_projection(visit, projected, width):
    page = visit(projected, viewport={"width": width, "height": 900})
    page.get_by_label("Projection of the strongest unit (guided)").check()
    check_layout(page)


def test_two_figures_are_independent(visit, widget, small):
    page = visit(widget, widget, small)
    first, second, third = (page.locator("[data-convlab-figure]").nth(i) for i in range(3))
    second.scroll_into_view_if_needed()
    says(second, "cat")
    unit = tuple(widget.selection["unit"])
    third.scroll_into_view_if_needed()
    says(third, "coffee")
    first.locator("[name=photo][value=rocket]").check()
    first.locator("[data-drive=keys]").press("Control+Home")
    says(first, "rocket, layer blocks.5.depthwise_relu (240 maps of 14×14), map 227, unit (0, 0)")
    says(second, f"cat, layer blocks.5.depthwise_relu (240 maps of 14×14), map 227, unit {unit}")
    assert second.locator("[name=photo]:checked").input_value() == "cat"
    assert third.locator("[name=photo]:checked").input_value() == "coffee"


def test_figure_starts_when_it_comes_near(visit, small):
    page = visit(small, before="<div style='height: 5000px'></div>")
    page.wait_for_timeout(300)
    assert page.locator("[aria-live]").count() == 0
    expect(page.locator("[data-convlab-figure] p").first).to_contain_text(small.description)
    page.locator("[data-convlab-figure]").scroll_into_view_if_needed()
    says(page, "unit")


def test_without_javascript_a_text_stands_in_its_place(visit, widget):
    page = visit(widget, java_script_enabled=False)
    figure = page.locator("[data-convlab-figure] figure")
    expect(figure).to_contain_text(widget.description)
    expect(figure).to_contain_text("where scripts may run")
    expect(figure.locator("figcaption")).to_have_text("Point at a unit.")
