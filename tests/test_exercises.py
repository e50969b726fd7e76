"""Exercises: what `check` says to all kinds of answers, and the exercises of all chapters."""

import ast
import contextlib
import functools
import importlib
import inspect
import io
import pkgutil
import random
import re
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from collections import Counter
from functools import cache

import notebooks
import numpy as np
import pytest
import torch

from convlab import exercises
from convlab.exercises import _engine, _running, check
from convlab.exercises._engine import Design, Implement, Predict
from convlab.ops import conv2d, max_pool2d
from convlab.shapes import output_size

WIDTH = 78


def said(name, answer):
    """Whether it is right, and what is printed, whose form is always the same."""
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        right = check(name, answer)
    text = stream.getvalue()
    assert type(right) is bool
    assert text.startswith(f"{name}: ")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert right == (text == f"{name}: right.\n")
    return right, text


def words(text):
    """What is printed, without its line breaks."""
    return " ".join(text.split())


@pytest.fixture
def ask(monkeypatch):
    """Put an answer to an exercise of the test's own, and give the words."""

    def ask(exercise, answer):
        monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": exercise})
        return said("XX-E1", answer)[1]

    return ask


RIGHT = "XX-E1: right.\n"
UNANSWERED = "XX-E1: not answered yet.\n"
NOT_YET = "XX-E1: not yet."

NUMBER = Predict(
    lambda: output_size(28, 3),
    mistakes={
        "You forgot the + 1.": lambda: 28 - 3,
        "the kernel has a width": lambda: 28,
        "A side is a number": lambda: [28, 28],
    },
)
TABLE = Predict(
    lambda: conv2d(np.arange(12.0).reshape(1, 3, 4), np.array([[[[-1, 2]]]]))[0],
    mistakes={
        "The kernel isn't turned around.": lambda: conv2d(
            np.arange(12.0).reshape(1, 3, 4), np.array([[[[2, -1]]]])
        )[0],
        "That's the input.": lambda: np.arange(12.0).reshape(3, 4),
    },
)
TABLE_ANSWER = TABLE.answer()
PART = Predict(
    lambda: output_size(28, 3) / 39, mistakes={"Upside down.": lambda: 39 / 26, "No.": lambda: 26 / 40}
)
VOTE = Predict(lambda: output_size(28, 3) == 26, mistakes={"It does.": lambda: False, "A number?": lambda: 1})
COUPLE = Predict(
    lambda: (np.arange(output_size(5, 3)), np.arange(4)),
    mistakes={"Same?": lambda: (np.arange(3), np.arange(3)), "Only one?": lambda: np.arange(3)},
)


def sides(rng):
    return [
        (size, int(rng.integers(1, size + 1)), int(rng.integers(1, 5)))
        for size in rng.integers(1, 30, 60).tolist()
    ]


def side(size, kernel_size, stride):
    return (size - kernel_size) // stride + 1


SIDE = Implement(
    lambda size, kernel_size, stride: output_size(size, kernel_size, stride=stride),
    sides,
    mistakes={
        "It counts steps, not positions.": lambda size, kernel_size, stride: (size - kernel_size) // stride,
        "It runs for a stride of 1 only.": lambda size, kernel_size, stride: [size - kernel_size + 1][
            stride - 1
        ],
    },
)


def pictures(rng):
    return [(rng.normal(size=rng.integers(2, 7, 2)), rng.normal(size=(2, 2))) for _ in range(60)]


def slide(picture, kernel):
    return conv2d(picture[None], kernel[None, None])[0]


SLIDE = Implement(
    slide,
    pictures,
    mistakes={
        "It turns the kernel around.": lambda picture, kernel: slide(picture, kernel[::-1, ::-1]),
        "It takes the mean.": lambda picture, kernel: slide(picture, kernel / 4),
    },
)


def stacks(rng):
    return [(rng.normal(size=(1, 1, *rng.integers(2, 6, 2))),) for _ in range(40)]


POOL = Implement(
    lambda stack: max_pool2d(stack, 2, stride=1, return_indices=True),
    stacks,
    mistakes={"One value is missing.": lambda stack: max_pool2d(stack, 2, stride=1)},
)


def judge(design):
    kernel_size, stride = design
    if kernel_size < 1 or stride < 1:
        return f"A window has at least 1 pixel; {min(design)} is less."
    outputs = output_size(28, kernel_size, stride=stride)
    return "" if outputs == 7 else f"this gives {outputs} outputs, not 7"


SEVEN = Design(
    judge,
    form="a tuple (kernel_size, stride) of integers",
    wrong=[((3, 3), "This gives 9 outputs"), ((0, 1), "A window has at least 1")],
)
HALF = Design(
    lambda f: "" if f(np.array([2.0])) == 1 and f(6) == 3 else f"It makes {f(6):g} of 6.",
    form="a function of one number",
    wrong=[(lambda x: x, "It makes 6 of 6.")],
    function=True,
)


class Liar:
    """Says yes to everything."""

    shape = ()
    ndim = size = 1
    dtype = np.dtype(float)

    def _yes(self, *_, **__):
        return True

    __eq__ = __ge__ = __le__ = __bool__ = __contains__ = __call__ = _yes
    __hash__ = None

    def __ne__(self, other):
        return False

    __lt__ = __gt__ = __ne__

    def __float__(self):
        return 26.0

    def __int__(self):
        return 26

    __index__ = __len__ = __int__

    def __abs__(self):
        return self

    __sub__ = __rsub__ = __add__ = __radd__ = __getitem__ = lambda self, other: self

    def __iter__(self):
        return iter((7, 4))

    def __array__(self, dtype=None, copy=None):
        return np.full((), 26.0)

    def __array_ufunc__(self, *_, **__):
        return False

    @property
    def __class__(self):
        return float


class LiarArray(np.ndarray):
    __eq__ = __ne__ = __le__ = Liar._yes

    def __array_ufunc__(self, *_, **__):
        return np.False_


class LiarList(list):
    __eq__ = Liar._yes


class LiarFloat(float):
    __eq__ = Liar._yes
    __sub__ = __rsub__ = lambda self, other: 0.0


class LiarInt(int):
    __eq__ = Liar._yes
    __sub__ = __rsub__ = lambda self, other: 0


class LiarString(str):
    __eq__ = Liar._yes
    __hash__ = str.__hash__


