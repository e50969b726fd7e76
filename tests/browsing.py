"""What a reader does with a page: read its text, drive its interactive figures by keyboard and by pointer.

Every figure has the same attributes: `data-convlab-figure` on its root, `data-drive="keys"` on what the arrow
keys move, `data-drive="pointer"` on what a pointer explores, `aria-live` on the text that tells the result.
"""

import base64
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import notebooks
import pytest
import yaml
from playwright.sync_api import Locator, Page, Route, expect

from convlab.figures import Figure

ROOT = Path(__file__).resolve().parent.parent
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
DOCUMENTS = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
PAGES = [f"{name}.html" for name in DOCUMENTS] + ["search.html"]
VIEWPORTS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
ADDRESS = "https://github.com/ada/convlab"
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

MARKUP = re.compile(r".*(?:\$[^$\n]+\$|\\\(|:::|\{[a-z:-]+\}`|```).*")


def build(output: Path, repository: str, source: Path = ROOT) -> Path:
    """Build the book with warnings as errors; return the folder of its pages."""
    server, _, name = repository.rpartition("/")
    server, _, owner = server.rpartition("/")
    environment = os.environ | {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": f"{owner}/{name}"}
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        source,
        "--path-output",
        output,
        "-q",
        "-W",
        "-n",
        "--keep-going",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return output / "_build" / "html"


@dataclass
class View:
    """A page in the browser, with everything that went wrong on the way."""

    page: Page
    name: str = ""
    messages: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def open(self, origin: str, name: str) -> None:
        """Load a page, and record what it says and asks for."""

        def only_local(route: Route) -> None:
            if route.request.url.startswith((origin, "data:", "blob:")):
                route.continue_()
            else:
                self.strangers.append(route.request.url)
                route.abort()

        self.name = name
        self.page.context.route("**/*", only_local)
        self.page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        self.page.on("requestfailed", lambda request: self.messages.append(f"failed: {request.url}"))
        self.page.goto(f"{origin}/{name}")
        self.page.wait_for_load_state("networkidle")
        for figure in self.page.locator(
            "[data-convlab-figure]"
        ).all():  # each starts when it comes near the view
            figure.scroll_into_view_if_needed()
            expect(figure.locator("[data-drive]").first).to_be_visible(timeout=15_000)

    def complaints(self) -> list[str]:
        """The console's messages, less the theme's own notes on its light and dark mode."""
        return [message for message in self.messages if not message.startswith("log: [PST]:")]


def raw_markup(text: Locator) -> list[str]:
    """Lines of the rendered text in which a formula, a directive or a role was left as it was typed."""
    parts = text.evaluate_all("""all => all.map(element => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll('pre, code, script, style, math').forEach(part => part.remove());
        return copy.textContent;
    })""")
    return MARKUP.findall("\n".join(parts))


def stored_figures(path: Path) -> int:
    """Count the interactive figures among the stored outputs of a chapter."""
    outputs = [output for cell in notebooks.code_cells(notebooks.read(path)) for output in cell.outputs]
    return sum("data-convlab-figure" in output.get("data", {}).get("text/html", "") for output in outputs)


def drawing(figure: Locator) -> list[str]:
    """What a figure has drawn: the shapes of its SVGs, the pixels of its canvases."""
    return figure.evaluate("""root => [...root.querySelectorAll('canvas, svg')]
        .filter(part => part.checkVisibility())
        .map(part => part.toDataURL?.() ?? part.outerHTML)""")


def live_text(figure: Locator) -> str:
    """What the figure tells to a screen reader."""
    return " ".join(figure.locator("[aria-live]").all_inner_texts())


def wait_for_change(figure: Locator, before: str) -> None:
    """Wait until a figure says something new."""
    figure.page.wait_for_function(
        """([root, before]) =>
            [...root.querySelectorAll('[aria-live]')].map(e => e.innerText).join(' ') !== before""",
        arg=[figure.element_handle(), before],
        timeout=5000,
    )


def drive_by_keys(figure: Locator) -> None:
    handle = figure.locator("[data-drive=keys]").first
    handle.focus()
    expect(handle).to_be_focused()
    text, pictures = live_text(figure), drawing(figure)
    figure.page.keyboard.press("ArrowRight")
    wait_for_change(figure, text)
    assert drawing(figure) != pictures


def drive_by_pointer(figure: Locator, touch: bool) -> None:
    surface = figure.locator("[data-drive=pointer]").first
    surface.scroll_into_view_if_needed()
    for x, y in [(0.3, 0.3), (0.7, 0.6)]:
        text, box = live_text(figure), surface.bounding_box()
        place = (box["x"] + x * box["width"], box["y"] + y * box["height"])
        if touch:
            figure.page.touchscreen.tap(*place)
        else:
            figure.page.mouse.move(*place)
        wait_for_change(figure, text)


def in_javascript(page: Page, figure: type[Figure], expression: str, argument: object) -> object:
    """Value of an expression of the exports, `m`, of a figure's front end, and of `x`."""
    source = base64.b64encode(figure._esm.encode()).decode()
    load = f"import('data:text/javascript;base64,{source}')"
    return page.evaluate(f"async (x) => {{ const m = await {load}; return {expression}; }}", argument)


def write_page(path: Path, *figures: Figure, before: str = "", theme: str = "light") -> str:
    """Write a bare page with figures on it; return its file:// address."""
    dark = (
        "html{--pst-color-text-base:#ced6dd;--pst-color-text-muted:#9ca4af;--pst-color-background:#14181e;"
        "--pst-color-surface:#29313d;--pst-color-border:#48566b;--pst-color-primary:#3fb1c5;background:#14181e;color:#ced6dd}"
    )
    html = "\n".join(figure.html() for figure in figures)
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Figures</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<style>{dark if theme == 'dark' else ''}</style><main><h1>Figures</h1>{before}{html}</main></html>",
        encoding="utf-8",
    )
    return path.as_uri()


