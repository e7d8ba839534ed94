"""What a person reads of what a link tells: safe text, states in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger.client import (
    Accepted,
    CaughtUp,
    Closed,
    Connected,
    Deferred,
    Delivered,
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
)
from gmessenger.terminal.dates import moment
from gmessenger.terminal.input import Cut
from gmessenger.terminal.messages import message, own
from gmessenger.terminal.spoken import greeted, spoken
from gmessenger.terminal.words import N_, _, counted, noted
from gmessenger.terminal_text import visible

BEGINNING: Final = 40
"""Characters of one's own text that are enough to know it again."""
LONGEST: Final[dict[str, Callable[[int], str]]] = {
    "characters": lambda limit: counted("{count} character", "{count} characters", limit),
    "bytes typed at once": lambda limit: counted("{count} byte typed at once", "{count} bytes typed at once", limit),
}
IN_WORDS: Final = {N_("online"): N_("{name} is here"), N_("offline"): N_("{name} has left")}


def because(reason: str) -> str:
    """The end of a sentence that has a reason."""
    return f": {visible(reason)}" if reason else ""


def too_long(cut: Cut) -> str:
    """How much of a line can be read, where one was longer."""
    return LONGEST[cut.of](cut.limit)


def waiting(text: Message) -> str:
    """Said of a message at once when the line is down."""
    return noted(
        _("queued: the connection is lost; this message goes to {name} when it is back", name=visible(text.to))
    )


def not_sent(to: str, text: str, reason: str) -> str:
    """A message that will not reach anybody, with enough of it to know which. The `reason` is a sentence."""
    beginning = visible(text if len(text) <= BEGINNING else text[:BEGINNING] + "…")
    return noted(
        _("not sent to {name}: {reason} The text was: {text}", name=visible(to), reason=why(reason), text=beginning)
    )


def many_wait(count: int) -> str:
    """Why one more message is not taken."""
    return counted("{count} message is waiting already.", "{count} messages are waiting already.", count)


def why(reason: str | Exception) -> str:
    """A reason that comes from below, fit to be read."""
    return visible(spoken(reason))


def _connected(event: Connected) -> str:
    if event.again:
        return noted(_("connected again"))
    connected = _("Connected to {server}.", server=visible(event.server))
    return "\n".join((connected, *map(visible, map(greeted, event.greeting.splitlines()))))


def back(count: int) -> str:
    """The line is back, and so many messages of one's own go out."""
    return noted(counted("connected again; sending {count} now", "connected again; sending {count} now", count))


def left_over(count: int) -> str:
    """What an earlier run of this program could not bring home."""
    return noted(
        counted(
            "{count} message of the last session had no answer; sending it again",
            "{count} messages of the last session had no answer; sending them again",
            count,
        )
    )


def leaving(left: int) -> str:
    """Why one is not away yet."""
    return noted(
        counted(
            "waiting for {count} answer; Ctrl-C quits at once",
            "waiting for {count} answers; Ctrl-C quits at once",
            left,
        )
    )


def _lost(event: Lost) -> str | None:
    if event.attempt & (event.attempt - 1):
        return None  # the 1st, 2nd, 4th, 8th … failure is news
    return noted(_("connection lost: {reason}; trying again in {time}", **_failure(event)))


def cut(event: Lost) -> str:
    """The line was lost just now, while somebody may be typing."""
    said = _(
        "connection lost: {reason}; trying again in {time}; messages you type meanwhile are sent then",
        **_failure(event),
    )
    return noted(said)


def _failure(event: Lost) -> dict[str, str]:
    return {"reason": why(event.reason), "time": moment(event.retry_in)}


def _caught_up(event: CaughtUp) -> str | None:
    if not (event.again and event.messages):
        return None  # at first it would only say that what stands there has come
    return noted(counted("caught up: {count} message", "caught up: {count} messages", event.messages))


def _missed(event: Missed) -> str:
    said = _late if event.found else _gone
    return noted(said(event.count, visible(event.with_), room=event.with_.startswith("#")))


