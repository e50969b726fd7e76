"""Formulas as MathML, made when the book is built: no script sets them, and nothing moves when they come.

Their letters and signs are in `book/_static/math.woff2`, a part of STIX Two Math: see tools/math_font.py.
"""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Where browsers would guess wrong: bars of a norm, names of functions, the star of convolution, primes.
CORRECTIONS = [
    (re.compile(r'stretchy="true" (fence="true" form="\w+">&#x02016;)'), r'stretchy="false" \1'),
    (re.compile(r"<mo>([a-z]{2,})</mo>(?!</munder)"), r"<mi>\1</mi>"),
    (re.compile("<mo>&#x0002A;</mo>"), "<mo>&#x02217;</mo>"),
    (
        re.compile("<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>"),
        r'\1<mo lspace="0" rspace="0">&#x02032;</mo>',
    ),
]


def mathml(formula: str, display: str = "inline") -> str:
    r"""Turn LaTeX into MathML; a command that is not known is an error.

    >>> mathml("x_1")
    '<math display="inline"><mrow><msub><mi>x</mi><mn>1</mn></msub></mrow></math>'
    >>> mathml(r"\nosuch x")
    Traceback (most recent call last):
    ValueError: no command \nosuch in the formula '\\nosuch x'
    """
    paired = formula.replace(r"\lVert", r"\left\lVert").replace(r"\rVert", r"\right\rVert")
    markup = convert(paired, display=display)
    for pattern, text in CORRECTIONS:
        markup = pattern.sub(text, markup)
    if unknown := re.search(r"\\[a-zA-Z]+", markup):
        raise ValueError(f"no command {unknown[0]} in the formula {formula!r}")
    return markup.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula in what the theme uses for wide tables: it scrolls on its own, by keyboard too."""
    translator.body.append(
        '<div class="pst-scrollable-table-container"><div class="math">'
        f"{mathml(node.astext(), 'block')}</div></div>\n"
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension as a renderer; `html_math_renderer: mathml` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
