import json
import re

import numpy as np
import pytest
from browsing import check_layout, grid_numbers, in_javascript, no_frames, says, walk
from playwright.sync_api import Page, expect

from convlab import kernels, ops
from convlab.figures import ConvolutionStepper

IMAGE = [[0, 0, 1, 3, 3], [0, 1, 2, 3, 3], [0, 1, 3, 3, 2], [1, 2, 3, 3, 1], [1, 3, 3, 2, 0]]


def build(**changes) -> ConvolutionStepper:
    return ConvolutionStepper(**{"image": IMAGE, "kernel": kernels.sobel_x, "caption": "Move it."} | changes)


def true_output(image, kernel, *, stride=1, padding=0, flip=False) -> np.ndarray:
    """What the library makes of it, (rows, columns)."""
    image, kernel = (np.asarray(array, dtype=float)[None] for array in (image, kernel))
    operation = ops.convolve2d if flip else ops.conv2d
    return operation(image, kernel[None], stride=stride, padding=padding)[0]


def random_settings(count: int):
    """Yield legal settings, the smallest and the largest among them, with a unit of their output."""
    rng = np.random.default_rng(0)
    while count:
        image = rng.integers(-9, 10, rng.choice([1, 2, 3, 5, 8], 2))
        kernel = np.round(rng.normal(size=rng.choice([1, 2, 3, 5], 2)) * 5, 2)
        stride, padding, flip = int(rng.integers(1, 4)), int(rng.integers(3)), bool(rng.integers(2))
        if any(k > n + 2 * padding for n, k in zip(image.shape, kernel.shape, strict=True)):
            continue
        count -= 1
        given = {"image": image.tolist(), "kernel": kernel.tolist()}
        settings = given | {"stride": stride, "padding": padding, "flip": flip}
        shape = true_output(**settings).shape
        yield settings, [int(rng.integers(side)) for side in shape]


# In Python


def test_state_holds_plain_numbers():
    widget = build(kernel=np.array([[0.5, 1.0]]), image=np.arange(25, dtype=np.uint8).reshape(5, 5))
    assert json.dumps(widget.kernel) == "[[0.5, 1]]"
    assert widget.image[4] == [20, 21, 22, 23, 24]
    assert widget.unit == [2, 2]  # of 5×4: in the middle
    assert widget.presets[0] == ["as given", [[0.5, 1]]]


def test_a_named_kernel_is_found_among_the_presets():
    presets = dict(build().presets)
    assert "as given" not in presets
    np.testing.assert_array_equal(presets["Sobel x"], kernels.sobel_x)


def test_arrays_may_be_set_later_and_the_unit_stays_inside():
    widget = build(unit=(2, 2))
    widget.kernel = np.ones((4, 5))
    assert widget.kernel == [[1] * 5] * 4
    assert widget.unit == [1, 0]
    widget.padding = 2
    widget.unit = (5, 4)
    widget.stride = 3
    assert widget.unit == [1, 1]


