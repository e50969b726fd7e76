"""Weight and speed of each chapter's page on a phone, beside the same chapter in a stock Jupyter Book."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import chromium
import notebooks
import serve
from playwright.sync_api import Browser, sync_playwright
from weigh import CHROME_FAST_3G, FAST_3G, SLOWER, Load, weigh

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3
STOCK = "title: ConvLab\nauthor: The ConvLab authors\nexecute: { execute_notebooks: 'off' }\n"
NOTE = f"""\
Headless Chromium, 390×844 px, cold cache, pages compressed by gzip, nothing touched. kB: 1000 bytes of
all answers with their headers. Text: first contentful paint, median of {RUNS}, with the processor slowed
down {SLOWER} ×, at 1.6 Mbit/s and 150 ms per request; in brackets by a preset of Chrome, 1.44 Mbit/s and
562 ms. Shift: all layout shifts together. Stock: the same notebooks built by Jupyter Book with a title,
an author and stored outputs, nothing else. What it asks of another host (MathJax) is refused and not
counted: it is lighter here than in life, and its formulas, once set, would move the text.
"""


def build(source: Path, target: Path) -> Path:
    """Build a book; return the folder of its pages."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "--path-output", target, "-q"]
    subprocess.run(command, check=True, capture_output=True)
    return target / "_build/html"


def stock(folder: Path) -> Path:
    """The sources of the book with nothing but a stock configuration."""
    for name in ("chapters", "book"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "_toc.yml", folder)
    (folder / "_config.yml").write_text(STOCK, encoding="utf-8")
    return folder


def measured(browser: Browser, address: str) -> tuple[str, Load]:
    """A page's figures in words, and one of its loads."""
    loads = [weigh(browser, address, line=FAST_3G) for _ in range(RUNS)]
    far = median(weigh(browser, address, line=CHROME_FAST_3G).first_text for _ in range(RUNS))
    size = max(load.size for load in loads) / 1000
    text = median(load.first_text for load in loads)
    shift = max(load.shift for load in loads)
    return f"{size:,.0f} kB, text after {text:.2f} s ({far:.2f} s), shift {shift:.3f}", loads[0]


def rows() -> list[tuple[str, str, str]]:
    """Measure every chapter in both builds."""
    table = []
    elsewhere: set[str] = set()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        ours = build(ROOT, folder / "ours")
        plain = build(stock(folder / "source"), folder / "stock")
        program = chromium.find()
        browser = playwright.chromium.launch(executable_path=program)
        version = f"{Path(program or '').name} {browser.version}"
        with serve.served(ours) as light, serve.served(plain) as heavy:
            for path in notebooks.CHAPTERS:
                page = f"chapters/{path.stem}.html"
                mine, _ = measured(browser, f"{light}/{page}")
                theirs, load = measured(browser, f"{heavy}/{page}")
                elsewhere |= set(load.elsewhere)
                chapter = f"chapter {int(path.stem[:2])}"
                table.append((chapter, mine, "≤ 600 kB, 1 s, 0.05"))
                table.append((f"{chapter}, stock", theirs, ""))
        browser.close()
    asked = f"{', '.join(sorted(url.split('/', 3)[3] for url in elsewhere))}"
    return [
        *table,
        ("stock, asked of other hosts and refused", asked, "ours: none"),
        ("browser", version, ""),
    ]
