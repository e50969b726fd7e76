"""The command ``convlab-grade``."""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from convlab.grading import sandbox
from convlab.grading.sandbox import Limits, NoSandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give 0, or 1 after a message where something has to be done first."""
    try:
        from convlab.grading.course import CourseError
    except ImportError as error:
        print(f"convlab-grade needs more: pip install 'convlab[grading]' ({error})", file=sys.stderr)
        return 1
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (CourseError, NoSandbox) as error:
        print(f"convlab-grade: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    from convlab.grading.export import FORMATS

    parser = argparse.ArgumentParser(
        prog="convlab-grade", description="Release, collect and grade problem sets."
    )
    parser.add_argument("--course", type=Path, help="folder of the course (default: here, or exercises)")
    commands = parser.add_subparsers(required=True, metavar="command")

    release = commands.add_parser("release", help="write the students' version, a zip, and everyone's code")
    release.add_argument("name", metavar="ps03")
    release.set_defaults(run=_release)

    collect = commands.add_parser("collect", help="take in a zip or folder from a learning platform")
    collect.add_argument("source", type=Path, metavar="moodle.zip")
    collect.add_argument("name", metavar="ps03")
    collect.set_defaults(run=_collect)

    grade = commands.add_parser("grade", help="grade what is new")
    grade.add_argument("name", metavar="ps03")
    where = grade.add_mutually_exclusive_group()
    where.add_argument("--jobs", type=int, default=2, help="submissions at a time (2)")
    where.add_argument("--scheduler", default="", metavar="tcp://host:8786", help="use this Dask scheduler")
    grade.add_argument("--again", action="store_true", help="grade everything again")
    grade.add_argument("--no-sandbox", action="store_true", help="run students' code unprotected")
    grade.add_argument("--seconds", type=float, default=Limits.seconds, help="for a submission (%(default)g)")
    grade.add_argument(
        "--memory", type=int, default=Limits.memory >> 20, help="MB for a submission (%(default)d)"
    )
    grade.set_defaults(run=_grade)

    export = commands.add_parser("export", help="print the marks, and write feedback")
    export.add_argument("name", metavar="ps03")
    export.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    export.add_argument("--output", type=Path, help="a file instead of the terminal")
    export.add_argument("--feedback", action="store_true", help="write a page of feedback for every mark")
    export.set_defaults(run=_export)
    return parser


def _release(options: argparse.Namespace) -> None:
    from convlab.grading.course import Course

    course = Course(options.course)
    print(course.release(options.name))
    if course.roster:
        path = course.root / "codes.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "name", "email", "code"])
            writer.writerows(
                [one.id, one.name, one.email, course.code(one.id)] for one in course.roster.values()
            )
        print(f"{path}: the code of each student, for all problem sets")


def _collect(options: argparse.Namespace) -> None:
    from convlab.grading.collect import collect
    from convlab.grading.course import Course

    course = Course(options.course)
    matched, left = collect(course, options.source, options.name)
    print(f"{len(matched)} submissions of {options.name}")
    for path in left:
        print(f"not matched: {path}")
    missing = [student for student in course.roster if student not in course.submissions(options.name)]
    if missing:
        print(f"nothing from {len(missing)}: {', '.join(missing)}")


def _grade(options: argparse.Namespace) -> None:
    from convlab.grading.course import Course
    from convlab.grading.grade import cluster, grade_all

    course = Course(options.course)
    if not options.no_sandbox and not options.scheduler:
        sandbox.available()
    course.to_grade(options.name)  # says what is missing before any worker starts
    limits = Limits(seconds=options.seconds, memory=options.memory << 20)
    with cluster(options.jobs, options.scheduler) as client:
        done = grade_all(
            course, options.name, client, limits, confined=not options.no_sandbox, again=options.again
        )
    counts = Counter(done.values())
    print(
        f"{len(done)} graded now" + "".join(f", {count} {status}" for status, count in sorted(counts.items()))
    )
    for student, status in sorted(done.items()):
        remarks = course.result(options.name, student)["remarks"]
        if remarks:
            print(f"{student}: {status}: {'; '.join(remarks)}")


def _export(options: argparse.Namespace) -> None:
    from convlab.grading.course import Course
    from convlab.grading.export import export, marks

    course = Course(options.course)
    table = export(course, options.name, options.format)
    if options.output:
        options.output.write_text(table, encoding="utf-8")
    else:
        print(table, end="")
    if options.feedback:
        for mark in marks(course, options.name):
            if mark.points:
                print(course.feedback(options.name, mark.student), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
