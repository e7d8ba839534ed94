"""What a person reads in answer to a command: lists, what was said before, and that something is done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gmessenger.client import Card, Delivery, Found, Results, fold
from gmessenger.terminal.dates import clock
from gmessenger.terminal.messages import found, message
from gmessenger.terminal.render import IN_WORDS, because, how, operator, topic_of
from gmessenger.terminal.words import _, counted, noted
from gmessenger.terminal_text import visible

IPV4: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}", re.ASCII)


def users(present: Sequence[Card], oneself: str) -> str:
    """Who is there, one a line."""
    return _list(counted("{count} here:", "{count} here:", len(present)), _names(present, oneself))


def members(room: str, present: Sequence[Card], oneself: str) -> str:
    """Who is in a room, and who of them is not there just now."""
    head = counted("{count} in {room}:", "{count} in {room}:", len(present), room=visible(room))
    return _list(head, _names(present, oneself))


def entered(room: str, names: Sequence[str], about: str) -> str:
    """What one sees on coming into a room."""
    here = noted(_("you are in {room}, with {names}", room=visible(room), names=visible(", ".join(names))))
    return f"{here}\n{topic_of(room, about)}" if about else here


def rooms(listed: Sequence[Mapping[str, Any]]) -> str:
    """The rooms there are, one a line."""
    if not listed:
        return noted(_("there are no rooms; /join #NAME makes one"))
    return _list(counted("{count} room:", "{count} rooms:", len(listed)), map(_room, listed))


def _room(each: Mapping[str, Any]) -> str:
    name, count = visible(str(each.get("room"))), each.get("members")
    inside = _("({count}, closed)", count=count) if each.get("closed") else f"({count})"
    return f"{name} {inside} {visible(str(each.get('topic') or ''))}".rstrip()


def blocks(cards: Sequence[Card]) -> str:
    """Whom one does not hear from."""
    if not cards:
        return noted(_("you have blocked no users"))
    names = (visible(card.account_name) for card in cards)
    return _list(counted("you have blocked {count} user:", "you have blocked {count} users:", len(cards)), names)


def kicked(name: str, sessions: int) -> str:
    return noted(
        counted(
            "{name} is disconnected: {count} connection closed",
            "{name} is disconnected: {count} connections closed",
            sessions,
            name=visible(name),
        )
    )


def muted(name: str, minutes: int | None, here: int) -> str:
    shown = visible(name)
    said = _("{name} is muted", name=shown)
    if minutes is not None:
        said = counted("{name} is muted for {count} minute", "{name} is muted for {count} minutes", minutes, name=shown)
    return noted(said if here else _("{said}; no user of that name is online now", said=said))


def banned(whom: str, minutes: int | None, sessions: int) -> str:
    shown = visible(whom)
    said = _("{name} is banned", name=shown)
    if minutes is not None:
        said = counted(
            "{name} is banned for {count} minute", "{name} is banned for {count} minutes", minutes, name=shown
        )
    told = counted("{said}: {count} connection closed", "{said}: {count} connections closed", sessions, said=said)
    return noted(told) + named(whom)


def named(whom: str) -> str:
    """That it was a name which has been banned, where it reads as an address; else nothing."""
    if not IPV4.fullmatch(whom):
        return ""
    return "\n" + noted(_("that is the name {name}; the address is {name}/32", name=whom))


def sanctions(bans: Sequence[Mapping[str, Any]], mutes: Sequence[Mapping[str, Any]]) -> str:
    """Who is banned and who is muted, one a line."""
    parts = [
        _list(counted("{count} banned:", "{count} banned:", len(bans)), map(_sanction, bans)) if bans else "",
        _list(counted("{count} muted:", "{count} muted:", len(mutes)), map(_sanction, mutes)) if mutes else "",
    ]
    return "\n".join(filter(None, parts)) or noted(_("there are no bans or mutes"))


def _sanction(each: Mapping[str, Any]) -> str:
    whom, by = visible(str(each.get("user") or each.get("address"))), operator(str(each.get("by")))
    until = each.get("until")
    if isinstance(until, int | float):
        said = _("{name}, by {by}, until {time}", name=whom, by=by, time=clock(until))
    else:
        said = _("{name}, by {by}", name=whom, by=by)
    return said + because(str(each.get("reason") or ""))


def history(with_: str, messages: Sequence[Delivery]) -> str:
    """What was said before."""
    name, room, count = visible(with_), with_.startswith("#"), len(messages)
    if not messages:
        return noted(
            _("there is nothing earlier in {name}", name=name)
            if room
            else _("there is nothing earlier with {name}", name=name)
        )
    head = (
        counted("the last {count} message in {name}:", "the last {count} messages in {name}:", count, name=name)
        if room
        else counted(
            "the last {count} message with {name}:", "the last {count} messages with {name}:", count, name=name
        )
    )
    return "\n".join([noted(head), *map(message, messages), noted(_("end of earlier messages"))])


def status(status: str) -> str:
    """One has said how one is."""
    if status in IN_WORDS:
        return noted(_("your status is {status} again", status=how(status)))
    return noted(_("your status is now: {status} (/status online clears it)", status=how(status)))


def own_status(status: str) -> str:
    """How one is, as others see it."""
    said = _("your status: {status}; /status WORDS changes it", status=how(status))
    back = _("/status online clears it")
    return noted(said if status in IN_WORDS else f"{said}, {back}")


def conversations(names: Sequence[tuple[int, str]], current: str | None) -> str:
    """The conversations there are, by the numbers with which `/go` finds them; plain lines go to the `current` one."""
    if not names:
        return noted(_("there are no conversations yet; /msg NAME or /join #ROOM starts one"))
    here = fold(current or "")
    mark = {True: f" {_('(text without a command goes here)')}", False: ""}
    lines = (f"{number:>3} {visible(name)}{mark[fold(name) == here]}" for number, name in names)
    return _list(_("conversations, for /go N:"), lines)


def around(hit: Found, messages: Sequence[Delivery]) -> str:
    """What was said before and after a message that was found, which has a mark."""
    lines = []
    for each in messages:
        first, *further = message(each).split("\n")
        lines += [f"{'>' if each.seq == hit.delivery.seq else ' '} {first}", *(f"  {line}" for line in further)]
    head = _("messages around the search result, in {name}:", name=visible(hit.with_))
    return "\n".join([noted(head), *lines, noted(_("end of search results"))])


def search(each: Results, oneself: str) -> str:
    """What was found, the newest last, where one is looking; with the numbers by which `/jump` finds it."""
    rest = [noted(_("the search is incomplete: there may be more results; try less common words, or one room"))]
    rest = rest if each.incomplete else []
    if not each:
        return "\n".join([noted(_("nothing found")), *rest])
    head = counted("found {count} message:", "found {count} messages:", len(each))
    lines = [f"{number:>3} {found(one, oneself)}" for number, one in enumerate(reversed(each), 1)]
    return "\n".join([noted(head), *lines, *rest, noted(_("end of search results; /jump N goes to one of them"))])


def _list(head: str, lines: Iterable[str]) -> str:
    return "\n".join([noted(head), *(f"   {line}" for line in lines)])


def _names(present: Sequence[Card], oneself: str) -> Iterable[str]:
    return (visible(card.account_name) + _aside(card, oneself) for card in present)


def _aside(card: Card, oneself: str) -> str:
    remarks = [how(card.status)] if card.status and card.status != "online" else []
    remarks += [_("you")] if fold(card.account_name) == fold(oneself) else []
    return f" ({', '.join(remarks)})" if remarks else ""
