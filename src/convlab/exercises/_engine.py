"""The three kinds of exercise, and how each finds what is wrong with an answer.

`fault(answer)` gives None for a right answer, otherwise a message, "" if there is nothing to say; it raises
Unanswered for `...`. What a reader hands in is never trusted: see `_values` and `_running`.
"""

import dis
import inspect
import linecache
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from traceback import walk_tb
from typing import Any

import numpy as np
from numpy import array, ndarray

from convlab.exercises import _running
from convlab.exercises._values import Odd, Unanswered, equal, form, misfit, number, plain, read, show

Arguments = tuple[Any, ...]
WIDTH = 78  # columns of what is printed
_generator = np.random.default_rng


@dataclass(frozen=True)
class Predict:
    """An exercise whose answer is a number or a small array.

    `answer()` computes it with the library, so that the source doesn't give it away; each of the `mistakes`,
    a sentence for the student, computes a wrong answer in the same way. `tolerance` is absolute, for answers
    that are read off or rounded.
    """

    answer: Callable[[], Any]
    mistakes: Mapping[str, Callable[[], Any]]
    tolerance: float = 0.0

    def fault(self, answer: Any) -> str | None:
        """Compare with the answer, then with the mistakes."""
        try:
            given = plain(answer)
        except Odd as odd:
            return f"This is {odd} instead of {form(self._expected)}."
        expected = self._expected
        if equal(expected, given, self.tolerance):
            return None
        for message, mistake in self._mistaken.items():
            if equal(mistake, given, self.tolerance):
                return message
        wrong = misfit(expected, given)
        return f"This is {wrong}." if wrong else ""

    @cached_property
    def _expected(self) -> Any:
        return read(plain(self.answer()))

    @cached_property
    def _mistaken(self) -> dict[str, Any]:
        return {message: read(plain(mistake())) for message, mistake in self.mistakes.items()}


@dataclass(frozen=True)
class Implement:
    """An exercise whose answer is a function that does what `reference` does.

    `cases(rng)` gives at least thirty tuples of arguments, random and legal, from tiny to small; each of the
    `mistakes`, a sentence for the student, is a typical wrong implementation.
    """

    reference: Callable[..., Any]
    cases: Callable[[np.random.Generator], Sequence[Arguments]]
    mistakes: Mapping[str, Callable[..., Any]]

    def fault(self, answer: Any) -> str | None:
        """Compare with the reference on all cases, smallest first, and show the first that goes wrong."""
        if words := _no_function(answer):
            return words
        cases = sorted(self.cases(_generator(0)), key=_size)
        expected = [_result(self.reference, case) for case in cases]  # all before any code of the reader runs
        slack = [_slack(case) for case in cases]
        names = _names(answer, cases[0]) or _names(self.reference, cases[0])
        outcomes, late = _running.run(_calls(answer, cases, names))
        for i, outcome in enumerate(outcomes):
            if outcome.result is ...:
                raise Unanswered
            if outcome.fault or not equal(expected[i], outcome.result, slack[i]):
                wrong = not outcome.fault and misfit(expected[i], outcome.result)
                head = self._mistake(cases, outcomes, i) or outcome.fault
                head = head or (f"It returns {wrong}." if wrong else "Here it goes wrong:")
                return "\n".join([head, *_show_case(names, cases[i]), *_show_results(expected[i], outcome)])
        if len(outcomes) < len(cases):
            head = late or "It ends the thread that it runs in."
            return "\n".join([head, *_show_case(names, cases[len(outcomes)])])
        return None

    def _mistake(self, cases: Sequence[Arguments], outcomes: Sequence["_Outcome"], failing: int) -> str:
        """Give the message of the mistake that has the same results wherever it runs, here too."""
        for message, mistake in self.mistakes.items():
            same = {}
            for i, outcome in enumerate(outcomes):
                try:
                    wrong = _result(mistake, cases[i])
                except Exception:  # this mistake doesn't run here
                    continue
                same[i] = not outcome.fault and equal(wrong, outcome.result, _slack(cases[i]))
            if failing in same and all(same.values()):
                return message
        return ""


@dataclass(frozen=True)
class Design:
    """An exercise with several right answers, judged by what they do.

    `judge(answer)` gives "" or, in a sentence with the number, what the answer violates. It gets a plain
    copy: Python's numbers, strings, arrays, and tuples, lists and dictionaries of them. `form` says what is
    asked for: "a tuple (kernel_size, stride) of integers". `wrong` holds designs that fail, each with the
    beginning of what is said about it. With `function`, the answer is a function; the judge gets one that
    hands it copies and gives plain results.
    """

    judge: Callable[[Any], str]
    _: KW_ONLY
    form: str
    wrong: Sequence[tuple[Any, str]]
    function: bool = False

    def fault(self, answer: Any) -> str | None:
        """Let the judge say it; where the judge can't read the answer, say what form is asked for."""
        asked = f"The answer should be {self.form}."
        if self.function:
            if words := _no_function(answer):
                return f"{words} {asked}"
            copy = _guarded(answer)
        else:
            try:
                copy = plain(answer, number)
            except Odd as odd:
                return f"This is {odd}. {asked}"

        def judged(copy: Any) -> Any:
            try:
                return self.judge(copy)
            except Unanswered:
                return ...
            except Odd as odd:
                return f"It returns {odd}. {asked}"
            except BaseException as error:
                return f"{_raised(error, answer)} {asked}" if self.function else asked

        verdicts, late = _running.run(map(judged, [copy]))
        verdict: Any = verdicts[0] if verdicts else late
        if verdict is ...:
            raise Unanswered
        return verdict or None


