"""Numbers of one's own: a student's code decides them, so that answers can't be passed on."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar

Option = TypeVar("Option")

SAMPLE = "SAMPLE"
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # without I, L, O, U
_LENGTH, _CHECKS = 8, 2


def code(secret: str, student: str) -> str:
    """Give the code of a student: eight characters from the course's secret and the id, and two to check.

    >>> code("a secret of the course", "ada")
    'CYSE-1YGN-ME'
    """
    digest = hmac.new(secret.encode(), student.encode(), hashlib.sha256).digest()
    own = _characters(digest, _LENGTH)
    return "-".join([own[:4], own[4:], _check(own)])


def personal(code: str, problem_set: str) -> "Personal":
    """Give the numbers of a problem set for a student's code; case and hyphens don't matter.

    Raises
    ------
    ValueError
        If this can't be a code; one wrong character is found in nearly all cases.

    >>> personal("SAMPLE", "ps01").integer("size", 10, 20)
    18
    """
    if not isinstance(code, str):
        raise ValueError(f"`code` must be a text in quotes, got {code!r}")
    text = code.strip().upper().replace("-", "").replace(" ", "")
    if text != SAMPLE:
        text = text.replace("O", "0").replace("I", "1").replace("L", "1")
        if len(text) != _LENGTH + _CHECKS or _check(text[:_LENGTH]) != text[_LENGTH:]:
            raise ValueError(f"{code!r} is not a code: copy it again, like CYSE-1YGN-ME")
    return Personal(f"{text}/{problem_set}")


class Personal:
    """Numbers that depend on a code, a problem set, and their names: the same each time they are asked."""

    def __init__(self, key: str) -> None:
        self._key = key

    def integer(self, name: str, low: int, high: int) -> int:
        """Give an integer from `low` to `high`, both included."""
        if low > high:
            raise ValueError(f"`low` must be at most `high`, got {low} and {high}")
        digest = hashlib.sha256(f"{self._key}/{name}".encode()).digest()
        return low + int.from_bytes(digest, "big") % (high - low + 1)

    def choice(self, name: str, options: Sequence[Option]) -> Option:
        """Give one of the options."""
        return options[self.integer(name, 0, len(options) - 1)]

    def integers(self, name: str, shape: tuple[int, ...], low: int, high: int) -> list:  # type: ignore[type-arg]
        """Give nested lists of this shape, of integers from `low` to `high`."""
        if not shape:
            raise ValueError("`shape` must have an axis, got ()")
        count, *rest = shape
        names = [f"{name}/{i}" for i in range(count)]
        if rest:
            return [self.integers(one, tuple(rest), low, high) for one in names]
        return [self.integer(one, low, high) for one in names]


def _characters(digest: bytes, count: int) -> str:
    number = int.from_bytes(digest, "big")
    return "".join(_DIGITS[number >> 5 * i & 31] for i in range(count))


def _check(own: str) -> str:
    return _characters(hashlib.sha256(f"convlab {own}".encode()).digest(), _CHECKS)
