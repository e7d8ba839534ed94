"""What a person reads of what a link tells: safe text, states in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from gmessenger.client import (
    Accepted,
    Card,
    Connected,
    Deferred,
    Delivery,
    LinkEvent,
    Lost,
    Message,
    Notice,
    PresenceChanged,
    Received,
    Rejected,
)
from gmessenger.terminal.visible import visible

CONTINUED: Final = " " * 8
BEGINNING: Final = 40
"""Characters of one's own text that are enough to know it again."""
IN_WORDS: Final = {"online": "is here", "offline": "has left"}


def message(delivery: Delivery) -> str:
    """A message with its time and sender, and its room if it came through one; further lines are indented."""
    room = f"{visible(delivery.to)} " if delivery.to.startswith("#") else ""
    to_all = " (to all)" if delivery.broadcast is True else ""
    first, *further = delivery.message.replace("\r\n", "\n").split("\n")
    lines = [f"[{_clock(delivery.time)}] {room}{visible(delivery.sender)}{to_all}: {visible(first)}"]
    return "\n".join(lines + [CONTINUED + visible(line) for line in further])


def _clock(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M")
    except (ValueError, OverflowError, OSError):
        return "--:--"


def users(present: Iterable[Card], oneself: str) -> str:
    """Who is there, one a line."""
    lines = [visible(card.account_name) + _aside(card, oneself) for card in present]
    return "\n".join([f"-- {len(lines)} here:", *(f"   {line}" for line in lines)])


def _aside(card: Card, oneself: str) -> str:
    remarks = [visible(card.status)] if card.status and card.status != "online" else []
    remarks += ["you"] if card.account_name == oneself else []
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


def _presence(event: PresenceChanged) -> str:
    status = event.status
    return f"-- {visible(event.name)} {IN_WORDS.get(status) or f'is {visible(status)}'}"


IN_A_LINE: Final[dict[type[LinkEvent], Callable[[Any], str | None]]] = {
    Connected: _connected,
    Lost: _lost,
    Received: lambda event: message(event.delivery),
    Accepted: lambda event: f"-- sent to {visible(event.message.to)}",
    Rejected: lambda event: not_sent(event.message.to, event.message.text, event.reason),
    Deferred: lambda event: f"-- not sent to {visible(event.message.to)} yet: {visible(event.reason)} Trying again.",
    PresenceChanged: _presence,
    Notice: lambda event: f"-- the server says: {visible(event.sentence)}",
}


def told(event: LinkEvent) -> str | None:
    """What is said of an event; None where silence is better."""
    return IN_A_LINE[type(event)](event)
