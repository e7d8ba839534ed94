"""What a person reads of what a link tells: safe text, states in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gmessenger.client import (
    Accepted,
    Card,
    CaughtUp,
    Closed,
    Connected,
    Deferred,
    Delivered,
    Delivery,
    Found,
    Joined,
    Left,
    LinkEvent,
    Lost,
    Message,
    Missed,
    Notice,
    Opened,
    PresenceChanged,
    ReadElsewhere,
    Received,
    Rejected,
    SentElsewhere,
    TopicChanged,
    fold,
)
from gmessenger.terminal.visible import visible

CONTINUED: Final = " " * 8
BEGINNING: Final = 40
"""Characters of one's own text that are enough to know it again."""
ERASED: Final = "a message was here that has been erased"
IN_WORDS: Final = {"online": "is here", "offline": "has left"}


def message(delivery: Delivery) -> str:
    """A message with its time and sender, and its room if it came through one; further lines are indented."""
    return _said(delivery, f"{visible(delivery.sender)}{' (to all)' if delivery.broadcast is True else ''}")


def own(delivery: Delivery) -> str:
    """What one has written oneself, but not here; what history brings back does not say from where."""
    where = "on another device" if delivery.id else "earlier"
    to = "" if delivery.to.startswith("#") else f", to {visible(delivery.to)}"
    return _said(delivery, f"you, {where}{to}")


def found(each: Found, oneself: str) -> str:
    """A message that search found; one's own says to whom it went."""
    delivery = each.delivery
    own = fold(delivery.sender) == fold(oneself) and not delivery.to.startswith("#")
    return _said(delivery, visible(delivery.sender) + (f" to {visible(each.with_)}" if own else ""))


def _said(delivery: Delivery, by: str) -> str:
    if delivery.erased is True:
        return f"-- {ERASED}"
    room = f"{visible(delivery.to)} " if delivery.to.startswith("#") else ""
    first, *further = delivery.message.replace("\r\n", "\n").split("\n")
    lines = [f"[{_clock(delivery.time)}] {room}{by}: {visible(first)}"]
    return "\n".join(lines + [CONTINUED + visible(line) for line in further])


def _clock(seconds: float) -> str:
    """The time of day, with the day unless it is today."""
    try:
        then = datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return "--:--"
    return then.strftime("%H:%M" if then.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M")


def users(present: Sequence[Card], oneself: str) -> str:
    """Who is there, one a line."""
    return _list(f"{len(present)} here", (visible(card.account_name) + _aside(card, oneself) for card in present))


def members(room: str, present: Sequence[Card], oneself: str) -> str:
    """Who is in a room, and who of them is not there just now."""
    lines = (visible(card.account_name) + _aside(card, oneself) for card in present)
    return _list(f"{len(present)} in {visible(room)}", lines)


def entered(room: str, names: Sequence[str], about: str) -> str:
    """What one sees on coming into a room."""
    here = f"-- you are in {visible(room)}, with {visible(', '.join(names))}"
    return f"{here}\n{topic(room, about)}" if about else here


def rooms(listed: Sequence[Mapping[str, Any]]) -> str:
    """The rooms there are, one a line."""
    lines = (
        f"{visible(str(each.get('room')))} ({each.get('members')}{', closed' if each.get('closed') else ''}) "
        f"{visible(str(each.get('topic') or ''))}".rstrip()
        for each in listed
    )
    return _list(counted(len(listed), "room"), lines) if listed else "-- there are no rooms; /join #NAME makes one"


def blocks(cards: Sequence[Card]) -> str:
    """Whom one does not hear from."""
    names = (visible(card.account_name) for card in cards)
    return _list(f"you block {len(cards)}", names) if cards else "-- you block nobody"


def kicked(name: str, sessions: int) -> str:
    return f"-- {visible(name)} is sent away: {counted(sessions, 'connection')} closed"


def muted(name: str, minutes: int | None, here: int) -> str:
    lasting = f" for {counted(minutes, 'minute')}" if minutes is not None else ""
    return f"-- {visible(name)} is muted{lasting}{'' if here else '; nobody of that name is here just now'}"


def banned(whom: str, sessions: int) -> str:
    return f"-- {visible(whom)} is banned: {counted(sessions, 'connection')} closed"


def sanctions(bans: Sequence[Mapping[str, Any]], mutes: Sequence[Mapping[str, Any]]) -> str:
    """Who is banned and who is muted, one a line."""
    parts = [
        _list(f"{len(listed)} {what}", map(_sanction, listed))
        for what, listed in (("banned", bans), ("muted", mutes))
        if listed
    ]
    return "\n".join(parts) or "-- nobody is banned or muted"


def _sanction(each: Mapping[str, Any]) -> str:
    whom = visible(str(each.get("user") or each.get("address")))
    until = each.get("until")
    lasting = f", until {_clock(until)}" if isinstance(until, int | float) else ""
    return f"{whom}, by {_operator(str(each.get('by')))}{lasting}{_because(str(each.get('reason') or ''))}"


def _because(reason: str) -> str:
    return f": {visible(reason)}" if reason else ""


def history(with_: str, messages: Sequence[Delivery]) -> str:
    """What was said before."""
    whose = f"{'in' if with_.startswith('#') else 'with'} {visible(with_)}"
    if not messages:
        return f"-- there is nothing earlier {whose}"
    head = f"-- the last {counted(len(messages), 'message')} {whose}:"
    return "\n".join([head, *map(message, messages), "-- so far what was said before"])


def search(each: Sequence[Found], oneself: str) -> str:
    """What was found, the newest last, where one is looking."""
    if not each:
        return "-- nothing found"
    lines = [found(one, oneself) for one in reversed(each)]
    return "\n".join([f"-- found {counted(len(each), 'message')}:", *lines, "-- so far what was found"])


def _list(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"-- {head}:", *(f"   {line}" for line in lines)])


