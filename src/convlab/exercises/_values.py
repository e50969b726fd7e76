"""What a reader hands in, as plain numbers: copied, compared, and shown.

Nothing here calls a method of an unknown object, so one that claims to equal everything never gets to say so.
What these functions need of numpy is taken at import, so that replacing it in `numpy` doesn't help.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy import absolute, array, array2string, dtype, finfo, float64, generic, isfinite, ndarray, not_equal
from numpy import complexfloating as complex_scalar
from numpy.typing import NDArray

Array = NDArray[Any]

_any, _max = np.logical_or.reduce, np.maximum.reduce
_SCALARS = {bool, int, float} | {
    kind for kind in np.sctypeDict.values() if issubclass(kind, np.number | np.bool)
}
_ROUNDING = {2: 8e-3, 4: 1e-5}  # bytes of a float -> relative error that is allowed; 1e-12 for longer floats
_MOST = 1_000_000  # numbers in an array
_MOST_IN_LISTS = 10_000  # objects in nested lists
_SHOWN = 64  # values of an array that are printed


class Odd(Exception):
    """The answer isn't made of numbers; the message says what it is, or where it has what."""


class Unanswered(Exception):
    """The answer, or a place in it, is still `...`."""


def plain(value: Any, leaf: Callable[[Array], Any] = lambda values: values) -> Any:
    """Copy numbers, strings, arrays, and tuples, lists and dictionaries of them; anything else is Odd.

    Numbers, arrays and torch tensors come out as `leaf` of an array. A subclass counts as something else.
    """
    room = _MOST_IN_LISTS

    def copy(value: Any) -> Any:
        nonlocal room
        kind = type(value)
        if value is ...:
            raise Unanswered
        if value is None or kind is str:
            return value
        if _among(kind, (list, tuple, dict)) or _is_torch(kind, "Size"):
            room -= len(value)
            if room < 0:
                raise Odd("a list that is too long")
            if kind is not dict:
                return [copy(part) for part in value] if kind is list else tuple(copy(part) for part in value)
            if not all(_among(type(key), (str, int)) for key in value):
                raise Odd("a dictionary with odd keys")
            return {key: copy(part) for key, part in value.items()}
        values = _array(value, kind)
        if values.dtype.kind not in "biuf":
            raise Odd(_WORDS.get(values.dtype.kind, f"an array of {values.dtype.name}"))
        if values.size > _MOST:
            raise Odd("an array that is too large")
        if _any(~isfinite(values), axis=None):
            raise Odd("NaN or infinity")
        return leaf(values)

    try:
        return copy(value)
    except RecursionError:
        raise Odd("a list within itself") from None


_WORDS = {"c": "a complex number", "O": "an array of objects", "U": "an array of strings"}


def _array(value: Any, kind: type) -> Array:
    if _among(kind, _SCALARS):
        values = array(value)
        if values.dtype.kind == "O":
            raise Odd("an integer of more than 64 bits")
        return values
    if kind is ndarray:
        return value.copy()  # type: ignore[no-any-return]
    if _is_torch(kind, "Tensor") or _is_torch(kind, "nn.Parameter"):
        try:
            torch = sys.modules["torch"]
            tensor = torch.Tensor.cpu(torch.Tensor.detach(value))
            if tensor.dtype == torch.bfloat16:
                tensor = tensor.half()
            return array(tensor.numpy())
        except Exception:
            raise Odd("a tensor that numpy can't read") from None
    raise Odd(_name(kind))


def _among(kind: type, kinds: Iterable[type]) -> bool:
    """Like `in`, but a class may say what it likes about being equal."""
    return any(kind is one for one in kinds)


def _is_torch(kind: type, name: str) -> bool:
    """Whether `kind` is this class of torch; torch is not imported for the question."""
    place: Any = sys.modules.get("torch")
    for part in name.split("."):
        place = getattr(place, part, None)
    return place is kind


def _name(kind: type) -> str:
    """A few words for what something is, whatever its class says about itself."""
    if issubclass(kind, complex | complex_scalar):
        return _WORDS["c"]
    for base, words in ((type, "a class"), (bytes, "bytes"), (set, "a set"), (type(plain), "a function")):
        if issubclass(kind, base):
            return words
    name: str = type.__dict__["__name__"].__get__(kind)
    return f"an object of the class {name[:40]}"


def number(values: Array) -> Any:
    """Give a Python number for an array without axes; other arrays stay."""
    return values.item() if values.ndim == 0 else values


