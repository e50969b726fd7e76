"""Every page of the built book as a reader's browser shows it: served, from disk, without a network."""

import json
import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from urllib.parse import unquote, urlsplit

import notebooks
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import (
    ADDRESS,
    DOCUMENTS,
    PAGES,
    ROOT,
    TOC,
    VIEWPORTS,
    View,
    build,
    drive_by_keys,
    drive_by_pointer,
    raw_markup,
    stored_figures,
)
from playwright.sync_api import Browser, expect

# What the theme itself does wrong: the axe rule, a pattern for the element, and why we leave it.
THEME_FINDINGS = [
    ("region", r"logo__(image|title)", "the theme keeps the logo outside of its landmarks"),
]

# Of the words of code that look alike, axe needs to see one: thousands of them take most of its time.
HIDE_ALIKE = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll('.highlight span, .sig *')) {
        const { color, backgroundColor, fontSize, fontWeight } = getComputedStyle(word);
        const box = getComputedStyle(word.closest('pre, .sig')).backgroundColor;
        const look = [word.className, color, backgroundColor, fontSize, fontWeight, box].join();
        if (seen.has(look) && !word.children.length) word.style.visibility = 'hidden';
        seen.add(look);
    }
}"""


CASES = [(name, size) for name in PAGES for size in VIEWPORTS]


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def opened(request, browser: Browser, origin: str) -> Iterator[View]:
    name, size = request.param
    context = browser.new_context(viewport=VIEWPORTS[size], has_touch=size == "phone", color_scheme="light")
    view = View(context.new_page())
    view.open(origin, name)
    yield view
    context.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def view(request, opened: View) -> View:
    """A page in a theme, which follows the reader's."""
    opened.page.emulate_media(color_scheme=request.param)
    expect(opened.page.locator("html")).to_have_attribute("data-theme", request.param)
    opened.page.evaluate("document.getAnimations().forEach(fade => fade.finish())")
    return opened


def test_console_is_empty(view):
    assert view.complaints() == []


def test_nothing_comes_from_another_host(view):
    assert view.strangers == []


def test_one_search_field(view):
    fields = view.page.locator("input[type=search]:visible, button.search-button__button:visible")
    assert fields.count() == 1


def test_page_does_not_scroll_sideways(view):
    width, window = view.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window


def test_images_have_alt_text(view):
    assert view.page.locator("img:not([alt])").count() == 0
    pictures = view.page.locator("article img").evaluate_all(
        "all => all.map(e => [e.src.slice(0, 80), e.alt])"
    )
    poor = [
        (source, alt)
        for source, alt in pictures
        if alt and (len(alt) < 20 or re.search(r"\.(png|svg|webp|jpe?g)\b|/\w+/", alt))
    ]
    assert poor == []


def test_math_is_rendered(view):
    formulas = view.page.locator("article .math")
    unset = formulas.evaluate_all(
        "all => all.filter(e => !e.querySelector('math > *')).map(e => e.outerHTML)"
    )
    assert unset == []
    cut = formulas.evaluate_all(
        "all => all.filter(e => e.matches('div') && e.querySelector('math').getBoundingClientRect().left"
        " < e.parentElement.getBoundingClientRect().left - 1).map(e => e.textContent)"
    )
    assert cut == []  # a long formula may scroll, but its beginning shows
    assert view.page.locator("merror").count() == 0


def test_no_markup_is_left(view):
    assert raw_markup(view.page.locator("article")) == []


def test_links_lead_somewhere(view, site, origin):
    links = view.page.locator("a[href]").evaluate_all("all => all.map(e => e.href)")
    broken = []
    for link in {link for link in links if link.startswith(origin)}:
        parts = urlsplit(link)
        target = site / unquote(parts.path).lstrip("/")
        if not target.is_file():
            broken.append(link)
        elif parts.fragment and target.suffix == ".html":
            quoted = re.escape(unquote(parts.fragment))
            if not re.search(rf'id="{quoted}"', target.read_text(encoding="utf-8")):
                broken.append(link)
    assert broken == []


