import json
import re

import numpy as np
import pytest
from browsing import check_layout, check_nonsense, check_refusal, grid_numbers, in_javascript, says, walk
from playwright.sync_api import expect

from convlab import ops
from convlab.figures import PoolingExplorer
from convlab.figures.pooling_explorer import MODES
from convlab.shapes import coverage

IMAGE = [
    [0, 0, 3, 5, 1, 0, 0, 2],
    [0, 7, 9, 4, 4, 0, 1, 0],
    [1, 2, 8, 8, 6, 2, 0, 0],
    [0, 3, 8, 0, 5, 7, 2, 0],
    [0, 0, 1, 6, 9, 9, 3, 1],
    [2, 0, 0, 4, 9, 2, 0, 0],
    [0, 1, 0, 0, 3, 0, 5, 0],
    [0, 0, 0, 0, 0, 4, 0, 6],
]


def build(**changes) -> PoolingExplorer:
    return PoolingExplorer(**{"image": IMAGE, "unit": (1, 1), "caption": "Shift it."} | changes)


def true_shifted(image, shift) -> np.ndarray:
    """The image moved within a frame of zeros."""
    wide = np.pad(image, 3)
    rows, columns = np.shape(image)
    return wide[3 - shift[0] :, 3 - shift[1] :][:rows, :columns]


def true_map(image, kernel, stride, mode) -> np.ndarray:
    operation = {"max": ops.max_pool2d, "average": ops.avg_pool2d, "sum": ops.sum_pool2d}[mode]
    return operation(np.asarray(image)[None], kernel, stride=stride)[0]


def true_unpooled(image, kernel, stride, mode) -> np.ndarray:
    """Maxima at their switches; else each average all over its window, divided by the windows at a place."""
    image = np.asarray(image)[None]
    if mode == "max":
        values, switches = ops.max_pool2d(image, kernel, stride=stride, return_indices=True)
        return ops.max_unpool2d(values, switches, kernel, stride=stride, output_size=image.shape[-2:])[0]
    means = ops.avg_pool2d(image, kernel, stride=stride)
    window = np.ones((1, 1, kernel, kernel))
    spread, count = (ops.conv_transpose2d(y, window, stride=stride)[0] for y in (means, np.ones_like(means)))
    whole = np.zeros(image.shape[-2:])
    whole[: spread.shape[0], : spread.shape[1]] = spread / np.maximum(count, 1)
    return whole


def random_settings(count: int):
    """Legal [image, kernel, stride, mode, shift], most images with ties."""
    rng = np.random.default_rng(0)
    for number in range(count):
        low, high = [(-9, 99), (0, 2), (-3, 0), (5, 5)][number % 4]
        image = rng.integers(low, high, rng.choice([2, 3, 5, 8, 9, 12], 2), endpoint=True)
        kernel, stride = int(rng.integers(1, min(6, *image.shape) + 1)), int(rng.integers(1, 7))
        yield [image.tolist(), kernel, stride, str(rng.choice(MODES)), rng.integers(-3, 4, 2).tolist()]


# In Python


def test_state_holds_plain_numbers():
    widget = PoolingExplorer(
        np.arange(64, dtype=np.uint8).reshape(8, 8), kernel_size=np.int64(3), shift=(0, -1)
    )
    state = widget.state()
    assert json.loads(json.dumps(state)) == state
    assert state.keys() == {"caption", "image", "kernel_size", "stride", "mode", "shift", "unit"}
    assert (state["kernel_size"], state["stride"], state["mode"], state["shift"]) == (3, 3, "max", [0, -1])
    assert state["unit"] == [0, 0]  # of 2×2
    assert PoolingExplorer(np.zeros((9, 12), int)).unit == [1, 2]  # of 4×6


def test_unit_stays_inside_when_the_output_shrinks():
    widget = build(unit=(3, 3))
    widget.kernel_size = 5
    assert widget.unit == [1, 1]
    widget.stride = 4
    assert widget.unit == [0, 0]
    widget.stride = 1
    widget.unit = (3, 2)
    widget.image = np.ones((6, 12), int)
    assert widget.unit == [1, 2]


