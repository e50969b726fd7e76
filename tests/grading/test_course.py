"""The command, from release to export, as an instructor uses it."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from course_of_one import Course, as_bytes, copy

from convlab.exercises._personal import code
from convlab.grading import cli, sandbox
from convlab.grading.collect import collect, name_forms
from convlab.grading.course import CourseError
from convlab.grading.grade import cluster, grade_all
from convlab.grading.notebook import about
from convlab.grading.sandbox import Limits
from convlab.grading.task import Result, Status

ROSTER = """id,name,email
ada,Ada Lovelace,ada@x.org
bob,Bob Noyce,b@x.org
zoe,Zoë Müller,z@x.org
4711,李 雷,l@x.org
"""


@pytest.fixture
def course(released, tmp_path) -> Course:
    """A released course of one's own."""
    folder = tmp_path / "course"
    shutil.copytree(released("ps01").root, folder)
    (folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    return Course(folder)


def run(course: Course, *arguments: str) -> int:
    return cli.main(["--course", str(course.root), *arguments])


def saved(course: Course, student: str, status: Status, points: dict[str, float | None]) -> None:
    """Write a result as grading does, without running anything."""
    notebook = course.to_grade("ps01")
    if status is not Status.UNREADABLE:
        course.collected("ps01", student, as_bytes(notebook))
    full = {
        about(cell).grade_id: 0.0
        for cell in notebook.cells
        if about(cell).get("points") and about(cell).locked
    }
    content = b"" if status is Status.UNREADABLE else as_bytes(notebook)
    with course.gradebook() as book:
        result = Result(status, full | points if content else {}, ("why",), content, frozenset({"words"}))
        course.save(book, "ps01", student, "key", result)


# Release


def test_release_writes_a_zip_and_a_code_for_everybody(course, capsys):
    assert run(course, "release", "ps01") == 0
    with zipfile.ZipFile(course.root / "release" / "ps01.zip") as archive:
        assert archive.namelist() == ["ps01/ps01.ipynb"]
        text = archive.read("ps01/ps01.ipynb").decode()
    assert "HIDDEN" not in text
    assert "SOLUTION" not in text
    rows = list(csv.DictReader((course.root / "codes.csv").open(encoding="utf-8")))
    assert [row["id"] for row in rows] == ["ada", "bob", "zoe", "4711"]
    assert {row["code"] for row in rows} == {code(course.secret, row["id"]) for row in rows}
    assert course.secret not in (course.root / "codes.csv").read_text() + text
    assert (course.root / "secret.txt").stat().st_mode & 0o077 == 0


def test_files_beside_a_notebook_are_released_with_it(course):
    (course.root / "source/ps01/data.csv").write_text("1,2\n")
    course.release("ps01")
    with zipfile.ZipFile(course.root / "release" / "ps01.zip") as archive:
        assert sorted(archive.namelist()) == ["ps01/data.csv", "ps01/ps01.ipynb"]
    assert course.files("ps01") == {"data.csv": b"1,2\n"}


def test_what_has_changed_since_its_release_is_not_graded(course, capsys):
    path = course.problem_set("ps01")
    before = path.read_text()
    path.write_text(before.replace("filters * (height - side + 1)", "2 * filters * (height - side + 1)"))
    course.to_grade("ps01")  # a hidden test may be mended
    path.write_text(before.replace("A layer has", "A deep layer has"))
    assert run(course, "grade", "ps01") == 1
    assert "ps01 has changed since its release" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["release", "ps77"], "no problem set 'ps77'; there are ps01"),
        (["collect", "nowhere.zip", "ps01"], "there is no nowhere.zip"),
        (["grade", "ps77"], "no problem set 'ps77'"),
        (["export", "ps77"], "no problem set 'ps77'"),
    ],
)
def test_mistakes_of_the_instructor_are_told(course, capsys, arguments, message):
    assert run(course, *arguments) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_problem_sets(tmp_path, capsys):
    assert cli.main(["--course", str(tmp_path), "export", "ps01"]) == 1
    assert "no folder `source`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nAda\n", "must have a column `id`"),
        ("id,name\nada,A\nada,B\n", "'ada' stands there twice"),
        ("id,name\n../x,A\n", r"an id is letters, digits and \. @ _ -, got '\.\./x'"),
    ],
)
def test_a_roster_with_faults(tmp_path, text, message):
    (tmp_path / "source").mkdir()
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(CourseError, match=message):
        _ = Course(tmp_path).roster


