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
from tests.support.tui import Sitting, say

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
    say(dev, "who broke it?")
    say(book.open("dale"), "psst")
    return book


@pytest.fixture
def sitting(tmp_path: Path, book: Model) -> Iterator[Sitting]:
    with Sitting(tmp_path, book, 110, 24) as sitting:
        yield sitting


def test_what_is_typed_is_submitted_and_the_line_is_empty_again(sitting: Sitting) -> None:
    sitting.types("hello")
    sitting.sees("[gmessenger] hello")
    sitting.types("\r")
    sitting.until(lambda: sitting.asked.of("submit") == ["hello"])
    assert sitting.book.home.draft == "" == sitting.ui.draft


def test_conversations_and_members_are_beside_the_text(sitting: Sitting) -> None:
    sitting.types("\x1b1")
    sitting.sees("who broke it?")
    assert sitting.lines[0].startswith(" #dev  the build")
    assert any(line.startswith("> 1 #dev") for line in sitting.lines)
    assert any(line.endswith("●hank") for line in sitting.lines)
    assert sitting.asked.of("look_at") == ["#dev"]
    sitting.resize(69, 24)
    assert sitting.lines[1].strip() == "" and "@dale" not in sitting.shown and "●hank" not in sitting.shown


def test_a_draft_belongs_to_its_conversation(sitting: Sitting) -> None:
    sitting.types("for home")
    sitting.until(lambda: sitting.book.home.draft == "for home")
    sitting.types("\x1b1")
    sitting.sees("[#dev]")
    assert sitting.ui.draft == ""
    sitting.types("for dev\x1b0")
    sitting.sees("[gmessenger] for home")
    assert sitting.book.open("#dev").draft == "for dev"


def test_what_was_typed_for_one_is_never_sent_to_another(sitting: Sitting) -> None:
    """The conversation changes from outside between two keys, before that is drawn."""
    sitting.types("secret")
    sitting.until(lambda: sitting.ui.draft == "secret")
    sitting.book.switch_to(sitting.book.open("#dev"))
    sitting.types("\r")
    sitting.sees("[#dev]")
    sitting.redrawn()
    assert sitting.asked.of("submit") == [] and sitting.book.home.draft == "secret"


def test_several_lines(sitting: Sitting) -> None:
    sitting.types("one\x1b\rtwo\nthree")
    sitting.sees("three")
    assert sitting.ui.draft == "one\ntwo\nthree"
    sitting.types("\r")
    sitting.until(lambda: sitting.asked.of("submit") == ["one\ntwo\nthree"])


def test_what_is_pasted_stays_in_the_line(sitting: Sitting) -> None:
    sitting.types("\x1b[200~one\r\ntwo\nthree\n\x1b[201~")
    sitting.sees("three")
    assert sitting.ui.draft == "one\ntwo\nthree" and not sitting.asked.of("submit")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n"])
def test_the_end_of_the_last_line_that_is_pasted_does_not_stay(sitting: Sitting, end: str) -> None:
    sitting.types(f"\x1b[200~one\ntwo{end}\x1b[201~!\r")
    sitting.until(lambda: sitting.asked.of("submit") == ["one\ntwo!"])


def test_what_is_pasted_as_an_answer_is_one_line(sitting: Sitting) -> None:
    answers: list[str | None] = []
    sitting.ui.ask("Password: ", is_secret=True, on_answer=answers.append)
    sitting.sees("Password:")
    sitting.types("\x1b[200~hush\r\n\x1b[201~\r")
    sitting.until(lambda: answers == ["hush"])


def test_a_question_comes_in_place_of_the_line(sitting: Sitting, tmp_path: Path) -> None:
    answers: list[str | None] = []
    sitting.types("half a sen")
    sitting.sees("half a sen")
    for number in (1, 2, 3):
        sitting.ui.ask(f"Password {number}: ", is_secret=True, on_answer=answers.append)
    sitting.sees("Password 1:")
    sitting.types("hush\r")
    sitting.sees("Password 2:")
    assert "hush" not in sitting.shown
    sitting.types("x\x03")
    sitting.sees("Password 3:")
    sitting.types("\x1b")
    sitting.sees("half a sen")
    assert answers == ["hush", None, None]
    sitting.types("tence\r")
    sitting.until(lambda: sitting.asked.of("submit") == ["half a sentence"])
    assert (tmp_path / "history").read_text() == "half a sentence\n"


