"""The full screen as somebody uses it: a process on a real pty, a server that does what the test says."""

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
from tests.support.pty_screen import Viewer
from tests.support.scripted_server import FakeServer, Frame, Peer
from tests.support.timeouts import PATIENCE

View = Callable[..., Viewer]
ACCOUNT = {"account": True}


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    """Sit somebody down in front of a screen: server, options, size."""
    with ExitStack() as people:

        def down(server: Any, *arguments: str, columns: int = 100, rows: int = 30, **env: str) -> Viewer:
            argv = command(server, "--name", "hank", *arguments)
            return people.enter_context(Viewer(argv, tmp_path / "client.log", columns, rows, **env))

        yield down


def seated(fake: FakeServer, view: View, *arguments: str, **more: Any) -> tuple[Viewer, Peer]:
    """Hank, connected, turned to his conversation with Dale."""
    hank = view(fake, *arguments, **more)
    peer = fake.enter(greeting="Be kind.")
    hank.shows("connected")
    hank.types("/msg dale\r")
    hank.shows(r"@dale.*$")
    return hank, peer


def said(peer: Peer) -> Frame:
    """The next message; what the client asks by itself meanwhile is not known here."""
    while (frame := peer.read()).get("action") != "msg":
        peer.answer(frame, 400, code="unknown_action", error="Unknown.")
    return frame


