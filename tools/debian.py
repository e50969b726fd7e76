"""Install what Debian or Ubuntu leaves out, where we may: `python tools/debian.py PROGRAM PACKAGE`."""

import os
import shutil
import subprocess
import sys


def install(package: str) -> None:
    """Install a package, if this is such a machine and we are root."""
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], check=False)


def main(program: str, package: str) -> None:
    """Make sure that a program is there, or say what to do."""
    if shutil.which(program) is None:
        install(package)
    if shutil.which(program) is None:
        advice = f"Debian: sudo apt-get install {package}"
        sys.exit(f"{program} is missing, and it could not be installed. {advice}")


if __name__ == "__main__":
    main(*sys.argv[1:])
