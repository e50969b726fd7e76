import json
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from browsing import check_layout, check_nonsense, drive_by_keys, drive_by_pointer, in_javascript, says
from playwright.sync_api import Page, expect
from torch import nn

from convlab import data, nets
from convlab.fields import Layer, receptive_field
from convlab.figures import ScaleProfiles
from convlab.figures.scale_profiles import NETWORKS, RULE, SCENES

OBJECTS = {4: 1, 10: 2, 20: 3, 30: 4}  # size: count


def build(**changes) -> ScaleProfiles:
    return ScaleProfiles(**{"networks": ["vgg16", "resnet50"], "caption": "Find the gap."} | changes)


def small(**changes) -> ScaleProfiles:
    """Fields 3, 5, 10 and 20, and ten objects."""
    layers = [Layer(3), Layer(3), Layer(6), Layer(11)]
    return build(
        **{"networks": {"four": layers}, "histogram": OBJECTS, "maps": ["2"], "rule": (1, 2)} | changes
    )


def true_fit(size: int, field: float, rule) -> bool:
    """The rule in exact arithmetic, for factors in tenths."""
    a, b = (Fraction(round(10 * factor), 10) for factor in rule)
    return a * size <= Fraction(field).limit_denominator(10) <= b * size


def random_settings(count: int):
    """Fields, objects [size, count] and rules, those among them that fit exactly or not at all."""
    rng = np.random.default_rng(0)
    for number in range(count):
        sizes = np.unique(rng.integers(1, [20, 200, 2000][number % 3], rng.integers(1, 60)))
        objects = [[int(size), int(rng.integers(1, 50))] for size in sizes]
        low = round(int(rng.integers(1, 40)) / 10, 1)
        rule = [low, round(low + int(rng.integers(1, 60)) / 10, 1)]
        fields = (rng.geometric(0.01, rng.integers(0, 9)) + 2).tolist()
        if number % 4 == 0:  # on the edge of the rule
            fields += [float(Fraction(round(10 * factor), 10) * int(sizes[0])) for factor in rule]
        yield [fields, objects, rule]


# In Python


def test_state_holds_plain_numbers():
    widget = build(histogram=np.array([3, 3.4, 7.0]), rule=np.array([1, 2]))
    state = widget.state()
    assert json.loads(json.dumps(state)) == state
    assert state.keys() == {"caption", "profiles", "objects", "network", "maps", "layer", "rule"}
    assert state["objects"] == [[3, 2], [7, 1]]
    assert state["rule"] == [1, 2]


@pytest.mark.parametrize("name", NETWORKS)
def test_profile_of_a_named_network_is_that_of_the_library(name):
    net = NETWORKS[name]()
    fields = receptive_field(net)
    ((profile),) = ScaleProfiles([name]).profiles
    assert profile["name"] == net.name
    for layer, size, jump in profile["layers"]:
        assert (size, jump) == (fields[layer].size[0], fields[layer].jump[0])
    names = [layer for layer, *_ in profile["layers"]]
    assert set(profile["maps"]) <= set(names)
    nodes = {node.name: node for node in net.nodes}
    for before, layer in zip(["input", *names], names, strict=False):
        assert before in nodes[layer].inputs  # one path, no jumps
    assert not any(isinstance(nodes[layer].op, nets.Dense | nets.GlobalPool) for layer in names)
    sizes = [size for _, size, _ in profile["layers"]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == max(
        fields[node].size[0] for node in nodes if not isinstance(nodes[node].op, nets.Dense | nets.GlobalPool)
    )


def test_first_maps_are_the_outputs_or_the_last_of_every_jump():
    assert build().maps == ["conv3_3", "conv4_3", "conv5_3", "pool5"]
    for name in ("resnet50", "resnet50 v1.5"):
        assert build(networks=[name]).maps == ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    assert build(networks=["mobilenet_v2"]).maps == ["conv3_2", "conv4_3", "conv6_3", "conv9"]
    assert build(networks=["mobilenet_v1"]).maps == ["conv4", "conv6", "conv12", "conv14"]
    assert tuple(build(networks=["ssd300"]).maps) == nets.ssd300().outputs
    assert build(networks={"plain": [Layer(3)] * 4}).maps == ["3"]


def test_any_network_can_be_shown():
    net = nets.Net("two branches", [nets.Node("a", nets.Conv(3, 8)), nets.Node("b", nets.Conv(5, 8))])
    module = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))
    widget = ScaleProfiles({"net": net, "mine": module, "list": [Layer(3, dilation=2)]}, input_size=64)
    by_name = {profile["name"]: profile["layers"] for profile in widget.profiles}
    assert by_name["net"] == [["a", 3, 1], ["b", 7, 1]]
    fields = receptive_field(module, input_size=64)
    assert by_name["mine"] == [[name, one.size[0], one.jump[0]] for name, one in fields.items()]
    assert by_name["list"] == [["0", 5, 1]]
    assert [one["name"] for one in ScaleProfiles([net, module], input_size=64).profiles] == [
        "two branches",
        "Sequential",
    ]
    with pytest.raises(ValueError, match="input_size"):
        ScaleProfiles([module])