def test_several_traits_may_change_at_once():
    widget = build(unit=(0, 0))
    widget.set_state({"stride": 1, "unit": [6, 6], "shift": [3, 0], "mode": "sum"})  # as the front end does
    assert (widget.stride, widget.unit, widget.shift, widget.mode) == (1, [6, 6], [3, 0], "sum")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": [1, 2]}, r"`image` must be 2 to 12 rows of 2 to 12 columns, got shape \(2,\)"),
        ({"image": np.zeros((13, 12), int)}, r"2 to 12 columns, got shape \(13, 12\)"),
        ({"image": np.zeros((1, 5), int)}, r"got shape \(1, 5\)"),
        ({"image": [[1, 2], [3]]}, "`image` must be 2 to 12 rows"),
        ({"image": np.full((8, 8), 0.5)}, "`image` must hold integers, got float64"),
        ({"image": np.full((8, 8), True)}, "`image` must hold integers, got bool"),
        ({"image": np.full((8, 8), 100)}, "`image` must hold integers from -9 to 99, got 100"),
        ({"image": np.full((8, 8), -10)}, "`image` must hold integers from -9 to 99, got -10"),
        ({"kernel_size": 0}, "`kernel_size` must be at least 1, got 0"),
        ({"kernel_size": 7}, "`kernel_size` must be at most 6, got 7"),
        ({"kernel_size": 2.0}, r"`kernel_size` must be an integer, got 2\.0"),
        ({"stride": 7}, "`stride` must be at most 6, got 7"),
        ({"stride": "2"}, "`stride` must be an integer, got '2'"),
        ({"mode": "mean"}, "`mode` must be one of 'max', 'average', 'sum', got 'mean'"),
        ({"shift": [4, 0]}, "`shift` must be at most 3, got 4"),
        ({"shift": [0, -4]}, "`shift` must be at least -3, got -4"),
        ({"shift": 1}, r"`shift` must be \[row, column\], got 1"),
        ({"shift": "01"}, r"`shift` must be \[row, column\], got '01'"),
        ({"unit": (4, 0)}, r"`unit` must lie within the 4×4 output, got \[4, 0\]"),
        ({"unit": (0, -1)}, "`unit` must be at least 0, got -1"),
        ({"unit": (0, 0, 0)}, r"`unit` must be \[row, column\]"),
    ],
)
def test_bad_input(changes, message):
    check_refusal(build, changes, message)


def test_kernel_must_fit_the_image():
    with pytest.raises(ValueError, match="`kernel_size` must be at most 3, got 4"):
        PoolingExplorer(np.zeros((3, 9), int), kernel_size=4)
    widget = build(kernel_size=4)
    with pytest.raises(ValueError, match="`kernel_size` must be at most 3, got 4"):
        widget.image = np.zeros((3, 9), int)


def test_same_figure_gives_the_same_bytes():
    assert build().html() == build().html()
    assert build(shift=[0, 1]).html() != build().html()


# Its arithmetic, in JavaScript, against the library's


def test_pooling_and_unpooling_equal_the_librarys(page):
    vectors = list(random_settings(400))
    assert {mode for *_, mode, _ in vectors} == set(MODES)
    assert (
        {kernel for _, kernel, *_ in vectors} == {stride for _, _, stride, *_ in vectors} == set(range(1, 7))
    )
    code = """x.map(([image, kernel, stride, mode, shift]) => {
        const moved = m.shifted(image, shift);
        const pooled = m.pool(moved, kernel, stride, mode);
        return [moved, pooled, m.unpool(pooled, moved.flat().length, mode)];
    })"""
    ties = 0
    for (image, kernel, stride, mode, shift), (moved, pooled, back) in zip(
        vectors, in_javascript(page, PoolingExplorer, code, vectors), strict=True
    ):
        expected = true_shifted(image, shift)
        np.testing.assert_array_equal(moved, expected)
        values = true_map(expected, kernel, stride, mode)
        assert tuple(pooled["shape"]) == values.shape
        np.testing.assert_allclose(np.reshape(pooled["values"], values.shape), values, rtol=1e-12)
        np.testing.assert_allclose(
            np.reshape(back, expected.shape), true_unpooled(expected, kernel, stride, mode), atol=1e-12
        )
        windows = [expected.ravel()[window] for window in pooled["windows"]]
        assert {window.size for window in windows} == {kernel**2}
        if mode == "max":
            switches = ops.max_pool2d(expected[None], kernel, stride=stride, return_indices=True)[1]
            np.testing.assert_array_equal(pooled["switches"], switches.ravel())
            ties += any((window == window.max()).sum() > 1 for window in windows)
        else:
            assert pooled["switches"] == []
    assert ties > 50


# In a browser


def told(page) -> dict[str, int]:
    """What the text says about the comparison."""
    text = page.locator("[aria-live]").inner_text()
    found = re.search(r"(\d+) of (\d+) output cells \((\d+) %\) as without shift, (\d+) of them 0\.", text)
    return dict(zip(("same", "all", "percent", "zeros"), map(int, found.groups()), strict=True))


