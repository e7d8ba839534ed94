"""The moderation commands: `kick`, `mute`, `ban`, `room close`, those that undo them, and `bans`."""

from __future__ import annotations

import datetime
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from gmessenger.admin.client import AdminClient, connect, require_running
from gmessenger.admin.results import SanctionPage, SanctionRow, parse_result
from gmessenger.admin.status import parse_seq
from gmessenger.chat.networks import looks_like_address
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.errors import UsageError
from gmessenger.hosts import is_certainly_address
from gmessenger.names import is_room


def erase_message(options: AdminOptions, args: Namespace) -> int:
    """Run `message erase`."""
    match args.which:
        case [room, seq] if is_room(room):
            where: dict[str, Any] = {"name": room, "seq": parse_seq(seq)}
        case [name, other, seq]:
            where = {"name": name, "other": other, "seq": parse_seq(seq)}
        case _:
            raise UsageError("Name a message: a room and a seq, or two names and a seq.")
    _call(options, "erase_message", **where)
    return _report("The message is erased.")


def kick(options: AdminOptions, args: Namespace) -> int:
    """Run `kick`."""
    require_running(options, "kick")
    closed = _call(options, "kick", name=args.name, reason=args.reason or "")
    return _report(f"{args.name} is disconnected; {_format_closed(closed)}.")


def mute(options: AdminOptions, args: Namespace) -> int:
    """Run `mute`."""
    _call(options, "mute", name=args.name, seconds=getattr(args, "for"), reason=args.reason or "")
    return _report(f"{args.name} is muted.")


def unmute(options: AdminOptions, args: Namespace) -> int:
    """Run `unmute`."""
    _call(options, "unmute", name=args.name)
    return _report(f"{args.name} is no longer muted.")


def ban(options: AdminOptions, args: Namespace) -> int:
    """Run `ban`."""
    closed = _call(options, "ban", **_target(args), seconds=getattr(args, "for"), reason=args.reason or "")
    return _report_target(args, f"is banned; {_format_closed(closed)}.")


def unban(options: AdminOptions, args: Namespace) -> int:
    """Run `unban`."""
    _call(options, "unban", **_target(args))
    return _report_target(args, "is no longer banned.")


def close_room(options: AdminOptions, args: Namespace) -> int:
    """Run `room close`."""
    _call(options, "close_room", name=args.name, reason=args.reason or "")
    return _report(f"{args.name} is closed; its members can read it.")


def open_room(options: AdminOptions, args: Namespace) -> int:
    """Run `room open`."""
    _call(options, "open_room", name=args.name)
    return _report(f"{args.name} is open.")


def list_sanctions(options: AdminOptions, args: Namespace) -> int:
    """Run `bans`: list bans, then mutes."""
    with connect(options) as client:
        for kind, verb in (("bans", "banned"), ("mutes", "muted")):
            for row in _fetch_sanctions(client, kind):
                print_row(row.target, verb, row.by, format_expiry(row.until), row.reason)
    return 0


def _fetch_sanctions(client: AdminClient, kind: str) -> Iterator[SanctionRow]:
    after = None
    more = True
    while more:
        page = parse_result(client.call("sanctions", kind=kind, after=after), SanctionPage)
        rows = page.bans if kind == "bans" else page.mutes
        yield from rows
        more = page.more
        after = rows[-1].target if rows else None


def format_expiry(until: float | None) -> str:
    """Return when a sanction ends, as it is listed."""
    if until is None:
        return "for good"
    return f"until {datetime.datetime.fromtimestamp(until):%Y-%m-%d %H:%M}"


def _format_closed(count: int | None) -> str:
    return f"connections closed: {count}" if count is not None else "every server closes the connections it holds"


def _target(args: Namespace) -> dict[str, str]:
    """Return the target as `name` or as `address`, which are never taken for each other."""
    if (args.whom is None) == (args.address is None):
        raise UsageError("Give a name, or an address with --address.")
    if args.whom is None or is_certainly_address(args.whom):
        return {"address": args.address or args.whom}
    return {"name": args.whom}


def _report_target(args: Namespace, message: str) -> int:
    _report(f"{args.whom or args.address} {message}")
    if args.whom is not None and not is_certainly_address(args.whom) and looks_like_address(args.whom):
        _report(f"That is the name {args.whom}; for the address, use --address {args.whom}.")
    return 0


def _call(options: AdminOptions, method: str, **arguments: Any) -> Any:
    with connect(options) as client:
        return client.call(method, **arguments)


def _report(message: str) -> int:
    print_line(message)
    return 0
