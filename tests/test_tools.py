"""The programs behind the make targets: the server, the search for Chromium, the virtual environment."""

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import chromium
import make_venv
import pytest
import serve

TOOLS = Path(serve.__file__).parent
SERVE = [sys.executable, str(TOOLS / "serve.py")]

posix = pytest.mark.skipif(sys.platform == "win32", reason="make and signals are for Unix")


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "index.html").write_text("<h1>Book</h1>", encoding="utf-8")
    (tmp_path / "figure.mjs").write_text("export default 1;", encoding="utf-8")
    return tmp_path


def address(line: str) -> str:
    """The address in the server's first line."""
    assert line.startswith("The book is at http://localhost:")
    return line.split()[4]


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_serves_and_stops_cleanly(pages, number):
    command = [*SERVE, str(pages), "0"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        url = address(server.stdout.readline())
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"<h1>Book</h1>"
        with urllib.request.urlopen(f"{url}/figure.mjs") as answer:
            assert answer.headers["Content-Type"] == "text/javascript"
            assert answer.headers["Cache-Control"] == "no-cache"
        server.send_signal(number)
        out, err = server.communicate(timeout=10)
    assert (server.returncode, out.strip(), err) == (0, "Stopped.", "")


@posix
def test_control_c_is_no_error_for_make(pages):
    import pexpect

    (pages / "Makefile").write_text(f"serve:\n\t@{' '.join(SERVE)} . 0\n", encoding="utf-8")
    child = pexpect.spawn("make", ["serve"], cwd=str(pages), timeout=20, encoding="utf-8")
    child.expect_exact("(stop with Ctrl-C)")
    child.sendcontrol("c")
    child.expect(pexpect.EOF)
    child.close()
    assert "Stopped." in child.before
    assert "Traceback" not in child.before
    assert "Interrupt" not in child.before
    assert child.exitstatus == 0


def test_taken_port_is_a_clear_message(pages):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [*SERVE, str(pages), str(port)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert result.returncode == 1
    assert (
        result.stderr
        == f"Port {port} is taken or not allowed. Choose another one: make serve PORT={port + 1}\n"
    )


def test_chromium_is_the_one_asked_for(monkeypatch, tmp_path):
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    assert chromium.find() == str(program)
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "missing"))
    assert chromium.find() is None
    with pytest.raises(SystemExit, match="there is no such program"):
        chromium.main()


def test_chromium_that_cannot_be_installed_is_a_clear_message(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(chromium, "install", lambda: None)
    with pytest.raises(SystemExit, match="Install Chromium or Google Chrome"):
        chromium.main()


def test_environment_without_venv_is_a_clear_message(monkeypatch, tmp_path):
    monkeypatch.setattr(make_venv, "find_spec", lambda name: None)
    monkeypatch.setattr(make_venv.debian, "install", lambda package: None)
    with pytest.raises(SystemExit, match=r"sudo apt-get install python3\.\d+-venv"):
        make_venv.main(tmp_path / "new")
