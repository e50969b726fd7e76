"""The notebook that is graded: the student's answers among the instructor's cells, whatever came back."""

import re
from collections.abc import Iterator
from copy import deepcopy

import nbformat
from nbformat import NotebookNode

from convlab.exercises._personal import SAMPLE, personal
from convlab.grading.checker import parts

CODE = "code"  # grade_id of the cell that holds the student's code
_LARGEST = 20 << 20  # bytes of a submission


class Unreadable(ValueError):
    """What was handed in is no notebook."""


def read(content: bytes) -> NotebookNode:
    """Read a notebook of any version. Unreadable if it isn't one."""
    if len(content) > _LARGEST:
        raise Unreadable(f"a file of {len(content) >> 20} MB")
    try:
        notebook = nbformat.reads(content.decode("utf-8-sig"), as_version=4)
        cells = [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]
        if not all(type(source) is str for _, source, _ in cells):
            raise ValueError("a cell without text")
    except RecursionError:
        raise Unreadable("a structure that is too deep") from None
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}"[:200]) from None
    return notebook


def about(cell: NotebookNode) -> NotebookNode:
    """What nbgrader knows of a cell: grade_id, grade, solution, locked, points."""
    found = cell.metadata.get("nbgrader")
    return NotebookNode(found if isinstance(found, dict) else {})


def is_test(cell: NotebookNode) -> bool:
    """Whether a cell tests an answer."""
    return bool(about(cell).get("grade") and not about(cell).get("solution"))


def is_manual(cell: NotebookNode) -> bool:
    """Whether a cell is an answer that a person grades."""
    return bool(about(cell).get("grade") and about(cell).get("solution"))


def merge(source: NotebookNode, submission: NotebookNode, code: str) -> tuple[NotebookNode, list[str]]:
    """Put the student's answers into the instructor's notebook; give it, and what was tampered with.

    `source` is the released notebook with its hidden tests. Its cells keep their order and text, but for the
    answers; cells that the student added stay behind the cell that they followed.
    """
    released = {about(cell).grade_id: cell for cell in source.cells if about(cell).get("grade_id")}
    theirs: dict[str, NotebookNode] = {}
    added: dict[str, list[NotebookNode]] = {}
    remarks = []
    last = ""
    for cell in submission.cells:
        name = about(cell).get("grade_id")
        if type(name) is str and name in released and cell.cell_type == released[name].cell_type:
            last = name
            if name not in theirs:
                theirs[name] = cell
            elif cell.source.strip() != theirs[name].source.strip():
                remarks.append(f"cell {name} stands there twice; the first counts")
        elif cell.cell_type in ("code", "markdown"):
            added.setdefault(last, []).append(_fresh(cell, {}))
    merged = deepcopy(source)
    merged.cells = list(added.get("", []))
    for cell in deepcopy(source.cells):
        name = about(cell).get("grade_id", "")
        given = theirs.get(name)
        if name == CODE:
            remarks += _other_code(given.source if given else "", code)
            cell.source = f"code = {code!r}"
        elif name and not given:
            remarks.append(f"{'test' if is_test(cell) else 'cell'} {name} was deleted")
            if about(cell).get("solution"):
                cell.source = ""
        elif given and about(cell).get("solution"):
            cell.source = given.source
        elif given and is_test(cell) and given.source.strip() != parts(cell.source)[0].strip():
            remarks.append(f"test {name} was edited; the instructor's counts")
        merged.cells.append(_fresh(cell, cell.metadata))
        merged.cells += added.get(name, []) if name else []
    return merged, remarks


def _fresh(cell: NotebookNode, metadata: dict[str, object]) -> NotebookNode:
    """Give a cell of this type and text without anything else that was handed in."""
    make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    return make(cell.source, metadata=deepcopy(metadata))


def _other_code(text: str, own: str) -> Iterator[str]:
    """Tell if this cell holds the code of somebody else."""
    for entered in re.findall(r"""["']([^"']*)["']""", text):
        try:
            entered_key = personal(entered, "")._key
        except ValueError:
            continue
        if entered_key not in (personal(own, "")._key, personal(SAMPLE, "")._key):
            yield "the code of another student was entered"


def without_hidden_tests(notebook: NotebookNode) -> NotebookNode:
    """Copy a notebook without its hidden tests."""
    clean = deepcopy(notebook)
    for cell in clean.cells:
        if is_test(cell):
            cell.source = parts(cell.source)[0].rstrip()
    return clean
