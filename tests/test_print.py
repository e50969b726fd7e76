"""The book on paper and the course in an archive: two chapters printed, the archive unpacked and read."""

import re
import shutil
from pathlib import Path
from zipfile import ZipFile

import browsing
import notebooks
import offline
import pikepdf
import print as paper
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, expect

NAMES = ["book/index", "chapters/01_feature_maps", "chapters/04_pooling", "book/notation"]
CHAPTERS = [name for name in NAMES if name.startswith("chapters")]


@pytest.fixture(scope="module")
def joined(browser, origin) -> str:
    page = browser.new_page(viewport={"width": paper.WIDTH, "height": 900})
    joined = paper.join(paper.take(page, origin, NAMES))
    page.close()
    return joined


@pytest.fixture(scope="module")
def document(joined) -> BeautifulSoup:
    return BeautifulSoup(joined, "html.parser")


@pytest.fixture(scope="module")
def pdf(browser, origin, joined) -> pikepdf.Pdf:
    page = browser.new_page()
    pdf = paper.press(page, origin, joined)
    page.close()
    return pdf


def exercises(name: str) -> list[str]:
    """The names of a chapter's exercises, in order: `PL-E1 · Predict`."""
    cells = notebooks.read(browsing.ROOT / f"{name}.ipynb").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"^### Exercise (.+)$", text, flags=re.MULTILINE)


def bookmarks(pdf: pikepdf.Pdf) -> list[tuple[int, str, int]]:
    """Depth, title and page of each bookmark, in order."""
    numbers = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}

    def walk(items, depth):
        for item in items:
            place = item.destination
            place = pdf.Root.Dests[str(place)] if isinstance(place, pikepdf.Name) else place
            yield depth, item.title, numbers[place[0].objgen]
            yield from walk(item.children, depth + 1)

    with pdf.open_outline() as outline:
        return list(walk(outline.root, 0))


def notes(pdf: pikepdf.Pdf) -> list[pikepdf.Object]:
    """All links of a PDF."""
    return [note for page in pdf.pages for note in page.get("/Annots", []) if note.Subtype == "/Link"]


def test_every_page_is_a4(pdf):
    assert {tuple(round(float(side)) for side in page.mediabox) for page in pdf.pages} == {(0, 0, 595, 842)}


def test_bookmarks_lead_through_the_book_in_order(pdf):
    found = bookmarks(pdf)
    chapters = [notebooks.read(browsing.ROOT / f"{name}.ipynb").cells[0].source for name in CHAPTERS]
    titles = [source.splitlines()[0].removeprefix("# ") for source in chapters]
    wanted = ["ConvLab", "Contents", "About this book", *titles, "Notation", "Hints and solutions"]
    tops = [(title, page) for _, title, page in found if title in wanted]
    assert [title for title, _ in tops[: len(wanted) - 1]] == wanted[:-1]
    pages = [page for _, _, page in found]
    assert pages == sorted(pages)
    assert len({page for _, page in tops[: len(wanted)]}) == len(wanted)  # each begins a page
    assert pages[-1] > 10


def test_solutions_stand_once_at_the_end(pdf):
    found = [(title, page) for _, title, page in bookmarks(pdf)]
    last = dict(found)["Hints and solutions"]
    for name in CHAPTERS:
        assert exercises(name)
        for exercise in exercises(name):
            (task,) = [page for title, page in found if title == f"Exercise {exercise}"]
            (solution,) = [page for title, page in found if title == exercise]
            assert task < last <= solution


def test_exercises_and_solutions_lead_to_each_other(document):
    for name in CHAPTERS:
        for exercise in exercises(name):
            (task,) = [part for part in document("h3") if part.text == f"Exercise {exercise}"]
            (solution,) = [part for part in document("h3") if part.text == exercise]
            for there, back in [(task, solution), (solution, task)]:
                link = there.parent.select_one(".there a")
                assert link["href"] == f"#{back.parent['id']}"
                assert link.span["data-page-of"] == back.parent["id"]
            assert [part.p.text for part in solution.parent.select(".folded")] == ["Hint", "Solution"]
            assert not task.parent.select(".folded")


