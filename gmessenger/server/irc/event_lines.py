"""The lines of events that are not messages. One table: event → its lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger.chat.outbound import (
    DeliveryReceipt,
    LivenessProbe,
    PresenceUpdate,
    ProfileUpdate,
    ServerMoving,
    SessionClosed,
    SessionReplaced,
    SettingsUpdate,
)
from gmessenger.chat.presence import UserStatus
from gmessenger.chat.room_access import MaskKind
from gmessenger.chat.room_events import InvitationEvent, RoomEvent, UserRenamed
from gmessenger.constants import OFFLINE, ONLINE
from gmessenger.errors import Banned, Kicked, LoggedInElsewhere
from gmessenger.names import fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.modes import (
    join_changes,
    role_changes,
    rule_changes,
    show_mask,
    shown_role,
    split_changes,
)
from gmessenger.server.irc.profile_views import (
    offer_sync,
    subscribed_changes,
    user_values,
)
from gmessenger.server.irc.read_marks import known_marks
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.room_views import join_replies, member_replies
from gmessenger.wire.irc.lines import MAX_BODY

Lines = list[Reply]


def _joined(handler: IrcHandler, event: RoomEvent) -> Lines:
    room = handler.messenger.rooms.get(fold(event.room))
    lines = join_replies(handler, event.room, event.name)
    if fold(event.name) == handler.key and room is not None:  # on another device
        return lines + known_marks(handler, event.room) + member_replies(handler, room) + offer_sync(handler, room.name)
    status = handler.messenger.presence.status(fold(event.name))
    if Capability.AWAY_NOTIFY in handler.capabilities and status.status not in (ONLINE, OFFLINE):
        lines.append(handler.network.away_line(event.name, status))
    return [*lines, *user_values(handler, fold(event.name), event.name)]


def _left(handler: IrcHandler, event: RoomEvent) -> Lines:
    users = handler.network.users
    if event.quit:
        if handler.last_quit == event.name:  # from several rooms at once: one line for all
            return []
        handler.last_quit = event.name
        return [
            Reply(
                users.source(event.name), "QUIT", (f"Quit: {event.reason}" if event.reason else "Quit",), is_text=True
            )
        ]
    if event.by is not None:
        source = users.source(event.by) if event.by != "server" else handler.network.server_name
        return [Reply(source, "KICK", (event.room, event.name, event.reason or event.by), is_text=True)]
    reason = (event.reason,) if event.reason else ()
    return [Reply(users.source(event.name), "PART", (event.room, *reason), is_text=bool(reason))]


def _topic(handler: IrcHandler, event: RoomEvent) -> Lines:
    return [Reply(handler.network.users.source(event.name), "TOPIC", (event.room, event.topic or ""), is_text=True)]


def _rule(handler: IrcHandler, event: RoomEvent) -> Lines:
    changes = list(rule_changes(event.rules or {}))
    source = handler.network.users.source(event.name)
    lines = [Reply(source, "MODE", (event.room, *join_changes(changes)))] if changes else []
    if "history" in (event.rules or {}):
        readable = "all that is kept" if (event.rules or {})["history"] == "all" else "what is said from then on"
        lines.append(handler.room_notice(event.room, f"{event.name} has set: who joins may read {readable}."))
    return lines


def _role(handler: IrcHandler, event: RoomEvent) -> Lines:
    room = handler.messenger.rooms.get(fold(event.room))
    is_passing = room is not None and room.is_passing
    role, former = (shown_role(each or "member", is_passing=is_passing) for each in (event.role, event.former_role))
    has_all = Capability.MULTI_PREFIX in handler.capabilities
    source = handler.network.users.source(event.by) if event.by else handler.network.server_name
    changes: list[tuple[str, str, str | None]] = [
        (sign, letter, event.name) for sign, letter in role_changes(role, former, all_prefixes=has_all)
    ]
    left = MAX_BODY - len(f":{source} MODE {event.room} ".encode())
    return [Reply(source, "MODE", (event.room, *params)) for params in split_changes(changes, left) if changes]


def _mode_of_name(sign: str, kind: MaskKind) -> Callable[[IrcHandler, RoomEvent], Lines]:
    def lines(handler: IrcHandler, event: RoomEvent) -> Lines:
        if event.is_removal:  # KICK says so
            return []
        source = handler.network.users.source(event.by) if event.by else handler.network.server_name
        letter, mask = show_mask(kind, f"{event.name}!*@*")
        return [Reply(source, "MODE", (event.room, sign + letter, mask))]

    return lines


def _mode_of_mask(sign: str) -> Callable[[IrcHandler, RoomEvent], Lines]:
    def lines(handler: IrcHandler, event: RoomEvent) -> Lines:
        letter, mask = show_mask(event.mask_kind or "ban", event.mask or "")
        return [Reply(handler.network.users.source(event.name), "MODE", (event.room, sign + letter, mask))]

    return lines


def _notice(sentence: str) -> Callable[[IrcHandler, RoomEvent], Lines]:
    def lines(handler: IrcHandler, event: RoomEvent) -> Lines:
        text = sentence.format(name=event.name, by=event.by or event.name)
        return [handler.room_notice(event.room, f"{text}: {event.reason}" if event.reason else f"{text}.")]

    return lines


def _silenced(handler: IrcHandler, event: RoomEvent) -> Lines:
    reason = _notice("{by} has silenced {name}")(handler, event) if event.reason else []
    return _mode_of_name("+", "silenced")(handler, event) + reason


ROOM_EVENTS: Final[dict[str, Callable[[IrcHandler, RoomEvent], Lines]]] = {
    "join": _joined,
    "leave": _left,
    "topic": _topic,
    "rule": _rule,
    "role": _role,
    "shut_out": _mode_of_name("+", "ban"),
    "let_in": _mode_of_name("-", "ban"),
    "mask": _mode_of_mask("+"),
    "unmask": _mode_of_mask("-"),
    "silence": _silenced,
    "unsilence": _mode_of_name("-", "silenced"),
    "close": _notice("{name} has closed this channel"),
    "open": _notice("{name} has opened this channel again"),
}


def _room_event(handler: IrcHandler, event: RoomEvent) -> Lines:
    if not event.quit:
        handler.last_quit = ""
    return ROOM_EVENTS[event.action](handler, event)


def _renamed(handler: IrcHandler, event: UserRenamed) -> Lines:
    source = handler.network.users.source(event.name)  # user and host are those of before
    return [Reply(f"{event.former_name}{source[len(event.name) :]}", "NICK", (event.name,))]


def _invitation(handler: IrcHandler, event: InvitationEvent) -> Lines:
    return [Reply(handler.network.users.source(event.by), "INVITE", (handler.nick, event.room))]


def _presence(handler: IrcHandler, event: PresenceUpdate) -> Lines:
    if Capability.AWAY_NOTIFY not in handler.capabilities:
        return []
    is_account = handler.network.users.account_name(event.name) is not None
    if event.status == OFFLINE and not is_account:  # its QUIT says so
        return []
    return [handler.network.away_line(event.name, UserStatus(event.status, event.note))]


def _moving(handler: IrcHandler, event: ServerMoving) -> Lines:
    handler.farewell = "the server restarts"
    return [handler.notice(f"The server restarts; come back in {event.retry_after:.0f} seconds")]


def _replaced(handler: IrcHandler, event: SessionReplaced) -> Lines:
    handler.farewell = str(LoggedInElsewhere())
    return [handler.notice("This device has logged in elsewhere; do not reconnect")]


def _closed(handler: IrcHandler, event: SessionClosed) -> Lines:
    lines: Lines = []
    if isinstance(event.error, Kicked):
        lines.append(Reply(handler.network.server_name, "KILL", (handler.nick, str(event.error)), is_text=True))
    elif isinstance(event.error, Banned):
        lines.append(Reply(handler.network.server_name, "465", (handler.nick, str(event.error)), is_text=True))
    handler.farewell = str(event.error)
    return lines


def _nothing(handler: IrcHandler, event: Any) -> Lines:
    return []


EVENT_LINES: Final[dict[type, Callable[[IrcHandler, Any], Lines]]] = {
    RoomEvent: _room_event,
    UserRenamed: _renamed,
    InvitationEvent: _invitation,
    PresenceUpdate: _presence,
    LivenessProbe: lambda handler, event: [Reply("", "PING", (handler.network.server_name,))],
    ServerMoving: _moving,
    SessionReplaced: _replaced,
    SessionClosed: _closed,
    ProfileUpdate: subscribed_changes,
    DeliveryReceipt: _nothing,
    SettingsUpdate: _nothing,
}
"""What the encoder does not write itself."""
