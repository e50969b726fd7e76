"""Let nbval see what a reader sees, and look at the run of a notebook as a whole."""

import copy
from collections.abc import Iterator
from typing import Any

import notebooks
import pytest
from nbclient import NotebookClient
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams

start, collect_cells, hear = IPyNbFile.setup, IPyNbFile.collect, IPyNbFile.get_kernel_message


def execute_cell_input(self: RunningKernel, cell_input: str, allow_stdin: bool | None = None) -> str:
    """Run a cell with its history, by which IPython knows that a `;` at its end hides the last value."""
    return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


class WholeRun(pytest.Item):
    """After its cells: what nbval doesn't compare (pictures, figures), time and memory."""

    def __init__(self, cells: list[IPyNbCell], **others: Any) -> None:
        super().__init__(**others)
        self.cells = cells

    def runtest(self) -> None:
        """Compare the run with the stored one, and with what a reader's machine can do."""
        watch, fresh = self.parent.watch, self.parent.client.nb
        watch.stopped.set()
        watch.join()
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("not every cell was run")
        for cell in notebooks.code_cells(fresh):
            cell.outputs = coalesce_streams(cell.outputs)
        notebooks.normalise(fresh)
        assert notebooks.problems(fresh) == []
        assert notebooks.differences(notebooks.read(self.path), fresh) == [], "run `make notebooks`"
        assert watch.used < 60  # processor's seconds: its wall time depends on the tests that run beside it
        assert 10e6 < watch.peak < 1e9

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        """Say what differs, without the way to it."""
        return f"{excinfo.typename}: {excinfo.value}"

    def reportinfo(self) -> tuple[Any, int, str]:
        """Name it in reports."""
        return self.path, 0, f"{self.path.name}: {self.name}"


def setup(self: IPyNbFile) -> None:
    """Start the kernel, and watch what it uses and says."""
    start(self)
    self.watch = notebooks.Watch(self.kernel.km.provisioner.pid)
    self.watch.start()
    fresh = copy.deepcopy(self.nb)
    notebooks.clear(fresh)
    self.client = NotebookClient(fresh, record_timing=False)
    self.ahead = [number for number, cell in enumerate(fresh.cells) if cell.cell_type == "code"]


def get_kernel_message(self: IPyNbFile, timeout: float | None = None, stream: str = "iopub") -> Any:
    """Hand a message on, and do what a notebook does with it, which nbval does in part."""
    message = hear(self, timeout, stream)
    kind = message["msg_type"]
    if kind == "execute_input":
        self.running = self.ahead.pop(0)
        self.client.clear_before_next_output = False
    if kind != "status" and not kind.startswith("comm"):
        self.client.process_message(message, self.client.nb.cells[self.running], self.running)
    return message


def collect(self: IPyNbFile) -> Iterator[pytest.Item]:
    """The notebook's code cells, then the notebook."""
    cells = list(collect_cells(self))
    yield from cells
    yield WholeRun.from_parent(self, name="whole", cells=cells)


RunningKernel.execute_cell_input = execute_cell_input
IPyNbFile.setup = setup
IPyNbFile.collect = collect
IPyNbFile.get_kernel_message = get_kernel_message
