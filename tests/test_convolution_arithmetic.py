import json
import re
from functools import cache

import numpy as np
import pytest
from browsing import check_layout, grid_numbers, in_javascript, says, walk
from playwright.sync_api import expect
from traitlets import TraitError

from convlab.figures import ConvolutionArithmetic
from convlab.ops import conv2d, conv_transpose2d
from convlab.shapes import (
    coverage,
    dropped,
    full_padding,
    output_size,
    symmetric_padding,
    transposed_size,
    window_span,
)

LETTERS = {
    "i": "size",
    "k": "kernel_size",
    "s": "stride",
    "p": "padding",
    "d": "dilation",
    "a": "output_padding",
    "t": "transposed",
}
HIGHEST = {"i": 12, "k": 7, "s": 5, "p": 6, "d": 4, "a": 4}


def build(letters: dict, **more) -> ConvolutionArithmetic:
    return ConvolutionArithmetic(**{LETTERS[letter]: value for letter, value in letters.items()}, **more)


def possible(letters: dict) -> bool:
    try:
        build(letters)
    except ValueError:
        return False
    return True


@cache
def random_layers(transposed: bool, count: int, legal: bool = True) -> list[dict]:
    """Layers of all sizes that the sliders allow, by letter; the possible ones, or all."""
    rng = np.random.default_rng(7 + transposed)
    layers = []
    while len(layers) < count:
        layer = {name: int(rng.integers(name not in "pa", top + 1)) for name, top in HIGHEST.items()}
        layer["t"] = transposed
        if not legal or possible(layer):
            layers.append(layer)
    return layers


def arguments(layer: dict) -> dict:
    """Stride, padding and dilation, as the library calls them."""
    return {"stride": layer["s"], "padding": layer["p"], "dilation": layer["d"]}


def surveys(page, layers: list[dict]) -> list[dict]:
    """What the front end finds out about each layer; of the cells, how often windows read each pixel."""
    expression = """JSON.stringify(x.map((layer) => {
        const { cells, ...all } = m.survey(layer);
        const units = [...Array(all.outputs).keys()];
        const read = cells.filter(({ kind }) => kind === 'pixel').map(({ read }) => read);
        const crossed = cells.filter(({ left }) => left === 'dropped').length;
        return { ...all, read, crossed, taps: units.map(all.taps), pixels: units.map(all.pixels) };
    }))"""
    return json.loads(in_javascript(page, ConvolutionArithmetic, expression, layers))


# Its arithmetic, in JavaScript, against the library's


def test_ordinary_layers_equal_those_of_the_library(page):
    layers = random_layers(False, 400)
    skipping = dropping = 0
    for layer, survey in zip(layers, surveys(page, layers), strict=True):
        i, k, options = layer["i"], layer["k"], arguments(layer)
        side = output_size(i, k, **options)
        rest = dropped(i, k, **options)
        read = coverage(i, k, **options)
        assert (survey["outputs"], survey["room"] % layer["s"]) == (side, rest)
        np.testing.assert_array_equal(np.reshape(survey["read"], (i, i)), read)
        ones = conv2d(np.ones((1, 1, i, i)), np.ones((1, 1, k, k)), **options)[0, 0]
        np.testing.assert_array_equal(np.reshape(survey["gets"], (side, side)), ones)
        strip = max(0, rest - layer["p"])
        assert survey["dropped"] == i**2 - (i - strip) ** 2
        assert survey["skipped"] == (read == 0).sum() - survey["dropped"]
        padded = i + 2 * layer["p"]
        assert survey["crossed"] == padded**2 - (padded - rest) ** 2
        skipping += survey["skipped"] > 0
        dropping += survey["dropped"] > 0
        for unit, taps in enumerate(survey["taps"]):
            assert taps == [unit * layer["s"] - layer["p"] + layer["d"] * tap for tap in range(k)]
    assert min(skipping, dropping) > 40


