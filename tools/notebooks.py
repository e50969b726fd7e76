"""Run the chapters and store what they print: `python tools/notebooks.py [--check]`.

A chapter whose fresh outputs equal the stored ones is left as it is, to the byte. With `--check` nothing is
written, and a chapter that would change is an error. Otherwise a copy for students, without solutions and
outputs, goes to `_build/student`.
"""

import argparse
import base64
import binascii
import copy
import io
import json
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import psutil
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
STUDENT_COPIES = ROOT / "_build" / "student"
CELL_TIMEOUT = 60  # seconds
PIXEL_BOUND = 0.05  # largest mean absolute difference of two equal pictures, on the scale 0 … 255
CELL_METADATA = {"tags", "mystnb", "jupyter", "nbval_reason"}
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"  # names a model of a kernel that has ended
STATE = re.compile(r'(<script[^>]*type="application/json"[^>]*>)(.*?)(</script>)', re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/=]{200,}")
MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(home|Users|root|tmp|work|usr|opt|var)/|\b[A-Z]:\\|site-packages|ipykernel_\d+"
)
WARNING_TEXT = re.compile(r"\b[A-Z]\w*Warning\b")


@dataclass
class Run:
    """A notebook after its execution: wall time and processor time in seconds, largest memory in bytes."""

    notebook: NotebookNode
    seconds: float
    processor_seconds: float
    memory: int


def read(path: Path) -> NotebookNode:
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Select the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def clear(notebook: NotebookNode) -> None:
    """Remove, in place, what its code printed."""
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None


class Watch(threading.Thread):
    """Sample the memory and the processor time of a process and its children until stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0  # bytes
        self.used = 0.0  # seconds
        self.stopped = threading.Event()

    def run(self) -> None:
        """Keep the largest sums."""
        while not self.stopped.wait(0.05):
            try:
                family = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(member.memory_info().rss for member in family))
                self.used = max(self.used, sum(sum(member.cpu_times()[:2]) for member in family))
            except psutil.NoSuchProcess:
                continue


def execute(path: Path) -> Run:
    """Run a notebook from top to bottom in a fresh kernel, in its own folder; raise if a cell fails."""
    notebook = read(path)
    clear(notebook)
    watches: list[Watch] = []

    def start_watch(notebook: NotebookNode) -> None:
        watches.append(Watch(client.km.provisioner.pid))
        watches[0].start()

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        on_notebook_start=start_watch,
    )
    begin = time.perf_counter()
    try:
        client.execute()
    finally:
        for watch in watches:
            watch.stopped.set()
            watch.join()
    seconds = time.perf_counter() - begin
    normalise(notebook)
    return Run(notebook, seconds, watches[0].used, watches[0].peak)


def normalise(notebook: NotebookNode) -> None:
    """Remove, in place, everything that another run or another machine would write differently."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.setdefault("id", f"cell-{number}")
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in CELL_METADATA})
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)


def texts(output: NotebookNode) -> Iterator[str]:
    """Every text of an output, without the characters that encode pictures."""
    if output.output_type == "stream":
        yield output.text
    for kind, value in output.get("data", {}).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            yield BASE64.sub("", value if isinstance(value, str) else json.dumps(value))


def problems(notebook: NotebookNode) -> list[str]:
    """What no reader may see: errors, warnings, paths of this machine."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"code cell {number}: {output.ename}: {output.evalue}")
            elif output.output_type == "stream" and output.name == "stderr":
                found.append(f"code cell {number} writes to stderr: {output.text.strip()[:200]}")
            for text in texts(output):
                for pattern in (MACHINE_PATH, WARNING_TEXT):
                    if match := pattern.search(text):
                        context = text[max(0, match.start() - 40) : match.end() + 40]
                        found.append(f"code cell {number} prints {context!r}")
    return found


def decode_image(text: str) -> tuple[np.ndarray, set[str]] | None:
    """Decode a base64 picture or data URL to (H, W, 4) pixels and the names of its notes; None if none."""
    try:
        data = base64.b64decode(text.partition("base64,")[2] or text, validate=False)
        image = Image.open(io.BytesIO(data))
        return np.asarray(image.convert("RGBA"), dtype=float), set(image.info)
    except (binascii.Error, OSError):
        return None


def same_picture(one: str, other: str) -> bool:
    """Tell whether two base64 pictures have the same size and kinds of notes, and nearly the same pixels."""
    if one == other:
        return True
    a, b = decode_image(one), decode_image(other)
    if a is None or b is None or a[0].shape != b[0].shape or a[1] != b[1]:
        return False
    return bool(np.abs(a[0] - b[0]).mean() <= PIXEL_BOUND)


def same_state(one: Any, other: Any) -> bool:
    """Compare two JSON values: numbers up to rounding, pictures by their pixels, all else exactly."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_state(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_state, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or same_picture(one, other)
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-6)
    return False