class Raises:
    """Raises whatever it is asked."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    __array__ = __float__ = __eq__ = __repr__ = __str__ = __len__ = __iter__ = __getattribute__
    __hash__ = None


class Meta(type):
    @property
    def __name__(cls):
        raise RuntimeError

    def __instancecheck__(cls, instance):
        raise RuntimeError

    __eq__ = Liar._yes
    __hash__ = type.__hash__


class OddClass(metaclass=Meta):
    pass


def endless():
    nest = []
    nest.append(nest)
    return nest


def doubling():
    nest = [1, 1]
    for _ in range(60):
        nest = [nest, nest]
    return nest


def liars(shape):
    return [
        Liar(),
        LiarArray(shape),
        LiarFloat(0),
        LiarInt(0),
        LiarString("26"),
        LiarList([1, 2]),
        [Liar()] * 7,
        (Liar(), Liar()),
        np.array([Liar()] * 2, object),
        {"a": Liar()},
        Raises(),
        OddClass(),
        OddClass,
        Liar,
        endless(),
        doubling(),
        type("Module", (), {"detach": lambda self: self})(),
        10**400,
        float("nan"),
        float("inf"),
        np.full(shape, np.nan),
        None,
        "26",
        b"26",
        1 + 0j,
        np.full(shape, 1j),
        np.full(shape, "26"),
        np.full(shape, None),
        np.zeros(shape, "M8[s]"),
        np.zeros(shape, [("a", int)]),
        set(),
        {},
        {1: 2},
        [],
        (),
        [[1, 2], [3]],
        object(),
        len,
        iter([26]),
        np,
        sys.modules[__name__],
        True,
        [True, False],
        torch.tensor(float("nan")),
        torch.tensor(1j),
        torch.zeros(2).to_sparse(),
        torch.zeros(2, device="meta"),
    ]


# What it says to whom ------------------------------------------------------------------------------------


def only_docstring(size, kernel_size, stride):
    """Number of positions."""


def only_dots(size, kernel_size, stride):
    """Number of positions."""
    ...


def only_pass(size, kernel_size, stride):
    pass


@pytest.mark.parametrize(
    "answer",
    [
        ...,
        [...],
        (1, ...),
        [[1, 2], [..., 4]],
        only_docstring,
        only_dots,
        only_pass,
        lambda size, kernel_size, stride: ...,
        lambda size, kernel_size, stride: (1, ...),
        lambda size, kernel_size, stride: None,
    ],
)
def test_what_is_untouched_is_not_answered_yet(ask, answer):
    assert ask(SIDE, answer) == UNANSWERED


@pytest.mark.parametrize("answer", [..., [...], (1, ...), [[1, 2], [..., 4]], {"kernel": ...}])
@pytest.mark.parametrize("exercise", [NUMBER, TABLE, SEVEN])
def test_what_is_untouched_is_not_answered_yet_by_values_either(ask, exercise, answer):
    assert ask(exercise, answer) == UNANSWERED


def test_an_untouched_function_is_not_answered_in_a_design_either(ask):
    assert ask(HALF, ...) == ask(HALF, only_dots) == ask(HALF, lambda x: ...) == UNANSWERED


def test_a_function_that_returns_none_after_some_work_is_wrong(ask):
    def side(size, kernel_size, stride):
        print(size)

    assert "It returns None instead of a number." in words(ask(SIDE, side))


def test_an_unknown_number_lists_those_that_are_known(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": NUMBER, "YY-E1": TABLE})
    for name in ("XX-E2", "", "xx-e1", "XX-E1 ", "é\n" * 99, 1, None, ..., ["XX-E1"], Liar(), Raises()):
        assert check(name, 26) is False
        printed = capsys.readouterr().out
        assert "There are XX-E1, YY-E1." in words(printed)
        assert max(map(len, printed.splitlines())) <= WIDTH


def test_a_str_that_equals_everything_is_no_number(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": NUMBER})
    assert check(LiarString("XX-E1"), 26) is False
    assert capsys.readouterr().out == "No such exercise. There are XX-E1.\n"


def test_it_prints_at_once(monkeypatch):
    class Stream(io.StringIO):
        flushed = ""

        def flush(self):
            self.flushed = self.getvalue()

    monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": NUMBER})
    monkeypatch.setattr(sys, "stdout", Stream())
    check("XX-E1", 26)
    assert sys.stdout.flushed == RIGHT


def test_a_mistake_of_the_book_is_not_raised(ask):
    broken = Predict(lambda: output_size(1, 3), mistakes={})
    assert "can't be checked. ValueError" in words(ask(broken, 1))


# Predict -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        26,
        26.0,
        26.000000000000004,
        np.int8(26),
        np.uint64(26),
        np.float16(26),
        np.float32(26),
        np.longdouble(26),
        np.array(26),
        np.array(26.0),
        torch.tensor(26),
        torch.tensor(26.0, requires_grad=True),
        torch.tensor(26.0, dtype=torch.bfloat16),
        torch.nn.Parameter(torch.tensor(26.0)),
    ],
)
def test_a_number_may_be_of_any_kind(ask, answer):
    assert ask(NUMBER, answer) == RIGHT


@pytest.mark.parametrize(
    "answer",
    [
        TABLE_ANSWER,
        TABLE_ANSWER.astype(int),
        TABLE_ANSWER.astype(np.float16),
        TABLE_ANSWER.tolist(),
        tuple(map(tuple, TABLE_ANSWER.tolist())),
        list(TABLE_ANSWER),
        list(torch.tensor(TABLE_ANSWER)),
        torch.tensor(TABLE_ANSWER),
        torch.tensor(TABLE_ANSWER, dtype=torch.bfloat16),
        torch.tensor(TABLE_ANSWER, requires_grad=True),
        np.asfortranarray(TABLE_ANSWER),
        np.flip(np.flip(TABLE_ANSWER).copy()),
        TABLE_ANSWER + 1e-13,
    ],
)
def test_an_array_may_be_of_any_kind(ask, answer):
    assert ask(TABLE, answer) == RIGHT


def test_a_torch_size_is_a_tuple(ask):
    shape = Predict(lambda: np.zeros((2, output_size(5, 3))).shape, mistakes={})
    assert ask(shape, torch.zeros(2, 3).shape) == ask(shape, [2, 3]) == ask(shape, np.array([2, 3])) == RIGHT


def test_several_arrays(ask):
    assert ask(COUPLE, ([0, 1, 2], [0, 1, 2, 3])) == ask(COUPLE, [torch.arange(3), np.arange(4)]) == RIGHT
    assert "Same?" in ask(COUPLE, ([0, 1, 2], [0, 1, 2]))
    assert "Only one?" in ask(COUPLE, [0, 1, 2])
    assert "This is an array of shape (5,) instead of an array of shape (4,)." in words(
        ask(COUPLE, ([0, 1, 2], [0] * 5))
    )
    assert "This is 3 values instead of 2 values." in ask(COUPLE, ([0, 1, 2], [0] * 4, []))
    assert "This is a number instead of 2 values." in ask(COUPLE, 3)
    assert ask(COUPLE, ([0, 1, 2], [0, 1, 2, 4])).startswith(NOT_YET)


@pytest.mark.parametrize("index", range(len(liars(()))))
@pytest.mark.parametrize("exercise", [NUMBER, TABLE, PART, COUPLE], ids=["number", "table", "part", "couple"])
def test_what_is_no_number_is_refused(ask, exercise, index):
    value = liars(TABLE_ANSWER.shape if exercise is TABLE else ())[index]
    text = ask(exercise, value)
    assert text.startswith(NOT_YET)
    assert " instead of " in words(text)


def test_what_is_refused_is_named(ask):
    for answer, name in [
        ("26", "a string"),
        (None, "None"),
        (True, "True or False"),
        (1j, "a complex number"),
        (np.array(1j), "a complex number"),
        (np.nan, "NaN or infinity"),
        (np.array([1, None]), "an array of objects"),
        ({}, "a dictionary"),
        (len, "an object of the class builtin_function_or_method"),
        (said, "a function"),
        (float, "a class"),
        ([1, True], "a mixture of numbers with True and False"),
        ([[1], [2, 3]], "rows of different lengths"),
        (endless(), "a list within itself"),
        (doubling(), "a list that is too long"),
        (np.zeros(2_000_000), "an array that is too large"),
        (10**30, "an integer of more than 64 bits"),
    ]:
        assert words(ask(NUMBER, answer)) == f"XX-E1: not yet. This is {name} instead of a number.", name


@pytest.mark.parametrize("answer", [TABLE_ANSWER[1:].T, TABLE_ANSWER[None], TABLE_ANSWER.ravel(), 1])
def test_a_wrong_shape_is_said(ask, answer):
    found = f"an array of shape {np.shape(answer)}" if np.ndim(answer) else "a number"
    assert (
        words(ask(TABLE, answer)) == f"XX-E1: not yet. This is {found} instead of an array of shape (3, 3)."
    )


@pytest.mark.parametrize(
    "answer", [0, 1, 2.6, -26, 26.001, 26 + 1e-9, np.float32(26.001), np.float16(26.5), 2**63]
)
def test_a_wrong_number_is_not_told_the_right_one(ask, answer):
    assert ask(NUMBER, answer) == "XX-E1: not yet.\n"


@pytest.mark.parametrize(
    "answer", [np.zeros((3, 3)), np.ones((3, 3)), TABLE_ANSWER + 1, TABLE_ANSWER[::-1], np.full((3, 3), 2.0)]
)
def test_a_wrong_array_is_wrong(ask, answer):
    assert ask(TABLE, answer) == "XX-E1: not yet.\n"


def test_a_mistake_is_named(ask):
    assert ask(NUMBER, 25) == "XX-E1: not yet. You forgot the + 1.\n"
    assert ask(NUMBER, np.float32(28)) == "XX-E1: not yet. The kernel has a width\n"
    assert ask(NUMBER, (28, 28)) == "XX-E1: not yet. A side is a number\n"
    assert ask(TABLE, np.arange(12).reshape(3, 4)) == "XX-E1: not yet. That's the input.\n"
    assert "turned around" in ask(TABLE, TABLE.mistakes["The kernel isn't turned around."]().tolist())


def test_floats_are_exact_up_to_their_rounding(ask):
    for right in (2 / 3, np.float32(2 / 3), np.float16(2 / 3), torch.tensor(2 / 3), 26 / 39, 1 - 1 / 3):
        assert ask(PART, right) == RIGHT
    for wrong in (0.667, 0.66667, 0.666666667, np.float32(0.6667), np.float16(0.68), 0.7, 1, np.float16(0)):
        assert ask(PART, wrong).startswith(NOT_YET)


def test_whole_numbers_are_exact_however_large(ask):
    large = Predict(lambda: output_size(10**12, 1), mistakes={})
    assert ask(large, 10**12) == ask(large, 1e12) == ask(large, np.float32(1e12)) == RIGHT
    assert ask(large, 10**12 + 1) == ask(large, 1e12 + 1) == "XX-E1: not yet.\n"


def test_a_zero_may_be_rounded(ask):
    nothing = Predict(lambda: [output_size(28, 3) - 26], mistakes={})
    assert ask(nothing, [1e-17]) == RIGHT
    assert ask(nothing, [1e-9]) == "XX-E1: not yet.\n"


def test_a_tolerance_is_absolute_and_for_mistakes_too(ask):
    rough = Predict(PART.answer, mistakes=PART.mistakes, tolerance=0.001)
    assert ask(rough, 0.667) == ask(rough, 0.6660) == RIGHT
    assert ask(rough, 0.669) == "XX-E1: not yet.\n"
    assert ask(rough, 1.5005) == "XX-E1: not yet. Upside down.\n"
    read_off = Predict(NUMBER.answer, mistakes={}, tolerance=1)
    assert ask(read_off, 25) == ask(read_off, 27) == RIGHT
    assert ask(read_off, 28) == "XX-E1: not yet.\n"


def test_true_and_false(ask):
    assert ask(VOTE, True) == ask(VOTE, np.True_) == ask(VOTE, torch.tensor(True)) == RIGHT
    assert ask(VOTE, False) == "XX-E1: not yet. It does.\n"
    assert ask(VOTE, 1) == "XX-E1: not yet. A number?\n"
    assert ask(VOTE, 2) == "XX-E1: not yet. This is a number instead of True or False.\n"


# Implement -----------------------------------------------------------------------------------------------


class Callable:
    def __call__(self, *arguments):
        return side(*arguments)

    def method(self, *arguments):
        return side(*arguments)


def by_lists(picture, kernel):
    rows, columns = (one - 1 for one in picture.shape)
    return [
        [sum(picture[i + u, j + v] * kernel[u, v] for u in (0, 1) for v in (0, 1)) for j in range(columns)]
        for i in range(rows)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        side,
        lambda *arguments: side(*arguments),
        lambda n, k, s, more=0: float(side(n, k, s)),
        lambda n, k, s: np.float32(side(n, k, s)),
        lambda n, k, s: torch.tensor(side(n, k, s)),
        functools.partial(output_size.__wrapped__ if hasattr(output_size, "__wrapped__") else side),
        functools.cache(side),
        Callable(),
        Callable().method,
    ],
)
def test_any_function_that_does_it_is_right(ask, answer):
    assert ask(SIDE, answer) == RIGHT


@pytest.mark.parametrize(
    "answer",
    [
        slide,
        by_lists,
        lambda picture, kernel: slide(picture.astype(np.float32), kernel.astype(np.float32)),
        lambda picture, kernel: slide(picture, kernel).astype(np.float16),
        lambda picture, kernel: tuple(slide(picture, kernel)),
        lambda picture, kernel: torch.nn.functional.conv2d(
            torch.tensor(picture)[None, None], torch.tensor(kernel)[None, None]
        )[0, 0],
    ],
)
def test_any_arrays_that_are_equal_are_right(ask, answer):
    assert ask(SLIDE, answer) == RIGHT


def test_several_results(ask):
    assert ask(POOL, POOL.reference) == RIGHT
    assert ask(POOL, lambda stack: list(POOL.reference(stack))) == RIGHT
    assert "One value is missing." in ask(POOL, lambda stack: POOL.reference(stack)[0])
    assert ask(POOL, lambda stack: POOL.reference(stack)[::-1]).startswith(NOT_YET)


def test_a_check_is_quick(ask):
    ask(SLIDE, slide)
    begun = time.process_time()
    ask(SLIDE, slide)
    assert time.process_time() - begun < 0.5


def test_the_smallest_input_that_goes_wrong_is_shown(ask):
    text = ask(SIDE, lambda size, kernel_size, stride: 9 if size > 6 else side(size, kernel_size, stride))
    smallest = min(
        (case for case in sides(np.random.default_rng(0)) if case[0] > 6 and side(*case) != 9), key=sum
    )
    assert f"size = {smallest[0]}, kernel_size = {smallest[1]}, stride = {smallest[2]}\n" in text
    assert f"  expected: {side(*smallest)}\n  yours:    9\n" in text


def test_small_means_few_numbers_first(ask):
    cases = [
        (np.full((1, 3), 1.0), 1),
        (np.full((1, 2), 90.0), 90),
        (np.full((1, 2), 1.0), 1),
        (np.ones((4, 4)), 0),
    ]
    exercise = Implement(lambda picture, n: picture + n, lambda rng: cases, mistakes={})
    assert "  picture = [[1, 1]], n = 1\n" in ask(exercise, lambda picture, n: picture)


def test_arrays_are_shown_compactly(ask):
    text = ask(SLIDE, lambda image, weights: np.zeros([n - 1 for n in image.shape]))
    lines = text.splitlines()
    assert lines[0] == "XX-E1: not yet. Here it goes wrong:"
    assert re.fullmatch(r"  image = \[\[ *-?\d\.\d+, +-?\d\.\d+\],", lines[1])
    assert re.fullmatch(r"           \[ *-?\d\.\d+, +-?\d\.\d+\]\]", lines[2])
    assert lines[3].startswith("  weights = [[")
    assert lines[5].startswith("  expected: [[")
    assert lines[6] == "  yours:    [[0]]"
    assert len(lines) == 7


def test_large_arrays_are_abridged(ask):
    exercise = Implement(
        lambda x: x + 1, lambda rng: [(np.arange(10.0**4).reshape(10, 10, 100),)], mistakes={}
    )
    text = ask(exercise, lambda an_argument_with_an_awfully_long_name_that_takes_half_of_the_line: 0)
    assert len(text.splitlines()) < 30
    assert "# shape (10, 10, 100)" in text


def test_a_small_difference_is_shown(ask):
    text = ask(SIDE, lambda *case: side(*case) + 1e-9)
    assert re.search(r"expected: (\d+)\n  yours:    \1\.0+\d", text)


def test_names_come_from_the_student_or_from_the_reference(ask):
    assert "  n = " in ask(SIDE, lambda n, k, s: 0)
    assert "  size = " in ask(SIDE, lambda *case: 0)
    assert "  size = " in ask(SIDE, lambda: 0)
    exercise = Implement(lambda *case: side(*case), sides, mistakes={})
    assert re.search(r"\n  \d+, \d+, \d+\n", ask(exercise, lambda *case: 0))


def test_a_wrong_implementation_is_recognised(ask):
    text = ask(SIDE, lambda n, k, s: int((n - k) / s))
    assert text.startswith("XX-E1: not yet. It counts steps, not positions.\n  n = ")
    assert "expected: " in text
    text = ask(SLIDE, lambda picture, kernel: slide(picture, kernel).astype(np.float32) / 4)
    assert text.startswith("XX-E1: not yet. It takes the mean.\n  picture = ")


def test_a_wrong_implementation_counts_only_where_it_runs(ask):
    text = ask(SIDE, lambda n, k, s: n - k + 1)
    assert text.startswith("XX-E1: not yet. Here it goes wrong:")  # it is right for a stride of 1


@pytest.mark.parametrize("part", [slice(1), slice(None)], ids=["a pixel", "everything"])
def test_a_function_that_changes_its_input_fails(ask, part):
    def change(picture, kernel):
        result = slide(picture, kernel)
        picture[part] = 0
        return result

    assert ask(SLIDE, change).startswith("XX-E1: not yet. It changes its argument picture; work on a copy.\n")

    def reshape(picture, kernel):
        result = slide(picture, kernel)
        kernel.shape = (4,)
        return result

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "It changes its argument kernel" in ask(SLIDE, reshape)


def test_changes_confuse_nothing(ask):
    kept = []

    def change(picture, kernel):
        for array in kept:
            array[:] = 0
        result = slide(picture, kernel)
        kept.append(result)
        return result

    assert ask(SLIDE, change) == RIGHT

    def empty(picture, kernel):
        picture[:] = kernel[:] = 0
        return slide(picture, kernel)

    assert ask(SLIDE, empty).startswith("XX-E1: not yet. It changes its argument")


def recurse(*case):
    return recurse(*case)


def recurse_deep(*case):
    sys.setrecursionlimit(2000)
    return recurse(*case)


def close(*case):
    sys.stdout.close()
    raise KeyboardInterrupt("mine")


class OddError(Exception, metaclass=Meta):
    def __str__(self):
        raise RuntimeError


def odd_error(*case):
    raise OddError


def many_lines(*case):
    raise ValueError("one\ntwo " + "x" * 10**6)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n, k, s: 1 / 0, "It raises ZeroDivisionError: division by zero (line "),
        (lambda n, k, s: [][n], "It raises IndexError: list index out of range (line "),
        (lambda n, k: n, "It raises TypeError: <lambda>() takes 2 positional arguments but 3 were given."),
        (lambda: 1, "It raises TypeError: <lambda>() takes 0 positional arguments but 3 were given."),
        (lambda n, k, s: sys.exit("bye"), "It raises SystemExit: bye (line "),
        (lambda n, k, s: np.zeros(10**15), "It raises MemoryError: Unable to allocate"),
        (recurse, "It raises RecursionError: maximum recursion depth exceeded"),
        (recurse_deep, "It raises RecursionError: maximum recursion depth exceeded"),
        (close, "It raises KeyboardInterrupt: mine"),
        (odd_error, "It raises an exception that can't be shown."),
        (many_lines, "It raises ValueError: one two xxxx"),
        (lambda n, k, s: output_size(0, 1), "It raises ValueError: `size` must be at least 1, got 0 (line "),
        (lambda n, k, s: "7", "It returns a string instead of a number."),
        (lambda n, k, s: [n], "It returns an array of shape (1,) instead of a number."),
        (lambda n, k, s: True, "It returns True or False instead of a number."),
        (lambda n, k, s: float("nan"), "It returns NaN or infinity."),
        (lambda n, k, s: iter([n]), "It returns an object of the class list_iterator."),
        (lambda n, k, s: side, "It returns a function."),
        (lambda n, k, s: 1j, "It returns a complex number."),
        (lambda n, k, s: Liar(), "It returns an object of the class Liar."),
        (lambda n, k, s: LiarFloat(1), "It returns an object of the class LiarFloat."),
        (lambda n, k, s: [1, [2, 3]], "It returns rows of different lengths instead of a number."),
    ],
)
def test_what_goes_wrong_is_said_with_the_input(ask, answer, message):
    text = ask(SIDE, answer)
    assert words(text).startswith(f"XX-E1: not yet. {message}")
    assert re.search(
        r"\n  (n|size) = \d+, (k|kernel_size) = \d+, (s|stride) = \d+\n  expected: \d+\n", text
    ) or (answer.__code__.co_argcount == 2)


def test_the_line_is_that_of_the_students_function(ask):
    def outer(size, kernel_size, stride):
        wanted = 1  # two lines below
        return output_size(size, -1, stride=wanted)

    line = outer.__code__.co_firstlineno + 2
    assert f"(line {line}: return output_size(size, -1, stride=wanted))." in words(ask(SIDE, outer))
    compiled = {}
    exec("def f(n, k, s):\n    return n / 0", compiled)
    assert words(ask(SIDE, compiled["f"])).startswith(
        "XX-E1: not yet. It raises ZeroDivisionError: division by zero (line 2)"
    )


async def later(size, kernel_size, stride):
    return side(size, kernel_size, stride)


async def later_and_later(size, kernel_size, stride):
    yield side(size, kernel_size, stride)


def one_by_one(size, kernel_size, stride):
    yield side(size, kernel_size, stride)


@pytest.mark.parametrize("answer", [later, later_and_later, one_by_one])
@pytest.mark.parametrize("exercise", [SIDE, HALF])
def test_generators_are_told_to_return(ask, exercise, answer):
    assert "a generator or asynchronous; it should return its result." in words(ask(exercise, answer))


def test_a_coroutine_that_comes_out_of_a_function_is_no_number(ask):
    assert "It returns an object of the class coroutine." in ask(SIDE, lambda *case: later(*case))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (7, "a number"),
        ("side", "a string"),
        (None, "None"),
        ([side], "a function"),
        (int, "a class"),
        (Liar, "a class"),
        (len, "an object of the class builtin_function_or_method"),
        (np.ones((2, 2)), "an array of shape (2, 2)"),
    ],
)
@pytest.mark.parametrize("exercise", [SIDE, HALF])
def test_a_function_is_wanted(ask, exercise, answer, name):
    assert f"not yet. This is {name} instead of a function." in words(ask(exercise, answer))


@pytest.mark.parametrize("index", range(len(liars((2, 2)))))
@pytest.mark.parametrize("exercise", [SIDE, SLIDE, POOL, HALF], ids=["side", "slide", "pool", "half"])
def test_odd_answers_and_odd_results_fail(ask, exercise, index):
    value = liars((2, 2))[index]
    for text in (ask(exercise, value), ask(exercise, lambda *case: value)):
        assert text.startswith(NOT_YET)


@pytest.mark.parametrize(
    "answer",
    [
        lambda *case: None if case else 1,
        lambda *case: case[0],
        lambda *case: 0,
        lambda *case: np.zeros_like(slide(*case)),
        lambda *case: 1,
        lambda *case: np.ones((2, 2)),
    ],
)
@pytest.mark.parametrize("exercise", [SIDE, SLIDE])
def test_empty_functions_fail(ask, exercise, answer):
    assert ask(exercise, answer).startswith(NOT_YET)


# Time, silence, and traces -------------------------------------------------------------------------------


def loop(*case):
    while True:
        pass


def loop_that_catches(*case):
    while True:
        try:
            while True:
                time.sleep(0)
        except:  # noqa: E722
            pass


def loop_that_catches_twice(*case):
    while True:
        try:
            while True:
                try:
                    sum(range(100))
                except BaseException:
                    continue
        except BaseException:
            pass
        finally:
            sum(range(100))


def loop_that_returns(*case):
    try:
        while True:
            pass
    except BaseException:
        return 1


def loop_that_prints(*case):
    while True:
        print("x" * 1000)


def loop_in_arrays(*case):
    total = np.zeros(3)
    while True:
        try:
            total += np.ones(3)
        except BaseException:
            total[:] = 0


def loop_of_calls(*case):
    while True:
        with contextlib.suppress(BaseException):
            loop()


class LoopsAsObject:
    def __call__(self, *case):
        loop()


LOOPS = [
    loop,
    loop_that_catches,
    loop_that_catches_twice,
    loop_that_returns,
    loop_that_prints,
    loop_in_arrays,
    loop_of_calls,
    LoopsAsObject(),
]


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(_running, "LIMIT", 0.3)


def threads():
    return len(sys._current_frames())


@pytest.mark.parametrize("answer", LOOPS, ids=lambda answer: getattr(answer, "__name__", "object"))
@pytest.mark.parametrize("exercise", [SIDE, HALF])
def test_what_never_ends_is_stopped(ask, soon, exercise, answer):
    before, begun = threads(), time.monotonic()
    text = ask(exercise, answer)
    assert text.startswith("XX-E1: not yet. It takes too long and was stopped after 0.3 s.\n")
    assert time.monotonic() - begun < 2
    time.sleep(0.05)
    assert threads() == before


def test_the_limit_is_five_seconds():
    assert _running.LIMIT == 5
    assert _running._GRACE <= 1


def test_what_came_before_is_still_judged(ask, soon):
    def wrong_then_endless(size, kernel_size, stride):
        return 0 if size < 5 else loop()

    text = ask(SIDE, wrong_then_endless)
    assert "expected: " in text
    assert "takes too long" not in text

    def right_then_endless(size, kernel_size, stride):
        return side(size, kernel_size, stride) if size < 5 else loop()

    text = ask(SIDE, right_then_endless)
    assert "takes too long" in text
    assert re.search(r"\n  size = [5-9], ", text)


def test_a_wait_in_c_is_left_alone(ask, monkeypatch):
    monkeypatch.setattr(_running, "LIMIT", 0.1)
    monkeypatch.setattr(_running, "_GRACE", 0.1)
    begun = time.monotonic()
    text = ask(SIDE, lambda n, k, s: time.sleep(1))
    assert time.monotonic() - begun < 0.9
    assert "It takes more than 0.1 s and can't be stopped: restart the kernel to end it." in words(text)
    assert ask(SIDE, side) == RIGHT
    time.sleep(1)


def test_it_works_beside_the_main_thread(ask, soon):
    texts = []
    workers = [
        threading.Thread(target=lambda answer=answer: texts.append(ask(SIDE, answer)))
        for answer in (loop_that_catches,)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(5)
    assert "takes too long" in texts[0]


def test_two_checks_at_a_time_wait_for_each_other(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": SIDE})
    results = []

    def slow(*case):
        time.sleep(0.005)
        return side(*case)

    workers = [threading.Thread(target=lambda: results.append(check("XX-E1", slow))) for _ in range(3)]
    stdout = sys.stdout
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [True] * 3
    assert sys.stdout is stdout
    assert capsys.readouterr().out == RIGHT * 3


def test_a_function_that_checks_itself_doesnt_wait_for_itself(ask):
    def itself(*case):
        assert check("XX-E1", itself) is False
        return side(*case)

    assert ask(SIDE, itself) == RIGHT


def test_a_reader_may_interrupt(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_exercises", lambda: {"XX-E1": SIDE})
    before, stdout, begun = threads(), sys.stdout, time.monotonic()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    begun_running = threading.Event()

    def endless(*case):
        begun_running.set()
        loop_that_catches()

    def interrupt():
        begun_running.wait()
        import _thread

        _thread.interrupt_main()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            check("XX-E1", endless)
    finally:
        signal.signal(signal.SIGINT, handler)
    interrupter.join()
    assert time.monotonic() - begun < 3
    assert sys.stdout is stdout
    time.sleep(0.05)
    assert threads() == before
    assert check("XX-E1", side) is True


def test_nothing_is_left_behind(ask):
    def vandal(*case):
        print("out")
        print("error", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        np.seterr(all="raise")
        np.set_printoptions(precision=1)
        warnings.simplefilter("always")
        warnings.resetwarnings()
        sys.setrecursionlimit(1234)
        sys.stdout = sys.stderr = sys.stdin = None
        return side(*case)

    def state():
        return (
            repr(np.random.get_state()),  # noqa: NPY002
            random.getstate(),
            np.geterr(),
            np.get_printoptions(),
            warnings.filters[:],
            sys.getrecursionlimit(),
            sys.stdin,
            sys.stderr,
            sys.stdout,
        )

    warned, before = warnings.showwarning, state()
    assert ask(SIDE, vandal) == RIGHT
    assert state() == before
    assert warnings.showwarning is warned


def test_nothing_but_the_verdict_is_printed(ask, capfd):
    def noisy(*case):
        print("out")
        print("error", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        np.float64(1) / 0
        return side(*case)

    assert ask(SIDE, noisy) == RIGHT
    assert capfd.readouterr() == ("", "")


def test_a_question_to_the_reader_gets_no_answer(ask):
    assert "It raises EOFError" in ask(SIDE, lambda *case: input())


def test_the_readers_settings_of_numpy_dont_matter(ask):
    with np.errstate(all="raise"), np.printoptions(precision=1, threshold=1, floatmode="fixed"):
        assert ask(SIDE, lambda *case: side(*case) + 0 * np.exp(-1e4)) == RIGHT
        assert "2 positional arguments" in words(ask(SIDE, lambda n, k: 1))


PATCHED = [
    "testing",
    "array_equal",
    "allclose",
    "isclose",
    "asarray",
    "array",
    "absolute",
    "abs",
    "any",
    "all",
]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("exercise", [SIDE, SLIDE])
def test_a_function_that_replaces_numpys_comparisons_fails(ask, monkeypatch, exercise, everything):
    names = [name for name in dir(np) if not name.startswith("_")] if everything else PATCHED

    def cheat(*case):
        for name in names:
            with contextlib.suppress(Exception):
                setattr(np, name, Liar())
        for name in ("assert_allclose", "assert_array_equal", "assert_equal"):
            setattr(testing, name, lambda *_, **__: None)
        return 0

    testing = np.testing
    for name in names:
        monkeypatch.setattr(np, name, getattr(np, name))
    for name in ("assert_allclose", "assert_array_equal", "assert_equal"):
        monkeypatch.setattr(testing, name, getattr(testing, name))
    text = ask(exercise, cheat)
    monkeypatch.undo()
    assert text.startswith(("XX-E1: not yet.", "XX-E1: can't be checked."))


# Design --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [(4, 4), (3, 4), [1, 4], (np.int8(4), np.uint64(4)), np.array([4, 4]), torch.tensor([2, 4])],
)
def test_every_design_that_fits_is_right(ask, answer):
    assert ask(SEVEN, answer) == RIGHT


def test_a_design_is_told_what_it_violates(ask):
    assert ask(SEVEN, (3, 3)) == "XX-E1: not yet. This gives 9 outputs, not 7\n"
    assert ask(SEVEN, (0, 1)) == "XX-E1: not yet. A window has at least 1 pixel; 0 is less.\n"


@pytest.mark.parametrize(
    "answer", [3, (1, 2, 3), "ab", None, [[4, 4], [4, 4]], {"a": 1}, (4, "4"), (29, 1), 10**9]
)
def test_a_design_that_the_judge_cant_read_is_told_the_form(ask, answer):
    assert words(ask(SEVEN, answer)) == (
        "XX-E1: not yet. The answer should be a tuple (kernel_size, stride) of integers."
    )


@pytest.mark.parametrize("index", range(len(liars((2,)))))
def test_odd_designs_fail(ask, index):
    text = ask(SEVEN, liars((2,))[index])
    assert text.startswith(NOT_YET)


def test_the_judge_gets_a_plain_copy(ask):
    seen = []
    tell = Design(lambda answer: seen.append(answer) or "", form="anything", wrong=[])
    given = {
        "a": [1, 2.5, True, "same", None],
        "b": (np.float32(0.5), np.array(3), torch.tensor(4)),
        5: np.arange(3),
    }
    assert ask(tell, given) == RIGHT
    (copy,) = seen
    assert copy["a"] == given["a"]
    assert copy["a"] is not given["a"]
    assert copy["b"] == (0.5, 3, 4)
    assert [type(part) for part in copy["b"]] == [float, int, int]
    copy[5][0] = 7
    assert given[5].tolist() == [0, 1, 2]
    assert type(ask(tell, LiarList([1]))) is str
    assert len(seen) == 1


def test_a_design_may_be_a_function(ask):
    assert ask(HALF, lambda x: x / 2) == ask(HALF, lambda x: torch.as_tensor(x) / 2) == RIGHT
    assert ask(HALF, lambda x: x) == "XX-E1: not yet. It makes 6 of 6.\n"
    form = "The answer should be a function of one number."
    assert words(ask(HALF, 3)) == f"XX-E1: not yet. This is a number instead of a function. {form}"
    assert (
        words(ask(HALF, lambda x: Liar()))
        == f"XX-E1: not yet. It returns an object of the class Liar. {form}"
    )
    assert re.search(
        rf"It raises ZeroDivisionError: division by zero \(line \d+: .*\). {form}$",
        words(ask(HALF, lambda x: 1 / 0)),
    )
    assert ask(HALF, sys.exit).startswith(NOT_YET)


def test_a_function_that_is_a_design_gets_copies(ask):
    given = np.ones(3)
    exercise = Design(
        lambda f: f"{f(given):g}" if f(given) and given.sum() == 3 else "",
        form="a function",
        wrong=[],
        function=True,
    )

    def spoil(x):
        x[:] = 5
        return x.sum()

    assert ask(exercise, spoil) == "XX-E1: not yet. 15\n"


# As a package --------------------------------------------------------------------------------------------


def test_importing_it_is_quick_and_opens_neither_torch_nor_matplotlib_nor_a_chapter():
    code = (
        "import sys, numpy, time; begun = time.perf_counter(); import convlab.exercises;"
        "seconds = time.perf_counter() - begun;"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "chapters = [name for name in sys.modules if name.startswith('convlab.exercises._')];"
        "convlab.exercises.check('?', 1);"
        "late = {name.split('.')[0] for name in sys.modules};"
        "slow = {'torch', 'matplotlib'};"
        "print(seconds < 0.5, loaded & slow, late & slow, *sorted(chapters))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == (
        "True set() set() "
        + " ".join(
            f"convlab.exercises._{name}" for name in ("engine", "expect", "personal", "running", "values")
        )
    )


def test_public_names():
    assert exercises.__all__ == ["check", "expect", "expect_design", "expect_function", "personal"]
    assert check.__doc__ is not None


# All exercises of all chapters ---------------------------------------------------------------------------

MODULES = {
    module.name: importlib.import_module(f"convlab.exercises.{module.name}")
    for module in pkgutil.iter_modules(exercises.__path__)
}
CHAPTERS = {name: module.EXERCISES for name, module in MODULES.items() if hasattr(module, "EXERCISES")}
ALL = {name: exercise for chapter in CHAPTERS.values() for name, exercise in chapter.items()}


def of_kind(kind):
    return pytest.mark.parametrize(
        "name", [name for name, exercise in ALL.items() if isinstance(exercise, kind)]
    )


def sentence(text):
    return words(text[:1].upper() + text[1:])


def numbers(text):
    return re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))


@cache
def cases_of(name):
    cases = ALL[name].cases(np.random.default_rng(0))
    return cases, [ALL[name].reference(*_engine._copy(case)) for case in cases]


def flat(value):
    return np.concatenate([np.ravel(part) for part in value]) if isinstance(value, tuple) else np.ravel(value)


def test_all_are_found_by_check():
    assert exercises._exercises() == ALL


def test_numbers_are_well_formed_and_unique():
    prefixes = []
    for chapter, own in CHAPTERS.items():
        prefix = next(iter(own))[:2]
        assert re.fullmatch("[A-Z]{2}", prefix)
        assert list(own) == [f"{prefix}-E{i}" for i in range(1, len(own) + 1)], chapter
        prefixes.append(prefix)
    assert len(set(prefixes)) == len(prefixes)
    assert len(ALL) == sum(map(len, CHAPTERS.values()))


def names_in(code):
    """Names that a function looks up, in its comprehensions too."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return {*code.co_names, *code.co_freevars}.union(*map(names_in, inner))


