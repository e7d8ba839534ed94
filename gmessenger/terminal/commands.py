"""The table of commands for all modes: parsing, usage, suggestions and help."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.attention_handlers import LEVELS
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.foreign_commands import FOREIGN_COMMANDS
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.line_terminal import MIN_TEXT_WIDTH

COLUMN_GAP: Final = 2


def format_two_columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Format rows to fit `width` columns: side by side, or one below the other if that is too narrow."""
    column = max(len(name) for name, _description in rows) + 2 * COLUMN_GAP
    is_beside = width - 1 - column >= MIN_TEXT_WIDTH
    indent = column if is_beside else 3 * COLUMN_GAP
    for name, description in rows:
        first, *rest = textwrap.wrap(description, max(width - 1 - indent, MIN_TEXT_WIDTH))
        head = f"{' ' * COLUMN_GAP}{name}"
        yield from [f"{head:<{column}}{first}"] if is_beside else [head, " " * indent + first]
        yield from (" " * indent + line for line in rest)


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """One row of the table of commands.

    bare_words: words that are the command if they stand alone on a line.
    names: words with a slash that begin a line.
    arguments: optional ones in brackets; those called N or MINUTES must be numbers.
    operators_only: hidden from other users.
    never_suggested: quits, blocks or erases something, so it is not proposed for a mistyped word.
    """

    bare_words: tuple[str, ...]
    names: tuple[str, ...]
    arguments: str
    description: str
    handler: Callable[[CommandHandlers, str], None]
    operators_only: bool = False
    never_suggested: bool = False

    def accepts(self, arguments: str) -> bool:
        """Return whether the required arguments are there, and no others."""
        if self.arguments.startswith("me") and arguments.split(" ", maxsplit=1)[0].casefold() != "me":
            return False  # must be typed out: it cannot be undone
        optional = self.arguments.startswith("[") and self.arguments.endswith("]")
        return self._has_valid_numbers(arguments.split()) and (optional or bool(self.arguments) == bool(arguments))

    def _has_valid_numbers(self, words: list[str]) -> bool:
        """Return whether the arguments that must be numbers are, and nothing follows them."""
        names = [name.strip("[]") for name in self.arguments.split()]
        if not NUMBER_ARGUMENTS.intersection(names):
            return True
        are_numbers = (_is_number(word) for name, word in zip(names, words, strict=False) if name in NUMBER_ARGUMENTS)
        return len(words) <= len(names) and all(are_numbers)

    @property
    def usage(self) -> str:
        """The name and the arguments, as help shows them."""
        return f"{self.names[0]} {_(self.arguments)}".rstrip()


NUMBER_ARGUMENTS: Final = frozenset({"N", "MINUTES"})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 4 and int(text) > 0


def _message(handlers: CommandHandlers, arguments: str) -> None:
    to, _, text = arguments.partition(" ")
    if to:
        handlers.message(to, text)
    else:
        handlers.prompt_for_message()


def _quit_or_message(handlers: CommandHandlers, arguments: str) -> None:
    """Quit, as in most programs; with a name, open a conversation, as in some."""
    if arguments.strip():
        _message(handlers, arguments)
    else:
        handlers.quit()


def _export(handlers: CommandHandlers, arguments: str) -> None:
    _, _, file = arguments.partition(" ")
    handlers.export(file.strip())


def _forget(handlers: CommandHandlers, arguments: str) -> None:
    handlers.forget()


def _kick(handlers: CommandHandlers, arguments: str) -> None:
    name, _, reason = arguments.partition(" ")
    handlers.kick(name, reason.strip())


def _mute(handlers: CommandHandlers, arguments: str) -> None:
    name, _, minutes = arguments.partition(" ")
    handlers.mute(name, int(minutes) if minutes.strip() else None)


def _ban(handlers: CommandHandlers, arguments: str) -> None:
    target, _, reason = arguments.partition(" ")
    duration, _, rest = reason.strip().partition(" ")
    minutes = _parse_minutes(duration)
    handlers.ban(target, (reason if minutes is None else rest).strip(), minutes)


def _parse_minutes(text: str) -> int | None:
    """Return the minutes that `30m`, `2h`, `7d` or a bare number stand for; None for other words."""
    found = DURATION_PATTERN.fullmatch(text)
    return int(found[1]) * MINUTES_PER_UNIT[found[2]] if found else None


