"""The base class of all interactive figures."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from anywidget import AnyWidget
from ipywidgets import DOMWidget  # type: ignore[import-untyped]
from traitlets import Unicode

_FOLDER = Path(__file__).parent
_FRAME = """\
<style>
{style}</style>
<div class="convlab-figure" data-convlab-figure="{name}" role="group" aria-label="{description}">
<figure>
<p>{description} (It responds where scripts may run: in the book, and in a running notebook.)</p>
<figcaption>{caption}</figcaption>
</figure>
<script type="text/plain">
{module}</script>
<script type="application/json">{state}</script>
<script type="module">
{host}</script>
</div>
"""


def _read(name: str) -> str:
    """A front-end file without its indentation, empty lines and short comments, which no page needs."""
    source = (_FOLDER / name).read_text(encoding="utf-8")
    return re.sub(r"^\s*(?:/\*.*\*/\n)?|[ \t]*// .*$", "", source, flags=re.MULTILINE)


class Figure(AnyWidget):
    """An interactive figure: live in a notebook, and at work on a plain page without a kernel.

    A figure is three files of one name in this folder, and nothing else:

    - `my_figure.py`: a subclass with `front_end = "my_figure"`, a `description` for a reader who doesn't see
      the figure, and its state as traits tagged `sync=True` that hold JSON.
    - `my_figure.mjs`: an anywidget front-end module, `export default { render({ model, el }) { … } }`. It
      sets `el.dataset.convlabFigure` and fills `el` with a `<figure>` that ends in a `<figcaption>`.
      Arithmetic stands in exported functions, which the tests check against Python.
    - `my_figure.css`: its own classes only, on the variables and parts of `figure.css`.

    `figure.mjs` and `figure.css` stand before them: what all figures share.

    With `parts = ("grid",)` the module and style of that name come next.

    A live notebook shows the widget. Elsewhere a reader gets HTML: the front end, the state as JSON, and
    `host.mjs`, which starts the one with the other. All that depends on the machine is in the JSON.
    """

    front_end: ClassVar[str]
    description: ClassVar[str]
    parts: ClassVar[tuple[str, ...]] = ()

    caption = Unicode(help="What to do with the figure and what to look for.").tag(sync=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "front_end" in cls.__dict__:
            names = ("figure", *cls.parts, cls.front_end)
            cls._esm = "".join(_read(f"{name}.mjs") for name in names)
            cls._css = "".join(_read(f"{name}.css") for name in names)
        super().__init_subclass__(**kwargs)

    def state(self) -> dict[str, Any]:
        """Everything the front end can ask for: the synced traits of the figure, by name."""
        names = set(self.trait_names(sync=True)) - set(DOMWidget.class_trait_names())
        return {name: getattr(self, name) for name in sorted(names) if not name.startswith("_")}

    def html(self) -> str:
        """The figure as a piece of a page that needs nothing else."""
        state = json.dumps(self.state(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return _FRAME.format(
            name=self.front_end.replace("_", "-"),
            description=escape(self.description),
            caption=escape(self.caption),
            style=self._css,
            module=self._esm,
            state=state.replace("<", r"\u003c"),
            host=_read("host.mjs"),
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": self.html()}, metadata

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.description}"
