import json
import re
from itertools import pairwise

import numpy as np
import pytest
from browsing import check_layout, check_nonsense, check_refusal, in_javascript, says, walk
from playwright.sync_api import Page, expect

from convlab import ops
from convlab.fields import Layer, receptive_field
from convlab.figures import DilationGrid
from convlab.shapes import same_padding

GRIDDED = 13**2 - 7**2  # pixels of the hull of rates 2, 2, 2 that are never read


def build(**changes) -> DilationGrid:
    return DilationGrid(**{"rates": [2, 2, 2], "caption": "Which pixels are hatched?"} | changes)


def layers(rates, kernel: int) -> list[Layer]:
    return [Layer(kernel, dilation=rate, padding="same") for rate in rates]


def true_axis(rates, kernel: int, size: int, unit: int) -> np.ndarray:
    """Paths along one axis: what each pixel adds to the unit where all weights are one."""
    rows = np.eye(size)[:, None, None]  # for each pixel an image of one row: (size, 1, 1, size)
    for rate in rates:
        padded = ops.pad2d(rows, ((0, 0), same_padding(size, kernel, dilation=rate)))
        rows = ops.conv2d(padded, np.ones((1, 1, 1, kernel)), dilation=(1, rate))
    return rows[:, 0, 0, unit]


def true_paths(rates, kernel: int, size: int, unit) -> np.ndarray:
    """Paths from the unit [row, column] to every pixel."""
    return np.outer(*(true_axis(rates, kernel, size, at) for at in unit))


def random_settings(count: int):
    """Stacks of one to five layers, images and units, corners among them."""
    rng = np.random.default_rng(0)
    for number in range(count):
        size = int(rng.choice([9, 10, 21, 31]))
        rates = rng.integers(1, rng.choice([2, 4, 17]), rng.integers(1, 6), endpoint=False)
        unit = [[0, 0], [size - 1, 0], rng.integers(0, size, 2).tolist()][min(number % 5, 2)]
        kernel = int(rng.integers(2, 6))
        yield {"rates": rates.tolist(), "kernel_size": kernel, "size": size, "unit": unit}


# In Python


def test_state_holds_plain_numbers():
    widget = build(rates=np.array([1, 2]), kernel_size=np.int64(2), unit=np.array([0, 3]))
    state = widget.state()
    assert json.loads(json.dumps(state)) == state
    assert state == {
        "caption": "Which pixels are hatched?",
        "rates": [1, 2],
        "kernel_size": 2,
        "size": 21,
        "unit": [0, 3],
    }
    assert build(size=10).unit == [4, 4]


def test_unit_stays_inside_when_the_image_shrinks():
    widget = build(unit=(20, 3))
    widget.size = 9
    assert widget.unit == [8, 3]


def test_several_traits_may_change_at_once():
    widget = build(size=9)
    widget.set_state({"unit": [30, 30], "size": 31, "rates": [16], "kernel_size": 5})  # as the front end does
    assert (widget.unit, widget.size, widget.rates, widget.kernel_size) == ([30, 30], 31, [16], 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": []}, "`rates` must be of 1 to 5 layers, got 0"),
        ({"rates": [1] * 6}, "`rates` must be of 1 to 5 layers, got 6"),
        ({"rates": [1, 0]}, "`rates` must be at least 1, got 0"),
        ({"rates": [17]}, "`rates` must be at most 16, got 17"),
        ({"rates": 2}, "`rates` must be integers, one for each layer, got 2"),
        ({"rates": [1.5]}, r"`rates` must be integers, one for each layer, got \[1\.5\]"),
        ({"kernel_size": 1}, "`kernel_size` must be at least 2, got 1"),
        ({"kernel_size": 6}, "`kernel_size` must be at most 5, got 6"),
        ({"kernel_size": 3.0}, r"`kernel_size` must be an integer, got 3\.0"),
        ({"size": 8}, "`size` must be at least 9, got 8"),
        ({"size": 32}, "`size` must be at most 31, got 32"),
        ({"unit": (21, 0)}, r"`unit` must be a row and a column of the 21×21 map, got \[21, 0\]"),
        ({"unit": (0, -1)}, r"`unit` must be a row and a column"),
        ({"unit": (0, 0, 0)}, r"`unit` must be a row and a column"),
        ({"unit": 3}, r"`unit` must be \[row, column\], got 3"),
    ],
)
def test_bad_input(changes, message):
    check_refusal(build, changes, message)


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    assert state.sub("", build().html()) == state.sub("", build(rates=[1, 2], size=9).html())


