"""Grading 40 submissions against plain nbgrader, and memory over 200; runs in the environment of grading."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-grading" / "bin" / "python"
FEW, MANY, JOBS = 40, 200, 2
NOTE = (
    f"Problem set 1: a third of the copies right, a third wrong, a third blank. {JOBS} jobs, each kernel in "
    "its sandbox; `nbgrader autograde` takes one copy after another, without one. Memory: this process and "
    f"its workers, when {FEW} of {MANY} submissions are graded, and at the end."
)
PASSING = {
    "bwrap",
    "ipykernel_launcher",
    "convlab.grading.checker",
}  # in the command lines of what comes and goes


def rows() -> list[tuple[str, str, str]]:
    """Measure, in the environment of grading."""
    done = subprocess.run([PYTHON, __file__], capture_output=True, text=True, check=True, cwd=ROOT)
    return [tuple(row) for row in json.loads(done.stdout.splitlines()[-1])]


def measure() -> list[tuple[str, str, str]]:
    """Grade with both."""
    import psutil
    from course_of_one import as_bytes, copy, make_course

    from convlab.grading.grade import cluster, grade_all
    from convlab.grading.sandbox import Limits

    with tempfile.TemporaryDirectory() as folder:
        course = make_course(Path(folder), "ps01")
        kinds = [
            as_bytes(copy(course, "ps01", solved=True)),
            as_bytes(copy(course, "ps01", solved=True, units="map_shape = units = ratio = 1")),
            as_bytes(copy(course, "ps01", solved=False)),
        ]
        for number in range(FEW):
            course.collected("ps01", f"s{number:03}", kinds[number % 3])
        begin = time.perf_counter()
        with cluster(JOBS) as client:
            grade_all(course, "ps01", client, Limits(), quiet=True)
        ours = (time.perf_counter() - begin) / FEW

        begin = time.perf_counter()
        command = [str(PYTHON.with_name("nbgrader")), "autograde", "ps01", "--create", "--force"]
        subprocess.run(command, cwd=course.root, capture_output=True, check=True)
        plain = (time.perf_counter() - begin) / FEW

        for number in range(MANY):
            course.collected("ps01", f"s{number:03}", kinds[number % 3] + b"\n")
        memory, graded = [], 0
        save = course.save

        def watch(*arguments: object) -> None:
            nonlocal graded
            save(*arguments)
            graded += 1
            if graded in (FEW, MANY):
                us = psutil.Process()
                family = [us, *us.children(recursive=True)]
                lasting = [one for one in family if not PASSING & {Path(word).name for word in one.cmdline()}]
                memory.append(sum(one.memory_info().rss for one in lasting))

        course.save = watch
        with cluster(JOBS) as client:
            grade_all(course, "ps01", client, Limits(), quiet=True)
    return [
        (
            "seconds per submission, against `nbgrader autograde`",
            f"{ours:.2f} s / {plain:.2f} s = {ours / plain:.2f}",
            "< 1",
        ),
        (
            f"memory after {FEW} and after {MANY} submissions",
            f"{memory[0] >> 20} MB, {memory[1] >> 20} MB",
            "flat",
        ),
    ]


if __name__ == "__main__":
    sys.path.append(str(ROOT / "tests" / "grading"))
    print(json.dumps(measure()))
