"""Measure how high the interactive figures are: `python tools/heights.py _build/html`.

The pages keep that much room free until a figure is loaded, so that nothing moves: see book/_ext/light.py.
"""

import json
import sys
from pathlib import Path

import chromium
from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).resolve().parent.parent / "book/_ext/light.json"
WIDTHS = (390, 1280)
START = """async () => {
    const figures = [...document.querySelectorAll("[data-convlab-figure]")];
    for (const figure of figures) {
        figure.style.minHeight = 0;
        figure.scrollIntoView();
        while (!figure.querySelector("[data-drive]")) await new Promise(requestAnimationFrame);
    }
    await new Promise(requestAnimationFrame);
    return figures.map((figure) => Math.round(figure.getBoundingClientRect().height));
}"""


def measure(page: Page, address: str) -> list[list[int]]:
    """How high each figure of a page is on a phone and on a desktop, in px."""
    heights = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address)
        heights.append(page.evaluate(START))
    return [list(pair) for pair in zip(*heights, strict=True)]


def main(site: str) -> None:
    """Measure the figures of all pages of a site, and store what comes out."""
    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find())
        page = browser.new_page()
        for path in sorted(Path(site).resolve().rglob("*.html")):
            if "data-convlab-figure" in path.read_text(encoding="utf-8"):
                found[path.stem] = measure(page, path.as_uri())
        browser.close()
    TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
