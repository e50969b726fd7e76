"""Serve a folder of pages on this machine until Ctrl-C: `python tools/serve.py FOLDER [PORT]`."""

import errno
import gzip
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

TEXTS = {".css", ".html", ".js", ".mjs", ".svg", ".xml"}


class Handler(SimpleHTTPRequestHandler):
    """Send files with the right types everywhere (Windows keeps its own list), and say nothing."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
    }

    def send_head(self) -> BinaryIO | None:
        """Compress what is text, as hosts of static pages do."""
        path = Path(self.translate_path(self.path))
        accepted = self.headers.get("Accept-Encoding", "")
        if "gzip" not in accepted or path.suffix not in TEXTS or not path.is_file():
            return super().send_head()
        content = gzip.compress(path.read_bytes(), mtime=0)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def end_headers(self) -> None:
        """Ask the browser to check for a newer page each time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet."""


def make_server(folder: str, port: int) -> ThreadingHTTPServer:
    """Open `port` (0: any free one) on this machine only."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=folder))


@contextmanager
def served(folder: str | Path) -> Iterator[str]:
    """Serve a folder in the background; give its address."""
    with make_server(str(folder), 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def own_foreground() -> Iterator[None]:
    """Take Ctrl-C away from make, which would call it an error."""
    if os.name != "posix" or not sys.stdin.isatty():
        yield
        return
    signal.signal(
        signal.SIGTTOU, signal.SIG_IGN
    )  # else a background process may not choose the foreground one
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # make could not be stopped together with us
    parent = os.tcgetpgrp(0)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgid(0))
    try:
        yield
    finally:
        os.tcsetpgrp(0, parent)


def main(folder: str, port: int) -> None:
    """Serve until Ctrl-C, or until another program asks us to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # a shell starts its background jobs deaf to Ctrl-C
    try:
        server = make_server(folder, port)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        sys.exit(f"Port {port} is taken or not allowed. Choose another one: make serve PORT={port + 1}")
    with server, own_foreground():
        print(f"The book is at http://localhost:{server.server_port} (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nStopped.")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
