"""Accounts, invites and rooms: what the commands `user`, `invite` and `room` do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from gmessenger.admin import asking
from gmessenger.admin.office import open_office
from gmessenger.admin.site import site_of
from gmessenger.errors import NameConfusable
from gmessenger.options import AdminOptions
from gmessenger.terminal_text import print_line, print_row


def add_user(options: AdminOptions, given: Namespace) -> int:
    password = asking.password(options)
    with open_office(options) as office:
        try:
            office.ask("add_account", name=given.name, password=password, look_alike=given.look_alike)
        except NameConfusable as error:
            raise NameConfusable(f"{error} Use --look-alike to create it nevertheless.") from error
    print_line(f"{given.name} is an account now. Store: {site_of(options).shown}.")
    return 0


def change_password(options: AdminOptions, given: Namespace) -> int:
    said = f"{given.name} has a new password; its sessions are ended and must log in again."
    return _do(options, "set_password", said, given.name, asking.password(options))


def disable_user(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "disable", f"{given.name} is disabled.", given.name)


def enable_user(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "enable", f"{given.name} may log in again.", given.name)


def delete_user(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "delete_account", f"The account {given.name} is deleted.", given.name)


def grant(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "grant", f"{given.name} is an operator.", given.name)


def revoke(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "revoke", f"{given.name} is no longer an operator.", given.name)


def delete_room(options: AdminOptions, given: Namespace) -> int:
    return _do(options, "delete_room", f"{given.name} is deleted, with all its messages.", given.name)


def list_users(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        accounts = office.ask("accounts")
    _show(filter(None, (each["name"], _state(each), each["role"])) for each in accounts)
    return 0


def _state(account: dict[str, Any]) -> str:
    return "disabled" if account["disabled"] else "here" if account["here"] else "-"


def list_rooms(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        rooms = office.ask("rooms")
    _show(_room(each) for each in rooms)
    return 0


def _room(room: dict[str, Any]) -> tuple[str, ...]:
    members = f"{room['members']} members"
    return room["name"], f"{members}, closed" if room["closed"] else members, f"seq {room['seq']}", room["topic"]


def invite(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        print_line(office.ask("add_invite"))
    return 0


def _do(options: AdminOptions, verb: str, done: str, name: str, password: str | None = None) -> int:
    arguments: dict[str, Any] = {"name": name} if password is None else {"name": name, "password": password}
    with open_office(options) as office:
        office.ask(verb, **arguments)
    print_line(f"{done} Store: {site_of(options).shown}.")
    return 0


def _show(rows: Iterable[Iterable[str]]) -> None:
    for row in rows:
        print_row(*row)
