"""The screen as a whole: keys in, rows out."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gevent
import pytest

from gmessenger import log
from gmessenger.sanitize import sanitize_lines
from gmessenger.terminal.tui import keybindings
from gmessenger.terminal.tui.app import TuiOptions
from gmessenger.terminal.tui.conversation import MessageState
from gmessenger.terminal.tui.graphemes import width
from gmessenger.terminal.tui.model import ConnectionPhase, ConnectionState, Model
from gmessenger.terminal.tui.panes import Panes
from tests.support.tui import TuiSession, add_message

COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[34]8;5;")
HOSTILE: Final = (
    "flags 🇩🇪🇫🇷 next",
    "family 👨‍👩‍👧 next",
    "thumb 👍🏽 next",
    "heart ❤️ next",
    "zalgo Z" + "\u0301" * 100 + " next",
    "conjunct क्ष next",
    "\x1b[2J\x1b]0;title\x07\x9b31m\x85\u202egnp\u2066",
    "語" * 500,
    "https://example.org/" + "a" * 500,
    "a\n" * 100,
)


@pytest.fixture
def model() -> Model:
    model = Model("hank")
    model.connection.phase = ConnectionPhase.CONNECTED
    dev = model.open("#dev")
    dev.topic = "the build"
    dev.members = {"dale": "Dale", "hank": "hank"}
    add_message(dev, "who broke it?")
    add_message(model.open("dale"), "psst")
    return model


@pytest.fixture
def screen(tmp_path: Path, model: Model) -> Iterator[TuiSession]:
    with TuiSession(tmp_path, model, 110, 24) as screen:
        yield screen


def test_what_is_typed_is_submitted_and_the_line_is_empty_again(screen: TuiSession) -> None:
    screen.type("hello")
    screen.wait_for("[gmessenger] hello")
    screen.type("\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == ["hello"])
    assert screen.model.home.draft == "" == screen.ui.draft


def test_conversations_and_members_are_beside_the_text(screen: TuiSession) -> None:
    screen.type("\x1b1")
    screen.wait_for("who broke it?")
    assert screen.lines[0].startswith(" #dev  the build")
    assert any(line.startswith("> 1 #dev") for line in screen.lines)
    assert any(line.endswith("●hank") for line in screen.lines)
    assert screen.actions.calls_of("look_at") == ["#dev"]
    screen.resize(69, 24)
    assert screen.lines[1].strip() == "" and "@dale" not in screen.text and "●hank" not in screen.text


def test_a_draft_belongs_to_its_conversation(screen: TuiSession) -> None:
    screen.type("for home")
    screen.wait_until(lambda: screen.model.home.draft == "for home")
    screen.type("\x1b1")
    screen.wait_for("[#dev]")
    assert screen.ui.draft == ""
    screen.type("for dev\x1b0")
    screen.wait_for("[gmessenger] for home")
    assert screen.model.open("#dev").draft == "for dev"


def test_what_was_typed_for_one_is_never_sent_to_another(screen: TuiSession) -> None:
    """The conversation is switched between two keys, before it is redrawn."""
    screen.type("secret")
    screen.wait_until(lambda: screen.ui.draft == "secret")
    screen.model.switch_to(screen.model.open("#dev"))
    screen.type("\r")
    screen.wait_for("[#dev]")
    screen.wait_for_redraw()
    assert screen.actions.calls_of("submit") == [] and screen.model.home.draft == "secret"


def test_several_lines(screen: TuiSession) -> None:
    screen.type("one\x1b\rtwo\nthree")
    screen.wait_for("three")
    assert screen.ui.draft == "one\ntwo\nthree"
    screen.type("\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == ["one\ntwo\nthree"])


def test_what_is_pasted_stays_in_the_line(screen: TuiSession) -> None:
    screen.type("\x1b[200~one\r\ntwo\nthree\n\x1b[201~")
    screen.wait_for("three")
    assert screen.ui.draft == "one\ntwo\nthree" and not screen.actions.calls_of("submit")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n"])
def test_the_end_of_the_last_line_that_is_pasted_does_not_stay(screen: TuiSession, end: str) -> None:
    screen.type(f"\x1b[200~one\ntwo{end}\x1b[201~!\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == ["one\ntwo!"])


def test_what_is_pasted_as_an_answer_is_one_line(screen: TuiSession) -> None:
    answers: list[str | None] = []
    screen.ui.ask("Password: ", is_secret=True, on_answer=answers.append)
    screen.wait_for("Password:")
    screen.type("\x1b[200~hush\r\n\x1b[201~\r")
    screen.wait_until(lambda: answers == ["hush"])


def test_a_question_comes_in_place_of_the_line(screen: TuiSession, tmp_path: Path) -> None:
    answers: list[str | None] = []
    screen.type("half a sen")
    screen.wait_for("half a sen")
    for number in (1, 2, 3):
        screen.ui.ask(f"Password {number}: ", is_secret=True, on_answer=answers.append)
    screen.wait_for("Password 1:")
    screen.type("hush\r")
    screen.wait_for("Password 2:")
    assert "hush" not in screen.text
    screen.type("x\x03")
    screen.wait_for("Password 3:")
    screen.type("\x1b")
    screen.wait_for("half a sen")
    assert answers == ["hush", None, None]
    screen.type("tence\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == ["half a sentence"])
    assert (tmp_path / "history").read_text() == "half a sentence\n"


def test_who_is_not_answered_in_the_end_hears_so(tmp_path: Path, model: Model) -> None:
    answers: list[str | None] = []
    with TuiSession(tmp_path, model) as screen:
        screen.ui.ask("Sure? ", is_secret=False, on_answer=answers.append)
        screen.wait_for("Sure?")
    assert answers == [None]


def test_a_refused_message_comes_back(screen: TuiSession) -> None:
    entry = add_message(screen.model.open("dale"), "too long", sender="hank", is_own=True)
    entry.set_state(MessageState.REJECTED, "Nobody of that name.")
    screen.type("\x1b2")
    screen.wait_for("✗ Nobody of that name. (Alt-e edits it)")
    screen.actions.rejected = "too long"
    screen.type("\x1be")
    screen.wait_for("[@dale] too long")


def test_leaving_and_giving_up(screen: TuiSession) -> None:
    screen.type("words\x03")
    screen.wait_until_gone("words")
    assert not screen.actions.calls_of("interrupt")
    screen.type("\x03\x04")
    screen.wait_until(
        lambda: screen.actions.calls_of("leave") == [None] and screen.actions.calls_of("interrupt") == [None]
    )
    screen.wait_for_redraw()
    screen.type("\x1b[A")
    screen.wait_for("[gmessenger] words")


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 69, 70, 80, 99, 100, 140, 220])
@pytest.mark.parametrize("rows", [4, 15, 50])
def test_every_size(tmp_path: Path, model: Model, columns: int, rows: int) -> None:
    model.switch_to(model.open("#dev"))
    with TuiSession(tmp_path, model, columns, rows) as screen:
        screen.wait_for("#dev")
        assert "connected" in screen.text
        assert rows < 15 or "who broke it?" in screen.text
        assert ("@dale" in screen.text) == (columns >= 70 and rows > 4)
        assert ("●hank" in screen.text) == (columns >= 100)


def test_the_bell(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    with TuiSession(tmp_path, model) as screen:
        screen.ui.ring("dale: hi")
        screen.wait_until(lambda: "\a" in screen.screen_output.raw)
        assert "\x1b]9" not in screen.screen_output.raw
    with TuiSession(tmp_path, model, options=TuiOptions(bell=False, notifications=True)) as screen:
        screen.ui.ring("dale: \x1b\x07hi\x9c")
        screen.wait_until(lambda: "\x1b]9;dale: ^[^Ghi<9c>\a" in screen.screen_output.raw)
        monkeypatch.setenv("TMUX", "/tmp/tmux")
        screen.ui.ring("twice")
        screen.wait_until(lambda: "\x1bPtmux;\x1b\x1b]9;twice\a\x1b\\" in screen.screen_output.raw)


def test_without_colours_there_are_none(tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model.switch_to(model.open("#dev"))
    with TuiSession(tmp_path, model) as screen:
        screen.wait_for("who broke it?")
        assert COLOUR.search(screen.screen_output.raw)
    monkeypatch.setenv("NO_COLOR", "1")
    with TuiSession(tmp_path, model) as screen:
        screen.wait_for("who broke it?")
        assert not COLOUR.search(screen.screen_output.raw) and "\x1b[0;7m" in screen.screen_output.raw


def test_the_seconds_to_the_next_try_are_counted(tmp_path: Path, model: Model) -> None:
    model.connection = ConnectionState(ConnectionPhase.LOST, time.time() + 1.5, "broken")
    with TuiSession(tmp_path, model) as screen:
        screen.actions.pending = 2
        screen.wait_for("offline, next try in")
        screen.wait_for("[2 waiting]")
        screen.wait_for("reconnecting")


def test_what_is_asked_of_it_before_it_runs_is_done_then_and_nothing_after(tmp_path: Path, model: Model) -> None:
    screen = TuiSession(tmp_path, model)
    screen.ui.draft = "left from last time"
    screen.ui.switch_to(model.open("#dev"))
    with screen:
        screen.wait_for("[#dev]")
        assert model.home.draft == "left from last time"
    screen.ui.invalidate()
    screen.ui.ring()
    screen.ui.draft = "too late"
    screen.ui.stop()
    assert screen.ui.draft == ""


def test_stopped_before_it_runs(tmp_path: Path, model: Model) -> None:
    screen = TuiSession(tmp_path, model)
    screen.ui.stop()
    screen.ui.run()


def test_what_is_written_to_stderr_meanwhile_goes_into_the_log(
    tmp_path: Path, model: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.LOGGER, "propagate", True)
    with TuiSession(tmp_path, model) as screen:
        before = screen.text
        print("a library complains", file=sys.stderr)
        gevent.spawn(lambda: 1 / 0).join()
        screen.wait_for_redraw()
        assert screen.text == before
    lines = [record.fields["line"] for record in caplog.records if record.message == "stray_output"]
    assert lines[0] == "a library complains" and any("ZeroDivisionError" in line for line in lines)


def test_hostile_text_stays_in_its_place(tmp_path: Path, model: Model) -> None:
    """Drawn step by step or all at once, the screen is the same."""
    dale = model.open("dale")
    model.switch_to(dale)
    with TuiSession(tmp_path, model, 100, 30) as screen:
        for text in HOSTILE:
            add_message(dale, sanitize_lines(text))
            screen.wait_for_redraw()
        screen.type("\x1b[5~")
        screen.wait_for("MORE")
        bit_by_bit = screen.lines
        screen.screen_output.raw = ""
        screen.type("\x0c")
        screen.wait_until(lambda: "\x1b[2J" in screen.screen_output.raw)
        screen.wait_until(lambda: screen.lines == bit_by_bit, "it is drawn otherwise")
        assert all(line[20:21] == "│" for line in bit_by_bit[1:-2])


@pytest.mark.parametrize(
    ("pasted", "shown"),
    [
        ("flag 🇩🇪 heart ❤️ family 👨‍👩‍👧 end", "flag DE heart ❤ family 👨 end"),
        ("a\tb \x1b[2J \u202egnp", "a    b ^[[2J <202e>gnp"),
        ("Z" + "\u0301" * 50 + " क्ष", "Z" + "\u0301" * 4 + " क्\u200cष"),
    ],
)
def test_what_is_written_is_shown_in_its_cells_and_sent_as_it_is(screen: TuiSession, pasted: str, shown: str) -> None:
    screen.type(f"\x1b[200~{pasted}\x1b[201~")
    screen.type("!\x1b[D\x1b[D\x1b[Cx")
    screen.wait_for("x!")
    emulator, line = screen.screen_output.screen, screen.lines[-1]
    assert unicodedata.normalize("NFC", line.replace("  ", " ")).endswith("x!")
    assert emulator.cursor.x == width(f"[gmessenger] {shown}x")
    screen.type("\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == [f"{pasted}x!"])


def test_a_paste_of_a_whole_book_is_refused_in_words(screen: TuiSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keybindings, "MAX_INPUT", 1000)
    screen.type("before\x1b[200~" + "x" * 995 + "\x1b[201~")
    screen.wait_for("Not pasted: that is 995 characters.")
    assert screen.ui.draft == "before"


def test_what_cannot_be_drawn_at_all_is_told_of_once_and_does_not_turn_in_circles(
    screen: TuiSession, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[None] = []

    def fail(panes: Panes, columns: int) -> list[Any]:
        attempts.append(None)
        raise ValueError("what a title")

    monkeypatch.setattr(Panes, "title", fail)
    screen.ui.invalidate()
    screen.wait_until(lambda: attempts)
    gevent.sleep(0.3)  # in which it would be tried thirty times
    assert len(attempts) < 10
    assert sum("ValueError" in entry.text for entry in model.home.entries) == 1
    monkeypatch.undo()
    screen.wait_for("Internal error")
