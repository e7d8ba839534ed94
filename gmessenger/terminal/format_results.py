"""Format the results of commands as text for a person; all text is sanitized."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gmessenger.client import (
    HistoryMessage,
    MessageEvent,
    RoomInfo,
    SanctionInfo,
    SearchHit,
    SearchResults,
    UserInfo,
    fold,
)
from gmessenger.constants import ONLINE
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.format_events import (
    PRESENCE_SENTENCES,
    format_status,
    format_topic,
    operator_name,
    reason_suffix,
)
from gmessenger.terminal.format_messages import format_hit, format_message
from gmessenger.terminal.format_rooms import absent_messages
from gmessenger.terminal.format_rules import role_name
from gmessenger.terminal.i18n import _, as_notice, ngettext

IPV4_PATTERN: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}", re.ASCII)


def users(users: Sequence[UserInfo], own_name: str) -> str:
    """Format the users who are online, one on each line."""
    return _format_list(ngettext("{count} here:", "{count} here:", len(users)), _user_names(users, own_name))


def members(room: str, users: Sequence[UserInfo], own_name: str) -> str:
    """Format the members of a room, one on each line, with those who are offline."""
    head = ngettext("{count} in {room}:", "{count} in {room}:", len(users), room=sanitize(room))
    return _format_list(head, _user_names(users, own_name))


def joined(room: str, names: Sequence[str], topic: str, rules: str | None = None, readable: str | None = None) -> str:
    """Format the members, topic and rules of a room that the user has joined, and how much of it can be read."""
    lines = [as_notice(_("you are in {room}, with {names}", room=sanitize(room), names=sanitize(", ".join(names))))]
    if topic:
        lines.append(format_topic(room, topic))
    lines += [as_notice(_("the rules here: {rules}", rules=rules))] if rules else []
    return "\n".join([*lines, as_notice(readable)] if readable else lines)


def rooms(infos: Sequence[RoomInfo]) -> str:
    """Format the list of rooms, one on each line."""
    if not infos:
        return as_notice(_("there are no rooms; /join #NAME makes one"))
    return _format_list(ngettext("{count} room:", "{count} rooms:", len(infos)), map(_format_room, infos))


def _format_room(info: RoomInfo) -> str:
    count = info.member_count
    members = _("({count}, closed)", count=count) if info.is_closed else f"({count})"
    return f"{sanitize(info.name)} {members} {sanitize(info.topic)}".rstrip()


def blocks(users: Sequence[UserInfo]) -> str:
    """Format the users that the user blocks."""
    if not users:
        return as_notice(_("you have blocked no users"))
    names = (sanitize(user.account_name) for user in users)
    return _format_list(
        ngettext("you have blocked {count} user:", "you have blocked {count} users:", len(users)), names
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
    text = _("{name} is muted", name=shown)
    if minutes is not None:
        text = ngettext(
            "{name} is muted for {count} minute", "{name} is muted for {count} minutes", minutes, name=shown
        )
    return as_notice(text if sessions else _("{said}; no user of that name is online now", said=text))


def banned(target: str, minutes: int | None, sessions: int) -> str:
    shown = sanitize(target)
    text = _("{name} is banned", name=shown)
    if minutes is not None:
        text = ngettext(
            "{name} is banned for {count} minute", "{name} is banned for {count} minutes", minutes, name=shown
        )
    notice = ngettext("{said}: {count} connection closed", "{said}: {count} connections closed", sessions, said=text)
    return as_notice(notice) + ipv4_name_hint(target)


def ipv4_name_hint(target: str) -> str:
    """Return a line that says that a name was banned and not an address, if the name looks like one."""
    if not IPV4_PATTERN.fullmatch(target):
        return ""
    return "\n" + as_notice(_("that is the name {name}; the address is {name}/32", name=target))


def sanctions(bans: Sequence[SanctionInfo], mutes: Sequence[SanctionInfo]) -> str:
    """Format the bans and the mutes, one on each line."""
    parts = [
        _format_list(ngettext("{count} banned:", "{count} banned:", len(bans)), map(_format_sanction, bans))
        if bans
        else "",
        _format_list(ngettext("{count} muted:", "{count} muted:", len(mutes)), map(_format_sanction, mutes))
        if mutes
        else "",
    ]
    return "\n".join(filter(None, parts)) or as_notice(_("there are no bans or mutes"))


def _format_sanction(sanction: SanctionInfo) -> str:
    target, by = sanitize(sanction.target), operator_name(sanction.by)
    if sanction.until is not None:
        text = _("{name}, by {by}, until {time}", name=target, by=by, time=format_time(sanction.until))
    else:
        text = _("{name}, by {by}", name=target, by=by)
    return text + reason_suffix(sanction.reason)


def history(
    conversation: str,
    messages: Sequence[HistoryMessage],
    absences: Sequence[tuple[int, int]] = (),
    note: str = "",
    format_one: Callable[[HistoryMessage], str] = format_message,
) -> str:
    """Format the latest messages of a conversation.

    absences: the first and the last seq of what the user may not read between them.
    note: why there are no earlier ones; empty if there may be, or never were any.
    format_one: formats each message.
    """
    name, in_room, count = sanitize(conversation), is_room(conversation), len(messages)
    notes = [as_notice(note)] if note else []
    if not messages:
        nothing = (
            _("there is nothing earlier in {name}", name=name)
            if in_room
            else _("there is nothing earlier with {name}", name=name)
        )
        return "\n".join(notes or [as_notice(nothing)])
    head = (
        ngettext("the last {count} message in {name}:", "the last {count} messages in {name}:", count, name=name)
        if in_room
        else ngettext(
            "the last {count} message with {name}:", "the last {count} messages with {name}:", count, name=name
        )
    )
    lines = _with_absences(messages, absences, format_one)
    return "\n".join([*notes, as_notice(head), *lines, as_notice(_("end of earlier messages"))])


def _with_absences(
    messages: Sequence[HistoryMessage],
    absences: Sequence[tuple[int, int]],
    format_one: Callable[[HistoryMessage], str],
) -> Iterator[str]:
    """Yield the lines of messages, and between them how many are not shown."""
    above: int | None = None
    for message in messages:
        seq = message.seq or 0
        if above is not None and (hidden := sum(last - first + 1 for first, last in absences if above < first < seq)):
            yield as_notice(absent_messages(hidden))
        yield format_one(message)
        above = seq


def status(status: str, note: str) -> str:
    """Format the user's status after a change."""
    if status in PRESENCE_SENTENCES:
        return as_notice(_("your status is {status} again", status=format_status(status)))
    return as_notice(_("your status is now: {status} (/status online clears it)", status=format_status(status, note)))


