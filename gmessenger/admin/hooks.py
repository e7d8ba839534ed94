"""The commands `hook add`, `hook list` and `hook revoke`: URLs at which other programs post to a room."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from gmessenger.admin.client import connect
from gmessenger.admin.results import HookRow, NewHook, parse_result
from gmessenger.chat.hooks import HOOK_PATH
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row

NO_ADDRESS: Final = (
    "That is the path of the hook's URL. What comes before it is not known: no server runs here, or it has no --web.",
    "Give the server --web, on which it takes HTTP requests, and --web-url, as other machines reach it.",
)


def add_hook(options: AdminOptions, args: Namespace) -> int:
    """Run `hook add`: print the URL, which is shown only here, or the option without which there is none."""
    with connect(options) as client:
        made = parse_result(client.call("add_hook", name=args.name, room=args.room), NewHook)
    for line in describe_hook(made):
        print_line(line)
    return 0


def describe_hook(made: NewHook) -> Iterator[str]:
    """Yield the URL of a new hook, or its path and why that is not all of it."""
    if made.url is not None:
        yield made.url
    else:
        yield f"{HOOK_PATH}{made.token}"
        yield from NO_ADDRESS


def list_hooks(options: AdminOptions, args: Namespace) -> int:
    """Run `hook list`."""
    with connect(options) as client:
        hooks = parse_result(client.call("hooks", room=args.room), list[HookRow])
    for hook in hooks:
        made = f"made {_format_time(hook.since)} by {hook.by or '-'}"
        print_row(hook.name, hook.room, made, f"used {_format_time(hook.used)}", "inactive" if hook.inactive else "")
    return 0


def revoke_hook(options: AdminOptions, args: Namespace) -> int:
    """Run `hook revoke`."""
    with connect(options) as client:
        client.call("revoke_hook", name=args.name)
    print_line(f"The hook {args.name} is revoked. What it has posted stays.")
    return 0


def _format_time(time: float) -> str:
    return f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M}"
