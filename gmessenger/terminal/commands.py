"""All commands of all modes: parsing a line, usage, suggestions and help."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.terminal.chat_command import ChatCommand
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.foreign_commands import FOREIGN_COMMANDS
from gmessenger.terminal.i18n import N_, _
from gmessenger.terminal.line_terminal import MIN_TEXT_WIDTH
from gmessenger.terminal.message_commands import MESSAGE_COMMANDS
from gmessenger.terminal.operator_commands import OPERATOR_COMMANDS
from gmessenger.terminal.room_commands import ROOM_COMMANDS
from gmessenger.terminal.screen_commands import SCREEN_COMMANDS
from gmessenger.terminal.user_commands import USER_COMMANDS

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


COMMANDS: Final[tuple[ChatCommand, ...]] = (
    *MESSAGE_COMMANDS,
    *ROOM_COMMANDS,
    *USER_COMMANDS,
    *OPERATOR_COMMANDS,
    *SCREEN_COMMANDS,
)
"""All commands, in the order of the help."""
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


class ParsedCommand(Struct, frozen=True):
    """A command, and the arguments that were typed."""

    command: ChatCommand
    arguments: str

    def run(self, handlers: CommandHandlers) -> None:
        """Carry out the command."""
        self.command.handler(handlers, self.arguments)


class PlainText(Struct, frozen=True):
    """A line without a command: text for the recipient."""

    text: str


class CommandError(Struct, frozen=True):
    """A line that begins like a command and is none; the message says what may have been meant."""

    message: str


def parse_line(
    line: str, *, is_operator: bool = False, has_numbers: bool = True
) -> ParsedCommand | PlainText | CommandError:
    """Parse a typed line. Commands for operators are suggested only to operators.

    has_numbers: messages are named by numbers.
    """
    if line.startswith("//"):
        return PlainText(line[1:])
    if line.startswith("/"):
        name, _, arguments = line.partition(" ")
        return _parse_command(name, arguments.lstrip(), is_operator, has_numbers)
    command = COMMANDS_BY_WORD.get(line.strip().casefold())
    return ParsedCommand(command, "") if command is not None else PlainText(line)


def _parse_command(name: str, arguments: str, is_operator: bool, has_numbers: bool) -> ParsedCommand | CommandError:
    command = COMMANDS_BY_NAME.get(name.casefold())
    if command is None:
        return CommandError(_describe_unknown(name, is_operator))
    if not command.accepts(arguments):
        return CommandError(_("Usage: {usage}", usage=command.usage_for(has_numbers=has_numbers)))
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


def help_text(width: int, *notes: str, is_operator: bool = False, has_numbers: bool = True) -> str:
    """Return the table of commands and the notes, fitted to `width` columns; the flags are those of `parse_line`."""
    rows = [
        (", ".join((*command.bare_words, command.usage_for(has_numbers=has_numbers))), _(command.description))
        for command in COMMANDS
        if is_operator or not command.operators_only
    ]
    return "\n".join(
        [*format_two_columns(rows, width), *textwrap.wrap(" ".join(notes), max(width - 1, MIN_TEXT_WIDTH))]
    )
