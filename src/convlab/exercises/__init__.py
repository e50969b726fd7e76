"""Exercises of the chapters, checked at once: ``check("FM-E1", answer)``."""

import importlib
import pkgutil
import textwrap
import threading
from functools import cache

from convlab.exercises import _running
from convlab.exercises._engine import WIDTH, Exercise
from convlab.exercises._expect import expect, expect_design, expect_function
from convlab.exercises._personal import personal
from convlab.exercises._values import Unanswered

__all__ = ["check", "expect", "expect_design", "expect_function", "personal"]

_alone = threading.Lock()  # one check at a time: each silences what the others print


def check(exercise: str, answer: object) -> bool:
    """Whether the answer to an exercise is right; prints at once what it found.

    `exercise` is the number that stands in the heading; `answer` is what the exercise asks for: a number, an
    array, a function, a design. A list counts as an array, and so does a tensor; a function is tried on many
    inputs, and the smallest that goes wrong is shown. An answer can't do harm: nothing is raised, a function
    that doesn't end is stopped after five seconds, and what it prints is discarded.

    >>> check("FM-E1", ...)
    FM-E1: not answered yet.
    False
    """
    if _running.nested():  # a function that checks itself would wait for itself
        return False
    with _alone:
        with _running.quiet():
            right, text = _verdict(exercise, answer)
        print(text, flush=True)
    return right


def _verdict(name: object, answer: object) -> tuple[bool, str]:
    try:
        exercises = _exercises()
        if type(name) is not str or name not in exercises:
            asked = f"No exercise {name[:20]!r}" if type(name) is str else "No such exercise"
            return False, _wrapped(f"{asked}. There are {', '.join(exercises)}.")
        fault = exercises[name].fault(answer)
    except Unanswered:
        return False, f"{name}: not answered yet."
    except Exception as error:  # a mistake of the book, not of the reader
        return False, _wrapped(f"{name}: can't be checked. {type(error).__name__}: {error}")
    if fault is None:
        return True, f"{name}: right."
    head, *lines = fault.split("\n")
    if head[:1].islower():
        head = head[0].upper() + head[1:]
    head = _wrapped(f"{name}: not yet. {head}".strip())
    return False, "\n".join([head, *(line[:WIDTH] for line in lines)])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")


@cache
def _exercises() -> dict[str, Exercise]:
    """All exercises, collected from the modules of this package when the first is checked."""
    found: dict[str, Exercise] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        chapter = importlib.import_module(f"{__name__}.{module.name}")
        found.update(getattr(chapter, "EXERCISES", {}))
    return found
