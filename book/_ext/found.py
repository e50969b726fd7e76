"""How pages are found and cited: descriptions, previews on social sites, a site map, "Cite this page".

What needs the address of the published site is absent where that is not known.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

CITATION = yaml.safe_load(
    Path(__file__).resolve().parents[2].joinpath("CITATION.cff").read_text(encoding="utf-8")
)
LONGEST = 160  # characters of a description that search engines show
SHORT = 80  # below this a description goes on, with the next paragraph or with a part of a sentence
PREVIEW = "_static/preview.jpg"
PREVIEW_SIZE = (1200, 630)
PREVIEW_ALT = (
    "A photograph of a cat beside the maps that a convolutional network makes of it at three depths."
)


def description(doctree: nodes.document) -> str:
    """Take the first sentences, as far as a search engine shows them; cut one only if too little is left."""
    text = ""
    for paragraph in doctree.findall(nodes.paragraph):
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.astext().split())):
            longer = f"{text} {sentence}".strip()
            if len(longer) > LONGEST:
                return text if len(text) >= SHORT else longer[: LONGEST - 1].rpartition(" ")[0] + "…"
            text = longer
        if len(text) >= SHORT:
            break
    return text


def citation(page: str | None, title: str, address: str | None) -> str:
    """Say how to cite a page, or the book where `page` is None: in a sentence and in BibTeX, folded."""
    book, version, date = CITATION["title"], CITATION["version"], CITATION["date-released"]
    authors = ", ".join(author["name"] for author in CITATION["authors"])
    number, _, name = title.rpartition(" · ") if page else ("", "", book)
    version = f"{f'chapter {number}, ' if number else ''}version {version}"
    fields = {
        "author": f"{{{authors}}}",
        "title": f"{{{name}}}",
        "howpublished": book if page else None,
        "note": version.capitalize(),
        "year": str(date.year),
        "url": address,
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
    key = f"convlab-{Path(page).name.replace('_', '-')}" if page else "convlab"
    bibtex = "\n".join([f"@misc{{{key},", *lines, "}"])
    place = f"{escape(name)}. In <em>{escape(book)}</em>" if page else f"<em>{escape(book)}</em>"
    link = f' <a href="{escape(address)}">{escape(address)}</a>' if address else ""
    return (
        f'<details class="cite noprint"><summary>Cite this {"page" if page else "book"}</summary>\n'
        f"<p>{escape(authors)}. ({date.year}, {date:%B} {date.day}). {place} ({version}).{link}</p>\n"
        f'<div class="highlight"><pre>{escape(bibtex)}\n</pre></div>\n</details>\n'
    )


def preview(title: str, text: str, address: str | None, image: str | None) -> str:
    """Give the tags that search engines and social sites read."""
    tags = {"og:title": title, "og:description": text, "og:type": "website", "og:site_name": "ConvLab"}
    if address and image:
        tags |= {"og:url": address, "og:image": image, "og:image:alt": PREVIEW_ALT}
        tags |= {
            f"og:image:{side}": str(n) for side, n in zip(("width", "height"), PREVIEW_SIZE, strict=True)
        }
    lines = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()]
    lines.append(f'<meta name="description" content="{escape(text)}" />')
    if image:
        lines.append('<meta name="twitter:card" content="summary_large_image" />')
    return "\n".join(lines) + "\n"


def entry(title: str, tags: str, target: str, address: str | None) -> str:
    """Write the page at the root: it leads to the landing page, and shows the same preview."""
    canonical = f'<link rel="canonical" href="{escape(address)}" />\n' if address else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
        f"<title>{escape(title)}</title>\n{tags}{canonical}"
        f'<meta http-equiv="refresh" content="0; url={target}" />\n</head>\n'
        f'<body><a href="{target}">{escape(title)}</a></body>\n</html>\n'
    )


def add_to_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the tags into the head of a page, and the citation below its text."""
    if doctree is None or app.builder.name != "html":
        return
    title = app.env.titles[page].astext()
    site = app.config.html_baseurl
    address = site + app.builder.get_target_uri(page) if site else None
    tags = preview(title, description(doctree), address, site + PREVIEW if site else None)
    context["metatags"] += tags
    if page != app.config.root_doc:
        context["body"] += citation(page, title, address)
    else:
        context["body"] += citation(None, title, site or None)
        Path(app.outdir, "index.html").write_text(
            entry(title, tags, app.builder.get_target_uri(page), address), encoding="utf-8"
        )


def add_site_map(app: Sphinx, exception: Exception | None) -> None:
    """List the pages for search engines."""
    site = app.config.html_baseurl
    if exception or app.builder.name != "html" or not site:
        return
    places = [escape(site + app.builder.get_target_uri(page)) for page in sorted(app.env.found_docs)]
    lines = [f"<url><loc>{place}</loc></url>" for place in places]
    start = (
        '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    )
    Path(app.outdir, "sitemap.xml").write_text("\n".join([start, *lines, "</urlset>\n"]), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", add_site_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
