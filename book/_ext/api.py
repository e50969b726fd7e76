"""Docstrings for the library's page: examples stand below the sections, as a section of their own."""

import re
from typing import Any

from sphinx.application import Sphinx


def separate_examples(app: Sphinx, *args: Any) -> None:
    """Put a heading before the first example, so that it is not read as part of the section above it."""
    lines: list[str] = args[-1]
    first = next((i for i, line in enumerate(lines) if line.startswith(">>>")), None)
    if first and any(re.fullmatch("-{3,}", line) for line in lines[:first]):
        lines[first:first] = ["Examples", "--------"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", separate_examples, priority=400)  # before napoleon, at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