def test_the_sizes_that_are_shipped_are_those_of_the_generator():
    boxes = np.concatenate([data.scene(index, size=224).boxes for index in range(400)])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides[:, 0] == sides[:, 1]).all()
    counts = Counter(sides[:, 0].tolist())
    assert build().objects == [[size, counts[size]] for size in sorted(counts)]
    assert sum(SCENES) == len(boxes)


def test_rule_is_the_span_of_its_source():
    faces, fields = [16, 32, 64, 128, 256, 512], [48, 108, 228, 340, 468, 724]  # S³FD, table 1
    jumps = np.array([4, 8, 16, 32, 64, 128])  # its 3×3 predictors add two of them to the fields of the maps
    ratios = (fields - 2 * jumps) / faces
    assert tuple(build().rule) == RULE == (round(ratios.min(), 1), round(ratios.max(), 1))


def test_another_network_comes_with_its_own_maps():
    widget = build(networks=["resnet50", "vgg16"], maps=["conv4_3", "conv3_3"])
    assert widget.maps == ["conv3_3", "conv4_3"]  # in order of depth
    assert widget.layer == "conv3_3"
    widget.network = "VGG-16"
    assert widget.maps == ["conv3_3", "conv4_3", "conv5_3", "pool5"]
    widget.network = "ResNet-50 v1"
    assert widget.maps == ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    assert widget.layer == "conv2_3"
    widget.maps = []
    assert widget.maps == []