# Its arithmetic, in JavaScript, against the library's


def test_paths_and_unread_pixels_are_those_of_the_library(page):
    vectors = list(random_settings(300))
    results = in_javascript(page, DilationGrid, "x.map((one) => m.survey(one))", vectors)
    clipped = gridded = 0
    for settings, seen in zip(vectors, results, strict=True):
        rates, kernel, size, unit = (settings[name] for name in ("rates", "kernel_size", "size", "unit"))
        counts = np.reshape(seen["counts"], (size, size))
        np.testing.assert_array_equal(counts, true_paths(rates, kernel, size, unit))
        field = list(receptive_field(layers(rates, kernel)).values())[-1]
        np.testing.assert_array_equal(counts > 0, field.reads(tuple(unit), clip=(size, size)))
        hull = np.zeros((size, size), bool)
        begin = np.add(unit, field.start)
        (top, left), (bottom, right) = begin.clip(0, size), (begin + field.size).clip(0, size)
        hull[top:bottom, left:right] = True
        assert (seen["rows"], seen["columns"]) == ([top, bottom], [left, right])
        assert seen["unread"] == np.flatnonzero(hull & (counts == 0)).tolist()
        assert not counts[~hull].any()
        clipped += hull.sum() < field.size[0] * field.size[1]
        gridded += bool(seen["unread"])
    assert clipped > 50
    assert gridded > 50


def test_table_is_that_of_the_library(page):
    vectors = [[one["rates"], one["kernel_size"]] for one in random_settings(300)]
    results = in_javascript(page, DilationGrid, "x.map((one) => m.table(...one))", vectors)
    for (rates, kernel), rows in zip(vectors, results, strict=True):
        for row, field in zip(rows, receptive_field(layers(rates, kernel)).values(), strict=True):
            assert (row["low"], row["hull"], row["positions"]) == (
                field.start[0],
                field.size[0],
                field.support[0],
            )
            assert row["share"] == pytest.approx((field.support[0] / field.size[0]) ** 2)
            assert row["overlap"] == pytest.approx(field.overlap[0])


# In a browser


def numbers(page: Page) -> list[str]:
    """Of the rows and columns by turns, then of the pixels."""
    return page.locator("svg.cf-grid text").all_text_contents()


def table(page: Page) -> list[list[str]]:
    return [line.locator("td").all_text_contents()[1:] for line in page.locator("tbody tr").all()]


def test_first_view(visit):
    page = visit(build())
    says(page, "Rates 2, 2, 2, kernel 3×3: hull 13×13, 7 distinct positions per axis, 49 of 169 pixels read")
    says(page, "(29 %). Neighbours share 0 % of their positions.")
    says(page, "Output unit (10, 10): rows 4 to 16, columns 4 to 16; 49 pixels read, 120 never.")
    says(page, "729 of 729 paths reach the image, 0 end in padding; at most 49 in a pixel.")
    assert table(page) == [
        ["5", "3", "36\u00a0%", "0\u00a0%"],
        ["9", "5", "31\u00a0%", "0\u00a0%"],
        ["13", "7", "29\u00a0%", "0\u00a0%"],
    ]
    margins, counts = numbers(page)[: 2 * 21], numbers(page)[2 * 21 :]
    expected = true_paths([2, 2, 2], 3, 21, (10, 10))
    assert counts == [str(int(count)) if count else "" for count in expected.ravel()]
    assert margins[::2] == margins[1::2] == [margins[2 * at] for at in range(21)]
    assert [number for number in margins[::2] if number] == ["1", "3", "6", "7", "6", "3", "1"]
    hatched = page.locator(".cfd-unread").get_attribute("d")
    assert hatched.count("M") == GRIDDED
    expect(page.get_by_text("never read", exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="2, 2, 2")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="1, 2, 4")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("figcaption")).to_have_text("Which pixels are hatched?")