# Collect


def bundle(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_moodle(course, tmp_path, capsys):
    archive = bundle(
        tmp_path / "moodle.zip",
        {
            "Ada Lovelace_101_assignsubmission_file_/ps01.ipynb": b"1",
            "Bob Noyce_102_assignsubmission_file_/my homework (2).ipynb": b"2",  # another name counts, too
            "Zoe Muller_103_assignsubmission_file_/ps01.ipynb": b"3",
            "Zoe Muller_103_assignsubmission_file_/old.ipynb": b"4",
            "Nobody Here_104_assignsubmission_file_/ps01.ipynb": b"5",
            "__MACOSX/Ada Lovelace_101_assignsubmission_file_/._ps01.ipynb": b"6",
        },
    )
    assert run(course, "collect", str(archive), "ps01") == 0
    assert course.submissions("ps01") == {"ada": b"1", "bob": b"2", "zoe": b"3"}
    said = capsys.readouterr().out
    assert "3 submissions of ps01" in said
    assert "not matched: Nobody Here_104_assignsubmission_file_/ps01.ipynb" in said
    assert "not matched: Zoe Muller_103_assignsubmission_file_/old.ipynb: besides" in said
    assert "nothing from 1: 4711" in said


def test_canvas(course, tmp_path):
    files = {
        "lovelaceada_101_9001_ps01-1.ipynb": b"1",
        "noycebob_LATE_102_9002_ps01.ipynb": b"2",
        "mullerzoe_103_9003_ps01.ipynb": b"3",
        "x_4711_9004_ps01.ipynb": b"4",  # by the number
        "y_99_9005_ps01.ipynb": b"5",
    }
    matched, left = collect(course, bundle(tmp_path / "canvas.zip", files), "ps01")
    assert {student: course.submissions("ps01")[student] for student in matched} == {
        "ada": b"1",
        "bob": b"2",
        "zoe": b"3",
        "4711": b"4",
    }
    assert left == ["y_99_9005_ps01.ipynb"]


def test_plain_folders_and_files(course, tmp_path):
    folder = tmp_path / "in"
    for name in (
        "ada/ps01.ipynb",
        "bob/deep/er/ps01.ipynb",
        "zoe.ipynb",
        ".hidden/ps01.ipynb",
        "4711/ps01.ipynb",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "eve").mkdir()
    (folder / "eve" / "ps01.ipynb").symlink_to("/etc/passwd")
    matched, left = collect(course, folder, "ps01")
    assert sorted(matched) == ["4711", "ada", "bob", "zoe"]
    assert left == []


def test_paths_that_climb_out_stay_inside(course, tmp_path):
    archive = bundle(tmp_path / "evil.zip", {"../../ada/ps01.ipynb": b"1", "/etc/bob/ps01.ipynb": b"2"})
    collect(course, archive, "ps01")
    assert course.submissions("ps01") == {"ada": b"1", "bob": b"2"}
    assert not (tmp_path.parent / "ada").exists()


def test_two_students_of_one_name_are_not_guessed(course, tmp_path):
    (course.root / "roster.csv").write_text("id,name\na,Ada Lovelace\nb,Ada Lovelace\n")
    matched, left = collect(
        Course(course.root),
        bundle(tmp_path / "m.zip", {"Ada Lovelace_1_assignsubmission_file_/x.ipynb": b""}),
        "ps01",
    )
    assert (matched, len(left)) == ({}, 1)


def test_a_broken_archive(course, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(CourseError, match="neither a folder nor a zip"):
        collect(course, tmp_path / "x.zip", "ps01")


def test_names_as_platforms_write_them():
    assert name_forms("Müller, Zoë") == {"mullerzoe", "zoemuller"}


# Grade and export


def test_export_never_makes_a_zero_of_what_is_not_sure(course, capsys):
    saved(course, "ada", Status.GRADED, {"units-count": 1.0, "map-all": 4.0})
    saved(course, "bob", Status.TIMED_OUT, {"units-count": None})
    saved(course, "zoe", Status.UNREADABLE, {})
    assert run(course, "export", "ps01") == 0
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    shown = {name: (row["status"], row["score"], row["units-count"]) for name, row in rows.items()}
    assert shown == {
        "ada": ("graded", "5", "1"),
        "bob": ("timed out", "", ""),
        "zoe": ("unreadable", "", ""),
        "4711": ("missing", "", ""),
    }
    assert rows["ada"]["max_score"] == "20"
    run(course, "export", "ps01", "--format", "moodle")
    moodle = {row["ID number"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert (moodle["ada"]["Grade"], moodle["bob"]["Grade"]) == ("5", "")
    assert moodle["bob"]["Feedback comments"] == "timed out: why"
    run(course, "export", "ps01", "--format", "canvas", "--output", str(course.root / "canvas.csv"))
    canvas = list(csv.reader((course.root / "canvas.csv").open(encoding="utf-8")))
    assert canvas[0][-1] == "ps01"
    assert {row[2]: row[-1] for row in canvas[2:]} == {"ada": "5", "bob": "", "zoe": "", "4711": ""}


@pytest.mark.parametrize("status", [Status.TIMED_OUT, Status.KILLED, Status.TAMPERED])
def test_the_gradebook_waits_for_a_person(course, status):
    saved(course, "ada", status, {"units-count": None})
    with course.gradebook() as book:
        scores = {one.name: one.auto_score for one in book.find_submission("ps01", "ada").notebooks[0].grades}
        waiting = {
            one.name
            for one in book.find_submission("ps01", "ada").notebooks[0].grades
            if one.needs_manual_grade
        }
    assert (scores["units-count"], scores["units-shape"]) == (None, 0)
    assert waiting == scores.keys() - {"words"}


@contextmanager
def formgrader(course: Course) -> Iterator[Callable[..., Any]]:
    """Start nbgrader's formgrader in the course's folder; give a function that asks it."""
    start = [
        sys.executable,
        "-m",
        "jupyter",
        "server",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
    ]
    server = subprocess.Popen(
        [*start, "--IdentityProvider.token=t"], cwd=course.root, stderr=subprocess.PIPE, text=True
    )
    try:
        address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\S+:\d+", line)))

        def ask(path: str, change: dict[str, float] | None = None) -> Any:
            request = urllib.request.Request(
                f"{address}/formgrader/{path}",
                data=json.dumps(change).encode() if change else None,
                headers={"Authorization": "token t"},
                method="PUT" if change else "GET",
            )
            for _ in range(100):  # it tells its address a little before it listens
                try:
                    with urllib.request.urlopen(request) as answer:
                        return json.load(answer) if path.startswith("api/") else answer.read().decode()
                except urllib.error.URLError as error:
                    if not isinstance(error.reason, ConnectionRefusedError):
                        raise
                    time.sleep(0.1)
            pytest.fail("formgrader doesn't answer")

        yield ask
    finally:
        server.terminate()
        server.communicate()


def test_marks_given_in_formgrader_complete_the_score(course, capsys):
    notebook = copy(course, "ps01", solved=True)
    content = as_bytes(notebook)
    points = {
        about(c).grade_id: float(about(c).points)
        for c in notebook.cells
        if about(c).get("points") and about(c).locked
    }
    with course.gradebook() as book:
        for student, status in [("ada", Status.NEEDS_PERSON), ("bob", Status.TAMPERED)]:
            course.collected("ps01", student, content)
            course.save(book, "ps01", student, "key", Result(status, points, ("why",), content))
    run(course, "export", "ps01")
    shown = capsys.readouterr().out
    assert "ada,Ada Lovelace,needs a person,,20" in shown
    assert "bob,Bob Noyce,tampered,,20" in shown
    with formgrader(course) as ask:
        for submission in ask("api/submitted_notebooks/ps01/ps01"):
            assert submission["needs_manual_grade"]
            page = ask(f"submissions/{submission['id']}/")
            assert "A good answer." in page
            for one in ask(f"api/grades?submission_id={submission['id']}"):
                if one["needs_manual_grade"]:
                    most = one["max_score"]
                    ask(f"api/grade/{one['id']}", {"manual_score": 2.5 if one["name"] == "words" else most})
    run(course, "export", "ps01", "--feedback")
    shown = capsys.readouterr().out
    assert "ada,Ada Lovelace,graded,19.5,20" in shown
    assert "bob,Bob Noyce,graded,19.5,20" in shown
    feedback = (course.root / "feedback/ada/ps01/ps01.html").read_text(encoding="utf-8")
    assert "HIDDEN TESTS" not in feedback


def test_a_second_run_does_only_what_is_new(course, capsys):
    for student in ("ada", "bob"):
        course.collected("ps01", student, as_bytes(copy(course, "ps01", solved=student == "ada")))
    course.collected("ps01", "zoe", b"no notebook")
    assert run(course, "grade", "ps01", "--jobs", "2") == 0
    assert "3 graded now, 1 graded, 1 needs a person, 1 unreadable" in capsys.readouterr().out
    course.collected("ps01", "zoe", as_bytes(copy(course, "ps01", solved=True)))
    assert run(course, "grade", "ps01", "--jobs", "1") == 0
    assert "1 graded now, 1 needs a person" in capsys.readouterr().out
    assert run(course, "grade", "ps01") == 0
    assert "0 graded now" in capsys.readouterr().out
    assert sum(course.result("ps01", "ada")["points"].values()) == 17


def test_without_bubblewrap_grading_refuses(course, capsys, monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    course.collected("ps01", "ada", b"")
    assert run(course, "grade", "ps01") == 1
    assert "bubblewrap (bwrap) is not installed" in capsys.readouterr().err
    assert course.result("ps01", "ada") == {}


def test_a_lost_worker_loses_nothing(course):
    """A scheduler of its own and two workers; one is killed in the middle."""
    students = [f"s{i}" for i in range(6)]
    for student in students:
        course.collected("ps01", student, as_bytes(copy(course, "ps01", solved=True)))
    run_here = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--port",
        "0",
        "--dashboard-address",
        ":0",
    ]
    scheduler = subprocess.Popen(run_here, stderr=subprocess.PIPE, text=True)
    workers = []
    try:
        address = next(
            found[1] for line in scheduler.stderr if (found := re.search(r"at:\s+(tcp://\S+)", line))
        )
        for _ in range(2):
            worker = [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--nthreads",
                "1",
                "--no-nanny",
            ]
            workers.append(subprocess.Popen([*worker, "--no-dashboard"], stderr=subprocess.DEVNULL))
        with cluster(0, address) as client:
            client.wait_for_workers(2, timeout=60)
            killed = []

            def kill_one() -> None:
                if not killed and any(course.result("ps01", student) for student in students):
                    killed.append(workers[0].pid)
                    family = psutil.Process(workers[0].pid).children(recursive=True)
                    os.kill(workers[0].pid, signal.SIGKILL)
                    for child in family:
                        with suppress(psutil.NoSuchProcess):
                            child.kill()

            save = course.save
            course.save = lambda *a: (save(*a), kill_one())
            done = grade_all(course, "ps01", client, Limits(), quiet=True)
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()
        scheduler.stderr.close()
    assert killed
    assert done == dict.fromkeys(students, Status.NEEDS_PERSON)
    assert {sum(course.result("ps01", student)["points"].values()) for student in students} == {17.0}


def test_problem_sets_open_in_plain_nbgrader(course):
    """`nbgrader autograde` gives the same marks to a right copy."""
    notebook = copy(course, "ps01", solved=True)
    course.collected("ps01", "ada", as_bytes(notebook))
    nbgrader = Path(sys.executable).parent / "nbgrader"
    done = subprocess.run(
        [nbgrader, "autograde", "ps01", "--create"],
        cwd=course.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with course.gradebook() as book:
        assert book.find_submission("ps01", "ada").score == 17
    graded = nbformat.read(course.root / "autograded/ada/ps01/ps01.ipynb", as_version=4)
    assert len(graded.cells) == len(notebook.cells)
