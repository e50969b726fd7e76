"""How the course is found, searched, cited and started elsewhere: on Binder, in Colab, as a notebook file."""

import builtins
import importlib.util
import io
import json
import re
import sys
import tomllib
import types
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from html import unescape
from importlib.resources import files
from pathlib import Path

import found
import glossary_search
import jsonschema
import notebooks
import numpy as np
import pictures
import pytest
import yaml
from browsing import DOCUMENTS, ROOT, VIEWPORTS, View
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image
from playwright.sync_api import expect
from pybtex.database import parse_string

SITE = "https://ada.github.io/convlab/"  # GitHub Pages of the address that `site` is built with
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
NAMES = [name for term in re.findall(r"^\S.* · .*$", GLOSSARY, re.M) for name in glossary_search.names(term)]


def tags(page: str) -> dict[str, str]:
    """The values of a page's <meta> tags, and its canonical address."""
    values = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', page)
    return {name: unescape(value) for name, value in values} | {
        "canonical": next(iter(re.findall(r'<link rel="canonical" href="([^"]+)"', page)), "")
    }


@pytest.fixture(scope="module")
def pages(site) -> dict[str, str]:
    return {name: (site / f"{name}.html").read_text(encoding="utf-8") for name in DOCUMENTS}


# Found


def test_every_page_is_described(pages):
    described = {name: tags(page)["description"] for name, page in pages.items()}
    assert len(set(described.values())) == len(DOCUMENTS)
    for name, text in described.items():
        assert 60 <= len(text) <= 160, f"{name}: {text}"
        assert re.search(r"[.!?…]$", text), f"{name}: {text}"
        assert not re.search(r"[$\\{}<>|]|\]\(", text), f"{name}: {text}"


def test_every_page_has_a_preview(pages, site):
    for name, page in pages.items():
        values = tags(page)
        assert values["og:url"] == values["canonical"] == f"{SITE}{name}.html"
        assert values["og:description"] == values["description"]
        assert f"<title>{values['og:title']}" in unescape(page).replace("&#8212;", "—")
        assert values["twitter:card"] == "summary_large_image"
        with Image.open(site / values["og:image"].removeprefix(SITE)) as picture:
            width, height = (int(values[f"og:image:{side}"]) for side in ("width", "height"))
            assert picture.size == (width, height) == (1200, 630)


def test_the_stored_preview_equals_a_fresh_one():
    fresh = io.BytesIO()
    pictures.preview().save(fresh, "JPEG", quality=80)
    with Image.open(pictures.PREVIEW) as stored, Image.open(fresh) as again:
        assert stored.format == "JPEG"  # not every site shows WebP
        assert stored.size == again.size == found.PREVIEW_SIZE
        difference = np.asarray(stored, float) - np.asarray(again, float)
    assert np.abs(difference).mean() < 0.5, "the stored preview is stale: run python tools/pictures.py"
    assert pictures.PREVIEW.stat().st_size <= 160_000


def test_the_page_at_the_root_has_the_preview_of_the_landing_page(pages, site):
    landing, root = (tags(page) for page in (pages[DOCUMENTS[0]], (site / "index.html").read_text("utf-8")))
    assert root == {name: landing[name] for name in root}
    assert {"og:title", "og:image", "description", "canonical"} <= set(root)


def test_the_site_map_lists_every_page(site):
    places = [
        element.text for element in ET.parse(site / "sitemap.xml").iter() if element.tag.endswith("loc")
    ]
    assert sorted(places) == sorted(f"{SITE}{name}.html" for name in DOCUMENTS)


def test_a_missing_page_shows_the_book(browser, site):
    """GitHub Pages shows 404.html at any address, so everything in it is addressed from the host's root."""
    context = browser.new_context(viewport=VIEWPORTS["desktop"])
    complaints = []

    def answer(route):
        path = site / route.request.url.partition("/convlab/")[2].partition("?")[0]
        if path.suffix == ".txt":
            route.fulfill(body=(site / "404.html").read_text("utf-8"), content_type="text/html")
        elif path.is_file():
            route.fulfill(path=path)
        else:
            complaints.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{SITE}some/where/else.txt")
    expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    page.locator(".bd-sidebar").get_by_role("link", name="Glossary").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Glossary")
    assert complaints == []
    context.close()