def test_several_traits_may_change_at_once():
    widget = build(unit=(0, 0))
    widget.set_state({"padding": 2, "unit": [6, 6]})  # as the front end does
    assert widget.unit == [6, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": [1, 2]}, r"`image` must have a shape from \(1, 1\) to \(8, 8\), got \(2,\)"),
        (
            {"image": np.zeros((3, 9))},
            r"a shape from \(1, 1\) to \(8, 8\), got \(3, 9\)",
        ),
        ({"image": [[1, 2], [3]]}, "`image` must be numbers, in rows of one length"),
        ({"image": [["1"]]}, "`image` must be numbers"),
        ({"image": [[np.nan] * 3] * 3}, "the numbers of `image` must lie from -999 to 999"),
        ({"kernel": np.zeros((6, 1))}, r"`kernel` must have a shape from \(1, 1\) to \(5, 5\), got \(6, 1\)"),
        ({"kernel": [[100]]}, "the numbers of `kernel` must lie from -99 to 99"),
        ({"kernel": np.zeros((0, 0))}, r"`kernel` must have a shape .* got \(0, 0\)"),
        (
            {"image": [[1]], "padding": 0},
            "`kernel` must fit into the padded image, got 3×3 for 1×1 with padding 0",
        ),
        ({"stride": 0}, "`stride` must be one of 1, 2, 3, got 0"),
        ({"stride": True}, "`stride` must be one of 1, 2, 3, got True"),
        ({"padding": 3}, "`padding` must be one of 0, 1, 2, got 3"),
        ({"padding": 0.5}, "`padding` must be one of 0, 1, 2, got 0.5"),
        ({"unit": (3, 0)}, r"`unit` must be a row and a column of the 3×3 map, got \[3, 0\]"),
        ({"unit": (0, -1)}, "`unit` must be a row and a column"),
        ({"unit": (0,)}, "`unit` must be a row and a column"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
    if set(changes) != {"image", "padding"}:
        widget = build()
        ((name, value),) = changes.items()
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=message):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


def test_kernel_must_fit_later_too():
    widget = build(kernel=np.ones((5, 5)), image=np.ones((3, 3)), padding=1)
    with pytest.raises(ValueError, match="`kernel` must fit into the padded image, got 5×5 for 3×3"):
        widget.padding = 0
    assert widget.padding == 1


# Its arithmetic, in JavaScript, against Python's


def test_output_equals_that_of_the_library(page):
    vectors = list(random_settings(400))
    code = (
        "x.map(([s, unit]) => [m.outputShape(s), m.convolve(s), m.products(s, unit).map((t) => t.product)])"
    )
    for (settings, unit), (shape, values, products) in zip(
        vectors, in_javascript(page, ConvolutionStepper, code, vectors), strict=True
    ):
        expected = true_output(**settings)
        assert tuple(shape) == expected.shape
        np.testing.assert_allclose(np.reshape(values, shape), expected, atol=1e-9)
        np.testing.assert_allclose(sum(products), expected[tuple(unit)], atol=1e-9)
        assert len(products) == np.size(settings["kernel"])


def test_random_settings_reach_the_extremes():
    settings = [one for one, _ in random_settings(400)]
    seen = {(s["stride"], s["padding"], s["flip"]) for s in settings}
    assert len(seen) == 3 * 3 * 2
    assert {np.shape(s["image"]) for s in settings} > {(1, 1), (8, 8)}
    assert {np.shape(s["kernel"]) for s in settings} > {(1, 1), (5, 5)}


def test_unit_under_the_pointer_has_the_nearest_window(page):
    rng = np.random.default_rng(1)
    vectors = [
        [
            settings,
            [int(rng.integers(side + 2 * settings["padding"])) for side in np.shape(settings["image"])],
        ]
        for settings, _ in random_settings(250)
    ]
    units = in_javascript(page, ConvolutionStepper, "x.map((one) => m.unitAt(...one))", vectors)
    for (settings, cell), unit in zip(vectors, units, strict=True):
        shape = true_output(**settings).shape
        for axis in (0, 1):
            centres = (
                np.arange(shape[axis]) * settings["stride"] + (np.shape(settings["kernel"])[axis] - 1) / 2
            )
            distance = abs(centres - cell[axis])
            np.testing.assert_allclose(distance[unit[axis]], distance.min())


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "= 3"), (1 / 3, "≈ 0.33"), (0.1 * 3, "= 0.3"), (-0.004, "≈ 0"), (-1.25, "= −1.25")],
)
def test_rounded_numbers_are_called_so(page, value, text):
    assert in_javascript(page, ConvolutionStepper, "m.equals(x)", value) == text


# In a browser


def shown(values) -> list[str]:
    """Whole numbers as the figure writes them."""
    return [f"{value:g}".replace("-", "−") for value in np.ravel(values)]


def output(page: Page) -> list[str]:
    return grid_numbers(page.locator(".cfs-output svg"))


