import json
import re

import numpy as np
import pytest
from browsing import FRAME, check_layout, check_nonsense, check_refusal, in_javascript, says
from playwright.sync_api import Page, expect

from convlab.data import photo
from convlab.figures import RoIMapper
from convlab.regions import project_box, roi_align, roi_pool

CAT = photo("cat")


def build(**changes) -> RoIMapper:
    return RoIMapper(**{"photo": CAT, "caption": "Drag the box."} | changes)


def random_settings(count: int):
    """Boxes of all sizes, at the borders and on the halves among them."""
    rng = np.random.default_rng(0)
    height, width = build().photo["size"]
    for number in range(count):
        stride, bins = int(rng.choice([8, 16, 32])), int(rng.integers(1, 8))
        x1, y1 = (int(rng.integers(0, side - 20, endpoint=True)) for side in (width, height))
        x2, y2 = (int(rng.integers(at + 20, side, endpoint=True)) for at, side in ((x1, width), (y1, height)))
        if number % 4 == 0:
            x2, y2 = width, height
        if number % 4 == 1:  # halves of a cell, where roundings differ
            x1, y1 = (at // stride * stride + stride // 2 for at in (x1, y1))
            x2, y2 = max(x2, x1 + 20), max(y2, y1 + 20)
        if x2 <= width and y2 <= height:
            place = rng.integers(0, bins, 2).tolist()
            yield {"box": [x1, y1, x2, y2], "stride": stride, "bins": bins, "bin": place}


# In Python


def test_state_holds_plain_numbers():
    state = build(box=np.array([30, 40, 200, 180]), stride=np.int64(8), bins=np.int64(3)).state()
    assert json.loads(json.dumps(state)) == state
    assert (state["box"], state["stride"], state["bins"], state["bin"]) == ([30, 40, 200, 180], 8, 3, [0, 2])
    assert len(json.dumps(state)) < 60_000


def test_photo_is_scaled_and_its_maps_are_mean_brightness():
    levels = np.repeat(np.arange(6, dtype=np.uint8) * 50, 64)  # six stripes down, 64 pixels each
    pixels = np.broadcast_to(levels[:, None, None], (384, 192, 3))
    packed = build(photo=pixels, box=(0, 0, 20, 20)).photo
    assert packed["size"] == [320, 160]
    assert packed["image"].startswith("data:image/webp;base64,")
    for stride in (8, 16, 32):
        height, width, values = packed["maps"][str(stride)]
        cells = np.reshape(values, (height, width))
        assert (height, width) == (320 // stride, 160 // stride)
        assert (cells == cells[:, :1]).all()
        assert cells[0, 0] == 0
        assert abs(cells[-1, 0] - 250) <= 1
    fine, coarse = (
        np.reshape(values, (h, w)) for h, w, values in (packed["maps"]["8"], packed["maps"]["16"])
    )
    means = fine.reshape(20, 2, 10, 2).mean(axis=(1, 3))
    assert np.abs(coarse - means).max() <= 1


def test_bin_stays_inside_when_there_are_fewer():
    widget = build(bins=7, bin=(6, 3))
    widget.bins = 2
    assert widget.bin == [1, 1]
    widget.set_state({"bin": [3, 3], "bins": 4, "box": [0, 0, 320, 224], "stride": 32})
    assert (widget.bin, widget.bins, widget.box, widget.stride) == ([3, 3], 4, [0, 0, 320, 224], 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": (0, 0, 19, 40)}, "`box` must be at least 20 pixels wide and high and lie on the photo"),
        ({"box": (0, 30, 40, 49)}, "which is 320 wide and 224 high"),
        ({"box": (-1, 0, 40, 40)}, r"got \[-1, 0, 40, 40\]"),
        ({"box": (0, 0, 321, 40)}, "`box` must be at least"),
        ({"box": (0, 0, 40, 225)}, "`box` must be at least"),
        ({"box": (0, 0, 40)}, r"`box` must be four integers x1, y1, x2, y2, got \(0, 0, 40\)"),
        ({"box": (0, 0, 40.5, 40)}, "`box` must be four integers"),
        ({"stride": 12}, r"`stride` must be one of \(8, 16, 32\), got 12"),
        ({"bins": 0}, "`bins` must be at least 1, got 0"),
        ({"bins": 8}, "`bins` must be at most 7, got 8"),
        ({"bin": (0, 2)}, "`bin` must be a row and a column of the 2×2 map"),
        ({"bin": 1}, r"`bin` must be \[row, column\], got 1"),
    ],
)
def test_bad_input(changes, message):
    check_refusal(build, changes, message)


def test_photo_must_be_a_photo():
    with pytest.raises(ValueError, match=r"`photo` must be uint8 of shape \(H, W, 3\), got float64"):
        build(photo=CAT / 255)
    with pytest.raises(ValueError, match=r"got uint8 of shape \(4, 4\)"):
        build(photo=np.zeros((4, 4), np.uint8))


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    assert state.sub("", build().html()) == state.sub("", build(stride=8, bins=3).html())


# Its arithmetic, in JavaScript, against the library's


def test_both_ways_are_those_of_the_library(page):
    content = build().photo
    vectors = list(random_settings(400))
    assert len(vectors) >= 300
    expression = "x[1].map((one) => m.survey({ photo: x[0], ...one }))"
    results = in_javascript(page, RoIMapper, expression, [content, vectors])
    empty = beyond = 0
    for settings, seen in zip(vectors, results, strict=True):
        box, stride, bins = settings["box"], settings["stride"], settings["bins"]
        height, width, values = content["maps"][str(stride)]
        map_ = np.reshape(values, (1, 1, height, width))
        assert seen["region"] == project_box(box, 1 / stride)
        pooled, where = roi_pool(map_, [[box]], bins, spatial_scale=1 / stride, return_indices=True)
        np.testing.assert_array_equal(seen["pooled"]["values"], pooled.ravel())
        aligned = roi_align(map_, [[box]], bins, spatial_scale=1 / stride)
        np.testing.assert_allclose(seen["aligned"]["values"], aligned.ravel(), atol=1e-9)
        x1, y1, x2, y2 = seen["region"]
        covered = stride * np.array([x1, y1, min(x2 + 1, width), min(y2 + 1, height)])
        assert seen["covered"] == covered.tolist()
        assert seen["off"] == (covered - box).tolist()
        empty += (where < 0).any()
        beyond += x2 == width or y2 == height
    assert empty > 10
    assert beyond > 50


def test_a_bin_is_where_the_library_reads_it(page):
    """Ramps hold the place of each cell, so what comes out is a place."""
    content = build().photo
    vectors = list(random_settings(300))
    expression = "x[1].map((one) => m.survey({ photo: x[0], ...one }))"
    results = in_javascript(page, RoIMapper, expression, [content, vectors])
    for settings, seen in zip(vectors, results, strict=True):
        box, stride, bins, (i, j) = (settings[name] for name in ("box", "stride", "bins", "bin"))
        height, width, _ = content["maps"][str(stride)]
        for axis, (size, at) in enumerate([(width, j), (height, i)]):
            ends = (box[axis], box[axis + 2])
            middle = ends[0] + (at + 0.5) * (ends[1] - ends[0]) / bins
            start, stop = seen["read"][axis]
            if start < stop:
                ramp = np.broadcast_to(np.arange(1, size + 1), (size, size))[None, None]
                line = [[ends[0], 0, ends[1], stride * size - 1]]
                last = roi_pool(ramp, [line], (1, bins), spatial_scale=1 / stride)[0, 0, 0, at]
                first = -roi_pool(-ramp, [line], (1, bins), spatial_scale=1 / stride)[0, 0, 0, at]
                assert (first, last) == (start + 1, stop)
                assert seen["shift"][axis] == pytest.approx((first - 1 + last) / 2 * stride - middle)
            samples = seen["aligned"][["columns", "rows"][axis]][at]
            assert np.mean(samples) == pytest.approx(middle)


# In a browser


def table(page: Page) -> list[list[str]]:
    rows = page.locator("caption ~ tbody tr").all()
    return [row.locator("td").all_text_contents() for row in rows[1:]]


def outputs(page: Page) -> list[list[str]]:
    return [one.locator("td").all_text_contents() for one in page.locator(".cfm-output").all()]


def test_first_view(visit):
    page = visit(build(box=(30, 40, 200, 180)))
    says(
        page,
        "Box (30, 40, 200, 180), stride 16. On the map, rounded: (2, 3, 13, 11), pixels 32 to 224 across",
    )
    says(page, "48 to 192 down; edges off by up to 24 pixels, with RoIAlign by 0.")
    says(page, "Bin (0, 1): rounding takes the largest of 6×5 cells,")
    says(page, "whose middle is off by +18.5 pixels across, +13 down.")
    says(page, "RoIAlign takes the mean of 6×5 samples around the bin's own middle,")
    assert table(page) == [
        ["1.88", "2.5", "12.5", "11.25"],
        ["2", "3", "13", "11"],
        ["32", "48", "224", "192"],
        ["+2", "+8", "+24", "+12"],
    ]
    content = build().photo
    height, width, values = content["maps"]["16"]
    map_ = np.reshape(values, (1, 1, height, width))
    pooled = roi_pool(map_, [[[30, 40, 200, 180]]], 2, spatial_scale=1 / 16)
    aligned = roi_align(map_, [[[30, 40, 200, 180]]], 2, spatial_scale=1 / 16)
    assert outputs(page) == [
        [str(value) for value in pooled.ravel()],
        [str(int(value + 0.5)) for value in aligned.ravel()],
    ]
    expect(page.locator(".cfm-output .cfm-at")).to_have_text([outputs(page)[n][1] for n in (0, 1)])
    expect(page.locator("figcaption")).to_have_text("Drag the box.")


def test_drawing_is_what_the_table_says(visit):
    page = visit(build(box=(30, 40, 200, 180)))
    says(page, "Box (30, 40, 200, 180)")
    paths = page.locator(".cfm-rounded, .cfm-body").evaluate_all("all => all.map(e => e.getAttribute('d'))")
    assert paths[:2] == ["M32 48H224V192H32z", "M30 40H200V180H30z"]
    assert paths[2].count("z") == 4
    assert page.locator(".cfm-chosen").get_attribute("d") == "M128 48H224V128H128z"
    assert page.locator(".cfm-dots").get_attribute("d").count("M") == 6 * 5
    drawn = page.locator("canvas").evaluate("""e => [e.width, e.height,
        ...e.getContext('2d').getImageData(3, 2, 1, 1).data]""")
    height, width, values = build().photo["maps"]["16"]
    level = values[2 * width + 3]
    assert drawn == [width, height, level, level, level, 255]


def test_stride_and_bins(visit):
    page = visit(build(box=(30, 40, 200, 180), bin=(1, 1)))
    stride = page.get_by_role("combobox", name="stride of the map")
    stride.select_option("32")
    says(page, "stride 32. On the map, rounded: (1, 1, 6, 6), pixels 32 to 224")
    assert page.locator("canvas").evaluate("e => [e.width, e.height]") == [10, 7]
    stride.select_option("8")
    says(page, "stride 8. On the map, rounded: (4, 5, 25, 23)")
    bins = page.get_by_role("spinbutton", name="bins")
    bins.fill("7")
    says(page, "Bin (1, 1): rounding takes the largest of 4×4 cells")
    assert [len(one) for one in outputs(page)] == [49, 49]
    bins.fill("1")
    says(page, "Bin (0, 0)")


def test_box_by_fields(visit):
    page = visit(build())
    for name, value in [("right", "200"), ("left", "30"), ("top", "40"), ("bottom", "180")]:
        page.get_by_role("spinbutton", name=name).fill(value)
    says(page, "Box (30, 40, 200, 180), stride 16.")


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [
        ("left", ""),
        ("left", "-1"),
        ("right", "321"),
        ("top", "2.5"),
        ("left", "211"),
        ("bins", "8"),
        ("bins", ""),
    ],
)
def test_nonsense_in_a_field_changes_nothing(visit, name, nonsense):
    page = visit(build())
    says(page, "Box (90, 60, 230, 170)")
    part = page.get_by_role("spinbutton", name=name)
    check_nonsense(
        part, nonsense, "1 to 7 bins; the box at least 20×20 whole pixels, on the photo of 320×224."
    )


