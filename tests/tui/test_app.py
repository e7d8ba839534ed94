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
def book() -> Model:
    book = Model("hank")
    book.connection.phase = ConnectionPhase.CONNECTED
    dev = book.open("#dev")
    dev.topic = "the build"
    dev.members = {"dale": "Dale", "hank": "hank"}
    add_message(dev, "who broke it?")
    add_message(book.open("dale"), "psst")
    return book


@pytest.fixture
def sitting(tmp_path: Path, book: Model) -> Iterator[TuiSession]:
    with TuiSession(tmp_path, book, 110, 24) as sitting:
        yield sitting


def test_what_is_typed_is_submitted_and_the_line_is_empty_again(sitting: TuiSession) -> None:
    sitting.type("hello")
    sitting.wait_for("[gmessenger] hello")
    sitting.type("\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == ["hello"])
    assert sitting.model.home.draft == "" == sitting.ui.draft


def test_conversations_and_members_are_beside_the_text(sitting: TuiSession) -> None:
    sitting.type("\x1b1")
    sitting.wait_for("who broke it?")
    assert sitting.lines[0].startswith(" #dev  the build")
    assert any(line.startswith("> 1 #dev") for line in sitting.lines)
    assert any(line.endswith("●hank") for line in sitting.lines)
    assert sitting.actions.calls_of("look_at") == ["#dev"]
    sitting.resize(69, 24)
    assert sitting.lines[1].strip() == "" and "@dale" not in sitting.text and "●hank" not in sitting.text


def test_a_draft_belongs_to_its_conversation(sitting: TuiSession) -> None:
    sitting.type("for home")
    sitting.wait_until(lambda: sitting.model.home.draft == "for home")
    sitting.type("\x1b1")
    sitting.wait_for("[#dev]")
    assert sitting.ui.draft == ""
    sitting.type("for dev\x1b0")
    sitting.wait_for("[gmessenger] for home")
    assert sitting.model.open("#dev").draft == "for dev"


def test_what_was_typed_for_one_is_never_sent_to_another(sitting: TuiSession) -> None:
    """The conversation changes from outside between two keys, before that is drawn."""
    sitting.type("secret")
    sitting.wait_until(lambda: sitting.ui.draft == "secret")
    sitting.model.switch_to(sitting.model.open("#dev"))
    sitting.type("\r")
    sitting.wait_for("[#dev]")
    sitting.wait_for_redraw()
    assert sitting.actions.calls_of("submit") == [] and sitting.model.home.draft == "secret"


def test_several_lines(sitting: TuiSession) -> None:
    sitting.type("one\x1b\rtwo\nthree")
    sitting.wait_for("three")
    assert sitting.ui.draft == "one\ntwo\nthree"
    sitting.type("\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == ["one\ntwo\nthree"])


def test_what_is_pasted_stays_in_the_line(sitting: TuiSession) -> None:
    sitting.type("\x1b[200~one\r\ntwo\nthree\n\x1b[201~")
    sitting.wait_for("three")
    assert sitting.ui.draft == "one\ntwo\nthree" and not sitting.actions.calls_of("submit")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n"])
def test_the_end_of_the_last_line_that_is_pasted_does_not_stay(sitting: TuiSession, end: str) -> None:
    sitting.type(f"\x1b[200~one\ntwo{end}\x1b[201~!\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == ["one\ntwo!"])


def test_what_is_pasted_as_an_answer_is_one_line(sitting: TuiSession) -> None:
    answers: list[str | None] = []
    sitting.ui.ask("Password: ", is_secret=True, on_answer=answers.append)
    sitting.wait_for("Password:")
    sitting.type("\x1b[200~hush\r\n\x1b[201~\r")
    sitting.wait_until(lambda: answers == ["hush"])


def test_a_question_comes_in_place_of_the_line(sitting: TuiSession, tmp_path: Path) -> None:
    answers: list[str | None] = []
    sitting.type("half a sen")
    sitting.wait_for("half a sen")
    for number in (1, 2, 3):
        sitting.ui.ask(f"Password {number}: ", is_secret=True, on_answer=answers.append)
    sitting.wait_for("Password 1:")
    sitting.type("hush\r")
    sitting.wait_for("Password 2:")
    assert "hush" not in sitting.text
    sitting.type("x\x03")
    sitting.wait_for("Password 3:")
    sitting.type("\x1b")
    sitting.wait_for("half a sen")
    assert answers == ["hush", None, None]
    sitting.type("tence\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == ["half a sentence"])
    assert (tmp_path / "history").read_text() == "half a sentence\n"


def test_who_is_not_answered_in_the_end_hears_so(tmp_path: Path, book: Model) -> None:
    answers: list[str | None] = []
    with TuiSession(tmp_path, book) as sitting:
        sitting.ui.ask("Sure? ", is_secret=False, on_answer=answers.append)
        sitting.wait_for("Sure?")
    assert answers == [None]


def test_a_refused_message_comes_back(sitting: TuiSession) -> None:
    entry = add_message(sitting.model.open("dale"), "too long", sender="hank", is_own=True)
    entry.set_state(MessageState.REJECTED, "Nobody of that name.")
    sitting.type("\x1b2")
    sitting.wait_for("✗ Nobody of that name. (Alt-e edits it)")
    sitting.actions.rejected = "too long"
    sitting.type("\x1be")
    sitting.wait_for("[@dale] too long")


def test_leaving_and_giving_up(sitting: TuiSession) -> None:
    sitting.type("words\x03")
    sitting.wait_until_gone("words")
    assert not sitting.actions.calls_of("interrupt")
    sitting.type("\x03\x04")
    sitting.wait_until(
        lambda: sitting.actions.calls_of("leave") == [None] and sitting.actions.calls_of("interrupt") == [None]
    )
    sitting.wait_for_redraw()
    sitting.type("\x1b[A")
    sitting.wait_for("[gmessenger] words")


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 69, 70, 80, 99, 100, 140, 220])
@pytest.mark.parametrize("rows", [4, 15, 50])
def test_every_size(tmp_path: Path, book: Model, columns: int, rows: int) -> None:
    book.switch_to(book.open("#dev"))
    with TuiSession(tmp_path, book, columns, rows) as sitting:
        sitting.wait_for("#dev")
        assert "connected" in sitting.text
        assert rows < 15 or "who broke it?" in sitting.text
        assert ("@dale" in sitting.text) == (columns >= 70 and rows > 4)
        assert ("●hank" in sitting.text) == (columns >= 100)


def test_the_bell(tmp_path: Path, book: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    with TuiSession(tmp_path, book) as sitting:
        sitting.ui.ring("dale: hi")
        sitting.wait_until(lambda: "\a" in sitting.screen_output.raw)
        assert "\x1b]9" not in sitting.screen_output.raw
    with TuiSession(tmp_path, book, options=TuiOptions(bell=False, notifications=True)) as sitting:
        sitting.ui.ring("dale: \x1b\x07hi\x9c")
        sitting.wait_until(lambda: "\x1b]9;dale: ^[^Ghi<9c>\a" in sitting.screen_output.raw)
        monkeypatch.setenv("TMUX", "/tmp/tmux")
        sitting.ui.ring("twice")
        sitting.wait_until(lambda: "\x1bPtmux;\x1b\x1b]9;twice\a\x1b\\" in sitting.screen_output.raw)


def test_without_colours_there_are_none(tmp_path: Path, book: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    book.switch_to(book.open("#dev"))
    with TuiSession(tmp_path, book) as sitting:
        sitting.wait_for("who broke it?")
        assert COLOUR.search(sitting.screen_output.raw)
    monkeypatch.setenv("NO_COLOR", "1")
    with TuiSession(tmp_path, book) as sitting:
        sitting.wait_for("who broke it?")
        assert not COLOUR.search(sitting.screen_output.raw) and "\x1b[0;7m" in sitting.screen_output.raw


def test_the_seconds_to_the_next_try_are_counted(tmp_path: Path, book: Model) -> None:
    book.connection = ConnectionState(ConnectionPhase.LOST, time.time() + 1.5, "broken")
    with TuiSession(tmp_path, book) as sitting:
        sitting.actions.pending = 2
        sitting.wait_for("offline, next try in")
        sitting.wait_for("[2 waiting]")
        sitting.wait_for("reconnecting")


def test_what_is_asked_of_it_before_it_runs_is_done_then_and_nothing_after(tmp_path: Path, book: Model) -> None:
    sitting = TuiSession(tmp_path, book)
    sitting.ui.draft = "left from last time"
    sitting.ui.switch_to(book.open("#dev"))
    with sitting:
        sitting.wait_for("[#dev]")
        assert book.home.draft == "left from last time"
    sitting.ui.invalidate()
    sitting.ui.ring()
    sitting.ui.draft = "too late"
    sitting.ui.stop()
    assert sitting.ui.draft == ""


def test_stopped_before_it_runs(tmp_path: Path, book: Model) -> None:
    sitting = TuiSession(tmp_path, book)
    sitting.ui.stop()
    sitting.ui.run()


def test_what_is_written_to_stderr_meanwhile_goes_into_the_log(
    tmp_path: Path, book: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.LOGGER, "propagate", True)
    with TuiSession(tmp_path, book) as sitting:
        before = sitting.text
        print("a library complains", file=sys.stderr)
        gevent.spawn(lambda: 1 / 0).join()
        sitting.wait_for_redraw()
        assert sitting.text == before
    lines = [record.fields["line"] for record in caplog.records if record.message == "stray_output"]
    assert lines[0] == "a library complains" and any("ZeroDivisionError" in line for line in lines)


def test_hostile_text_stays_in_its_place(tmp_path: Path, book: Model) -> None:
    """What was drawn bit by bit is what is drawn anew."""
    dale = book.open("dale")
    book.switch_to(dale)
    with TuiSession(tmp_path, book, 100, 30) as sitting:
        for text in HOSTILE:
            add_message(dale, sanitize_lines(text))
            sitting.wait_for_redraw()
        sitting.type("\x1b[5~")
        sitting.wait_for("MORE")
        bit_by_bit = sitting.lines
        sitting.screen_output.raw = ""
        sitting.type("\x0c")
        sitting.wait_until(lambda: "\x1b[2J" in sitting.screen_output.raw)
        sitting.wait_until(lambda: sitting.lines == bit_by_bit, "it is drawn otherwise")
        assert all(line[20:21] == "│" for line in bit_by_bit[1:-2])


@pytest.mark.parametrize(
    ("pasted", "shown"),
    [
        ("flag 🇩🇪 heart ❤️ family 👨‍👩‍👧 end", "flag DE heart ❤ family 👨 end"),
        ("a\tb \x1b[2J \u202egnp", "a    b ^[[2J <202e>gnp"),
        ("Z" + "\u0301" * 50 + " क्ष", "Z" + "\u0301" * 4 + " क्\u200cष"),
    ],
)
def test_what_is_written_is_shown_in_its_cells_and_sent_as_it_is(sitting: TuiSession, pasted: str, shown: str) -> None:
    sitting.type(f"\x1b[200~{pasted}\x1b[201~")
    sitting.type("!\x1b[D\x1b[D\x1b[Cx")
    sitting.wait_for("x!")
    screen, line = sitting.screen_output.screen, sitting.lines[-1]
    assert unicodedata.normalize("NFC", line.replace("  ", " ")).endswith("x!")
    assert screen.cursor.x == width(f"[gmessenger] {shown}x")
    sitting.type("\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == [f"{pasted}x!"])


def test_a_paste_of_a_whole_book_is_refused_in_words(sitting: TuiSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keybindings, "MAX_INPUT", 1000)
    sitting.type("before\x1b[200~" + "x" * 995 + "\x1b[201~")
    sitting.wait_for("Not pasted: that is 995 characters.")
    assert sitting.ui.draft == "before"


def test_what_cannot_be_drawn_at_all_is_told_of_once_and_does_not_turn_in_circles(
    sitting: TuiSession, book: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[None] = []

    def fails(panes: Panes, columns: int) -> list[Any]:
        tried.append(None)
        raise ValueError("what a title")

    monkeypatch.setattr(Panes, "title", fails)
    sitting.ui.invalidate()
    sitting.wait_until(lambda: tried)
    gevent.sleep(0.3)  # in which it would be tried thirty times
    assert len(tried) < 10
    assert sum("ValueError" in entry.text for entry in book.home.entries) == 1
    monkeypatch.undo()
    sitting.wait_for("Internal error")