# Searched


def search(page, text: str) -> list[str]:
    """Type into the search field and read where the results lead, best first."""
    field = page.locator("input[type=search]:visible")
    field.fill(text)
    field.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    expect(page.locator("#search-results h2")).to_have_text("Search Results")
    page.wait_for_load_state("networkidle")
    return page.locator("#search-results li > a").evaluate_all("all => all.map(link => link.href)")


@pytest.mark.parametrize("place", ["served", "from disk"])
def test_typed_terms_lead_to_the_glossary(browser, site, origin, place):
    context = browser.new_context(viewport=VIEWPORTS["desktop"])
    view = View(context.new_page())
    view.open(origin if place == "served" else site.as_uri(), "search.html")
    for text in ("receptive field", "感受野"):
        assert search(view.page, text)[0].endswith("/book/glossary.html#term-receptive-field")
    assert view.complaints() == []
    assert view.strangers == []
    context.close()


def test_every_name_of_every_term_is_found(page, origin):
    """As the search page finds it, without the time that it takes to show the results."""
    page.goto(f"{origin}/search.html")
    page.wait_for_function("Search.hasIndex()")
    results = page.evaluate(
        """names => names.map(name =>
            Search._performSearch(...Search._parseQuery(name)).slice(-3)
                .map(([page, , anchor]) => page + anchor))""",
        NAMES,
    )
    assert len(NAMES) > 250
    lost = [
        name
        for name, places in zip(NAMES, results, strict=True)
        if not any(place.startswith("book/glossary#term-") for place in places)
    ]
    assert lost == []


# Cited


def test_the_citation_file_keeps_to_its_format():
    citation = yaml.load((ROOT / "CITATION.cff").read_text(encoding="utf-8"), yaml.BaseLoader)
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "citation-file-format.json"
    jsonschema.validate(citation, json.loads(schema.read_text(encoding="utf-8")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


def test_every_page_says_how_to_cite_it(pages):
    keys = set()
    for name, page in pages.items():
        (block,) = re.findall(r'<details class="cite.*?</details>', page, re.S)
        (bibtex,) = re.findall(r"<pre>(.*?)</pre>", block, re.S)
        ((key, entry),) = parse_string(unescape(bibtex), "bibtex").entries.items()
        keys.add(key)
        book = name == DOCUMENTS[0]
        title = found.CITATION["title"] if book else tags(page)["og:title"].rpartition(" · ")[2]
        assert entry.fields["title"] == f"{{{title}}}"
        assert entry.fields["url"] == (SITE if book else f"{SITE}{name}.html")
        assert entry.fields.get("howpublished") == (None if book else found.CITATION["title"])
        assert entry.fields["year"] == str(found.CITATION["date-released"].year)
        number = re.match(r"chapters/0?(\d+)", name)
        version = f"version {found.CITATION['version']}"
        assert entry.fields["note"] == (f"Chapter {number[1]}, {version}" if number else version.capitalize())
        (author,) = entry.persons["author"]
        assert str(author) == f"{{{found.CITATION['authors'][0]['name']}}}"
    assert len(keys) == len(DOCUMENTS)


def test_a_citation_without_an_address_has_none():
    assert "http" not in found.citation("chapters/01_feature_maps", "1 · Feature maps", None)
    assert "http" not in found.preview("1 · Feature maps", "A photograph.", None, None)


def test_a_citation_unfolds_and_can_be_copied(page, origin):
    page.goto(f"{origin}/book/notation.html")
    block = page.locator("details.cite")
    expect(block.locator("pre")).to_be_hidden()
    block.locator("summary").click()
    expect(block.locator("pre")).to_contain_text("@misc{convlab-notation,")
    block.locator(".highlight").hover()
    page.evaluate("document.addEventListener('copy', e => { window.copied = getSelection().toString(); })")
    block.locator("button.copybtn").click()
    page.wait_for_function("window.copied?.startsWith('@misc')")


# Started


def test_the_download_menu_has_the_notebook(site, pages):
    for path in notebooks.CHAPTERS:
        (link,) = re.findall(r'<a href="\.\./(_sources/[^"]+)"[^>]*>', pages[f"chapters/{path.stem}"])
        assert (site / link).read_bytes() == path.read_bytes()


def test_a_click_downloads_the_notebook(page, origin):
    path = notebooks.CHAPTERS[0]
    page.goto(f"{origin}/chapters/{path.stem}.html")
    page.get_by_role("button", name="Download this page").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Notebook").click()
    assert download.value.suggested_filename == path.name
    assert Path(download.value.path()).read_bytes() == path.read_bytes()


def test_the_contents_for_jupyterlab_list_every_chapter():
    text = (ROOT / "chapters" / "contents.md").read_text(encoding="utf-8")
    titles = [notebooks.read(path).cells[0].source.partition("\n")[0] for path in notebooks.CHAPTERS]
    wanted = [
        (title.removeprefix("# "), path.name) for title, path in zip(titles, notebooks.CHAPTERS, strict=True)
    ]
    assert re.findall(r"^- \[(.+)\]\((.+)\)$", text, re.M) == wanted
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / "chapters" / link).is_file()


@pytest.fixture
def colab(monkeypatch):
    """Run the cell for Colab as if in Colab; give what it asks pip for.

    Its notebook server says that it opened the notebook from `place`, or does not answer if that is None.
    """

    def run(place: str | None, *, library: bool = False, typed: str = "", inside: bool = True) -> list[str]:
        if inside:
            monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if library else None)
        monkeypatch.setattr(builtins, "input", lambda question: typed)

        def answer(address: str, timeout: float) -> io.BytesIO:
            assert re.fullmatch(r"http://[\d.]+:9000/api/sessions", address)
            if place is None:
                raise urllib.error.URLError("refused")
            return io.BytesIO(json.dumps([{"name": "01_feature_maps.ipynb", "path": place}]).encode())

        monkeypatch.setattr(urllib.request, "urlopen", answer)
        shell, asked = InteractiveShell(), []
        shell.register_magic_function(asked.append, magic_name="pip")
        (cell,) = [cell for cell in notebooks.read(notebooks.CHAPTERS[0]).cells if cell.id == "colab"]
        shell.run_cell(cell.source).raise_error()
        return asked

    return run


