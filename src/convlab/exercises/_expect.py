"""For the test cells of problem sets: raise an AssertionError unless an answer is right."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convlab.exercises._engine import Arguments, Design, Implement, Predict
from convlab.exercises._values import Unanswered


def expect(answer: object, value: object, *, tolerance: float = 0.0) -> None:
    """Raise AssertionError unless `answer` is this number or array, up to `tolerance` and rounding.

    As with `check`, lists count as arrays and an object that only claims to be equal isn't.

    >>> expect([1.0, 2], np.array([1, 2]))
    >>> expect(3, 4)
    Traceback (most recent call last):
    AssertionError: This is not right.
    """
    _judge(Predict(lambda: value, {}, tolerance), answer)


def expect_function(
    answer: object,
    reference: Callable[..., Any],
    cases: Callable[[np.random.Generator], Sequence[Arguments]],
) -> None:
    """Raise AssertionError unless the function `answer` does what `reference` does in all the `cases`.

    The message shows the smallest case that goes wrong.

    >>> expect_function(lambda a, b: b - a, lambda a, b: b - a, lambda rng: [(1, 2), (3, 3)])
    """
    _judge(Implement(reference, cases, {}), answer)


def expect_design(answer: object, judge: Callable[[Any], str], form: str) -> None:
    """Raise AssertionError with what `judge` says of the answer, unless that is "".

    >>> expect_design((3, 1), lambda pair: "" if pair[0] > pair[1] else "The first is the larger.", "a pair")
    """
    _judge(Design(judge, form=form, wrong=[]), answer)


def _judge(exercise: Predict | Implement | Design, answer: object) -> None:
    try:
        fault = exercise.fault(answer)
    except Unanswered:
        fault = "This is not answered."
    if fault is not None:
        raise AssertionError(fault or "This is not right.") from None
