"""Print the built book as one PDF: `python tools/print.py _build/html _build/convlab.pdf`.

The pages are joined to one document, and Chromium prints it twice: the first time tells on which page of
paper everything stands, the second time has these numbers in its contents and links. Figures show their first
state; hints and solutions stand at the end.
"""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import chromium
import debian
import pikepdf
import serve
import yaml
from bs4 import BeautifulSoup, Tag
from pikepdf import ObjectStreamMode, Pdf
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PARTS = {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in TOC["parts"]}
DOCUMENTS = [TOC["root"], *(name for part in PARTS.values() for name in part)]
CSS = Path(__file__).with_suffix(".css")
DROPPED = ".headerlink, .only-dark, .toctree-wrapper, .actions, .caption-number, .copybtn, progress, script"
WIDTH = 658  # of the text on paper, in px: 210 mm − 2 · 18 mm
CHINESE = "fonts-wqy-microhei"  # Debian's package of a font for the glossary

# What a page has become when its figures have started: its article, in whose markup
# stands what controls and canvases hold; the rules of figures, formulas and code; its address.
TAKE = """async () => {
    for (const figure of document.querySelectorAll("[data-convlab-figure]")) {
        figure.scrollIntoView();
        while (!figure.querySelector("[data-drive]")) await new Promise(requestAnimationFrame);
    }
    await new Promise(requestAnimationFrame);
    for (const control of document.querySelectorAll("article :is(input, option)")) {
        control.setAttribute("value", control.value);
        control.toggleAttribute("checked", control.checked);
        control.toggleAttribute("selected", control.selected);
    }
    for (const canvas of document.querySelectorAll("article canvas"))
        canvas.style.background = `url(${canvas.toDataURL()}) 0 0 / 100% 100%`;
    const needed = /convlab-figure|\\.cf|math|\\.highlight \\./;
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
    return [
        document.querySelector("article").outerHTML,
        rules.map((rule) => rule.cssText).filter((rule) => needed.test(rule)),
        document.querySelector("link[rel=canonical]")?.href,
    ];
}"""

SETTLE = """async () => {
    await Promise.all([...document.images].map((image) => image.decode()));
    await document.fonts.ready;
}"""

WIDER = """() => [...document.body.querySelectorAll(":not(svg *)")]
    .filter((part) => part.getBoundingClientRect().left + part.scrollWidth > innerWidth + 1)
    .map((part) => part.outerHTML.slice(0, 200))"""

NUMBER = """pages => {
    for (const place of document.querySelectorAll("[data-page-of]"))
        place.textContent = pages[place.dataset.pageOf] ?? "";
}"""


def element(markup: str) -> Tag:
    """The element of this markup."""
    return BeautifulSoup(markup, "html.parser").find()


def anchor(document: str, identifier: str = "") -> str:
    """The name, in the joined document, of an element of a page, or of the page itself."""
    return f"{document}--{identifier}".removesuffix("--").replace("/", "-")


def on_page(identifier: str, text: str) -> str:
    """Markup of a link that tells the page of paper that it leads to."""
    return f'<a href="#{identifier}">{text} <span data-page-of="{identifier}"></span></a>'


def rename(article: Tag, document: str, documents: Iterable[str]) -> None:
    """Make names unique in the joined document; links between pages stay there, those to other files end."""
    for part in article.find_all(id=True):
        part["id"] = anchor(document, part["id"])
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        for part in article.find_all(attrs={attribute: True}):
            part[attribute] = " ".join(anchor(document, name) for name in part[attribute].split())
    for link in article.find_all("a", href=True):
        address, fragment = urldefrag(urljoin(f"{document}.html", link["href"]))
        if urlsplit(address).scheme:
            continue
        target = unquote(address).removesuffix(".html")
        if target in documents:
            link["href"] = f"#{anchor(target, unquote(fragment))}"
        else:
            link.unwrap()


def unfold(article: Tag) -> None:
    """Open what is folded, but for how to cite a page; load every picture at once."""
    for cited in article.select("details.cite"):
        cited.decompose()
    for folded in article.select("details"):
        summary = folded.summary.extract()
        folded.name = "div"
        if "hide" in folded.get("class", []):  # code that only measures
            folded.unwrap()
        else:
            folded["class"] = ["folded"]
            folded.insert(0, element(f"<p><strong>{summary.get_text(strip=True)}</strong></p>"))
    for code in article.select("pre"):
        if code.text.count("\n") > 15:
            code["class"] = ["long"]
    for image in article.select("img"):
        image["loading"] = "eager"


def take_solutions(article: Tag, document: str) -> Tag:
    """Move the hints and solutions of a chapter into a section of their own, with links there and back."""
    solutions = element(f'<section id="{anchor("solutions", document)}"></section>')
    for section in article.select("section[id*='exercise-']"):
        folded = section.find_all("details", recursive=False)
        kinds = [part.summary.get_text(strip=True) for part in folded]
        if kinds != ["Hint", "Solution"]:
            raise ValueError(f"{section['id']!r} must have a hint and a solution, got {kinds}")
        name = section.h3.get_text().removeprefix("Exercise ")
        entry = element(f'<section id="{section["id"]}--solution"><h3>{name}</h3></section>')
        folded[1].insert_after(
            element(f'<p class="there">{on_page(entry["id"], "Hint and solution: page")}</p>')
        )
        entry.append(element(f'<p class="there">{on_page(section["id"], "The exercise: page")}</p>'))
        entry.extend(part.extract() for part in folded)
        solutions.append(entry)
    if solutions.contents:
        solutions.insert(0, element(f"<h2>{article.h1.get_text()}</h2>"))
    return solutions


