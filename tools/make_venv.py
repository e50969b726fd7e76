"""Make a virtual environment: `python tools/make_venv.py FOLDER`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Make `folder` from nothing; on a bare Debian, first install what Debian leaves out of Python."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this runs before pip can refuse)
        sys.exit(f"ConvLab needs Python 3.11 or newer, not {sys.version.split()[0]}: make PYTHON=python3.11")
    package = f"python3.{sys.version_info.minor}-venv"
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        if os.name != "posix" or os.geteuid() != 0 or not shutil.which("apt-get"):
            sys.exit(f"This Python lacks venv. On Debian or Ubuntu: sudo apt-get install {package}")
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(["apt-get", "install", "-q", "-y", package], check=True)
        import venv
    venv.create(folder, clear=True, with_pip=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
