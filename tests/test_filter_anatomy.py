import re

import numpy as np
import pytest
from browsing import check_layout, grid_numbers, in_javascript, no_frames, says, walk
from playwright.sync_api import Page, expect

from convlab import kernels, ops
from convlab.figures import FilterAnatomy

IMAGE = np.random.default_rng(3).integers(0, 4, (3, 5, 5))
KERNELS = np.stack([kernels.sobel_x, kernels.laplacian, kernels.identity])
PARTS = [ops.conv2d(IMAGE[c : c + 1].astype(float), KERNELS[None, c : c + 1])[0] for c in range(3)]


def build(**changes) -> FilterAnatomy:
    return FilterAnatomy(**{"image": IMAGE, "kernels": KERNELS, "bias": 1, "caption": "Move it."} | changes)


def random_filters(count: int):
    """Settings of the front end, extremes included: one to four channels, all or no channel active."""
    rng = np.random.default_rng(0)
    for number in range(count):
        channels, kernel_size = int(rng.integers(1, 5)), rng.choice([1, 2, 3, 5], 2)
        size = np.maximum(rng.choice([3, 4, 5, 6], 2), kernel_size)
        yield {
            "image": rng.integers(-9, 10, (channels, *size)).tolist(),
            "kernels": np.round(rng.normal(size=(channels, *kernel_size)) * 5, 2).tolist(),
            "bias": float(np.round(rng.normal() * 5, 2)),
            "active": [[True] * channels, [False] * channels, (rng.random(channels) < 0.5).tolist()][
                number % 3
            ],
        }


# In Python


def test_state_holds_plain_numbers():
    widget = build(bias=np.float64(2))
    assert widget.image == IMAGE.tolist()
    assert widget.kernels == [[[int(number) for number in row] for row in kernel] for kernel in KERNELS]
    assert (widget.bias, widget.unit, widget.active) == (2, [1, 1], [True] * 3)
    assert isinstance(widget.bias, int)


def test_channels_have_names():
    assert build().names == ["red", "green", "blue"]
    assert build(image=IMAGE[:2], kernels=KERNELS[:2]).names == ["channel 0", "channel 1"]
    assert build(names=["a", "b", "c"]).names == ["a", "b", "c"]


