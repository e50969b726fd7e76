"""The course without a network: one archive of the site, whose search works from disk too; and on paper."""

import re
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sphinx.application import Sphinx
from sphinx.config import Config

FOLDER = "convlab-course"
ARCHIVE = f"{FOLDER}.zip"
BOOK = "convlab.pdf"
LINK = re.compile(rf'<a [^>]*href="[^"]*{re.escape(ARCHIVE)}"[^>]*>(.*?)</a>'.encode(), re.DOTALL)

# A page on disk may not fetch another one, and the summaries of a search would be read from its results.
SEARCH = "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"

# Paper is white: a dark page becomes a light one while it is printed.
PAPER = """{
    const page = document.documentElement;
    let theme;
    addEventListener("beforeprint", () => { theme = page.dataset.theme; page.dataset.theme = "light"; });
    addEventListener("afterprint", () => { page.dataset.theme = theme; });
}"""


def find_book(app: Sphinx, config: Config) -> None:
    """Look for the printed book, which `make pdf` leaves here; a change writes all pages again."""
    config.printed_book = (Path(app.outdir).parent / BOOK).is_file()


def add_links(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Let pages print and the search work from disk; offer the printed book, where there is one."""
    app.add_js_file(None, body=PAPER)
    if pagename == "search":
        app.add_js_file(None, body=SEARCH)
    if not app.config.printed_book:
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            group["buttons"].append(
                {
                    "type": "link",
                    "url": context["pathto"](BOOK, 1),
                    "text": "The whole book (.pdf)",
                    "tooltip": "Download the whole book for printing",
                    "icon": "fas fa-file-pdf",
                    "label": "download-book-button",
                }
            )


def pack(site: Path) -> None:
    """Write the archive of a folder of pages into it: the same pages give the same bytes.

    In the archive, a link to the archive is plain text.
    """
    with ZipFile(site / ARCHIVE, "w", ZIP_DEFLATED) as archive:
        for path in sorted(site.rglob("*")):
            name = path.relative_to(site)
            if not path.is_file() or path.name == ARCHIVE or path.name[0] == "." or path.suffix == ".map":
                continue
            content = path.read_bytes()
            if path.suffix == ".html":
                content = LINK.sub(rb"\1", content)
            entry = ZipInfo(f"{FOLDER}/{name.as_posix()}")
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, ZIP_DEFLATED)


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Put the printed book beside the pages, and all of it into the archive."""
    if exception or app.builder.name != "html":
        return
    site = Path(app.outdir)
    if app.config.printed_book:
        (site / BOOK).write_bytes((site.parent / BOOK).read_bytes())
    else:
        (site / BOOK).unlink(missing_ok=True)
    pack(site)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; the archive is made when all others have finished."""
    app.add_config_value("printed_book", False, "html")
    app.connect("config-inited", find_book)
    app.connect("html-page-context", add_links, priority=900)
    app.connect("build-finished", finish, priority=1000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
