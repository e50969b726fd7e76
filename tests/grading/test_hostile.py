"""Submissions that are broken, or mean harm: the right status, other marks unchanged, nothing left over."""

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from course_of_one import as_bytes, copy

from convlab.exercises._personal import code
from convlab.grading.course import Course
from convlab.grading.grade import cluster, grade_all
from convlab.grading.notebook import about, is_test
from convlab.grading.sandbox import Limits
from convlab.grading.task import Result, Status, grade

LIMITS = Limits(seconds=100, cell_seconds=15, memory=1 << 30)  # a busy machine is slow
SHORT = replace(LIMITS, cell_seconds=3)  # for what ends in no other way
ADA = code("a secret", "ada")
UNITS = ("units-shape", "units-count", "units-ratio")  # the tests of the cell that is spoilt
FULL = {
    "units-shape": 1.0,
    "units-count": 1.0,
    "units-ratio": 2.0,
    "map-example": 1.0,
    "map-all": 4.0,
    "sparse-example": 1.0,
    "sparse-all": 3.0,
    "design-form": 1.0,
    "design-count": 3.0,
}
ELSEWHERE = FULL | dict.fromkeys(UNITS, 0.0)  # only this problem is lost
NOTHING = dict.fromkeys(FULL)  # no test was reached


@pytest.fixture(scope="module")
def course(released) -> Course:
    return released("ps01")


def hand_in(course: Course, submission: nbformat.NotebookNode | bytes, limits: Limits = LIMITS) -> Result:
    content = submission if isinstance(submission, bytes) else as_bytes(submission)
    result = grade(content, as_bytes(course.to_grade("ps01")), ADA, {}, limits)
    assert_nothing_is_left()
    return result


def assert_nothing_is_left() -> None:
    """No kernel, no sandbox, no child of either."""
    for _ in range(50):
        ours = psutil.Process().children(recursive=True)  # other tests may run beside this one
        lost = [one for one in psutil.process_iter(["ppid"]) if one.info["ppid"] == 1]
        left = [words(one) for one in [*ours, *lost] if {"bwrap", "ipykernel_launcher"} & set(words(one))]
        left += [words(one) for one in psutil.process_iter() if "marker-of-a-test" in words(one)]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(left)


def words(process: psutil.Process) -> list[str]:
    try:
        return [Path(word).name for word in process.cmdline()]
    except psutil.Error:
        return []


CODE = {
    "wrong": ("map_shape = (1, 2)\nunits = 3.5\nratio = 'a'", Status.NEEDS_PERSON, ELSEWHERE),
    "syntax error": ("map_shape = (", Status.NEEDS_PERSON, ELSEWHERE),
    "an endless loop": ("while True:\n    pass", Status.TIMED_OUT, ELSEWHERE),
    "an endless loop that ignores interrupts": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    pass",
        Status.TIMED_OUT,
        NOTHING,
    ),
    "os._exit": ("import os\nos._exit(0)", Status.KILLED, NOTHING),
    "fork bomb": ("import os\nwhile True:\n    os.fork()", Status.KILLED, NOTHING),
    "fork bomb of threads": (
        "import subprocess\nwhile True:\n    subprocess.Popen(['sleep', '60'])",
        Status.KILLED,
        NOTHING,
    ),
    "50 GB at once": ("data = bytearray(50 * 10**9)", Status.NEEDS_PERSON, ELSEWHERE),
    "memory bit by bit, in several processes": (
        "import os\nfor _ in range(3):\n    os.fork()\ndata = []\n"
        "while True:\n    data.append(bytearray(b'1' * 10**6))",
        Status.KILLED,
        NOTHING,
    ),
    "1 GB of output": ("for _ in range(10**6):\n    print('x' * 1000)", Status.KILLED, NOTHING),
    "1 GB of output in ten pieces": ("for _ in range(10):\n    print('x' * 10**8)", Status.KILLED, NOTHING),
    "a full disk": (
        "for i in range(10**6):\n    open(f'file{i}', 'wb').write(b'0' * 10**6)",
        Status.KILLED,
        NOTHING,
    ),
    "a background process": (
        "import subprocess\nsubprocess.Popen(['bash', '-c', 'exec -a marker-of-a-test sleep 1000'],"
        " start_new_session=True)",
        Status.NEEDS_PERSON,
        ELSEWHERE,
    ),
    "an object equal to everything": (
        "class Equal:\n    def __eq__(self, other):\n        return True\n    __gt__ = __ge__ = __eq__\n"
        "    def __len__(self):\n        return 2\n    def __array__(self, *a, **k):\n"
        "        return np.ones(2)\nmap_shape = units = ratio = Equal()",
        Status.NEEDS_PERSON,
        ELSEWHERE,
    ),
    "numpy.testing and convlab replaced": (
        "import numpy.testing, convlab.exercises, convlab.exercises._expect as inner\n"
        "nothing = lambda *a, **k: None\n"
        "np.testing.assert_allclose = np.testing.assert_equal = nothing\n"
        "expect = inner.expect = inner._judge = convlab.exercises.expect = nothing\n"
        "map_shape, units, ratio = (1, 1), 10**6, 1.0",
        Status.NEEDS_PERSON,
        ELSEWHERE | {"units-shape": 0.0},
    ),
    "builtins patched": (
        "import builtins\nbuiltins.AssertionError = type('Never', (Exception,), {})\n"
        "builtins.all = builtins.any = lambda *a: True\n"
        "map_shape, units, ratio = (1, 1), 10**6, 1.0",
        Status.NEEDS_PERSON,
        None,
    ),
    "builtins patched so that the kernel breaks": (
        "import builtins\nbuiltins.isinstance = lambda *a: True",
        Status.TIMED_OUT,
        NOTHING,
    ),
    "the checker's variables overwritten": (
        "height = width = side = filters = 1\nme = None\nmap_shape, units, ratio = (1, 1), 1, 1 / 3",
        Status.NEEDS_PERSON,
        None,
    ),
    "the agent overwritten": (
        "import convlab.grading._agent as agent\nagent.answer = lambda *a: print('convlab:x:{}')\n"
        "map_shape, units, ratio = (1, 1), 10**6, 1.0",
        Status.NEEDS_PERSON,
        dict.fromkeys(FULL, 0.0),
    ),
    "a socket": (
        "import socket\nmap_shape = (1, 1)\n"
        "socket.create_connection(('127.0.0.1', PORT), timeout=3).send(b'x')",
        Status.NEEDS_PERSON,
        ELSEWHERE,
    ),
}


