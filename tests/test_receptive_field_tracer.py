import json
import re
from functools import cache

import numpy as np
import pytest
from browsing import check_layout, in_javascript, says
from playwright.sync_api import expect
from traitlets import TraitError

from convlab.fields import Field, Layer, receptive_field
from convlab.figures import ReceptiveFieldTracer
from convlab.figures import receptive_field_tracer as tracer

STACK = [("conv", 3, 1, 1, 1), ("conv", 3, 1, 1, 1), ("pool", 2, 2, 0, 1), ("conv", 3, 1, 1, 2)]


def build(layers=STACK, **changes) -> ReceptiveFieldTracer:
    return ReceptiveFieldTracer(layers=layers, **({"size": 24, "caption": "Choose a unit."} | changes))


def random_layer(rng: np.random.Generator) -> list:
    """A layer of any kind that a stack may have: most numbers are ordinary, some any that are allowed."""
    tops = [
        high if rng.random() < 0.25 else usual
        for (_, high), usual in zip(tracer.LIMITS.values(), (4, 2, 2, 2), strict=True)
    ]
    return [
        tracer.KINDS[rng.integers(2)],
        *(int(rng.integers(n != 2, top + 1)) for n, top in enumerate(tops)),
    ]


def possible(stack: list) -> bool:
    try:
        ReceptiveFieldTracer(size=stack[0], layers=stack[1])
    except ValueError:
        return False
    return True


@cache
def random_stacks(count: int, legal: bool = True) -> list[tuple[int, list]]:
    """Sizes and layers, of all depths; the possible ones, or all."""
    rng = np.random.default_rng(11)
    stacks = []
    while len(stacks) < count:
        depth = len(stacks) % 8 + 1
        stack = int(rng.integers(1, 33)), [random_layer(rng) for _ in range(depth)]
        if not legal or possible(stack):
            stacks.append(stack)
    return stacks


def fields_of(size: int, layers: list) -> list[Field]:
    """The library's fields of a stack, and before them that of the input: a layer that changes nothing."""
    made = [Layer(k, stride=s, padding=p, dilation=d) for _, k, s, p, d in layers]
    return list(receptive_field([Layer(1), *made], input_size=size).values())


def units_of(stacks: list) -> list[list[int]]:
    """For each stack a map and a unit of it, also the first and the last one."""
    rng = np.random.default_rng(5)
    units = []
    for stack in stacks:
        fields = fields_of(*stack)
        number = int(rng.integers(len(fields))) if len(units) % 2 else len(fields) - 1
        length = fields[number].map_size[0]
        units.append([number, int([0, length - 1, rng.integers(length)][len(units) % 3])])
    return units


# Its arithmetic, in JavaScript, against the library's


def test_fields_equal_those_of_the_library(page):
    stacks = random_stacks(300)
    expression = """x.map(([size, layers]) => {
        const maps = m.follow(size, layers);
        return maps.map(({ length, r, j, start }, n) => [length, r, j, start, ...m.overlap(maps, n)]);
    })"""
    holes = apart = 0
    for stack, maps in zip(
        stacks, in_javascript(page, ReceptiveFieldTracer, expression, stacks), strict=True
    ):
        fields = fields_of(*stack)
        for field, (length, r, j, start, support, shared) in zip(fields, maps, strict=True):
            assert (length, r, j, start) == (
                field.map_size[0],
                field.size[0],
                field.jump[0],
                field.start[0],
            )
            assert support == field.support[0]
            assert shared / support == pytest.approx(field.overlap[0], abs=1e-12)
        holes += fields[-1].support < fields[-1].size
        apart += fields[-1].overlap[0] == 0
    assert min(holes, apart) > 5


