"""The table of commands: words, arguments, description and handler of each."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from gmessenger.admin import accounts, certs, hooks, invites, maintenance, moderation, rooms, status
from gmessenger.config.options import AdminOptions
from gmessenger.errors import UsageError
from gmessenger.field_types import MAX_INVITE_USES
from gmessenger.room_roles import ROOM_ROLES
from gmessenger.room_rules import ROOM_RULES
from gmessenger.urls import redact_error, redact_text

CommandHandler: TypeAlias = Callable[[AdminOptions, argparse.Namespace], int]
DAYS_PER_UNIT: Final = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
SECONDS_PER_DAY: Final = 86_400.0
MAX_DAYS: Final = 100_000.0
HELP_COLUMN: Final = 32
HELP_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class AdminCommand:
    """A row of COMMANDS. `arguments`: keys of ARGUMENTS.

    `needs_stopped` and `needs_running` appear in the help.
    """

    name: str
    arguments: tuple[str, ...]
    description: str
    handler: CommandHandler
    needs_stopped: bool = False
    needs_running: bool = False

    @property
    def usage(self) -> str:
        return " ".join([self.name, *(ARGUMENTS[key].usage for key in self.arguments)])


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a command, positional unless its name begins with a dash.

    `repeatable`: an option that may be given several times; `one_or_more`: a positional that takes several words;
    `flag`: an option without a value.
    """

    name: str
    usage: str
    description: str
    optional: bool = False
    repeatable: bool = False
    one_or_more: bool = False
    flag: bool = False
    parse: Callable[[str], object] = str


def parse_days(text: str) -> float:
    """Return the days of `90d`, `12w`, `36h` or `10m`. Raises ArgumentTypeError; the unit is required."""
    try:
        days = float(text[:-1]) * DAYS_PER_UNIT[text[-1:]]
    except (ValueError, KeyError):
        days = 0.0
    if not 0 < days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"expected a time like 90d, 12w, 36h or 10m, not {text!r}")
    return days


def parse_day_count(text: str) -> float:
    """Return the days of `30` or `12w`, for an option whose name says that it takes days."""
    return parse_days(text if text[-1:] in DAYS_PER_UNIT else f"{text}d")


def parse_seconds(text: str) -> float:
    """Return the seconds of `10m` or `36h`. Raises ArgumentTypeError."""
    return parse_days(text) * SECONDS_PER_DAY


