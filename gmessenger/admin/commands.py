"""Every command as a row: its words, what it takes, what it does, and who does it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from gmessenger.admin import certs, keeping, moderating, people, watching
from gmessenger.errors import UsageError
from gmessenger.options import AdminOptions
from gmessenger.urls import masked_fault, masked_text

Handler: TypeAlias = Callable[[AdminOptions, argparse.Namespace], int]
UNITS: Final = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
SECONDS: Final = 86_400.0
MOST_DAYS: Final = 100_000.0
COLUMN: Final = 32
WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Command:
    """One row. `takes` are names of ARGUMENTS; a command that is `stopped` works only where no server runs, one that is
    `running` only where one does.
    """

    words: str
    takes: tuple[str, ...]
    about: str
    handler: Handler
    stopped: bool = False
    running: bool = False

    @property
    def usage(self) -> str:
        return " ".join([self.words, *(ARGUMENTS[each].shown for each in self.takes)])


@dataclass(frozen=True, slots=True)
class Argument:
    """What a command takes; one that begins with a dash is given by that name, and must be, unless it is optional;
    `many` as often as one likes, a `flag` without a value.
    """

    name: str
    shown: str
    about: str
    optional: bool = False
    many: bool = False
    several: bool = False
    flag: bool = False
    read: Callable[[str], object] = str


def days(text: str) -> float:
    """`90d`, `12w`, `36h`, `10m`: a number alone could mean any of them."""
    try:
        found = float(text[:-1]) * UNITS[text[-1:]]
    except (ValueError, KeyError):
        found = 0.0
    if not 0 < found <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected a time like 90d, 12w, 36h or 10m, not {text!r}")
    return found


def day_count(text: str) -> float:
    """A number of days, for an option that is named so; a unit may stand behind it."""
    return days(text if text[-1:] in UNITS else f"{text}d")


def seconds(text: str) -> float:
    """The same in seconds: `10m`, `36h`."""
    return days(text) * SECONDS


ARGUMENTS: Final = {
    "account": Argument("name", "NAME", "the account's name"),
    "alike": Argument(
        "--look-alike", "[--look-alike]", "also allow a name that looks like an existing one", optional=True, flag=True
    ),
    "room": Argument("name", "NAME", "the room's name, including the '#'"),
    "new": Argument("file", "FILE", "a file that does not exist yet"),
    "old": Argument(
        "file", "[FILE]", "a backup file; none for PostgreSQL, after pg_restore has loaded the dump", optional=True
    ),
    "from": Argument("source", "FROM", "the URL of the existing store"),
    "to": Argument("target", "TO", "the URL of the new store: empty, or not created yet"),
    "skip-bad": Argument(
        "--skip-bad", "[--skip-bad]", "leave out rows that TO cannot store; the exit code is then 1", True, flag=True
    ),
    "any": Argument("file", "[FILE]", "a backup file; without it, the store itself is checked", optional=True),
    "out": Argument("file", "[FILE]", "a file that does not exist yet; without it, standard output", optional=True),
    "host": Argument(
        "--host",
        "[--host NAME]…",
        "a host name or an address; without it, those of this machine",
        optional=True,
        many=True,
    ),
    "days": Argument(
        "--days", "[--days N]", "how long the certificate is valid [default: 825 days]", optional=True, read=day_count
    ),
    "pem": Argument("file", "[FILE]", "a certificate in PEM; without it, the server's certificate", optional=True),
    "who": Argument("name", "NAME", "an account's name, or a guest's"),
    "whom": Argument(
        "whom",
        "[NAME|NETWORK]",
        "a user name; or, if it contains : or /, an IPv6 address or a network like 203.0.113.0/24",
        optional=True,
    ),
    "address": Argument(
        "--address",
        "[--address ADDRESS]",
        "an IPv4 address like 203.0.113.7, which without --address would be taken for a name",
        optional=True,
    ),
    "for": Argument(
        "--for", "[--for TIME]", "a duration like 10m, 36h or 90d; without it, permanently", optional=True, read=seconds
    ),
    "why": Argument("--reason", "[--reason TEXT]", "the reason shown to the users concerned", optional=True),
    "message": Argument(
        "which",
        "#ROOM|NAME [NAME] SEQ|ID",
        "a room and a seq, two names and a seq, or an account and a message id",
        several=True,
    ),
    "age": Argument("--older-than", "--older-than AGE", "an age like 90d, 12w or 36h", read=days),
}
COMMANDS: Final = (
    Command(
        "user add",
        ("account", "alike"),
        "create an account; a guest who uses the name is disconnected",
        people.add_user,
    ),
    Command("user passwd", ("account",), "change an account's password and end its sessions", people.change_password),
    Command("user list", (), "list all accounts, and whether each is online or disabled", people.list_users),
    Command("user disable", ("account",), "disable an account and end its sessions", people.disable_user),
    Command("user enable", ("account",), "enable a disabled account", people.enable_user),
    Command(
        "user delete",
        ("account",),
        "delete an account; messages it sent stay with their recipients",
        people.delete_user,
    ),
    Command(
        "user grant", ("account",), "make an account an operator, who may kick, mute, ban and close rooms", people.grant
    ),
    Command("user revoke", ("account",), "withdraw an account's operator rights", people.revoke),
    Command("invite", (), "print an invitation code for one registration", people.invite),
    Command("room list", (), "list all rooms", people.list_rooms),
    Command("room delete", ("room",), "delete a room and all its messages, and notify its members", people.delete_room),
    Command(
        "room close",
        ("room", "why"),
        "close a room: members may read, but nobody may write or join",
        moderating.close_room,
    ),
    Command("room open", ("room",), "open a closed room again", moderating.open_room),
    Command("kick", ("who", "why"), "close a user's connections (needs a running server)", moderating.kick),
    Command("mute", ("who", "for", "why"), "mute a user: their messages are refused", moderating.mute),
    Command("unmute", ("who",), "unmute a user", moderating.unmute),
    Command("ban", ("whom", "address", "for", "why"), "ban a name, an address or a network", moderating.ban),
    Command("unban", ("whom", "address"), "lift the ban of a user or an address", moderating.unban),
    Command("bans", (), "list bans and mutes", moderating.list_sanctions),
    Command("backup", ("new",), "write a backup of the whole store to one file, while the server runs", keeping.backup),
    Command(
        "verify",
        ("any",),
        "check the store or a backup for damage and missing messages; exit code 1 if there are any",
        keeping.verify,
    ),
    Command("restore", ("old",), "replace the store with a backup", keeping.restore, stopped=True),
    Command(
        "copy",
        ("from", "to", "skip-bad"),
        "copy a store into another one, of either kind, and compare the two",
        keeping.copy,
        stopped=True,
    ),
    Command("bus-key", (), "replace the key that a cluster's servers use on the bus", keeping.replace_bus_key),
    Command("export", ("out",), "export accounts, rooms and messages as JSON lines", keeping.export),
    Command(
        "cert self-signed",
        ("host", "days", "new"),
        "create a self-signed certificate for a private network",
        certs.self_signed,
    ),
    Command("cert show", ("pem",), "show a certificate's names, expiry and pin", certs.show),
    Command("trace", ("message",), "show where a message was delivered, without its text", watching.trace),
    Command("status", (), "show the state of the running server", watching.status, running=True),
    Command("prune", ("age",), "delete old messages", keeping.prune),
)


def overview() -> str:
    """What there is to do, for --help."""
    lines = ["usage: gmessenger-admin [option ...] COMMAND [option ...]", "", "commands:"]
    for command in COMMANDS:
        needs = {command.stopped: " (needs the server stopped)", command.running: " (needs it running)"}
        about = command.about + needs.get(True, "")
        beside = len(command.usage) < COLUMN - 2
        told = textwrap.wrap(about, WIDTH, initial_indent=" " * COLUMN, subsequent_indent=" " * COLUMN)
        lines += [f"  {command.usage:<{COLUMN - 2}}{told.pop(0).lstrip()}" if beside else f"  {command.usage}", *told]
    return "\n".join(lines)


def obey(options: AdminOptions, words: Sequence[str]) -> int:
    """Do what the words say and return the exit code. Raises `UsageError` where they say nothing we know."""
    command = find(words)
    given = _parser(command).parse_args(words[len(command.words.split()) :])
    return command.handler(options, given)


def find(words: Sequence[str]) -> Command:
    for command in COMMANDS:
        if list(words[: len(command.words.split())]) == command.words.split():
            return command
    near = [command.words for command in COMMANDS if command.words.split()[0] == words[0]]
    known = ", ".join(near or [command.words for command in COMMANDS])
    raise UsageError(f"There is no command {masked_text(' '.join(words[:2]))!r}; there is {known}.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{masked_fault(message[:1].upper() + message[1:].rstrip('.'))}. See {self.prog} --help.")


def with_commands(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser of the options, that knows every command as well; shells complete by it, and nothing is done by it."""
    groups: dict[str, Any] = {"": parser.add_subparsers(parser_class=argparse.ArgumentParser)}
    for command in COMMANDS:
        group, _, word = command.words.rpartition(" ")
        if group not in groups:
            groups[group] = groups[""].add_parser(group, help=f"{group} …").add_subparsers()
        _take(groups[group].add_parser(word, help=command.about), command)
    return parser


def _parser(command: Command) -> _Parser:
    parser = _Parser(prog=f"gmessenger-admin {command.words}", description=command.about, allow_abbrev=False)
    _take(parser, command)
    return parser


def _take(parser: argparse.ArgumentParser, command: Command) -> None:
    for each in (ARGUMENTS[name] for name in command.takes):
        if each.name.startswith("-"):
            if each.flag:
                parser.add_argument(each.name, action="store_true", help=each.about)
                continue
            value, action = each.shown.strip("[]…").split()[-1], "append" if each.many else "store"
            parser.add_argument(
                each.name, required=not each.optional, action=action, type=each.read, metavar=value, help=each.about
            )
        else:
            nargs = "?" if each.optional else "+" if each.several else None
            parser.add_argument(each.name, nargs=nargs, metavar=each.name.upper(), help=each.about)