def test_what_a_unit_reads_equals_the_library(page):
    stacks = random_stacks(300)
    units = units_of(stacks)
    expression = "x.map(([size, layers, unit]) => m.trace(m.follow(size, layers), unit))"
    cases = [(*stack, unit) for stack, unit in zip(stacks, units, strict=True)]
    cut = behind = 0
    for (size, layers, (number, unit)), maps in zip(
        cases, in_javascript(page, ReceptiveFieldTracer, expression, cases), strict=True
    ):
        assert len(maps) == number + 1
        # in map n, read by what stands above it: the layers after it are a stack of their own
        lengths = [field.map_size[0] for field in fields_of(size, layers)]
        for n, traced in enumerate(maps):
            field = fields_of(lengths[n], layers[n:number])[-1]
            mask = field.reads((unit, unit), clip=(lengths[n], lengths[n]))
            assert traced["read"] == np.flatnonzero(mask.any(axis=0)).tolist()
            pattern = field.phases[0][0]
            assert traced["all"] == [at + unit * field.jump[0] for at in pattern]
        inside = [at for at in maps[0]["all"] if 0 <= at < size]
        cut += len(inside) < len(maps[0]["all"])
        behind += maps[0]["read"] != inside
    assert cut > 50
    assert behind > 5


def test_impossible_stacks_are_those_that_python_refuses(page):
    stacks = random_stacks(500, legal=False)
    reasons = in_javascript(page, ReceptiveFieldTracer, "x.map((stack) => m.trouble(...stack))", stacks)
    assert [not reason for reason in reasons] == [possible(stack) for stack in stacks]
    for start in ("Layer", "The units are spread"):
        assert sum(reason.startswith(start) for reason in reasons) > 5
    for part in ("does not fit", "half its kernel"):
        assert sum(part in reason for reason in reasons) > 5
    assert sum(not reason for reason in reasons) > 50


def test_limits_of_the_drawing_are_those_of_python(page):
    stacks = [
        (5, [["conv", 11, 4, 5, 1]] * depth)
        for depth in range(1, 6)  # r = 1 + 10·(4ⁿ − 1)/3
    ] + [(32, [["conv", 1, 1, p, 1], ["conv", 1, 1, q, 1]]) for p in (7, 8) for q in (0, 1)]
    reasons = in_javascript(page, ReceptiveFieldTracer, "x.map((stack) => m.trouble(...stack))", stacks)
    assert reasons == [
        *([""] * 4),
        "Layer 5: its field is 3411 pixels wide; 999 can be drawn.",
        "",
        "",
        "",
        "The units are spread over 50 pixels; 48 can be drawn.",
    ]
    assert [possible(stack) for stack in stacks] == [not reason for reason in reasons]
    assert in_javascript(
        page, ReceptiveFieldTracer, "[m.trouble(9, []), m.trouble(9, x)]", [STACK[0]] * 9
    ) == [
        "One layer must stay.",
        "Eight layers are the most.",
    ]


def test_texts_tell_what_is_so(page):
    stacks = random_stacks(300)
    cases = [(*stack, unit) for stack, unit in zip(stacks, units_of(stacks), strict=True)]
    expression = "x.map(([size, layers, unit]) => m.tell(m.follow(size, layers), unit))"
    sums = 0
    for (size, layers, (number, unit)), (here, about) in zip(
        cases, in_javascript(page, ReceptiveFieldTracer, expression, cases), strict=True
    ):
        here, about = (words.replace("−", "-").replace("·", "*") for words in (here, about))
        fields = fields_of(size, layers)
        field = fields[number]
        first = field.start[0] + unit * field.jump[0]
        assert here.startswith(f"Unit {unit} of {f'layer {number}' if number else 'the input'}: ")
        assert f" = {first} and ends at {first + field.size[0] - 1}: r = {field.size[0]}" in here
        reads = field.reads((unit, unit), clip=(size, size)).any(axis=0)
        if cut := field.support[0] - reads.sum():
            assert re.search(rf"cuts off {cut} \(hatched\): it reads {reads.sum()} pixels?, ", here)
        else:
            assert here.endswith("No border cuts it.")
        assert ("with holes" in here) == (field.support < field.size)
        for left, right in re.findall(r"(?:j|r|start) = ([-+*()\d ]+) = (-?\d+)", f"{here}; {about}"):
            assert eval(left) == int(right)
            sums += 1
        if number:
            assert f" = {field.size[0]}; j = " in about
            assert f" = {field.jump[0]}; start = " in about
            assert f" = {field.start[0]}; neighbours share " in about
            assert float(re.search(r"overlap ([\d.]+)\.$", about)[1]) == pytest.approx(
                field.overlap[0], abs=0.005001
            )
        else:
            assert about == ""
    assert sums > 700