def test_first_view(visit):
    page = visit(build())
    says(page, "Output unit (1, 1): the kernel begins at row 1, column 1 of the input.")
    says(page, "1·(−1) + 2·0 + 3·1 + 1·(−2) + 3·0 + 3·2 + 2·(−1) + 3·0 + 3·1 = 7.")
    assert output(page) == ["8", "9", "3", "10", "7", "", "", "", ""]
    expect(page.locator(".cfs-products")).to_contain_text("sum = 7")
    assert page.locator(".cfs-products .cfs-formula").all_text_contents()[:2] == ["1 · −1", "2 · 0"]
    expect(page.locator("figcaption")).to_have_text("Move it.")
    assert page.locator("select").evaluate_all("all => all.map((one) => one.value)") == ["Sobel x", "1", "0"]
    assert page.locator("option[value=edited]").is_hidden()


def test_keyboard(visit):
    page = visit(build(unit=(0, 0)))
    visited = set()
    for unit in walk(page, 3, 3):
        visited.add(3 * unit[0] + unit[1])
        says(page, f"Output unit {unit}:")
    values = shown(true_output(IMAGE, kernels.sobel_x))
    assert output(page) == [value if i in visited else "" for i, value in enumerate(values)]
    assert len(visited) < 9
    page.keyboard.press("Tab")  # to the weights
    expect(page.get_by_label("weight in row 0, column 0")).to_be_focused()


def test_buttons(visit):
    page = visit(build())
    following, again = page.get_by_role("button", name="Next"), page.get_by_role("button", name="Start again")
    everything = page.get_by_label("Show all of the output")
    whole = shown(true_output(IMAGE, kernels.sobel_x))
    everything.press("Space")
    says(page, "Output unit (1, 1)")
    expect(page.locator(".cfs-output svg tspan").last).to_have_text(whole[-1])
    assert output(page) == whole
    again.press("Enter")
    says(page, "Output unit (0, 0)")
    assert output(page) == [whole[0], *[""] * 8]
    expect(everything).not_to_be_checked()
    again.click()  # a second time
    assert output(page) == [whole[0], *[""] * 8]
    for number in range(1, 9):
        following.press("Enter")
        says(page, f"Output unit ({number // 3}, {number % 3})")
    assert output(page) == whole
    following.click()
    says(page, "Output unit (0, 0)")
    again.click()
    with no_frames(page):
        following.dblclick()
    says(page, "Output unit (0, 2)")
    assert output(page) == [*whole[:3], *[""] * 6]


def test_weights_may_be_edited(visit):
    page = visit(build())
    field = page.get_by_label("weight in row 2, column 2")
    field.fill("-4.5")
    says(page, "3·0 + 3·(−4.5) = −9.5")
    assert output(page)[4] == "−9.5"
    assert page.locator("select[name=kernel]").input_value() == "edited"
    page.locator("select[name=kernel]").select_option("box")
    says(page, "3·0.11 + 3·0.11 ≈ 2.33")
    expect(field).to_have_value("0.11")
    field.press("ArrowUp")
    says(page, "3·1.11")


@pytest.mark.parametrize(
    ("nonsense", "kept"), [("", "1"), ("-", "1"), ("e", "1"), ("100", "10"), ("-99.01", "-99")]
)
def test_nonsense_keeps_the_last_weight(visit, nonsense, kept):
    page = visit(build())
    field = page.get_by_label("weight in row 0, column 2")
    field.select_text()
    page.keyboard.press("Delete")
    page.keyboard.type(nonsense)
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("A weight is a number from −99 to 99; the last one is kept.")
    page.keyboard.press("Tab")
    expect(field).to_have_value(kept)
    field.fill("2")
    expect(alert).to_have_text("")
    says(page, "3·2 +")