def numbers(page, index: int) -> list[str]:
    """The numbers of the input, the output, or the map put back."""
    return grid_numbers(page.locator("svg.cf-grid").nth(index))


def marks(page, name: str) -> int:
    """How many marks a path has."""
    path = page.locator(f".cfp-{name}").first.get_attribute("d")
    return len(re.findall("M", path))


def test_first_view(visit):
    page = visit(build())
    says(page, "max pooling 2×2, stride 2: 8×8 → 4×4; 0 input cells in no window.")
    says(page, "Output (1, 1): max(8, 8, 8, 0) = 8, from input (2, 2), the first of 3 equal ones: ")
    says(page, "switch 2·8 + 2 = 18. Shifted 0 down, 0 right: 16 of 16 output cells (100 %)")
    expect(page.locator("figcaption")).to_have_text("Shift it.")
    assert numbers(page, 0) == [str(value) for row in IMAGE for value in row]
    assert numbers(page, 1) == [str(value) for value in true_map(IMAGE, 2, 2, "max").ravel()]
    assert numbers(page, 2) == [str(value) for value in true_unpooled(IMAGE, 2, 2, "max").ravel()]
    assert (marks(page, "dot"), marks(page, "tick"), marks(page, "unread")) == (16, 16, 0)


@pytest.mark.parametrize("mode", MODES)
def test_comparison_is_that_of_the_library(visit, mode):
    for shift in ([0, 1], [-2, 3], [2, 0]):
        page = visit(build(kernel_size=3, stride=2, mode=mode, shift=shift, unit=(0, 0)))
        says(page, f"Shifted {shift[0]} down, {shift[1]} right".replace("-", "−"))
        now, before = (true_map(image, 3, 2, mode) for image in (true_shifted(IMAGE, shift), IMAGE))
        same = now == before
        wanted = {
            "same": same.sum(),
            "all": 9,
            "percent": round(100 * same.mean()),
            "zeros": (same & (now == 0)).sum(),
        }
        assert told(page) == wanted
        assert marks(page, "tick") == wanted["same"]


def test_dropped_cells_are_told_and_marked(visit):
    page = visit(build(kernel_size=3, stride=2))
    read = coverage(8, 3, stride=2) > 0
    says(page, f"8×8 → 3×3; {(~read).sum()} input cells in no window")
    assert marks(page, "unread") == (~read).sum() == 15
    expect(page.get_by_text("in no window", exact=False).first).to_be_visible()


def test_window_and_switch_are_outlined(visit):
    page = visit(build(kernel_size=3, stride=2))
    says(page, "Output (1, 1)")
    boxes = [
        [float(frame.get_attribute(name)) / 20 for name in ("y", "x", "height", "width")]
        for frame in page.locator(".cf-frame").all()
    ]
    assert boxes == [[2, 2, 3, 3], [4, 4, 1, 1], [1, 1, 1, 1], [2, 2, 3, 3], [4, 4, 1, 1]]
    page.get_by_role("radio", name="sum").check()
    expect(page.locator(".cf-frame")).to_have_count(3)


def test_average_and_sum(visit):
    page = visit(build(mode="average", image=np.array(IMAGE) - 4))
    says(page, "Output (1, 1): (4 + 4 + 4 − 4) / 4 = 2. ")
    assert marks(page, "dot") == marks(page, "place") == 0
    expect(page.get_by_text("spread evenly over the window")).to_be_visible()
    expect(page.get_by_text("maxima at their switches")).to_be_hidden()
    page.get_by_role("radio", name="sum").check()
    says(page, "sum pooling 2×2")
    says(page, "Output (1, 1): 4 + 4 + 4 − 4 = 8. ")
    page.get_by_label("kernel").fill("3")
    page.get_by_role("radio", name="average").check()
    says(page, "≈ ")
    text = page.locator("[aria-live]").inner_text()
    value = float(re.search(r"/ 9 ≈ (−?[\d.]+)\.", text)[1].replace("−", "-"))
    assert value == pytest.approx(true_map(np.array(IMAGE) - 4, 3, 2, "average")[1, 1], abs=0.005)


def test_output_by_keyboard(visit):
    page = visit(build())
    for unit in walk(page, 4, 4):
        says(page, f"Output {unit}:")