def test_the_pages_do_not_show_the_cell_for_colab(pages):
    assert [name for name, page in pages.items() if "google.colab" in page] == []


WANTED = 'install -q "convlab[weights,figures,data] @ git+https://github.com/{}"'


@pytest.mark.parametrize(
    ("place", "book"),
    [
        (
            "fileId=https%3A//github.com/ada/convlab/blob/main/chapters/01_feature_maps.ipynb",
            "ada/convlab@main",
        ),
        (
            "fileId=https%3A%2F%2Fgithub.com%2Fada%2Fmy.lab%2Fblob%2Fmain%2Fchapters%2F01_feature_maps.ipynb",
            "ada/my.lab@main",
        ),
        (
            "fileId=https%3A//github.com/ada/convlab/blob/fix/a/chapters/01_feature_maps.ipynb",
            "ada/convlab@fix/a",
        ),
    ],
)
def test_colab_installs_the_library_from_where_the_notebook_came(colab, place, book):
    assert colab(place) == [WANTED.format(book)]


@pytest.mark.parametrize("place", ["fileId=1AbCdEf", None])
@pytest.mark.parametrize("typed", ["github.com/ada/convlab", "https://github.com/ada/convlab"])
def test_colab_asks_where_it_cannot_know(colab, place, typed):
    assert colab(place, typed=typed) == [WANTED.format("ada/convlab")]


def test_the_cell_for_colab_does_nothing_elsewhere_or_twice(colab):
    place = "fileId=https%3A//github.com/ada/convlab/blob/main/chapters/01_feature_maps.ipynb"
    assert colab(place, inside=False) == []
    assert colab(place, library=True) == []


def test_colab_installs_all_that_a_chapter_imports():
    """Of the extra `notebooks`, only what Colab is itself is left out: JupyterLab, its kernel, and tqdm."""
    extras = tomllib.loads(Path(ROOT, "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    whole = set(re.findall(r"\[(.*)\]", extras["notebooks"][0])[0].split(","))
    assert whole - {"torch"} == set(re.findall(r"\[(.*)\]", WANTED)[0].split(","))
    assert "convlab[torch]" in extras["weights"]