def test_it_shows_who_and_where_and_ends_as_the_seed_did(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    hank.shows("● connected")
    hank.shows(r"\[hank\]")
    hank.types("hello, Борис 👍\r")
    message = said(peer)
    assert (message["to"], message["message"]) == ("dale", "hello, Борис 👍")
    hank.shows("hello, Борис 👍 +…")
    peer.answer(message, 200, seq=1)
    hank.shows("hello, Борис 👍 +✓")
    peer.send({"action": "delivered", "with": "dale", "seq": 1})
    hank.shows("hello, Борис 👍 +✓✓")
    peer.say("dale", "hi hank")
    hank.shows(r"dale │ hi hank")
    hank.types("3\r")
    assert hank.leaves() == 0
    assert hank.restored


@pytest.mark.parametrize(
    ("word", "shown"), [("2", "list the commands"), ("help", "list the commands"), ("/hlep", "/help")]
)
def test_the_words_of_the_seed_and_those_that_were_nearly_right(
    fake: FakeServer, view: View, word: str, shown: str
) -> None:
    hank, _ = seated(fake, view)
    hank.types(f"{word}\r")
    hank.shows(shown)


def test_a_refused_message_says_why_and_is_taken_back(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    hank.types("anybody?\r")
    peer.answer(said(peer), 404, code="never_seen", error="Nobody of that name was ever here.")
    hank.shows("✗ .*Alt-e")
    hank.press("alt-e")
    hank.types(" again\r")
    assert said(peer)["message"] == "anybody? again"


def test_a_paste_of_several_lines_waits_to_be_sent(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    hank.pastes("one\ntwo\tand\nthree")
    hank.shows(r"^three")
    hank.press("enter")
    assert said(peer)["message"] == "one\ntwo\tand\nthree"


@pytest.mark.parametrize("size", [(200, 50), (50, 15), (20, 6)])
def test_it_takes_any_size(fake: FakeServer, view: View, size: tuple[int, int]) -> None:
    hank, peer = seated(fake, view)
    peer.say("dale", "before")
    hank.shows("before")
    hank.types("a draft")
    hank.resize(*size)
    peer.say("dale", "after")
    hank.shows("after")
    hank.shows("a draft")
    assert len(hank.screen.display) == size[1]


def test_what_is_typed_while_the_line_is_down_is_sent_when_it_is_back(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    hank.types("half a li")
    peer.close()
    hank.shows("offline|reconnecting")
    hank.types("ne\r")
    hank.shows("half a line +…")
    hank.types("the next one")
    again = fake.enter()
    message = said(again)
    assert message["message"] == "half a line"
    again.answer(message, 202)
    hank.shows("half a line +✓")
    hank.shows("● connected")
    hank.shows(r"\] the next one$")


def test_five_hundred_messages_while_typing_leave_the_draft_alone(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    text = "the quick brown fox"
    for number in range(500):
        peer.say("dale", f"number {number}")
        if number % 20 == 0:
            hank.types(text[number // 20 : number // 20 + 1])
    hank.shows("number 499")
    hank.shows(rf"\] {text}$")
    hank.press("enter")
    assert said(peer)["message"] == text


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 0), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=lambda each: getattr(each, "name", None),
)
def test_signals_end_it_and_the_terminal_is_as_it_was(
    fake: FakeServer, view: View, number: signal.Signals, code: int
) -> None:
    hank, _ = seated(fake, view)
    hank.signal(number)
    assert hank.leaves() == code
    assert hank.restored


def test_stopped_for_a_while_it_has_the_terminal_again_and_says_what_it_missed(fake: FakeServer, view: View) -> None:
    """As a machine that slept, whose lines are gone; and as a shell leaves a terminal that it had meanwhile."""
    hank, peer = seated(fake, view)
    hank.signal(signal.SIGSTOP)
    while ") T " not in Path(f"/proc/{hank.process.pid}/stat").read_text():
        gevent.sleep(0.01)
    modes = termios.tcgetattr(hank.master)
    modes[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(hank.master, termios.TCSANOW, modes)
    hank.screen.reset()
    peer.close()
    hank.signal(signal.SIGCONT)
    hank.shows(r"@dale")
    assert not hank.modes[3] & (termios.ICANON | termios.ECHO)
    hank.types("what did I miss?\rhalf a line")
    again = fake.enter()
    again.answer(said(again), 202)
    hank.shows(r"caught up: 1 of your messages was sent$")
    hank.shows(r"\] half a line$")


def test_ctrl_c_empties_the_line_then_warns_and_leaves_then(fake: FakeServer, view: View) -> None:
    hank, _ = seated(fake, view)
    hank.types("not this")
    hank.press("ctrl-c")
    hank.hides("not this")
    hank.press("ctrl-c")
    hank.shows("press Ctrl-C again to quit")
    hank.types("still here")
    hank.shows("still here$")
    hank.press("ctrl-c", "ctrl-c")
    assert hank.leaves() == 0
    assert hank.restored


def test_a_terminal_that_hangs_up_ends_it(fake: FakeServer, view: View) -> None:
    hank, _ = seated(fake, view)
    hank.hang_up()
    assert hank.process.wait(timeout=PATIENCE) == 129


def until_saved(folder: Path, *texts: bytes) -> None:
    """Wait until all of it is in files there (those with a dot are not whole yet)."""
    ends_at = time.monotonic() + TIMEOUT
    while not all(
        any(text in file.read_bytes() for file in folder.glob("drafts/*") if not file.suffix) for text in texts
    ):
        assert time.monotonic() < ends_at, "the drafts are not saved"
        gevent.sleep(0.02)


def test_drafts_are_there_again_after_a_crash(fake: FakeServer, view: View, tmp_path: Path) -> None:
    hank, _ = seated(fake, view)
    hank.types("for dale")
    hank.press("alt-0")
    hank.hides("for dale")
    hank.types("/msg peggy\r")
    hank.shows("@peggy")
    hank.types("for peggy")
    hank.shows("for peggy$")
    hank.press("alt-0")
    hank.hides("for peggy")
    until_saved(tmp_path, b"for dale", b"for peggy")
    hank.process.kill()
    hank.process.wait()
    again = view(fake)
    fake.enter()
    again.shows("● connected")
    again.shows("@dale")
    again.types("/msg dale\r")
    again.shows("for dale$")
    again.press("alt-0")
    again.types("/msg peggy\r")
    again.shows("for peggy$")


def test_strangers_cannot_disturb_the_screen(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view)
    for text in ("\x1b[2J\x1b]0;pwned\x07gone", "\u202eevil", "a" + "\u0301" * 500, "🇩🇪👨‍👩‍👧‍👦 flags", "w" * 10_000):
        peer.say("dale", text)
    peer.say("dale", "the end")
    hank.shows("the end")
    hank.types("still here")
    hank.shows(r"\] still here$")
    assert b"\x1b]" not in hank.raw


def test_without_colours_there_are_none(fake: FakeServer, view: View) -> None:
    hank, peer = seated(fake, view, NO_COLOR="1")
    peer.say("dale", "hi")
    hank.shows("hi$")
    assert not re.search(rb"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[;m]", hank.raw)


@pytest.mark.skipif(which("localedef") is None, reason="there is no way here to have a locale")
@pytest.mark.parametrize("arguments", [(), ("--plain",)])
def test_times_are_those_of_the_locale(
    fake: FakeServer, view: View, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    made = tmp_path / "en_US.UTF-8"
    subprocess.run(["localedef", "-i", "en_US", "-f", "UTF-8", made], stderr=subprocess.DEVNULL)
    if not (made / "LC_TIME").exists():  # the exit code of localedef tells nothing of that
        pytest.skip("there is nothing here to make a locale of")
    hank = view(fake, *arguments, LOCPATH=str(tmp_path), LC_TIME=made.name)
    fake.enter().say("dale", "hi hank")
    hank.shows(r"\d\d:\d\d [AP]M.* dale\b.*hi hank" if arguments else "@dale")
    if not arguments:
        hank.press("alt-1")
        hank.shows(r"\d\d:\d\d [AP]M +dale │ hi hank")


def test_line_mode_where_it_is_asked_for_or_the_terminal_can_no_more(fake: FakeServer, view: View) -> None:
    for arguments, env in ((("--plain",), {}), ((), {"TERM": "dumb"})):
        hank = view(fake, *arguments, **env)
        fake.enter()
        hank.sees("You are hank")
        assert b"\x1b" not in hank.raw
        assert os.get_terminal_size(hank.master).columns == 100