def test_every_pixel_that_is_read_is_shaded(visit):
    page = visit(build(rates=[1, 1, 1, 1, 1]))
    says(page, "at most 2601 in a pixel")
    shaded = [path.get_attribute("d").count("M") for path in page.locator(".cfd-read").all()]
    assert sum(shaded) == 11**2
    assert shaded[-1] >= 1
    opacity = [float(path.get_attribute("fill-opacity")) for path in page.locator(".cfd-read").all()]
    assert opacity == sorted(opacity)
    assert set(numbers(page)[2 * 21 :]) == {""}  # four digits don't fit a cell
    assert [number for number in numbers(page)[1 : 2 * 21 : 2] if number][5] == "51"


def test_presets(visit):
    page = visit(build())
    for name, told in [
        ("1, 1, 1", "hull 7×7, 7 distinct positions per axis, 49 of 49 pixels read"),
        ("1, 2, 4", "hull 15×15, 15 distinct positions per axis, 225 of 225"),
        ("1, 2, 3", "hull 13×13, 13 distinct positions per axis, 169 of 169"),
        ("2, 2, 2", "hull 13×13, 7 distinct"),
    ]:
        page.get_by_role("button", name=name).press("Enter")
        says(page, f"Rates {name}, kernel 3×3: {told}")
        expect(page.locator("[aria-pressed=true]")).to_have_text(name)
        rates = [page.get_by_role("spinbutton", name=f"rate of layer {n}").input_value() for n in (1, 2, 3)]
        assert ", ".join(rates) == name


def test_layers_are_added_removed_and_changed(visit):
    page = visit(build())
    more, less = (page.get_by_role("button", name=name) for name in ("Add layer", "Remove layer"))
    more.click()
    says(page, "Rates 2, 2, 2, 2, kernel")
    more.press("Enter")
    says(page, "hull 21×21, 11 distinct positions per axis, 121 of 441 pixels read (27 %)")
    expect(more).to_be_disabled()
    for count in (4, 3, 2, 1):
        less.click()
        expect(page.locator("tbody tr:visible")).to_have_count(count)
    says(page, "Rates 2, kernel 3×3: hull 5×5, 3 distinct positions per axis, 9 of 25")
    expect(less).to_be_disabled()
    more.click()
    second = page.get_by_role("spinbutton", name="rate of layer 2")
    second.fill("12")
    says(page, "Rates 2, 12, kernel")
    second.press("ArrowUp")
    says(page, "Rates 2, 13, kernel")
    expect(page.locator("[aria-pressed=true]")).to_have_count(0)


def test_kernel_and_image_by_fields(visit):
    page = visit(build(unit=(20, 20)))
    page.get_by_role("spinbutton", name="kernel").fill("2")
    says(page, "Rates 2, 2, 2, kernel 2×2: hull 7×7, 4 distinct positions")
    page.get_by_role("spinbutton", name="image").fill("9")
    says(page, "Output unit (8, 8)")
    expect(page.locator("svg text")).to_have_count(9**2 + 2 * 9)
    page.get_by_role("spinbutton", name="image").fill("31")
    expect(page.locator("svg text")).to_have_count(31**2 + 2 * 31)
    says(page, "Output unit (8, 8)")


def test_size_may_come_before_its_unit(page):
    state = build(unit=(20, 20)).state() | {"size": 9}
    code = """(() => {
        const el = document.createElement("div");
        const model = { get: (name) => x[name], on() {} };
        m.default.render({ model, el });
        return el.querySelector("[aria-live]").textContent;
    })()"""
    assert "0 of 729 paths reach the image" in in_javascript(page, DilationGrid, code, state)