def test_who_is_not_answered_in_the_end_hears_so(tmp_path: Path, book: Model) -> None:
    answers: list[str | None] = []
    with Sitting(tmp_path, book) as sitting:
        sitting.ui.ask("Sure? ", is_secret=False, on_answer=answers.append)
        sitting.sees("Sure?")
    assert answers == [None]


def test_a_refused_message_comes_back(sitting: Sitting) -> None:
    entry = say(sitting.book.open("dale"), "too long", sender="hank", is_own=True)
    entry.set_state(MessageState.REJECTED, "Nobody of that name.")
    sitting.types("\x1b2")
    sitting.sees("✗ Nobody of that name. (Alt-e edits it)")
    sitting.asked.refused = "too long"
    sitting.types("\x1be")
    sitting.sees("[@dale] too long")


def test_leaving_and_giving_up(sitting: Sitting) -> None:
    sitting.types("words\x03")
    sitting.sees_no("words")
    assert not sitting.asked.of("interrupt")
    sitting.types("\x03\x04")
    sitting.until(lambda: sitting.asked.of("leave") == [None] and sitting.asked.of("interrupt") == [None])
    sitting.redrawn()
    sitting.types("\x1b[A")
    sitting.sees("[gmessenger] words")


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 60, 69, 70, 80, 99, 100, 140, 220])
@pytest.mark.parametrize("rows", [4, 15, 50])
def test_every_size(tmp_path: Path, book: Model, columns: int, rows: int) -> None:
    book.switch_to(book.open("#dev"))
    with Sitting(tmp_path, book, columns, rows) as sitting:
        sitting.sees("#dev")
        assert "connected" in sitting.shown
        assert rows < 15 or "who broke it?" in sitting.shown
        assert ("@dale" in sitting.shown) == (columns >= 70 and rows > 4)
        assert ("●hank" in sitting.shown) == (columns >= 100)