def test_several_traits_may_change_at_once():
    widget = build()
    widget.set_state(
        {"network": "ResNet-50 v1", "maps": ["conv2_3"], "layer": "pool1"}
    )  # as the front end does
    assert (widget.network, widget.maps, widget.layer) == ("ResNet-50 v1", ["conv2_3"], "pool1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": []}, "`networks` must be 1 to 8 networks, got 0"),
        ({"networks": ["vgg16"] * 9}, "`networks` must be 1 to 8 networks, got 9"),
        ({"networks": "vgg16"}, "`networks` must be a list, or a dict of name → network, got 'vgg16'"),
        ({"networks": ["vgg19"]}, "`networks` must be names among alexnet, .*, got 'vgg19'"),
        ({"networks": ["vgg16", "vgg16"]}, "`networks` must have different names, got VGG-16, VGG-16"),
        ({"networks": {"long": [Layer(3)] * 401}}, "must have 1 to 400 layers to be drawn, got 401"),
        ({"histogram": []}, "`histogram` must"),
        ({"histogram": {}}, "`histogram` must hold at least one object, got none"),
        ({"histogram": ["small"]}, "`histogram` must be numbers"),
        ({"histogram": np.ones((2, 2))}, "`histogram` must be numbers, one per object"),
        ({"histogram": [0]}, "`histogram` must hold sizes from 1 to 10000 pixels, got 0"),
        ({"histogram": [np.nan]}, "`histogram` must hold sizes from 1 to 10000 pixels, got nan"),
        ({"histogram": {10: -1}}, "`histogram` must hold counts of objects, got -1 of size 10"),
        ({"histogram": {10: 0.5}}, r"`histogram` must hold counts of objects, got 0\.5 of size 10"),
        ({"network": "vgg16"}, "`network` must be one of 'VGG-16', 'ResNet-50 v1', got 'vgg16'"),
        ({"maps": ["conv9"]}, "`maps` must be layers of VGG-16, got 'conv9'"),
        ({"maps": "conv9"}, "`maps` must be layers of VGG-16, got 'conv9'"),
        (
            {"maps": [f"pool{n}" for n in range(1, 6)] + [f"conv{n}_1" for n in range(1, 5)]},
            "at most 8, got 9",
        ),
        ({"rule": (2, 1)}, r"`rule` must be two factors a < b from 0.1 to 20, got \(2, 1\)"),
        ({"rule": (0, 1)}, "`rule` must be two factors"),
        ({"rule": (1, 21)}, "`rule` must be two factors"),
        ({"rule": 3}, "`rule` must be two factors a < b from 0.1 to 20, got 3"),
        ({"rule": (1, np.nan)}, "`rule` must be two factors"),
        ({"layer": "conv9"}, "`layer` must be a layer of VGG-16, got 'conv9'"),
    ],
)
def test_bad_input(changes, message):
    name = next(iter(changes))
    if name != "layer":
        with pytest.raises((ValueError, TypeError), match=message):
            build(**changes)
    if name in ("network", "maps", "rule", "layer"):
        widget = build()
        before = widget.state()
        with pytest.raises((ValueError, TypeError), match=message):
            widget.set_trait(*changes.popitem())
        assert widget.state() == before


def test_same_figure_gives_the_same_page():
    assert build().html() == build().html()
    state = re.compile(r'(?s)<script type="application/json">.*?</script>')
    assert state.sub("", build().html()) == state.sub("", small().html())


# Its arithmetic, in JavaScript, against Python's


def test_fit_and_gaps(page):
    vectors = list(random_settings(400))
    code = """x.map(([fields, objects, rule]) => [
        m.cover(fields, objects, rule),
        m.bins(fields, objects, rule),
        fields.map((one) => m.sizes(one, rule)),
    ])"""
    edges = 0
    for (fields, objects, rule), (cover, bins, ranges) in zip(
        vectors, in_javascript(page, ScaleProfiles, code, vectors), strict=True
    ):
        fit = [any(true_fit(size, field, rule) for field in fields) for size, _ in objects]
        counts = np.array([count for _, count in objects])
        assert cover["all"] == counts.sum()
        assert cover["fit"] == counts[fit].sum()
        runs = re.finditer("0+", "".join("1" if one else "0" for one in fit))
        spans = [objects[run.start() : run.end()] for run in runs]
        assert cover["gaps"] == [[one[0][0], one[-1][0], sum(count for _, count in one)] for one in spans]
        assert sum(good + bad for _, good, bad in bins) == counts.sum()
        assert sum(good for _, good, _ in bins) == cover["fit"]
        for (size, count), good in zip(objects, fit, strict=True):
            ((_, fitting, gap),) = [
                one for one in bins if 2 ** (one[0] / 2) <= size < 2 ** ((one[0] + 1) / 2)
            ]
            assert (fitting if good else gap) >= count
        for field, (low, high) in zip(fields, ranges, strict=True):
            near = range(max(low - 2, 1), min(low, high) + 3), range(max(high - 2, 1), high + 3)
            for size in {*near[0], *near[1]}:
                assert (low <= size <= high) == true_fit(size, field, rule)
                edges += true_fit(size, field, rule)
    assert edges > 500