def grid_numbers(grid: Locator) -> list[str]:
    """What stands in each cell of a grid of numbers, in reading order."""
    return grid.evaluate("""root => {
        const [columns, rows] = ['width', 'height'].map((side) => (root.viewBox.baseVal[side] - 4) / 20);
        const found = Array(rows * columns).fill('');
        for (const number of root.querySelectorAll('tspan')) {
            const place = [number.parentNode.getAttribute('y'), number.getAttribute('x')];
            const [row, column] = place.map((at) => Math.floor(at / 20));
            found[row * columns + column] = number.textContent;
        }
        return found;
    }""")


def says(root: Page | Locator, text: str) -> None:
    """Wait until a figure tells this text."""
    expect(root.locator("[aria-live]")).to_contain_text(text)


@contextmanager
def no_frames(page: Page) -> Iterator[None]:
    """What is done meanwhile all comes before the next frame, as on a slow machine."""
    page.evaluate("""() => {
        const [next, held] = [requestAnimationFrame, []];
        window.requestAnimationFrame = call => held.push(call);
        window.goOn = () => { window.requestAnimationFrame = next; held.forEach(call => next(call)); };
    }""")
    yield
    page.evaluate("goOn()")
    page.evaluate(FRAME)


def walk(page: Page, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Send the unit of a map along its borders by keys; give where it must be after each."""
    page.locator("[data-drive=keys]").first.focus()
    right, bottom = columns - 1, rows - 1
    far = min(1 + math.ceil(max(rows, columns) / 10), bottom)
    for key, unit in [
        ("Control+Home", (0, 0)),
        ("ArrowUp", (0, 0)),
        ("ArrowRight", (0, 1)),
        ("ArrowDown", (1, 1)),
        ("Shift+ArrowDown", (far, 1)),
        ("End", (far, right)),
        ("ArrowRight", (far, right)),
        ("ArrowLeft", (far, right - 1)),
        ("Home", (far, 0)),
        ("Control+End", (bottom, right)),
    ]:
        page.keyboard.press(key)
        yield unit


def check_refusal(build: Callable[..., Figure], changes: dict[str, object], message: str) -> None:
    """A figure with these traits can't be made, and one that stands keeps its state when they are set."""
    with pytest.raises((ValueError, TypeError), match=message):
        build(**changes)
    figure = build()
    before = figure.state()
    with pytest.raises((ValueError, TypeError), match=message):
        figure.set_trait(*changes.popitem())
    assert figure.state() == before


def check_nonsense(field: Locator, typed: str, advice: str) -> None:
    """What is typed into a field gets this advice and changes nothing; it goes again with the focus."""
    page, kept = field.page, field.input_value()
    before = page.locator("[aria-live]").inner_text()
    field.focus()
    field.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(typed)
    expect(page.get_by_role("alert")).to_have_text(advice)
    assert page.locator("[aria-live]").inner_text() == before
    page.keyboard.press("Tab")
    expect(field).to_have_value(kept)
    expect(page.get_by_role("alert")).to_have_text("")


def check_layout(page: Page) -> None:
    """A figure fits the page, its controls are large enough, the focus shows (axe looks at whole pages)."""
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    sizes = page.locator("label, button, input:not(label input), [tabindex]").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(b => Math.min(b.width, b.height))"
    )
    assert len(sizes) > 3
    assert min(sizes) >= 24
    handle = page.locator("[data-drive=keys]").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    assert "solid 3px" in handle.evaluate("e => getComputedStyle(e).outline")
