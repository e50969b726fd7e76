"""Let the search find a term of the glossary by each of its names, English or Chinese, without warnings.

Chinese has no spaces between words, and the search knows words only by the spaces around them. It does look
inside the entries of the index, so each name of a term becomes an entry of its own.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def names(term: str) -> list[str]:
    """Split what stands before a definition into its names.

    >>> names("average precision (AP) · 平均精度，平均精确率")
    ['average precision', 'AP', '平均精度', '平均精确率']
    """
    return [name for part in re.split(r" · |，|、|[()（）]", term) if (name := part.strip())]


def split_entries(app: Sphinx, doctree: nodes.document) -> None:
    """Replace the index entry of each term by one for each of its names."""
    for glossary in doctree.findall(addnodes.glossary):
        for index in glossary.findall(addnodes.index):
            index["entries"] = [
                (kind, name, *rest) for kind, term, *rest in index["entries"] for name in names(term)
            ]


# The search reads the ids of its results as CSS selectors; there the dot of `convlab.fields` means a class.
ESCAPE = """addEventListener('DOMContentLoaded', () => {
    const read = Search.htmlToText;
    Search.htmlToText = (page, id) => read(page, id && '#' + CSS.escape(id.slice(1)));
});"""


def escape_ids(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Add the correction to the search page."""
    if page == "search":
        app.add_js_file(None, body=ESCAPE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", split_entries, priority=400)  # before the index domain collects the entries
    app.connect("html-page-context", escape_ids)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
