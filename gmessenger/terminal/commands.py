"""What can be typed: one table of commands, for every mode, with its help."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.duties import Desk
from gmessenger.terminal.foreign_words import FOREIGN
from gmessenger.terminal.tables import NARROWEST, two_columns
from gmessenger.terminal.words import N_, _


@dataclass(frozen=True, slots=True)
class Command:
    """One row. `words` count only alone on a line, `slashed` anywhere at its beginning.

    The arguments are optional where they are written in brackets, and a number where that is called N or MINUTES. What
    is for `operators` is not shown to others. What `ends`, blocks or erases something is never suggested.
    """

    words: tuple[str, ...]
    slashed: tuple[str, ...]
    arguments: str
    what: str
    act: Callable[[Desk, str], None]
    operators: bool = False
    ends: bool = False

    def takes(self, arguments: str) -> bool:
        """Whether there are arguments where there must be, and none where there are none to give."""
        if self.arguments.startswith("me") and arguments.split(" ", maxsplit=1)[0].casefold() != "me":
            return False  # not by chance, and not of somebody else
        optional = self.arguments.startswith("[") and self.arguments.endswith("]")
        return self._numbers(arguments.split()) and (optional or bool(self.arguments) == bool(arguments))

    def _numbers(self, words: list[str]) -> bool:
        """Whether there is a number where there must be, and nothing behind it."""
        names = [name.strip("[]") for name in self.arguments.split()]
        if not NUMBERS.intersection(names):
            return True
        good = (_is_number(word) for name, word in zip(names, words, strict=False) if name in NUMBERS)
        return len(words) <= len(names) and all(good)

    @property
    def usage(self) -> str:
        return f"{self.slashed[0]} {_(self.arguments)}".rstrip()


NUMBERS: Final = frozenset({"N", "MINUTES"})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 4 and int(text) > 0


def _message(desk: Desk, arguments: str) -> None:
    to, _, text = arguments.partition(" ")
    if to:
        desk.message(to, text)
    else:
        desk.ask_for_message()


def _export(desk: Desk, arguments: str) -> None:
    _, _, file = arguments.partition(" ")
    desk.export(file.strip())


def _forget(desk: Desk, arguments: str) -> None:
    desk.forget()


def _kick(desk: Desk, arguments: str) -> None:
    name, _, reason = arguments.partition(" ")
    desk.kick(name, reason.strip())


def _mute(desk: Desk, arguments: str) -> None:
    name, _, minutes = arguments.partition(" ")
    desk.mute(name, int(minutes) if minutes.strip() else None)


def _ban(desk: Desk, arguments: str) -> None:
    whom, _, reason = arguments.partition(" ")
    lasting, _, further = reason.strip().partition(" ")
    minutes = _minutes(lasting)
    desk.ban(whom, (reason if minutes is None else further).strip(), minutes)


def _minutes(text: str) -> int | None:
    """What `30m`, `2h` or `7d` are in minutes, a bare number too; None for other words."""
    found = LASTING.fullmatch(text)
    return int(found[1]) * LONG[found[2]] if found else None


def _close(desk: Desk, room: str) -> None:
    """Elsewhere a bare `/close` puts a window away; nobody shall close a room for everybody by that habit."""
    if room:
        desk.close_room(room)
    else:
        desk.hide()


USUAL_PAGE: Final = 20
LASTING: Final = re.compile(r"(\d{1,4})([mhd]?)", re.ASCII)
LONG: Final = {"": 1, "m": 1, "h": 60, "d": 1440}
"""A unit of time in minutes."""
COMMANDS: Final = (
    Command(
        ("1", "message"),
        ("/msg", "/message", "/query"),
        "[NAME [TEXT]]",
        "write to NAME; without a name, the client asks for it",
        _message,
    ),
    Command((), ("/users",), "", "list the users who are online", lambda desk, _: desk.users()),
    Command(
        (),
        ("/status",),
        "[WORDS]",
        "set or show your status; /status online clears it",
        lambda desk, how: desk.status(how),
    ),
    Command(
        (),
        ("/join",),
        "#ROOM",
        "join a room; text without a command then goes there",
        lambda desk, room: desk.join(room),
    ),
    Command((), ("/leave", "/part"), "[#ROOM]", "leave a room", lambda desk, room: desk.leave_room(room), ends=True),
    Command((), ("/rooms",), "", "list the rooms", lambda desk, _: desk.rooms()),
    Command((), ("/members", "/names"), "[#ROOM]", "list the members of a room", lambda desk, room: desk.members(room)),
    Command((), ("/topic",), "[TEXT]", "show or set the topic of the room", lambda desk, text: desk.topic(text)),
    Command(
        (),
        ("/history",),
        "[N]",
        "show the latest messages of this conversation",
        lambda desk, count: desk.history(int(count or USUAL_PAGE)),
    ),
    Command(
        (),
        ("/search",),
        "[#ROOM|@NAME] WORDS",
        "search for messages with these words, everywhere or in one conversation",
        lambda desk, words: desk.search(words),
    ),
    Command(
        (),
        ("/jump",),
        "[N]",
        "go to search result N, or to the next one",
        lambda desk, number: desk.jump(int(number) if number else None),
    ),
    Command(
        (), ("/register",), "[INVITE]", "register your name as an account", lambda desk, invite: desk.register(invite)
    ),
    Command(
        (), ("/remove",), "NAME", "remove a member from your room", lambda desk, name: desk.remove(name), ends=True
    ),
    Command(
        (),
        ("/block",),
        "NAME",
        "block a user: you no longer receive their messages",
        lambda desk, name: desk.block(name),
        ends=True,
    ),
    Command((), ("/unblock",), "NAME", "unblock a user", lambda desk, name: desk.unblock(name)),
    Command((), ("/blocks",), "", "list the users you block", lambda desk, _: desk.blocks()),
    Command((), ("/export",), "me [FILE]", "export all your messages to a new file", _export),
    Command((), ("/forget",), "me", "erase all your messages and delete your account", _forget, ends=True),
    Command((), ("/kick",), "NAME [REASON]", "disconnect a user", _kick, operators=True, ends=True),
    Command(
        (), ("/mute",), "NAME [MINUTES]", "mute a user: their messages are refused", _mute, operators=True, ends=True
    ),
    Command((), ("/unmute",), "NAME", "unmute a user", lambda desk, name: desk.unmute(name), operators=True),
    Command(
        (),
        ("/ban",),
        "NAME|ADDRESS [TIME] [REASON]",
        "ban a user or an address, for good or for 30m, 2h, 7d",
        _ban,
        operators=True,
        ends=True,
    ),
    Command(
        (),
        ("/unban",),
        "NAME|ADDRESS",
        "lift the ban of a user or an address",
        lambda desk, whom: desk.unban(whom),
        operators=True,
    ),
    Command((), ("/bans",), "", "list bans and mutes", lambda desk, _: desk.bans(), operators=True),
    Command(
        (), ("/close",), "[#ROOM]", "close a room: members can read but not write", _close, operators=True, ends=True
    ),
    Command(
        (), ("/open",), "[#ROOM]", "open a closed room again", lambda desk, room: desk.open_room(room), operators=True
    ),
    Command(
        (),
        ("/again",),
        "[TEXT]",
        "resend the message that was refused last, or TEXT instead of it",
        lambda desk, new: desk.again(new),
    ),
    Command((), ("/go",), "[N|NAME]", "switch to a conversation, or list all", lambda desk, where: desk.go(where)),
    Command((), ("/hide",), "", "hide this conversation until its next message", lambda desk, _: desk.hide()),
    Command((), ("/keys",), "", "list the keys", lambda desk, _: desk.keys()),
    Command(("2", "help"), ("/help",), "", "list the commands", lambda desk, _: desk.help()),
    Command(("3", "exit"), ("/quit", "/exit"), "", "quit the client", lambda desk, _: desk.leave(), ends=True),
)
WORDS: Final = {word: command for command in COMMANDS for word in command.words}
SLASHED: Final = {name: command for command in COMMANDS for name in command.slashed}

NEAR: Final = 0.7
"""How much alike (0 to 1) two words are of which one may be meant by the other."""
VERY_NEAR: Final = 0.8
"""The same for the shortest, which are like many."""
SHORT: Final = 3
SLASH: Final = N_("(//… sends a text that begins with a slash.)")
NOTES: Final = N_("Text without a command goes to the last recipient. //text sends a text that begins with a slash.")


@dataclass(frozen=True, slots=True)
class Order:
    """A command, with what was typed behind it."""

    command: Command
    arguments: str

    def carry_out(self, desk: Desk) -> None:
        self.command.act(desk, self.arguments)


@dataclass(frozen=True, slots=True)
class Text:
    """A line for the addressee."""

    text: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that starts like a command and is none; `sentence` says what may have been meant."""

    sentence: str


