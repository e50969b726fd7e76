import json
import math
import re
from functools import cache

import numpy as np
import pytest
import torch
from browsing import (
    FRAME,
    check_layout,
    check_nonsense,
    check_refusal,
    drawing,
    drive_by_keys,
    drive_by_pointer,
    in_javascript,
    says,
)
from playwright.sync_api import Page, expect

from convlab import nets
from convlab.fields import receptive_field
from convlab.figures import PyramidBuilder
from convlab.pyramid import FPN, level_of_box, merge, smooth

LEVELS = (2, 3, 4, 5)
ENDS = ("conv2_3", "conv3_4", "conv4_6", "conv5_3")
ADVICE = "Whole numbers: box at least 4×4, on the picture; k0 0 to 9; size 8 to 999."


def build(**changes) -> PyramidBuilder:
    return PyramidBuilder(**{"caption": "Drag the object."} | changes)


def random_states(count: int) -> list[dict[str, object]]:
    """Boxes of all sizes on pictures of all sides; some in the corners, some on a border between levels."""
    rng = np.random.default_rng(0)
    states = []
    for number in range(count):
        height, width = rng.integers(320, 801, 2).tolist()
        if number % 3 == 0:
            height, width = (32 * (side // 32) for side in (height, width))
        size = int(rng.choice([8, 24, 64, 224, 999, rng.integers(8, 1000)]))
        k0 = int(rng.integers(0, 10))
        sides = np.exp(rng.uniform(math.log(4), np.log([width, height]))).astype(int)
        if number % 4 == 1:  # exactly on a border of two levels, or one pixel less
            sides = np.array([32, 64, 128, 256])[rng.integers(0, 4, 2)]
            size, sides = 64, sides - [number % 8 == 1, 0]
        sides = np.clip(sides, 4, [width, height])
        x1, y1 = (int(rng.integers(0, room + 1)) for room in np.array([width, height]) - sides)
        if number % 5 == 0:
            x1, y1 = (int(rng.choice([0, room])) for room in np.array([width, height]) - sides)
        level = int(rng.integers(2, 6))
        third = 32 >> level  # most in the middle third of the window, where more flows in
        cell = [
            level,
            *rng.integers(*((0, 3 * third) if number % 7 == 0 else (third, 2 * third)), 2).tolist(),
        ]
        picture = [height, width]
        box = [x1, y1, x1 + int(sides[0]), y1 + int(sides[1])]
        state = build(picture=picture, box=box, k0=k0, size=size, top_down=number % 2 == 0, cell=cell).state()
        states.append(state)
    return states


@cache
def survey() -> tuple[list[dict], list[dict]]:
    """Random states, and what the figure says of each: filled in by the first test that asks."""
    return random_states(300), []


def surveys(page: Page) -> list[tuple[dict, dict]]:
    states, seen = survey()
    if not seen:
        seen += in_javascript(page, PyramidBuilder, "x.map(m.survey)", states)
    assert len(states) == len(seen) == 300
    return list(zip(states, seen, strict=True))


# In Python


def test_state_holds_plain_numbers():
    box, cell = np.array([8, 16, 100, 200]), np.array([3, 2, 11])
    state = build(box=box, cell=cell, k0=np.int64(5), size=np.int64(24), picture=np.array([320, 400])).state()
    assert json.loads(json.dumps(state)) == state
    del state["caption"]
    assert state == {
        "box": [8, 16, 100, 200],
        "cell": [3, 2, 11],
        "k0": 5,
        "size": 24,
        "top_down": True,
        "maps": {"picture": [320, 400], "fields": [[-17, 35], [-49, 99], [-145, 291], [-241, 483]]},
    }


def test_fields_are_those_of_the_network():
    fields = receptive_field(nets.resnet(50))
    found = [[fields[name].start[0], fields[name].size[0]] for name in ENDS]
    assert build().maps["fields"] == found
    assert [fields[name].jump for name in ENDS] == [(2**level,) * 2 for level in LEVELS]
    assert [fields[name].start for name in ENDS] == [
        (start, start) for start, _ in found
    ]  # alike on both axes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": (0, 0, 3, 40)}, "`box` must be at least 4 pixels wide and high and lie on the picture"),
        ({"box": (0, 40, 40, 40)}, "which is 640 wide and 480 high"),
        ({"box": (-1, 0, 40, 40)}, r"got \[-1, 0, 40, 40\]"),
        ({"box": (0, 0, 641, 40)}, "`box` must be at least"),
        ({"box": (0, 0, 40, 481)}, "`box` must be at least"),
        ({"box": (0, 0, 40)}, r"`box` must be four integers x1, y1, x2, y2, got \(0, 0, 40\)"),
        ({"box": (0, 0, 40.5, 40)}, "`box` must be four integers"),
        ({"k0": -1}, "`k0` must be at least 0, got -1"),
        ({"k0": 10}, "`k0` must be at most 9, got 10"),
        ({"k0": 4.5}, "`k0` must be an integer, got 4.5"),
        ({"size": 7}, "`size` must be at least 8, got 7"),
        ({"size": 1000}, "`size` must be at most 999, got 1000"),
        ({"top_down": 1}, "`top_down` must be True or False, got 1"),
        ({"cell": (6, 0, 0)}, r"`cell` must be a level from 2 to 5, a row and a column, got \(6, 0, 0\)"),
        ({"cell": (5, 0)}, "`cell` must be a level"),
        ({"cell": 5}, "`cell` must be a level"),
        ({"cell": (5, 0, 3)}, "`cell` must be a row and a column of the 3×3 map"),
        ({"cell": (2, 24, 0)}, "`cell` must be a row and a column of the 24×24 map"),
    ],
)
def test_bad_input(changes, message):
    check_refusal(build, changes, message)


