"""`--exec`: a command for each message, with a scripted server."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from gmessenger import processes
from gmessenger.processes import MAX_VARIABLE
from gmessenger.terminal import exec_mode as running
from gmessenger.terminal.exec_mode import CommandRunner, environment_for
from gmessenger.terminal.main import main
from gmessenger.wire.events import MessageEvent
from tests.support.pty_client import TIMEOUT
from tests.support.scripted_server import ClientConnection, FakeServer
from tests.terminal.conftest import StartClient

Process = subprocess.Popen[bytes]
Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script, and return the command that runs it."""

    def written(lines: str) -> str:
        file = tmp_path / "do it"
        file.write_text(f"#!/bin/sh\n{lines}\n")
        file.chmod(0o700)
        return f"'{file}'"

    return written


def start_exec(
    start_client: StartClient, fake: FakeServer, command: str, *more: str, account: bool = False
) -> tuple[Process, ClientConnection]:
    words = ("--name", "bot", "--listen", "--exec", command, *more)
    process = start_client(fake, *words, stdin=subprocess.DEVNULL, password="secret")
    return process, fake.accept_and_log_in(account=account)


def lines(process: Process, count: int) -> list[str]:
    """Return `count` lines of the commands' output."""
    assert process.stdout is not None
    return [process.stdout.readline().decode().rstrip("\n") for _ in range(count)]


def wait_for_output(process: Process, text: str) -> None:
    """Wait for a line on stderr that contains the text."""
    assert process.stderr is not None
    line = b"-"
    while line and text.encode() not in line:
        line = process.stderr.readline()
    assert line, text


def left(process: Process, number: signal.Signals = signal.SIGINT) -> int:
    process.send_signal(number)
    return process.wait(timeout=TIMEOUT)


def test_each_message_in_turn_with_its_environment(fake: FakeServer, start_client: StartClient, script: Script) -> None:
    variables = '"$GMESSENGER_FROM" "$GMESSENGER_TO" "$GMESSENGER_CONVERSATION" "$GMESSENGER_SEQ" "$GMESSENGER_TIME"'
    process, peer = start_exec(
        start_client, fake, script(f'echo "$1" {variables}; cat; env | grep -c secret') + " 'two words'"
    )
    peer.push_message("dale", "$(touch /tmp/x); `id` привет", "bot", time=1.5)
    peer.push_message("hank", "in a room\nof two lines", "#dev", seq=7, time=1763800009.5)
    assert lines(process, 3) == ["two words dale bot dale  1.500000", "$(touch /tmp/x); `id` привет", "0"]
    assert lines(process, 4) == ["two words hank #dev #dev 7 1763800009.500000", "in a room", "of two lines", "0"]
    assert left(process) == 0


def test_with_json_the_command_reads_the_frame(fake: FakeServer, start_client: StartClient) -> None:
    process, peer = start_exec(start_client, fake, "cat", "--json")
    peer.send_bytes(b'{"action":"msg", "from":"dale","to":"bot","time":1.5,"message":"hi"}\n')
    assert lines(process, 1) == ['{"action":"msg", "from":"dale","to":"bot","time":1.5,"message":"hi"}']
    assert left(process) == 0


def test_a_message_is_done_with_when_its_command_has_ended(
    fake: FakeServer, start_client: StartClient, script: Script
) -> None:
    process, peer = start_exec(start_client, fake, script("cat; read line; exit 3"), account=True)
    peer.push_message("dale", "one", "bot", seq=1)
    assert lines(process, 1) == ["one"]
    wait_for_output(process, "-- the command for a message from dale ended with exit code 3")
    assert peer.expect("ack")["seq"] == 1  # a failure does not keep back what comes after it
    peer.push_message("bot", "my own, elsewhere", "dale", seq=2)
    assert peer.expect("ack")["seq"] == 2
    peer.push_message("dale", "three", "bot", seq=3)
    assert lines(process, 1) == ["three"]
    assert left(process) == 0


