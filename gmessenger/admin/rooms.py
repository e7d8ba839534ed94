"""The commands on one room: its rules and roles, who is invited, kept out or silent."""

from __future__ import annotations

from argparse import Namespace

from gmessenger.admin.client import connect
from gmessenger.admin.moderation import format_expiry
from gmessenger.admin.results import parse_result
from gmessenger.chat.admin_results import RoomDetails
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.room_rules import ROOM_RULES, format_rule_value


def show_room(options: AdminOptions, args: Namespace) -> int:
    """Run `room show`: the rules, the members with a role, then who is kept out, silenced and invited; masks."""
    with connect(options) as client:
        room = parse_result(client.call("room", name=args.name), RoomDetails)
    print_row(room.name, f"{room.members} members, {room.guests} guests", room.topic)
    for key, value in room.rules.items():
        spec = ROOM_RULES.get(key)  # None: of a server of a later release
        print_row("rule", key, format_rule_value(value), spec.description if spec is not None else "")
    for name, role in room.roles.items():
        print_row("role", name, role)
    for kind, entries in (("shut out", room.shut_outs), ("silenced", room.silences)):
        for entry in entries:
            print_row(kind, entry.user or "", entry.by, format_expiry(entry.until or None), entry.reason or "")
    for invitation in room.invitations:
        print_row("invited", invitation.user, invitation.by)
    for mask in room.masks:
        print_row("mask", mask.kind, mask.mask, mask.by)
    return 0


def shut_out(options: AdminOptions, args: Namespace) -> int:
    """Run `room shut-out`."""
    with connect(options) as client:
        client.call("shut_out", name=args.name, user=args.user, seconds=getattr(args, "for"), reason=args.reason or "")
    print_line(f"{args.user} cannot join {args.name}.")
    return 0


def let_in(options: AdminOptions, args: Namespace) -> int:
    """Run `room let-in`."""
    with connect(options) as client:
        client.call("let_in", name=args.name, user=args.user)
    print_line(f"{args.user} can join {args.name} again.")
    return 0


def silence(options: AdminOptions, args: Namespace) -> int:
    """Run `room silence`."""
    with connect(options) as client:
        client.call("silence", name=args.name, user=args.user, seconds=getattr(args, "for"), reason=args.reason or "")
    print_line(f"{args.user} cannot write in {args.name}.")
    return 0


def unsilence(options: AdminOptions, args: Namespace) -> int:
    """Run `room unsilence`."""
    with connect(options) as client:
        client.call("unsilence", name=args.name, user=args.user)
    print_line(f"{args.user} can write in {args.name} again.")
    return 0


def invite(options: AdminOptions, args: Namespace) -> int:
    """Run `room invite`."""
    with connect(options) as client:
        client.call("invite", name=args.name, user=args.user)
    print_line(f"{args.user} is invited to {args.name}.")
    return 0


def uninvite(options: AdminOptions, args: Namespace) -> int:
    """Run `room uninvite`."""
    with connect(options) as client:
        client.call("uninvite", name=args.name, user=args.user)
    print_line(f"{args.user} is not invited to {args.name} any more.")
    return 0


def set_rule(options: AdminOptions, args: Namespace) -> int:
    """Run `room rule`."""
    with connect(options) as client:
        client.call("set_rule", name=args.name, rule=args.rule, value=args.value)
    print_line(f"The rule {args.rule} of {args.name} is {args.value}.")
    return 0


def set_role(options: AdminOptions, args: Namespace) -> int:
    """Run `room role`."""
    with connect(options) as client:
        client.call("set_room_role", name=args.name, user=args.user, role=args.role)
    print_line(f"In {args.name}, the role of {args.user} is {args.role}.")
    return 0