def test_the_bell(tmp_path: Path, book: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    with Sitting(tmp_path, book) as sitting:
        sitting.ui.ring("dale: hi")
        sitting.until(lambda: "\a" in sitting.paper.raw)
        assert "\x1b]9" not in sitting.paper.raw
    with Sitting(tmp_path, book, options=TuiOptions(bell=False, notifications=True)) as sitting:
        sitting.ui.ring("dale: \x1b\x07hi\x9c")
        sitting.until(lambda: "\x1b]9;dale: ^[^Ghi<9c>\a" in sitting.paper.raw)
        monkeypatch.setenv("TMUX", "/tmp/tmux")
        sitting.ui.ring("twice")
        sitting.until(lambda: "\x1bPtmux;\x1b\x1b]9;twice\a\x1b\\" in sitting.paper.raw)


def test_without_colours_there_are_none(tmp_path: Path, book: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    book.switch_to(book.open("#dev"))
    with Sitting(tmp_path, book) as sitting:
        sitting.sees("who broke it?")
        assert COLOUR.search(sitting.paper.raw)
    monkeypatch.setenv("NO_COLOR", "1")
    with Sitting(tmp_path, book) as sitting:
        sitting.sees("who broke it?")
        assert not COLOUR.search(sitting.paper.raw) and "\x1b[0;7m" in sitting.paper.raw


def test_the_seconds_to_the_next_try_are_counted(tmp_path: Path, book: Model) -> None:
    book.connection = ConnectionState(ConnectionPhase.LOST, time.time() + 1.5, "broken")
    with Sitting(tmp_path, book) as sitting:
        sitting.asked.waiting = 2
        sitting.sees("offline, next try in")
        sitting.sees("[2 waiting]")
        sitting.sees("reconnecting")


def test_what_is_asked_of_it_before_it_runs_is_done_then_and_nothing_after(tmp_path: Path, book: Model) -> None:
    sitting = Sitting(tmp_path, book)
    sitting.ui.draft = "left from last time"
    sitting.ui.switch_to(book.open("#dev"))
    with sitting:
        sitting.sees("[#dev]")
        assert book.home.draft == "left from last time"
    sitting.ui.invalidate()
    sitting.ui.ring()
    sitting.ui.draft = "too late"
    sitting.ui.stop()
    assert sitting.ui.draft == ""


def test_stopped_before_it_runs(tmp_path: Path, book: Model) -> None:
    sitting = Sitting(tmp_path, book)
    sitting.ui.stop()
    sitting.ui.run()


def test_what_is_written_to_stderr_meanwhile_goes_into_the_log(
    tmp_path: Path, book: Model, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.LOGGER, "propagate", True)
    with Sitting(tmp_path, book) as sitting:
        before = sitting.shown
        print("a library complains", file=sys.stderr)
        gevent.spawn(lambda: 1 / 0).join()
        sitting.redrawn()
        assert sitting.shown == before
    lines = [record.fields["line"] for record in caplog.records if record.message == "stray_output"]
    assert lines[0] == "a library complains" and any("ZeroDivisionError" in line for line in lines)


def test_hostile_text_stays_in_its_place(tmp_path: Path, book: Model) -> None:
    """What was drawn bit by bit is what is drawn anew."""
    dale = book.open("dale")
    book.switch_to(dale)
    with Sitting(tmp_path, book, 100, 30) as sitting:
        for text in HOSTILE:
            say(dale, sanitize_lines(text))
            sitting.redrawn()
        sitting.types("\x1b[5~")
        sitting.sees("MORE")
        bit_by_bit = sitting.lines
        sitting.paper.raw = ""
        sitting.types("\x0c")
        sitting.until(lambda: "\x1b[2J" in sitting.paper.raw)
        sitting.until(lambda: sitting.lines == bit_by_bit, "it is drawn otherwise")
        assert all(line[20:21] == "│" for line in bit_by_bit[1:-2])


@pytest.mark.parametrize(
    ("pasted", "shown"),
    [
        ("flag 🇩🇪 heart ❤️ family 👨‍👩‍👧 end", "flag DE heart ❤ family 👨 end"),
        ("a\tb \x1b[2J \u202egnp", "a    b ^[[2J <202e>gnp"),
        ("Z" + "\u0301" * 50 + " क्ष", "Z" + "\u0301" * 4 + " क्\u200cष"),
    ],
)
def test_what_is_written_is_shown_in_its_cells_and_sent_as_it_is(sitting: Sitting, pasted: str, shown: str) -> None:
    sitting.types(f"\x1b[200~{pasted}\x1b[201~")
    sitting.types("!\x1b[D\x1b[D\x1b[Cx")
    sitting.sees("x!")
    screen, line = sitting.paper.screen, sitting.lines[-1]
    assert unicodedata.normalize("NFC", line.replace("  ", " ")).endswith("x!")
    assert screen.cursor.x == width(f"[gmessenger] {shown}x")
    sitting.types("\r")
    sitting.until(lambda: sitting.asked.of("submit") == [f"{pasted}x!"])


def test_a_paste_of_a_whole_book_is_refused_in_words(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keybindings, "MAX_INPUT", 1000)
    sitting.types("before\x1b[200~" + "x" * 995 + "\x1b[201~")
    sitting.sees("Not pasted: that is 995 characters.")
    assert sitting.ui.draft == "before"


def test_what_cannot_be_drawn_at_all_is_told_of_once_and_does_not_turn_in_circles(
    sitting: Sitting, book: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[None] = []

    def fails(panes: Panes, columns: int) -> list[Any]:
        tried.append(None)
        raise ValueError("what a title")

    monkeypatch.setattr(Panes, "title", fails)
    sitting.ui.invalidate()
    sitting.until(lambda: tried)
    gevent.sleep(0.3)  # in which it would be tried thirty times
    assert len(tried) < 10
    assert sum("ValueError" in entry.text for entry in book.home.entries) == 1
    monkeypatch.undo()
    sitting.sees("Internal error")