def test_places_in_words(page):
    lists = [[], [4], [-1, 0, 1], [2, 4], [0, 2, 4, 6], [0, 2, 4, 6, 8], [-3, -2, 0, 1, 2]]
    told = in_javascript(page, ReceptiveFieldTracer, "x.map(m.places)", lists)
    assert told == ["none", "4", "−1 to 1", "2, 4", "0, 2, 4, 6", "5 from 0 to 8", "5 from −3 to 2"]


# In Python


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "`size` must be at least 1, got 0"),
        ({"size": 33}, "`size` must be at most 32, got 33"),
        ({"layers": []}, r"`layers` must be a list of 1 to 8 layers, got \[\]"),
        ({"layers": STACK * 3}, "`layers` must be a list of 1 to 8 layers"),
        ({"layers": 3}, "`layers` must be a list of 1 to 8 layers, got 3"),
        ({"layers": "conv"}, r"`layers\[0\]` must be .*, got 'conv'"),
        ({"layers": [("conv", 3)]}, r'`layers\[0\]` must be \("conv" or "pool", kernel_size, stride, '),
        ({"layers": [STACK[0], ("norm", 3, 1, 1, 1)]}, r"`layers\[1\]` must be .*, got \('norm', 3"),
        ({"layers": ["conv1"]}, r"`layers\[0\]` must be .*, got 'conv1'"),
        ({"layers": [("conv", 0, 1, 1, 1)]}, r"`kernel_size of layers\[0\]` must be at least 1, got 0"),
        ({"layers": [("conv", 12, 1, 1, 1)]}, r"`kernel_size of layers\[0\]` must be at most 11, got 12"),
        ({"layers": [("conv", 3, 5, 1, 1)]}, r"`stride of layers\[0\]` must be at most 4, got 5"),
        ({"layers": [("conv", 3, 1, -1, 1)]}, r"`padding of layers\[0\]` must be at least 0, got -1"),
        ({"layers": [("conv", 3, 1, 1, 9)]}, r"`dilation of layers\[0\]` must be at most 8, got 9"),
        ({"layers": [("pool", 3, 2, 2, 1)]}, r"`padding of layers\[0\]` must be at most half its kernel"),
        ({"size": 4}, "`layers` do not fit into 4 pixels: layer 3: a window of 5 "),
        ({"layers": [("conv", 11, 4, 5, 1)] * 5}, "a field may be 999 pixels wide at most, .* got 3411"),
        ({"size": 32, "layers": [("conv", 1, 1, 8, 1)] * 2}, "spread over 48 pixels at most, .* got 64"),
        ({"unit": [5, 0]}, r"`unit` must be a map and a unit of it, of \[24, 24, 24, 12, 10\] units, got"),
        ({"unit": [4, 10]}, "`unit` must be a map and a unit of it"),
        ({"unit": [4]}, "`unit` must be a map and a unit of it"),
        ({"unit": [0, -1]}, "`unit` must be at least 0, got -1"),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    "changes", [{"size": 7.0}, {"layers": [("conv", 3.0, 1, 1, 1)]}, {"layers": [("conv", 3, True, 1, 1)]}]
)
def test_numbers_are_integers(changes):
    with pytest.raises(TypeError, match="must be an integer, got"):
        build(**changes)


def test_numbers_of_numpy_are_taken():
    figure = build([("conv", *np.array([3, 1, 1, 1]))], size=np.int64(6), unit=np.array([1, 2]))
    assert (figure.layers, figure.size, figure.unit) == ([["conv", 3, 1, 1, 1]], 6, [1, 2])
    json.dumps(figure.state())


