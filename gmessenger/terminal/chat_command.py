"""One command of the table: how its arguments are checked and split before its handler is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.attention_handlers import LEVELS
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.i18n import _


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
        are_numbers = (is_number(word) for name, word in zip(names, words, strict=False) if name in NUMBER_ARGUMENTS)
        return len(words) <= len(names) and all(are_numbers)

    @property
    def usage(self) -> str:
        """The name and the arguments, as help shows them."""
        return self.usage_for(has_numbers=True)

    def usage_for(self, *, has_numbers: bool) -> str:
        """Return the usage; without the number of a message where messages have none."""
        arguments = _(self.arguments)
        if not has_numbers and self.arguments.startswith(MESSAGE_NUMBER):
            _number, _sep, arguments = arguments.partition(" ")
        return f"{self.names[0]} {arguments}".rstrip()


MESSAGE_NUMBER: Final = "[NUMBER]"
"""The argument that names a message, in modes where messages have numbers."""
NUMBER_ARGUMENTS: Final = frozenset({"N", "MINUTES"})


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 4 and int(text) > 0


def split_number(arguments: str) -> tuple[int | None, str]:
    """Split the number of a message from the text after it; None if there is no number."""
    first, _, rest = arguments.partition(" ")
    return (int(first), rest) if is_number(first) else (None, arguments)


def run_message(handlers: CommandHandlers, arguments: str) -> None:
    to, _, text = arguments.partition(" ")
    if to:
        handlers.message(to, text)
    else:
        handlers.prompt_for_message()


def run_quit_or_message(handlers: CommandHandlers, arguments: str) -> None:
    """Quit, as in most programs; with a name, open a conversation, as in some."""
    if arguments.strip():
        run_message(handlers, arguments)
    else:
        handlers.quit()


def run_export(handlers: CommandHandlers, arguments: str) -> None:
    _, _, file = arguments.partition(" ")
    handlers.export(file.strip())


def run_forget(handlers: CommandHandlers, arguments: str) -> None:
    handlers.forget()


def run_kick(handlers: CommandHandlers, arguments: str) -> None:
    name, _, reason = arguments.partition(" ")
    handlers.kick(name, reason.strip())


def run_mute(handlers: CommandHandlers, arguments: str) -> None:
    name, _, minutes = arguments.partition(" ")
    handlers.mute(name, int(minutes) if minutes.strip() else None)


def run_sanction(sanction: Callable[[str, str, int | None], None], arguments: str) -> None:
    """Call a handler with the target, the reason, and the minutes if they are given."""
    target, _, reason = arguments.partition(" ")
    duration, _, rest = reason.strip().partition(" ")
    minutes = parse_minutes(duration)
    sanction(target, (reason if minutes is None else rest).strip(), minutes)


def parse_minutes(text: str) -> int | None:
    """Return the minutes that `30m`, `2h`, `7d` or a bare number stand for; None for other words."""
    found = DURATION_PATTERN.fullmatch(text)
    return int(found[1]) * MINUTES_PER_UNIT[found[2]] if found else None


def run_notify(handlers: CommandHandlers, arguments: str) -> None:
    words = arguments.split()
    if not words:
        return handlers.notify_settings()
    name = "" if words[0].casefold() in LEVELS else words.pop(0)
    level = words.pop(0).casefold() if words else ""
    duration = words[-1] if words else ""
    minutes = parse_minutes(duration)
    if level not in LEVELS or words not in ([], ["for", duration], [duration]) or (words and minutes is None):
        return handlers.refuse(_("write it as in /notify #ROOM mentions, or /notify #ROOM none for 2h"))
    return handlers.notify(name, level, minutes)


def run_profile(handlers: CommandHandlers, arguments: str) -> None:
    first, _space, rest = arguments.strip().partition(" ")
    if "=" in first:
        name, assignment = "", arguments.strip()
    else:
        name, assignment = first, rest.strip()
    key, sign, value = assignment.partition("=")
    if assignment and not (sign and key.strip()):
        return handlers.refuse(_("write it as in /profile pronouns=she/her, or /profile #ROOM homepage=URL"))
    return handlers.profile(name, key.strip(), value.strip())


def run_close(handlers: CommandHandlers, room: str) -> None:
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