def test_transposed_layers_equal_those_of_the_library(page):
    layers = random_layers(True, 400)
    extra = cut = 0
    for layer, survey in zip(layers, surveys(page, layers), strict=True):
        i, k, s, options = layer["i"], layer["k"], layer["s"], arguments(layer)
        side = transposed_size(i, k, output_padding=layer["a"], **options)
        assert survey["outputs"] == side
        one, kernel = np.ones((1, 1, i, i)), np.ones((1, 1, k, k))
        products = conv_transpose2d(one, kernel, output_padding=layer["a"], **options)[0, 0]
        np.testing.assert_array_equal(np.reshape(survey["gets"], (side, side)), products)
        # an input pixel reaches the units that the convolution's window there reads
        reached = conv2d(np.ones((1, 1, side, side)), kernel, **options)[0, 0, :i, :i]
        np.testing.assert_array_equal(np.reshape(survey["read"], (i, i)), reached)
        assert survey["dropped"] + survey["skipped"] == (reached == 0).sum()
        for unit, pixels in enumerate(survey["pixels"]):
            sources = {r for r in range(i) for t in range(k) if r * s + layer["d"] * t - layer["p"] == unit}
            assert {pixel / s for pixel in pixels} == sources
        extra += layer["a"] > 0
        cut += survey["dropped"] > 0
    assert min(extra, cut) > 20


@pytest.mark.parametrize("transposed", [False, True])
def test_impossible_layers_are_those_that_the_library_refuses(page, transposed):
    layers = random_layers(transposed, 400, legal=False)
    reasons = in_javascript(page, ConvolutionArithmetic, "x.map(m.trouble)", layers)
    assert [not reason for reason in reasons] == [possible(layer) for layer in layers]
    assert 40 < sum(map(bool, reasons)) < 380


@pytest.mark.parametrize("transposed", [False, True])
def test_formula_is_right_in_every_step(page, transposed):
    layers = random_layers(transposed, 250)
    told = in_javascript(page, ConvolutionArithmetic, "x.map((layer) => m.tell(layer, [0, 0])[0])", layers)
    floors = 0
    for layer, (rule, numbers, steps) in zip(layers, told, strict=True):
        side = build(layer)._outputs()
        *parts, result = steps.split(" = ")
        assert result == str(side)
        floors += any("." in part for part in parts)
        for part in (rule, numbers, *parts):
            code = "".join({"−": "-", "·": "*", "⌊": "floor(", "⌋": ")"}.get(one, one) for one in part)
            assert eval(code, {"floor": np.floor}, layer) == side
    assert floors > 30 or transposed


def test_named_paddings_are_those_of_the_library(page):
    layers = [{"k": k, "d": d} for k in range(1, 8) for d in range(1, 5)]
    for layer, named in zip(
        layers, in_javascript(page, ConvolutionArithmetic, "x.map(m.presets)", layers), strict=True
    ):
        k, d = layer["k"], layer["d"]
        valid, same, full = named
        assert (valid, full) == (0, full_padding(k, dilation=d))
        if window_span(k, d) % 2:
            assert same == symmetric_padding(k, dilation=d)
        else:
            assert same % 1 == 0.5


@pytest.mark.parametrize("transposed", [False, True])
def test_texts_tell_what_is_so(page, transposed):
    rng = np.random.default_rng(3)
    layers = random_layers(transposed, 200)
    units = [[int(at) for at in rng.integers(0, build(layer)._outputs(), 2)] for layer in layers]
    pairs = list(zip(layers, units, strict=True))
    told = in_javascript(page, ConvolutionArithmetic, "x.map((one) => m.tell(...one))", pairs)
    for (layer, unit), survey, (_, about, here) in zip(pairs, surveys(page, layers), told, strict=True):
        read = np.reshape(survey["read"], (layer["i"], layer["i"]))
        middle = layer["i"] // 2
        assert about.endswith(f"Times read: corner {read[0, 0]}, centre {read[middle, middle]}.")
        assert f"{survey['dropped']} of {layer['i'] ** 2} pixel" in about
        assert f" Skipped: {survey['skipped']}. " in about
        if transposed:
            assert f"Products in a unit: {min(survey['gets'])} to {max(survey['gets'])}. " in about
        else:
            assert re.search(rf"Dropped: {survey['room'] % layer['s']} rows? and as many columns, ", about)
        count = survey["gets"][unit[0] * survey["outputs"] + unit[1]]
        assert here.startswith(f"Unit ({unit[0]}, {unit[1]}) ")
        assert re.search(rf": {count} pixels?, {layer['k'] ** 2 - count} zeros?\.$", here)
        lists = [
            [at // layer["s"] for at in survey["pixels"][one]] if transposed else survey["taps"][one]
            for one in unit
        ]
        rows, columns = (", ".join(map(str, line)).replace("-", "−") or "none" for line in lists)
        assert f"reads rows {rows} and columns {columns}: " in here


# In Python


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "`size` must be at least 1, got 0"),
        ({"size": 13}, "`size` must be at most 12, got 13"),
        ({"kernel_size": 8}, "`kernel_size` must be at most 7, got 8"),
        ({"stride": 6}, "`stride` must be at most 5, got 6"),
        ({"padding": -1}, "`padding` must be at least 0, got -1"),
        ({"dilation": 5}, "`dilation` must be at most 4, got 5"),
        ({"size": 3, "kernel_size": 4}, "a window of 4 .* does not fit into 3"),
        ({"unit": [5, 0]}, r"`unit` must be a row and a column of the 5×5 map, got \[5, 0\]"),
        ({"unit": [1]}, "`unit` must be a row and a column"),
        ({"transposed": True, "stride": 2, "output_padding": 2}, "`output_padding` must be less than"),
        ({"transposed": True, "size": 2, "padding": 2}, "`padding` 2 . 2 leaves nothing"),
        (
            {"transposed": True, "size": 12, "stride": 2, "kernel_size": 3},
            "24 wide at most, to be drawn, got 27",
        ),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        ConvolutionArithmetic(**changes)


