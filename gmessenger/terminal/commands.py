"""The table of commands for all modes: parsing, usage, suggestions and help."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.chat_command import (
    DEFAULT_HISTORY,
    ChatCommand,
    run_close,
    run_export,
    run_forget,
    run_kick,
    run_message,
    run_mute,
    run_notify,
    run_quit_or_message,
    run_sanction,
    split_number,
)
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.foreign_commands import FOREIGN_COMMANDS
from gmessenger.terminal.i18n import N_, _
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


COMMANDS: Final = (
    ChatCommand(
        ("1", "message"),
        ("/msg", "/message", "/query", "/w"),
        "[NAME [TEXT]]",
        "write to NAME; without a name, the client asks for it",
        run_message,
    ),
    ChatCommand(
        (),
        ("/me",),
        "TEXT",
        "say what you do: /me waves is shown as * NAME waves",
        lambda handlers, text: handlers.action(text),
    ),
    ChatCommand(
        (),
        ("/reply", "/re"),
        "[NUMBER] TEXT",
        "reply to a message",
        lambda handlers, arguments: handlers.reply(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/edit",),
        "[NUMBER] [TEXT]",
        "replace the text of a message of yours",
        lambda handlers, arguments: handlers.edit(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/erase",),
        "[NUMBER]",
        "erase a message for all users",
        lambda handlers, number: handlers.erase(*split_number(number)),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/react",),
        "[NUMBER] EMOJI",
        "react to a message by one character or emoji",
        lambda handlers, arguments: handlers.react(*split_number(arguments)),
    ),
    ChatCommand(
        (),
        ("/unreact",),
        "[NUMBER] EMOJI",
        "take a reaction of yours back",
        lambda handlers, arguments: handlers.unreact(*split_number(arguments)),
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
        ("/make",),
        "#ROOM [private]",
        "make a room; a private one only who is invited can find and join",
        lambda handlers, arguments: handlers.make(arguments),
    ),
    ChatCommand((), ("/rules",), "[#ROOM]", "list the rules of a room", lambda handlers, room: handlers.rules(room)),
    ChatCommand(
        (),
        ("/rule",),
        "KEY VALUE",
        "set a rule of your room",
        lambda handlers, arguments: handlers.rule(arguments),
    ),
    ChatCommand(
        (),
        ("/role",),
        "NAME ROLE",
        "give a member of your room a role",
        lambda handlers, arguments: handlers.role(arguments),
    ),
    ChatCommand(
        (),
        ("/invite",),
        "NAME",
        "invite a user to this room",
        lambda handlers, name: handlers.invite(name),
    ),
    ChatCommand((), ("/uninvite",), "NAME", "take an invitation back", lambda handlers, name: handlers.uninvite(name)),
    ChatCommand(
        (),
        ("/access",),
        "[#ROOM]",
        "list who is invited to your room, kept out of it, or silenced there",
        lambda handlers, room: handlers.access(room),
    ),
    ChatCommand(
        (),
        ("/shutout",),
        "NAME [TIME] [REASON]",
        "remove a name from your room and keep it out, for good or for 30m, 2h, 7d",
        lambda handlers, arguments: run_sanction(handlers.shut_out, arguments),
        never_suggested=True,
    ),
    ChatCommand(
        (), ("/letin",), "NAME", "let a name join your room again", lambda handlers, name: handlers.let_in(name)
    ),
    ChatCommand(
        (),
        ("/silence",),
        "NAME [TIME] [REASON]",
        "have what a name writes in your room refused",
        lambda handlers, arguments: run_sanction(handlers.silence, arguments),
        never_suggested=True,
    ),
    ChatCommand(
        (),
        ("/unsilence",),
        "NAME",
        "let a name write in your room again",
        lambda handlers, name: handlers.unsilence(name),
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
        run_notify,
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
    ChatCommand((), ("/export",), "me [FILE]", "export all you have written or may read to a new file", run_export),
    ChatCommand(
        (), ("/forget",), "me", "erase all your messages and delete your account", run_forget, never_suggested=True
    ),
    ChatCommand(
        (), ("/kick",), "NAME [REASON]", "disconnect a user", run_kick, operators_only=True, never_suggested=True
    ),
    ChatCommand(
        (),
        ("/mute",),
        "NAME [MINUTES]",
        "mute a user: their messages are refused",
        run_mute,
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
        lambda handlers, arguments: run_sanction(handlers.ban, arguments),
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
        run_close,
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
        run_quit_or_message,
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
