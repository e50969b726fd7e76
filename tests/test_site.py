"""Every page of the built book as a reader's browser shows it: served, from disk, without a network."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import notebooks
import pytest
import serve
import yaml
from axe_playwright_python.sync_playwright import Axe
from browsing import drive_by_keys, drive_by_pointer, raw_markup, stored_figures
from playwright.sync_api import Browser, Page, Route, expect

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = notebooks.CHAPTERS
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
DOCUMENTS = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
PAGES = [f"{name}.html" for name in DOCUMENTS] + ["search.html"]
VIEWPORTS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
ADDRESS = "https://github.com/ada/convlab"

# What the theme itself does wrong: the axe rule, a pattern for the element, and why we leave it.
THEME_FINDINGS = [
    ("region", r"logo__(image|title)", "the theme keeps the logo outside of its landmarks"),
]

# Of the words of code that look alike, axe needs to see one: thousands of them take most of its time.
HIDE_ALIKE = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll('.highlight span')) {
        const { color, backgroundColor, fontSize, fontWeight } = getComputedStyle(word);
        const box = getComputedStyle(word.closest('pre')).backgroundColor;
        const look = [word.className, color, backgroundColor, fontSize, fontWeight, box].join();
        if (seen.has(look) && !word.children.length) word.style.visibility = 'hidden';
        seen.add(look);
    }
}"""


def build(output: Path, repository: str) -> Path:
    """Build the book with warnings as errors; return the folder of its pages."""
    server, _, name = repository.rpartition("/")
    server, _, owner = server.rpartition("/")
    environment = os.environ | {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": f"{owner}/{name}"}
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ROOT,
        "--path-output",
        output,
        "-q",
        "-W",
        "-n",
        "--keep-going",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return output / "_build" / "html"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("book"), ADDRESS)


@pytest.fixture(scope="module")
def origin(site: Path) -> Iterator[str]:
    with serve.make_server(str(site), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@dataclass
class View:
    """A page in the browser, with everything that went wrong on the way."""

    page: Page
    messages: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def open(self, origin: str, name: str) -> None:
        """Load a page, wait for its formulas, and record what it says and asks for."""

        def only_local(route: Route) -> None:
            if route.request.url.startswith((origin, "data:", "blob:")):
                route.continue_()
            else:
                self.strangers.append(route.request.url)
                route.abort()

        self.page.context.route("**/*", only_local)
        self.page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        self.page.on("requestfailed", lambda request: self.messages.append(f"failed: {request.url}"))
        self.page.goto(f"{origin}/{name}")
        self.page.evaluate("window.MathJax?.startup?.promise")
        self.page.wait_for_load_state("networkidle")
        for figure in self.page.locator(
            "[data-convlab-figure]"
        ).all():  # each starts when it comes near the view
            figure.scroll_into_view_if_needed()
            expect(figure.locator("[data-drive]").first).to_be_visible()

    def complaints(self) -> list[str]:
        """The console's messages, less the theme's own notes on its light and dark mode."""
        return [message for message in self.messages if not message.startswith("log: [PST]:")]


CASES = [(name, size, scheme) for name in PAGES for size in VIEWPORTS for scheme in ("light", "dark")]


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def view(request, browser: Browser, origin: str) -> Iterator[View]:
    name, size, scheme = request.param
    context = browser.new_context(viewport=VIEWPORTS[size], color_scheme=scheme)
    view = View(context.new_page())
    view.open(origin, name)
    yield view
    context.close()


def test_theme_follows_the_reader(view):
    wanted = "dark" if view.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    assert view.page.evaluate("document.documentElement.dataset.theme") == wanted


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
        "all => all.filter(e => !e.querySelector('mjx-container')).map(e => e.outerHTML)"
    )
    assert unset == []
    cut = formulas.evaluate_all(
        "all => all.filter(e => e.matches('div') && e.querySelector('mjx-math').getBoundingClientRect().left"
        " < e.parentElement.getBoundingClientRect().left - 1).map(e => e.textContent)"
    )
    assert cut == []  # a long formula may scroll, but its beginning shows
    assert view.page.locator("mjx-merror, [data-mml-node=merror]").count() == 0


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


# From disk


@pytest.mark.parametrize("name", PAGES)
def test_page_works_from_disk(browser, site, name):
    context = browser.new_context(viewport=VIEWPORTS["desktop"])
    view = View(context.new_page())
    view.open(site.as_uri(), name)
    test_console_is_empty(view)
    test_nothing_comes_from_another_host(view)
    test_math_is_rendered(view)
    context.close()


def test_the_site_opens_on_the_landing_page(browser, origin):
    page = browser.new_page()
    page.goto(f"{origin}/index.html")
    page.wait_for_url(f"{origin}/{TOC['root']}.html")
    page.close()


# Interactive figures


@pytest.mark.parametrize("size", VIEWPORTS)
@pytest.mark.parametrize("source", ["server", "disk"])
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_figures_respond(browser, site, origin, path, source, size):
    touch = size == "phone"
    context = browser.new_context(viewport=VIEWPORTS[size], has_touch=touch)
    view = View(context.new_page())
    view.open(origin if source == "server" else site.as_uri(), f"chapters/{path.stem}.html")
    figures = view.page.locator("[data-convlab-figure]")
    assert figures.count() == stored_figures(path)
    for figure in figures.all():
        drive_by_keys(figure)
        drive_by_pointer(figure, touch)
    assert view.complaints() == []
    context.close()


# The repository's address


def launch_links(site: Path) -> list[str]:
    """Every link of the pages that needs the repository's address."""
    pages = [(site / name).read_text(encoding="utf-8") for name in PAGES]
    pattern = (
        r'href="(https://(?:github\.com/ada|mybinder\.org/v2|colab\.research\.google\.com/github)[^"]*)"'
    )
    return [link for page in pages for link in re.findall(pattern, page)]


def test_buttons_carry_the_repository_address(site):
    links = set(launch_links(site))
    for name in DOCUMENTS:
        source = next(ROOT.glob(f"{name}.*")).relative_to(ROOT).as_posix()
        assert f"{ADDRESS}/edit/main/{source}" in links
    for path in CHAPTERS:
        assert f"https://mybinder.org/v2/gh/ada/convlab/main?urlpath=lab/tree/chapters/{path.name}" in links
        assert f"https://colab.research.google.com/github/ada/convlab/blob/main/chapters/{path.name}" in links


def test_buttons_are_absent_without_an_address(tmp_path):
    site = build(tmp_path, "https://git.example.org/ada/convlab")
    assert launch_links(site) == []
    for name in PAGES:
        page = (site / name).read_text(encoding="utf-8")
        assert not re.search(
            r"launch-buttons|source-(edit|file|issues|repository)-button|executablebooks/jupyter-book", page
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
