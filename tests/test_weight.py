"""What the chapters cost a reader on a phone who comes for the first time; how the pages were made light."""

import gzip
import json
import re
from html import unescape

import formulas
import heights
import light
import notebooks
import pytest
from browsing import PAGES, ROOT, VIEWPORTS
from fontTools.ttLib import TTFont
from playwright.sync_api import expect
from weigh import weigh

CHAPTERS = [f"chapters/{path.stem}.html" for path in notebooks.CHAPTERS]
WITH_FIGURES = ["book/index.html", *CHAPTERS]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_light_and_stands_still(browser, origin, name):
    load = weigh(browser, f"{origin}/{name}")
    assert 40_000 < load.size <= 600_000
    assert load.shift <= 0.05
    assert load.elsewhere == []
    assert [url for url in load.requests if light.FIGURES in url] == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_text_comes_early(site, name):
    before, _, after = (site / name).read_text(encoding="utf-8").partition("<h1")
    assert len(gzip.compress(before.encode())) <= 24_000
    assert "<script defer" not in before + after.partition("</article>")[0]


def test_a_jump_counts(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<div id=a></div><h1>Text</h1><p style='height:500px'>Much text</p>"
        "<script>setTimeout(() => (a.style.height = '300px'), 200);</script>"
    )
    assert weigh(browser, page.as_uri()).shift > 0.05


def test_figures_are_loaded_when_they_come_near(browser, origin):
    page = browser.new_page(viewport=VIEWPORTS["phone"])
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{origin}/chapters/06_receptive_fields.html")
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if light.FIGURES in url] == []
    figures = page.locator("[data-convlab-figure]")
    figures.first.scroll_into_view_if_needed()
    expect(figures.first.locator("[data-drive]").first).to_be_visible()
    assert len([url for url in asked if light.FIGURES in url]) == 3
    assert figures.nth(1).locator("[data-drive]").count() == 0
    page.close()


@pytest.mark.parametrize("name", [WITH_FIGURES[n] for n in (0, 6, 9)])
def test_room_is_kept_for_figures(browser, site, name):
    page = browser.new_page()
    kept = light.HEIGHTS[name.rpartition("/")[2].removesuffix(".html")]
    measured = heights.measure(page, (site / name).as_uri())
    page.close()
    assert len(kept) == len(measured)
    for (phone, desktop), (high, low) in zip(kept, measured, strict=True):
        assert (phone, desktop) == (pytest.approx(high, abs=40), pytest.approx(low, abs=40))


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_left_of_the_heavy_page(site, name):
    page = (site / name).read_text(encoding="utf-8")
    assert not re.search(r'rel="stylesheet"|fontawesome|<(?:i|span) class="[^"]*\bfa-|tex-mml-chtml', page)
    assert page.count("<style>.svg-inline--fa") == 1
    slow = re.findall(r"<script(?![^>]*defer)[^>]*src=[^>]*>", page)
    assert slow == [] or name == "search.html"


def test_scripts_of_figures_are_shared(site):
    pages = [
        (site / name).read_text(encoding="utf-8") for name in ("chapters/01_feature_maps.html", CHAPTERS[-1])
    ]
    modules, states = (
        {address for page in pages for address in re.findall(rf"{kind}&quot;, &quot;([^&]+)", page)}
        for kind in ("text/plain", "application/json")
    )
    assert len(modules) == 1  # the same figure in both chapters
    assert len(states) == 2


# Every tag, class and id that comes to a page outside its figures.
COMERS = """
    window.comers = new Set();
    const note = element => {
        if (element.nodeType !== 1 || element.closest("[data-convlab-figure]")) return;
        for (const name of [element.localName, element.id, ...element.classList]) if (name) comers.add(name);
    };
    new MutationObserver(changes => changes.forEach(({ target, addedNodes }) => {
        note(target);
        for (const added of addedNodes) [added, ...added.querySelectorAll?.("*") ?? []].forEach(note);
    })).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
"""
CONTROLS = (
    ".theme-switch-button",
    ".search-button__button",
    ".bd-header-article .dropdown-toggle",
    ".primary-toggle",
    ".secondary-toggle",
    ".copybtn",
)