def test_keyboard(visit):
    page = visit(build(box=(298, 60, 319, 170), bin=(1, 1)))
    says(page, "Box (298")
    page.locator("[data-drive=keys]").focus()
    for key, box in [
        ("ArrowRight", "299, 60, 320, 170"),
        ("ArrowRight", "299, 60, 320, 170"),
        ("ArrowUp", "299, 59, 320, 169"),
        ("ArrowLeft", "298, 59, 319, 169"),
        ("ArrowDown", "298, 60, 319, 170"),
    ]:
        page.keyboard.press(key)
        says(page, f"Box ({box})")
    page.keyboard.press("Tab")
    for key, place in [
        ("ArrowUp", "0, 1"),
        ("ArrowLeft", "0, 0"),
        ("ArrowLeft", "0, 0"),
        ("ArrowDown", "1, 0"),
    ]:
        page.keyboard.press(key)
        says(page, f"Bin ({place})")


def drag(page: Page, start, end) -> None:
    """Press at a pixel of the photo, go to another, release."""
    frame = page.locator(".cfm-stage svg").first.bounding_box()
    places = [
        (frame["x"] + x * frame["width"] / 320, frame["y"] + y * frame["height"] / 224)
        for x, y in (start, end)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=3)
    page.mouse.up()


def the_box(page: Page) -> list[int]:
    page.evaluate(FRAME)
    return [
        int(page.get_by_role("spinbutton", name=name).input_value())
        for name in ("left", "top", "right", "bottom")
    ]


