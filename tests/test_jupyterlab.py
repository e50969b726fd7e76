"""Every chapter in the project's own JupyterLab: its text is read, its figures are run and driven once.

Only the cells that a figure needs are run here. nbval runs all of them, see conftest.py beside `tests`.
"""

import copy
import json
import os
import re
import shutil
import socket
import subprocess
import symtable
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import notebooks
import pytest
from browsing import ROOT, drive_by_keys, raw_markup, stored_figures
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from convlab import data

SETTINGS = {
    "notebook-extension/tracker": {
        "windowingMode": "none"
    },  # every cell is in the page, not only those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
CELLS = """const {content, sessionContext} = window.jupyterapp.shell.currentWidget;
    const cells = [...content.model.cells].filter(cell => cell.type === 'code');
    const errors = cells.flatMap(cell => cell.outputs.toJSON())
        .filter(output => output.output_type === 'error');"""
ERRORS = f"() => {{ {CELLS} return errors; }}"
DONE = f"""() => {{ {CELLS}
    return errors.length || (sessionContext.session.kernel.status === 'idle'
        && cells.every((cell, number) => cell.executionCount === number + 1));
}}"""


def wait_for_server(url: str, server: subprocess.Popen, log: Path) -> None:
    """Wait until the server answers, or tell why it ended."""
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/api").close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')}")


def makes_and_needs(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell defines, and names that it has from other cells."""
    cell = symtable.symtable(source, "cell", "exec")
    defined = {name.get_name() for name in cell.get_symbols() if name.is_assigned() or name.is_imported()}
    tables = [cell]
    used = set()
    for table in tables:  # grows: a cell's functions, and theirs
        tables.extend(table.get_children())
        used.update(
            name.get_name()
            for name in table.get_symbols()
            if name.is_referenced() and (table is cell or name.is_global())
        )
    return defined, used - defined


def for_figures(chapter: NotebookNode) -> NotebookNode:
    """A chapter with its text, its figures and explorations of one's own photos, and the cells they need."""
    short = copy.deepcopy(chapter)
    needed: set[str] = set()
    for cell in reversed(chapter.cells):
        if cell.cell_type != "code":
            continue
        interactive = any("data-convlab-figure" in str(output.get("data")) for output in cell.outputs)
        makes, needs = makes_and_needs(TransformerManager().transform_cell(cell.source))
        if interactive or "OwnPhoto(" in cell.source or makes & needed:
            needed = needed - makes | needs
        else:
            short.cells.remove(cell)
    notebooks.clear(short)
    return short


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab on a copy of the chapters, with no settings but ours."""
    home = tmp_path_factory.mktemp("jupyter")
    work = home / "book"
    shutil.copytree(ROOT / "chapters", work / "chapters")
    for path in notebooks.CHAPTERS:
        nbformat.write(for_figures(notebooks.read(path)), work / "chapters" / path.name)
    for name, setting in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folders = {
        "HOME": home,
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "MPLCONFIGDIR": home / "matplotlib",
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={work}"),
        *("--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"),
    ]
    log = home / "log.txt"
    url = f"http://127.0.0.1:{port}"
    with log.open("w", encoding="utf-8") as out:
        environment = os.environ | {name: str(folder) for name, folder in folders.items()}
        workspace = ROOT / "binder" / "workspace.json"  # as binder/postBuild does
        import_it = [*command[:3], "workspaces", "import", workspace]
        subprocess.run(import_it, env=environment, stdout=out, stderr=subprocess.STDOUT, check=True)
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_for_server(url, server, log)
            yield url
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="module", params=notebooks.CHAPTERS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def chapter(path: Path, browser: Browser, jupyterlab: str) -> Iterator[Page]:
    """The chapter after Run All."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.route(
        "**/*", lambda route: route.continue_() if jupyterlab in route.request.url else route.abort()
    )
    page = context.new_page()
    page.goto(f"{jupyterlab}/lab/workspaces/run/tree/chapters/{path.name}?reset")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady", timeout=60_000)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"({DONE})()", timeout=60_000, polling=200)
    assert page.evaluate(ERRORS) == []
    yield page
    context.close()


def test_text_is_rendered(chapter):
    """Formulas are set, and no directive, role or target shows as raw text."""
    expect(chapter.locator(".jp-MarkdownCell.jp-mod-rendered").first).to_be_visible()
    assert chapter.locator(".jp-MarkdownCell:not(.jp-mod-rendered)").count() == 0
    text = chapter.locator(".jp-MarkdownOutput")
    assert len("".join(text.all_inner_texts())) > 500
    assert raw_markup(text) == []


def test_figures_respond(chapter, path):
    figures = chapter.locator(".jp-OutputArea-output [data-convlab-figure]")
    assert figures.count() == stored_figures(path)
    for figure in figures.all():
        drive_by_keys(figure)


def test_own_photos_are_read(chapter, path, tmp_path):
    """Where a chapter asks for the reader's photo, uploading one changes the picture."""
    Image.fromarray(data.photo("rocket")).save(tmp_path / "mine.png")
    explorations = chapter.locator(".jp-OutputArea-output", has=chapter.locator("button.widget-upload"))
    assert explorations.count() == path.read_text(encoding="utf-8").count("OwnPhoto(")
    for exploration in explorations.all():
        picture = exploration.locator("img.widget-image")
        before = picture.get_attribute("src")
        with chapter.expect_file_chooser() as chooser:
            exploration.locator("button.widget-upload").click()
        chooser.value.set_files(tmp_path / "mine.png")
        expect(picture).not_to_have_attribute("src", before)


def test_contents_open_beside_a_chapter(browser, jupyterlab):
    """As on Binder: a chapter's button opens it, the contents are in the next tab, and lead to the others."""
    first, second = notebooks.CHAPTERS[:2]
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{jupyterlab}/lab/tree/chapters/{second.name}")
    tabs = page.locator("#jp-main-dock-panel .lm-TabBar-tab")
    expect(tabs).to_have_text(["contents.md", second.name], timeout=60_000)
    tabs.first.click()
    title = notebooks.read(first).cells[0].source.partition("\n")[0].removeprefix("# ")
    page.locator(".jp-MarkdownViewer").get_by_role("link", name=title).click()
    expect(tabs.filter(has_text=first.name)).to_have_class(re.compile("lm-mod-current"))
    context.close()
