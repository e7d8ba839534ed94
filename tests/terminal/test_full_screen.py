"""The full screen in a process of its own, on a real pty, with a scripted server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import which
from typing import Any

import gevent
import pytest

from tests.support.pty_client import TIMEOUT, command
from tests.support.pty_screen import PtyScreen
from tests.support.scripted_server import ClientConnection, FakeServer, Frame
from tests.support.timeouts import TEST_TIMEOUT

OpenScreen = Callable[..., PtyScreen]
ACCOUNT = {"account": True}


@pytest.fixture
def open_screen(tmp_path: Path) -> Iterator[OpenScreen]:
    """Start a client with a full screen: server, options, size."""
    with ExitStack() as stack:

        def open_client(server: Any, *arguments: str, columns: int = 100, rows: int = 30, **env: str) -> PtyScreen:
            argv = command(server, "--name", "hank", *arguments)
            return stack.enter_context(PtyScreen(argv, tmp_path / "client.log", columns, rows, **env))

        yield open_client


def log_in(
    fake: FakeServer, open_screen: OpenScreen, *arguments: str, **more: Any
) -> tuple[PtyScreen, ClientConnection]:
    """Return a connected client whose current conversation is with Dale."""
    hank = open_screen(fake, *arguments, **more)
    peer = fake.accept_and_log_in(greeting="Be kind.")
    hank.wait_until_shown("connected")
    hank.type("/msg dale\r")
    hank.wait_until_shown(r"@dale.*$")
    return hank, peer


def receive_message(peer: ClientConnection) -> Frame:
    """Receive frames up to the next message."""
    while (frame := peer.receive()).get("action") != "msg":
        peer.respond(frame, 400, code="unknown_action", error="Unknown.")
    return frame


def test_it_shows_who_and_where_and_ends_as_the_seed_did(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen)
    hank.wait_until_shown("● connected")
    hank.wait_until_shown(r"\[hank\]")
    hank.type("hello, Борис 👍\r")
    message = receive_message(peer)
    assert (message["to"], message["message"]) == ("dale", "hello, Борис 👍")
    hank.wait_until_shown("hello, Борис 👍 +…")
    peer.respond(message, 200, seq=1)
    hank.wait_until_shown("hello, Борис 👍 +✓")
    peer.send({"action": "delivered", "with": "dale", "seq": 1})
    hank.wait_until_shown("hello, Борис 👍 +✓✓")
    peer.push_message("dale", "hi hank")
    hank.wait_until_shown(r"dale │ hi hank")
    hank.type("3\r")
    assert hank.wait_for_exit() == 0
    assert hank.is_restored


@pytest.mark.parametrize(
    ("word", "shown"), [("2", "list the commands"), ("help", "list the commands"), ("/hlep", "/help")]
)
def test_the_words_of_the_seed_and_those_that_were_nearly_right(
    fake: FakeServer, open_screen: OpenScreen, word: str, shown: str
) -> None:
    hank, _ = log_in(fake, open_screen)
    hank.type(f"{word}\r")
    hank.wait_until_shown(shown)


def test_a_refused_message_says_why_and_is_taken_back(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen)
    hank.type("anybody?\r")
    peer.respond(receive_message(peer), 404, code="never_seen", error="Nobody of that name was ever here.")
    hank.wait_until_shown("✗ .*Alt-e")
    hank.press("alt-e")
    hank.type(" again\r")
    assert receive_message(peer)["message"] == "anybody? again"


def test_a_paste_of_several_lines_waits_to_be_sent(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen)
    hank.paste("one\ntwo\tand\nthree")
    hank.wait_until_shown(r"^three")
    hank.press("enter")
    assert receive_message(peer)["message"] == "one\ntwo\tand\nthree"


@pytest.mark.parametrize("size", [(200, 50), (50, 15), (20, 6)])
def test_it_takes_any_size(fake: FakeServer, open_screen: OpenScreen, size: tuple[int, int]) -> None:
    hank, peer = log_in(fake, open_screen)
    peer.push_message("dale", "before")
    hank.wait_until_shown("before")
    hank.type("a draft")
    hank.resize(*size)
    peer.push_message("dale", "after")
    hank.wait_until_shown("after")
    hank.wait_until_shown("a draft")
    assert len(hank.screen.display) == size[1]


def test_what_is_typed_while_the_line_is_down_is_sent_when_it_is_back(
    fake: FakeServer, open_screen: OpenScreen
) -> None:
    hank, peer = log_in(fake, open_screen)
    hank.type("half a li")
    peer.close()
    hank.wait_until_shown("offline|reconnecting")
    hank.type("ne\r")
    hank.wait_until_shown("half a line +…")
    hank.type("the next one")
    again = fake.accept_and_log_in()
    message = receive_message(again)
    assert message["message"] == "half a line"
    again.respond(message, 202)
    hank.wait_until_shown("half a line +✓")
    hank.wait_until_shown("● connected")
    hank.wait_until_shown(r"\] the next one$")


def test_five_hundred_messages_while_typing_leave_the_draft_alone(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen)
    text = "the quick brown fox"
    for number in range(500):
        peer.push_message("dale", f"number {number}")
        if number % 20 == 0:
            hank.type(text[number // 20 : number // 20 + 1])
    hank.wait_until_shown("number 499")
    hank.wait_until_shown(rf"\] {text}$")
    hank.press("enter")
    assert receive_message(peer)["message"] == text


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 0), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=lambda frame: getattr(frame, "name", None),
)
def test_signals_end_it_and_the_terminal_is_as_it_was(
    fake: FakeServer, open_screen: OpenScreen, number: signal.Signals, code: int
) -> None:
    hank, _ = log_in(fake, open_screen)
    hank.signal(number)
    assert hank.wait_for_exit() == code
    assert hank.is_restored


def test_stopped_for_a_while_it_has_the_terminal_again_and_says_what_it_missed(
    fake: FakeServer, open_screen: OpenScreen
) -> None:
    """As after a suspended machine, whose connections are lost, and a shell that has used the terminal meanwhile."""
    hank, peer = log_in(fake, open_screen)
    hank.signal(signal.SIGSTOP)
    while ") T " not in Path(f"/proc/{hank.process.pid}/stat").read_text():
        gevent.sleep(0.01)
    modes = termios.tcgetattr(hank.master)
    modes[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(hank.master, termios.TCSANOW, modes)
    hank.screen.reset()
    peer.close()
    hank.signal(signal.SIGCONT)
    hank.wait_until_shown(r"@dale")
    assert not hank.modes[3] & (termios.ICANON | termios.ECHO)
    hank.type("what did I miss?\rhalf a line")
    again = fake.accept_and_log_in()
    again.respond(receive_message(again), 202)
    hank.wait_until_shown(r"caught up: 1 of your messages was sent$")
    hank.wait_until_shown(r"\] half a line$")


def test_ctrl_c_empties_the_line_then_warns_and_leaves_then(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, _ = log_in(fake, open_screen)
    hank.type("not this")
    hank.press("ctrl-c")
    hank.wait_until_hidden("not this")
    hank.press("ctrl-c")
    hank.wait_until_shown("press Ctrl-C again to quit")
    hank.type("still here")
    hank.wait_until_shown("still here$")
    hank.press("ctrl-c", "ctrl-c")
    assert hank.wait_for_exit() == 0
    assert hank.is_restored


def test_a_terminal_that_hangs_up_ends_it(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, _ = log_in(fake, open_screen)
    hank.hang_up()
    assert hank.process.wait(timeout=TEST_TIMEOUT) == 129


def until_saved(folder: Path, *texts: bytes) -> None:
    """Wait until all texts are in files there; names with a dot are not complete yet."""
    ends_at = time.monotonic() + TIMEOUT
    while not all(
        any(text in file.read_bytes() for file in folder.glob("drafts/*") if not file.suffix) for text in texts
    ):
        assert time.monotonic() < ends_at, "the drafts are not saved"
        gevent.sleep(0.02)


def test_drafts_are_there_again_after_a_crash(fake: FakeServer, open_screen: OpenScreen, tmp_path: Path) -> None:
    hank, _ = log_in(fake, open_screen)
    hank.type("for dale")
    hank.press("alt-0")
    hank.wait_until_hidden("for dale")
    hank.type("/msg peggy\r")
    hank.wait_until_shown("@peggy")
    hank.type("for peggy")
    hank.wait_until_shown("for peggy$")
    hank.press("alt-0")
    hank.wait_until_hidden("for peggy")
    until_saved(tmp_path, b"for dale", b"for peggy")
    hank.process.kill()
    hank.process.wait()
    again = open_screen(fake)
    fake.accept_and_log_in()
    again.wait_until_shown("● connected")
    again.wait_until_shown("@dale")
    again.type("/msg dale\r")
    again.wait_until_shown("for dale$")
    again.press("alt-0")
    again.type("/msg peggy\r")
    again.wait_until_shown("for peggy$")


def test_strangers_cannot_disturb_the_screen(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen)
    for text in ("\x1b[2J\x1b]0;pwned\x07gone", "\u202eevil", "a" + "\u0301" * 500, "🇩🇪👨‍👩‍👧‍👦 flags", "w" * 10_000):
        peer.push_message("dale", text)
    peer.push_message("dale", "the end")
    hank.wait_until_shown("the end")
    hank.type("still here")
    hank.wait_until_shown(r"\] still here$")
    assert b"\x1b]" not in hank.raw


def test_without_colours_there_are_none(fake: FakeServer, open_screen: OpenScreen) -> None:
    hank, peer = log_in(fake, open_screen, NO_COLOR="1")
    peer.push_message("dale", "hi")
    hank.wait_until_shown("hi$")
    assert not re.search(rb"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[;m]", hank.raw)


@pytest.mark.skipif(which("localedef") is None, reason="there is no way here to have a locale")
@pytest.mark.parametrize("arguments", [(), ("--plain",)])
def test_times_are_those_of_the_locale(
    fake: FakeServer, open_screen: OpenScreen, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    made = tmp_path / "en_US.UTF-8"
    subprocess.run(["localedef", "-i", "en_US", "-f", "UTF-8", made], stderr=subprocess.DEVNULL)
    if not (made / "LC_TIME").exists():  # the exit code of localedef tells nothing of that
        pytest.skip("there is nothing here to make a locale of")
    hank = open_screen(fake, *arguments, LOCPATH=str(tmp_path), LC_TIME=made.name)
    fake.accept_and_log_in().push_message("dale", "hi hank")
    hank.wait_until_shown(r"\d\d:\d\d [AP]M.* dale\b.*hi hank" if arguments else "@dale")
    if not arguments:
        hank.press("alt-1")
        hank.wait_until_shown(r"\d\d:\d\d [AP]M +dale │ hi hank")


def test_line_mode_where_it_is_asked_for_or_the_terminal_can_no_more(fake: FakeServer, open_screen: OpenScreen) -> None:
    for arguments, env in ((("--plain",), {}), ((), {"TERM": "dumb"})):
        hank = open_screen(fake, *arguments, **env)
        fake.accept_and_log_in()
        hank.wait_for("You are hank")
        assert b"\x1b" not in hank.raw
        assert os.get_terminal_size(hank.master).columns == 100
