"""The commands `user` and `room`; passwords come from a prompt, a file or standard input."""

from __future__ import annotations

import getpass
import secrets
import sys
from argparse import Namespace
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from gmessenger.admin.client import connect, store_location
from gmessenger.admin.results import parse_result
from gmessenger.chat.admin_results import AccountRow, RoomRow
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.constants import ONCE_HOURS
from gmessenger.errors import NameConfusable, Refused, UsageError
from gmessenger.text_files import MAX_PASSWORD_LINE, read_password_file, strip_bom

ONCE_BYTES: Final = 12
"""Random bytes of a one-time password."""


def prompt_password(options: AdminOptions) -> str:
    """Return a new password: from --password-file, standard input, or typed twice at the terminal.

    Raises `FileError`, `UsageError` if it is empty, or `Refused` if the two differ.
    """
    if options.password_file:
        return read_password_file(options.password_file)
    if not sys.stdin.isatty():
        return _require_password(strip_bom(sys.stdin.readline(MAX_PASSWORD_LINE)))
    entered = _prompt("New password: ")
    if _prompt("Again: ") != entered:
        raise Refused("The two passwords differ.")
    return entered


def _prompt(question: str) -> str:
    try:
        return _require_password(getpass.getpass(question))
    except EOFError:
        print(file=sys.stderr)  # end the line of the prompt
        return _require_password("")


def _require_password(line: str) -> str:
    entered = line.rstrip("\r\n")
    if not entered:
        raise UsageError("No password was entered.")
    return entered


def add_user(options: AdminOptions, args: Namespace) -> int:
    """Run `user add`."""
    password = prompt_password(options)
    with connect(options) as client:
        try:
            client.call("add_account", name=args.name, password=password, look_alike=args.look_alike)
        except NameConfusable as error:
            raise NameConfusable(f"{error} Use --look-alike to create it nevertheless.") from error
    print_line(f"{args.name} is an account now. Store: {store_location(options).display_name}.")
    return 0


def change_password(options: AdminOptions, args: Namespace) -> int:
    """Run `user passwd`."""
    if args.once:
        return _set_one_time_password(options, args.name)
    message = f"{args.name} has a new password; its sessions are ended and must log in again."
    return _call_and_report(options, "set_password", message, name=args.name, password=prompt_password(options))


def _set_one_time_password(options: AdminOptions, name: str) -> int:
    """Give an account a random password, and print it with what its owner has to know."""
    password = secrets.token_urlsafe(ONCE_BYTES)
    with connect(options) as client:
        client.call("set_password", name=name, password=password, once=True)
    print_line(password)
    if sys.stdout.isatty():
        print_line(f"{name} can log in with it for {ONCE_HOURS} hours, and has to choose a new password then.")
    return 0


def disable_user(options: AdminOptions, args: Namespace) -> int:
    """Run `user disable`."""
    return _call_and_report(options, "disable", f"{args.name} is disabled.", name=args.name)


def enable_user(options: AdminOptions, args: Namespace) -> int:
    """Run `user enable`."""
    return _call_and_report(options, "enable", f"{args.name} may log in again.", name=args.name)


def delete_user(options: AdminOptions, args: Namespace) -> int:
    """Run `user delete`."""
    return _call_and_report(options, "delete_account", f"The account {args.name} is deleted.", name=args.name)


def grant_operator(options: AdminOptions, args: Namespace) -> int:
    """Run `user grant`."""
    return _call_and_report(options, "grant", f"{args.name} is an operator.", name=args.name)


def revoke_operator(options: AdminOptions, args: Namespace) -> int:
    """Run `user revoke`."""
    return _call_and_report(options, "revoke", f"{args.name} is no longer an operator.", name=args.name)


def delete_room(options: AdminOptions, args: Namespace) -> int:
    """Run `room delete`."""
    return _call_and_report(options, "delete_room", f"{args.name} is deleted, with all its messages.", name=args.name)


def list_users(options: AdminOptions, args: Namespace) -> int:
    """Run `user list`."""
    with connect(options) as client:
        accounts = parse_result(client.call("accounts"), list[AccountRow])
    _print_rows(
        filter(None, (account.name, _account_state(account), account.role, _last_seen(account))) for account in accounts
    )
    return 0


def _account_state(account: AccountRow) -> str:
    if account.bot and not account.disabled:
        return "hook"
    return "disabled" if account.disabled else "here" if account.here else "-"


def _last_seen(account: AccountRow) -> str:
    return f"last seen {datetime.fromtimestamp(account.seen):%Y-%m-%d %H:%M}" if account.seen is not None else ""


def list_rooms(options: AdminOptions, args: Namespace) -> int:
    """Run `room list`."""
    with connect(options) as client:
        rooms = parse_result(client.call("rooms"), list[RoomRow])
    _print_rows(_room_cells(room) for room in rooms)
    return 0


def _room_cells(room: RoomRow) -> tuple[str, ...]:
    members = f"{room.members} members"
    return room.name, f"{members}, closed" if room.closed else members, f"seq {room.seq}", room.topic


def _call_and_report(options: AdminOptions, method: str, message: str, **arguments: Any) -> int:
    with connect(options) as client:
        client.call(method, **arguments)
    print_line(f"{message} Store: {store_location(options).display_name}.")
    return 0


def _print_rows(rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        print_row(*row)