def test_an_impossible_change_changes_nothing():
    figure = build(unit=[4, 9])
    with pytest.raises(TraitError, match="do not fit into 4 pixels"):
        figure.size = 4
    with pytest.raises(TraitError, match="do not fit into 2 pixels"):
        figure.set_state({"size": 2, "layers": [["conv", 5, 1, 1, 1]], "unit": [0, 0]})
    assert (figure.size, figure.layers, figure.unit) == (24, [list(layer) for layer in STACK], [4, 9])


def test_unit_starts_in_the_middle_and_stays_inside():
    figure = build()
    assert figure.unit == [4, 4]
    figure.unit = [4, 9]
    figure.size = 20
    assert figure.unit == [4, 7]
    figure.layers = STACK[:3]
    assert figure.unit == [3, 7]
    figure.set_state({"size": 24, "layers": [list(layer) for layer in STACK], "unit": [4, 9]})
    assert figure.unit == [4, 9]


def test_same_figure_gives_the_same_bytes():
    one, other = (build(unit=[2, 3]) for _ in range(2))
    assert one.html() == other.html()
    assert repr(one) == repr(other)


# In a browser

PHONE = {"viewport": {"width": 390, "height": 844}}


def labels(page) -> list[str]:
    return page.locator("text.cft-label").all_text_contents()


def table(page) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in page.locator("tbody tr").all()]


def boxes(page, row: int, name: str) -> list[tuple[float, float]]:
    """Left and right ends of the cells drawn in a row with a mark, in pixels of the input."""
    path = page.locator(f".cft-{name}").nth(row).get_attribute("d") or ""
    ticks = page.locator(".cft-tick").evaluate_all(
        "all => all.map(e => [+e.textContent, +e.getAttribute('x')])"
    )
    (zero, left), (last, right) = ticks[0], ticks[-1]
    scale = (right - left) / (last - zero)
    ends = re.findall(r"M(-?[\d.]+) -?[\d.]+H(-?[\d.]+)v", path)
    return [
        tuple((float(end) + way - left) / scale for end, way in zip(pair, (-0.5, 0.5), strict=True))
        for pair in ends
    ]


def slide(page, name: str, value: int) -> None:
    page.get_by_label(name).fill(str(value))


def test_first_view(visit):
    page = visit(build())
    says(
        page,
        "Unit 4 of layer 4: its field begins at start + unit · j = −4 + 4·2 = 4 and ends at 17: r = 14. ",
    )
    says(page, "No border cuts it.")
    says(page, "Layer 4, conv: r = 6 + 2·(3 − 1)·2 = 14; j = 2·1 = 2; start = −2 − 1·2 = −4; ")
    says(page, "neighbours share 12 of 14 pixels: overlap 0.86.")
    expect(page.locator("figcaption")).to_have_text("Choose a unit.")
    assert labels(page) == [
        "Input: pixels 4 to 17",
        "Layer 1, conv: units 5 to 16",
        "Layer 2, conv: units 6 from 6 to 15",
        "Layer 3, pool: units 3, 5, 7",
        "Layer 4, conv: unit 4",
    ]
    assert table(page) == [
        ["input", "", "", "", "", "24", "1", "1", "0", "0"],
        ["1 conv", "3", "1", "1", "1", "24", "3", "1", "−1", "0.67"],
        ["2 conv", "3", "1", "1", "1", "24", "5", "1", "−2", "0.8"],
        ["3 pool", "2", "2", "0", "1", "12", "6", "2", "−2", "0.67"],
        ["4 conv", "3", "1", "1", "2", "10", "14", "2", "−4", "0.86"],
    ]
    expect(page.locator("tr.cft-here th")).to_have_text("4 conv")
    expect(page.locator("legend")).to_have_text("Change layer 4")


@pytest.mark.parametrize("layers", [STACK, [("conv", 3, 2, 1, 1)] * 3, [("conv", 1, 1, 5, 1)]])
def test_units_are_drawn_over_the_middle_of_their_fields(visit, layers):
    page = visit(build(layers))
    says(page, "Unit")
    for n, field in enumerate(fields_of(24, layers)):
        drawn = boxes(page, n, "unit")
        assert len(drawn) == field.map_size[0]
        half = min(field.jump[0], 3) / 2  # cells touch, up to three pixels
        for unit, ends in enumerate(drawn):
            middle = field.centre[0] + unit * field.jump[0]
            assert ends == pytest.approx((middle - half, middle + half), abs=1e-3)