def test_answers_are_computed_and_not_written_down():
    for module in [MODULES[name] for name in CHAPTERS]:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Lambda) and not node.args.args:
                with pytest.raises(ValueError, match="malformed"):
                    ast.literal_eval(node.body)
    for name, exercise in ALL.items():
        if isinstance(exercise, Predict):
            assert names_in(exercise.answer.__code__), name


@pytest.mark.parametrize("name", ALL)
def test_unanswered(name):
    assert said(name, ...) == (False, f"{name}: not answered yet.\n")


@pytest.mark.parametrize("name", ALL)
def test_nothing_odd_is_right(name):
    for value in liars((2, 2)):
        for answer in (value, lambda *_, value=value: value)[: 1 + (not isinstance(ALL[name], Predict))]:
            right, text = said(name, answer)
            assert not right, text


@of_kind(Predict)
def test_the_answer_is_right_and_each_mistake_gets_its_sentence(name):
    exercise = ALL[name]
    assert said(name, exercise.answer())[0]
    assert len(exercise.mistakes) >= 2
    for message, mistake in exercise.mistakes.items():
        right, text = said(name, mistake())
        assert not right
        assert words(text) == f"{name}: not yet. {sentence(message)}"
        assert message.endswith((".", "?")), message


@of_kind(Predict)
def test_no_sentence_gives_the_answer_away(name):
    answer = np.asarray(ALL[name].answer())
    if answer.ndim == 0 and len(f"{answer.item():g}") > 1:
        for message in ALL[name].mistakes:
            assert f"{answer.item():g}" not in numbers(message)


