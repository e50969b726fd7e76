"""The instructor's test cells, in a process of their own where no code of a student ever runs.

A name that a test cell uses and no cell of the instructor has set is the student's: its value comes from the
student's kernel as plain data, a function as one that hands its arguments over and brings the result back. So
an object that equals everything, or a replaced numpy, stays where it is.
"""

import builtins
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from convlab.exercises import _running

Ask = Callable[[str, tuple[Any, ...] | None], Any]

HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")


class _Missing(dict[str, Any]):
    """A namespace that asks the student's kernel for what it lacks."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(__name__="__main__", __builtins__=builtins)
        self._connection = connection

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return self._read(name, self._ask(name, None))

    def _ask(self, name: str, arguments: tuple[Any, ...] | None) -> Any:
        self._connection.send((name, arguments))
        return self._connection.recv()

    def _read(self, name: str, answer: Any) -> Any:
        if type(answer) is not dict:
            raise RuntimeError(f"no answer for {name}")
        if "error" in answer:
            kind, text = answer["error"]
            if kind == "KeyError" and text == repr(name):
                raise NameError(f"name {name!r} is not defined")
            raise type(str(kind), (Exception,), {})(text)
        if "odd" in answer:
            raise TypeError(f"{name} is {answer['odd']}")
        return self._function(name) if "function" in answer else answer["value"]

    def _function(self, name: str) -> Callable[..., Any]:
        def function(*arguments: Any) -> Any:
            return self._read(name, self._ask(name, arguments))

        function.__name__ = function.__qualname__ = name
        return function


def _serve(connection: Connection) -> None:
    """Run one piece of source after another; say None, or the words of the error."""
    _running.LIMIT = float("inf")  # what takes too long is ended from outside
    namespace = _Missing(connection)
    while True:
        try:
            source = connection.recv()
        except EOFError:  # the grader is done
            return
        try:
            exec(compile(source, "<test>", "exec"), namespace)
        except BaseException as error:
            connection.send([f"{type(error).__name__}: {error}" if str(error) else type(error).__name__])
        else:
            connection.send([None])


class Checker:
    """Runs the instructor's cells; `ask` is the student's kernel."""

    ask: Ask

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._seconds = connection, seconds
        self._gone = ""

    def run(self, source: str) -> str | None:
        """Run a cell; give None if it passes, else the words of its error."""
        if self._gone:
            return self._gone
        self._connection.send(source)
        end = time.monotonic() + self._seconds
        while self._connection.poll(max(end - time.monotonic(), 0)):
            try:
                said = self._connection.recv()
            except EOFError:
                self._gone = "the checker ended"
                return self._gone
            if type(said) is list:
                words: str | None = said[0]
                return words
            self._connection.send(self.ask(*said))
        self._gone = "the test took too long"
        return self._gone


def parts(source: str) -> tuple[str, str]:
    r"""Split a test cell into what students see of it, and the hidden tests.

    >>> parts("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc")
    ('a\nc', 'b')
    """
    seen: list[str] = []
    hidden: list[str] = []
    inside = False
    for line in source.split("\n"):
        if line.strip() in HIDDEN:
            inside = line.strip() == HIDDEN[0]
        else:
            (hidden if inside else seen).append(line)
    return "\n".join(seen), "\n".join(hidden)


@contextmanager
def started(seconds: float) -> Iterator[Checker]:
    """Start the process, which takes a moment to be ready; end it at the end."""
    ours, theirs = socket.socketpair()
    with theirs:
        handle = theirs.fileno()
        command = [sys.executable, "-m", __name__, str(handle)]
        process = subprocess.Popen(command, pass_fds=[handle], stdout=subprocess.DEVNULL)
    try:
        with Connection(ours.detach()) as connection:
            yield Checker(connection, seconds)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
