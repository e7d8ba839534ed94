"""Accounts at a terminal and in a pipe: passwords are asked for, and never shown."""

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, connection
from gmessenger.errors import FileError, InsecureTransport, PasswordRequired, Refused
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.line_command_handlers import LineCommandHandlers
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.passwords import EchoControl, log_in_with_password, password_from_options
from gmessenger.terminal.stdio import OutputWriter, StdinReader
from tests.client.conftest import SHORT_TIMEOUTS
from tests.support.pty_client import TIMEOUT, PtyClient
from tests.support.scripted_server import FakeServer, Frame
from tests.terminal.conftest import OpenTerminal, StartClient
from tests.terminal.test_line_mode import READY

NEEDED = (401, "password_needed", "This name is an account: give its password.")
WRONG = (402, "wrong_password", "The name or the password is wrong.")


def echoes(person: PtyClient) -> bool:
    return bool(termios.tcgetattr(person.master)[3] & termios.ECHO)


def open_password_prompt(fake: FakeServer, open_terminal: OpenTerminal) -> PtyClient:
    """Return a client that asks for a password."""
    hank = open_terminal(fake, "--name", "hank")
    assert "password" not in fake.accept().reject_login(*NEEDED)["user"]
    hank.wait_for("-- This name is an account: give its password.\r\nPassword for hank: $")
    return hank


