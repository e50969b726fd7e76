"""Find the Chromium that the page tests use; install one where there is none: `python tools/chromium.py`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import debian

NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),  # the first starts fastest
    *("google-chrome", "google-chrome-stable", "chrome"),
)
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
ADVICE = (
    "The page tests need Chromium, and it could not be installed. Install Chromium or Google Chrome"
    " (Debian: sudo apt-get install chromium-headless-shell), or set CHROMIUM to the path of one."
)


def find() -> str | None:
    """Find the program: `$CHROMIUM`, one on the machine, or the one that Playwright downloaded."""
    if given := os.environ.get("CHROMIUM"):
        return shutil.which(given)
    if on_path := next(filter(None, map(shutil.which, NAMES)), None):
        return on_path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        downloaded = Path(playwright.chromium.executable_path)
    return next((str(path) for path in (MAC, downloaded) if path.exists()), None)


def install() -> None:
    """Install Chromium: Debian's package without a window as root, else Playwright's download."""
    debian.install("chromium-headless-shell")
    if find() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> None:
    """Print the path of a Chromium that starts, or say what to do."""
    if os.environ.get("CHROMIUM") and find() is None:
        sys.exit(f"CHROMIUM is set to {os.environ['CHROMIUM']!r}, and there is no such program.")
    if find() is None:
        install()
    path = find()
    if path is None:
        sys.exit(ADVICE)
    print(f"Chromium: {path}")


if __name__ == "__main__":
    main()
