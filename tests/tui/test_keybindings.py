"""The table of keys: each is bound, listed once, and does what its description says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.terminal.tui.keybindings import KEY_BINDINGS, format_key_help
from gmessenger.terminal.tui.model import ConnectionPhase, Model
from tests.support.tui import TuiSession, add_message


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[TuiSession]:
    model = Model("hank")
    model.connection.phase = ConnectionPhase.CONNECTED
    for name in ("#dev", "#random", "dale", "Дима"):
        model.open(name)
    dev = model.open("#dev")
    for number in range(60):
        add_message(dev, f"message {number}", seq=1000 + number)
    dale = model.open("dale")
    dale.add_unread(add_message(dale, "psst", is_mention=True))
    random = model.open("#random")
    random.add_unread(add_message(random, "anybody?"))
    model.switch_to(dev)
    with TuiSession(tmp_path, model, 90, 24) as screen:
        screen.actions.names = ["dale", "Дима", "dora"]
        screen.actions.rooms = ["#sewing"]
        yield screen


def test_every_row_says_what_it_does_and_no_key_is_given_twice() -> None:
    assert all(key.label and key.description for key in KEY_BINDINGS)
    assert all((key.handler is not None) == bool(key.sequences) for key in KEY_BINDINGS)
    keys = Counter(sequence for key in KEY_BINDINGS for sequence in key.sequences)
    assert set(keys.values()) == {1}
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
def test_to_another_conversation(screen: TuiSession, typed: str, name: str) -> None:
    screen.type(typed)
    screen.wait_until(lambda: screen.model.current.name == name)
    if name != "#dev":
        screen.wait_until(lambda: screen.actions.calls_of("look_at")[-1] == name)


def test_scrolling_asks_for_earlier_messages_once_at_the_top(screen: TuiSession) -> None:
    dev = screen.model.current
    screen.type("\x1b[5~")
    screen.wait_for("-- MORE (19) --")
    assert not screen.ui.at_bottom and not screen.actions.calls_of("earlier")
    screen.type("\x1b[1;5H")
    screen.wait_until(lambda: screen.actions.calls_of("earlier") == ["#dev"])
    dev.is_loading = True
    screen.type("\x1b[5~\x1b[5~")
    screen.wait_for("being fetched")
    dev.is_loading, dev.is_complete = False, True
    screen.type("\x1b[5~")
    screen.wait_for("the beginning")
    assert screen.actions.calls_of("earlier") == ["#dev"] and not screen.actions.calls_of("seen")
    screen.type("\x1b[6~\x1b[1;5B\x1b[1;5A\x1b[1;5F")
    screen.wait_until(lambda: screen.actions.calls_of("seen") and screen.ui.at_bottom)


def test_what_one_sends_brings_the_newest_into_sight(screen: TuiSession) -> None:
    screen.type("\x1b[5~")
    screen.wait_for("-- MORE")
    screen.type("hello\r")
    screen.wait_until_gone("-- MORE")
    assert screen.ui.at_bottom and screen.actions.calls_of("seen")


@pytest.mark.parametrize(
    ("typed", "draft"),
    [
        ("/jo\t", "/join "),
        ("/ex\t\t", "/exit"),
        ("/ex\t\t\x1b[Z", "/export "),
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
def test_completion(screen: TuiSession, typed: str, draft: str) -> None:
    for key in typed.replace("\x1b[Z", "\x00").replace("\x1b0", "\x01"):
        screen.type({"\x00": "\x1b[Z", "\x01": "\x1b0"}.get(key, key))
        screen.wait_for_redraw()
    screen.wait_until(lambda: screen.ui.draft == draft, f"{screen.ui.draft!r} is not {draft!r}")


def test_commands_are_offered_as_one_types_with_what_they_do(screen: TuiSession) -> None:
    screen.type("/to")
    screen.wait_for("show or set the topic")
    screen.type("\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit") == ["/to"])
    screen.type("/mu")
    screen.wait_for_redraw()
    assert "/mute" not in screen.text
    screen.type("\x7f\x7f\x7f")
    screen.model.is_operator = True
    screen.type("/mu")
    screen.wait_for("mute a user: their messages are refused")


def test_what_was_typed_before(screen: TuiSession) -> None:
    for number, text in enumerate(("one", "two\x1b\rlines", "three")):
        screen.type(text + "\r")
        screen.wait_until(lambda number=number: len(screen.actions.calls_of("submit")) > number)
        screen.wait_for_redraw()
    screen.type("\x1b[A\x1b[A")
    screen.wait_for("lines")
    screen.type("\x1b[A")  # within the text, as there are several lines
    screen.wait_for_redraw()
    assert screen.ui.draft == "two\nlines"
    screen.type("\x1b[A")
    screen.wait_for("] one")
    screen.type("\x03")
    screen.wait_until_gone("] one")
    screen.type("\x12thr")
    screen.wait_for("I-search backward: thr")
    screen.type("\r")
    screen.wait_until_gone("I-search")
    assert screen.ui.draft == "three" and len(screen.actions.calls_of("submit")) == 3


def test_the_text_alone_and_everything_again(screen: TuiSession) -> None:
    screen.type("\x1bl")
    screen.wait_until_gone("@dale")
    assert "\nmessage 59\n" in screen.text
    screen.type("\x1bl")
    screen.wait_for("@dale")


def test_drawing_anew_brings_back_what_somebody_else_has_overwritten(screen: TuiSession) -> None:
    screen.screen_output.screen.draw("garbage")
    screen.wait_for("garbage")
    screen.type("\x0c")
    screen.wait_until_gone("garbage")


def test_a_key_that_fails_is_told_and_the_rest_goes_on(screen: TuiSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen.actions, "submit", lambda text: 1 / 0)
    screen.type("x\r")
    screen.wait_for("(ZeroDivisionError)")
    screen.type("still here")
    screen.wait_for("[#dev] still here")


def test_an_invitation_is_not_remembered(screen: TuiSession, tmp_path: Path) -> None:
    for number, text in enumerate(("/register s3cret", "/register", "hi")):
        screen.type(text + "\r")
        screen.wait_until(lambda number=number: len(screen.actions.calls_of("submit")) > number)
    assert (tmp_path / "history").read_text() == "/register\nhi\n"
