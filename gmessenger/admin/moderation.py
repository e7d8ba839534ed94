"""Keeping the peace: what the commands `kick`, `mute`, `ban` and `room close` do, and those that undo them."""

from __future__ import annotations

import datetime
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from gmessenger.admin.client import AdminClient, connect, require_running
from gmessenger.chat.networks import is_certainly_address, looks_like_address
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.errors import UsageError


def kick(options: AdminOptions, args: Namespace) -> int:
    require_running(options, "kick")
    closed = _call(options, "kick", name=args.name, reason=args.reason or "")
    return _report(f"{args.name} is disconnected; {_format_closed(closed)}.")


def mute(options: AdminOptions, args: Namespace) -> int:
    _call(options, "mute", name=args.name, seconds=getattr(args, "for"), reason=args.reason or "")
    return _report(f"{args.name} is muted.")


def unmute(options: AdminOptions, args: Namespace) -> int:
    _call(options, "unmute", name=args.name)
    return _report(f"{args.name} is no longer muted.")


def ban(options: AdminOptions, args: Namespace) -> int:
    seconds, reason = getattr(args, "for"), args.reason or ""
    closed = _call(options, "ban", **_target(args), seconds=seconds, reason=reason)
    return _report_target(args, f"is banned; {_format_closed(closed)}.")


def unban(options: AdminOptions, args: Namespace) -> int:
    _call(options, "unban", **_target(args))
    return _report_target(args, "is no longer banned.")


def close_room(options: AdminOptions, args: Namespace) -> int:
    _call(options, "close_room", name=args.name, reason=args.reason or "")
    return _report(f"{args.name} is closed; its members can read it.")


def open_room(options: AdminOptions, args: Namespace) -> int:
    _call(options, "open_room", name=args.name)
    return _report(f"{args.name} is open.")


def list_sanctions(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        for kind, what in (("bans", "banned"), ("mutes", "muted")):
            for each in _fetch_sanctions(office, kind):
                whom = each.get("user") or each["address"]
                print_row(whom, what, each["by"], _format_expiry(each), each.get("reason", ""))
    return 0


def _fetch_sanctions(client: AdminClient, kind: str) -> Iterator[dict[str, Any]]:
    after = None
    more = True
    while more:
        page = client.call("sanctions", kind=kind, after=after)
        yield from page[kind]
        more = page["more"]
        after = (page[kind][-1].get("user") or page[kind][-1]["address"]) if page[kind] else None


def _format_expiry(sanction: dict[str, Any]) -> str:
    if "until" not in sanction:
        return "for good"
    return f"until {datetime.datetime.fromtimestamp(sanction['until']):%Y-%m-%d %H:%M}"


def _format_closed(count: int | None) -> str:
    return f"connections closed: {count}" if count is not None else "every server closes the connections it holds"


def _target(args: Namespace) -> dict[str, str]:
    """A name and an address are never taken for each other."""
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
    with connect(options) as office:
        return office.call(method, **arguments)


def _report(message: str) -> int:
    print_line(message)
    return 0
