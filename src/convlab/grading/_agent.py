"""In the student's kernel: give what a name holds, or what a function returns, as plain data.

What stands here may be overwritten by the student's code, which runs in the same process. That can spoil the
student's own answers and nothing else: all that leaves are numbers, strings, arrays, and lists, tuples and
dictionaries of them; and what is right never comes here.
"""

import base64
import json
import sys
from typing import Any

import numpy as np

from convlab.exercises._values import Odd, Unanswered, plain

MARK = "convlab:"  # begins the line of an answer, before what the question calls itself


def encode(value: Any) -> Any:
    """Turn what `plain` gave, or arguments like it, into what JSON can hold.

    >>> decode(encode((1, [2.5, None], {"a": "b"})))
    (1, [2.5, None], {'a': 'b'})
    """
    if value is None or value is ... or type(value) in (str, bool):
        return {"...": 0} if value is ... else value
    if type(value) in (list, tuple):
        return {type(value).__name__: [encode(part) for part in value]}
    if type(value) is dict:
        return {"dict": [[encode(key), encode(part)] for key, part in value.items()]}
    if type(value) in (int, float):
        return {type(value).__name__: repr(value)}
    values = np.asarray(value)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"can't send {type(value).__name__}")
    data = base64.b64encode(values.tobytes()).decode()
    return {"array": [values.dtype.str, list(values.shape), data]}


def decode(value: Any) -> Any:
    """Turn it back; an array without axes becomes a scalar."""
    if type(value) is not dict:
        return value
    ((kind, part),) = value.items()
    if kind == "array":
        dtype, shape, data = part
        if np.dtype(dtype).kind not in "biuf":
            raise ValueError(f"no array of {dtype}")
        array = np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
        return array if shape else array[()]
    if kind == "dict":
        return {decode(key): decode(one) for key, one in part}
    if kind in ("list", "tuple"):
        parts = [decode(one) for one in part]
        return parts if kind == "list" else tuple(parts)
    return ... if kind == "..." else {"int": int, "float": float}[kind](part)


def _scalar(values: Any) -> Any:
    """Leave Python's numbers as they are."""
    return values if values.ndim or values.dtype.str[1:] not in ("i8", "f8", "b1") else values.item()


def answer(question: str, name: str, arguments: Any = None) -> None:
    """Print one line: the value of a name in the notebook, or that it is a function, or what a call gave."""
    namespace = sys.modules["__main__"].__dict__
    try:
        value = namespace[name]
        if arguments is None and callable(value) and not isinstance(value, type):
            reply: dict[str, Any] = {"function": name}
        else:
            if arguments is not None:
                value = value(*decode(arguments))
            reply = {"value": encode(plain(value, _scalar))}
    except Unanswered:
        reply = {"value": encode(...)}
    except Odd as odd:
        reply = {"odd": str(odd)}
    except BaseException as error:
        reply = {"error": [type(error).__name__, str(error)[:300]]}
    print(f"{MARK}{question}:{json.dumps(reply)}", flush=True)