@of_kind(Predict)
def test_zeros_and_constants_are_no_answer(name):
    answer = ALL[name].answer()
    parts = [np.asarray(part) for part in (answer if isinstance(answer, tuple) else (answer,))]
    wrong = [0 * part for part in parts]
    assert not said(name, wrong if isinstance(answer, tuple) else wrong[0])[0]
    if isinstance(answer, tuple):
        assert not said(name, tuple(0 * part for part in parts))[0]
    values = np.unique(flat(answer))
    if values.size > 1:
        for value in values:
            assert not said(name, np.full(np.shape(answer), value))[0]


@of_kind(Implement)
def test_cases_are_many_and_their_results_differ(name):
    cases, expected = cases_of(name)
    assert len(cases) >= 30
    different = {(np.shape(flat(result)), flat(result).tobytes()) for result in expected}
    assert len(different) >= 5, "a constant would do"
    assert Counter(map(repr, expected)).most_common(1)[0][1] <= 0.7 * len(cases), "a constant nearly does"
    assert all(np.isfinite(flat(result)).all() for result in expected)


@of_kind(Implement)
def test_the_reference_is_right_and_quick(name):
    begun = time.process_time()
    assert said(name, lambda *case: ALL[name].reference(*case))[0]
    assert time.process_time() - begun < 1


