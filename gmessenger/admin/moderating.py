"""Keeping the peace: what the commands `kick`, `mute`, `ban` and `room close` do, and those that undo them."""

from __future__ import annotations

import datetime
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from gmessenger.admin.office import Office, need_running, open_office
from gmessenger.chat.networks import is_no_name, looks_like_address
from gmessenger.errors import UsageError
from gmessenger.options import AdminOptions
from gmessenger.terminal_text import print_line, print_row


def kick(options: AdminOptions, given: Namespace) -> int:
    need_running(options, "kick")
    closed = _ask(options, "kick", name=given.name, reason=given.reason or "")
    return _say(f"{given.name} is disconnected; {_closed(closed)}.")


def mute(options: AdminOptions, given: Namespace) -> int:
    _ask(options, "mute", name=given.name, seconds=getattr(given, "for"), reason=given.reason or "")
    return _say(f"{given.name} is muted.")


def unmute(options: AdminOptions, given: Namespace) -> int:
    _ask(options, "unmute", name=given.name)
    return _say(f"{given.name} is no longer muted.")


def ban(options: AdminOptions, given: Namespace) -> int:
    seconds, reason = getattr(given, "for"), given.reason or ""
    closed = _ask(options, "ban", **_whom(given), seconds=seconds, reason=reason)
    return _say_whom(given, f"is banned; {_closed(closed)}.")


def unban(options: AdminOptions, given: Namespace) -> int:
    _ask(options, "unban", **_whom(given))
    return _say_whom(given, "is no longer banned.")


def close_room(options: AdminOptions, given: Namespace) -> int:
    _ask(options, "close_room", name=given.name, reason=given.reason or "")
    return _say(f"{given.name} is closed; its members can read it.")


def open_room(options: AdminOptions, given: Namespace) -> int:
    _ask(options, "open_room", name=given.name)
    return _say(f"{given.name} is open.")


def list_sanctions(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        for kind, what in (("bans", "banned"), ("mutes", "muted")):
            for each in _all(office, kind):
                whom = each.get("user") or each["address"]
                print_row(whom, what, each["by"], _until(each), each.get("reason", ""))
    return 0


def _all(office: Office, kind: str) -> Iterator[dict[str, Any]]:
    after = None
    more = True
    while more:
        page = office.ask("sanctions", kind=kind, after=after)
        yield from page[kind]
        more = page["more"]
        after = (page[kind][-1].get("user") or page[kind][-1]["address"]) if page[kind] else None


def _until(each: dict[str, Any]) -> str:
    if "until" not in each:
        return "for good"
    return f"until {datetime.datetime.fromtimestamp(each['until']):%Y-%m-%d %H:%M}"


def _closed(count: int | None) -> str:
    return f"connections closed: {count}" if count is not None else "every server closes the connections it holds"


def _whom(given: Namespace) -> dict[str, str]:
    """A name and an address are never taken for each other."""
    if (given.whom is None) == (given.address is None):
        raise UsageError("Give a name, or an address with --address.")
    if given.whom is None or is_no_name(given.whom):
        return {"address": given.address or given.whom}
    return {"name": given.whom}


def _say_whom(given: Namespace, done: str) -> int:
    _say(f"{given.whom or given.address} {done}")
    if given.whom is not None and not is_no_name(given.whom) and looks_like_address(given.whom):
        _say(f"That is the name {given.whom}; for the address, use --address {given.whom}.")
    return 0


def _ask(options: AdminOptions, verb: str, **arguments: Any) -> Any:
    with open_office(options) as office:
        return office.ask(verb, **arguments)


def _say(done: str) -> int:
    print_line(done)
    return 0