@pytest.mark.parametrize("picture", [(319, 640), (480, 801), (480,), 480, (480.0, 640), (480, 640, 3)])
def test_bad_picture(picture):
    with pytest.raises(ValueError, match="`picture` must be a height and a width from 320 to 800, got "):
        build(picture=picture, box=(0, 0, 50, 50))


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    assert state.sub("", build().html()) == state.sub("", build(size=24, top_down=False).html())


# Its arithmetic, in JavaScript, against the library's


def test_level_is_that_of_the_library(page):
    met = set()
    for state, seen in surveys(page):
        (x1, y1, x2, y2), k0, size = state["box"], state["k0"], state["size"]
        free = level_of_box(x2 - x1, y2 - y1, k0, size=size, lowest=-99, highest=99)
        assert seen["k"] == free
        assert seen["level"] == level_of_box(x2 - x1, y2 - y1, k0, size=size)
        met.add((seen["level"], (free > 5) - (free < 2)))
    assert met == {(2, 0), (3, 0), (4, 0), (5, 0), (2, -1), (5, 1)}
    exact = [
        state
        for state, _ in surveys(page)
        if math.log2(math.prod(sides(state)) / state["size"] ** 2) % 2 == 0
    ]
    assert len(exact) > 10  # on the border itself


def sides(state: dict) -> tuple[int, int]:
    x1, y1, x2, y2 = state["box"]
    return x2 - x1, y2 - y1


