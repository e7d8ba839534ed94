"""The table of commands: parsing, suggestions and help."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gmessenger.terminal.commands import (
    COMMANDS,
    COMMANDS_BY_NAME,
    COMMANDS_BY_WORD,
    CommandError,
    ParsedCommand,
    PlainText,
    help_text,
    no_recipient_hint,
    parse_line,
)
from gmessenger.terminal.foreign_commands import FOREIGN_COMMANDS


class RecordingHandlers:
    """Handlers that record their calls."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda *arguments: self.done.append((method, *arguments))


@pytest.mark.parametrize(
    ("line", "done"),
    [
        ("/msg dale hi there ", ("message", "dale", "hi there ")),
        ("/msg  dale  two spaces", ("message", "dale", " two spaces")),
        ("/message dale hi", ("message", "dale", "hi")),
        ("/msg dale", ("message", "dale", "")),
        ("/msg", ("prompt_for_message",)),
        ("1", ("prompt_for_message",)),
        (" message ", ("prompt_for_message",)),
        ("/msg #dev hi", ("message", "#dev", "hi")),
        ("/join #dev ", ("join", "#dev")),
        ("/leave", ("leave_room", "")),
        ("/leave #dev", ("leave_room", "#dev")),
        ("/rooms", ("rooms",)),
        ("/make #dev private", ("make", "#dev private")),
        ("/rules", ("rules", "")),
        ("/rule history all", ("rule", "history all")),
        ("/role dale speaker", ("role", "dale speaker")),
        ("/invite dale", ("invite", "dale")),
        ("/shutout dale 2h caps lock", ("shut_out", "dale", "caps lock", 120)),
        ("/silence dale", ("silence", "dale", "", None)),
        ("/access", ("access", "")),
        ("/me waves ", ("action", "waves ")),
        ("/reply 12 yes, at 2", ("reply", 12, "yes, at 2")),
        ("/re yes", ("reply", None, "yes")),
        ("/edit 3 the right text", ("edit", 3, "the right text")),
        ("/edit", ("edit", None, "")),
        ("/erase 3", ("erase", 3, "")),
        ("/erase", ("erase", None, "")),
        ("/react 12 👍", ("react", 12, "👍")),
        ("/unreact 12 👍", ("unreact", 12, "👍")),
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
        ("3", ("quit",)),
        ("exit", ("quit",)),
        ("/quit", ("quit",)),
        ("/exit", ("quit",)),
        ("/QUIT", ("quit",)),
        ("/Msg dale Hi There", ("message", "dale", "Hi There")),
        ("/JOIN #Dev", ("join", "#Dev")),
        ("/Export Me file", ("export", "file")),
        ("Help", ("help",)),
        (" EXIT ", ("quit",)),
        ("/status", ("status", "")),
        ("/status Out to lunch", ("status", "Out to lunch")),
        ("/go", ("go", "")),
        ("/search #dev deploy failed", ("search", "#dev deploy failed")),
        ("/jump", ("jump", None)),
        ("/jump 12", ("jump", 12)),
        ("/list", ("rooms",)),
        ("/whois dale", ("whois", "dale")),
        ("/profile", ("profile", "", "", "")),
        ("/profile dale", ("profile", "dale", "", "")),
        ("/profile city=Arlen, Texas = home ", ("profile", "", "city", "Arlen, Texas = home")),
        ("/profile #dev url=", ("profile", "#dev", "url", "")),
        ("/j #dev", ("join", "#dev")),
        ("/w dale hi there", ("message", "dale", "hi there")),
        ("/ignore dale", ("block", "dale")),
        ("/unignore dale", ("unblock", "dale")),
        ("/q", ("quit",)),
        ("/q dale hi", ("message", "dale", "hi")),
        ("/clear", ("clear",)),
        ("/away", ("away", "")),
        ("/away back at three ", ("away", "back at three")),
        ("/back", ("back",)),
        ("/password", ("password",)),
        ("/devices", ("devices",)),
        ("/logout", ("log_out", "")),
        ("/logout all", ("log_out", "all")),
        ("/logout old phone", ("log_out", "old phone")),
    ],
)
def test_orders(line: str, done: tuple[Any, ...]) -> None:
    handlers = RecordingHandlers()
    parsed = parse_line(line)
    assert isinstance(parsed, ParsedCommand)
    parsed.run(handlers)
    assert handlers.done == [done]


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
    assert parse_line(line) == PlainText(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/mgs dale hi", "Did you mean /msg?"),
        ("/usres", "Did you mean /users?"),
        ("/USRES", "Did you mean /users?"),
        ("/qiut", "There is no command /qiut. /help lists"),
        ("/home/hank", "sends a text that begins with a slash"),
        ("/", "/help lists"),
        ("/reply", "Usage: /reply [NUMBER] TEXT"),
        ("/me", "Usage: /me TEXT"),
        ("/search", "Usage: /search [#ROOM|@NAME] WORDS"),
        ("/jump there", "Usage: /jump [N]"),
        ("/quit now", "Usage: /quit"),
        ("/join", "Usage: /join #ROOM"),
        ("/history all", "Usage: /history [N]"),
        ("/history 0", "Usage: /history [N]"),
        ("/history 5 6", "Usage: /history [N]"),
        ("/users all", "Usage: /users"),
        ("/kick", "Usage: /kick NAME [REASON]"),
        ("/mute dale soon", "Usage: /mute NAME [MINUTES]"),
        ("/mute dale 5 6", "Usage: /mute NAME [MINUTES]"),
    ],
)
def test_mistakes(line: str, expected: str) -> None:
    parsed = parse_line(line)
    assert isinstance(parsed, CommandError) and expected in parsed.message


