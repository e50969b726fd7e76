"""The addresses of the repository and of the published site, found in one place.

What needs one of them is absent where it is not known.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

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


def find_site(environ: Mapping[str, str], repository: str | None) -> str | None:
    """Find where the pages are published: `SITE_ADDRESS`, else GitHub Pages of the repository.

    >>> find_site({}, "https://github.com/Ada/convlab")
    'https://ada.github.io/convlab/'
    """
    if address := environ.get("SITE_ADDRESS"):
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", address):
            raise ConfigError(f"`SITE_ADDRESS` must begin with http:// or https://, got {address!r}")
        return address.rstrip("/") + "/"
    match = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)", repository or "")
    if match is None:
        return None
    host = f"{match[1].lower()}.github.io"
    return f"https://{host}/" if match[2].lower() == host else f"https://{host}/{match[2]}/"


def set_addresses(app: Sphinx, config: Config) -> None:
    """Give the theme the addresses, or take away what would need them."""
    options = config.html_theme_options
    address = find(os.environ, Path(app.srcdir))
    config.html_baseurl = find_site(os.environ, address) or ""
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path or "/"
    if address is None:
        for key in ("repository_url", "repository_branch", "launch_buttons", *BUTTONS):
            options.pop(key, None)
        return
    options["repository_url"] = address
    options |= dict.fromkeys(BUTTONS, True)
    if not address.startswith("https://github.com/"):
        del options["launch_buttons"]["colab_url"]  # Colab opens notebooks from GitHub only


def name_notebook(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Call the file in the download menu what it is; the theme shows the ending of its name only."""
    for menu in context.get("header_buttons", []):
        for button in menu.get("buttons", []):
            if button["text"] == ".ipynb":
                button |= {"text": "Notebook", "tooltip": "Download this chapter as a Jupyter notebook"}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; the theme reads the options later, when the builder starts."""
    app.connect("config-inited", set_addresses)
    app.connect("html-page-context", name_notebook, priority=900)  # after the theme has made its menus
    return {"parallel_read_safe": True, "parallel_write_safe": True}
