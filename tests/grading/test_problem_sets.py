"""Every problem set: its form, the model solution, a blank copy, and typical wrong answers."""

import importlib.util
from functools import cache
from pathlib import Path

import nbformat
import pytest
from course_of_one import ROOT, as_bytes, copy, read

from convlab.exercises._personal import code
from convlab.grading.course import Course
from convlab.grading.notebook import about, is_manual, is_test
from convlab.grading.sandbox import Limits
from convlab.grading.task import Result, Status, grade

SETS = sorted(path.name for path in (ROOT / "exercises" / "source").iterdir())
LIMITS = Limits(seconds=100, cell_seconds=30)


@cache
def wrong_answers(name: str) -> dict[str, tuple[dict[str, str], dict[str, float]]]:
    path = Path(__file__).parent / "problem_sets" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


def hand_in(course: Course, name: str, *, solved: bool, student: str = "ada", **changes: str) -> Result:
    """Grade a copy with the model answers, or a blank one, with some cells changed."""
    source, submission = (
        as_bytes(course.to_grade(name)),
        as_bytes(copy(course, name, solved=solved, **changes)),
    )
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
    model = read(course.problem_set(name))
    text = "\n".join(cell.source for cell in copy(course, name, solved=False).cells)
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


def rounds(name: str) -> list[list[str]]:
    """Mistakes in different answers, made in one submission: fewer to grade."""
    made: list[list[str]] = []
    for mistake, (changes, _) in wrong_answers(name).items():
        for some in made:
            if not changes.keys() & {cell for other in some for cell in wrong_answers(name)[other][0]}:
                some.append(mistake)
                break
        else:
            made.append([mistake])
    return made


@pytest.mark.parametrize(
    ("name", "mistakes"),
    [(name, some) for name in SETS for some in rounds(name)],
    ids=lambda value: value if isinstance(value, str) else "; ".join(value),
)
def test_typical_mistakes_cost_what_the_scheme_says(released, name, mistakes):
    course = released(name)
    changes, points = {}, {}
    for mistake in mistakes:
        changes |= wrong_answers(name)[mistake][0]
        points |= wrong_answers(name)[mistake][1]
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
    answers = copy(course, name, solved=True)
    cells = []
    for cell in answers.cells:
        cells.append(cell)
        if cell.cell_type == "code" and about(cell).get("locked") and not is_test(cell):
            cells.append(nbformat.v4.new_code_cell(f"code = {code('a secret', 'ada')!r}\n{cell.source}"))
    answers.cells = cells
    source = as_bytes(course.to_grade(name))
    result = grade(as_bytes(answers), source, code("a secret", "bob"), course.files(name), LIMITS)
    lost = [test for test, points in full_marks(course, name).items() if result.points[test] < points]
    assert len(lost) >= 2