def test_the_rules_for_what_scripts_bring_are_known(browser, origin, site):
    brought = set()
    for name in ("search.html?q=stride", f"{CHAPTERS[1]}?highlight=map"):
        for view in VIEWPORTS.values():
            page = browser.new_page(viewport=view)
            page.add_init_script(COMERS)
            page.goto(f"{origin}/{name}")
            page.wait_for_load_state("networkidle")
            for place in (4000, 0):
                page.evaluate("top => scrollTo({ top, behavior: 'instant' })", place)
                gone = page.evaluate("scrollY") > 0  # the page of the search is short
                expect(page.locator(".scrolled")).to_have_count(int(gone))
            for control in (page.locator(selector).first for selector in CONTROLS):
                if control.is_visible():
                    tip = control.get_attribute("data-bs-toggle") == "tooltip"
                    control.hover()
                    expect(page.locator(".tooltip.show")).to_have_count(int(tip))
                    control.click()
                    page.keyboard.press("Escape")
                    page.mouse.move(1, 400)
                    page.evaluate("document.activeElement.blur()")  # its tooltip would lie on the next one
                    expect(page.locator(".tooltip")).to_have_count(0)
            source = (site / name.partition("?")[0]).read_text(encoding="utf-8")
            brought |= set(page.evaluate("[...comers]")) - light.names_on(source)
            page.close()
    unstyled = {name for name in brought if re.fullmatch(r"(codecell|tooltip)\d+|icon-tabler.*", name)}
    assert brought - unstyled == set(light.MADE_BY_SCRIPTS.split())


def test_rules_that_a_page_needs_stay(site):
    page = (site / CHAPTERS[0]).read_text(encoding="utf-8")
    style = page.partition("<style>.svg-inline--fa")[2].partition("</style>")[0]
    for kept in (
        ".bd-article",
        ".tooltip",
        ".dropdown-menu.show",
        "[data-theme=dark]",
        ".copybtn",
        "@media print",
    ):
        assert kept in style
    for gone in (".accordion-button", ".carousel", ".sd-card", "Font Awesome 6 Brands", "webfonts"):
        assert gone not in style


def test_choosing_rules():
    sheet = light.tinycss2.parse_stylesheet(
        ".a{x:1}.b .a{x:2}#c,.d{x:3}@media print{.b{x:4}}@media print{.a{x:5}}p:has(.z){x:6}",
        skip_whitespace=True,
    )
    rules = light.compile_rules(sheet)
    assert light.choose(rules, {"a", "c", "p"}) == ".a{x:1}#c{x:3}@media print{.a{x:5}}p:has(.z){x:6}"
    assert light.choose(rules, set()) == ""


def test_the_font_has_the_signs_of_all_formulas(site):
    known = set(TTFont(ROOT / "book/_static/math.woff2").getBestCmap())
    italic = {ord(letter): 0x1D44E + ord(letter) - ord("a") for letter in "abcdefgijklmnopqrstuvwxyz"}
    found = set()
    for name in PAGES:
        for formula in re.findall(r"<math.*?</math>", (site / name).read_text(encoding="utf-8"), re.DOTALL):
            found |= set(unescape(re.sub(r"<[^>]*>", "", formula)))
    codes = {ord(sign) for sign in found if not sign.isspace()}
    assert len(codes) > 60
    missing = {code for code in codes if code not in known or italic.get(code, code) not in known}
    assert [chr(code) for code in missing] == []


def test_formulas_become_mathml():
    assert formulas.mathml(r"\lVert x \rVert_1").count('stretchy="false"') == 2
    assert "<mi>max</mi>" in formulas.mathml(r"\max(x, 0)")
    assert "<msup>" not in formulas.mathml("r'")
    with pytest.raises(ValueError, match=r"no command \\nosuch in the formula"):
        formulas.mathml(r"1 + \nosuch")


def test_heights_are_of_pages_that_exist():
    names = {name.rpartition("/")[2].removesuffix(".html") for name in WITH_FIGURES}
    assert set(json.loads(light.HEIGHTS_FILE.read_text(encoding="utf-8"))) == names