@of_kind(Implement)
def test_empty_functions_are_not_right(name):
    cases, expected = cases_of(name)
    reference = ALL[name].reference

    def like(value, fill):
        if isinstance(value, tuple):
            return tuple(like(part, fill) for part in value)
        return np.full(np.shape(value), fill, np.asarray(value).dtype)

    for answer in (
        lambda *case: None if case else 0,
        lambda *case: case,
        lambda *case: like(reference(*case), 0),
        lambda *case: like(reference(*case), 1),
        *(lambda *case, i=i: case[i] for i in range(len(cases[0]))),
        *(lambda *case, result=result: result for result in expected[:10]),
    ):
        right, text = said(name, answer)
        assert not right
        assert text.startswith(f"{name}: not yet.")


@of_kind(Implement)
def test_each_wrong_implementation_gets_its_sentence_and_the_smallest_input(name):
    assert ALL[name].mistakes
    for message, mistake in ALL[name].mistakes.items():
        right, text = said(name, mistake)
        assert not right
        head, *rest = re.split(r"\n  (?=\w+ = |[\[\d(-])", text, maxsplit=1)
        assert words(head) == f"{name}: not yet. {sentence(message)}"
        assert len(rest) == 1
        assert "\n  expected: " in rest[0] or "\n  expected:\n" in rest[0]
        assert message.endswith((".", "?")), message