def test_axe_finds_nothing(view):
    view.page.evaluate(HIDE_ALIKE)
    options = {"preload": False, "resultTypes": ["violations"]}
    result = Axe().run(view.page, options=options).response
    findings = [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in result["violations"]
        for node in rule["nodes"]
        if not any(rule["id"] == known and re.search(what, node["html"]) for known, what, _ in THEME_FINDINGS)
    ]
    assert findings == []


def test_figures_respond(opened):
    figures = opened.page.locator("[data-convlab-figure]")
    path = (ROOT / opened.name).with_suffix(".ipynb")
    on_landing = int(opened.name == f"{TOC['root']}.html")  # the stepper
    assert figures.count() == (stored_figures(path) if path.is_file() else on_landing)
    for figure in figures.all():
        drive_by_keys(figure)
        drive_by_pointer(figure, touch=opened.page.evaluate("navigator.maxTouchPoints > 0"))
    assert opened.complaints() == []


@pytest.mark.parametrize("name", PAGES)
def test_page_works_from_disk(browser, site, name):
    context = browser.new_context(viewport=VIEWPORTS["desktop"])
    view = View(context.new_page())
    view.open(site.as_uri(), name)
    test_nothing_comes_from_another_host(view)
    test_math_is_rendered(view)
    test_figures_respond(view)
    context.close()


def test_the_site_opens_on_the_landing_page(browser, origin):
    page = browser.new_page()
    page.goto(f"{origin}/index.html")
    page.wait_for_url(f"{origin}/{TOC['root']}.html")
    page.close()


# The repository's address


def test_buttons_carry_the_repository_address(site):
    pages = [(site / name).read_text(encoding="utf-8") for name in PAGES]
    links = {link for page in pages for link in re.findall(r'href="(https://[^"]*)"', page)}
    for name in DOCUMENTS:
        source = next(ROOT.glob(f"{name}.*")).relative_to(ROOT).as_posix()
        assert f"{ADDRESS}/edit/main/{source}" in links
    for path in notebooks.CHAPTERS:
        assert f"https://mybinder.org/v2/gh/ada/convlab/main?urlpath=lab/tree/chapters/{path.name}" in links
        assert f"https://colab.research.google.com/github/ada/convlab/blob/main/chapters/{path.name}" in links


def test_buttons_are_absent_without_an_address(tmp_path):
    (tmp_path / "book").symlink_to(ROOT / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    toc = "{ format: jb-book, root: page, chapters: [{ file: other }] }"
    (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
    for name in ("page", "other"):
        (tmp_path / f"{name}.md").write_text("# A page", encoding="utf-8")
    site = build(tmp_path / "built", "https://git.example.org/ada/convlab", tmp_path)
    assert not (site / "sitemap.xml").exists()
    assert not re.search(
        r"mybinder|colab|launch-buttons|source-(edit|file|issues|repository)-button|executablebooks/jupyter-book"
        r"|canonical|og:url|og:image|twitter",
        (site / "page.html").read_text(encoding="utf-8"),
    )


def test_search_index_holds_the_chapters(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert set(DOCUMENTS) <= set(index["docnames"])


@pytest.mark.parametrize("room", sorted(path.stem for path in (ROOT / "src/convlab").glob("[a-z]*.py")))
def test_the_library_page_has_every_public_function(site, room):
    module = import_module(f"convlab.{room}")
    page = (site / "book" / "api.html").read_text(encoding="utf-8")
    public = [
        name
        for name, value in vars(module).items()
        if callable(value) and value.__module__ == module.__name__ and not name.startswith(("_", "as_"))
    ]
    assert public
    missing = [name for name in public if f'id="convlab.{room}.{name}"' not in page]
    assert missing == []
    assert [name for name in public if not getattr(module, name).__doc__] == []