def _notify(handlers: CommandHandlers, arguments: str) -> None:
    words = arguments.split()
    if not words:
        return handlers.notify_settings()
    name = "" if words[0].casefold() in LEVELS else words.pop(0)
    level = words.pop(0).casefold() if words else ""
    duration = words[-1] if words else ""
    minutes = _parse_minutes(duration)
    if level not in LEVELS or words not in ([], ["for", duration], [duration]) or (words and minutes is None):
        return handlers.show(as_notice(_("write it as in /notify #ROOM mentions, or /notify #ROOM none for 2h")))
    return handlers.notify(name, level, minutes)


def _close(handlers: CommandHandlers, room: str) -> None:
    """Close the named room; without a name, hide the conversation.

    In other programs a bare `/close` closes a window: that habit must not close a room for all its members.
    """
    if room:
        handlers.close_room(room)
    else:
        handlers.hide()


DEFAULT_HISTORY: Final = 20
DURATION_PATTERN: Final = re.compile(r"(\d{1,4})([mhd]?)", re.ASCII)
MINUTES_PER_UNIT: Final = {"": 1, "m": 1, "h": 60, "d": 1440}
"""The minutes of each unit of time."""
COMMANDS: Final = (
    ChatCommand(
        ("1", "message"),
        ("/msg", "/message", "/query", "/w"),
        "[NAME [TEXT]]",
        "write to NAME; without a name, the client asks for it",
        _message,
    ),
    ChatCommand((), ("/users",), "", "list the users who are online", lambda handlers, _: handlers.users()),
    ChatCommand(
        (),
        ("/whois", "/wi"),
        "NAME",
        "show the status of a user, since when, and the rooms you share",
        lambda handlers, name: handlers.whois(name),
    ),
    ChatCommand(
        (),
        ("/status",),
        "[WORDS]",
        "set or show your status; /status online clears it",
        lambda handlers, status: handlers.status(status),
    ),
    ChatCommand(
        (),
        ("/away",),
        "[TEXT]",
        "say that you are away, and TEXT as a note on it",
        lambda handlers, note: handlers.away(note.strip()),
    ),
    ChatCommand((), ("/back",), "", "say that you are here again", lambda handlers, _: handlers.back()),
    ChatCommand(
        (),
        ("/join", "/j"),
        "#ROOM",
        "join a room; text without a command then goes there",
        lambda handlers, room: handlers.join(room),
    ),
    ChatCommand(
        (),
        ("/leave", "/part"),
        "[#ROOM]",
        "leave a room",
        lambda handlers, room: handlers.leave_room(room),
        never_suggested=True,
    ),
    ChatCommand((), ("/rooms", "/list"), "", "list the rooms", lambda handlers, _: handlers.rooms()),
    ChatCommand(
        (),
        ("/members", "/names"),
        "[#ROOM]",
        "list the members of a room",
        lambda handlers, room: handlers.members(room),
    ),
    ChatCommand(
        (), ("/topic",), "[TEXT]", "show or set the topic of the room", lambda handlers, text: handlers.topic(text)
    ),
    ChatCommand(
        (),
        ("/history",),
        "[N]",
        "show the latest messages of this conversation",
        lambda handlers, count: handlers.history(int(count or DEFAULT_HISTORY)),
    ),
    ChatCommand(
        (),
        ("/search",),
        "[#ROOM|@NAME] WORDS",
        "search for messages with these words, everywhere or in one conversation",
        lambda handlers, words: handlers.search(words),
    ),
    ChatCommand(
        (), ("/mentions",), "", "list the newest messages that mention you", lambda handlers, _: handlers.mentions()
    ),
    ChatCommand(
        (),
        ("/jump",),
        "[N]",
        "go to search result N, or to the next one",
        lambda handlers, number: handlers.jump(int(number) if number else None),
    ),
    ChatCommand(
        (),
        ("/register",),
        "[INVITE]",
        "register your name as an account",
        lambda handlers, invite: handlers.register(invite),
    ),
    ChatCommand(
        (),
        ("/password", "/passwd"),
        "",
        "change the password of your account, which logs out your other devices",
        lambda handlers, _: handlers.password(),
    ),
    ChatCommand((), ("/devices",), "", "list your devices that are logged in", lambda handlers, _: handlers.devices()),
    ChatCommand(
        (),
        ("/logout",),
        "[DEVICE|all]",
        "log out a device, all others, or this one and quit",
        lambda handlers, device: handlers.log_out(device),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/remove",),
        "NAME",
        "remove a member from your room",
        lambda handlers, name: handlers.remove(name),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/block", "/ignore"),
        "NAME",
        "block a user: you no longer receive their messages",
        lambda handlers, name: handlers.block(name),
        never_suggested=True,
    ),
    ChatCommand((), ("/unblock", "/unignore"), "NAME", "unblock a user", lambda handlers, name: handlers.unblock(name)),
    ChatCommand((), ("/blocks",), "", "list the users you block", lambda handlers, _: handlers.blocks()),
    ChatCommand(
        (),
        ("/notify",),
        "[NAME LEVEL [TIME]]",
        "choose which messages of a conversation notify you: all, mentions or none, as in /notify #dev none 2h; alone, "
        "list the choices",
        _notify,
    ),
    ChatCommand(
        (),
        ("/highlight",),
        "[WORDS]",
        "let WORDS count as a mention of you; alone, list them",
        lambda handlers, words: handlers.highlight(words),
    ),
    ChatCommand(
        (),
        ("/unhighlight",),
        "WORDS",
        "no longer let WORDS count as a mention",
        lambda handlers, words: handlers.unhighlight(words),
    ),
    ChatCommand(
        (),
        ("/joins",),
        "[HOW]",
        "choose how joins and leaves are displayed: shown, gathered or hidden",
        lambda handlers, display: handlers.joins(display),
    ),
    ChatCommand((), ("/export",), "me [FILE]", "export all your messages to a new file", _export),
    ChatCommand(
        (), ("/forget",), "me", "erase all your messages and delete your account", _forget, never_suggested=True
    ),
    ChatCommand((), ("/kick",), "NAME [REASON]", "disconnect a user", _kick, operators_only=True, never_suggested=True),
    ChatCommand(
        (),
        ("/mute",),
        "NAME [MINUTES]",
        "mute a user: their messages are refused",
        _mute,
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (), ("/unmute",), "NAME", "unmute a user", lambda handlers, name: handlers.unmute(name), operators_only=True
    ),
    ChatCommand(
        (),
        ("/ban",),
        "NAME|ADDRESS [TIME] [REASON]",
        "ban a user or an address, for good or for 30m, 2h, 7d",
        _ban,
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/unban",),
        "NAME|ADDRESS",
        "lift the ban of a user or an address",
        lambda handlers, target: handlers.unban(target),
        operators_only=True,
    ),
    ChatCommand((), ("/bans",), "", "list bans and mutes", lambda handlers, _: handlers.bans(), operators_only=True),
    ChatCommand(
        (),
        ("/close",),
        "[#ROOM]",
        "close a room: members can read but not write",
        _close,
        operators_only=True,
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/open",),
        "[#ROOM]",
        "open a closed room again",
        lambda handlers, room: handlers.open_room(room),
        operators_only=True,
    ),
    ChatCommand(
        (),
        ("/again",),
        "[TEXT]",
        "resend the message that was refused last, or TEXT instead of it",
        lambda handlers, text: handlers.again(text),
    ),
    ChatCommand(
        (), ("/go",), "[N|NAME]", "switch to a conversation, or list all", lambda handlers, target: handlers.go(target)
    ),
    ChatCommand(
        (), ("/hide",), "", "hide this conversation until its next message", lambda handlers, _: handlers.hide()
    ),
    ChatCommand(
        (), ("/clear", "/cls"), "", "clear the screen; what was on it is kept", lambda handlers, _: handlers.clear()
    ),
    ChatCommand((), ("/keys",), "", "list the keys", lambda handlers, _: handlers.keys()),
    ChatCommand(("2", "help"), ("/help",), "", "list the commands", lambda handlers, _: handlers.help()),
    ChatCommand(
        ("3", "exit"),
        ("/quit", "/exit"),
        "",
        "quit the client",
        lambda handlers, _: handlers.quit(),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/q",),
        "[NAME [TEXT]]",
        "quit the client; with a name, the same as /msg",
        _quit_or_message,
        never_suggested=True,
    ),
)
COMMANDS_BY_WORD: Final = {word: command for command in COMMANDS for word in command.bare_words}
COMMANDS_BY_NAME: Final = {name: command for command in COMMANDS for name in command.names}