@of_kind(Design)
def test_each_wrong_design_is_told_why(name):
    assert len(ALL[name].wrong) >= 2
    for design, start in ALL[name].wrong:
        right, text = said(name, design)
        assert not right
        assert words(text).startswith(f"{name}: not yet. {sentence(start)}")


# The chapters' notebooks ---------------------------------------------------------------------------------


def notebook_of(module):
    """The notebook of a chapter, if its exercises are in it yet."""
    for path in notebooks.CHAPTERS:
        if path.stem.split("_", 1)[1] == module[1:]:
            cells = notebooks.read(path).cells
            return cells if any("exercise" in cell.metadata.get("tags", []) for cell in cells) else None
    return None


def test_every_notebook_with_exercises_has_a_module():
    for path in notebooks.CHAPTERS:
        tags = [tag for cell in notebooks.read(path).cells for tag in cell.metadata.get("tags", [])]
        assert "exercise" not in tags or f"_{path.stem.split('_', 1)[1]}" in CHAPTERS


in_notebooks = pytest.mark.parametrize(
    "module", [name for name in CHAPTERS if notebook_of(name)], scope="module"
)
HEADING = re.compile(r"^### Exercise ([A-Z]{2}-E\d+) · (\w+)$", re.MULTILINE)
CALL = re.compile(r'^check\("([A-Z]{2}-E\d+)", (\w+)\);\Z', re.MULTILINE)
FOLDED = r"<details>\n<summary>{}</summary>\n\n.+\n\n</details>"
KINDS = {"Predict": Predict, "Explore": Predict, "Implement": Implement, "Design": Design}


