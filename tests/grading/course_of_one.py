"""A course with one problem set, and copies that students hand in."""

from pathlib import Path

import nbformat

from convlab.grading.course import Course
from convlab.grading.notebook import about

ROOT = Path(__file__).parents[2]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path.open(encoding="utf-8"), as_version=4)


def make_course(folder: Path, name: str) -> Course:
    """Copy a problem set and nbgrader's settings into a folder, and release it."""
    for path in [
        "nbgrader_config.py",
        *(f"source/{name}/{p.name}" for p in (ROOT / "exercises/source" / name).iterdir()),
    ]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes((ROOT / "exercises" / path).read_bytes())
    course = Course(folder)
    course.release(name)
    return course


def copy(course: Course, name: str, *, solved: bool, **changes: str) -> nbformat.NotebookNode:
    """A released copy, with the model answers or blank, and with some cells changed."""
    notebook, model = read(course.root / "release" / name / f"{name}.ipynb"), read(course.problem_set(name))
    for cell, solution in zip(notebook.cells, model.cells, strict=True):
        if solved and about(cell).get("solution"):
            cell.source = solution.source
        cell.source = changes.pop(about(cell).grade_id, cell.source)
    assert not changes
    return notebook


def as_bytes(notebook: nbformat.NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()