def _aside(card: Card, oneself: str) -> str:
    remarks = [visible(card.status)] if card.status and card.status != "online" else []
    remarks += ["you"] if fold(card.account_name) == fold(oneself) else []
    return f" ({', '.join(remarks)})" if remarks else ""


def waiting(text: Message) -> str:
    """Said of a message at once when the line is down."""
    return f"-- waiting: the line is down; this goes to {visible(text.to)} when it is back"


def not_sent(to: str, text: str, reason: str) -> str:
    """A message that will not reach anybody, with enough of it to know which."""
    beginning = text if len(text) <= BEGINNING else text[:BEGINNING] + "…"
    return f"-- not sent to {visible(to)}: {visible(reason)} The text was: {visible(beginning)}"


def moment(seconds: float) -> str:
    """A duration as people say it: `0.8 s`, `25 s`."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _connected(event: Connected) -> str:
    if event.again:
        return "-- connected again"
    return "\n".join(visible(line) for line in (f"Connected to {event.server}.", *event.greeting.splitlines()))


def _lost(event: Lost) -> str | None:
    if event.attempt & (event.attempt - 1):
        return None  # the 1st, 2nd, 4th, 8th … failure is news
    return f"-- the line is down: {visible(event.reason)}; trying again in {moment(event.retry_in)}"


def _is_news(event: CaughtUp) -> bool:
    return event.again and event.messages > 0  # at first it would only say that what stands there has come


def _missed(event: Missed) -> str:
    with_ = f"{'in' if event.with_.startswith('#') else 'with'} {visible(event.with_)}"
    count = counted(event.count, "message")
    if event.found:
        return f"-- {count} {with_} had not come in turn; here they are, with what came after:"
    return f"-- {count} {with_} did not come, and the server does not have them for you"


def counted(count: int, what: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _left(event: Left) -> str:
    if event.by is not None:
        return f"-- {visible(event.by)} took {visible(event.name)} out of {visible(event.room)}"
    return f"-- {visible(event.name)} has left {visible(event.room)}"


def topic(room: str, topic: str, by: str = "") -> str:
    """What a room is about."""
    said = f" now says {visible(by)}" if by else ""
    return f"-- the topic of {visible(room)}{said}: {visible(topic)}" if topic else f"-- {visible(room)} has no topic"


def _closed(event: Closed) -> str:
    return f"-- {_operator(event.name)} has closed {visible(event.room)}{_because(event.reason)}"


def _operator(name: str) -> str:
    return "the owner of the server" if name == "server" else visible(name)


def _presence(event: PresenceChanged) -> str:
    status = event.status
    return f"-- {visible(event.name)} {IN_WORDS.get(status) or f'is {visible(status)}'}"


IN_A_LINE: Final[dict[type[LinkEvent], Callable[[Any], str | None]]] = {
    Connected: _connected,
    CaughtUp: lambda event: f"-- caught up: {counted(event.messages, 'message')}" if _is_news(event) else None,
    Lost: _lost,
    Received: lambda event: message(event.delivery),
    SentElsewhere: lambda event: own(event.delivery),
    Missed: _missed,
    Delivered: lambda event: f"-- {visible(event.name)} has all that you wrote",
    ReadElsewhere: lambda event: None,  # here everything is shown as it comes
    Accepted: lambda event: f"-- sent to {visible(event.message.to)}",
    Rejected: lambda event: not_sent(event.message.to, event.message.text, event.reason),
    Deferred: lambda event: f"-- not sent to {visible(event.message.to)} yet: {visible(event.reason)} Trying again.",
    PresenceChanged: _presence,
    Joined: lambda event: f"-- {visible(event.name)} has joined {visible(event.room)}",
    Left: _left,
    Closed: _closed,
    Opened: lambda event: f"-- {_operator(event.name)} has opened {visible(event.room)} again",
    TopicChanged: lambda event: topic(event.room, event.topic, event.name),
    Notice: lambda event: f"-- {'' if event.here else 'the server says: '}{visible(event.sentence)}",
}


def told(event: LinkEvent) -> str | None:
    """What is said of an event; None where silence is better."""
    return IN_A_LINE[type(event)](event)