def read(value: Any) -> Any:
    """Turn what `plain` gave into an array; a tuple of arrays, or of uneven rows, into a tuple of arrays."""
    if type(value) is tuple and any(map(ndims, value)):
        return tuple(read(part) for part in value)
    try:
        return as_array(value)
    except Odd:
        if type(value) is not tuple:
            raise
        return tuple(read(part) for part in value)


def ndims(part: Any) -> int:
    """Give the axes of an array; 0 for anything else."""
    return part.ndim if type(part) is ndarray else 0


def as_array(value: Any) -> Array:
    """Turn what `plain` gave into one array of numbers, or of bools; anything else is Odd."""
    kinds = set()

    def look(part: Any) -> None:
        if type(part) in (list, tuple):
            for one in part:
                look(one)
        elif type(part) is ndarray:
            kinds.add(part.dtype.kind == "b")
        else:
            raise Odd("a string" if type(part) is str else "a dictionary" if type(part) is dict else "None")

    look(value)
    if len(kinds) == 2:
        raise Odd("a mixture of numbers with True and False")
    try:
        return array(value)
    except ValueError:
        raise Odd("rows of different lengths") from None


def form(expected: Any) -> str:
    """Say what kind of answer this is, without its values."""
    if type(expected) is tuple:
        return f"{len(expected)} values"
    if expected.ndim:
        return f"an array of shape {expected.shape}"
    return "True or False" if expected.dtype.kind == "b" else "a number"


def misfit(expected: Any, value: Any) -> str:
    """Say how the form of what `plain` gave is wrong, or "": "a number instead of an array of shape (3,)"."""
    try:
        if type(expected) is not tuple:
            given = as_array(value)
            if given.shape == expected.shape and (given.dtype.kind == "b") == (expected.dtype.kind == "b"):
                return ""
            if given.shape == expected.shape == (0,):  # an empty list has no kind
                return ""
            found = form(given)
        elif type(value) not in (tuple, list):
            found = form(as_array(value))
        elif len(value) != len(expected):
            found = f"{len(value)} values"
        else:
            return next(filter(None, map(misfit, expected, value)), "")
    except Odd as odd:
        found = str(odd)
    return f"{found} instead of {form(expected)}"


def equal(expected: Any, value: Any, tolerance: float = 0.0) -> bool:
    """Whether what `plain` gave is what is expected, up to `tolerance` and the rounding of its floats."""
    if misfit(expected, value):
        return False
    if type(expected) is tuple:
        return all(equal(part, given, tolerance) for part, given in zip(expected, value, strict=True))
    given = as_array(value)
    whole, whole_given = expected.dtype.kind in "biu", given.dtype.kind in "biu"
    if not given.size or (whole and whole_given and tolerance == 0):
        return not _any(not_equal(given, expected), axis=None)
    precise = float64 if whole_given else given.dtype.type
    rounding = 4 * float(finfo(precise).eps) if whole else _ROUNDING.get(dtype(precise).itemsize, 1e-12)
    allowed = tolerance + rounding * (float(_max(absolute(expected), axis=None)) or 1.0)
    return not _any(absolute(given.astype(float64) - expected.astype(float64)) > allowed, axis=None)


def show(value: Any, digits: int = 4) -> str:
    r"""Print a value compactly: short numbers, nested brackets, the shape where that can't be seen.

    >>> show(np.array([[1.0, -0.5], [2.0, 0.25]]))
    '[[   1, -0.5],\n [   2, 0.25]]'
    """
    if type(value) in (tuple, list):
        brackets = "()" if type(value) is tuple else "[]"
        return brackets[0] + ", ".join(show(part, digits) for part in value) + brackets[1]
    if ndims(value) == 0:
        return _short(value.item() if isinstance(value, ndarray | generic) else value, digits)
    width = max((len(_short(one, digits)) for one in value.flat[:_SHOWN].tolist()), default=0)
    text = array2string(
        value,
        max_line_width=64,
        separator=", ",
        threshold=_SHOWN,
        edgeitems=2 if value.ndim < 3 else 1,
        formatter={"all": lambda one: _short(one.item(), digits).rjust(width)},  # type: ignore[arg-type]
    )
    while "\n\n" in text:
        text = text.replace("\n\n", "\n")
    if value.size > _SHOWN or not value.size:
        text += f"  # shape {value.shape}"
    return text


def _short(value: Any, digits: int) -> str:
    if type(value) is not float:
        return repr(value)
    if value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    return format(value, f".{digits}g")