def parse_uses(text: str) -> int:
    """Return a number of registrations. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_INVITE_USES:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MAX_INVITE_USES}, not {text!r}")
    return int(text)


ARGUMENTS: Final = {
    "account": Argument("name", "NAME", "the account's name"),
    "alike": Argument(
        "--look-alike", "[--look-alike]", "also allow a name that looks like an existing one", optional=True, flag=True
    ),
    "once": Argument(
        "--once",
        "[--once]",
        "print a one-time password, valid for 72 hours, with which one can only choose a new password",
        optional=True,
        flag=True,
    ),
    "invite": Argument("id", "ID", "an id that `invite list` shows"),
    "uses": Argument(
        "--uses", "[--uses N]", "how many may register with it [default: 1]", optional=True, parse=parse_uses
    ),
    "expires": Argument(
        "--expires",
        "[--expires TIME]",
        "how long it is good, like 36h or 30d [default: 7 days]",
        optional=True,
        parse=parse_seconds,
    ),
    "hook": Argument("name", "NAME", "the hook's name, under which it posts"),
    "into": Argument("room", "#ROOM", "the room that it posts to; in a shell, with quotes: '#ops'"),
    "of-room": Argument("room", "[#ROOM]", "a room; without it, those of all rooms are listed", optional=True),
    "room": Argument("name", "NAME", "the room's name, including the '#'"),
    "rule": Argument("rule", "RULE", f"a rule: {', '.join(ROOM_RULES)}"),
    "value": Argument("value", "VALUE", "yes or no, a number, or a word that the rule has, as all"),
    "member": Argument("user", "NAME", "an account that is in the room"),
    "user": Argument("user", "NAME", "an account's name, or a guest's"),
    "role": Argument("role", "ROLE", f"a role in the room: {', '.join(reversed(ROOM_ROLES))}"),
    "new": Argument("file", "FILE", "a file that does not exist yet"),
    "old": Argument(
        "file", "[FILE]", "a backup file; none for PostgreSQL, after pg_restore has loaded the dump", optional=True
    ),
    "from": Argument("source", "FROM", "the URL of the existing store"),
    "to": Argument("target", "TO", "the URL of the new store: empty, or not created yet"),
    "skip-bad": Argument(
        "--skip-bad", "[--skip-bad]", "leave out rows that TO cannot store; the exit code is then 1", True, flag=True
    ),
    "files": Argument(
        "folder", "[FOLDER]", "a folder for the files of messages, which gets those that it lacks", optional=True
    ),
    "saved": Argument("folder", "[FOLDER]", "the folder of the backup's files", optional=True),
    "any": Argument("file", "[FILE]", "a backup file; without it, the store itself is checked", optional=True),
    "out": Argument("file", "[FILE]", "a file that does not exist yet; without it, standard output", optional=True),
    "host": Argument(
        "--host",
        "[--host NAME]…",
        "a host name or an address; without it, those of this machine, or for an invite that of the certificate",
        optional=True,
        repeatable=True,
    ),
    "days": Argument(
        "--days",
        "[--days N]",
        "how long the certificate is valid [default: 825 days]",
        optional=True,
        parse=parse_day_count,
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
        "--for",
        "[--for TIME]",
        "a duration like 10m, 36h or 90d; without it, permanently",
        optional=True,
        parse=parse_seconds,
    ),
    "why": Argument("--reason", "[--reason TEXT]", "the reason shown to the users concerned", optional=True),
    "message": Argument(
        "which",
        "#ROOM|NAME [NAME] SEQ|ID",
        "a room and a seq, two names and a seq, or an account and a message id",
        one_or_more=True,
    ),
    "stored": Argument("which", "#ROOM|NAME [NAME] SEQ", "a room and a seq, or two names and a seq", one_or_more=True),
    "age": Argument("--older-than", "--older-than AGE", "an age like 90d, 12w or 36h", parse=parse_days),
}
COMMANDS: Final = (
    AdminCommand(
        "user add",
        ("account", "alike"),
        "create an account; a guest who uses the name is disconnected",
        accounts.add_user,
    ),
    AdminCommand(
        "user passwd",
        ("account", "once"),
        "change an account's password and end its sessions",
        accounts.change_password,
    ),
    AdminCommand(
        "user list",
        (),
        "list all accounts: whether each is online or disabled, and when last seen",
        accounts.list_users,
    ),
    AdminCommand("user disable", ("account",), "disable an account and end its sessions", accounts.disable_user),
    AdminCommand("user enable", ("account",), "enable a disabled account", accounts.enable_user),
    AdminCommand(
        "user delete",
        ("account",),
        "delete an account; messages it sent stay with their recipients",
        accounts.delete_user,
    ),
    AdminCommand(
        "user grant",
        ("account",),
        "make an account an operator, who may kick, mute, ban and close rooms",
        accounts.grant_operator,
    ),
    AdminCommand("user revoke", ("account",), "withdraw an account's operator rights", accounts.revoke_operator),
    AdminCommand(
        "invite list", (), "list the invites that are still good, with ids, uses and expiry", invites.list_invites
    ),
    AdminCommand("invite revoke", ("invite",), "revoke an invite by its id", invites.revoke_invite),
    AdminCommand(
        "invite",
        ("uses", "expires", "host"),
        "print an invite for one or more registrations; at a terminal, also what to send to the person",
        invites.create_invite,
    ),
    AdminCommand("room list", (), "list all rooms", accounts.list_rooms),
    AdminCommand(
        "room show",
        ("room",),
        "show a room's rules, its members' roles, who is kept out, silenced or invited, and its masks",
        rooms.show_room,
    ),
    AdminCommand("room rule", ("room", "rule", "value"), "set a rule of a room; notify its members", rooms.set_rule),
    AdminCommand(
        "room role",
        ("room", "member", "role"),
        "give a member of a room a role, such as owner where there is none; notify the members",
        rooms.set_role,
    ),
    AdminCommand(
        "room shut-out",
        ("room", "user", "for", "why"),
        "remove a user from a room, and keep the name out",
        rooms.shut_out,
    ),
    AdminCommand("room let-in", ("room", "user"), "let a name into a room again", rooms.let_in),
    AdminCommand("room silence", ("room", "user", "for", "why"), "refuse what a name writes in a room", rooms.silence),
    AdminCommand("room unsilence", ("room", "user"), "let a name write in a room again", rooms.unsilence),
    AdminCommand("room invite", ("room", "user"), "invite a user to a room, whatever its rules and bans", rooms.invite),
    AdminCommand("room uninvite", ("room", "user"), "take back an invitation to a room", rooms.uninvite),
    AdminCommand(
        "room delete", ("room",), "delete a room and all its messages, and notify its members", accounts.delete_room
    ),
    AdminCommand(
        "room close",
        ("room", "why"),
        "close a room: members may read, but nobody may write or join",
        moderation.close_room,
    ),
    AdminCommand("room open", ("room",), "open a closed room again", moderation.open_room),
    AdminCommand(
        "hook add",
        ("hook", "into"),
        "make a hook and print its URL, at which other programs post to the room; it is not shown again",
        hooks.add_hook,
    ),
    AdminCommand(
        "hook list", ("of-room",), "list hooks: who has made each, and when it was used last", hooks.list_hooks
    ),
    AdminCommand(
        "hook revoke", ("hook",), "delete a hook: its URL is void; what it has posted stays", hooks.revoke_hook
    ),
    AdminCommand("kick", ("who", "why"), "close a user's connections (needs a running server)", moderation.kick),
    AdminCommand("mute", ("who", "for", "why"), "mute a user: their messages are refused", moderation.mute),
    AdminCommand("unmute", ("who",), "unmute a user", moderation.unmute),
    AdminCommand("ban", ("whom", "address", "for", "why"), "ban a name, an address or a network", moderation.ban),
    AdminCommand("unban", ("whom", "address"), "lift the ban of a user or an address", moderation.unban),
    AdminCommand("bans", (), "list bans and mutes", moderation.list_sanctions),
    AdminCommand(
        "backup",
        ("new", "files"),
        "write a backup of the whole store to one file, and of the files to a folder, while the server runs",
        maintenance.backup,
    ),
    AdminCommand(
        "verify",
        ("any", "saved"),
        "check the store or a backup, and its files, for damage and what is missing; exit code 1 if there is any",
        maintenance.verify,
    ),
    AdminCommand(
        "restore", ("old", "saved"), "replace the store with a backup", maintenance.restore, needs_stopped=True
    ),
    AdminCommand(
        "copy",
        ("from", "to", "skip-bad"),
        "copy a store into another one, of either kind, and compare the two",
        maintenance.copy,
        needs_stopped=True,
    ),
    AdminCommand("bus-key", (), "replace the key that a cluster's servers use on the bus", maintenance.replace_bus_key),
    AdminCommand("export", ("out",), "export accounts, rooms and messages as JSON lines", maintenance.export),
    AdminCommand(
        "cert self-signed",
        ("host", "days", "new"),
        "create a self-signed certificate for a private network",
        certs.create_self_signed,
    ),
    AdminCommand("cert show", ("pem",), "show a certificate's names, expiry and pin", certs.show_certificate),
    AdminCommand("message erase", ("stored",), "erase a message; a tombstone is left", moderation.erase_message),
    AdminCommand("trace", ("message",), "show where a message was delivered, without its text", status.trace),
    AdminCommand("status", (), "show the state of the running server", status.status, needs_running=True),
    AdminCommand("prune", ("age",), "delete old messages", maintenance.prune),
)


def help_text() -> str:
    """Return the text of --help that lists the commands."""
    lines = ["usage: gmessenger-admin [option ...] COMMAND [option ...]", "", "commands:"]
    for command in COMMANDS:
        lines += _help_lines(command)
    return "\n".join(lines)


def _help_lines(command: AdminCommand) -> list[str]:
    """Return the usage with its description in the next column, or below where the usage is too long."""
    needs = " (needs the server stopped)" if command.needs_stopped else ""
    needs = " (needs it running)" if command.needs_running else needs
    indent = " " * HELP_COLUMN
    lines = textwrap.wrap(command.description + needs, HELP_WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(command.usage) < HELP_COLUMN - 2:
        return [f"  {command.usage:<{HELP_COLUMN - 2}}{lines[0].lstrip()}", *lines[1:]]
    return [f"  {command.usage}", *lines]


def run_command(options: AdminOptions, words: Sequence[str]) -> int:
    """Run the command that the words name, with its arguments; return the exit code. Raises `UsageError`."""
    command = find_command(words)
    args = _make_parser(command).parse_args(words[len(command.name.split()) :])
    return command.handler(options, args)


def find_command(words: Sequence[str]) -> AdminCommand:
    """Return the command that the first words name. Raises `UsageError`, which lists similar ones."""
    for command in COMMANDS:
        if list(words[: len(command.name.split())]) == command.name.split():
            return command
    similar = [command.name for command in COMMANDS if command.name.split()[0] == words[0]]
    known = ", ".join(similar or [command.name for command in COMMANDS])
    raise UsageError(f"There is no command {redact_text(' '.join(words[:2]))!r}; there is {known}.")


class _CommandParser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of exiting, without secrets in its message."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{redact_error(message[:1].upper() + message[1:].rstrip('.'))}. See {self.prog} --help.")


def add_commands(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add all commands to the parser of the options, for shell completion; return it."""
    parsers: dict[str, argparse.ArgumentParser] = {}
    groups: dict[str, Any] = {"": parser.add_subparsers(parser_class=argparse.ArgumentParser)}
    for command in COMMANDS:
        group, _, word = command.name.rpartition(" ")
        if group not in groups:
            parsers[group] = groups[""].add_parser(group, help=f"{group} …")
            groups[group] = parsers[group].add_subparsers()
        # The name of a group may be a command, too: `invite`, beside `invite list`.
        own = parsers.get(command.name) or groups[group].add_parser(word, help=command.description)
        _add_arguments(own, command)
    return parser


def _make_parser(command: AdminCommand) -> _CommandParser:
    parser = _CommandParser(
        prog=f"gmessenger-admin {command.name}", description=command.description, allow_abbrev=False
    )
    _add_arguments(parser, command)
    return parser


def _add_arguments(parser: argparse.ArgumentParser, command: AdminCommand) -> None:
    for argument in (ARGUMENTS[key] for key in command.arguments):
        if argument.flag:
            parser.add_argument(argument.name, action="store_true", help=argument.description)
        elif argument.name.startswith("-"):
            parser.add_argument(
                argument.name,
                required=not argument.optional,
                action="append" if argument.repeatable else "store",
                type=argument.parse,
                metavar=argument.usage.strip("[]…").split()[-1],
                help=argument.description,
            )
        else:
            nargs = "?" if argument.optional else "+" if argument.one_or_more else None
            parser.add_argument(argument.name, nargs=nargs, metavar=argument.name.upper(), help=argument.description)