@pytest.mark.parametrize("changes", [{"size": 7.0}, {"stride": "2"}, {"padding": True}, {"dilation": None}])
def test_sizes_are_integers(changes):
    with pytest.raises(TypeError, match=r"must be an integer, got"):
        ConvolutionArithmetic(**changes)


def test_transposed_is_true_or_false():
    with pytest.raises(TraitError, match="expected a boolean"):
        ConvolutionArithmetic(transposed="yes")


def test_numbers_of_numpy_are_taken():
    figure = ConvolutionArithmetic(size=np.int64(6), unit=np.array([1, 2]).tolist())
    assert figure.size == 6
    assert type(figure.size) is int


def test_an_impossible_change_changes_nothing():
    figure = ConvolutionArithmetic(size=7, kernel_size=3, unit=[4, 4])
    with pytest.raises(ValueError, match="does not fit"):
        figure.dilation = 4
    with pytest.raises(ValueError, match="does not fit"):
        figure.set_state({"size": 5, "kernel_size": 6})
    assert (figure.size, figure.kernel_size, figure.dilation, figure.unit) == (7, 3, 1, [4, 4])


def test_unit_stays_inside_when_the_output_shrinks():
    figure = ConvolutionArithmetic(size=7, kernel_size=3, unit=[4, 1])
    figure.stride = 2
    assert figure.unit == [2, 1]
    with figure.hold_trait_notifications():
        figure.stride = 1
        figure.unit = [4, 4]
    assert figure.unit == [4, 4]


def test_same_figure_gives_the_same_bytes():
    one, other = (ConvolutionArithmetic(size=9, stride=2, caption="Slide.") for _ in range(2))
    assert one.html() == other.html()
    assert repr(one) == repr(other)


# In a browser

PHONE = {"viewport": {"width": 390, "height": 844}}


def numbers(page, which: int) -> list[str]:
    """The numbers in the cells of the input, 0, or the output, 1; an empty cell is an empty text."""
    return grid_numbers(page.locator(".cf-grid").nth(which))


def slide(page, letter: str, value: int) -> None:
    page.locator(f"[name={letter}]").fill(str(value))


def test_first_view(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=3, stride=2, padding=1, caption="Slide."))
    says(page, "Output: o = ⌊(7 + 2·1 − 1·(3 − 1) − 1)/2⌋ + 1 = 4. Dropped: 0 rows and as many columns, ")
    says(page, "0 of 49 pixels. Skipped: 0. Times read: corner 1, centre 4.")
    says(
        page,
        "Unit (0, 0) begins at row 0·2 − 1, column 0·2 − 1 and reads rows −1, 0, 1 and columns −1, 0, 1: ",
    )
    says(page, "4 pixels, 5 zeros.")
    expect(page.locator("figcaption")).to_have_text("Slide.")
    expect(page.locator(".cfa-formula span")).to_have_text(
        [
            "= ⌊(i + 2·p − d·(k − 1) − 1)/s⌋ + 1",
            "= ⌊(7 + 2·1 − 1·(3 − 1) − 1)/2⌋ + 1",
            "= ⌊6/2⌋ + 1 = 3 + 1 = 4",
        ]
    )
    ring = np.full((9, 9), "", dtype=object)
    ring[1:-1, 1:-1] = coverage(7, 3, stride=2, padding=1).astype(str)
    assert numbers(page, 0) == ring.ravel().tolist()
    assert numbers(page, 1) == list("4664699669964664")
    expect(page.locator("li")).to_have_text(["zeros around", "read by the unit"])
    expect(page.locator(".cfa-a")).to_be_hidden()