Exercise = Predict | Implement | Design


@dataclass(frozen=True)
class _Outcome:
    """What one call gave: a plain result, `...` where the reader left that, or a sentence on its fault."""

    result: Any = None
    fault: str = ""


def _calls(
    function: Callable[..., Any], cases: Sequence[Arguments], names: Sequence[str]
) -> Iterator[_Outcome]:
    """Call the function for one case after another, up to the first without a result."""
    for case in cases:
        outcome = _call(function, case, names)
        yield outcome
        if outcome.fault or outcome.result is ...:
            return


def _call(function: Callable[..., Any], case: Arguments, names: Sequence[str]) -> _Outcome:
    given = _copy(case)
    try:
        result = plain(function(*given))
    except Unanswered:
        return _Outcome(...)
    except Odd as odd:
        return _Outcome(fault=f"It returns {odd}.")
    except BaseException as error:
        return _Outcome(fault=_raised(error, function))
    for i, (before, after) in enumerate(zip(case, given, strict=True)):
        if _bits(before) != _bits(after):
            return _Outcome(fault=f"It changes its argument {names[i] if names else i + 1}; work on a copy.")
    return _Outcome(result)


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return plain(function(*_copy(arguments)), number)

    return call


def _result(function: Callable[..., Any], case: Arguments) -> Any:
    return read(plain(function(*_copy(case))))


def _copy(value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_copy(part) for part in value)
    return value.copy() if type(value) is ndarray else value


def _bits(value: Any) -> Any:
    """What must be as before when a function has had the value."""
    if type(value) in (tuple, list):
        return [_bits(part) for part in value]
    return (value.shape, value.dtype, value.tobytes()) if type(value) is ndarray else value


def _leaves(value: Any) -> Iterator[Any]:
    if type(value) in (tuple, list):
        for part in value:
            yield from _leaves(part)
    else:
        yield array(value)


def _size(case: Arguments) -> tuple[int, float]:
    """What makes an input small: few numbers, then small ones."""
    numbers = [leaf for leaf in _leaves(case) if leaf.dtype.kind in "biuf"]
    return sum(leaf.size for leaf in numbers), sum(float(np.abs(leaf).sum()) for leaf in numbers)


def _slack(case: Arguments) -> float:
    """How far a sum may be from 0 that would be 0 without rounding."""
    floats = [leaf for leaf in _leaves(case) if leaf.dtype.kind == "f" and leaf.size]
    return 1e-12 * max((float(np.abs(leaf).max()) for leaf in floats), default=0.0)


def _no_function(answer: Any) -> str:
    """Say what the answer is, if it isn't a function that returns something."""
    kind = type(answer)
    if kind is types.FunctionType:
        code = answer.__code__
        if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return "This function is a generator or asynchronous; it should return its result."
        if _untouched(code):
            raise Unanswered
        return ""
    if callable(answer) and not issubclass(kind, type | types.BuiltinFunctionType):
        return ""
    try:
        what = form(read(plain(answer)))
    except Odd as odd:
        what = str(odd)
    return f"This is {what} instead of a function."


def _untouched(code: types.CodeType) -> bool:
    """Whether a function does nothing but return None: `...`, `pass`, a docstring."""
    idle = {"RESUME", "NOP", "LOAD_CONST", "LOAD_COMMON_CONSTANT", "RETURN_VALUE", "RETURN_CONST"}
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    return all(step.opname in idle and step.argval is None for step in steps)


def _names(function: Callable[..., Any], case: Arguments) -> list[str]:
    """Names of the arguments, if the function has one for each."""
    if type(function) is not types.FunctionType:
        return []
    code = function.__code__
    return list(code.co_varnames[: len(case)]) if code.co_argcount == len(case) else []


def _raised(error: BaseException, function: Callable[..., Any]) -> str:
    """Say what was raised, and in which line of the function's file or cell."""
    try:
        words = f"It raises {type(error).__name__}"
        if text := " ".join(str(error).split()):
            words += f": {text[:200]}"
        if type(function) is types.FunctionType:
            file = function.__code__.co_filename
            lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
            if lines:
                source = linecache.getline(file, lines[-1]).strip()
                words += f" (line {lines[-1]}: {source[:60]})" if source else f" (line {lines[-1]})"
        return f"{words}."
    except BaseException:  # an exception may be as odd as any object
        return "It raises an exception that can't be shown."


def _show_case(names: Sequence[str], case: Arguments) -> list[str]:
    """Lines that show the arguments: short ones beside each other."""
    lines: list[str] = []
    beside = False
    for i, value in enumerate(case):
        block = _labelled(f"{names[i]} = " if names else "", show(value))
        short = len(block) == 1
        if beside and short and len(lines[-1]) + len(block[0]) <= WIDTH:
            lines[-1] += f", {block[0].strip()}"
        else:
            lines += block
        beside = short
    return lines


def _show_results(expected: Any, outcome: _Outcome) -> list[str]:
    if outcome.fault:
        return _labelled("expected: ", show(expected))
    for digits in (4, 8, 17):
        right, yours = show(expected, digits), show(outcome.result, digits)
        if right != yours:
            break
    return _labelled("expected: ", right) + _labelled("yours:    ", yours)


def _labelled(label: str, text: str) -> list[str]:
    """Lines of a text with a label to the left, or above it where the page is too narrow."""
    lines = text.splitlines()
    if 2 + len(label) + max(map(len, lines)) > WIDTH:
        return [f"  {label.rstrip()}", *(f"    {line}" for line in lines)]
    return [f"  {label}{lines[0]}", *(" " * (2 + len(label)) + line for line in lines[1:])]
