"""Make a virtual environment: `python tools/make_venv.py FOLDER`."""

import sys
from importlib.util import find_spec
from pathlib import Path

import debian

PACKAGE = f"python3.{sys.version_info.minor}-venv"


def main(folder: Path) -> None:
    """Make `folder` from nothing."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this runs before pip can refuse)
        sys.exit(f"ConvLab needs Python 3.11 or newer, not {sys.version.split()[0]}: make PYTHON=python3.11")
    if find_spec("ensurepip") is None:
        debian.install(PACKAGE)
    if find_spec("ensurepip") is None:
        sys.exit(f"This Python lacks venv. On Debian or Ubuntu: sudo apt-get install {PACKAGE}")
    import venv

    venv.create(folder, clear=True, with_pip=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
