"""Let nbval see what a reader sees, and look at the run of a notebook as a whole."""

import copy
from collections.abc import Iterator

import notebooks
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

start, collect_cells = IPyNbFile.setup, IPyNbFile.collect


def execute_cell_input(self: RunningKernel, cell_input: str, allow_stdin: bool | None = None) -> str:
    """Run a cell with its history, by which IPython knows that a `;` at its end hides the last value."""
    return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


class WholeRun(pytest.Item):
    """After its cells: what nbval doesn't compare (pictures, figures), time and memory."""

    def __init__(self, cells: list[IPyNbCell], **others: object) -> None:
        super().__init__(**others)
        self.cells = cells

    def runtest(self) -> None:
        """Compare the run with the stored one, and with what a reader's machine can do."""
        if any(cell.test_outputs is None for cell in self.cells):
            pytest.skip("not every cell was run")
        watch = self.parent.watch
        watch.stopped.set()
        watch.join()
        fresh = copy.deepcopy(self.parent.nb)
        for number, (cell, item) in enumerate(
            zip(notebooks.code_cells(fresh), self.cells, strict=True), start=1
        ):
            cell.outputs, cell.execution_count = item.test_outputs, number
        notebooks.normalise(fresh)
        assert notebooks.problems(fresh) == []
        assert notebooks.differences(notebooks.read(self.path), fresh) == [], "run `make notebooks`"
        assert watch.used < 60  # processor's seconds: its wall time depends on the tests that run beside it
        assert 10e6 < watch.peak < 1e9

    def reportinfo(self) -> tuple[object, int, str]:
        """Name it in reports."""
        return self.path, 0, f"{self.path.name}: {self.name}"


def setup(self: IPyNbFile) -> None:
    """Start the kernel, and watch what it uses."""
    start(self)
    self.watch = notebooks.Watch(self.kernel.km.provisioner.pid)
    self.watch.start()


def collect(self: IPyNbFile) -> Iterator[pytest.Item]:
    """The notebook's code cells, then the notebook."""
    cells = list(collect_cells(self))
    yield from cells
    yield WholeRun.from_parent(self, name="whole", cells=cells)


RunningKernel.execute_cell_input = execute_cell_input
IPyNbFile.setup = setup
IPyNbFile.collect = collect