def test_arrays_may_be_set_later_and_the_unit_stays_inside():
    widget = build(unit=(2, 2))
    widget.kernels = np.ones((3, 4, 5))
    assert widget.kernels == [[[1] * 5] * 4] * 3
    assert widget.unit == [1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": IMAGE[0]}, r"`image` must have a shape from \(1, 3, 3\) to \(4, 6, 6\), got \(5, 5\)"),
        ({"image": np.zeros((3, 7, 5))}, r"`image` must have a shape .* got \(3, 7, 5\)"),
        ({"image": np.full((3, 5, 5), np.inf)}, "the numbers of `image` must lie from -999 to 999"),
        ({"kernels": KERNELS[:2]}, "`kernels` must have one kernel for each of 3 channels, got 2"),
        ({"kernels": KERNELS * 50}, "the numbers of `kernels` must lie from -99 to 99"),
        ({"kernels": np.zeros((3, 6, 1))}, r"`kernels` must have a shape .* got \(3, 6, 1\)"),
        (
            {"image": IMAGE[:, :3, :4], "kernels": np.zeros((3, 2, 5))},
            "must fit into the image, got 2×5 for 3×4",
        ),
        ({"bias": "1"}, "`bias` must be numbers"),
        ({"bias": [1]}, r"`bias` must have a shape from \(\) to \(\), got \(1,\)"),
        ({"bias": 1000}, "the numbers of `bias` must lie"),
        ({"names": ["a"]}, r"`names` must have an entry for each of 3 channels, got \['a'\]"),
        ({"active": [True]}, "`active` must have an entry for each of 3 channels"),
        ({"unit": (3, 0)}, r"`unit` must be a row and a column of the 3×3 map, got \[3, 0\]"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
    if len(changes) == 1:
        widget = build()
        ((name, value),) = changes.items()
        before = getattr(widget, name)
        with pytest.raises(ValueError, match=message):
            setattr(widget, name, value)
        assert getattr(widget, name) == before


# Its arithmetic, in JavaScript, against Python's


def test_maps_and_their_sum_equal_those_of_the_library(page):
    vectors = list(random_filters(400))
    code = "x.map((s) => [m.mapShape(s), m.intermediate(s), m.output(s, m.intermediate(s))])"
    results = in_javascript(page, FilterAnatomy, code, vectors)
    for settings, (shape, maps, total) in zip(vectors, results, strict=True):
        image, filters = (np.array(settings[name], dtype=float) for name in ("image", "kernels"))
        for c, values in enumerate(maps):
            expected = ops.conv2d(image[c : c + 1], filters[None, c : c + 1])[0]
            assert tuple(shape) == expected.shape
            np.testing.assert_allclose(np.reshape(values, shape), expected, atol=1e-9)
        on = np.array(settings["active"], dtype=float)[:, None, None]
        expected = ops.conv2d(image, (filters * on)[None], [settings["bias"]])[0]
        np.testing.assert_allclose(np.reshape(total, shape), expected, atol=1e-9)


def test_unit_under_the_pointer_has_the_nearest_window(page):
    rng = np.random.default_rng(1)
    vectors = [
        [settings, [int(rng.integers(side)) for side in np.shape(settings["image"])[1:]]]
        for settings in random_filters(250)
    ]
    units = in_javascript(page, FilterAnatomy, "x.map((one) => m.unitAt(...one))", vectors)
    for (settings, cell), unit in zip(vectors, units, strict=True):
        for axis in (0, 1):
            size, window = (np.shape(settings[name])[1 + axis] for name in ("image", "kernels"))
            distance = abs(np.arange(size - window + 1) + (window - 1) / 2 - cell[axis])
            np.testing.assert_allclose(distance[unit[axis]], distance.min())


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ([7, -3, 0, 1], ["7 − 3 + 0 + 1", "= 5"]),
        ([-7, 1 / 3], ["−7 + 0.33", "≈ −6.67"]),
        ([0.1, 0.2], ["0.1 + 0.2", "= 0.3"]),
        ([2.5], ["2.5", "= 2.5"]),
    ],
)
def test_addition_is_written_as_by_hand(page, terms, text):
    assert in_javascript(page, FilterAnatomy, "m.addition(x)", terms) == text


# In a browser


def written(number: float) -> str:
    return f"{number:g}".replace("-", "−")


def numbers(page: Page, where: str) -> list[str]:
    return grid_numbers(page.locator(where))


def total(active=(1, 1, 1)) -> np.ndarray:
    return sum(on * part for on, part in zip(active, PARTS, strict=True)) + 1


def tells(page: Page, unit: tuple[int, int], active=(1, 1, 1)) -> None:
    """The figure tells the partial sums at a unit, the bias and the result."""
    said = [
        f"{name} {written(part[unit]) if on else 'left out'}"
        for name, part, on in zip(("red", "green", "blue"), PARTS, active, strict=True)
    ]
    says(page, f"Unit {unit} of the intermediate maps: {', '.join(said)}. With the bias 1: ")
    says(page, f" = {written(total(active)[unit])}.")


def test_first_view(visit):
    page = visit(build())
    tells(page, (1, 1))
    for c in range(3):
        row = f".cff-channel >> nth={c} >> svg"
        assert numbers(page, f"{row} >> nth=0") == [written(number) for number in IMAGE[c].ravel()]
        assert numbers(page, f"{row} >> nth=1") == [written(number) for number in KERNELS[c].ravel()]
        assert numbers(page, f"{row} >> nth=2") == [written(number) for number in PARTS[c].ravel()]
    assert numbers(page, ".cff-stage svg") == [written(number) for number in total().ravel()]
    assert page.locator(".cf-title b").all_text_contents() == ["5×5", "3×3", "3×3", "3×3"]
    expect(page.locator("figcaption")).to_have_text("Move it.")


def test_keyboard_moves_all_windows_together(visit):
    page = visit(build())
    for unit in walk(page, 3, 3):
        tells(page, unit)
        places = page.locator(".cf-frame:not(.cf-kernel)").evaluate_all(
            "all => all.map((one) => ['y', 'x'].map((name) => one.getAttribute(name) / 20))"
        )
        assert places == [list(unit)] * 7  # three windows, three units of maps, one of the output