def test_links_lead_somewhere(pdf, document):
    places = paper.places(pdf)
    inside = [str(note.Dest)[1:] for note in notes(pdf) if "/Dest" in note]
    assert len(inside) > 100
    assert {paper.unquote(name) for name in inside} <= set(places)
    assert set(places) <= {part["id"] for part in document(id=True)}
    outside = {str(note.A.URI) for note in notes(pdf) if "/A" in note}
    assert "https://creativecommons.org/licenses/by/4.0/" in outside
    assert [link for link in outside if not link.startswith("https://")] == []


def test_chapters_lead_to_each_other(document):
    linked = {part["href"] for part in document.select("section[style] a[href^='#chapters-']")}
    assert "#chapters-01_feature_maps" in linked


def test_names_are_unique(document):
    names = [part["id"] for part in document(id=True)]
    assert len(names) == len(set(names))


def test_the_contents_tell_pages(browser, pdf, document):
    places = paper.places(pdf)
    contents = document.select("nav [data-page-of]")
    assert len(contents) > 20
    assert [part for part in contents if part["data-page-of"] not in places] == []
    page = browser.new_page()
    page.set_content('<span data-page-of="a"></span><span data-page-of="b"></span>')
    page.evaluate(paper.NUMBER, {"a": 7})
    assert page.locator("span").all_text_contents() == ["7", ""]
    page.close()


def test_figures_stand_still(document):
    figures = document.select("[data-convlab-figure]")
    assert len(figures) == 1 + sum(
        browsing.stored_figures(browsing.ROOT / f"{name}.ipynb") for name in CHAPTERS
    )
    for figure in figures:
        assert figure.select("svg *")
        assert figure.select_one("[aria-live]").text.strip()
        assert "As the figure starts" in figure.find_next_sibling("p").text
    assert document("canvas")
    assert [part for part in document("canvas") if "data:image/png" not in part["style"]] == []
    assert not document.select("script, .headerlink, progress")


def test_pictures_are_printed(pdf, document):
    pictures = document.select("section img")
    drawn = {image["src"] for image in pictures if not image["src"].endswith(".svg")}
    assert len(drawn) > 10
    assert {image.get("loading") for image in pictures} <= {"eager", None}
    images = {image.objgen for page in pdf.pages for image in page.get_images().values()}
    assert len(images) >= len(drawn)


def test_formulas_are_set(document):
    assert document.select("math")
    assert browsing.MARKUP.findall("\n".join(part.text for part in document.select("section > p"))) == []


def fake(article: str) -> dict[str, tuple[str, list[str], None]]:
    """A book of one page."""
    landing = '<p>Words</p><p><img src="../_static/logo.svg"></p>'
    markup = f'<article><section id="top"><h1>Title</h1>{landing}{article}</section></article>'
    return {"book/index": (markup, [], None)}


def test_what_is_wider_than_the_paper_is_refused(page, origin):
    wide = paper.join(fake(f"<p style='white-space: pre'>{'wide ' * 100}</p>"))
    with pytest.raises(ValueError, match=r"wider than the paper: .*wide wide"):
        paper.press(page, origin, wide)


def test_an_exercise_without_a_solution_is_refused():
    exercise = (
        '<section id="exercise-x"><h3>Exercise X</h3><details><summary>Hint</summary></details></section>'
    )
    with pytest.raises(ValueError, match=r"'book-index--exercise-x' must have .* got \['Hint'\]"):
        paper.join(fake(exercise))


def test_a_missing_page_is_named(page, origin):
    with pytest.raises(FileNotFoundError, match="no page 'chapters/12_missing'"):
        paper.take(page, origin, ["chapters/12_missing"])