def test_no_command_answers_programs_or_amendments(fake: FakeServer, start_client: StartClient, script: Script) -> None:
    process, peer = start_exec(start_client, fake, script('echo "$GMESSENGER_TEXT $GMESSENGER_ABOUT"'))
    frame = {"action": "msg", "from": "dale", "to": "#dev", "time": 1.0}
    peer.send(frame | {"message": "build 7", "seq": 7, "kind": "notice"})
    peer.send(frame | {"message": "👍", "seq": 8, "about": 7, "what": "react"})
    peer.send(frame | {"message": "a reply", "seq": 9, "about": 7})
    assert lines(process, 1) == ["a reply 7"]
    assert left(process) == 0


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(
    fake: FakeServer, start_client: StartClient, script: Script
) -> None:
    process, peer = start_exec(start_client, fake, script("sleep 1000 & echo here; wait"), "--exec-timeout", "0.2")
    peer.push_message("dale", "one", "bot")
    peer.push_message("dale", "two", "bot")
    wait_for_output(process, "from dale was terminated: it ran longer than 0.2 s")
    wait_for_output(process, "from dale was terminated: it ran longer than 0.2 s")
    assert left(process) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b"here\nhere\n"  # at its end: all of them are terminated


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_end_of_the_program_is_that_of_the_command(
    fake: FakeServer, start_client: StartClient, script: Script, number: signal.Signals, code: int
) -> None:
    process, peer = start_exec(
        start_client, fake, script("trap 'echo asked; exit 0' TERM; echo here; sleep 1000 & wait")
    )
    peer.push_message("dale", "one", "bot", seq=1)
    assert lines(process, 1) == ["here"]
    assert left(process, number) == code
    assert process.stdout is not None
    assert process.stdout.read() == b"asked\n"
    assert peer.receive() == {"action": "quit"}  # and no ack: it comes again


def test_a_command_that_is_gone_ends_the_program(fake: FakeServer, start_client: StartClient, script: Script) -> None:
    command = script("echo here")
    process, peer = start_exec(start_client, fake, command)
    Path(command.strip("'")).unlink()
    peer.push_message("dale", "one", "bot")
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (73, b"")
    assert b"gmessenger-client: Cannot run " in err and b"No such file or directory.\n" in err


def test_a_command_has_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--name", "bot", "--listen", "--exec"]
    assert main([*words, "/nonexistent/command x"]) == 2
    assert main([*words, "'open quote"]) == 2
    assert main([*words, " "]) == 2
    assert main(["--name", "bot", "--exec", "true"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "gmessenger-client: --exec does not name a program that can be run.",
        'gmessenger-client: Argument --exec: expected a command, not "\'open quote": no closing quotation. '
        "See gmessenger-client --help.",
        "gmessenger-client: Argument --exec: expected a command, not nothing. See gmessenger-client --help.",
        "gmessenger-client: --exec works only with --listen.",
    ]


def test_a_command_that_nobody_can_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[Process] = []
    monkeypatch.setattr(running, "HURRY_TIMEOUT", 0.05)
    monkeypatch.setattr(
        processes, "_kill_group", lambda process, number: killed.append(process)
    )  # as if it belonged to another user
    runner = CommandRunner(["sleep", "60"], 0.05)
    try:
        with gevent.Timeout(8):
            assert "ran longer than 0.05 s" in (runner.run("dale", {}, b"") or "")
    finally:
        killed[0].kill()
        killed[0].wait()


def test_what_a_variable_cannot_hold(capfd: pytest.CaptureFixture[str]) -> None:
    long = environment_for(MessageEvent(sender="da\0le", to="bot", time=0.1, message="я" * MAX_VARIABLE))
    assert long["GMESSENGER_FROM"] == "da\ufffdle"
    assert len(long["GMESSENGER_TEXT"].encode()) == MAX_VARIABLE
    assert long["GMESSENGER_SEQ"] == ""
    runner = CommandRunner(["sh", "-c", 'printf "%s" "$GMESSENGER_TEXT" | wc -c; wc -c'], 8.0)
    assert runner.run("dale", long, b"x" * 1_000_000) is None
    assert capfd.readouterr().out.split() == [str(MAX_VARIABLE), "1000000"]
    too_large = long | {f"X{number}": "x" * 100_000 for number in range(100)}
    assert "the environment too large" in str(runner.run("dale", too_large, b""))


def test_how_a_command_ended_is_said_in_words() -> None:
    assert CommandRunner(["sh", "-c", "kill -KILL $$"], 8.0).run("dale", {"PATH": os.environ["PATH"]}, b"") == (
        "-- the command for a message from dale was terminated by SIGKILL"
    )


def test_the_line_is_kept_while_a_command_runs(fake: FakeServer, start_client: StartClient, tmp_path: Path) -> None:
    os.mkfifo(gate := tmp_path / "gate")
    process, peer = start_exec(start_client, fake, f"cat {gate}", "--probe-after", "0.1")
    peer.push_message("dale", "one", "bot")
    assert peer.receive() == {"action": "probe"}
    gate.write_text("opened\n")
    assert lines(process, 1) == ["opened"]
    assert left(process) == 0
