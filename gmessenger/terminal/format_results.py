"""What a person reads in answer to a command: lists, what was said before, and that something is done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gmessenger.client import MessageEvent, SearchHit, SearchResults, UserInfo, fold
from gmessenger.constants import ONLINE
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.format_events import (
    PRESENCE_SENTENCES,
    format_hit,
    format_message,
    format_status,
    format_topic,
    operator_name,
    reason_suffix,
)
from gmessenger.terminal.i18n import _, as_notice, ngettext

IPV4_PATTERN: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}", re.ASCII)


def users(present: Sequence[UserInfo], own_name: str) -> str:
    """Who is there, one a line."""
    return _format_list(ngettext("{count} here:", "{count} here:", len(present)), _user_names(present, own_name))


def members(room: str, present: Sequence[UserInfo], own_name: str) -> str:
    """Who is in a room, and who of them is not there just now."""
    head = ngettext("{count} in {room}:", "{count} in {room}:", len(present), room=sanitize(room))
    return _format_list(head, _user_names(present, own_name))


def joined(room: str, names: Sequence[str], topic: str) -> str:
    """What one sees on coming into a room."""
    here = as_notice(_("you are in {room}, with {names}", room=sanitize(room), names=sanitize(", ".join(names))))
    return f"{here}\n{format_topic(room, topic)}" if topic else here


def rooms(listed: Sequence[Mapping[str, Any]]) -> str:
    """The rooms there are, one a line."""
    if not listed:
        return as_notice(_("there are no rooms; /join #NAME makes one"))
    return _format_list(ngettext("{count} room:", "{count} rooms:", len(listed)), map(_format_room, listed))


def _format_room(info: Mapping[str, Any]) -> str:
    name, count = sanitize(str(info.get("room"))), info.get("members")
    inside = _("({count}, closed)", count=count) if info.get("closed") else f"({count})"
    return f"{name} {inside} {sanitize(str(info.get('topic') or ''))}".rstrip()


def blocks(cards: Sequence[UserInfo]) -> str:
    """Whom one does not hear from."""
    if not cards:
        return as_notice(_("you have blocked no users"))
    names = (sanitize(card.account_name) for card in cards)
    return _format_list(
        ngettext("you have blocked {count} user:", "you have blocked {count} users:", len(cards)), names
    )


def kicked(name: str, sessions: int) -> str:
    return as_notice(
        ngettext(
            "{name} is disconnected: {count} connection closed",
            "{name} is disconnected: {count} connections closed",
            sessions,
            name=sanitize(name),
        )
    )


def muted(name: str, minutes: int | None, sessions: int) -> str:
    shown = sanitize(name)
    said = _("{name} is muted", name=shown)
    if minutes is not None:
        said = ngettext(
            "{name} is muted for {count} minute", "{name} is muted for {count} minutes", minutes, name=shown
        )
    return as_notice(said if sessions else _("{said}; no user of that name is online now", said=said))


def banned(target: str, minutes: int | None, sessions: int) -> str:
    shown = sanitize(target)
    said = _("{name} is banned", name=shown)
    if minutes is not None:
        said = ngettext(
            "{name} is banned for {count} minute", "{name} is banned for {count} minutes", minutes, name=shown
        )
    told = ngettext("{said}: {count} connection closed", "{said}: {count} connections closed", sessions, said=said)
    return as_notice(told) + ipv4_name_hint(target)


def ipv4_name_hint(target: str) -> str:
    """That it was a name which has been banned, where it reads as an address; else nothing."""
    if not IPV4_PATTERN.fullmatch(target):
        return ""
    return "\n" + as_notice(_("that is the name {name}; the address is {name}/32", name=target))


def sanctions(bans: Sequence[Mapping[str, Any]], mutes: Sequence[Mapping[str, Any]]) -> str:
    """Who is banned and who is muted, one a line."""
    parts = [
        _format_list(ngettext("{count} banned:", "{count} banned:", len(bans)), map(_format_sanction, bans))
        if bans
        else "",
        _format_list(ngettext("{count} muted:", "{count} muted:", len(mutes)), map(_format_sanction, mutes))
        if mutes
        else "",
    ]
    return "\n".join(filter(None, parts)) or as_notice(_("there are no bans or mutes"))


def _format_sanction(sanction: Mapping[str, Any]) -> str:
    whom, by = sanitize(str(sanction.get("user") or sanction.get("address"))), operator_name(str(sanction.get("by")))
    until = sanction.get("until")
    if isinstance(until, int | float):
        said = _("{name}, by {by}, until {time}", name=whom, by=by, time=format_time(until))
    else:
        said = _("{name}, by {by}", name=whom, by=by)
    return said + reason_suffix(str(sanction.get("reason") or ""))


def history(conversation: str, messages: Sequence[MessageEvent]) -> str:
    """What was said before."""
    name, room, count = sanitize(conversation), is_room(conversation), len(messages)
    if not messages:
        return as_notice(
            _("there is nothing earlier in {name}", name=name)
            if room
            else _("there is nothing earlier with {name}", name=name)
        )
    head = (
        ngettext("the last {count} message in {name}:", "the last {count} messages in {name}:", count, name=name)
        if room
        else ngettext(
            "the last {count} message with {name}:", "the last {count} messages with {name}:", count, name=name
        )
    )
    return "\n".join([as_notice(head), *map(format_message, messages), as_notice(_("end of earlier messages"))])


def status(status: str) -> str:
    """One has said how one is."""
    if status in PRESENCE_SENTENCES:
        return as_notice(_("your status is {status} again", status=format_status(status)))
    return as_notice(_("your status is now: {status} (/status online clears it)", status=format_status(status)))


def own_status(status: str) -> str:
    """How one is, as others see it."""
    said = _("your status: {status}; /status WORDS changes it", status=format_status(status))
    back = _("/status online clears it")
    return as_notice(said if status in PRESENCE_SENTENCES else f"{said}, {back}")


def conversations(names: Sequence[tuple[int, str]], current: str | None) -> str:
    """The conversations there are, by the numbers with which `/go` finds them; plain lines go to the `current` one."""
    if not names:
        return as_notice(_("there are no conversations yet; /msg NAME or /join #ROOM starts one"))
    here = fold(current or "")
    mark = {True: f" {_('(text without a command goes here)')}", False: ""}
    lines = (f"{number:>3} {sanitize(name)}{mark[fold(name) == here]}" for number, name in names)
    return _format_list(_("conversations, for /go N:"), lines)


def search_context(hit: SearchHit, messages: Sequence[MessageEvent]) -> str:
    """What was said before and after a message that was found, which has a mark."""
    lines = []
    for each in messages:
        first, *further = format_message(each).split("\n")
        lines += [f"{'>' if each.seq == hit.delivery.seq else ' '} {first}", *(f"  {line}" for line in further)]
    head = _("messages around the search result, in {name}:", name=sanitize(hit.conversation))
    return "\n".join([as_notice(head), *lines, as_notice(_("end of search results"))])


def search(results: SearchResults, own_name: str) -> str:
    """What was found, the newest last, where one is looking; with the numbers by which `/jump` finds it."""
    rest = [as_notice(_("the search is incomplete: there may be more results; try less common words, or one room"))]
    rest = rest if results.is_incomplete else []
    if not results:
        return "\n".join([as_notice(_("nothing found")), *rest])
    head = ngettext("found {count} message:", "found {count} messages:", len(results))
    lines = [f"{number:>3} {format_hit(one, own_name)}" for number, one in enumerate(reversed(results), 1)]
    return "\n".join(
        [as_notice(head), *lines, *rest, as_notice(_("end of search results; /jump N goes to one of them"))]
    )


def _format_list(head: str, lines: Iterable[str]) -> str:
    return "\n".join([as_notice(head), *(f"   {line}" for line in lines)])


def _user_names(present: Sequence[UserInfo], own_name: str) -> Iterable[str]:
    return (sanitize(card.account_name) + _remarks(card, own_name) for card in present)


def _remarks(card: UserInfo, own_name: str) -> str:
    remarks = [format_status(card.status)] if card.status and card.status != ONLINE else []
    remarks += [_("you")] if fold(card.account_name) == fold(own_name) else []
    return f" ({', '.join(remarks)})" if remarks else ""