def test_nobody_is_pointed_to_what_they_may_not_do() -> None:
    for is_operator, expected in ((False, "/unblock"), (True, "Did you mean /unmute?")):
        parsed = parse_line("/unmut dale" if is_operator else "/unblok", is_operator=is_operator)
        assert isinstance(parsed, CommandError) and expected in parsed.message


def test_a_short_word_of_other_clients_means_nothing_else() -> None:
    parsed = parse_line("/emote waves", is_operator=True)
    assert isinstance(parsed, CommandError) and "/help lists" in parsed.message


def test_hints() -> None:
    assert no_recipient_hint("hello") == "There is no recipient yet: write /msg NAME TEXT first."
    assert no_recipient_hint("users").endswith("Did you mean /users?")
    assert no_recipient_hint("quit") == no_recipient_hint("exti") == no_recipient_hint("hello")


HARMFUL = {name for name, command in COMMANDS_BY_NAME.items() if command.never_suggested}


def typos(name: str) -> Iterator[str]:
    """Yield the command with a letter missing, doubled, or swapped with the next one."""
    for index in range(1, len(name)):
        yield name[:index] + name[index + 1 :]
        yield name[:index] + name[index] + name[index:]
        yield name[:index] + name[index + 1 : index + 2] + name[index] + name[index + 2 :]


@pytest.mark.parametrize("is_operator", [False, True])
def test_what_ends_blocks_or_erases_is_never_suggested(is_operator: bool) -> None:
    assert {"/quit", "/exit", "/forget", "/block", "/kick", "/ban", "/mute", "/close", "/remove", "/leave"} <= HARMFUL
    others = ["/edt", "/exec", "/quiet", "/blck", "/frget", "/banana", "/leaf", "/partial", "/x", "/qq", "/clos"]
    for line in {*FOREIGN_COMMANDS, *others, *(typo for name in COMMANDS_BY_NAME for typo in typos(name))} - set(
        COMMANDS_BY_NAME
    ):
        for typed in (line, line.upper()):
            parsed = parse_line(typed, is_operator=is_operator)
            assert isinstance(parsed, CommandError)
            expected = parsed.message.replace(typed, "")
            assert not set(re.findall(r"/[a-z]+", expected)) & HARMFUL, (typed, expected)
            plain = no_recipient_hint(line.removeprefix("/"))
            assert not set(re.findall(r"/[a-z]+", plain)) & HARMFUL, plain


def test_words_of_other_messengers() -> None:
    assert not set(FOREIGN_COMMANDS) & set(COMMANDS_BY_NAME)
    for line, expected in {
        "/nick bob": "start again with --name NAME",
        "/LS": "/rooms lists the rooms",
        "/who": "/users lists the users",
        "/create #dev": "/make #ROOM makes a room",
        "/tell dale hi": "/msg NAME TEXT sends a direct message",
        "/slap dale": "/me TEXT says what you do",
        "/afk lunch": "/away TEXT says",
        "/retract": "/edit changes a message of yours",
        "/squelch dale": "block and unblock a user are in /help",
        "/bye": "quit the client are in /help",
        "/?": "/help lists",
    }.items():
        parsed = parse_line(line)
        assert isinstance(parsed, CommandError) and expected in parsed.message
    commands = set(re.findall(r"/[a-z]+", " ".join(FOREIGN_COMMANDS.values())))
    assert commands <= set(COMMANDS_BY_NAME)


def test_the_help_comes_from_the_table() -> None:
    for width in (80, 50, 36):
        text = help_text(width, "Note well.", is_operator=True)
        for command in COMMANDS:
            assert command.usage in text and command.description in re.sub(r"\s+", " ", text)
            assert all(word in text for word in command.bare_words)
        assert max(map(len, text.splitlines())) < width
        assert text.split()[-2:] == ["Note", "well."]


def test_what_is_for_operators_is_shown_to_them_only() -> None:
    operator_usages = [command.usage for command in COMMANDS if command.operators_only]
    user_help, operator_help = help_text(200), help_text(200, is_operator=True)
    assert operator_usages and all(usage in operator_help and usage not in user_help for usage in operator_usages)
    assert "/block NAME" in user_help


def test_where_messages_have_no_numbers_none_is_asked_for() -> None:
    assert "/react [NUMBER] EMOJI" in help_text(200)
    without = help_text(200, has_numbers=False)
    assert "/react EMOJI" in without and "NUMBER" not in without
    assert parse_line("/react", has_numbers=False) == CommandError("Usage: /react EMOJI")


def test_no_name_means_two_things() -> None:
    assert len(COMMANDS_BY_WORD) == sum(len(command.bare_words) for command in COMMANDS)
    assert len(COMMANDS_BY_NAME) == sum(len(command.names) for command in COMMANDS)