def test_a_dark_page_is_light_while_it_is_printed(browser, site):
    page = browser.new_page(color_scheme="dark")
    page.goto((site / "book" / "notation.html").as_uri())
    page.evaluate("addEventListener('beforeprint', () => { seen = document.documentElement.dataset.theme; })")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.pdf()
    assert page.evaluate("seen") == "light"
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.close()


# The archive


@pytest.fixture(scope="module")
def unpacked(site, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    with ZipFile(site / offline.ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


def test_the_archive_holds_the_site(site, unpacked):
    assert [path.name for path in unpacked.iterdir()] == [offline.FOLDER]
    course = unpacked / offline.FOLDER
    assert (course / "index.html").is_file()
    files = {path.relative_to(site) for path in site.rglob("*") if path.is_file()}
    kept = {path for path in files if path.name[0] != "." and path.suffix not in {".map", ".zip"}}
    assert {path.relative_to(course) for path in course.rglob("*") if path.is_file()} == kept


def test_the_same_pages_give_the_same_archive(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "book").mkdir(parents=True)
        page = (
            f'<p><a class="x" href="../{offline.ARCHIVE}" download>take <b>it</b></a>, <a href="#">or</a></p>'
        )
        (tmp_path / name / "book" / "index.html").write_text(page, encoding="utf-8")
        offline.pack(tmp_path / name)
        offline.pack(tmp_path / name)  # again, beside the first one
    first, second = (tmp_path / name / offline.ARCHIVE for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    with ZipFile(first) as archive:
        assert archive.namelist() == [f"{offline.FOLDER}/book/index.html"]
        page = archive.read(archive.namelist()[0]).decode()
    assert page == '<p>take <b>it</b>, <a href="#">or</a></p>'


def test_the_landing_page_offers_the_archive(site, unpacked):
    landing = f"{browsing.TOC['root']}.html"
    assert f'href="../{offline.ARCHIVE}"' in (site / landing).read_text(encoding="utf-8")
    assert offline.ARCHIVE not in (unpacked / offline.FOLDER / landing).read_text(encoding="utf-8")


def test_the_course_works_from_disk(browser: Browser, unpacked):
    origin = (unpacked / offline.FOLDER).as_uri()
    context = browser.new_context(viewport=browsing.VIEWPORTS["desktop"])
    view = browsing.View(context.new_page())
    view.open(origin, f"{browsing.TOC['root']}.html")
    view.page.goto(f"{origin}/search.html")
    view.page.locator("main form input[type=search]").fill("unpooling")
    view.page.keyboard.press("Enter")
    result = view.page.locator("#search-results li a", has_text="4 · Pooling").first
    result.click()
    view.page.wait_for_url(f"{origin}/chapters/04_pooling.html*")
    expect(view.page.get_by_role("heading", level=1)).to_contain_text("Pooling")
    figure = view.page.locator("[data-convlab-figure]")
    figure.scroll_into_view_if_needed()
    expect(figure.locator("[data-drive]").first).to_be_visible()
    browsing.drive_by_keys(figure)
    assert view.complaints() == []
    assert view.strangers == []
    context.close()


def test_the_printed_book_is_offered_where_it_is(site, tmp_path):
    (tmp_path / "book").symlink_to(browsing.ROOT / "book")
    shutil.copy(browsing.ROOT / "_config.yml", tmp_path)
    toc = "{ format: jb-book, root: page, chapters: [{ file: other }] }"
    (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
    for name in ("page", "other"):
        (tmp_path / f"{name}.md").write_text("# A page", encoding="utf-8")
    printed = tmp_path / "built" / "_build" / offline.BOOK
    printed.parent.mkdir(parents=True)
    printed.write_bytes(b"%PDF")
    with_book = browsing.build(tmp_path / "built", browsing.ADDRESS, tmp_path)
    assert (with_book / offline.BOOK).read_bytes() == b"%PDF"
    assert f'href="{offline.BOOK}"' in (with_book / "page.html").read_text(encoding="utf-8")
    assert not (site / offline.BOOK).exists()
    assert offline.BOOK not in (site / browsing.PAGES[0]).read_text(encoding="utf-8")
