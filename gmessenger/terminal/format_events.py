"""Format client events as text for a person: messages, mentions and notices; all text is sanitized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger.client import OutgoingMessage, events
from gmessenger.constants import AWAY, OFFLINE, ONLINE, SERVER_OWNER
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_duration
from gmessenger.terminal.format_messages import (
    format_accepted,
    format_amendment,
    format_amendment_rejected,
    format_message,
    format_own_message,
)
from gmessenger.terminal.format_room_access import invited, shut_out, silenced
from gmessenger.terminal.format_rules import role_changed, rules_changed
from gmessenger.terminal.i18n import N_, _, as_notice, localize, localize_greeting, ngettext
from gmessenger.terminal.stdio import TruncatedLine

EXCERPT_LENGTH: Final = 40
"""Characters of the user's text that are enough to recognise it."""
LIMIT_FORMATTERS: Final[dict[str, Callable[[int], str]]] = {
    "characters": lambda limit: ngettext("{count} character", "{count} characters", limit),
    "bytes typed at once": lambda limit: ngettext("{count} byte typed at once", "{count} bytes typed at once", limit),
}
TRANSLATED_STATUSES: Final = {ONLINE: N_("online"), OFFLINE: N_("offline"), AWAY: N_("away")}
"""The statuses that the program itself sets; users' own are shown as they are."""
PRESENCE_SENTENCES: Final = {ONLINE: N_("{name} is here"), OFFLINE: N_("{name} has left")}
UNEXPECTED_ERROR: Final = N_("Internal error ({fault}); details are in the log: {place}")


def format_unexpected_error(error: Exception, log_destination: str) -> str:
    """Report a defect of the program, and where its traceback is; not sanitized."""
    return _(UNEXPECTED_ERROR, fault=type(error).__name__, place=log_destination)


def reason_suffix(reason: str) -> str:
    """Return the end of a sentence with a reason, or nothing."""
    return f": {sanitize(reason)}" if reason else ""


def truncation_limit(line: TruncatedLine) -> str:
    """Return the limit that a truncated line exceeded."""
    return LIMIT_FORMATTERS[line.unit](line.limit)


def format_waiting(message: OutgoingMessage) -> str:
    """Format the notice for a message that was typed while the connection is lost."""
    return as_notice(
        _("queued: the connection is lost; this message goes to {name} when it is back", name=sanitize(message.to))
    )


def format_not_sent(to: str, text: str, reason: str) -> str:
    """Format the notice for a message that will not be delivered, with an excerpt of it.

    reason: a sentence.
    """
    excerpt = sanitize(text if len(text) <= EXCERPT_LENGTH else text[:EXCERPT_LENGTH] + "…")
    return as_notice(
        _(
            "not sent to {name}: {reason} The text was: {text}",
            name=sanitize(to),
            reason=format_reason(reason),
            text=excerpt,
        )
    )


def send_queue_full(count: int) -> str:
    """Return why another message is not accepted."""
    return ngettext("{count} message is waiting already.", "{count} messages are waiting already.", count)


def format_reason(reason: str | Exception) -> str:
    """Translate and sanitize a reason from an error, the client or the server."""
    return sanitize(localize(reason))


def _connected(event: events.Connected) -> str:
    if event.reconnected:
        return as_notice(_("connected again"))
    connected = _("Connected to {server}.", server=sanitize(event.server))
    return "\n".join((connected, *map(sanitize, map(localize_greeting, event.greeting.splitlines()))))


def format_reconnected(count: int) -> str:
    """Format the notice that the connection is back, and `count` messages are being sent."""
    return as_notice(ngettext("connected again; sending {count} now", "connected again; sending {count} now", count))


def format_leftover(count: int) -> str:
    """Format the notice that `count` messages of an earlier run had no response."""
    return as_notice(
        ngettext(
            "{count} message of the last session had no answer; sending it again",
            "{count} messages of the last session had no answer; sending them again",
            count,
        )
    )


def format_flushing(count: int) -> str:
    """Format the notice that the client waits for `count` responses before it ends."""
    return as_notice(
        ngettext(
            "waiting for {count} answer; Ctrl-C quits at once",
            "waiting for {count} answers; Ctrl-C quits at once",
            count,
        )
    )


def _disconnected(event: events.Disconnected) -> str | None:
    if event.attempt & (event.attempt - 1):
        return None  # only the 1st, 2nd, 4th, 8th … failure is shown
    return as_notice(_("connection lost: {reason}; trying again in {time}", **_disconnect_values(event)))


def format_disconnected(event: events.Disconnected) -> str:
    """Format the notice that the connection has just been lost, for a person who may be typing."""
    text = _(
        "connection lost: {reason}; trying again in {time}; messages you type meanwhile are sent then",
        **_disconnect_values(event),
    )
    return as_notice(text)


def _disconnect_values(event: events.Disconnected) -> dict[str, str]:
    return {"reason": format_reason(event.reason), "time": format_duration(event.retry_in)}


def _synced(event: events.Synced) -> str | None:
    if not (event.reconnected and event.message_count):
        return None  # after the first login, the messages shown say enough
    return as_notice(ngettext("caught up: {count} message", "caught up: {count} messages", event.message_count))


def _gap_detected(event: events.GapDetected) -> str:
    format_gap = _gap_filled if event.is_filled else _gap_lost
    return as_notice(format_gap(event.count, sanitize(event.conversation), room=is_room(event.conversation)))


def _gap_filled(count: int, name: str, *, room: bool) -> str:
    if room:
        return ngettext(
            "{count} message in {name} arrived out of order; here it is, with those that follow:",
            "{count} messages in {name} arrived out of order; here they are, with those that follow:",
            count,
            name=name,
        )
    return ngettext(
        "{count} message with {name} arrived out of order; here it is, with those that follow:",
        "{count} messages with {name} arrived out of order; here they are, with those that follow:",
        count,
        name=name,
    )


