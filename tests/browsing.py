"""What a reader does with a page: read its text, drive its interactive figures by keyboard and by pointer.

Every figure has the same attributes: `data-convlab-figure` on its root, `data-drive="keys"` on what the arrow
keys move, `data-drive="pointer"` on what a pointer explores, `aria-live` on the text that tells the result.
"""

import re
from pathlib import Path

import notebooks
from playwright.sync_api import Locator, expect

MARKUP = re.compile(r".*(?:\$[^$\n]+\$|\\\(|:::|\{[a-z:-]+\}`|```).*")


def raw_markup(text: Locator) -> list[str]:
    """Lines of the rendered text in which a formula, a directive or a role was left as it was typed."""
    parts = text.evaluate_all("""all => all.map(element => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll('pre, code, script, style, mjx-container').forEach(part => part.remove());
        return copy.textContent;
    })""")
    return MARKUP.findall("\n".join(parts))


def stored_figures(path: Path) -> int:
    """Count the interactive figures among the stored outputs of a chapter."""
    outputs = [output for cell in notebooks.code_cells(notebooks.read(path)) for output in cell.outputs]
    return sum("data-convlab-figure" in output.get("data", {}).get("text/html", "") for output in outputs)


def drawing(figure: Locator) -> list[bytes]:
    """The pixels of a figure's pictures."""
    return [part.screenshot() for part in figure.locator("canvas:visible, svg:visible").all()]


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
