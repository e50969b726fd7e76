"""The chapters as files. (Fresh runs: by nbval, see conftest.py beside `tests`.)"""

import base64
import copy
import io
import json
import re

import nbformat
import notebooks
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

UNCOMPARED = re.compile(r"nbval-(ignore-output|skip)|skip-execution|raises-exception", re.IGNORECASE)
MARKER = re.compile(
    r"^\s*#\s*(NBVAL_(IGNORE_OUTPUT|SKIP)|PYTEST_VALIDATE_IGNORE_OUTPUT)", re.IGNORECASE | re.MULTILINE
)
MARKUP = re.compile(
    r"^\s*:{3,}|^\s*```+\{|^\([\w-]+\)=\s*$|(?<!`)\{[a-z][\w:+-]*\}`|^\{[.#]|^%\s", re.MULTILINE
)

every_chapter = pytest.mark.parametrize("path", notebooks.CHAPTERS, ids=lambda path: path.stem)


@every_chapter
def test_every_code_cell_was_run_in_order(path):
    cells = notebooks.code_cells(notebooks.read(path))
    assert all(cell.source.strip() for cell in cells)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@every_chapter
def test_nearly_every_cell_is_compared(path):
    cells = notebooks.code_cells(notebooks.read(path))
    left_out = [
        cell
        for cell in cells
        if any(map(UNCOMPARED.search, cell.metadata.get("tags", []))) or MARKER.search(cell.source)
    ]
    assert all(len(cell.metadata.get("nbval_reason", "")) >= 20 for cell in left_out)
    assert len(left_out) <= 0.05 * len(cells)


@every_chapter
def test_outputs_are_fit_to_print(path):
    assert notebooks.problems(notebooks.read(path)) == []


@every_chapter
def test_file_is_normalised(path):
    stored = notebooks.read(path)
    notebooks.normalise(stored)
    nbformat.validate(stored)
    assert path.read_text(encoding="utf-8") == nbformat.writes(stored) + "\n", "run `make notebooks`"


@every_chapter
def test_file_is_small(path):
    assert path.stat().st_size < 1_500_000


@every_chapter
def test_every_picture_has_alt_text(path):
    for cell in notebooks.code_cells(notebooks.read(path)):
        pictures = [
            kind for output in cell.outputs for kind in output.get("data", {}) if kind.startswith("image/")
        ]
        if pictures:
            assert len(pictures) == 1, f"one picture per cell, so that each has its alt text:\n{cell.source}"
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 20, f"no alt text in the metadata of:\n{cell.source}"


@every_chapter
def test_cells_are_short(path):
    assert all(cell.source.count("\n") < 25 for cell in notebooks.code_cells(notebooks.read(path)))


@every_chapter
def test_second_cell_prepares_colab(path):
    """It is the same in every chapter, and shows only in Colab; test_launch.py runs it."""
    first, second = (notebooks.read(chapter).cells[1] for chapter in (notebooks.CHAPTERS[0], path))
    assert second == first
    assert second.id == "colab"
    assert second.metadata == {"jupyter": {"source_hidden": True}, "tags": ["remove-cell"]}
    assert second.outputs == []


@every_chapter
def test_text_reads_well_outside_the_book(path):
    """No MyST directive, role or target: JupyterLab, Colab and GitHub would show it as raw text."""
    texts = [cell.source for cell in notebooks.read(path).cells if cell.cell_type == "markdown"]
    assert [match[0] for text in texts for match in MARKUP.finditer(text)] == []


@every_chapter
def test_student_copy_has_the_code_and_no_solution(path):
    whole = notebooks.read(path)
    copied = notebooks.student_copy(whole)
    gone = [cell for cell in whole.cells if cell.id not in {cell.id for cell in copied.cells}]
    assert len(gone) >= 6
    assert all(cell.cell_type == "markdown" and "<summary>Solution" in cell.source for cell in gone)
    assert "<summary>Solution" not in "".join(cell.source for cell in copied.cells)
    assert all(cell.outputs == [] for cell in notebooks.code_cells(copied))


@every_chapter
def test_every_exercise_is_unanswered(path):
    whole = notebooks.read(path)
    checks = [cell for cell in notebooks.code_cells(whole) if "exercise" in cell.metadata.get("tags", [])]
    assert len(checks) == sum("solution" in cell.metadata.get("tags", []) for cell in whole.cells)
    for cell in checks:
        (output,) = cell.outputs
        assert re.fullmatch(r"[A-Z]{2}-E\d+: not answered yet\.\n", output.text)


# The comparison itself: none of the tests above is worth more than it