def own_status(status: str, note: str) -> str:
    """Format the user's status, as other users see it."""
    text = _("your status: {status}; /status WORDS changes it", status=format_status(status, note))
    reset_hint = _("/status online clears it")
    return as_notice(text if status in PRESENCE_SENTENCES else f"{text}, {reset_hint}")


def conversations(names: Sequence[tuple[int, str]], current: str | None) -> str:
    """Format the conversations with the numbers that `/go` takes, and mark the current one."""
    if not names:
        return as_notice(_("there are no conversations yet; /msg NAME or /join #ROOM starts one"))
    current_key = fold(current or "")
    mark = {True: f" {_('(text without a command goes here)')}", False: ""}
    lines = (f"{number:>3} {sanitize(name)}{mark[fold(name) == current_key]}" for number, name in names)
    return _format_list(_("conversations, for /go N:"), lines)


def search_context(hit: SearchHit, messages: Sequence[MessageEvent]) -> str:
    """Format the messages around a search hit, and mark the hit."""
    lines = []
    for message in messages:
        first, *rest = format_message(message).split("\n")
        lines += [f"{'>' if message.seq == hit.delivery.seq else ' '} {first}", *(f"  {line}" for line in rest)]
    head = _("messages around the search result, in {name}:", name=sanitize(hit.conversation))
    return "\n".join([as_notice(head), *lines, as_notice(_("end of search results"))])


def search(results: SearchResults, own_name: str) -> str:
    """Format search hits with the numbers that `/jump` takes, the newest last."""
    notes = [as_notice(_("the search is incomplete: there may be more results; try less common words, or one room"))]
    notes = notes if results.is_incomplete else []
    if not results:
        return "\n".join([as_notice(_("nothing found")), *notes])
    head = ngettext("found {count} message:", "found {count} messages:", len(results))
    lines = [f"{number:>3} {format_hit(hit, own_name)}" for number, hit in enumerate(reversed(results), 1)]
    return "\n".join(
        [as_notice(head), *lines, *notes, as_notice(_("end of search results; /jump N goes to one of them"))]
    )


def _format_list(head: str, lines: Iterable[str]) -> str:
    return "\n".join([as_notice(head), *(f"   {line}" for line in lines)])


def _user_names(users: Sequence[UserInfo], own_name: str) -> Iterable[str]:
    return (sanitize(user.account_name) + _remarks(user, own_name) for user in users)


def _remarks(user: UserInfo, own_name: str) -> str:
    has_status = bool(user.status) and not user.bot and (user.status != ONLINE or bool(user.note))
    remarks = [format_status(user.status or "", user.note or "")] if has_status else []
    remarks += [_("hook")] if user.bot else []
    remarks += [role_name(user.role)] if user.role and not user.bot else []
    remarks += [_("you")] if fold(user.account_name) == fold(own_name) else []
    return f" ({', '.join(remarks)})" if remarks else ""
