"""Fixtures that several test files share."""

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
import serve
from browsing import ADDRESS, build, write_page
from filelock import FileLock
from playwright.sync_api import Browser, Page, expect, sync_playwright


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id) -> Path:
    """The folder of the book's pages, built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    output = (base if worker_id == "master" else base.parent) / "book"
    built = output / "built"
    with FileLock(output.with_suffix(".lock")):
        if not built.exists():
            build(output, ADDRESS)
            built.touch()
    return output / "_build" / "html"


@pytest.fixture(scope="session")
def origin(site: Path) -> Iterator[str]:
    """The address of a server of the book's pages."""
    with serve.served(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium, started once per test file."""
    path = chromium.find()
    if path is None:
        pytest.fail(chromium.ADVICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page with figures, from disk; fail on any message or request beyond it."""
    contexts, complaints = [], []

    def visit(*figures, before: str = "", theme: str = "light", **options) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if r.url.startswith("http") else None)
        page.goto(write_page(tmp_path / "page.html", *figures, before=before, theme=theme))
        if not before and options.get("java_script_enabled", True):  # a figure starts near the view
            expect(page.locator("[data-drive]").first).to_be_visible()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