def test_dropped_and_skipped_pixels_are_marked_and_counted(visit):
    page = visit(ConvolutionArithmetic(size=8, kernel_size=2, stride=3))
    expect(page.locator("li")).to_have_text(["skipped: 28 pixels", "read by the unit"])
    slide(page, "k", 1)
    slide(page, "s", 5)
    expect(page.locator("li").first).to_have_text("dropped: 28 pixels")
    expect(page.locator("li").nth(1)).to_have_text("skipped: 32 pixels")
    says(page, "Dropped: 2 rows and as many columns, 28 of 64 pixels. Skipped: 32.")
    crosses = page.locator(".cf-grid .cfa-dropped").get_attribute("d")
    assert sorted(re.findall(r"M(\d+) (\d+)", crosses)) == sorted(
        (str(x * 20), str(y * 20)) for y in range(8) for x in range(8) if max(x, y) > 5
    )


def test_taps_are_drawn_with_their_holes(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=2, dilation=3, padding=1, unit=[1, 2]))
    taps = page.locator(".cf-grid .cfa-tap").get_attribute("d")
    assert re.findall(r"M(\d+) (\d+)", taps) == [("40", "20"), ("100", "20"), ("40", "80"), ("100", "80")]
    frame = page.locator(".cf-kernel")
    assert [frame.get_attribute(name) for name in ("x", "y", "width", "height")] == ["40", "20", "80", "80"]
    chosen = page.locator(".cf-frame.cf-output")
    assert [chosen.get_attribute(name) for name in ("x", "y")] == ["40", "20"]


def test_arrow_keys_move_the_unit(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=3))
    for unit in walk(page, 5, 5):
        says(page, f"Unit {unit} begins")


def test_sliders_by_keyboard(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=3))
    for letter, text in [
        ("i", "⌊(8 + 2·0 − 1·(3 − 1) − 1)/1⌋ + 1 = 6."),
        ("k", "⌊(8 + 2·0 − 1·(4 − 1) − 1)/1⌋ + 1 = 5."),
        ("s", "⌊(8 + 2·0 − 1·(4 − 1) − 1)/2⌋ + 1 = 3."),
        ("d", "⌊(8 + 2·0 − 2·(4 − 1) − 1)/2⌋ + 1 = 1."),
        ("p", "⌊(8 + 2·1 − 2·(4 − 1) − 1)/2⌋ + 1 = 2."),
    ]:
        slider = page.get_by_role("slider").and_(page.locator(f"[name={letter}]"))
        slider.press("ArrowRight")
        says(page, text)
        expect(slider).to_be_focused()
    slide(page, "i", 4)
    page.get_by_label("transposed").press("Space")
    says(page, "o = (4 − 1)·2 − 2·1 + 2·(4 − 1) + 0 + 1 = 11.")
    page.get_by_label("output padding a").press("ArrowRight")
    says(page, "o = (4 − 1)·2 − 2·1 + 2·(4 − 1) + 1 + 1 = 12.")


def test_limits_of_the_sliders_are_those_of_the_traits(visit):
    page = visit(ConvolutionArithmetic())
    for letter, name in LETTERS.items():
        if letter == "t":
            continue
        slider, trait = page.locator(f"[name={letter}]"), ConvolutionArithmetic.class_traits()[name]
        assert [slider.get_attribute(end) for end in ("min", "max")] == [str(trait.low), str(trait.high)]


def test_buttons_set_the_padding(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=5))
    for name, padding, side in [("same", 2, 7), ("full", 4, 11), ("valid", 0, 3)]:
        button = page.get_by_role("button", name=name)
        button.press("Enter")
        says(page, f"+ 2·{padding} − 1·(5 − 1) − 1)/1⌋ + 1 = {side}.")
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[aria-pressed=true]")).to_have_count(1)
    alert = page.locator("[role=alert]")
    slide(page, "k", 4)
    page.get_by_role("button", name="same").click()
    expect(alert).to_have_text("p = 1.5 must be a whole number, up to 6. The drawing stays.")
    slide(page, "d", 3)
    page.get_by_role("button", name="full").click()
    expect(alert).to_have_text("p = 9 must be a whole number, up to 6. The drawing stays.")
    says(page, "+ 2·0 −")