def mark_figures(article: Tag, address: str | None) -> None:
    """Say below each interactive figure that it is one, with a link to it where its address is known."""
    for figure in article.select("[data-convlab-figure]"):
        section = figure.find_parent("section")
        where = "the book’s pages"
        if address:
            where = f'<a href="{address}#{section["id"]}">{where}</a>'
        figure.insert_after(element(f'<p class="live">As the figure starts. It responds in {where}.</p>'))


def title_of(section: Tag) -> str:
    """The text of a section's heading."""
    return section.find(re.compile("h[1-6]"), recursive=False).get_text()


def listed(section: Tag, depth: int = 1) -> str:
    """Markup of a section in the contents, with those in it."""
    parts = section.find_all("section", recursive=False) if depth else []
    inner = "".join(listed(part, depth - 1) for part in parts)
    return f"<li>{on_page(section['id'], title_of(section))}{inner and f'<ol>{inner}</ol>'}</li>"


def title_page(landing: Tag) -> Tag:
    """Move the first words and the picture of the landing page to a page of their own."""
    page = element(f'<section class="title"><h1>{landing.h1.get_text()}</h1></section>')
    picture = next(part for part in landing.find_all(True, recursive=False) if part.find("img"))
    page.extend([landing.p.extract(), picture.extract()])
    page.append(element(f"<address>{CONFIG['author']}<br>© {CONFIG['copyright']}</address>"))
    landing.h1.string = "About this book"
    return page


def join(pages: dict[str, tuple[str, list[str], str | None]]) -> str:
    """One document of these pages: for each name its article, the rules for it, and its address."""
    rules: dict[str, None] = {}
    sections = []
    solutions = element('<section id="solutions"><h1>Hints and solutions</h1></section>')
    for name, (markup, needed, address) in pages.items():
        rules |= dict.fromkeys(needed)
        article = element(markup)
        for part in article.select(f"{DROPPED}, .tag_exercise > .cell_output"):
            part.decompose()
        mark_figures(article, address)
        rename(article, name, pages)
        if (taken := take_solutions(article, name)).contents:
            solutions.append(taken)
        unfold(article)
        unfold(taken)
        section = article.section.extract()
        section.insert(0, element(f'<a id="{anchor(name)}"></a>'))
        sections.append(section)
    first = title_page(sections[0])
    if len(solutions.contents) > 1:
        sections.append(solutions)
    for number, section in enumerate(sections):
        section["style"] = f"page: part{number}"
        running = json.dumps(title_of(section), ensure_ascii=False)
        rules[f"@page part{number} {{ @bottom-left {{ content: {running} }} }}"] = None
    contents = "".join(map(listed, sections))
    style = "\n".join([*rules, CSS.read_text(encoding="utf-8")])
    return f"""<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<title>{CONFIG["title"]}</title><style>{style}</style>
{first}<nav><h1>Contents</h1><ol>{contents}</ol></nav>{"".join(map(str, sections))}"""


def places(pdf: Pdf) -> dict[str, int]:
    """On which page of a PDF each place stands that a link leads to; the first page is 1."""
    numbers = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}
    return {unquote(name[1:]): numbers[place[0].objgen] for name, place in pdf.Root.Dests.items()}


def take(page: Page, origin: str, names: Iterable[str]) -> dict[str, tuple[str, list[str], str | None]]:
    """What `join` needs of these pages of a site."""
    pages = {}
    for name in names:
        if not page.goto(f"{origin}/{name}.html").ok:
            raise FileNotFoundError(f"the site has no page {name!r}: build the book again")
        pages[name] = page.evaluate(TAKE)
    return pages


def press(page: Page, origin: str, joined: str) -> Pdf:
    """Print a document that has its pictures beside the pages of a site."""
    page.route("**/joined.html", lambda route: route.fulfill(body=joined, content_type="text/html"))
    page.goto(f"{origin}/book/joined.html")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.evaluate(SETTLE)
    if wide := page.evaluate(WIDER):
        raise ValueError(f"wider than the paper: {wide}")
    known: dict[str, int] = {}
    while True:
        page.evaluate(NUMBER, known)
        printed = page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        pdf = pikepdf.open(io.BytesIO(printed))
        if known == (known := places(pdf)):
            break
    pdf.docinfo = pdf.make_indirect(pikepdf.Dictionary(Title=CONFIG["title"], Author=CONFIG["author"]))
    return pdf


def lacks_chinese() -> bool:
    """Whether this is a machine that can list its fonts and has none for Chinese."""
    return shutil.which("fc-list") is not None and not subprocess.check_output(["fc-list", ":lang=zh"])


def main(site: str, target: str) -> None:
    """Print a site to a file."""
    if lacks_chinese():
        debian.install(CHINESE)
    if lacks_chinese():
        sys.exit(f"The glossary needs a font for Chinese. Debian: sudo apt-get install {CHINESE}")
    with sync_playwright() as playwright, serve.served(site) as origin:
        browser = playwright.chromium.launch(executable_path=chromium.find())
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        pdf = press(page, origin, join(take(page, origin, DOCUMENTS)))
        browser.close()
    pdf.save(target, object_stream_mode=ObjectStreamMode.generate, linearize=True, deterministic_id=True)
    print(f"The book is in {target}: {len(pdf.pages)} pages")


if __name__ == "__main__":
    main(*sys.argv[1:])