def shapes(state: dict) -> list[tuple[int, int]]:
    """Of C2 to C5, as the network makes them: halved again and again, rounded up."""
    found = [tuple(state["maps"]["picture"])]
    for _ in range(5):
        found.append(tuple(-(-side // 2) for side in found[-1]))
    return found[2:]


@cache
def ones() -> FPN:
    """A pyramid of one map a level whose weights are all 1, so that gradients count."""
    model = FPN([1, 1, 1, 1], 1).double()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, float(parameter.ndim > 1))
    return model


def counts(state: dict, seen: dict) -> list[np.ndarray]:
    """Through how many of the sums each unit of C2 to C5 flows into the unit of P: gradients of the FPN."""
    model, n = ones(), seen["level"] - 2
    maps = [torch.zeros(1, 1, *shape, dtype=torch.float64, requires_grad=True) for shape in shapes(state)]
    level = model(maps)[n] if state["top_down"] else model.smooths[n](model.laterals[n](maps[n]))
    row, column = (axis["at"] for axis in seen["axes"])
    found = torch.autograd.grad(level[0, 0, row, column], maps, materialize_grads=True)
    return [one[0, 0].numpy() for one in found]


def test_unit_stands_on_the_middle(page):
    for state, seen in surveys(page):
        x1, y1, x2, y2 = state["box"]
        jump = 2 ** seen["level"]
        assert [axis["at"] for axis in seen["axes"]] == [(y1 + y2) // 2 // jump, (x1 + x2) // 2 // jump]


def test_what_flows_in_is_what_has_a_gradient(page):
    cut = odd = 0
    for state, seen in surveys(page):
        for n, count in enumerate(counts(state, seen)):
            expected = np.zeros(count.shape, bool)
            rows, columns = (axis["into"][n] for axis in seen["axes"])
            if rows:
                expected[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
            np.testing.assert_array_equal(count > 0, expected)
            assert seen["units"][n] == expected.sum()
            if LEVELS[n] == seen["level"]:
                cut += expected.sum() < 9
                odd += any(side % 2 for side in count.shape)
            corner = [at * 2 ** (5 - LEVELS[n]) for at in seen["corner"]]  # all of it lies in the window
            inside = [
                (at >= low) & (at < low + (96 >> LEVELS[n]))
                for at, low in zip(np.nonzero(expected), corner, strict=True)
            ]
            assert np.all(inside)
    assert cut > 20
    assert odd > 50


def test_share_of_a_unit_is_its_gradient(page):
    met = set()
    for state, seen in surveys(page):
        level, *cell = state["cell"]
        count = counts(state, seen)[level - 2]
        free = [low * 2 ** (5 - level) + at for low, at in zip(seen["corner"], cell, strict=True)]
        assert seen["asked"] == [
            min(max(at, 0), side - 1) for at, side in zip(free, count.shape, strict=True)
        ]
        assert seen["share"] == count[tuple(seen["asked"])]
        met.add(seen["share"])
    assert {0, 1, 2, 4, 6, 9} <= met


def test_perturbing_a_unit_changes_what_the_figure_says(page):
    """The same by the numpy pyramid, with random weights and one unit changed."""
    rng = np.random.default_rng(1)
    changed = 0
    for state, seen in surveys(page)[:60:2]:
        laterals = [(rng.uniform(0.5, 1, (2, 3, 1, 1)), rng.normal(size=2)) for _ in LEVELS]
        smooths = [(rng.uniform(0.5, 1, (2, 2, 3, 3)), rng.normal(size=2)) for _ in LEVELS]
        maps = [rng.normal(size=(1, 3, *shape)) for shape in shapes(state)]
        at = (0, 0, *(axis["at"] for axis in seen["axes"]))
        before = smooth(merge(maps, laterals), smooths)[seen["level"] - 2][at]
        maps[state["cell"][0] - 2][0, 0, seen["asked"][0], seen["asked"][1]] += 1
        after = smooth(merge(maps, laterals), smooths)[seen["level"] - 2][at]
        assert (after != before) == (seen["share"] > 0)
        changed += after != before
    assert 5 < changed < 28


@cache
def networks() -> tuple[nets.Net, list[nets.Net]]:
    """ResNet-50 with the whole pyramid, and with a lateral and a 3×3 on one map alone."""
    return nets.fpn(nets.resnet(50), ENDS), [nets.fpn(nets.resnet(50), [name]) for name in ENDS]


def test_fields_are_those_of_the_phases(page):
    whole, alone = networks()
    fields = [[receptive_field(net)[f"P{level}"] for net in (alone[level - 2], whole)] for level in LEVELS]
    met = set()
    for state, seen in surveys(page):
        x1, y1, x2, y2 = state["box"]
        for level, both, told in zip(LEVELS, fields, seen["levels"], strict=True):
            for field, axes in zip(both, told, strict=True):
                for middle, phases, axis in zip(
                    ((y1 + y2) / 2, (x1 + x2) / 2), field.phases, axes, strict=True
                ):
                    unit = int(middle / 2**level)
                    rows = phases[unit % len(phases)]
                    assert (axis["at"], axis["field"]) == (unit, max(rows) - min(rows) + 1)
                    met.add((level, axis["field"]))
    assert met == {(2, 43), (3, 115), (4, 323), (5, 547), (2, 483), (2, 515), (3, 483), (3, 515), (4, 515)}


def test_what_a_unit_sees_is_its_region(page):
    """Where the graph's enlarging by two fits, so on pictures of multiples of 32."""
    whole, alone = networks()
    some = [one for one in surveys(page) if not any(side % 32 for side in one[0]["maps"]["picture"])][:40]
    assert len(some) == 40
    parts = 0
    for state, seen in some:
        picture, level = tuple(state["maps"]["picture"]), seen["level"]
        net = whole if state["top_down"] else alone[level - 2]
        field = receptive_field(net, input_size=picture)[f"P{level}"]
        rows, columns = seen["axes"]
        assert field.map_size == shapes(state)[level - 2]
        top, left, bottom, right = field.region((rows["at"], columns["at"]), clip=picture)
        assert [*rows["sees"], *columns["sees"]] == [top, bottom - 1, left, right - 1]
        x1, y1, x2, y2 = state["box"]
        assert seen["whole"] == (left <= x1 and top <= y1 and x2 <= right and y2 <= bottom)
        parts += not seen["whole"]
    assert 3 < parts < 37


def test_what_a_unit_sees_is_the_union_of_what_flows_in(page):
    """On any picture, odd sides included: the regions of all units of C2 to C5 that have a gradient."""
    backbone = nets.resnet(50)
    for state, seen in surveys(page)[1:90:3]:
        picture = tuple(state["maps"]["picture"])
        fields = receptive_field(backbone, input_size=picture)
        regions = []
        for name, count in zip(ENDS, counts(state, seen), strict=True):
            assert fields[name].map_size == count.shape
            units = np.argwhere(count)
            for unit in {tuple(at) for at in (units[:1].tolist() + units[-1:].tolist())}:  # its corners
                regions.append(fields[name].region(tuple(unit), clip=picture))
        top, left = np.min(regions, axis=0)[:2]
        bottom, right = np.max(regions, axis=0)[2:]
        rows, columns = seen["axes"]
        assert [*rows["sees"], *columns["sees"]] == [top, bottom - 1, left, right - 1]


# In a browser


def table(page: Page) -> list[list[str]]:
    return [row.locator("td").all_text_contents() for row in page.locator("tbody tr").all()]


def test_first_view(visit):
    page = visit(build())
    says(page, "Box 223×223 at (188, 120): k = ⌊4 + log2(√(223·223) / 224)⌋ = ⌊3.99⌋ = 3. P3 serves it;")
    says(page, "there it is 27.9×27.9 units of 8 pixels.")
    says(page, "On its middle stands unit (28, 37) of P3: a 3×3 over 9 sums. Into them flow")
    says(page, "C3 row 27–29, column 36–38 (1×1); C4 row 13–14, column 18–19 (1×1, ×2);")
    says(page, "C5 row 6–7, column 9 (1×1, ×2, ×2).")
    says(
        page, "Its field is 483×515 pixels and holds the whole box; without the top-down path it is 115×115."
    )
    says(page, "Unit (7, 9) of C5 is in 6 of the 9 sums.")
    assert table(page) == [
        ["32", "7.0×7.0", "547×547", "547×547"],
        ["16", "13.9×13.9", "323×323", "515×515"],
        ["8", "27.9×27.9", "115×115", "483×515"],
        ["4", "55.8×55.8", "43×43", "483×483"],
    ]
    expect(page.locator("tbody tr.cfy-here th")).to_have_text("P3")
    expect(page.locator("figcaption")).to_have_text("Drag the object.")


def outlines(page: Page, of: str) -> list[str]:
    """What the paths of a kind draw: on the picture, or on the maps, the finest first."""
    page.evaluate(FRAME)
    return page.locator(of).evaluate_all("all => all.map(e => e.getAttribute('d'))")


def test_drawing_is_what_the_text_says(visit):
    page = visit(build())
    says(page, "Box 223×223")
    assert outlines(page, ".cfy-picture .cfy-body") == ["M188 120H411V343H188z"]
    assert outlines(page, ".cfy-picture .cfy-alone") == ["M239 167H354V282H239z"]  # 8·37 − 57 and so on
    assert outlines(page, ".cfy-picture .cfy-field") == ["M47 0H530V466H47z"]  # cut by the picture above
    assert outlines(page, ".cfy-picture .cfy-unit") == ["M296 224H304V232H296z"]
    into = ["", "M288 216H312V240H288z", "M288 208H320V240H288z", "M288 192H320V256H288z"]
    assert outlines(page, "g .cfy-into") == [one for one in into for _ in range(2)]
    assert outlines(page, "g .cfy-unit") == ["", "", *["M296 224H304V232H296z"] * 2, "", "", "", ""]
    views = page.locator("g svg").evaluate_all("all => all.map(e => e.getAttribute('viewBox'))")
    assert views == ["256 192 96 96"] * 8
    titles = [group.locator("text").first.text_content() for group in page.locator("g").all()]
    assert titles == ["C2: 0 units", "C3: 9 units", "C4: 4 units", "C5: 2 units"]
    styles = page.locator("g").evaluate_all("all => all.map(e => e.getAttribute('class'))")
    assert styles == ["", "cfy-here", "cfy-reads", "cfy-reads"]


def test_without_the_top_down_path(visit):
    page = visit(build())
    says(page, "holds the whole box")
    arrows = page.locator(".cfy-down")
    assert arrows.evaluate_all("all => all.map(e => getComputedStyle(e).opacity)") == ["1"] * 3
    page.get_by_role("checkbox", name="top-down path").uncheck()
    says(page, "Into them flow C3 row 27–29, column 36–38 (1×1).")
    says(
        page,
        "Its field is 115×115 pixels and holds only a part of the box; with the top-down path it is 483×515.",
    )
    says(page, "Unit (7, 9) of C5 is in none of the 9 sums.")
    assert arrows.evaluate_all("all => all.map(e => getComputedStyle(e).opacity)") == ["0"] * 3
    assert outlines(page, ".cfy-picture .cfy-field") == outlines(page, ".cfy-picture .cfy-alone")
    assert [one != "" for one in outlines(page, "g .cfy-into")] == [False] * 2 + [True] * 2 + [False] * 4
    page.get_by_role("checkbox", name="top-down path").check()
    says(page, "holds the whole box")


def test_fields_of_numbers(visit):
    page = visit(build())
    for name, value in [("left", "400"), ("top", "7"), ("width", "224"), ("height", "225")]:
        page.get_by_role("spinbutton", name=name).fill(value)
    says(page, "Box 224×225 at (400, 7): k = ⌊4 + log2(√(224·225) / 224)⌋ = ⌊4⌋ = 4. P4 serves it")
    page.get_by_role("spinbutton", name="size").fill("24")
    says(page, "/ 24)⌋ = ⌊7.22⌋ = 7, held at 5. P5 serves it")
    page.get_by_role("spinbutton", name="k0").fill("0")
    says(page, "k = ⌊0 + log2(√(224·225) / 24)⌋ = ⌊3.22⌋ = 3. P3 serves it")
    page.get_by_role("spinbutton", name="size").fill("999")
    says(page, "⌊−2.16⌋ = −3, held at 2. P2 serves it")


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [
        ("left", ""),
        ("left", "-1"),
        ("left", "418"),  # the box is 223 wide
        ("top", "2.5"),
        ("width", "3"),
        ("height", "361"),
        ("k0", "10"),
        ("size", "7"),
    ],
)
def test_nonsense_in_a_field_changes_nothing(visit, name, nonsense):
    page = visit(build())
    says(page, "Box 223×223")
    check_nonsense(page.get_by_role("spinbutton", name=name), nonsense, ADVICE)


def test_the_whole_picture_and_the_smallest_box(visit):
    page = visit(build(box=(0, 0, 640, 480)))
    says(page, "= ⌊5.3⌋ = 5. P5 serves it; there it is 20.0×15.0 units of 32 pixels.")
    says(page, "Into them flow C5 row 6–8, column 9–11 (1×1).")
    says(page, "Its field is 547×547 pixels and holds only a part")
    page = visit(build(box=(636, 0, 640, 4), cell=(5, 0, 2)))
    says(page, "there it is 1.0×1.0 units of 4 pixels.")
    says(
        page,
        "On its middle stands unit (0, 159) of P2: a 3×3 over 4 sums.",
    )
    says(page, "C2 row 0–1, column 158–159 (1×1); C3 row 0, column 79 (1×1, ×2);")
    says(page, "C5 row 0, column 19 (1×1, ×2, ×2, ×2).")
    says(page, "Unit (0, 19) of C5 is in 4 of the 4 sums.")


def test_keyboard(visit):
    page = visit(build())
    says(page, "Box 223×223")
    page.locator("[data-drive=keys]").focus()
    for key, told in [
        ("ArrowRight", "223×223 at (192, 120)"),
        ("ArrowUp", "223×223 at (192, 116)"),
        ("ArrowLeft", "223×223 at (188, 116)"),
        ("ArrowDown", "223×223 at (188, 120)"),
        ("Shift+ArrowRight", "224×223 at (188, 120)"),
        ("Shift+ArrowDown", "224×224 at (188, 120)"),
        ("Shift+ArrowLeft", "223×224 at (188, 120)"),
        ("Shift+ArrowUp", "223×223 at (188, 120)"),
        ("Control+ArrowUp", "223×223 at (188, 120)"),
    ]:
        page.keyboard.press(key)
        says(page, f"Box {told}: ")
    page = visit(build(box=(418, 0, 640, 4)))
    page.locator("[data-drive=keys]").focus()
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("ArrowLeft")
    says(page, "Box 222×4 at (414, 0): ")


def test_units_by_keys(visit):
    page = visit(build())
    says(page, "Unit (7, 9) of C5")
    page.locator(".cfy-pyramid .cfy-stage").focus()
    for key, told in [
        ("ArrowUp", "Unit (6, 9) of C5 is in 3 of the 9 sums"),
        ("ArrowUp", "Unit (6, 9) of C5"),
        ("ArrowLeft", "Unit (6, 8) of C5 is in none"),
        ("ArrowRight", "Unit (6, 9) of C5"),
        ("ArrowDown", "Unit (7, 9) of C5"),
        ("ArrowDown", "Unit (8, 9) of C5"),
        ("ArrowDown", "Unit (12, 18) of C4 is in none of the 9"),
        ("ArrowDown", "Unit (13, 18) of C4 is in 2 of the 9 sums"),
        ("ArrowDown", "Unit (14, 18) of C4 is in 4 of the 9 sums"),
        ("ArrowRight", "Unit (14, 19) of C4 is in 2 of the 9 sums"),
        ("ArrowLeft", "Unit (14, 18) of C4"),
        *[("ArrowDown", "of C4")] * 3,
        ("ArrowDown", "Unit (24, 36) of C3"),
        ("ArrowUp", "Unit (17, 18) of C4"),
    ]:
        page.keyboard.press(key)
        says(page, told)
    assert outlines(page, "g .cfy-asked") == ["", "", "", "", *["M288 272H304V288H288z"] * 2, "", ""]
    page = visit(build(cell=(2, 23, 23)))
    page.locator(".cfy-pyramid .cfy-stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    says(page, "Unit (71, 86) of C2 is in none of the 9 sums.")


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Place on the screen of a pixel of the picture, which has a margin of 28 pixels."""
    frame = page.locator(".cfy-picture svg").bounding_box()
    scale = frame["width"] / (640 + 56)
    return frame["x"] + (x + 28) * scale, frame["y"] + (y + 28) * scale


def drag(page: Page, start, end) -> None:
    """Press at a pixel of the picture, go to another, release."""
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=3)
    page.mouse.up()


def the_box(page: Page) -> list[int]:
    page.evaluate(FRAME)
    left, top, width, height = (
        int(page.get_by_role("spinbutton", name=name).input_value())
        for name in ("left", "top", "width", "height")
    )
    return [left, top, left + width, top + height]


def test_box_is_dragged_by_its_inside_and_its_corners(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    says(page, "Box 223×223 at (188, 120)")
    for start, end, box in [
        ((300, 230), (330, 200), [218, 90, 441, 313]),
        ((218, 90), (60, 20), [60, 20, 441, 313]),
        ((441, 20), (500, 60), [60, 60, 500, 313]),
        ((60, 313), (200, 400), [200, 60, 500, 400]),
        ((500, 400), (100, 100), [200, 60, 204, 100]),  # 4 pixels wide at least
        ((20, 200), (80, 300), [200, 60, 204, 100]),  # outside of the box
        ((190, 50), (400, 300), [200, 96, 204, 100]),
        ((190, 86), (150, 50), [160, 60, 204, 100]),
        ((180, 80), (-50, 900), [0, 440, 44, 480]),  # held on the picture
    ]:
        drag(page, start, end)
        np.testing.assert_allclose(the_box(page), box, atol=2)
    page.mouse.move(*at(page, 300, 300))  # no button: nothing moves
    np.testing.assert_allclose(the_box(page), [0, 440, 44, 480], atol=2)


def test_small_box_can_be_dragged_and_enlarged(visit):
    page = visit(build(box=(300, 200, 308, 206)), viewport={"width": 390, "height": 844})
    says(page, "Box 8×6")
    drag(page, (304, 203), (404, 303))
    np.testing.assert_allclose(the_box(page), [400, 300, 408, 306], atol=2)
    x, y, *_ = the_box(page)
    circle = page.locator("circle").last.bounding_box()
    page.mouse.move(circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2)
    page.mouse.down()
    page.mouse.move(circle["x"] + circle["width"] / 2 + 40, circle["y"] + circle["height"] / 2 + 20, steps=2)
    page.mouse.up()
    box = the_box(page)
    assert box[:2] == [x, y]
    assert box[2] - x > 60
    assert box[3] - y > 30


def test_pointing_at_a_unit(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    says(page, "Unit (7, 9)")
    frame = page.locator("[data-drive=pointer]").bounding_box()
    scale = frame["width"] / 380
    for level, left, x, y, told in [
        (5, 0, 0.9, 0.1, "Unit (6, 10) of C5 is in none"),
        (4, 0, 0.4, 0.3, "Unit (13, 18) of C4 is in 2"),
        (4, 176, 0.4, 0.4, "Unit (14, 18) of C4 is in 4"),  # the column of sums
        (3, 176, 0.46, 0.38, "Unit (28, 37) of C3 is in 1 of the 9 sums"),
        (2, 0, 0.01, 0.99, "Unit (71, 64) of C2 is in none"),
    ]:
        down = 22 + (5 - level) * 152 + y * 124
        page.mouse.move(frame["x"] + (left + x * 124) * scale, frame["y"] + down * scale)
        says(page, told)
    expect(page.locator("tbody tr.cfy-here th")).to_have_text("P3")


@pytest.mark.parametrize("touch", [False, True])
def test_generic_drives(visit, touch):
    size = {"width": 390, "height": 844} if touch else {"width": 1280, "height": 900}
    page = visit(build(), viewport=size, has_touch=touch)
    figure = page.locator("[data-convlab-figure]")
    drive_by_keys(figure)
    drive_by_pointer(figure, touch)
    assert len(drawing(figure)) == 10


def test_a_finger_drags_the_box_and_scrolls_beside_it(visit):
    page = visit(build(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    says(page, "Box 223×223")
    allowed = page.locator(".cfy-body, circle, .cfy-stage > svg").evaluate_all(
        "all => all.map(e => getComputedStyle(e).touchAction)"
    )
    assert sorted(allowed) == ["none"] * 5 + ["pan-y"] * 2
    page.locator(".cfy-picture").scroll_into_view_if_needed()
    client = page.context.new_cdp_session(page)
    for kind, *place in [
        ("touchStart", 300, 230),
        ("touchMove", 340, 260),
        ("touchMove", 320, 220),
        ("touchEnd",),
    ]:
        points = [dict(zip("xy", at(page, *place), strict=True))] if place else []
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator("[aria-live]")).to_contain_text(re.compile(r"at \(20[789], (109|110|111)\)"))


def test_two_figures_are_independent(visit):
    page = visit(build(), build(size=24))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "P5 serves it")
    first.locator("[data-drive=keys]").press("ArrowLeft")
    first.get_by_role("checkbox").uncheck()
    says(first, "Box 223×223 at (184, 120)")
    says(first, "with the top-down path it is")
    says(second, "Box 223×223 at (188, 120)")
    says(second, "without the top-down path it is")


def test_a_change_is_quick(visit):
    page = visit(build(picture=(800, 800), box=(401, 401, 440, 440)))
    says(page, "Box 39×39")
    median = page.evaluate("""async () => {
        const stage = document.querySelector('[data-drive=keys]');
        const times = [];
        for (let n = 0; n < 60; n++) {
            const key = n % 2 ? 'ArrowLeft' : 'ArrowRight';
            stage.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            await new Promise(done => requestAnimationFrame(first => {
                document.body.getBoundingClientRect();
                times.push(performance.now() - first);
                requestAnimationFrame(done);
            }));
        }
        return times.sort((a, b) => a - b)[30];
    }""")
    assert median < 16


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    for widget in (
        build(),
        build(box=(600, 20, 636, 60), top_down=False),
        build(picture=(800, 321), box=(0, 0, 321, 800)),
    ):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "Box")
        check_layout(page)
        assert page.locator("figure").evaluate("e => e.scrollWidth <= e.clientWidth")
        small = page.locator("svg text").evaluate_all(
            "all => all.map(e => e.getScreenCTM().a * parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(small) > 10.9
