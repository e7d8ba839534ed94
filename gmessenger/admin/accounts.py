"""The commands `user`, `invite` and `room`, and passwords read from a prompt, a file or a pipe."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from gmessenger.admin.client import connect, store_location
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.errors import NameConfusable, Refused, UsageError
from gmessenger.text_files import MAX_PASSWORD_LINE, read_password_file, strip_bom


def prompt_password(options: AdminOptions) -> str:
    """The new password. Raises `FileError`, `UsageError` for none at all, or `Refused` for two that differ."""
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
        print(file=sys.stderr)  # the end of the line that was asked on
        return _require_password("")


def _require_password(line: str) -> str:
    entered = line.rstrip("\r\n")
    if not entered:
        raise UsageError("No password was entered.")
    return entered


def add_user(options: AdminOptions, args: Namespace) -> int:
    password = prompt_password(options)
    with connect(options) as office:
        try:
            office.call("add_account", name=args.name, password=password, look_alike=args.look_alike)
        except NameConfusable as error:
            raise NameConfusable(f"{error} Use --look-alike to create it nevertheless.") from error
    print_line(f"{args.name} is an account now. Store: {store_location(options).display_name}.")
    return 0


def change_password(options: AdminOptions, args: Namespace) -> int:
    said = f"{args.name} has a new password; its sessions are ended and must log in again."
    return _call_and_report(options, "set_password", said, args.name, prompt_password(options))


def disable_user(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "disable", f"{args.name} is disabled.", args.name)


def enable_user(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "enable", f"{args.name} may log in again.", args.name)


def delete_user(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "delete_account", f"The account {args.name} is deleted.", args.name)


def grant_operator(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "grant", f"{args.name} is an operator.", args.name)


def revoke_operator(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "revoke", f"{args.name} is no longer an operator.", args.name)


def delete_room(options: AdminOptions, args: Namespace) -> int:
    return _call_and_report(options, "delete_room", f"{args.name} is deleted, with all its messages.", args.name)


def list_users(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        accounts = office.call("accounts")
    _print_rows(filter(None, (each["name"], _account_state(each), each["role"])) for each in accounts)
    return 0


def _account_state(account: dict[str, Any]) -> str:
    return "disabled" if account["disabled"] else "here" if account["here"] else "-"


def list_rooms(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        rooms = office.call("rooms")
    _print_rows(_room_row(each) for each in rooms)
    return 0


def _room_row(room: dict[str, Any]) -> tuple[str, ...]:
    members = f"{room['members']} members"
    return room["name"], f"{members}, closed" if room["closed"] else members, f"seq {room['seq']}", room["topic"]


def create_invite(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        print_line(office.call("add_invite"))
    return 0


def _call_and_report(options: AdminOptions, method: str, message: str, name: str, password: str | None = None) -> int:
    arguments: dict[str, Any] = {"name": name} if password is None else {"name": name, "password": password}
    with connect(options) as office:
        office.call(method, **arguments)
    print_line(f"{message} Store: {store_location(options).display_name}.")
    return 0


def _print_rows(rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        print_row(*row)