def test_box_is_dragged_by_its_inside_and_its_corners(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    says(page, "Box (90, 60, 230, 170)")
    for start, end, box in [
        ((160, 115), (170, 100), [100, 45, 240, 155]),
        ((100, 45), (60, 20), [60, 20, 240, 155]),
        ((240, 20), (300, 60), [60, 60, 300, 155]),
        ((60, 155), (200, 200), [200, 60, 300, 200]),
        ((300, 200), (100, 100), [200, 60, 220, 100]),  # 20 pixels wide at least
        ((20, 20), (80, 80), [200, 60, 220, 100]),  # outside of the box
        ((210, 80), (-50, 400), [0, 184, 20, 224]),
    ]:
        drag(page, start, end)
        np.testing.assert_allclose(the_box(page), box, atol=1)
    drag(page, (10, 204), (100, 104))
    page.mouse.move(300, 300)  # no button: nothing moves
    np.testing.assert_allclose(the_box(page), [90, 84, 110, 124], atol=1)


def test_pointing_at_a_bin(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    says(page, "Box (90, 60, 230, 170)")
    frame = page.locator("[data-drive=pointer]").bounding_box()
    for x, y, place in [(100, 160, "1, 0"), (200, 70, "0, 1"), (2, 2, "0, 0"), (318, 222, "1, 1")]:
        page.mouse.move(frame["x"] + x * frame["width"] / 320, frame["y"] + y * frame["height"] / 224)
        says(page, f"Bin ({place})")


def test_a_finger_drags_the_box_and_scrolls_beside_it(visit):
    page = visit(build(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    says(page, "Box (90, 60, 230, 170)")
    allowed = page.locator(".cfm-body, circle, .cfm-stage svg").evaluate_all(
        "all => all.map(e => getComputedStyle(e).touchAction)"
    )
    assert sorted(allowed) == ["none"] * 5 + ["pan-y"] * 2
    picture = page.locator(".cfm-stage svg").first
    picture.scroll_into_view_if_needed()
    frame, client = picture.bounding_box(), page.context.new_cdp_session(page)
    places = [("touchStart", 160, 115), ("touchMove", 200, 145), ("touchMove", 170, 125), ("touchEnd", 0, 0)]
    for kind, x, y in places:
        where = {"x": frame["x"] + x * frame["width"] / 320, "y": frame["y"] + y * frame["height"] / 224}
        points = [] if kind == "touchEnd" else [where]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator("[aria-live]")).to_contain_text(re.compile(r"Box \((99|100|101), (69|70|71),"))
    np.testing.assert_allclose(the_box(page), [100, 70, 240, 180], atol=1)


def test_empty_bin_is_told(visit):
    page = visit(build(box=(300, 60, 320, 170), bins=4, bin=(0, 3)))
    says(page, "rounding finds no cell and gives 0. RoIAlign takes")
    assert outputs(page)[0][3] == "0"


def test_two_figures_are_independent(visit):
    page = visit(build(), build(stride=32))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "stride 32")
    first.locator("[data-drive=keys]").press("ArrowLeft")
    says(first, "Box (89, 60, 229, 170), stride 16.")
    first.get_by_role("combobox").select_option("8")
    says(first, "Box (89, 60, 229, 170), stride 8.")
    says(second, "Box (90, 60, 230, 170), stride 32.")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    tall = np.ascontiguousarray(CAT.transpose(1, 0, 2))
    for widget in (build(), build(bins=7, stride=8), build(photo=tall, box=(20, 30, 180, 290))):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "Box")
        check_layout(page)
        assert page.locator("figure").evaluate("e => e.scrollWidth <= e.clientWidth")