def test_unit_stays_inside_on_the_page_too(visit):
    page = visit(ConvolutionArithmetic(size=7, kernel_size=3, unit=[4, 1]))
    slide(page, "s", 2)
    says(page, "Unit (2, 1) begins")
    page.locator("[data-drive=keys]").press("ArrowUp")
    says(page, "Unit (1, 1) begins")


@pytest.mark.parametrize(
    ("start", "moves", "message"),
    [
        ({"i": 5, "k": 3}, {"d": 3}, "The window does not fit: d(k − 1) + 1 = 7 is more than i + 2p = 5."),
        ({"i": 5, "k": 3, "s": 2, "t": True}, {"a": 2}, "a = 2 must be less than s = 2 or d = 1."),
        ({"i": 2, "k": 3, "t": True}, {"p": 2}, "2p = 4 cuts off the whole output."),
        ({"i": 9, "k": 3, "t": True}, {"s": 3}, "The spread input is 29 wide; 24 can be drawn."),
    ],
)
def test_impossible_layers_are_explained_and_the_drawing_stays(visit, start, moves, message):
    page = visit(build(start))
    says(page, "Unit (0, 0)")
    drawn = [numbers(page, 0), numbers(page, 1)]
    for letter, value in moves.items():
        slide(page, letter, value)
    alert = page.locator("[role=alert]")
    expect(alert).to_have_text(f"{message} The drawing stays.")
    page.locator("[data-drive=pointer]").hover()  # exploring the old drawing keeps what is wanted
    expect(alert).to_have_text(f"{message} The drawing stays.")
    assert [page.locator(f"[name={letter}]").input_value() for letter in moves] == [
        str(v) for v in moves.values()
    ]
    assert [numbers(page, 0), numbers(page, 1)] == drawn
    for letter in moves:  # back to what is drawn
        slide(page, letter, start.get(letter, 1 if letter in "sd" else 0))
    expect(alert).to_be_empty()
    slide(page, "p", 1)  # and on
    says(page, "2·1")


def test_pointer_and_touch_choose_the_unit(visit):
    figure = ConvolutionArithmetic(size=7, kernel_size=3, stride=2, padding=1)
    page = visit(figure, viewport={"width": 1280, "height": 1000})
    box = page.locator("[data-drive=pointer]").bounding_box()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.6 * box["height"])
    says(page, "Unit (2, 3)")
    page = visit(figure, **PHONE, has_touch=True, is_mobile=True)
    box = page.locator("[data-drive=pointer]").bounding_box()
    page.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    says(page, "Unit (0, 3)")


def test_two_figures_are_independent(visit):
    page = visit(ConvolutionArithmetic(), ConvolutionArithmetic(size=9))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "(9 + 2·0")
    first.locator("[name=s]").fill("3")
    first.locator("[data-drive=keys]").press("End")
    says(first, "(7 + 2·0 − 1·(3 − 1) − 1)/3")
    says(first, "Unit (0, 1)")
    says(second, "(9 + 2·0 − 1·(3 − 1) − 1)/1")
    says(second, "Unit (0, 0)")


LARGE = [
    {"i": 7, "k": 3, "s": 2, "p": 1},
    {"i": 12, "k": 1, "p": 6},
    {"i": 12, "k": 7, "p": 6},
    {"i": 12, "k": 3, "s": 1},
    {"i": 1, "k": 1},
    {"i": 6, "k": 4, "s": 3, "t": True},
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    page = visit(
        ConvolutionArithmetic(size=7, kernel_size=3, stride=2, padding=1),
        theme=theme,
        viewport={"width": width, "height": 900},
    )
    says(page, "Unit")
    check_layout(page)


@pytest.mark.parametrize("width", [1280, 700, 390])
@pytest.mark.parametrize("layer", LARGE, ids=lambda layer: "".join(f"{k}{v:d}" for k, v in layer.items()))
def test_numbers_are_large_enough_and_fit_their_cells(visit, layer, width):
    page = visit(build(layer), viewport={"width": width, "height": 900})
    says(page, "Unit")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for root in page.locator(".cf-grid").all():
        cell, sizes, widths = root.evaluate(
            """root => {
                const scale = root.getBoundingClientRect().width / root.viewBox.baseVal.width;
                const labels = [...root.querySelectorAll('tspan')];
                return [20 * scale, labels.map(e => parseFloat(getComputedStyle(e).fontSize) * scale),
                    labels.map(e => e.getBoundingClientRect().width)];
            }"""
        )
        assert cell >= 14
        assert min(sizes) >= 11
        assert max(widths) <= cell