def test_channels_are_switched_off_by_keyboard_and_by_pointer(visit):
    page = visit(build())
    page.get_by_label("green").press("Space")
    tells(page, (1, 1), (1, 0, 1))
    assert numbers(page, ".cff-stage svg") == [written(number) for number in total((1, 0, 1)).ravel()]
    assert page.locator(".cff-channel.cff-off").count() == 1
    with no_frames(page):
        page.get_by_label("red").click()
        page.get_by_text("blue", exact=True).click()
    tells(page, (1, 1), (0, 0, 0))
    assert numbers(page, ".cff-stage svg") == ["1"] * 9  # the bias alone
    page.get_by_label("green").press("Space")
    tells(page, (1, 1), (0, 1, 0))


def test_pointer_on_every_map(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1100})
    tells(page, (1, 1))
    for which, side, cell, unit in [
        (".cff-channel:nth-child(2) svg >> nth=0", 5, (0, 4), (0, 2)),
        (".cff-channel:nth-child(4) svg >> nth=0", 5, (3, 1), (2, 0)),
        (".cff-channel:nth-child(3) svg >> nth=2", 3, (1, 2), (1, 2)),
        (".cff-stage svg", 3, (2, 1), (2, 1)),
    ]:
        box = page.locator(which).bounding_box()
        length = box["width"] / (side * 20 + 4)
        x, y = (box[key] + (2 + (cell[i] + 0.5) * 20) * length for key, i in (("x", 1), ("y", 0)))
        page.mouse.move(x, y)
        tells(page, unit)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    page = visit(build(active=(True, False, True)), theme=theme, viewport={"width": width, "height": 900})
    says(page, "Unit")
    check_layout(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_channel_kernel_and_map_stand_in_a_row(visit, width):
    page = visit(build(), viewport={"width": width, "height": 900})
    says(page, "Unit")
    boxes = page.locator(".cff-channel svg").evaluate_all(
        """all => all.map((one) => one.getBoundingClientRect())
            .map((box) => [box.left, box.right, (box.top + box.bottom) / 2])"""
    )
    for c in range(3):
        channel, kernel, part = boxes[3 * c : 3 * c + 3]
        assert channel[1] <= kernel[0] < kernel[1] <= part[0]
        np.testing.assert_allclose([kernel[2], part[2]], channel[2], atol=1)
    widths = [right - left for left, right, _ in boxes]
    np.testing.assert_allclose(np.divide(widths[:3], [5.2, 3.2, 3.2]), widths[0] / 5.2, rtol=0.02)


@pytest.mark.parametrize("width", [1280, 390])
def test_text_is_large_enough(visit, width):
    large = build(image=np.full((4, 6, 6), -99), kernels=np.ones((4, 2, 2)) / 4)
    page = visit(build(), large, viewport={"width": width, "height": 900})
    for figure, least in zip(page.locator("[data-convlab-figure]").all(), (11, 9.4), strict=True):
        figure.scroll_into_view_if_needed()
        says(figure, "Unit")
        sizes = figure.locator("svg tspan, p, label").evaluate_all(
            """all => all.map((one) => parseFloat(getComputedStyle(one).fontSize)
                * (one.ownerSVGElement?.getScreenCTM().a ?? 1))"""
        )
        assert min(sizes) > least


def test_two_figures_are_independent(visit):
    page = visit(build(), build(bias=2))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in (0, 1))
    second.scroll_into_view_if_needed()
    says(second, "With the bias 2")
    first.get_by_label("red").uncheck()
    first.locator("[data-drive=keys]").press("Control+Home")
    says(first, "Unit (0, 0) of the intermediate maps: red left out")
    says(second, f"Unit (1, 1) of the intermediate maps: red {written(PARTS[0][1, 1])}")
    expect(second.get_by_label("red")).to_be_checked()


def test_a_name_is_only_text(visit):
    page = visit(build(names=["<b>x</b>", "&amp;", "c"]))
    says(page, "<b>x</b> ")
    assert page.locator(".cff-channel span").all_text_contents() == ["<b>x</b>", "&amp;", "c"]


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    other = build(image=IMAGE[:1], kernels=KERNELS[:1])
    assert state.sub("", build().html()) == state.sub("", other.html())
