"""Keys of a real terminal: pressed before the screen was up, and sequences that are no keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from gmessenger.terminal.tui.terminal_input import KeyParser
from tests.support.pty_client import PtyClient, command
from tests.support.scripted_server import ClientConnection, FakeServer

UNKNOWN = (
    "\x1b[99z",
    "\x1b[97;5u",
    "\x1b[27;5;106~",
    "\x1b[I",
    "\x1b[?1;2c",
    "\x1b]11;rgb:0/0/0\x07",
    "\x1bP1$r\x1b\\",
)


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("/msg dale hello\r", ["hello"]),
        ("/msg dale hello\rand more\rпривет 👍\r", ["hello", "and more", "привет 👍"]),
        ("/msg dale helo\x1b[Dl\r", ["hello"]),  # an arrow is an arrow
        ("/msg dale helpp\x7f\r", ["help"]),  # as the terminal itself edits a line
        ("/msg dale one\x1b[99z two\r", ["one two"]),
        ("/msg dale x\r\x1b\r", ["x"]),
    ],
)
def test_what_is_typed_before_the_screen_is_up_is_done(
    fake: FakeServer, log_path: Path, typed: str, texts: Sequence[str]
) -> None:
    with PtyClient(command(fake, "--name", "hank"), log_path, TERM="xterm-256color") as hank:
        peer = fake.accept()
        hank.type(typed)
        hank.wait_for("(?s)" + ".*".join("." for _ in typed if _.isalpha()))  # echoed: the terminal has it
        peer.accept_login()
        assert [_text(peer) for _ in texts] == list(texts)


def test_half_a_line_goes_on_in_the_input_line(fake: FakeServer, log_path: Path) -> None:
    with PtyClient(command(fake, "--name", "hank"), log_path, TERM="xterm-256color") as hank:
        peer = fake.accept()
        hank.type("/msg dale one\rtwo ha")
        hank.wait_for("two ha")
        peer.accept_login()
        assert _text(peer) == "one"
        hank.type("lves\r")
        assert _text(peer) == "two halves"


def test_ctrl_d_before_the_screen_is_up_leaves(fake: FakeServer, log_path: Path) -> None:
    with PtyClient(command(fake, "--name", "hank"), log_path, TERM="xterm-256color") as hank:
        peer = fake.accept()
        hank.type("/msg dale bye\r\x04")
        hank.wait_for("bye")
        peer.accept_login()
        assert _text(peer) == "bye"
        assert hank.wait_for_exit() == 0


def _text(peer: ClientConnection) -> str:
    while (frame := peer.receive()).get("action") != "msg":
        peer.respond(frame, 400, code="unknown_action", error="?")
    peer.respond(frame)
    return str(frame["message"])


def keys(*pieces: str) -> list[KeyPress]:
    found: list[KeyPress] = []
    parser = KeyParser(found.append)
    for piece in pieces:
        parser.feed(piece)
    parser.flush()
    return found


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_stands_for_no_key_is_none_and_costs_nothing_else(unknown: str) -> None:
    plain = keys("before after\r\x1b[A")
    assert keys(f"before {unknown}after\r\x1b[A") == plain
    assert keys("before ", unknown, "after\r\x1b[A") == plain
    if unknown.startswith("\x1b["):
        for index in range(1, len(unknown)):
            assert keys(f"before {unknown[:index]}", f"{unknown[index:]}after\r\x1b[A") == plain


def test_known_keys_are_what_they_were() -> None:
    assert [key.key for key in keys("\x1b[A\x1b[1;5D\x1bOP\x1b[[A\x1b")] == [
        Keys.Up,
        Keys.ControlLeft,
        Keys.F1,
        Keys.F1,
        Keys.Escape,
    ]
    assert [key.key for key in keys("\x1b[")] == [Keys.Escape, "["]  # Alt-[, and nothing more came
    assert [key.key for key in keys("\x1b[12;40R", "\x1b[<0;1;1M")] == [Keys.CPRResponse, Keys.Vt100MouseEvent]


@given(st.lists(st.sampled_from([*UNKNOWN, "word ", "\x1b[A", "\r", "ё", "\x1b[200~a\x1b[99z\nb\x1b[201~"])), st.data())
def test_any_mixture_in_any_pieces(parts: list[str], data: st.DataObject) -> None:
    """The keys are those of the known parts, pasted text is unchanged, and it does not matter where reads are split."""
    typed = "".join(parts)
    wanted = keys("".join(part for part in parts if part not in UNKNOWN))
    assert keys(typed) == wanted
    cuts = sorted(data.draw(st.sets(st.integers(0, len(typed)), max_size=4)))
    chunks = [typed[start:end] for start, end in zip([0, *cuts], [*cuts, len(typed)], strict=True)]
    if not any(part.startswith(("\x1b]", "\x1bP")) for part in parts):  # which are left out only where they come whole
        assert keys(*chunks) == wanted
