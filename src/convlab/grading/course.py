"""A course in nbgrader's folders: problem sets, students, secret, gradebook, and what came out of grading.

`source/ps03/ps03.ipynb` is written by hand; `release/`, `submitted/`, `autograded/`, `feedback/` and
`gradebook.db` are nbgrader's own; `results/` remembers what was graded; `secret.txt` and `roster.csv`
(columns `id`, `name`, `email`, any order, more don't matter) never leave the instructor.
"""

import csv
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, ClearSolutions, ComputeChecksums, LockCells
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from convlab.exercises._personal import code
from convlab.grading.notebook import about, is_manual, is_test, read, without_hidden_tests
from convlab.grading.task import Result, Status

_LEFT = re.compile(r"BEGIN SOLUTION|BEGIN HIDDEN|BEGIN MARK SCHEME")


class CourseError(Exception):
    """Something that the instructor has to do first, or has to do otherwise."""


@dataclass(frozen=True)
class Student:
    """A line of the roster."""

    id: str
    name: str = ""
    email: str = ""


class Course:
    """A course folder: the one given, or here, or `exercises` here, whichever has a folder `source`.

    Raises
    ------
    CourseError
        If there is none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        candidates = [folder] if folder else [Path(), Path("exercises")]
        found = next((one for one in candidates if (one / "source").is_dir()), None)
        if found is None:
            raise CourseError(
                f"no folder `source` in {' or '.join(str(one.resolve()) for one in candidates)}"
            )
        self.root = found.resolve()
        beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by its name
        if beside not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", "")])

    @cached_property
    def _config(self) -> Config:
        """Settings of nbgrader for this course."""
        if not (self.root / "nbgrader_config.py").exists():
            return Config()
        return PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()

    # Who takes part

    @cached_property
    def secret(self) -> str:
        """The secret of the course; made when it is first needed."""
        path = self.root / "secret.txt"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        return path.read_text().strip()

    @cached_property
    def roster(self) -> dict[str, Student]:
        """Students by id; empty without a roster."""
        path = self.root / "roster.csv"
        if not path.exists():
            return {}
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [
                {key.strip().lower(): (value or "").strip() for key, value in line.items() if key}
                for line in csv.DictReader(file)
            ]
        if not lines or "id" not in lines[0]:
            raise CourseError(f"{path} must have a column `id` and a line per student")
        students: dict[str, Student] = {}
        for line in lines:
            student = Student(line["id"], line.get("name", ""), line.get("email", ""))
            if not re.fullmatch(r"[\w.@-]+", student.id) or student.id.startswith("."):
                raise CourseError(f"{path}: an id is letters, digits and . @ _ -, got {student.id!r}")
            if student.id in students:
                raise CourseError(f"{path}: the id {student.id!r} stands there twice")
            students[student.id] = student
        return students

    def code(self, student: str) -> str:
        """A student's own code."""
        return code(self.secret, student)

    # Problem sets

    def problem_set(self, name: str) -> Path:
        """The source notebook of a problem set."""
        path = self.root / "source" / name / f"{name}.ipynb"
        if not path.exists():
            there = ", ".join(sorted(one.name for one in (self.root / "source").iterdir() if one.is_dir()))
            raise CourseError(f"no problem set {name!r}; there are {there or 'none'}")
        return path

    def files(self, name: str) -> dict[str, bytes]:
        """What is released beside the notebook."""
        folder = self.problem_set(name).parent
        return {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.is_file() and path.suffix != ".ipynb"
        }

    def to_grade(self, name: str) -> NotebookNode:
        """The problem set without solutions, with its hidden tests.

        CourseError if it was not released, or not in this form.
        """
        notebook = nbformat.read(self.problem_set(name), as_version=4)
        for step in (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums):
            notebook, _ = step(config=self._config).preprocess(notebook, {})
        path = self.root / "release" / name / f"{name}.ipynb"
        if not path.exists():
            raise CourseError(f"{name} has not been released: convlab-grade release {name}")
        released = nbformat.read(path, as_version=4)
        if [cell.source for cell in released.cells] != [
            cell.source for cell in without_hidden_tests(notebook).cells
        ]:
            raise CourseError(
                f"{name} has changed since its release, in more than hidden tests: release it again"
            )
        return notebook

    def release(self, name: str) -> Path:
        """Write the students' version, and a zip of it; give the zip."""
        source = self.problem_set(name)
        with self._api(name) as api:
            done = api.generate_assignment(name)
        if not done["success"]:
            raise CourseError(f"nbgrader can't release {source}: {done.get('error') or done.get('log')}")
        folder = self.root / "release" / name
        for path in folder.rglob("*.ipynb"):
            if found := _LEFT.search(path.read_text(encoding="utf-8")):
                raise CourseError(f"{path} still has {found.group()}")
        archive = folder.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    bundle.write(path, Path(name) / path.relative_to(folder))
        return archive

    # Submissions and results

    def submissions(self, name: str) -> dict[str, bytes]:
        """What was collected, by student."""
        found = {}
        for folder in sorted((self.root / "submitted").glob("*")):
            path = folder / name / f"{name}.ipynb"
            if path.is_file():
                found[folder.name] = path.read_bytes()
        return found

    def collected(self, name: str, student: str, content: bytes) -> None:
        """Keep a submission."""
        path = self.root / "submitted" / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def result(self, name: str, student: str) -> dict[str, Any]:
        """What is remembered of a grading; empty if there was none."""
        path = self.root / "results" / name / f"{student}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def save(self, book: Gradebook, name: str, student: str, key: str, result: Result) -> None:
        """Write a result into the gradebook, the graded notebook beside it, and remember it."""
        book.update_or_create_student(student, **self._names(student))
        book.update_or_create_submission(name, student)
        if result.notebook:
            self._save_grades(book, name, student, result)
        folder = self.root / "autograded" / student / name
        shutil.rmtree(folder, ignore_errors=True)
        if result.notebook:
            folder.mkdir(parents=True)
            (folder / f"{name}.ipynb").write_bytes(result.notebook)
        path = self.root / "results" / name / f"{student}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "key": key,
            "status": result.status,
            "points": dict(result.points),
            "remarks": result.remarks,
        }
        path.write_text(json.dumps(about, indent=1) + "\n")

    def _save_grades(self, book: Gradebook, name: str, student: str, result: Result) -> None:
        sure = result.status in (Status.GRADED, Status.NEEDS_PERSON)
        for cell in read(result.notebook).cells:
            cell_id = str(about(cell).get("grade_id"))
            if is_test(cell):
                grade = book.find_grade(cell_id, name, name, student)
                grade.auto_score = result.points[cell_id]
                grade.needs_manual_grade = not sure or grade.manual_score is not None
            elif is_manual(cell):
                grade = book.find_grade(cell_id, name, name, student)
                blank = cell_id in result.blank
                grade.auto_score = 0.0 if blank else None
                grade.needs_manual_grade = not blank or grade.manual_score is not None
                book.find_comment(cell_id, name, name, student).auto_comment = (
                    "No response." if blank else None
                )
        book.db.commit()

    def _names(self, student: str) -> dict[str, str]:
        known = self.roster.get(student)
        if not known:
            return {}
        first, _, last = known.name.rpartition(" ")
        return {"first_name": first, "last_name": last, "email": known.email}

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        """Open nbgrader's gradebook of this course."""
        with (
            warnings.catch_warnings(category=SAWarning, action="ignore"),  # about how nbgrader adds rows
            Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as book,
        ):
            yield book

    @contextmanager
    def _api(self, name: str) -> Iterator[NbGraderAPI]:
        """Give nbgrader's interface, its log silenced."""
        directory = CourseDirectory(root=str(self.root), db_url=f"sqlite:///{self.root / 'gradebook.db'}")
        api = NbGraderAPI(coursedir=directory, config=self._config)
        api.log_level = logging.ERROR
        yield api

    def feedback(self, name: str, student: str) -> Path:
        """Write nbgrader's feedback page of a graded submission; give it."""
        with self._api(name) as api:
            done = api.generate_feedback(name, student, force=True)
        if not done["success"]:
            raise CourseError(
                f"nbgrader can't write feedback for {student}: {done.get('error') or done.get('log')}"
            )
        return self.root / "feedback" / student / name / f"{name}.html"


def key_of(submission: bytes, source: bytes, files: dict[str, bytes], own: str) -> str:
    """What a result depends on: the same key, the same result."""
    digest = hashlib.sha256()
    for part in (
        submission,
        source,
        own.encode(),
        *(one for pair in files.items() for one in (pair[0].encode(), pair[1])),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