# In a browser


def gaps(page: Page) -> int:
    return page.locator(".cfr-objects .cfr-gap").count()


def rows(page: Page) -> list[list[str]]:
    return [line.locator("td").all_text_contents() for line in page.locator("tbody tr").all()]


def test_first_view(visit):
    page = visit(build())
    says(
        page,
        "VGG-16, conv3_3, layer 9 of 18: field 40, jump 4; fits sizes 13 to 44, 44\u00a0% of the objects.",
    )
    says(page, "Maps in use: conv3_3, conv4_3, conv5_3, pool5. 723 of 991 objects fit (73\u00a0%)")
    says(page, "in a gap: sizes 6 to 12 (27\u00a0%).")
    sizes = [size for size, count in build().objects for _ in range(count)]
    fit = [any(true_fit(size, field, RULE) for field in (40, 92, 196, 212)) for size in sizes]
    assert (sum(fit), len(fit)) == (723, 991)
    assert [row[1:4] for row in rows(page)] == [
        ["conv3_3", "40", "4"],
        ["conv4_3", "92", "8"],
        ["conv5_3", "196", "16"],
        ["pool5", "212", "32"],
    ]
    assert rows(page)[0][4:] == ["13–44", "44\u00a0%"]
    expect(page.locator("svg[data-drive] > circle")).to_have_count(18)
    expect(page.locator("svg[data-drive] > line")).to_have_count(17)
    expect(page.locator("svg[data-drive] g rect")).to_have_count(4)
    expect(page.locator(".cfr-objects .cfr-fit")).to_have_text(["1", "2", "3", "4"])
    expect(page.get_by_text("991 objects by size")).to_be_visible()
    expect(page.get_by_text("in a gap", exact=True)).to_be_visible()
    expect(page.locator("figcaption")).to_have_text("Find the gap.")


def test_fit_and_gap_of_a_small_histogram(visit):
    page = visit(small())
    says(page, "four, 2, layer 3 of 4: field 10, jump 1; fits sizes 5 to 10, 20\u00a0% of the objects.")
    says(page, "2 of 10 objects fit (20\u00a0%); in a gap: sizes 4 (10\u00a0%), 20 to 30 (70\u00a0%).")
    assert gaps(page) == 3
    page.locator("[data-drive=keys]").press("End")
    page.keyboard.press(" ")
    says(
        page,
        "Maps in use: 2, 3. 5 of 10 objects fit (50\u00a0%); in a gap: sizes 4 (10\u00a0%), 30 (40\u00a0%).",
    )
    page.get_by_role("spinbutton", name="a =").fill("0.6")
    says(page, "Maps in use: 2, 3. 9 of 10 objects fit (90\u00a0%); in a gap: sizes 4 (10\u00a0%).")
    page.get_by_role("spinbutton", name="b =").fill("2.5")
    says(page, "10 of 10 objects fit (100\u00a0%).")
    assert gaps(page) == 0


def test_field_stands_at_its_size_on_the_common_axis(visit):
    page = visit(small())
    says(page, "four")
    heights = page.evaluate("""() => {
        const place = (part) => part.getBoundingClientRect().top + part.getBoundingClientRect().height / 2;
        const all = (selector) => [...document.querySelectorAll(selector)];
        return [
            all(".cfr-axis span").map((e) => [Number(e.textContent), place(e)]),
            all("svg[data-drive] > circle").map(place),
            document.querySelector(".cfr-cursor:not(i)").getBoundingClientRect(),
        ];
    }""")
    ticks, dots, cursor = heights
    sizes, places = np.array(ticks).T

    def height(size: float) -> float:
        return np.interp(np.log2(size), np.log2(sizes)[::-1], places[::-1])

    np.testing.assert_allclose(dots, [height(field) for field in (3, 5, 10, 20)], atol=1)
    np.testing.assert_allclose([cursor["top"], cursor["bottom"]], [height(10), height(5)], atol=1)


