"""The command table: what a typed line means."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.terminal.commands import COMMANDS, SLASHED, WORDS, Mistake, Order, Text, help_text, hint, understand


class Desk:
    """Writes down what it is told to do."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def __getattr__(self, what: str) -> Callable[..., None]:
        return lambda *arguments: self.done.append((what, *arguments))


@pytest.mark.parametrize(
    ("line", "done"),
    [
        ("/msg dale hi there ", ("message", "dale", "hi there ")),
        ("/msg  dale  two spaces", ("message", "dale", " two spaces")),
        ("/message dale hi", ("message", "dale", "hi")),
        ("/msg dale", ("message", "dale", "")),
        ("/msg", ("ask_for_message",)),
        ("1", ("ask_for_message",)),
        (" message ", ("ask_for_message",)),
        ("/msg #dev hi", ("message", "#dev", "hi")),
        ("/join #dev ", ("join", "#dev")),
        ("/leave", ("leave_room", "")),
        ("/leave #dev", ("leave_room", "#dev")),
        ("/rooms", ("rooms",)),
        ("/members", ("members", "")),
        ("/names #dev", ("members", "#dev")),
        ("/query dale", ("message", "dale", "")),
        ("/part", ("leave_room", "")),
        ("/topic", ("topic", "")),
        ("/topic be kind ", ("topic", "be kind ")),
        ("/history", ("history", 20)),
        ("/history 5", ("history", 5)),
        ("/search two words", ("search", "two words")),
        ("/register", ("register", "")),
        ("/register token", ("register", "token")),
        ("/users", ("users",)),
        ("/users ", ("users",)),
        ("/status out to lunch", ("status", "out to lunch")),
        ("/block dale", ("block", "dale")),
        ("/unblock dale ", ("unblock", "dale")),
        ("/blocks", ("blocks",)),
        ("/kick dale", ("kick", "dale", "")),
        ("/kick dale  calm down ", ("kick", "dale", "calm down")),
        ("/mute dale", ("mute", "dale", None)),
        ("/mute dale 10", ("mute", "dale", 10)),
        ("/unmute dale", ("unmute", "dale")),
        ("/ban dale spam", ("ban", "dale", "spam", None)),
        ("/ban dale 2h  spam and ham", ("ban", "dale", "spam and ham", 120)),
        ("/ban dale 30", ("ban", "dale", "", 30)),
        ("/ban dale 7d", ("ban", "dale", "", 10_080)),
        ("/ban dale 2 much", ("ban", "dale", "much", 2)),
        ("/ban dale 7days", ("ban", "dale", "7days", None)),
        ("/ban 203.0.113.0/24", ("ban", "203.0.113.0/24", "", None)),
        ("/unban dale", ("unban", "dale")),
        ("/bans", ("bans",)),
        ("/close", ("hide",)),
        ("/close #dev", ("close_room", "#dev")),
        ("/open #dev", ("open_room", "#dev")),
        ("/again", ("again", "")),
        ("/again shorter now ", ("again", "shorter now ")),
        ("/hide", ("hide",)),
        ("/keys", ("keys",)),
        ("2", ("help",)),
        ("help", ("help",)),
        ("/help", ("help",)),
        ("3", ("leave",)),
        ("exit", ("leave",)),
        ("/quit", ("leave",)),
        ("/exit", ("leave",)),
    ],
)
def test_orders(line: str, done: tuple[Any, ...]) -> None:
    desk = Desk()
    order = understand(line)
    assert isinstance(order, Order)
    order.carry_out(desk)
    assert desk.done == [done]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("hello", "hello"),
        ("help me", "help me"),
        ("exit 3", "exit 3"),
        ("1 2 3", "1 2 3"),
        ("  indented", "  indented"),
        ("//etc/passwd", "/etc/passwd"),
        ("///", "//"),
        ("", ""),
        ("a /quit", "a /quit"),
    ],
)
def test_texts(line: str, text: str) -> None:
    assert understand(line) == Text(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/mgs dale hi", "Did you mean /msg?"),
        ("/usres", "Did you mean /users?"),
        ("/qiut", "Did you mean /quit?"),
        ("/home/hank", "sends a text that begins with a slash"),
        ("/", "/help lists"),
        ("/status", "It is: /status WORDS"),
        ("/quit now", "It is: /quit"),
        ("/join", "It is: /join #ROOM"),
        ("/history all", "It is: /history [N]"),
        ("/history 0", "It is: /history [N]"),
        ("/history 5 6", "It is: /history [N]"),
        ("/users all", "It is: /users"),
        ("/kick", "It is: /kick NAME [REASON]"),
        ("/mute dale soon", "It is: /mute NAME [MINUTES]"),
        ("/mute dale 5 6", "It is: /mute NAME [MINUTES]"),
    ],
)
def test_mistakes(line: str, said: str) -> None:
    mistake = understand(line)
    assert isinstance(mistake, Mistake) and said in mistake.sentence


def test_nobody_is_pointed_to_what_they_may_not_do() -> None:
    for operator, said in ((False, "/help lists"), (True, "Did you mean /kick?")):
        mistake = understand("/kcik dale", operator=operator)
        assert isinstance(mistake, Mistake) and said in mistake.sentence


def test_a_short_word_of_other_clients_means_nothing_else() -> None:
    mistake = understand("/me waves", operator=True)
    assert isinstance(mistake, Mistake) and "/help lists" in mistake.sentence


def test_hints() -> None:
    assert hint("hello") == "Nobody to send this to yet: write /msg NAME TEXT first."
    assert hint("users").endswith("Did you mean /users?")
    assert hint("quit").endswith("Did you mean /quit?")


def test_the_help_comes_from_the_table() -> None:
    for width in (80, 50, 36):
        text = help_text(width, "Note well.", operator=True)
        for command in COMMANDS:
            assert command.usage in text and command.what in re.sub(r"\s+", " ", text)
            assert all(word in text for word in command.words)
        assert max(map(len, text.splitlines())) < width
        assert text.split()[-2:] == ["Note", "well."]


def test_what_is_for_operators_is_shown_to_them_only() -> None:
    operating = [command.usage for command in COMMANDS if command.operators]
    ordinary, whole = help_text(200), help_text(200, operator=True)
    assert operating and all(usage in whole and usage not in ordinary for usage in operating)
    assert "/block NAME" in ordinary


def test_no_name_means_two_things() -> None:
    assert len(WORDS) == sum(len(command.words) for command in COMMANDS)
    assert len(SLASHED) == sum(len(command.slashed) for command in COMMANDS)