SIMILARITY_CUTOFF: Final = 0.7
"""Similarity (0 to 1) from which a command is suggested for another word."""
SHORT_SIMILARITY_CUTOFF: Final = 0.8
"""The same for names of at most MAX_SHORT_NAME characters, which resemble many others."""
MAX_SHORT_NAME: Final = 3
SLASH_HINT: Final = N_("(//… sends a text that begins with a slash.)")
HELP_NOTES: Final = N_(
    "Text without a command goes to the last recipient. //text sends a text that begins with a slash."
)


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A command, and the arguments that were typed."""

    command: ChatCommand
    arguments: str

    def run(self, handlers: CommandHandlers) -> None:
        """Carry out the command."""
        self.command.handler(handlers, self.arguments)


@dataclass(frozen=True, slots=True)
class PlainText:
    """A line without a command: text for the recipient."""

    text: str


@dataclass(frozen=True, slots=True)
class CommandError:
    """A line that begins like a command and is none; the message says what may have been meant."""

    message: str


def parse_line(line: str, *, is_operator: bool = False) -> ParsedCommand | PlainText | CommandError:
    """Parse a typed line. Commands for operators are suggested only to operators."""
    if line.startswith("//"):
        return PlainText(line[1:])
    if line.startswith("/"):
        name, _, arguments = line.partition(" ")
        return _parse_command(name, arguments.lstrip(), is_operator)
    command = COMMANDS_BY_WORD.get(line.strip().casefold())
    return ParsedCommand(command, "") if command is not None else PlainText(line)


def _parse_command(name: str, arguments: str, is_operator: bool) -> ParsedCommand | CommandError:
    command = COMMANDS_BY_NAME.get(name.casefold())
    if command is None:
        return CommandError(_describe_unknown(name, is_operator))
    if not command.accepts(arguments):
        return CommandError(_("Usage: {usage}", usage=command.usage))
    return ParsedCommand(command, arguments if "TEXT" in command.arguments else arguments.strip())


def _describe_unknown(name: str, is_operator: bool) -> str:
    folded = name.casefold()
    if folded in FOREIGN_COMMANDS:
        answer = _(FOREIGN_COMMANDS[folded])
        return _(
            "There is no command {name}. {here} /help lists the commands. {slash}",
            name=name,
            here=answer,
            slash=_(SLASH_HINT),
        )
    suggestions = _suggest(
        folded, SIMILARITY_CUTOFF if len(name) > MAX_SHORT_NAME else SHORT_SIMILARITY_CUTOFF, is_operator=is_operator
    )
    if not suggestions:
        return _("There is no command {name}. /help lists the commands. {slash}", name=name, slash=_(SLASH_HINT))
    return _(
        "There is no command {name}. Did you mean {command}? {slash}",
        name=name,
        command=suggestions[0],
        slash=_(SLASH_HINT),
    )


def _suggest(word: str, cutoff: float, *, is_operator: bool = False) -> list[str]:
    """Return the most similar command, if any; none if it could do harm to a user who did not mean it."""
    known = [name for name, command in COMMANDS_BY_NAME.items() if is_operator or not command.operators_only]
    similar = difflib.get_close_matches(word, known, 1, cutoff)
    return [name for name in similar if not COMMANDS_BY_NAME[name].never_suggested]


def no_recipient_hint(line: str) -> str:
    """Return what to show for a line of text while there is no recipient."""
    suggestions = _suggest(f"/{line.strip().casefold()}", 0.75)
    hint = _("There is no recipient yet: write /msg NAME TEXT first.")
    return _("{sentence} Did you mean {command}?", sentence=hint, command=suggestions[0]) if suggestions else hint


def help_text(width: int, *notes: str, is_operator: bool = False) -> str:
    """Return the table of commands and the notes, fitted to `width` columns."""
    rows = [
        (", ".join((*command.bare_words, command.usage)), _(command.description))
        for command in COMMANDS
        if is_operator or not command.operators_only
    ]
    return "\n".join(
        [*format_two_columns(rows, width), *textwrap.wrap(" ".join(notes), max(width - 1, MIN_TEXT_WIDTH))]
    )