def triples(module):
    """Each exercise as its three cells."""
    cells = notebook_of(module)
    return [cells[i : i + 3] for i, cell in enumerate(cells) if HEADING.search(cell.source)]


@in_notebooks
def test_an_exercise_is_a_task_a_cell_and_a_solution(module):
    names, kinds = [], []
    for task, cell, solution in triples(module):
        name, kind = HEADING.search(task.source).groups()
        assert task.cell_type == solution.cell_type == "markdown"
        assert re.search(FOLDED.format("Hint"), task.source, re.DOTALL), name
        assert cell.metadata["tags"] == ["exercise"]
        assert CALL.search(cell.source).group(1) == name
        assert [output.text for output in cell.outputs] == [f"{name}: not answered yet.\n"]
        assert solution.metadata["tags"] == ["solution"]
        assert re.search(FOLDED.format("Solution"), solution.source, re.DOTALL), name
        assert isinstance(ALL[name], KINDS[kind])
        names.append(name)
        kinds.append(kind)
    assert names == list(CHAPTERS[module])
    counts = Counter(kinds)
    assert counts["Predict"] >= 2
    assert counts["Implement"] >= 2
    assert counts["Explore"] >= 1
    assert counts["Design"] >= 1


@in_notebooks
def test_no_exercise_stands_alone(module):
    cells = notebook_of(module)
    for tag in ("exercise", "solution"):
        assert sum(tag in cell.metadata.get("tags", []) for cell in cells) == len(CHAPTERS[module])
    assert sum("check(" in cell.source for cell in cells) == len(CHAPTERS[module])


@pytest.fixture
def torch_as_it_was():
    """A chapter may set torch's default precision."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@in_notebooks
@pytest.mark.usefixtures("torch_as_it_was")
def test_each_solution_passes_after_the_chapters_imports(module):
    imports = {}
    code = [cell for cell in notebook_of(module) if cell.cell_type == "code" and cell.id != "colab"]
    exec(code[0].source, imports)
    for _, cell, solution in triples(module):
        name, variable = CALL.search(cell.source).groups()
        code = re.search(r"```python\n(.*?)```", solution.source, re.DOTALL).group(1)
        assert "check(" not in code
        namespace = dict(imports)
        exec(code, namespace)
        right, text = said(name, namespace[variable])
        assert right, text