def test_a_password_is_asked_for_and_not_shown(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_password_prompt(fake, open_terminal)
    assert not echoes(hank)
    hank.type_line("wrong horse")
    assert fake.accept().reject_login(*WRONG)["user"]["password"] == "wrong horse"
    hank.wait_for("-- The name or the password is wrong.\r\nPassword for hank: $")
    hank.type_line("right horse")
    peer = fake.accept()
    assert peer.accept_login()["user"]["password"] == "right horse"
    hank.wait_for(READY)
    assert echoes(hank) and "horse" not in hank.seen
    peer.close()
    again: Frame = fake.accept().accept_login()
    assert again["session"] == "token" and "password" not in again["user"]


def test_three_wrong_passwords_are_enough(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_password_prompt(fake, open_terminal)
    for _ in range(2):
        hank.type_line("wrong horse")
        fake.accept().reject_login(*WRONG)
        hank.wait_for("Password for hank: $")
    hank.type_line("wrong horse")
    fake.accept().reject_login(*WRONG)
    assert hank.wait_for_exit() == 77
    assert hank.seen.endswith("gmessenger-client: The name or the password is wrong.\r\n")
    assert "horse" not in hank.seen


@pytest.mark.parametrize(("typed", "code"), [("\x03", 0), ("\x04", 77), ("\n", 77)])
def test_no_password_after_all(fake: FakeServer, open_terminal: OpenTerminal, typed: str, code: int) -> None:
    hank = open_password_prompt(fake, open_terminal)
    hank.type(typed)
    assert hank.wait_for_exit() == code
    assert echoes(hank)


def test_a_signal_while_a_password_is_typed(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_password_prompt(fake, open_terminal)
    hank.signal(signal.SIGTERM)
    assert hank.wait_for_exit() == 143
    assert echoes(hank)


def test_nobody_is_asked_for_what_could_not_be_sent(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_is_loopback", lambda host: False)
    for plain, questions in ((False, 0), (True, 1)):
        client = Client(fake.host, fake.port, "hank", plain_passwords=plain, timeouts=SHORT_TIMEOUTS)
        reasons: list[str] = []
        login = gevent.spawn(log_in_with_password, client, client.start, reasons.append)
        fake.accept().reject_login(*NEEDED)
        with pytest.raises(Refused) as error:
            login.get(timeout=TIMEOUT)
        assert len(reasons) == questions
        assert isinstance(error.value.__cause__, PasswordRequired if plain else InsecureTransport)
        assert plain or "not encrypted" in str(error.value)


class FakeClient:
    """A client with fixed answers to what the handlers ask before a password prompt."""

    name = "hank"

    def __init__(self, **facts: object) -> None:
        self.connected = self.can_send_password = True
        self.is_account, self.registration = False, "open"
        vars(self).update(facts)


@pytest.mark.parametrize(
    ("facts", "register", "forget"),
    [
        ({}, "A password for hank: ", "Only accounts may do this; register first."),
        ({"is_account": True, "registration": None}, "This name is already registered.", "Your password (empty"),
        ({"registration": "closed"}, "Registration is closed on this server.", "Only accounts"),
        ({"connected": False, "is_account": True}, "the connection is lost", "the connection is lost"),
        ({"can_send_password": False, "registration": None}, "not encrypted", "not encrypted"),
        ({"can_send_password": False, "is_account": True}, "not encrypted", "not encrypted"),
    ],
)
def test_commands_ask_for_a_password_only_where_it_can_be_sent(
    facts: dict[str, object], register: str, forget: str
) -> None:
    for command, expected in (("register", register), ("forget", forget)):
        terminal = RecordingTerminal(OutputWriter(2), is_interactive=True)
        shown = terminal.shown
        client: Any = FakeClient(**facts)
        lines: Any = None
        attention = Attention("hank")
        handlers = LineCommandHandlers(client, attention, terminal, lines, NoEcho(), lambda: None, interactive=True)
        getattr(handlers, command)(*([""] if command == "register" else []))
        assert any(expected in text for text in shown), shown
        assert any(text.endswith(": ") for text in shown) == (expected.endswith(": ") or "Your password" in expected)


class RecordingTerminal(LineTerminal):
    """A terminal at which no prompt is answered."""

    @property
    def shown(self) -> list[str]:
        return vars(self).setdefault("_shown", [])

    def show(self, text: str, *, ring: bool = False) -> None:
        self.shown.append(text)

    def ask(self, lines: StdinReader, question: str) -> str | None:
        self.shown.append(question)
        return None


class NoEcho(EchoControl):
    @contextmanager
    def off(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize("option", [["--to", "dale"], ["--listen"], []])
def test_nobody_is_asked_in_a_pipe(fake: FakeServer, start_client: StartClient, option: list[str]) -> None:
    process = start_client(fake, "--name", "hank", *option)
    fake.accept().reject_login(*NEEDED)
    _, err = process.communicate(b"", timeout=TIMEOUT)
    assert process.returncode == 77
    assert err.decode() == (
        "gmessenger-client: This name is an account: give its password."
        " (Use --password-file FILE, or MESSENGER_PASSWORD in the environment.)\n"
    )


def test_a_password_from_a_file(fake: FakeServer, start_client: StartClient, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\nand a remark\n")
    process = start_client(fake, "--name", "hank", "--listen", "--password-file", str(tmp_path / "password"))
    user = fake.accept().reject_login(*WRONG)["user"]
    assert user == {
        "account_name": "hank",
        "password": "correct horse",
        "device": f"{os.uname().nodename}.listen",
    }
    _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (77, b"gmessenger-client: The name or the password is wrong.\n")


def test_a_password_from_the_environment(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank", "--device", "desk", MESSENGER_PASSWORD="correct horse")
    assert fake.accept().accept_login()["user"] == {
        "account_name": "hank",
        "password": "correct horse",
        "device": "desk",
    }
    hank.wait_for(READY)


def test_where_passwords_come_from(tmp_path: Path) -> None:
    file = tmp_path / "password"
    environ = {"MESSENGER_PASSWORD": "from the environment"}
    assert password_from_options(None, dict(environ)) == "from the environment"
    assert password_from_options(None, environ) and environ == {}
    assert password_from_options(None, {}) is None
    file.write_text("from the file")
    assert password_from_options(str(file), {"MESSENGER_PASSWORD": "x"}) == "from the file"
    for content, expected in ((b"", "is empty"), (b"\xff\n", "not UTF-8")):
        file.write_bytes(content)
        with pytest.raises(FileError, match=expected):
            password_from_options(str(file), {})
    with pytest.raises(FileError, match="No such file"):
        password_from_options(str(tmp_path / "none"), {})