def test_stride_padding_and_flip(visit):
    page = visit(build(kernel=[[1, 2], [3, 4]], unit=(0, 0)))
    says(page, "0·1 + 0·2 + 0·3 + 1·4 = 4.")
    page.get_by_label("Flip the kernel").check()
    says(page, "the turned kernel begins at row 0, column 0 of the input. 0·4 + 0·3 + 0·2 + 1·1 = 1.")
    page.get_by_label("Show all of the output").check()
    page.locator("select[name=padding]").select_option("1")
    says(page, "row −1,")
    page.locator("select[name=stride]").select_option("3")
    expect(page.locator(".cfs-output .cf-title")).to_have_text("output 2×2")
    expected = true_output(IMAGE, [[1, 2], [3, 4]], stride=3, padding=1, flip=True)
    assert output(page) == shown(expected)
    padding = page.locator(".cfs-padding").get_attribute("d")
    assert padding.count("M") == 7 * 7 - 5 * 5


def test_unit_stays_inside_when_the_output_shrinks(visit):
    page = visit(build(unit=(2, 2)))
    says(page, "Output unit (2, 2)")
    page.locator("select[name=stride]").select_option("3")
    says(page, "Output unit (0, 0)")
    page.locator("[data-drive=keys]").first.press("ArrowRight")
    assert output(page) == ["8"]


def test_what_does_not_fit_cannot_be_chosen(visit):
    page = visit(build(image=[[1, 2, 3]], kernel=[[1, 1]], padding=0))
    says(page, "Output unit")
    disabled = page.locator("option:disabled").evaluate_all("all => all.map((one) => one.value)")
    assert disabled == ["identity", "box", "Sobel x", "Sobel y", "Laplacian", "sharpen"]
    page.locator("select[name=padding]").select_option("1")
    says(page, "row −1,")
    page.locator("select[name=kernel]").select_option("box")
    expect(page.locator("select[name=padding] option:disabled")).to_have_text("0")


def test_pointer_on_input_and_output(visit):
    page = visit(build(), viewport={"width": 1280, "height": 900})
    says(page, "(1, 1)")
    for which, side, cell, unit in [
        ("input", 5, (0, 4), (0, 2)),
        ("input", 5, (3, 1), (2, 0)),
        ("output", 3, (1, 2), (1, 2)),
    ]:
        box = page.locator(f".cfs-{which} svg").bounding_box()
        unit_length = box["width"] / (side * 20 + 4)
        x, y = (box[key] + (2 + (cell[i] + 0.5) * 20) * unit_length for key, i in (("x", 1), ("y", 0)))
        page.mouse.move(x, y)
        says(page, f"Output unit {unit}:")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    page = visit(build(padding=1), theme=theme, viewport={"width": width, "height": 900})
    says(page, "Output")
    check_layout(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_text_is_large_enough_at_every_size(visit, width):
    large = build(image=np.full((8, 8), -250), kernel=np.full((5, 5), 1.5), padding=2, complete=True)
    page = visit(build(), large, viewport={"width": width, "height": 900})
    for figure in page.locator("[data-convlab-figure]").all():
        figure.scroll_into_view_if_needed()
        says(figure, "Output")
        sizes = figure.locator("svg tspan, .cfs-formula, input, p, label, select").evaluate_all(
            """all => all.map((one) => parseFloat(getComputedStyle(one).fontSize)
                * (one.ownerSVGElement?.getScreenCTM().a ?? 1))"""
        )
        assert min(sizes) > 10.9
        beyond = figure.locator("svg tspan, .cfs-formula").evaluate_all(
            "all => all.filter((one) => one.getComputedTextLength() > 20).map((one) => one.textContent)"
        )
        assert beyond == []


def test_two_figures_are_independent(visit):
    page = visit(build(), build(kernel=kernels.laplacian))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in (0, 1))
    second.scroll_into_view_if_needed()
    before = f"= {shown(true_output(IMAGE, kernels.laplacian)[1, 1])[0]}."
    says(second, before)
    first.locator("[name=stride]").select_option("2")
    first.get_by_label("weight in row 0, column 0").fill("9")
    says(first, "3·9 +")
    says(second, before)
    assert second.locator("[name=stride]").input_value() == "1"


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    other = build(kernel=[[1]], padding=2, caption="Move it.")
    assert state.sub("", build().html()) == state.sub("", other.html())
