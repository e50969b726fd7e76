"""The three kinds of exercise: what a chapter's module says about each of its exercises."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Predict:
    """An exercise whose answer is a number or a small array.

    `answer()` computes it with the library, so that the source doesn't give it away; each of the `mistakes`, a
    sentence for the student, computes a wrong answer in the same way. `tolerance` is absolute, for answers that
    are read off or rounded.
    """

    answer: Callable[[], Any]
    mistakes: Mapping[str, Callable[[], Any]]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Implement:
    """An exercise whose answer is a function that does what `reference` does.

    `cases(rng)` gives at least thirty tuples of arguments, random and legal, from tiny to small; each of the
    `mistakes`, a sentence for the student, is a typical wrong implementation.
    """

    reference: Callable[..., Any]
    cases: Callable[[np.random.Generator], Sequence[tuple[Any, ...]]]
    mistakes: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Design:
    """An exercise with several right answers, judged by what they do.

    `judge(answer)` gives "" or, in a sentence with the number, what the answer violates. `form` says what an answer
    is: "a tuple (kernel_size, stride, padding) of integers". `wrong` holds designs that fail, each with the
    beginning of what is said about it. With `function`, the answer is a function.
    """

    judge: Callable[[Any], str]
    _: KW_ONLY
    form: str
    wrong: Sequence[tuple[Any, str]]
    function: bool = False


Exercise = Predict | Implement | Design
