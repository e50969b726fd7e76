"""Time from a key press to the painted result, for each interactive figure of the chapters."""

import tempfile
from pathlib import Path
from statistics import median

import chromium
import notebooks
from playwright.sync_api import Browser, sync_playwright

PRESSES = 60
NOTE = (
    "Headless Chromium paints as soon as it can here, so this is work without the wait for a screen. Median "
    "and slowest of 60 presses of an arrow key, until the frame with the result is painted."
)
WATCH = """() => {
    const text = () => [...document.querySelectorAll('[aria-live]')].map(e => e.textContent).join();
    window.times = [];
    document.addEventListener('keydown', (event) => {
        const before = text();
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () =>
                window.times.push([performance.now() - event.timeStamp, text() !== before]);
            port2.postMessage(0); // answered when the frame is painted
        });
    }, true);
}"""


def figures() -> list[tuple[str, str]]:
    """Name (chapter and figure) and HTML of every stored interactive figure."""
    found = []
    for path in notebooks.CHAPTERS:
        for cell in notebooks.code_cells(notebooks.read(path)):
            for output in cell.outputs:
                html = output.get("data", {}).get("text/html", "")
                if "data-convlab-figure" in html:
                    name = html.partition('data-convlab-figure="')[2].partition('"')[0]
                    found.append((f"{name}, chapter {int(path.stem[:2])}", html))
    return found


def times(browser: Browser, html: str) -> list[tuple[float, bool]]:
    """Milliseconds of each press, and whether the text had changed when its frame was painted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(f"<!doctype html><meta charset=utf-8><main>{html}</main>", encoding="utf-8")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(file.as_uri())
        page.locator("[data-drive=keys]").first.focus()
        page.evaluate(WATCH)
        for press in range(PRESSES):
            page.keyboard.press(["ArrowRight", "ArrowLeft"][press % 2])
            page.wait_for_function("n => window.times.length > n", arg=press)
        measured = page.evaluate("window.times")
        page.close()
    return measured


def rows() -> list[tuple[str, str, str]]:
    """Measure every figure."""
    table = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=["--disable-gpu-vsync", "--disable-frame-rate-limit"]
        )
        for name, html in figures():
            measured = times(browser, html)
            late = sum(not changed for _, changed in measured)
            milliseconds = [time for time, _ in measured]
            result = f"{median(milliseconds):.1f} ms, at most {max(milliseconds):.1f} ms"
            table.append((name, result + (f", {late} a frame later" if late else ""), "≤ 16 ms"))
        browser.close()
    return table
