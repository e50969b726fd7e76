"""Run what a reader wrote: in silence, for a limited time, and with nothing changed afterwards."""

import _thread
import ctypes
import functools
import io
import random
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")

LIMIT = 5.0  # seconds for one check
_GRACE = 1.0  # seconds in which a function that is stopped has to end

_workers: set[int] = set()
_get_state, _set_state = np.random.get_state, np.random.set_state


class _Nowhere(io.TextIOBase):
    """A stream that forgets what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


class _Stop(SystemExit):
    """What ends a function that doesn't end.

    To make one takes a moment, in C, and meanwhile the next is sent. So a handler that catches one is met by
    another before it can begin its loop again.
    """

    __init__ = staticmethod(functools.partial(time.sleep, 0.005))


def nested() -> bool:
    """Whether this is called by a function that `run` runs."""
    return _thread.get_ident() in _workers


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what is printed and warned; put back streams, random states, numpy's and Python's settings."""
    streams = sys.stdin, sys.stdout, sys.stderr
    states = random.getstate(), _get_state(legacy=False)
    depth = sys.getrecursionlimit()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), _Nowhere(), _Nowhere()
    try:
        with warnings.catch_warnings(record=True), np.errstate(all="ignore"), np.printoptions():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        random.setstate(states[0])
        _set_state(states[1])
        sys.setrecursionlimit(depth)


def run(work: Iterable[Result]) -> tuple[list[Result], str]:
    """Collect what comes out of an iterable, in a thread of its own.

    Gives the results, and "" or what became of the rest. Python code is stopped after `LIMIT` seconds, also
    if it catches every exception. A thread that doesn't come back from C can't be stopped: it is left alone,
    and ends with the interpreter.
    """
    results: list[Result] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def body() -> None:
        _workers.add(_thread.get_ident())
        try:
            for result in work:
                results.append(result)  # one by one: those that came in time count
        finally:
            ended.release()  # first: a late _Stop may come in after it
            _workers.discard(_thread.get_ident())

    thread = _thread.start_new_thread(body, ())
    try:
        if _wait(ended, LIMIT):
            return results, ""
        in_time = results[:]
    except BaseException:  # the reader interrupts
        _stop(thread, ended)
        raise
    if _stop(thread, ended):
        return in_time, f"It takes too long and was stopped after {LIMIT:g} s."
    return in_time, f"It takes more than {LIMIT:g} s and can't be stopped: restart the kernel to end it."


def _wait(ended: _thread.LockType, seconds: float) -> bool:
    """Wait in short steps, since not every system can interrupt a long one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if ended.acquire(timeout=0.1):
            return True
    return False


def _stop(thread: int, ended: _thread.LockType) -> bool:
    """Send one `_Stop` after another until the thread has ended."""
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc
    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        send(ctypes.c_ulong(thread), ctypes.py_object(_Stop))
        if ended.acquire(timeout=0.001):
            _workers.discard(thread)
            return True
    return False