def test_layer_by_keyboard_and_buttons(visit):
    page = visit(build())
    page.locator("[data-drive=keys]").focus()
    for key, told in [
        ("Home", "conv1_1, layer 1 of 18: field 3"),
        ("ArrowLeft", "conv1_1, layer 1"),
        ("ArrowRight", "conv1_2, layer 2 of 18: field 5"),
        ("End", "pool5, layer 18 of 18: field 212"),
        ("ArrowRight", "pool5, layer 18"),
    ]:
        page.keyboard.press(key)
        says(page, told)
    page.get_by_role("button", name="Layer before").press("Enter")
    says(page, "conv5_3, layer 17")
    page.get_by_role("button", name="Next layer").click()
    says(page, "pool5, layer 18")


def test_maps_are_put_in_use_by_space_and_by_the_box(visit):
    page = visit(build(maps=[]))
    says(page, "Maps in use: none. 0 of 991 objects fit (0\u00a0%); in a gap: sizes 6 to 149 (100\u00a0%).")
    stage, box = page.locator("[data-drive=keys]"), page.get_by_role("checkbox")
    stage.press(" ")
    says(page, "Maps in use: conv3_3. ")
    expect(box).to_be_checked()
    stage.press("Home")
    expect(page.get_by_label("use the map of conv1_1")).not_to_be_checked()
    box.check()
    says(page, "Maps in use: conv1_1, conv3_3.")
    box.press(" ")
    says(page, "Maps in use: conv3_3.")
    assert len(rows(page)) == 1


def test_at_most_eight_maps(visit):
    page = visit(build(maps=["pool1", "pool2", "pool3", "pool4", "pool5", "conv3_3", "conv4_3", "conv5_3"]))
    page.locator("[data-drive=keys]").press("Home")
    page.keyboard.press(" ")
    expect(page.get_by_role("alert")).to_have_text("At most 8 maps can be in use.")
    expect(page.get_by_role("checkbox")).not_to_be_checked()
    assert len(rows(page)) == 8


def test_network_by_its_list(visit):
    page = visit(build(networks=["vgg16", "resnet50", "resnet50 v1.5"]))
    page.get_by_role("combobox", name="network").select_option("ResNet-50 v1")
    says(page, "ResNet-50 v1, conv2_3, layer 14 of 66: field 35, jump 4")
    says(page, "Maps in use: conv2_3, conv3_4, conv4_6, conv5_3.")
    assert [row[2] for row in rows(page)] == ["35", "99", "291", "483"]
    page.get_by_role("button", name="Next layer").click()
    page.get_by_role("combobox", name="network").focus()
    page.keyboard.press("ArrowDown")
    says(page, "ResNet-50 v1.5, conv2_3, layer 14 of 66: field 35")
    assert [row[2] for row in rows(page)] == ["35", "91", "267", "427"]


def test_network_may_come_before_its_layer(page):
    state = build().state() | {"network": "ResNet-50 v1", "layer": "pool5", "maps": ["pool5"]}
    code = """(() => {
        const el = document.createElement("div");
        const model = { get: (name) => x[name], on() {} };
        m.default.render({ model, el });
        return el.querySelector("[aria-live]").textContent;
    })()"""
    told = in_javascript(page, ScaleProfiles, code, state)
    assert told.startswith("ResNet-50 v1, conv1, layer 1 of 66: field 7")


@pytest.mark.parametrize("nonsense", ["", "-", "0", "21", "1.45", "3.1", "5"])
def test_nonsense_in_the_rule_changes_nothing(visit, nonsense):
    page = visit(build())
    says(page, "fits sizes")
    factor = page.get_by_role("spinbutton", name="a =")
    check_nonsense(factor, nonsense, "a and b are numbers from 0.1 to 20, a less than b.")
    factor.fill("2")
    says(page, "fits sizes 13 to 20")


