"""Format who is invited to a room, kept out of it, or silenced there, as text for a person; all text is sanitized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gmessenger.client import InvitationInfo, Invited, MemberShutOut, MemberSilenced, SanctionInfo
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.i18n import _, as_notice, ngettext


def invited(event: Invited, by: str) -> str:
    """Say who has invited the user; `by` is sanitized."""
    room = sanitize(event.room)
    return as_notice(
        _("{name} invites you to {room}: /join {room} joins it, /leave {room} declines", name=by, room=room)
    )


def shut_out(event: MemberShutOut, by: str, reason: str) -> str:
    """Say who is kept out of a room, for how long, and why; `by` and `reason` are sanitized."""
    values = {"name": sanitize(event.name), "room": sanitize(event.room), "by": by}
    text = _("{by} keeps {name} out of {room}", **values)
    if event.until is not None:
        text = _("{by} keeps {name} out of {room} until {time}", **values, time=format_time(event.until))
    return as_notice(text + reason)


def silenced(event: MemberSilenced, by: str, reason: str) -> str:
    """Say who may not write in a room, for how long, and why; `by` and `reason` are sanitized."""
    values = {"name": sanitize(event.name), "room": sanitize(event.room), "by": by}
    text = _("{by} has silenced {name} in {room}", **values)
    if event.until is not None:
        text = _("{by} has silenced {name} in {room} until {time}", **values, time=format_time(event.until))
    return as_notice(text + reason)


def access(
    room: str,
    invitations: Sequence[InvitationInfo],
    shut_outs: Sequence[SanctionInfo],
    silences: Sequence[SanctionInfo],
) -> str:
    """Format who is invited to a room, kept out of it, and silenced there, one on each line."""
    name = sanitize(room)
    lines = [
        *_list(
            ngettext("{count} invited to {room}:", "{count} invited to {room}:", len(invitations), room=name),
            [_("{name}, by {by}", name=sanitize(info.user), by=sanitize(info.by)) for info in invitations],
        ),
        *_list(
            ngettext("{count} kept out of {room}:", "{count} kept out of {room}:", len(shut_outs), room=name),
            list(map(_sanction, shut_outs)),
        ),
        *_list(
            ngettext("{count} silenced in {room}:", "{count} silenced in {room}:", len(silences), room=name),
            list(map(_sanction, silences)),
        ),
    ]
    return "\n".join(lines) or as_notice(_("in {room}, nobody is invited, kept out or silenced", room=name))


def _list(head: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield as_notice(head)
        yield from (f"   {line}" for line in lines)


def _sanction(info: SanctionInfo) -> str:
    name, by = sanitize(info.target), sanitize(info.by)
    if info.until is None:
        text = _("{name}, by {by}", name=name, by=by)
    else:
        text = _("{name}, by {by}, until {time}", name=name, by=by, time=format_time(info.until))
    return f"{text}: {sanitize(info.reason)}" if info.reason else text