def _late(count: int, name: str, *, room: bool) -> str:
    if room:
        return counted(
            "{count} message in {name} arrived out of order; here it is, with those that follow:",
            "{count} messages in {name} arrived out of order; here they are, with those that follow:",
            count,
            name=name,
        )
    return counted(
        "{count} message with {name} arrived out of order; here it is, with those that follow:",
        "{count} messages with {name} arrived out of order; here they are, with those that follow:",
        count,
        name=name,
    )


def _gone(count: int, name: str, *, room: bool) -> str:
    if room:
        return counted(
            "{count} message in {name} is missing and cannot be fetched from the server",
            "{count} messages in {name} are missing and cannot be fetched from the server",
            count,
            name=name,
        )
    return counted(
        "{count} message with {name} is missing and cannot be fetched from the server",
        "{count} messages with {name} are missing and cannot be fetched from the server",
        count,
        name=name,
    )


def _left(event: Left) -> str:
    name, room = visible(event.name), visible(event.room)
    if event.by is not None:
        return noted(_("{by} removed {name} from {room}", by=visible(event.by), name=name, room=room))
    return noted(_("{name} has left {room}", name=name, room=room))


def topic_of(room: str, topic: str, by: str = "") -> str:
    """What a room is about."""
    shown, about = visible(room), visible(topic)
    if not topic:
        return noted(_("{room} has no topic", room=shown))
    if by:
        return noted(_("{name} changed the topic of {room}: {topic}", room=shown, name=visible(by), topic=about))
    return noted(_("the topic of {room}: {topic}", room=shown, topic=about))


def _closed(event: Closed) -> str:
    said = _("{name} has closed {room}", name=operator(event.name), room=visible(event.room))
    return noted(said + because(event.reason))


def operator(name: str) -> str:
    """Who has done what operators do."""
    return _("the owner of the server") if name == "server" else visible(name)


def how(status: str) -> str:
    """How somebody is: in the reader's language, as far as it is not in their own words."""
    return _(status) if status in IN_WORDS else visible(status)


def _presence(event: PresenceChanged) -> str:
    sentence = IN_WORDS.get(event.status, N_("{name} is {status}"))
    return noted(_(sentence, name=visible(event.name), status=visible(event.status)))


def _rejected(event: Rejected) -> str:
    return not_sent(event.message.to, event.message.text, event.reason)


def _deferred(event: Deferred) -> str:
    name = visible(event.message.to)
    return noted(_("not sent to {name} yet: {reason} Trying again.", name=name, reason=why(event.reason)))


def _notice(event: Notice) -> str:
    sentence = why(event.sentence)
    return noted(sentence if event.here else _("the server says: {sentence}", sentence=sentence))


IN_A_LINE: Final[dict[type[LinkEvent], Callable[[Any], str | None]]] = {
    Connected: _connected,
    CaughtUp: _caught_up,
    Lost: _lost,
    Received: lambda event: message(event.delivery),
    SentElsewhere: lambda event: own(event.delivery),
    Missed: _missed,
    Delivered: lambda event: noted(_("{name} has received all your messages", name=visible(event.name))),
    ReadElsewhere: lambda event: None,  # here everything is shown as it comes
    Accepted: lambda event: noted(_("sent to {name}", name=visible(event.message.to))),
    Rejected: _rejected,
    Deferred: _deferred,
    PresenceChanged: _presence,
    Joined: lambda event: noted(_("{name} has joined {room}", name=visible(event.name), room=visible(event.room))),
    Left: _left,
    Closed: _closed,
    Opened: lambda event: noted(
        _("{name} has opened {room} again", name=operator(event.name), room=visible(event.room))
    ),
    TopicChanged: lambda event: topic_of(event.room, event.topic, event.name),
    Notice: _notice,
}


def told(event: LinkEvent) -> str | None:
    """What is said of an event; None where silence is better."""
    return IN_A_LINE[type(event)](event)
