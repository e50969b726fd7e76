"""A fresh run of every chapter, in the project's own JupyterLab; its figures driven once."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import notebooks
import psutil
import pytest
from browsing import ROOT, drive_by_keys, raw_markup, stored_figures
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from convlab import data

SETTINGS = {
    "notebook-extension/tracker": {
        "windowingMode": "none"
    },  # every cell is in the page, not only those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
STATE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = [...panel.content.model.cells].filter(cell => cell.type === 'code');
    return {
        id: panel.sessionContext.session?.kernel?.id,
        kernel: panel.sessionContext.session?.kernel?.status,
        counts: cells.map(cell => cell.executionCount),
        errors: cells.flatMap(cell => cell.outputs.toJSON()).filter(output => output.output_type === 'error'),
    };
}"""


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


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab on a copy of the chapters, with no settings but ours."""
    home = tmp_path_factory.mktemp("jupyter")
    work = home / "book"
    shutil.copytree(ROOT / "chapters", work / "chapters")
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


@dataclass
class Opened:
    """A chapter in JupyterLab after Run All, and what the run gave."""

    page: Page
    run: notebooks.Run


@pytest.fixture(scope="module")
def opened(path: Path, browser: Browser, jupyterlab: str) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.route(
        "**/*", lambda route: route.continue_() if jupyterlab in route.request.url else route.abort()
    )
    page = context.new_page()
    page.goto(f"{jupyterlab}/lab/workspaces/run/tree/chapters/{path.name}?reset")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady", timeout=60_000)
    watch = notebooks.Watch(kernel(page.evaluate(STATE)["id"]))
    watch.start()
    begin = time.monotonic()
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    number = len(notebooks.code_cells(notebooks.read(path)))
    while time.monotonic() < begin + 120:
        page.wait_for_timeout(500)
        state = page.evaluate(STATE)
        if state["errors"] or (state["kernel"] == "idle" and state["counts"] == list(range(1, number + 1))):
            break
    watch.stopped.set()
    watch.join()
    fresh = page.evaluate("window.jupyterapp.shell.currentWidget.content.model.toJSON()")
    notebook = nbformat.from_dict(fresh)
    notebooks.normalise(notebook)
    yield Opened(page, notebooks.Run(notebook, time.monotonic() - begin, watch.used, watch.peak))
    context.close()


@pytest.fixture
def chapter(opened: Opened) -> Page:
    return opened.page


def kernel(name: str) -> int:
    """Process of the kernel with this name."""
    for process in psutil.process_iter(["cmdline"]):
        if any(name in word for word in process.info["cmdline"] or []):
            return process.pid
    return pytest.fail(f"no kernel {name}")


def test_fresh_run_equals_the_stored_one(opened, path):
    assert notebooks.problems(opened.run.notebook) == []
    assert notebooks.differences(notebooks.read(path), opened.run.notebook) == [], "run `make notebooks`"


def test_run_is_quick_and_small(opened):
    assert opened.run.processor_seconds < 60  # its wall time depends on the tests that run beside it
    assert 10e6 < opened.run.memory < 1e9


def test_student_copy_runs_and_finds_every_exercise_unanswered(opened):
    """Its code is the chapter's, which was run; only solutions are gone, and they are text."""
    whole = opened.run.notebook
    copied = notebooks.student_copy(whole)
    gone = [cell for cell in whole.cells if cell.id not in {cell.id for cell in copied.cells}]
    assert len(gone) >= 6
    assert all(cell.cell_type == "markdown" and "<summary>Solution" in cell.source for cell in gone)
    assert "<summary>Solution" not in "".join(cell.source for cell in copied.cells)
    assert all(cell.outputs == [] for cell in notebooks.code_cells(copied))
    checks = [cell for cell in notebooks.code_cells(whole) if "exercise" in cell.metadata.get("tags", [])]
    assert len(checks) == len(gone)
    for cell in checks:
        (output,) = cell.outputs
        assert re.fullmatch(r"[A-Z]{2}-E\d+: not answered yet\.\n", output.text)


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
