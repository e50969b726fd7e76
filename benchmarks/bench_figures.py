"""Work from a key press to the painted result, for each interactive figure of the chapters."""

import tempfile
from pathlib import Path
from statistics import median

import chromium
import notebooks
from playwright.sync_api import Browser, sync_playwright

from convlab.figures import ConvolutionArithmetic

PRESSES = 60
NOTE = (
    "Headless Chromium. From the key's event until the figure has handled it, and from the start of the next "
    "frame until this is painted; the wait for that frame, up to 16.7 ms on a screen of 60 Hz, is not work. "
    f"Median and slowest of {PRESSES} presses of an arrow key. One key more, at the largest drawing of all: "
    "the slider that changes it whole."
)
WATCH = """() => {
    const text = () => [...document.querySelectorAll('[aria-live]')].map(e => e.textContent).join();
    let start, before, slides;
    window.times = [];
    const begin = ({ target }) => {
        slides = target.type === 'range'; // its key does nothing yet, the input event that follows does
        [start, before] = [performance.now(), text()];
    };
    const end = ({ type }) => {
        if (slides !== (type === 'input')) return;
        const handled = performance.now() - start;
        requestAnimationFrame(() => { // comes after the figure's own
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () =>
                window.times.push([handled + performance.now() - frame, text() !== before]);
            port2.postMessage(0); // answered when the frame is painted
        });
    };
    let frame;
    const mark = () => {
        frame = performance.now();
        requestAnimationFrame(mark);
    };
    mark(); // comes before the figure's own
    for (const kind of ['keydown', 'input']) document.addEventListener(kind, begin, true);
    for (const kind of ['keydown', 'input']) window.addEventListener(kind, end);
}"""
LARGEST = ConvolutionArithmetic(size=12, kernel_size=5, padding=6)


def figures() -> list[tuple[str, str, str]]:
    """Name (chapter and figure), what takes the keys, and HTML of every stored interactive figure."""
    found = []
    for path in notebooks.CHAPTERS:
        for cell in notebooks.code_cells(notebooks.read(path)):
            for output in cell.outputs:
                html = output.get("data", {}).get("text/html", "")
                if "data-convlab-figure" in html:
                    name = html.partition('data-convlab-figure="')[2].partition('"')[0]
                    found.append((f"{name}, chapter {int(path.stem[:2])}", "[data-drive=keys]", html))
    return [*found, ("convolution-arithmetic, 24×24 cells, slider", "[name=i]", LARGEST.html())]


def times(browser: Browser, keys: str, html: str) -> list[tuple[float, bool]]:
    """Milliseconds of each press, and whether the text had changed when its frame was painted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(f"<!doctype html><meta charset=utf-8><main>{html}</main>", encoding="utf-8")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(file.as_uri())
        page.locator(keys).first.focus()
        page.evaluate(WATCH)
        for press in range(PRESSES):
            page.keyboard.press(["ArrowLeft", "ArrowRight"][press % 2])
            page.wait_for_function("n => window.times.length > n", arg=press)
        measured = page.evaluate("window.times")
        page.close()
    return measured


def rows() -> list[tuple[str, str, str]]:
    """Measure every figure."""
    table = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find())
        for name, keys, html in figures():
            measured = times(browser, keys, html)
            same = sum(not changed for _, changed in measured)
            milliseconds = [time for time, _ in measured]
            result = f"{median(milliseconds):.1f} ms, at most {max(milliseconds):.1f} ms"
            table.append((name, result + (f", {same} without a change" if same else ""), "≤ 16 ms"))
        browser.close()
    return table
