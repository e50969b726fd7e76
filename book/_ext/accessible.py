"""Corrections to the HTML, for readers who use a keyboard or a screen reader."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# The theme takes the focus from a button that is pressed, for the sake of tooltips: let only a mouse do so.
KEEP_FOCUS = "addEventListener('click', (e) => { if (!e.detail) e.target.blur = () => {}; }, true);"


def visit_citation(translator: HTML5Translator, node: nodes.citation) -> None:
    """Call each reference an item of the list that docutils puts it in."""
    HTML5Translator.visit_citation(translator, node)
    translator.body[-1] = translator.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def depart_citation(translator: HTML5Translator, node: nodes.citation) -> None:
    """End a reference as docutils does."""
    HTML5Translator.depart_citation(translator, node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.add_js_file(None, body=KEEP_FOCUS)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
