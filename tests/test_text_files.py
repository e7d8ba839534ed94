"""Text files are read with or without a byte order mark."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gmessenger.config.options import AdminOptions
from gmessenger.config.parser import ADMIN, CLIENT, SERVER, parse_options
from gmessenger.errors import FileError
from gmessenger.terminal.passwords import password_from_options
from gmessenger.terminal.saved_config import save_values
from tests import ROOT
from tests.conftest import RunningServer
from tests.support.server import TEST_TIMEOUT

MARK = b"\xef\xbb\xbf"
BEGINNINGS = {"no mark": b"", "a mark": MARK}


def read_by_admin(file: Path) -> str:
    from gmessenger.admin.accounts import prompt_password

    return prompt_password(AdminOptions(password_file=str(file)))


def read_by_client(file: Path) -> str | None:
    return password_from_options(str(file), {})


@pytest.fixture(params=[read_by_client, read_by_admin], ids=["client", "admin"])
def read(request: pytest.FixtureRequest) -> Callable[[Path], str | None]:
    return request.param


@pytest.mark.parametrize("bom", BEGINNINGS.values(), ids=BEGINNINGS)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r\nsecond line\r\n"])
def test_a_password_is_the_first_line(
    bom: bytes, end: bytes, read: Callable[[Path], str | None], tmp_path: Path
) -> None:
    (tmp_path / "password").write_bytes(bom + "correct höрse".encode() + end)
    assert read(tmp_path / "password") == "correct höрse"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (MARK, "empty"), (MARK + b"\r\nx", "empty"), ("x".encode("utf-16"), "not UTF-8")],
)
def test_a_file_without_a_password_is_said(
    content: bytes, reason: str, read: Callable[[Path], str | None], tmp_path: Path
) -> None:
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(FileError, match=reason):
        read(tmp_path / "password")


@pytest.mark.parametrize("command", [SERVER, CLIENT, ADMIN], ids=lambda command: command.section)
def test_a_config_file_may_begin_with_a_mark(command: object, tmp_path: Path) -> None:
    section = command.config_owner.section
    (tmp_path / "some.ini").write_bytes(MARK + f"[{section}]\r\nport = 4711\r\n".encode())
    assert parse_options(command, ["-c", str(tmp_path / "some.ini")], {}).port == 4711


def test_what_is_remembered_goes_into_a_file_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "client.ini"
    file.write_bytes(MARK + b"[client]\r\nhost = chat.example\r\n")
    assert save_values(file, {"name": "hank"}) == {"name": "hank"}
    options = parse_options(CLIENT, ["-c", str(file)], {})
    assert (options.host, options.name) == ("chat.example", "hank")


def test_a_mark_at_the_beginning_of_a_pipe_is_no_text(server: RunningServer, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
    command = [sys.executable, "-m", "gmessenger", "client", server.host, str(server.port), "--name", "hank"]
    command += ["--to", "dale", "--log-file", str(tmp_path / "log")]
    with socket.create_connection((server.host, server.port), TEST_TIMEOUT) as dale, dale.makefile("rb") as lines:
        dale.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"dale"}}\n')
        assert (b'"response":200' in lines.readline(), b"synced" in lines.readline()) == (True, True)
        completed = subprocess.run(
            command,
            cwd=ROOT,
            env=clean,
            input=MARK + b"hello\r\n",
            capture_output=True,
            timeout=TEST_TIMEOUT,
            check=False,
        )
        assert (completed.returncode, completed.stderr) == (0, b"")
        assert json.loads(lines.readline())["message"] == "hello"