def understand(line: str, *, operator: bool = False) -> Order | Text | Mistake:
    """What a typed line means; what is only for operators is suggested to no one else."""
    if line.startswith("//"):
        return Text(line[1:])
    if line.startswith("/"):
        name, _, arguments = line.partition(" ")
        return _order(name, arguments.lstrip(), operator)
    command = WORDS.get(line.strip().casefold())
    return Order(command, "") if command is not None else Text(line)


def _order(name: str, arguments: str, operator: bool) -> Order | Mistake:
    command = SLASHED.get(name.casefold())
    if command is None:
        return Mistake(_unknown(name, operator))
    if not command.takes(arguments):
        return Mistake(_("Usage: {usage}", usage=command.usage))
    return Order(command, arguments if "TEXT" in command.arguments else arguments.strip())


def _unknown(name: str, operator: bool) -> str:
    folded = name.casefold()
    if folded in FOREIGN:
        here = _(FOREIGN[folded])
        return _(
            "There is no command {name}. {here} /help lists the commands. {slash}", name=name, here=here, slash=_(SLASH)
        )
    near = _suggested(folded, NEAR if len(name) > SHORT else VERY_NEAR, operator=operator)
    if not near:
        return _("There is no command {name}. /help lists the commands. {slash}", name=name, slash=_(SLASH))
    return _("There is no command {name}. Did you mean {command}? {slash}", name=name, command=near[0], slash=_(SLASH))


def _suggested(word: str, likeness: float, *, operator: bool = False) -> list[str]:
    """The command that may be meant, if there is one; none where the nearest would do harm to who did not mean it."""
    known = [each for each, command in SLASHED.items() if operator or not command.operators]
    meant = difflib.get_close_matches(word, known, 1, likeness)
    return [each for each in meant if not SLASHED[each].ends]


def hint(line: str) -> str:
    """What to say to a plain line while there is nobody to send it to."""
    near = _suggested(f"/{line.strip().casefold()}", 0.75)
    nobody = _("There is no recipient yet: write /msg NAME TEXT first.")
    return _("{sentence} Did you mean {command}?", sentence=nobody, command=near[0]) if near else nobody


def help_text(width: int, *notes: str, operator: bool = False) -> str:
    """The table and the notes, fitted into so many columns."""
    rows = [
        (", ".join((*command.words, command.usage)), _(command.what))
        for command in COMMANDS
        if operator or not command.operators
    ]
    return "\n".join([*two_columns(rows, width), *textwrap.wrap(" ".join(notes), max(width - 1, NARROWEST))])
