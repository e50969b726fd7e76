"""The repository's address, found in one place; every button that needs it is absent where there is none."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

BUTTONS = ("use_repository_button", "use_source_button", "use_edit_page_button", "use_issues_button")


def normalise(address: str) -> str | None:
    """Turn a git remote into the web address of its repository, without credentials.

    Return None for an address that is not on a known public host (a folder, a private server).

    >>> normalise("git@github.com:ada/convlab.git")
    'https://github.com/ada/convlab'
    >>> normalise("https://ada:secret@gitlab.com/ada/convlab/")
    'https://gitlab.com/ada/convlab'
    """
    pattern = r"(?:https?://|ssh://|git://)?(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+(?=/))?[:/](?P<path>[\w.-]+/[\w.-]+)"
    match = re.fullmatch(pattern, address.strip().rstrip("/"))
    if match is None or match["host"].lower() not in {"github.com", "gitlab.com"}:
        return None
    return f"https://{match['host'].lower()}/{match['path'].removesuffix('.git')}"


def find(environ: Mapping[str, str], folder: Path) -> str | None:
    """Find the address: `GITHUB_REPOSITORY` on GitHub's machines, else the remote `origin` of `folder`."""
    if name := environ.get("GITHUB_REPOSITORY"):
        return normalise(f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}")
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git is not installed: an unpacked archive
        return None
    return normalise(result.stdout) if result.returncode == 0 else None


def set_buttons(app: Sphinx, config: Config) -> None:
    """Give the theme the address, or take away what would need it."""
    options = config.html_theme_options
    address = find(os.environ, Path(app.srcdir))
    if address is None:
        for key in ("repository_url", "repository_branch", "launch_buttons", *BUTTONS):
            options.pop(key, None)
        return
    options["repository_url"] = address
    options |= dict.fromkeys(BUTTONS, True)
    if not address.startswith("https://github.com/"):
        del options["launch_buttons"]["colab_url"]  # Colab opens notebooks from GitHub only


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; the theme reads the options later, when the builder starts."""
    app.connect("config-inited", set_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
