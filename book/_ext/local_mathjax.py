"""Serve MathJax from the built site: one script and its fonts, from the package django-static-mathjax."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx

FILES = ("tex-mml-chtml.js", "output/chtml/fonts")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy MathJax beside the pages, not under `_static`: the theme would load its script on every page."""
    if exception or app.builder.format != "html":
        return
    spec = find_spec("mathjax")
    source = Path(spec.origin).parent / "static" / "mathjax" / "es5"
    for name in FILES:
        target = Path(app.outdir) / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