def test_what_the_border_cuts_off_is_hatched(visit):
    page = visit(build(unit=[4, 0]))
    says(page, "The border cuts off 4 (hatched): it reads 10 pixels, 0 to 9.")
    pixels = page.locator(".cft-pixel").get_attribute("d")
    assert pixels.count("M") == 10
    cut = boxes(page, 0, "cut")
    assert [left + 0.5 for left, _ in cut] == pytest.approx([-4, -3, -2, -1], abs=1e-3)
    assert labels(page)[:3] == [
        "Input: pixels 0 to 9; 4 cut off",
        "Layer 1, conv: units 1 to 8; 4 cut off",
        "Layer 2, conv: units 2, 3, 6, 7; 2 cut off",
    ]


def test_window_joins_what_is_read_to_what_reads_it(visit):
    page = visit(build(unit=[1, 7], layers=[("conv", 3, 1, 1, 2)]))
    says(page, "Unit 7 of layer 1")
    path = page.locator(".cft-window").first.get_attribute("d")
    left, right, lower_right, lower_left = map(
        float, re.fullmatch(r"M(\S+) 56H(\S+)L(\S+) 84H(\S+)z", path).groups()
    )
    (a, _), *_, (_, b) = boxes(page, 0, "pixel")
    assert (a + 0.5, b - 0.5) == pytest.approx((6, 10), abs=1e-3)
    scale = (right - left) / 5
    assert (lower_right - lower_left) == pytest.approx(scale, rel=1e-6)
    assert lower_left - left == pytest.approx(2 * scale, rel=1e-6)


def test_keys_move_the_unit(visit):
    page = visit(build())
    page.locator("[data-drive=keys]").focus()
    for key, told in [
        ("ArrowRight", "5 of layer 4"),
        ("ArrowDown", "5 of layer 4"),
        ("ArrowUp", "6 of layer 3"),
        ("ArrowUp", "13 of layer 2"),
        ("ArrowUp", "13 of layer 1"),
        ("ArrowUp", "13 of the input"),
        ("ArrowUp", "13 of the input"),
        ("End", "23 of the input"),
        ("ArrowRight", "23 of the input"),
        ("ArrowLeft", "22 of the input"),
        ("Home", "0 of the input"),
        ("ArrowDown", "0 of layer 1"),
    ]:
        page.keyboard.press(key)
        says(page, f"Unit {told}:")
    expect(page.locator("tr.cft-here th")).to_have_text("1 conv")
    expect(page.locator("legend")).to_have_text("Change layer 4")


def test_sliders_change_the_chosen_layer(visit):
    page = visit(build())
    for name, told in [
        ("kernel size", "r = 6 + 2·(4 − 1)·2 = 18; j = 2·1 = 2"),
        ("stride", "r = 6 + 2·(4 − 1)·2 = 18; j = 2·2 = 4"),
        ("padding", "start = −2 − 2·2 = −6"),
        ("dilation", "r = 6 + 3·(4 − 1)·2 = 24"),
    ]:
        slider = page.get_by_label(name)
        slider.press("ArrowRight")
        says(page, told)
        expect(slider).to_be_focused()
    slide(page, "input pixels", 32)
    expect(page.locator("tbody td").nth(4)).to_have_text("32")
    assert table(page)[0][5] == "32"
    assert table(page)[4][:6] == ["4 conv", "4", "2", "2", "3", "6"]
    page.get_by_role("radio", name="2 conv").check()
    expect(page.locator("legend")).to_have_text("Change layer 2")
    page.get_by_role("radio", name="pool", exact=True).check()
    says(page, "r = 6 +")
    expect(page.locator("tbody th").nth(2)).to_have_text("2 pool")
    page.get_by_role("radio", name="2 pool").press("ArrowDown")
    expect(page.get_by_role("radio", name="3 pool")).to_be_focused()
    expect(page.get_by_label("kernel size")).to_have_value("2")