@pytest.mark.parametrize("name", CODE)
def test_spoilt_answers(course, name):
    text, status, points = CODE[name]
    submission = copy(course, "ps01", solved=True, units=text.replace("PORT", "9"))
    result = hand_in(course, submission, SHORT if status is Status.TIMED_OUT else LIMITS)
    assert result.status is status
    if points is not None:
        assert result.points == points
    else:  # what the spoilt process says of the other problems doesn't matter, these are lost
        assert [result.points[test] for test in UNITS if test != "units-shape"] == [0.0, 0.0]


def test_the_network_is_out_of_reach(course):
    """A server listens on this machine; the student's code can't reach it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        text = CODE["a socket"][0].replace("PORT", str(server.getsockname()[1]))
        result = hand_in(course, copy(course, "ps01", solved=True, units=text))
        with pytest.raises(TimeoutError):
            server.accept()
    assert result.points == ELSEWHERE


def test_nothing_of_the_course_or_of_others_can_be_read_or_written(course, tmp_path):
    secret = course.root / "source" / "ps01" / "ps01.ipynb"
    book = course.root / "gradebook.db"
    before = book.read_bytes()
    text = f"""
import os, pathlib
found = [p for _, _, files in os.walk('/') for p in files if 'ps0' in p and p.endswith(('.ipynb', '.db'))]
for path in [{str(secret)!r}, {str(book)!r}, '/etc/shadow', '/etc/passwd']:
    try:
        found.append(pathlib.Path(path).read_bytes()[:9])
    except OSError:
        pass
for path in [{str(book)!r}, '/usr/x', {os.__file__!r}]:
    try:
        open(path, 'a').write('x')
        found.append(path)
    except OSError:
        pass
