"""One submission, from bytes to marks: a pure function, so that it can run on any machine, and run again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import nbformat
from nbformat.v4 import new_output

from convlab.grading import checker, kernel
from convlab.grading.checker import parts
from convlab.grading.kernel import Stopped
from convlab.grading.notebook import (
    CODE,
    Unreadable,
    about,
    is_manual,
    is_test,
    merge,
    read,
    without_hidden_tests,
)
from convlab.grading.sandbox import Limits


class Status(StrEnum):
    """How the grading of a submission ended; only the first two are marks to be trusted as they are."""

    GRADED = "graded"
    NEEDS_PERSON = "needs a person"
    TIMED_OUT = "timed out"
    KILLED = "killed"
    UNREADABLE = "unreadable"
    TAMPERED = "tampered"
    MISSING = "missing"


@dataclass(frozen=True)
class Result:
    """What came out: `points` of each test (None: not reached), and the notebook with its outputs.

    `blank` names the answers for a person that are as they were released.
    """

    status: Status
    points: Mapping[str, float | None] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    notebook: bytes = b""
    blank: frozenset[str] = frozenset()


def grade(
    submission: bytes,
    source: bytes,
    code: str,
    files: Mapping[str, bytes],
    limits: Limits,
    *,
    confined: bool = True,
) -> Result:
    """Grade a submission.

    Parameters
    ----------
    submission : bytes
        What the student handed in.
    source : bytes
        The released notebook with its hidden tests.
    code : str
        The student's own code.
    files : mapping of str to bytes
        Files that the notebook was released with.
    limits : Limits
    confined : bool
        Whether the student's kernel runs in the sandbox.
    """
    released = nbformat.reads(source.decode(), as_version=4)
    try:
        handed_in = read(submission)
    except Unreadable as error:
        return Result(Status.UNREADABLE, remarks=(str(error),))
    notebook, tampered = merge(released, handed_in, code)
    points: dict[str, float | None] = {about(cell).grade_id: None for cell in notebook.cells if is_test(cell)}
    remarks = list(tampered)
    status = Status.TAMPERED if tampered else Status.GRADED
    late = False
    try:
        with (
            checker.started(limits.seconds) as tests,
            kernel.started(limits, dict(files), confined=confined) as student,
        ):
            tests.ask = student.ask
            for cell in notebook.cells:
                if cell.cell_type != "code":
                    continue
                if is_test(cell):
                    name = about(cell).grade_id
                    fault = _test(tests, cell)
                    points[name] = 0.0 if fault else float(about(cell).points)
                    cell.outputs = [_error(fault)] if fault else []
                    continue
                cell.outputs = student.run(cell.source)
                if about(cell).get("locked") or about(cell).get("grade_id") == CODE:
                    tests.run(cell.source)
            late = student.late > 0
    except Stopped as stop:
        remarks.append(str(stop))
        late = stop.late
        status = status if stop.late else Status.KILLED
    if late:
        status = Status.TIMED_OUT
    by_hand = _by_hand(notebook)
    blank = frozenset(name for name, text in _by_hand(released).items() if by_hand.get(name) == text)
    if status is Status.GRADED and blank != by_hand.keys():
        status = Status.NEEDS_PERSON
    written = nbformat.writes(without_hidden_tests(notebook)).encode()
    return Result(status, points, tuple(remarks), written, blank)


def _test(tests: checker.Checker, cell: nbformat.NotebookNode) -> str:
    """Run a test cell; give "" if it passes, else what the student may know of the error."""
    seen, hidden = parts(cell.source)
    fault = tests.run(seen)
    if fault is None and hidden.strip() and tests.run(hidden) is not None:
        return "A hidden test fails."
    return fault or ""


def _error(text: str) -> nbformat.NotebookNode:
    return new_output("error", ename="AssertionError", evalue=text, traceback=[text])


def _by_hand(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Give the answers that a person grades."""
    return {about(cell).grade_id: cell.source.strip() for cell in notebook.cells if is_manual(cell)}