def test_shift_by_keys_buttons_and_fields(visit):
    page = visit(build())
    page.get_by_label("Arrow keys shift the input").focus()
    for key, shift in [
        ("ArrowRight", "0 down, 1 right"),
        ("ArrowDown", "1 down, 1 right"),
        ("Home", "1 down, −3 right"),
        ("ArrowLeft", "1 down, −3 right"),
    ]:
        page.keyboard.press(key)
        says(page, f"Shifted {shift}:")
    for name, shift in [
        ("Up", "0 down, −3"),
        ("Down", "1 down, −3"),
        ("Left", "1 down, −3"),
        ("Right", "1 down, −2"),
    ]:
        page.get_by_role("button", name=name).press("Enter")
        says(page, f"Shifted {shift} right:")
    down, right = page.get_by_role("spinbutton", name="down"), page.get_by_role("spinbutton", name="right")
    expect(right).to_have_value("-2")
    right.press("ArrowUp")
    down.fill("3")
    says(page, "Shifted 3 down, −1 right:")
    assert numbers(page, 0) == [str(value) for value in true_shifted(IMAGE, (3, -1)).ravel()]
    says(page, "Output (1, 1):")  # the unit stays


def test_window_by_fields(visit):
    page = visit(build(unit=(3, 3)))
    kernel, stride = (page.get_by_role("spinbutton", name=name) for name in ("kernel", "stride"))
    kernel.focus()
    page.keyboard.press("ArrowUp")
    says(page, "max pooling 3×3, stride 2: 8×8 → 3×3")
    says(page, "Output (2, 2):")
    stride.fill("1")
    says(page, "3×3, stride 1: 8×8 → 6×6")
    small = visit(PoolingExplorer(np.ones((3, 9), int), kernel_size=3))
    expect(small.get_by_role("spinbutton", name="kernel")).to_have_attribute("max", "3")


@pytest.mark.parametrize("nonsense", ["", "-", "9", "-1", "2.5", "99"])
def test_nonsense_in_a_field_changes_nothing(visit, nonsense):
    page = visit(build())
    says(page, "stride 2")
    stride = page.get_by_role("spinbutton", name="stride")
    check_nonsense(stride, nonsense, "Integers from 1 to 6.")
    stride.fill("3")
    says(page, "stride 3")


def test_pointer_and_touch(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    grids = page.locator("[data-drive=pointer]")

    def place(index: int, row: int, column: int, cells: int) -> tuple[float, float]:
        box = grids.nth(index).bounding_box()
        part = [(2 + 20 * at + 10) / (20 * cells + 4) for at in (column, row)]
        return box["x"] + part[0] * box["width"], box["y"] + part[1] * box["height"]

    page.mouse.move(*place(1, 0, 3, 4))
    says(page, "Output (0, 3):")
    page.mouse.move(*place(0, 5, 2, 8))
    says(page, "Output (2, 1):")
    page.mouse.move(*place(2, 7, 7, 8))
    says(page, "Output (3, 3):")
    page.get_by_role("spinbutton", name="kernel").fill("5")
    page.mouse.move(*place(0, 7, 3, 8))
    says(page, "Output (1, 1):")  # of 2×2: the nearest that there is


def test_two_figures_are_independent(visit):
    page = visit(build(), build(mode="sum"))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "sum pooling")
    first.get_by_role("radio", name="average").check()
    first.get_by_role("button", name="Down").click()
    says(first, "average pooling")
    says(first, "Shifted 1 down")
    says(second, "sum pooling")
    says(second, "Shifted 0 down")
    expect(second.get_by_role("radio", name="sum")).to_be_checked()


def widest() -> PoolingExplorer:
    """The largest figure that there may be, with long numbers."""
    image = np.random.default_rng(0).integers(-9, 99, (12, 12), endpoint=True)
    return build(image=image, kernel_size=3, stride=1, mode="average", shift=[1, -1])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    for widget in (build(shift=[0, 1]), widest()):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "pooling")
        check_layout(page)


def test_numbers_are_large_enough_on_a_phone_and_stay_in_their_cells(visit):
    page = visit(
        widest(), before="<style>main { width: 343px }</style>", viewport={"width": 390, "height": 900}
    )
    says(page, "pooling")
    sizes = page.locator("svg.cf-grid tspan").evaluate_all("""all => all.map(e => [
        parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a,
        e.getBoundingClientRect().width, 20 * e.getScreenCTM().a])""")
    assert len(sizes) == 144 + 100 + 144
    assert min(size for size, _, _ in sizes) >= 11
    assert all(wide <= cell for _, wide, cell in sizes)