def test_limits_of_the_sliders_are_those_of_python(visit):
    page = visit(build())
    limits = [*tracer.LIMITS.values(), (1, tracer.MOST_PIXELS)]
    found = page.locator("[type=range]").evaluate_all("all => all.map(e => [+e.min, +e.max])")
    assert found == [list(pair) for pair in limits]


def test_layers_are_added_and_removed(visit):
    page = visit(build([("conv", 3, 1, 1, 1), ("pool", 2, 2, 0, 1)], size=8))
    add, remove = (page.get_by_role("button", name=name) for name in ("Add a layer after it", "Remove it"))
    page.get_by_role("radio", name="1 conv").check()
    add.press("Enter")
    says(page, "Unit 1 of layer 3:")
    assert [row[0] for row in table(page)] == ["input", "1 conv", "2 conv", "3 pool"]
    expect(page.locator("legend")).to_have_text("Change layer 2")
    slide(page, "kernel size", 5)
    says(page, "r = 7 + 1·(2 − 1)·1 = 8; j = 1·2 = 2")
    assert [row[1] for row in table(page)] == ["", "3", "5", "2"]
    remove.press("Enter")
    says(page, "Unit 1 of layer 2:")
    assert [row[1] for row in table(page)] == ["", "3", "2"]
    expect(page.locator("legend")).to_have_text("Change layer 2")
    remove.click()
    expect(page.locator("legend")).to_have_text("Change layer 1")
    alert = page.locator("[role=alert]")
    remove.click()
    expect(alert).to_have_text("One layer must stay. Nothing is changed.")
    for count in range(2, 9):
        add.click()
        expect(page.locator("tbody tr")).to_have_count(count + 1)
        expect(alert).to_have_text("")
    add.click()
    expect(alert).to_have_text("Eight layers are the most. Nothing is changed.")
    says(page, "Unit 3 of layer 8:")
    says(page, "r = 15 + 1·(3 − 1)·1 = 17")


@pytest.mark.parametrize(
    ("layers", "name", "value", "message"),
    [
        (
            [("conv", 3, 1, 0, 1)],
            "kernel size",
            9,
            "Layer 1: a window of 9 does not fit 6 units and padding 0.",
        ),
        ([("pool", 2, 2, 1, 1)], "padding", 2, "Layer 1: a pool's padding is at most half its kernel size."),
        (
            [("conv", 3, 1, 0, 1)] * 2,
            "input pixels",
            3,
            "Layer 2: a window of 3 does not fit 1 unit and padding 0.",
        ),
    ],
)
def test_impossible_layers_are_explained_and_nothing_changes(visit, layers, name, value, message):
    page = visit(build(layers, size=6))
    before, old = table(page), page.get_by_label(name).input_value()
    slide(page, name, value)
    expect(page.locator("[role=alert]")).to_have_text(f"{message} Nothing is changed.")
    expect(page.get_by_label(name)).to_have_value(old)
    assert table(page) == before
    slide(page, "padding", 1)
    expect(page.locator("[role=alert]")).to_have_text("")


def test_unit_stays_inside_on_the_page_too(visit):
    page = visit(build(unit=[4, 9]))
    slide(page, "stride", 2)
    says(page, "Unit 4 of layer 4:")
    page.locator("[data-drive=keys]").press("ArrowLeft")
    says(page, "Unit 3 of layer 4:")


def cell(page, row: int, pixel: float) -> tuple[float, float]:
    """A place on the screen: over a pixel, in a row."""
    box = page.locator("svg").bounding_box()
    ticks = page.locator(".cft-tick").evaluate_all(
        "all => all.map(e => [+e.textContent, +e.getAttribute('x')])"
    )
    (zero, left), (last, right) = ticks[0], ticks[-1]
    return box["x"] + left + (pixel - zero) * (right - left) / (last - zero), box["y"] + 47 + 46 * row