def picture(change: int = 0, size: int = 40) -> str:
    """A base64 PNG of a grey ramp, with `change` added to a small part of it."""
    pixels = np.add.outer(np.arange(size), np.arange(size)).astype(np.uint8)
    pixels[5:15, 5:15] += np.uint8(change)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def figure(state: object, attribute: str = "") -> str:
    """The HTML of an interactive figure."""
    script = f'<script type="application/json">{json.dumps(state)}</script>'
    return f"<div data-convlab-figure{attribute}>{script}</div>"


def notebook(**data: str):
    """A notebook of one cell with one output."""
    bundle = {kind.replace("_", "/"): value for kind, value in data.items()}
    output = new_output("display_data", data=bundle)
    return new_notebook(cells=[new_code_cell("draw()", execution_count=1, outputs=[output])])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"image_png": picture()}, {"image_png": picture()}),
        ({"text_html": figure({"a": [1.0, 2]})}, {"text_html": figure({"a": [1.0000001, 2]})}),
        ({"text_html": figure({"a": picture()})}, {"text_html": figure({"a": picture()})}),
        ({"text_plain": "3"}, {"text_plain": "3"}),
    ],
)
def test_equal_outputs_are_equal(one, other):
    assert notebooks.differences(notebook(**one), notebook(**other)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"image_png": picture()}, {"image_png": picture(change=5)}),
        ({"image_png": picture()}, {"image_png": picture(size=41)}),
        ({"image_png": picture()}, {"image_png": "not a picture"}),
        ({"image_png": picture()}, {"text_plain": picture()}),
        ({"text_html": figure({"a": [1.0, 2]})}, {"text_html": figure({"a": [1.1, 2]})}),
        ({"text_html": figure({"a": [1.0, 2]})}, {"text_html": figure({"a": [1.0]})}),
        ({"text_html": figure({"a": 1})}, {"text_html": figure({"b": 1})}),
        ({"text_html": figure({"a": True})}, {"text_html": figure({"a": 1})}),
        ({"text_html": figure({"a": "cat"})}, {"text_html": figure({"a": "dog"})}),
        ({"text_html": figure({"a": picture()})}, {"text_html": figure({"a": picture(change=5)})}),
        ({"text_html": figure({})}, {"text_html": figure({}, " hidden")}),
        ({"text_html": figure({})}, {"text_html": figure({}) * 2}),
        ({"text_plain": "3"}, {"text_plain": "4"}),
    ],
)
def test_changed_outputs_differ(one, other):
    assert len(notebooks.differences(notebook(**one), notebook(**other))) == 1


def test_missing_output_and_wrong_number_differ():
    one = notebook(text_plain="3")
    for change in ({"outputs": []}, {"execution_count": 2}):
        other = copy.deepcopy(one)
        other.cells[0].update(change)
        assert len(notebooks.differences(one, other)) == 1


def test_equal_pictures_keep_their_stored_bytes():
    stored, fresh = notebook(image_png=picture()), notebook(image_png=picture(change=0))
    fresh.cells[0].outputs[0].data["image/png"] += "\n"
    notebooks.keep_equal_outputs(stored, fresh)
    assert fresh.cells[0].outputs == stored.cells[0].outputs


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("File /home/ada/convlab/src/convlab/ops.py", "/home/"),
        ("C:\\Users\\ada", "C:"),
        ("UserWarning: overflow", "UserWarning"),
    ],
)
def test_problems_are_found(text, problem):
    (found,) = notebooks.problems(notebook(text_plain=text))
    assert problem in found.replace("\\\\", "\\")
    stderr = new_notebook(cells=[new_code_cell(outputs=[new_output("stream", name="stderr", text="50%")])])
    assert len(notebooks.problems(stderr)) == 1
    assert notebooks.problems(notebook(text_plain="a map of 7/8, see https://example.org/home/x")) == []


def test_normalise_removes_what_changes():
    dirty = notebook(text_plain="3")
    dirty.cells[0].outputs[0].data[notebooks.WIDGET] = {"model_id": "1"}
    dirty.cells[0].metadata.update(
        {"tags": ["FM-1"], "execution": {"iopub.status.idle": "now"}, "collapsed": True}
    )
    dirty.metadata["widgets"] = {"state": {}}
    notebooks.normalise(dirty)
    assert dirty.cells[0].metadata == {"tags": ["FM-1"]}
    assert dirty.cells[0].outputs[0].data == {"text/plain": "3"}
    assert set(dirty.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize(
    "text", [":::{note}", "```{tip}", "see {cite}`x`", "(my-label)=", "{.wide}\n![](a.png)", "% no"]
)
def test_raw_markup_is_found(text):
    assert MARKUP.search(text)


@pytest.mark.parametrize(
    "text", ["$\\{a\\}$ and `x`", "a dict `{a: 1}`", "```python\n1\n```", "(see) = a", "100 % sure"]
)
def test_plain_markdown_is_left_alone(text):
    assert not MARKUP.search(text)
