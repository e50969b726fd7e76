"""The theme's colours before the first paint, a chapter's sign, and a class for what the reader predicts."""

import re

from docutils import nodes
from sphinx.application import Sphinx

# The theme finds out late whether the reader wants a dark page. Till then the page would be light, and the
# pictures of both kinds would be shown and fetched.
EARLY = """{
  const { dataset } = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  if (dataset.theme === "auto") dataset.theme = dark ? "dark" : "light";
}"""


def mark(app: Sphinx, document: nodes.document) -> None:
    """Put the sign before the title, and give the paragraphs that begin with a bold "Predict" a class."""
    chapter = re.match(r"chapters/(\d\d)_", app.env.docname)
    if chapter is None:
        return
    document.insert(
        0, nodes.image(uri=f"/book/_static/chapter{chapter[1]}.svg", alt="", classes=["sign", "early"])
    )
    for paragraph in document.findall(nodes.paragraph):
        first = next((child for child in paragraph.children if child.astext()), None)
        if isinstance(first, nodes.strong) and first.astext().startswith("Predict"):
            paragraph["classes"].append("predict")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_js_file(None, body=EARLY, priority=100)
    app.connect("doctree-read", mark, priority=400)  # before the images are collected, at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
