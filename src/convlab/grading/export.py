"""Marks as files that learning platforms read; a mark that isn't sure is empty, and its status says why."""

import csv
import io
from dataclasses import dataclass

from convlab.grading.course import Course
from convlab.grading.task import Status

FORMATS = ("csv", "moodle", "canvas")


@dataclass(frozen=True)
class Mark:
    """A student's mark: `score` is None where a person has to look first."""

    student: str
    name: str
    email: str
    status: Status
    score: float | None
    most: float
    points: dict[str, float | None]
    remarks: str


def marks(course: Course, name: str) -> list[Mark]:
    """Give a mark for everyone on the roster and everyone who handed in."""
    course.problem_set(name)
    found = []
    with course.gradebook() as book:
        most = float(book.find_assignment(name).max_score)
        students = sorted({*course.roster, *course.submissions(name)})
        for student in students:
            known = course.roster.get(student)
            result = course.result(name, student)
            status = Status(result.get("status", Status.MISSING))
            points = dict(result.get("points", {}))
            score = None
            if points:
                submission = book.find_submission(name, student)
                if not any(one.needs_manual_grade for one in submission.notebooks):
                    status, score = Status.GRADED, float(submission.score)
            remarks = "; ".join(result.get("remarks", []))
            names = (known.name, known.email) if known else ("", "")
            found.append(Mark(student, *names, status, score, most, points, remarks))
    return found


def export(course: Course, name: str, form: str) -> str:
    """Write the marks of a problem set in one of the `FORMATS`."""
    rows = marks(course, name)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if form == "csv":
        cells = sorted({cell for row in rows for cell in row.points})
        writer.writerow(["id", "name", "status", "score", "max_score", *cells, "remarks"])
        for row in rows:
            points = [_number(row.points.get(cell)) for cell in cells]
            writer.writerow(
                [
                    row.student,
                    row.name,
                    row.status,
                    _number(row.score),
                    _number(row.most),
                    *points,
                    row.remarks,
                ]
            )
    elif form == "moodle":
        writer.writerow(
            ["ID number", "Full name", "Email address", "Grade", "Maximum grade", "Feedback comments"]
        )
        for row in rows:
            writer.writerow(
                [row.student, row.name, row.email, _number(row.score), _number(row.most), _comment(row)]
            )
    else:
        writer.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name])
        writer.writerow(["    Points Possible", "", "", "", "", _number(rows[0].most if rows else None)])
        for row in rows:
            writer.writerow([row.name, "", row.student, row.email, "", _number(row.score)])
    return out.getvalue()


def _comment(row: Mark) -> str:
    return row.status if not row.remarks else f"{row.status}: {row.remarks}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