def same_html(one: str, other: str) -> bool:
    """Compare two pieces of HTML exactly, except for the state of interactive figures."""
    states = [[json.loads(match[2]) for match in STATE.finditer(text)] for text in (one, other)]
    return STATE.sub(r"\1\3", one) == STATE.sub(r"\1\3", other) and same_state(*states)


def same_output(one: NotebookNode, other: NotebookNode) -> bool:
    """Compare two outputs of a cell."""
    if one.output_type != other.output_type:
        return False
    if one.output_type == "stream":
        return one.name == other.name and one.text == other.text
    a, b = (copy.deepcopy(output.get("data", {})) for output in (one, other))
    if a.keys() != b.keys():
        return False
    compare = {"text/html": same_html, "image/png": same_picture, "image/jpeg": same_picture}
    return all(compare.get(kind, lambda x, y: x == y)(a[kind], b[kind]) for kind in a)


def differences(stored: NotebookNode, fresh: NotebookNode) -> list[str]:
    """Name the code cells whose stored outputs are not what a fresh run gives."""
    found = []
    for number, (old, new) in enumerate(zip(code_cells(stored), code_cells(fresh), strict=True), start=1):
        equal = len(old.outputs) == len(new.outputs) and all(map(same_output, old.outputs, new.outputs))
        if not equal or old.execution_count != new.execution_count:
            title = new.source.partition("\n")[0]
            found.append(f"code cell {number} ({title})")
    return found


def keep_equal_outputs(stored: NotebookNode, fresh: NotebookNode) -> None:
    """Put the stored outputs back, in place, where the fresh ones are equal but for rounding."""
    for old, new in zip(code_cells(stored), code_cells(fresh), strict=True):
        if len(old.outputs) == len(new.outputs) and all(map(same_output, old.outputs, new.outputs)):
            new.outputs = old.outputs


def student_copy(notebook: NotebookNode) -> NotebookNode:
    """A chapter without its solutions and outputs."""
    copied = copy.deepcopy(notebook)
    copied.cells = [cell for cell in copied.cells if "solution" not in cell.metadata.get("tags", [])]
    clear(copied)
    return copied


def main(argv: list[str] | None = None) -> int:
    """Run every chapter; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a chapter would change")
    parser.add_argument("notebooks", nargs="*", type=Path, default=CHAPTERS)
    arguments = parser.parse_args(argv)
    failed = False
    for path in arguments.notebooks:
        print(f"{path.name} … ", end="", flush=True)
        stored = read(path)
        normalise(stored)
        run = execute(path)
        changed = differences(stored, run.notebook)
        keep_equal_outputs(stored, run.notebook)
        text = nbformat.writes(run.notebook) + "\n"
        complaints = problems(run.notebook)
        times = f"{run.seconds:.1f} s ({run.processor_seconds:.1f} s of a processor)"
        print(f"{times}, {run.memory / 2**20:.0f} MiB, {len(text) / 1e6:.2f} MB stored")
        for line in [f"changed: {cell}" for cell in changed] + complaints:
            print(f"  {line}")
        failed = failed or bool(complaints) or (arguments.check and path.read_text("utf-8") != text)
        if not arguments.check:
            path.write_text(text, encoding="utf-8", newline="\n")
            STUDENT_COPIES.mkdir(parents=True, exist_ok=True)
            nbformat.write(student_copy(run.notebook), STUDENT_COPIES / path.name)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
