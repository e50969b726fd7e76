"""A Python process that can read what Python needs and one folder, write into that folder, and nothing else.

Under bubblewrap it has no network, a process table of its own, an empty home, and nothing of the machine but
the system's libraries, the Python installation and this library. Its kernel-enforced limits are those of
`prlimit`; what these leave open (the sum over processes, the folder's size) is watched from outside.
"""

import contextlib
import shutil
import site
import subprocess
import sys
import sysconfig
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil

import convlab

_SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
)
_STEP = 0.05  # seconds between two looks


class NoSandbox(RuntimeError):
    """Bubblewrap isn't there, or may not run here."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use: seconds in all and per cell, bytes, processes, bytes of output."""

    seconds: float = 120.0
    cell_seconds: float = 20.0
    memory: int = 2 << 30
    processes: int = 40
    output: int = 1 << 20
    disk: int = 64 << 20


def readable() -> list[str]:
    """Folders and files that Python needs, none within another."""
    paths = {*_SYSTEM, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages()}
    paths |= {str(Path(convlab.__file__).parent), sys.executable}
    found = sorted({Path(path) for path in paths if Path(path).exists()}, key=lambda path: len(path.parts))
    kept: list[Path] = []
    for path in found:
        if not any(path.is_relative_to(one) for one in kept):
            kept.append(path)
    return [str(path) for path in kept]


def command(folder: Path, limits: Limits, *, sandbox: bool = True) -> list[str]:
    """What to put before a command so that it runs in `folder`/work within the limits, and in the sandbox.

    Raises
    ------
    NoSandbox
        If `sandbox` is asked for and there is none.
    """
    bounds = [
        "--core=0",
        f"--as={2 * limits.memory}",
        f"--fsize={limits.disk}",
        f"--nproc={4 * limits.processes}",
    ]
    held = ["prlimit", *bounds, "--"] if shutil.which("prlimit") else []
    if not sandbox:
        return held
    binds = [part for path in readable() for part in ("--ro-bind", path, path)]
    return [
        available(),
        *("--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"),
        *("--cap-drop", "ALL"),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(limits.disk), "--tmpfs", "/tmp"),
        *("--size", str(limits.disk), "--tmpfs", "/dev/shm"),
        *binds,
        *("--bind", str(folder), str(folder), "--chdir", str(folder / "work")),
        *environment(folder),
        *held,
    ]


def environment(folder: Path) -> list[str]:
    """Variables of the process, as options of bubblewrap."""
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder / "work"),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    return [part for name, value in variables.items() for part in ("--setenv", name, value)]


def available() -> str:
    """Path of bubblewrap, if it can make a sandbox here; NoSandbox says why not."""
    path = shutil.which("bwrap")
    if path is None:
        raise NoSandbox("bubblewrap (bwrap) is not installed: sudo apt-get install bubblewrap")
    trial = [path, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    done = subprocess.run(trial, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise NoSandbox(f"bubblewrap can't make a sandbox here: {done.stderr.strip()}")
    return path


class Watch:
    """Looks after a process and all that come from it; kills them when they take too much.

    `reason` is "" until then, and afterwards says what was too much. `close` kills what is left.
    """

    def __init__(self, pid: int, folder: Path, limits: Limits, *, confined: bool) -> None:
        self.reason = ""
        self._root, self._folder, self._limits, self._confined = psutil.Process(pid), folder, limits, confined
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def kill(self, reason: str) -> None:
        """End them all."""
        self.reason = self.reason or reason
        self._end()

    def close(self) -> None:
        """End them all and stop looking."""
        self._ended.set()
        self._thread.join()
        self._end()

    def _end(self) -> None:
        """Kill; the first process of a sandbox takes all others with it, and bubblewrap ends after them.

        The system takes a second to clear a sandbox away, for which nobody needs to wait.
        """
        family = self._family()
        for process in family if self._confined and family else [*family, self._root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        threading.Thread(target=_reap, args=(self._root,), daemon=True).start()

    def alive(self) -> bool:
        """Whether the first of them is still running."""
        return self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE

    def _family(self) -> list[psutil.Process]:
        try:
            return self._root.children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _look(self) -> None:
        looked = 0
        while not self._ended.wait(_STEP):
            family = self._family()
            if len(family) > self._limits.processes:
                return self.kill(f"more than {self._limits.processes} processes")
            if sum(_memory(one) for one in family) > self._limits.memory:
                return self.kill(f"more than {self._limits.memory >> 20} MB of memory")
            looked += 1
            if looked % 10 == 0 and _size(self._folder) > self._limits.disk:
                return self.kill(f"more than {self._limits.disk >> 20} MB of files")


def _memory(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
        return memory.rss - getattr(memory, "shared", 0)
    except psutil.Error:
        return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total


def _reap(process: psutil.Process) -> None:
    """Wait until a process has ended, and help it after a while."""
    with contextlib.suppress(psutil.Error):
        try:
            process.wait(5)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
