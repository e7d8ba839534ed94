"""The table of keys: each is bound, is told once, and does what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.terminal.tui.keybindings import KEY_BINDINGS, format_key_help
from gmessenger.terminal.tui.model import ConnectionPhase, Model
from tests.support.tui import Sitting, say


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[Sitting]:
    book = Model("hank")
    book.connection.phase = ConnectionPhase.CONNECTED
    for name in ("#dev", "#random", "dale", "Дима"):
        book.open(name)
    dev = book.open("#dev")
    for number in range(60):
        say(dev, f"message {number}", seq=1000 + number)
    dale = book.open("dale")
    dale.count_unread(say(dale, "psst", is_mention=True))
    random = book.open("#random")
    random.count_unread(say(random, "anybody?"))
    book.switch_to(dev)
    with Sitting(tmp_path, book, 90, 24) as sitting:
        sitting.asked.names = ["dale", "Дима", "dora"]
        sitting.asked.rooms = ["#sewing"]
        yield sitting


def test_every_row_says_what_it_does_and_no_key_is_given_twice() -> None:
    assert all(key.label and key.description for key in KEY_BINDINGS)
    assert all((key.handler is not None) == bool(key.sequences) for key in KEY_BINDINGS)
    given = Counter(sequence for key in KEY_BINDINGS for sequence in key.sequences)
    assert set(given.values()) == {1}
    assert len({key.label for key in KEY_BINDINGS}) == len(KEY_BINDINGS)


def test_help_has_every_row() -> None:
    lines = format_key_help().split("\n")
    assert len(lines) == len(KEY_BINDINGS)
    assert all(key.label in line and key.description in line for key, line in zip(KEY_BINDINGS, lines, strict=True))
    assert max(map(len, lines)) < 80


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("\x1b0", ""),
        ("\x1b3", "dale"),
        ("\x1b9", "#dev"),
        ("\x1b[1;3B", "#random"),
        ("\x0e\x0e", "dale"),
        ("\x1b[1;3A", ""),
        ("\x10\x10", "Дима"),
        ("\x1ba", "dale"),
        ("\x1ba\x1ba", "#random"),
        ("\x1ba\x1ba\x1ba", "#random"),
    ],
)
def test_to_another_conversation(sitting: Sitting, typed: str, name: str) -> None:
    sitting.types(typed)
    sitting.until(lambda: sitting.book.current.name == name)
    if name != "#dev":
        sitting.until(lambda: sitting.asked.of("look_at")[-1] == name)


def test_scrolling_asks_for_earlier_messages_once_at_the_top(sitting: Sitting) -> None:
    dev = sitting.book.current
    sitting.types("\x1b[5~")
    sitting.sees("-- MORE (19) --")
    assert not sitting.ui.at_bottom and not sitting.asked.of("earlier")
    sitting.types("\x1b[1;5H")
    sitting.until(lambda: sitting.asked.of("earlier") == ["#dev"])
    dev.is_loading = True
    sitting.types("\x1b[5~\x1b[5~")
    sitting.sees("being fetched")
    dev.is_loading, dev.is_complete = False, True
    sitting.types("\x1b[5~")
    sitting.sees("the beginning")
    assert sitting.asked.of("earlier") == ["#dev"] and not sitting.asked.of("seen")
    sitting.types("\x1b[6~\x1b[1;5B\x1b[1;5A\x1b[1;5F")
    sitting.until(lambda: sitting.asked.of("seen") and sitting.ui.at_bottom)


def test_what_one_sends_brings_the_newest_into_sight(sitting: Sitting) -> None:
    sitting.types("\x1b[5~")
    sitting.sees("-- MORE")
    sitting.types("hello\r")
    sitting.sees_no("-- MORE")
    assert sitting.ui.at_bottom and sitting.asked.of("seen")


@pytest.mark.parametrize(
    ("typed", "draft"),
    [
        ("/jo\t", "/join "),
        ("/e\t\t", "/exit"),
        ("/e\t\t\x1b[Z", "/export "),
        ("/join #r\t", "/join #random "),
        ("/join r\t", "/join #random "),
        ("/join #se\t", "/join #sewing "),
        ("/msg д\t", "/msg Дима "),
        ("/block d\t\t", "/block dora "),
        ("/go r\t", "/go #random "),
        ("/go #\t", "/go #dev "),
        ("/go @Д\t", "/go Дима "),
        ("d\t", "dale: "),
        ("ask D\t", "ask dale "),
        ("ask @d\t\t", "ask dora "),
        ("see #r\t", "see #random "),
        ("//d\t", "//d"),
        ("\x1b0d\t", "dale "),
    ],
)
def test_completion(sitting: Sitting, typed: str, draft: str) -> None:
    for key in typed.replace("\x1b[Z", "\x00").replace("\x1b0", "\x01"):
        sitting.types({"\x00": "\x1b[Z", "\x01": "\x1b0"}.get(key, key))
        sitting.redrawn()
    sitting.until(lambda: sitting.ui.draft == draft, f"{sitting.ui.draft!r} is not {draft!r}")


def test_commands_are_offered_as_one_types_with_what_they_do(sitting: Sitting) -> None:
    sitting.types("/to")
    sitting.sees("show or set the topic")
    sitting.types("\r")
    sitting.until(lambda: sitting.asked.of("submit") == ["/to"])
    sitting.types("/mu")
    sitting.redrawn()
    assert "/mute" not in sitting.shown
    sitting.types("\x7f\x7f\x7f")
    sitting.book.is_operator = True
    sitting.types("/mu")
    sitting.sees("mute a user: their messages are refused")


def test_what_was_typed_before(sitting: Sitting) -> None:
    for number, text in enumerate(("one", "two\x1b\rlines", "three")):
        sitting.types(text + "\r")
        sitting.until(lambda number=number: len(sitting.asked.of("submit")) > number)
        sitting.redrawn()
    sitting.types("\x1b[A\x1b[A")
    sitting.sees("lines")
    sitting.types("\x1b[A")  # within the text, as there are several lines
    sitting.redrawn()
    assert sitting.ui.draft == "two\nlines"
    sitting.types("\x1b[A")
    sitting.sees("] one")
    sitting.types("\x03")
    sitting.sees_no("] one")
    sitting.types("\x12thr")
    sitting.sees("I-search backward: thr")
    sitting.types("\r")
    sitting.sees_no("I-search")
    assert sitting.ui.draft == "three" and len(sitting.asked.of("submit")) == 3


def test_the_text_alone_and_everything_again(sitting: Sitting) -> None:
    sitting.types("\x1bl")
    sitting.sees_no("@dale")
    assert "\nmessage 59\n" in sitting.shown
    sitting.types("\x1bl")
    sitting.sees("@dale")


def test_drawing_anew_brings_back_what_somebody_else_has_overwritten(sitting: Sitting) -> None:
    sitting.paper.screen.draw("garbage")
    sitting.sees("garbage")
    sitting.types("\x0c")
    sitting.sees_no("garbage")


def test_a_key_that_fails_is_told_and_the_rest_goes_on(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting.asked, "submit", lambda text: 1 / 0)
    sitting.types("x\r")
    sitting.sees("(ZeroDivisionError)")
    sitting.types("still here")
    sitting.sees("[#dev] still here")


def test_an_invitation_is_not_remembered(sitting: Sitting, tmp_path: Path) -> None:
    for number, text in enumerate(("/register s3cret", "/register", "hi")):
        sitting.types(text + "\r")
        sitting.until(lambda number=number: len(sitting.asked.of("submit")) > number)
    assert (tmp_path / "history").read_text() == "/register\nhi\n"
