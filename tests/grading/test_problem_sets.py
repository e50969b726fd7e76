"""Every problem set: its form, the model solution, a blank copy, and typical wrong answers."""

import importlib.util
from functools import cache
from pathlib import Path

import nbformat
import pytest

from convlab.exercises._personal import code
from convlab.grading.course import Course
from convlab.grading.notebook import about, is_manual, is_test
from convlab.grading.sandbox import Limits
from convlab.grading.task import Result, Status, grade

ROOT = Path(__file__).parents[2]
SETS = sorted(path.name for path in (ROOT / "exercises" / "source").iterdir())
LIMITS = Limits(seconds=100, cell_seconds=30)


@cache
def course(tmp: Path, name: str) -> Course:
    """A course with one problem set, released."""
    folder = tmp / "source" / name
    folder.mkdir(parents=True)
    for path in (ROOT / "exercises" / "source" / name).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp / "nbgrader_config.py").write_bytes((ROOT / "exercises" / "nbgrader_config.py").read_bytes())
    made = Course(tmp)
    made.release(name)
    return made


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Give the course of a problem set."""
    folder = tmp_path_factory.mktemp("course")
    return lambda name: course(folder / name, name)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path.open(encoding="utf-8"), as_version=4)


def wrong_answers(name: str) -> dict[str, tuple[dict[str, str], dict[str, float]]]:
    path = Path(__file__).parent / "problem_sets" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


def hand_in(course: Course, name: str, *, solved: bool, student: str = "ada", **changes: str) -> Result:
    """Grade a copy with the model answers, or a blank one, with some cells changed."""
    copy, model = read(course.root / "release" / name / f"{name}.ipynb"), read(course.problem_set(name))
    for cell, solution in zip(copy.cells, model.cells, strict=True):
        if solved and about(cell).get("solution"):
            cell.source = solution.source
        cell.source = changes.pop(about(cell).get("grade_id", ""), cell.source)
    assert not changes
    source = nbformat.writes(course.to_grade(name)).encode()
    submission = nbformat.writes(copy).encode()
    return grade(submission, source, code("a secret", student), course.files(name), LIMITS)


def full_marks(course: Course, name: str) -> dict[str, float]:
    cells = read(course.problem_set(name)).cells
    return {about(cell).grade_id: float(about(cell).points) for cell in cells if is_test(cell)}


@pytest.mark.parametrize("name", SETS)
def test_form(released, name):
    course = released(name)
    cells = read(course.problem_set(name)).cells
    names = [about(cell).get("grade_id") for cell in cells]
    assert all(names)
    assert len(set(names)) == len(names)
    assert [cell.source for cell in cells if about(cell).grade_id == "code"] == [
        'code = "SAMPLE"  # put your own code between the quotes'
    ]
    title = cells[0].source
    assert "**Time:**" in title
    points = sum(about(cell).get("points", 0) for cell in cells)
    assert f"{points:g} points" in title
    assert sum(map(is_manual, cells)) == 1
    problems = [
        cell.source for cell in cells if cell.cell_type == "markdown" and cell.source.startswith("## ")
    ]
    assert 4 <= len(problems) <= 6
    (manual,) = [cell for cell in cells if is_manual(cell)]
    assert "**Marking.**" in manual.source
    for cell in cells:
        if is_test(cell):
            lines = cell.source.splitlines()
            hidden = [i for i, line in enumerate(lines) if "HIDDEN TESTS" in line]
            assert len(hidden) in (0, 2)
            assert all(lines[i].startswith("### ") for i in hidden)
        assert all(len(line) <= 110 for line in cell.source.splitlines()) or cell.cell_type == "markdown"


@pytest.mark.parametrize("name", SETS)
def test_students_get_neither_solutions_nor_hidden_tests(released, name):
    course = released(name)
    copy = read(course.root / "release" / name / f"{name}.ipynb")
    model = read(course.problem_set(name))
    text = "\n".join(cell.source for cell in copy.cells)
    assert "BEGIN" not in text
    for cell in model.cells:
        inside = False
        for line in cell.source.splitlines():
            if line.strip().startswith(("### BEGIN", "### END")):
                inside = "BEGIN" in line
            elif inside and len(line.strip()) > 25:
                assert line.strip() not in text


@pytest.mark.parametrize("student", ["ada", "3141592"])
@pytest.mark.parametrize("name", SETS)
def test_the_model_solution_gets_full_marks(released, name, student):
    course = released(name)
    result = hand_in(course, name, solved=True, student=student)
    assert (result.points, result.remarks) == (full_marks(course, name), ())
    assert result.status is Status.NEEDS_PERSON


@pytest.mark.parametrize("name", SETS)
def test_a_blank_copy_gets_nothing(released, name):
    result = hand_in(released(name), name, solved=False)
    assert result.status is Status.GRADED
    assert set(result.points.values()) == {0.0}


@pytest.mark.parametrize(
    ("name", "mistake"), [(name, mistake) for name in SETS for mistake in wrong_answers(name)]
)
def test_typical_mistakes_cost_what_the_scheme_says(released, name, mistake):
    course = released(name)
    changes, points = wrong_answers(name)[mistake]
    result = hand_in(course, name, solved=True, **changes)
    assert result.points == full_marks(course, name) | points


@pytest.mark.parametrize("name", SETS)
def test_there_are_three_mistakes(name):
    assert len(wrong_answers(name)) >= 3
    assert all(points for _, points in wrong_answers(name).values())


@pytest.mark.parametrize("name", SETS)
def test_answers_cannot_be_passed_on(released, name):
    """Model answers to Ada's numbers, handed in by Bob, lose points."""
    course = released(name)
    copy, model = read(course.root / "release" / name / f"{name}.ipynb"), read(course.problem_set(name))
    cells = []
    for cell, solution in zip(copy.cells, model.cells, strict=True):
        if about(cell).get("solution"):
            cell.source = solution.source
        cells.append(cell)
        if cell.cell_type == "code" and about(cell).get("locked") and not is_test(cell):
            adas = f"code = {code('a secret', 'ada')!r}\n{cell.source}"
            cells.append(nbformat.v4.new_code_cell(adas))
    copy.cells = cells
    source = nbformat.writes(course.to_grade(name)).encode()
    submission = nbformat.writes(copy).encode()
    result = grade(submission, source, code("a secret", "bob"), course.files(name), LIMITS)
    lost = [test for test, points in full_marks(course, name).items() if result.points[test] < points]
    assert len(lost) >= 2