def test_pointer_chooses_and_click_uses(visit):
    page = visit(build(), viewport={"width": 1280, "height": 1000})
    box = page.locator("[data-drive=pointer]").bounding_box()

    def place(layer: int) -> tuple[float, float]:
        return box["x"] + (layer + 0.5) / 18 * box["width"], box["y"] + 100

    page.mouse.move(*place(0))
    says(page, "conv1_1, layer 1 of 18")
    page.mouse.move(*place(9))
    says(page, "pool3, layer 10 of 18")
    page.mouse.click(*place(9))
    says(page, "Maps in use: conv3_3, pool3, conv4_3")
    page.mouse.click(*place(9))
    says(page, "Maps in use: conv3_3, conv4_3")


def test_first_tap_chooses_and_second_uses(visit):
    page = visit(build(), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    figure = page.locator("[data-convlab-figure]")
    drive_by_keys(figure)
    drive_by_pointer(figure, touch=True)
    says(page, "Maps in use: conv3_3, conv4_3, conv5_3, pool5.")
    surface = page.locator("[data-drive=pointer]")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    for told in ("Maps in use: conv3_3, conv4_3", "Maps in use: conv1_1, conv3_3"):
        page.touchscreen.tap(box["x"] + 2, box["y"] + 50)
        says(page, "conv1_1, layer 1 of 18")
        says(page, told)


def test_two_figures_are_independent(visit):
    page = visit(build(), small())
    first, second = (page.locator("[data-convlab-figure]").nth(i) for i in range(2))
    second.scroll_into_view_if_needed()
    says(second, "four, 2, layer 3 of 4")
    first.get_by_role("combobox", name="network").select_option("ResNet-50 v1")
    first.get_by_role("spinbutton", name="a =").fill("1")
    says(first, "ResNet-50 v1")
    says(second, "four, 2, layer 3 of 4: field 10, jump 1; fits sizes 5 to 10")


def test_a_name_is_only_text(visit):
    page = visit(small(networks={"<b>x</b>": [Layer(3)] * 4}, maps=None))
    says(page, "<b>x</b>, 3, layer 4 of 4")
    expect(page.locator("figure b")).to_have_count(0)
    expect(page.get_by_role("combobox", name="network")).to_have_value("<b>x</b>")


def widest() -> ScaleProfiles:
    """Many layers, eight maps, large numbers."""
    layers = [layer for layer, *_ in ScaleProfiles(["resnet152"]).profiles[0]["layers"]]
    return build(networks=["resnet152", "vgg16"], maps=layers[10::20][:8], histogram=[1, 5000, 9999])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_layout_and_accessibility(visit, width, theme):
    for widget in (build(maps=["conv3_3"]), widest()):
        page = visit(widget, theme=theme, viewport={"width": width, "height": 900})
        says(page, "Maps in use")
        check_layout(page)


@pytest.mark.parametrize("width", [343, 656])  # of a page's text, on a phone and beside two side bars
def test_it_fits_the_page_and_its_text_is_large_enough(visit, width):
    style = f"<style>main {{ margin: 0 auto; width: {width}px }}</style>"
    for widget in (build(), widest()):
        page = visit(widget, before=style, viewport={"width": width + 20, "height": 900})
        says(page, "Maps in use")
        assert page.locator("figure").evaluate("e => e.scrollWidth <= e.clientWidth")
        sizes = page.locator("figure *").evaluate_all(
            "all => all.filter(e => e.textContent).map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 11
        lanes, bars = (
            page.locator(f".cfr-objects {kind}").evaluate_all(
                "all => all.map(e => e.getBoundingClientRect()).map(b => [b.left, b.right])"
            )
            for kind in (".cfr-fit", ":is(.cfr-bar, .cfr-gap)")
        )
        assert max(right for _, right in lanes) <= min(left for left, _ in bars)