print('found', found, dict(os.environ))
map_shape = units = ratio = 0
"""
    result = hand_in(
        course, copy(course, "ps01", solved=True, units=text), Limits()
    )  # to walk takes its time
    (cell,) = [
        c
        for c in nbformat.reads(result.notebook.decode(), as_version=4).cells
        if about(c).grade_id == "units"
    ]
    said = "".join(output.get("text", "") for output in cell.outputs)
    assert re.match(r"found \[\] \{", said)
    for private in ("a secret", str(course.root), "SSH", "TOKEN"):
        assert private not in said
    assert book.read_bytes() == before


def test_background_processes_of_another_submission_are_not_seen(course):
    text = "import os\nprint(sum(p.isdigit() for p in os.listdir('/proc')))\nmap_shape = units = ratio = 0"
    result = hand_in(course, copy(course, "ps01", solved=True, units=text))
    (cell,) = [
        c
        for c in nbformat.reads(result.notebook.decode(), as_version=4).cells
        if about(c).grade_id == "units"
    ]
    assert int(cell.outputs[0].text) < 10


# What came back is not what was sent


def test_right_and_blank(course):
    assert hand_in(course, copy(course, "ps01", solved=True)).points == FULL
    blank = hand_in(course, copy(course, "ps01", solved=False))
    assert (blank.status, set(blank.points.values())) == (Status.GRADED, {0.0})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"PK\x03\x04nonsense",
        b"[]",
        b"{}",
        b'{"cells": 3}',
        b"[" * 100_000,
        b'{"nbformat": 99}',
    ],
)
def test_not_a_notebook(course, content):
    result = hand_in(course, content)
    assert (result.status, result.points) == (Status.UNREADABLE, {})
    assert result.remarks


def test_deleted_test_cells_count(course):
    notebook = copy(course, "ps01", solved=True, units="map_shape = units = ratio = 0")
    notebook.cells = [cell for cell in notebook.cells if about(cell).grade_id not in UNITS]
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.TAMPERED, ELSEWHERE)
    assert "test units-shape was deleted" in result.remarks


def test_edited_test_cells_are_the_instructors(course):
    notebook = copy(course, "ps01", solved=True, units="map_shape = units = ratio = 0")
    for cell in notebook.cells:
        if is_test(cell):
            cell.source = "pass"
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.TAMPERED, ELSEWHERE)
    assert "test units-count was edited; the instructor's counts" in result.remarks


def test_a_copied_cell_with_the_same_id(course):
    notebook = copy(course, "ps01", solved=True)
    (at,) = [i for i, cell in enumerate(notebook.cells) if about(cell).grade_id == "units"]
    twin = nbformat.from_dict(
        json.loads(json.dumps(notebook.cells[at])) | {"source": "units = 0", "id": "twin"}
    )
    notebook.cells.insert(at + 1, twin)
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.TAMPERED, FULL)
    assert result.remarks == ("cell units stands there twice; the first counts",)


def test_a_deleted_answer(course):
    notebook = copy(course, "ps01", solved=True)
    notebook.cells = [cell for cell in notebook.cells if about(cell).grade_id != "units"]
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.TAMPERED, ELSEWHERE)


def test_cells_of_ones_own_are_run_where_they_stand(course):
    notebook = copy(course, "ps01", solved=True, units="map_shape = helper()\nunits = ratio = 0")
    (at,) = [i for i, cell in enumerate(notebook.cells) if about(cell).grade_id == "units-text"]
    mine = "def helper():\n    return (height - side + 1, width - side + 1)"
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(mine))
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.NEEDS_PERSON, ELSEWHERE | {"units-shape": 1.0})


def test_the_code_of_somebody_else(course):
    notebook = copy(course, "ps01", solved=True, code=f"code = {code('a secret', 'bob')!r}")
    result = hand_in(course, notebook)
    assert (result.status, result.points) == (Status.TAMPERED, FULL)
    assert result.remarks == ("the code of another student was entered",)
    own = copy(course, "ps01", solved=True, code=f"code = {ADA.lower()!r}")
    assert hand_in(course, own).remarks == ()


def test_hidden_tests_leave_no_trace(course):
    """In nothing that a student gets to see stands what the hidden tests expect."""
    result = hand_in(
        course, copy(course, "ps01", solved=True, map="def feature_map(image, kernel):\n    return image")
    )
    text = result.notebook.decode()
    hidden = [
        line.strip()
        for cell in course.to_grade("ps01").cells
        if is_test(cell)
        for line in cell.source.splitlines()
    ]
    seen = [
        line.strip() for cell in copy(course, "ps01", solved=False).cells for line in cell.source.splitlines()
    ]
    secret = [line for line in set(hidden) - set(seen) if len(line) > 15]
    assert len(secret) > 10
    assert [line for line in secret if line in text] == []
    assert "A hidden test fails." in text
    assert result.points["map-all"] == 0


def test_a_batch_survives_them_all(course):
    """Good submissions among bad ones, through Dask, the gradebook and the export."""
    right = as_bytes(copy(course, "ps01", solved=True))
    loop = "an endless loop that ignores interrupts"
    spoilt = ["os._exit", "fork bomb", "1 GB of output in ten pieces", loop]
    for student in ("ada", "eve", "zoe"):
        course.collected("ps01", student, right)
    for number, name in enumerate(spoilt):
        course.collected(
            "ps01", f"m{number}", as_bytes(copy(course, "ps01", solved=True, units=CODE[name][0]))
        )
    course.collected("ps01", "n", b"no notebook")
    with cluster(2) as client:
        done = grade_all(course, "ps01", client, LIMITS, quiet=True)
        again = grade_all(course, "ps01", client, LIMITS, quiet=True)
    assert_nothing_is_left()
    assert [done[student] for student in ("ada", "eve", "zoe")] == [Status.NEEDS_PERSON] * 3
    assert [course.result("ps01", student)["points"] for student in ("ada", "eve", "zoe")] == [FULL] * 3
    assert [done[f"m{i}"] for i in range(4)] == [Status.KILLED] * 3 + [Status.TIMED_OUT]
    assert done["n"] is Status.UNREADABLE
    assert again == {}