def test_pointer_chooses_and_a_click_holds(visit):
    page = visit(build())
    page.mouse.move(*cell(page, 2, 7))
    says(page, "Unit 7 of layer 2:")
    page.mouse.move(*cell(page, 4, 2.5))
    says(page, "Unit 0 of layer 4:")
    page.mouse.move(*cell(page, 0, 25))
    says(page, "Unit 23 of the input:")
    page.mouse.move(*cell(page, 2, 9))
    page.mouse.down()
    page.mouse.up()
    says(page, "Unit 9 of layer 2:")
    expect(page.locator("legend")).to_have_text("Change layer 2")
    page.mouse.move(*cell(page, 3, 3))
    page.wait_for_timeout(50)
    says(page, "Unit 9 of layer 2:")
    slide(page, "kernel size", 5)
    says(page, "Unit 9 of layer 2:")
    page.mouse.move(*cell(page, 3, 4.5))
    page.mouse.down()
    page.mouse.up()
    says(page, "Unit 2 of layer 3:")
    page.mouse.move(*cell(page, 1, 4))
    says(page, "Unit 4 of layer 1:")


def test_touch(visit):
    page = visit(build(), has_touch=True, is_mobile=True, **PHONE)
    page.touchscreen.tap(*cell(page, 1, 5))
    says(page, "Unit 5 of layer 1:")
    expect(page.locator("legend")).to_have_text("Change layer 1")
    page.touchscreen.tap(*cell(page, 0, 8))
    says(page, "Unit 8 of the input:")
    expect(page.locator("legend")).to_have_text("Change layer 1")


def test_drawing_follows_the_width_of_the_page(visit):
    page = visit(build(), viewport={"width": 1280, "height": 900})
    says(page, "Unit 4")
    for width in (390, 1000):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            """() => { const { left, right } = document.querySelector("svg").getBoundingClientRect();
                const row = document.querySelector(".cft-unit").getBoundingClientRect();
                return row.right <= right && row.width > 0.6 * (right - left); }"""
        )


def test_table_stands_beside_the_rows_of_the_drawing(visit):
    page = visit(build(), viewport={"width": 1280, "height": 900})
    says(page, "Unit 4")
    drawn, told = (
        page.locator(selector).evaluate_all(
            "all => all.map(e => e.getBoundingClientRect()).map(b => [b.left, (b.top + b.bottom) / 2])"
        )
        for selector in (".cft-unit", "tbody tr")
    )
    assert [y for _, y in drawn] == pytest.approx([y for _, y in told], abs=2)
    assert min(x for x, _ in told) > 300


def test_two_figures_are_independent(visit):
    page = visit(build(), build(STACK[:1]))
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "Unit 11 of layer 1:")
    first.get_by_label("stride").fill("2")
    first.get_by_role("radio", name="pool", exact=True).check()
    says(first, "Layer 4, pool: r = 6 + 2·(3 − 1)·2 = 14; j = 2·2 = 4")
    says(second, "Layer 1, conv: r = 1 + 1·(3 − 1)·1 = 3; j = 1·1 = 1")
    expect(second.get_by_role("radio", name="conv", exact=True)).to_be_checked()


def widest() -> ReceptiveFieldTracer:
    """Eight layers, the widest drawing, long fields with holes."""
    layers = [("conv", 11, 1, 8, 2), ("conv", 3, 1, 8, 8), ("pool", 3, 2, 1, 1)]
    return build([*layers, *[("conv", 3, 1, 8, 8)] * 4, ("conv", 2, 1, 1, 1)], size=32, unit=[8, 3])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    for widget in (build(unit=[4, 0]), widest()):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "Unit")
        check_layout(page)
        assert page.locator("table").evaluate("e => e.getBoundingClientRect().right") <= width


def test_text_is_large_enough_on_a_phone(visit):
    page = visit(widest(), before="<style>main { width: 343px }</style>", **PHONE)
    says(page, "Unit")
    sizes = page.locator("svg text, td, th, legend, li, [aria-live] p").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert len(sizes) > 100
    assert min(sizes) >= 11