@pytest.mark.parametrize("nonsense", ["", "-", "0", "17", "-1", "2.5"])
def test_nonsense_in_a_field_changes_nothing(visit, nonsense):
    page = visit(build())
    says(page, "Rates")
    rate = page.get_by_role("spinbutton", name="rate of layer 2")
    check_nonsense(rate, nonsense, "Integers from 1 to 16.")
    rate.fill("3")
    says(page, "Rates 2, 3, 2,")


def test_unit_by_keyboard(visit):
    page = visit(build())
    for unit in walk(page, 21, 21):
        says(page, f"Output unit {unit}:")
        for part, at in zip((numbers(page)[0:42:2], numbers(page)[1:42:2]), unit, strict=True):
            assert [int(number or 0) for number in part] == true_axis([2, 2, 2], 3, 21, at).tolist()
    says(page, "rows 14 to 20, columns 14 to 20; 16 pixels read, 33 never.")
    inside = int(true_paths([2, 2, 2], 3, 21, (20, 20)).sum())
    says(page, f"{inside} of 729 paths reach the image, {729 - inside} end in padding")


def test_pointer_and_touch(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    box = page.locator("[data-drive=pointer]").bounding_box()
    margin, large = 0.07 * 420 + 2, 1.07 * 420 + 4
    for row, column in [(0, 20), (13, 4)]:
        x, y = ((margin + 20 * at + 10) / large for at in (column, row))
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        says(page, f"Output unit ({row}, {column})")
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    says(page, "Output unit (0, 0)")  # the nearest


def test_two_figures_are_independent(visit):
    page = visit(build(), build(rates=[1]))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "Rates 1, kernel 3×3")
    first.get_by_role("button", name="1, 2, 3").click()
    first.locator("[data-drive=keys]").press("Control+Home")
    says(first, "Rates 1, 2, 3")
    says(first, "Output unit (0, 0)")
    says(second, "Rates 1, kernel 3×3")
    says(second, "Output unit (10, 10)")


def largest() -> list[DilationGrid]:
    """The fullest that there may be, with one, two and three digits."""
    return [
        build(rates=[1, 2, 4], kernel_size=5, size=31),
        build(rates=[1] * 5, kernel_size=5, size=31),
        build(rates=[1, 1, 1], kernel_size=2, size=31),
        build(rates=[16] * 5, size=9),
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    for widget in (build(), *largest()):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "Rates")
        check_layout(page)


@pytest.mark.parametrize("width", [343, 656])  # of a page's text, on a phone and beside two side bars
def test_numbers_are_large_enough_and_stay_in_their_cells(visit, width):
    style = f"<style>main {{ margin: 0 auto; width: {width}px }}</style>"
    for widget in (build(), build(rates=[1, 2, 4]), *largest()):
        page = visit(widget, before=style, viewport={"width": width + 20, "height": 900})
        says(page, "Rates")
        assert page.locator("figure").evaluate("e => e.scrollWidth <= e.clientWidth")
        labels = page.locator("svg.cf-grid text:not(:empty)").evaluate_all("""all => all.map(e => {
            const { left, right, top, bottom } = e.getBoundingClientRect();
            const turned = e.matches(".cfd-upright .cfd-top"); // one line height wide
            const { a, b } = e.getScreenCTM();
            const size = parseFloat(getComputedStyle(e).fontSize) * Math.hypot(a, b);
            return [size, turned, left, right, top + bottom];
        })""")
        assert min(size for size, *_ in labels) >= 11
        frame = page.locator("svg.cf-grid").bounding_box()
        rows = {}
        for _, turned, left, right, height in labels:
            assert frame["x"] - 1 <= left
            assert right <= frame["x"] + frame["width"] + 1
            if not turned:
                rows.setdefault(round(height), []).append((left, right))
        assert all(end <= begin for row in rows.values() for (_, end), (begin, _) in pairwise(sorted(row)))