def _gap_lost(count: int, name: str, *, room: bool) -> str:
    if room:
        return ngettext(
            "{count} message in {name} is missing and cannot be fetched from the server",
            "{count} messages in {name} are missing and cannot be fetched from the server",
            count,
            name=name,
        )
    return ngettext(
        "{count} message with {name} is missing and cannot be fetched from the server",
        "{count} messages with {name} are missing and cannot be fetched from the server",
        count,
        name=name,
    )


def _member_left(event: events.MemberLeft) -> str:
    name, room = sanitize(event.name), sanitize(event.room)
    if event.by is not None:
        text = _("{by} removed {name} from {room}", by=operator_name(event.by), name=name, room=room)
        return as_notice(text + reason_suffix(event.reason))
    return as_notice(_("{name} has left {room}", name=name, room=room))


def _lifted(event: events.MemberLetIn | events.MemberUnsilenced, sentence: str) -> str:
    name, room = sanitize(event.name), sanitize(event.room)
    return as_notice(_(sentence, by=operator_name(event.by), name=name, room=room))


def format_topic(room: str, topic: str, by: str = "") -> str:
    """Format the topic of a room.

    by: who changed it; empty if it is only shown.
    """
    shown_room, shown_topic = sanitize(room), sanitize(topic)
    if not topic:
        return as_notice(_("{room} has no topic", room=shown_room))
    if by:
        return as_notice(
            _("{name} changed the topic of {room}: {topic}", room=shown_room, name=sanitize(by), topic=shown_topic)
        )
    return as_notice(_("the topic of {room}: {topic}", room=shown_room, topic=shown_topic))


def _room_closed(event: events.RoomClosedByOperator) -> str:
    text = _("{name} has closed {room}", name=operator_name(event.name), room=sanitize(event.room))
    return as_notice(text + reason_suffix(event.reason))


def operator_name(name: str) -> str:
    """Return the name of an operator; the server's owner has no name of a user."""
    return _("the owner of the server") if name == SERVER_OWNER else sanitize(name)


def format_status(status: str, note: str = "") -> str:
    """Format a user's status: translated if the program sets it, otherwise the user's own words; and the note on it."""
    shown = _(TRANSLATED_STATUSES[status]) if status in TRANSLATED_STATUSES else sanitize(status)
    return f"{shown}: {sanitize(note)}" if note else shown


def _presence(event: events.PresenceChanged) -> str:
    sentence = PRESENCE_SENTENCES.get(event.status, N_("{name} is {status}"))
    name, note = sanitize(event.name), f": {sanitize(event.note)}" if event.note else ""
    return as_notice(_(sentence, name=name, status=format_status(event.status)) + note)


def _rejected(event: events.Rejected) -> str:
    if event.message.what is not None:
        return format_amendment_rejected(event.message, format_reason(event.reason))
    return format_not_sent(event.message.to, event.message.text, event.reason)


def _deferred(event: events.Deferred) -> str:
    name = sanitize(event.message.to)
    return as_notice(_("not sent to {name} yet: {reason} Trying again.", name=name, reason=format_reason(event.reason)))


def _notice(event: events.Notice) -> str:
    sentence = format_reason(event.text)
    return as_notice(sentence if event.is_local else _("the server says: {sentence}", sentence=sentence))


EVENT_FORMATTERS: Final[dict[type[events.ChatEvent], Callable[[Any], str | None]]] = {
    events.Connected: _connected,
    events.Synced: _synced,
    events.Disconnected: _disconnected,
    events.MessageReceived: lambda event: format_message(event.delivery),
    events.BotMessageReceived: lambda event: format_message(event.delivery),
    events.MessageSentElsewhere: lambda event: format_own_message(event.delivery),
    events.MessageAmended: format_amendment,
    events.GapDetected: _gap_detected,
    events.MessageDelivered: lambda event: as_notice(
        _("{name} has received all your messages", name=sanitize(event.name))
    ),
    events.ReadMarkerMoved: lambda event: None,  # lines have no unread counts
    events.SettingsChanged: lambda event: None,
    events.Accepted: lambda event: format_accepted(event.message),
    events.Rejected: _rejected,
    events.Deferred: _deferred,
    events.PresenceChanged: _presence,
    events.MemberJoined: lambda event: as_notice(
        _("{name} has joined {room}", name=sanitize(event.name), room=sanitize(event.room))
    ),
    events.MemberLeft: _member_left,
    events.RoomClosedByOperator: _room_closed,
    events.RoomReopened: lambda event: as_notice(
        _("{name} has opened {room} again", name=operator_name(event.name), room=sanitize(event.room))
    ),
    events.TopicChanged: lambda event: format_topic(event.room, event.topic, event.name),
    events.Invited: lambda event: invited(event, operator_name(event.by)),
    events.MemberShutOut: lambda event: shut_out(event, operator_name(event.by), reason_suffix(event.reason)),
    events.MemberSilenced: lambda event: silenced(event, operator_name(event.by), reason_suffix(event.reason)),
    events.MemberLetIn: lambda event: _lifted(event, N_("{by} lets {name} join {room} again")),
    events.MemberUnsilenced: lambda event: _lifted(event, N_("{by} lets {name} write in {room} again")),
    events.RulesChanged: lambda event: rules_changed(event, operator_name(event.name)),
    events.RoleChanged: lambda event: role_changed(event, operator_name(event.by) if event.by else ""),
    events.Notice: _notice,
}


def format_event(event: events.ChatEvent) -> str | None:
    """Format an event as lines; None if it is not shown."""
    return EVENT_FORMATTERS[type(event)](event)
