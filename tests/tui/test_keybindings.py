"""The table of keys: each is bound, is told once, and does what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.terminal.tui.keybindings import KEY_BINDINGS, format_key_help
from gmessenger.terminal.tui.model import ConnectionPhase, Model
from tests.support.tui import TuiSession, add_message


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[TuiSession]:
    book = Model("hank")
    book.connection.phase = ConnectionPhase.CONNECTED
    for name in ("#dev", "#random", "dale", "Дима"):
        book.open(name)
    dev = book.open("#dev")
    for number in range(60):
        add_message(dev, f"message {number}", seq=1000 + number)
    dale = book.open("dale")
    dale.count_unread(add_message(dale, "psst", is_mention=True))
    random = book.open("#random")
    random.count_unread(add_message(random, "anybody?"))
    book.switch_to(dev)
    with TuiSession(tmp_path, book, 90, 24) as sitting:
        sitting.actions.names = ["dale", "Дима", "dora"]
        sitting.actions.rooms = ["#sewing"]
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
def test_to_another_conversation(sitting: TuiSession, typed: str, name: str) -> None:
    sitting.type(typed)
    sitting.wait_until(lambda: sitting.model.current.name == name)
    if name != "#dev":
        sitting.wait_until(lambda: sitting.actions.calls_of("look_at")[-1] == name)


def test_scrolling_asks_for_earlier_messages_once_at_the_top(sitting: TuiSession) -> None:
    dev = sitting.model.current
    sitting.type("\x1b[5~")
    sitting.wait_for("-- MORE (19) --")
    assert not sitting.ui.at_bottom and not sitting.actions.calls_of("earlier")
    sitting.type("\x1b[1;5H")
    sitting.wait_until(lambda: sitting.actions.calls_of("earlier") == ["#dev"])
    dev.is_loading = True
    sitting.type("\x1b[5~\x1b[5~")
    sitting.wait_for("being fetched")
    dev.is_loading, dev.is_complete = False, True
    sitting.type("\x1b[5~")
    sitting.wait_for("the beginning")
    assert sitting.actions.calls_of("earlier") == ["#dev"] and not sitting.actions.calls_of("seen")
    sitting.type("\x1b[6~\x1b[1;5B\x1b[1;5A\x1b[1;5F")
    sitting.wait_until(lambda: sitting.actions.calls_of("seen") and sitting.ui.at_bottom)


def test_what_one_sends_brings_the_newest_into_sight(sitting: TuiSession) -> None:
    sitting.type("\x1b[5~")
    sitting.wait_for("-- MORE")
    sitting.type("hello\r")
    sitting.wait_until_gone("-- MORE")
    assert sitting.ui.at_bottom and sitting.actions.calls_of("seen")


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
def test_completion(sitting: TuiSession, typed: str, draft: str) -> None:
    for key in typed.replace("\x1b[Z", "\x00").replace("\x1b0", "\x01"):
        sitting.type({"\x00": "\x1b[Z", "\x01": "\x1b0"}.get(key, key))
        sitting.wait_for_redraw()
    sitting.wait_until(lambda: sitting.ui.draft == draft, f"{sitting.ui.draft!r} is not {draft!r}")


def test_commands_are_offered_as_one_types_with_what_they_do(sitting: TuiSession) -> None:
    sitting.type("/to")
    sitting.wait_for("show or set the topic")
    sitting.type("\r")
    sitting.wait_until(lambda: sitting.actions.calls_of("submit") == ["/to"])
    sitting.type("/mu")
    sitting.wait_for_redraw()
    assert "/mute" not in sitting.text
    sitting.type("\x7f\x7f\x7f")
    sitting.model.is_operator = True
    sitting.type("/mu")
    sitting.wait_for("mute a user: their messages are refused")


def test_what_was_typed_before(sitting: TuiSession) -> None:
    for number, text in enumerate(("one", "two\x1b\rlines", "three")):
        sitting.type(text + "\r")
        sitting.wait_until(lambda number=number: len(sitting.actions.calls_of("submit")) > number)
        sitting.wait_for_redraw()
    sitting.type("\x1b[A\x1b[A")
    sitting.wait_for("lines")
    sitting.type("\x1b[A")  # within the text, as there are several lines
    sitting.wait_for_redraw()
    assert sitting.ui.draft == "two\nlines"
    sitting.type("\x1b[A")
    sitting.wait_for("] one")
    sitting.type("\x03")
    sitting.wait_until_gone("] one")
    sitting.type("\x12thr")
    sitting.wait_for("I-search backward: thr")
    sitting.type("\r")
    sitting.wait_until_gone("I-search")
    assert sitting.ui.draft == "three" and len(sitting.actions.calls_of("submit")) == 3


def test_the_text_alone_and_everything_again(sitting: TuiSession) -> None:
    sitting.type("\x1bl")
    sitting.wait_until_gone("@dale")
    assert "\nmessage 59\n" in sitting.text
    sitting.type("\x1bl")
    sitting.wait_for("@dale")


def test_drawing_anew_brings_back_what_somebody_else_has_overwritten(sitting: TuiSession) -> None:
    sitting.screen_output.screen.draw("garbage")
    sitting.wait_for("garbage")
    sitting.type("\x0c")
    sitting.wait_until_gone("garbage")


def test_a_key_that_fails_is_told_and_the_rest_goes_on(sitting: TuiSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitting.actions, "submit", lambda text: 1 / 0)
    sitting.type("x\r")
    sitting.wait_for("(ZeroDivisionError)")
    sitting.type("still here")
    sitting.wait_for("[#dev] still here")


def test_an_invitation_is_not_remembered(sitting: TuiSession, tmp_path: Path) -> None:
    for number, text in enumerate(("/register s3cret", "/register", "hi")):
        sitting.type(text + "\r")
        sitting.wait_until(lambda number=number: len(sitting.actions.calls_of("submit")) > number)
    assert (tmp_path / "history").read_text() == "/register\nhi\n"
