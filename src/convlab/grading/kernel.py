"""The student's kernel: runs cells, within limits, and answers questions about what they made."""

import json
import os
import queue
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from convlab.grading import sandbox
from convlab.grading._agent import MARK, decode, encode
from convlab.grading.sandbox import Limits, Watch

_START = 60.0  # seconds in which a kernel must be there
_GRACE = 2.0  # seconds in which a cell must end when it is interrupted
_OUTPUTS = frozenset(["stream", "display_data", "execute_result", "error"])


class Stopped(Exception):
    """The kernel is gone; the message says why, `late` whether it took too long."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class _Manager(KernelManager):
    """A kernel manager that starts the command that it is given."""

    command: list[str]

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return self.command


class Kernel:
    """A running kernel. `late` counts the cells that were interrupted."""

    def __init__(self, client: BlockingKernelClient, watch: Watch, limits: Limits) -> None:
        self.late = 0
        self._client, self._watch, self._limits = client, watch, limits
        self._end = time.monotonic() + limits.seconds
        self._room = limits.output  # bytes of output that are still allowed

    def run(self, source: str) -> list[NotebookNode]:
        """Execute a cell and give its outputs. A cell that takes too long is interrupted.

        Raises
        ------
        Stopped
            If the kernel ends, or has to be ended.
        """
        return self._collect(self._client.execute(source, allow_stdin=False, stop_on_error=False))

    def ask(self, name: str, arguments: tuple[Any, ...] | None = None) -> Any:
        """Give the plain value of a name, or of a call; see `_agent.answer`. None if there is no answer."""
        question = secrets.token_hex(8)
        given = None if arguments is None else encode(arguments)
        call = f"answer({question!r}, {name!r}, {given!r})"
        source = f"__import__('sys').modules['convlab.grading._agent'].{call}"
        room, self._room = self._room, 64 * self._limits.output  # an array may be large
        try:
            outputs = self._collect(self._client.execute(source, store_history=False, allow_stdin=False))
        finally:
            self._room = room
        text = "".join(output.text for output in outputs if output.output_type == "stream")
        for line in text.splitlines():
            mark, _, reply = line.partition(f"{question}:")
            if mark == MARK:
                return _read(reply)
        return None

    def _collect(self, question: str) -> list[NotebookNode]:
        """Gather the outputs of one request until the kernel is idle again."""
        outputs: list[NotebookNode] = []
        end = min(time.monotonic() + self._limits.cell_seconds, self._end)
        asked = False
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                self._check()
                if time.monotonic() < end:
                    continue
                if asked or end == self._end:
                    raise self._stop("it took too long and could not be interrupted", late=True) from None
                asked, end = True, time.monotonic() + _GRACE
                self.late += 1
                self._interrupt()
                continue
            if message["parent_header"].get("msg_id") != question:
                continue
            if message["msg_type"] == "status" and message["content"].get("execution_state") == "idle":
                return outputs
            if message["msg_type"] in _OUTPUTS:
                self._add(outputs, message)

    def _add(self, outputs: list[NotebookNode], message: dict[str, Any]) -> None:
        output = output_from_msg(message)
        self._room -= len(json.dumps(output))
        if self._room < 0:
            raise self._stop(f"more than {self._limits.output >> 10} kB of output")
        last = outputs[-1] if outputs else None
        if last and last.output_type == "stream" == output.output_type and last.name == output.name:
            last.text += output.text
        else:
            outputs.append(output)

    def _check(self) -> None:
        if self._watch.reason or not self._watch.alive():
            raise self._stop(self._watch.reason or "the kernel ended by itself")

    def _stop(self, reason: str, *, late: bool = False) -> Stopped:
        self._watch.kill(reason)
        return Stopped(reason, late=late)

    def _interrupt(self) -> None:
        self._client.control_channel.send(self._client.session.msg("interrupt_request"))


def _read(reply: str) -> Any:
    """Read what the agent printed; the student may have printed it instead."""
    try:
        answer = json.loads(reply)
        if "value" in answer:
            answer["value"] = decode(answer["value"])
        return answer if type(answer) is dict else None
    except Exception:
        return None


@contextmanager
def started(limits: Limits, files: dict[str, bytes], *, confined: bool = True) -> Iterator[Kernel]:
    """Start a kernel in a folder of its own with these files; at the end nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="convlab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work, sockets = folder / "work", folder / "kernel"
        work.mkdir()
        sockets.mkdir()
        for path, content in files.items():
            (work / path).write_bytes(content)
        manager = _Manager(transport="ipc", ip=str(sockets / "s"), connection_file=str(sockets / "c.json"))
        manager.command = [
            *sandbox.command(folder, limits, sandbox=confined),
            *(sys.executable, "-P", "-m", "ipykernel_launcher", "-f", manager.connection_file),
            "--IPKernelApp.exec_lines=import convlab.grading._agent",
            "--HistoryManager.enabled=False",
        ]
        environment = {key: value for key, value in os.environ.items() if key != "JPY_PARENT_PID"}
        with open(folder / "log", "w") as log:
            manager.start_kernel(env=environment, cwd=str(work), stdout=log, stderr=log)
        watch = Watch(getattr(manager.provisioner, "pid", 0), folder, limits, confined=confined)
        client = manager.blocking_client()
        for channel in (client.shell_channel, client.iopub_channel, client.control_channel):
            channel.socket.setsockopt(zmq.MAXMSGSIZE, 128 * limits.output)
        client.start_channels(stdin=False, hb=False)
        try:
            try:
                client.wait_for_ready(timeout=_START)
            except RuntimeError as error:
                said = (folder / "log").read_text(errors="replace")[-500:]
                raise Stopped(f"the kernel did not start: {error} {said}") from error
            yield Kernel(client, watch, limits)
        finally:
            client.stop_channels()
            watch.close()
            manager.cleanup_resources()
