"""What a client is told of a room that it is in, or joins: topic and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gmessenger.chat.room import Room
from gmessenger.room_roles import RoomRole
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.modes import role_prefix, shown_role
from gmessenger.server.irc.replies import Reply
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.irc.lines import MAX_BODY
from gmessenger.wire.irc.numerics import RPL_ENDOFNAMES, RPL_NAMREPLY, RPL_TOPIC, RPL_TOPICTIME
from gmessenger.wire.irc.text import pack_words

NAMES_PART: Final = 1000
"""Names that are sent together."""


def join_replies(handler: IrcHandler, room: str, name: str) -> list[Reply]:
    """Return the line that says that a user has joined a room."""
    users = handler.network.users
    if Capability.EXTENDED_JOIN not in handler.capabilities:
        return [Reply(users.source(name), "JOIN", (room,))]
    account = users.account_name(name) or "*"
    return [Reply(users.source(name), "JOIN", (room, account, users.realname(name)), is_text=True)]


def member_replies(handler: IrcHandler, room: Room) -> list[Reply]:
    """Return the topic and the names of a room, for a client that is told that it has joined it."""
    replies = topic_replies(handler, room) if room.topic else []
    if Capability.NO_IMPLICIT_NAMES in handler.capabilities:
        return replies
    return [*replies, *name_replies(handler, room, room.names), handler.numeric(RPL_ENDOFNAMES, room.name)]


def show_members(handler: IrcHandler, room: Room) -> None:
    """Send the names in a room to a client that has just joined it, unless it asks for them itself. Blocks."""
    if Capability.NO_IMPLICIT_NAMES not in handler.capabilities:
        send_names(handler, room)
        handler.reply(RPL_ENDOFNAMES, room.name)


def topic_replies(handler: IrcHandler, room: Room) -> list[Reply]:
    """Return the topic of a room, and who has set it."""
    replies = [handler.numeric(RPL_TOPIC, room.name, text=room.topic)]
    if room.topic_by and room.topic_at is not None:
        source = handler.network.users.source(room.topic_by)
        replies.append(handler.numeric(RPL_TOPICTIME, room.name, source, str(int(room.topic_at))))
    return replies


def send_names(handler: IrcHandler, room: Room) -> None:
    """Send the names of all who are in a room, in parts, without the end of the list. Blocks for a slow client.

    Each part names those who are in the room when it is sent, so that what is told of them after that still holds.
    """
    members, keys = list(room.members.items()), [*room.guests, *room.remote_guests]
    time_slice = TimeSlice()
    for start in range(0, len(members) + len(keys), NAMES_PART):
        end = start + NAMES_PART
        present = [account.name for id, account in members[start:end] if id in room.members]
        present += _guest_names(room, keys[max(0, start - len(members)) : max(0, end - len(members))])
        for reply in name_replies(handler, room, present):
            handler.add(reply)
        if end < len(members) + len(keys):
            handler.flush_replies()
            handler.connection.writer.drain()
            time_slice.yield_if_expired()


def _guest_names(room: Room, keys: Sequence[str]) -> list[str]:
    return [
        room.guests[key].name if key in room.guests else room.remote_guests[key]
        for key in keys
        if key in room.guests or key in room.remote_guests
    ]


def name_replies(handler: IrcHandler, room: Room, names: Iterable[str]) -> list[Reply]:
    """Return names of users in a room, without the end of the list."""
    symbol = "@" if room.rules.hidden else "="
    room_left = MAX_BODY - len(f":{handler.network.server_name} 353 {handler.nick} {symbol} {room.name} :".encode())
    return [
        handler.numeric(RPL_NAMREPLY, symbol, room.name, text=line)
        for line in pack_words(_shown_names(handler, room, names), room_left)
    ]


def is_visible(handler: IrcHandler, room: Room) -> bool:
    """Return whether a client may know of a room: it is in it, or the room is not hidden."""
    is_listed = not room.rules.hidden or room.has_member(handler.require_session())
    return is_listed and not room.is_being_deleted


def role_in(handler: IrcHandler, room: Room, key: str) -> RoomRole:
    """Return the role of a folded name in a room, as IRC shows it. In constant time: WHO asks for each member."""
    account = handler.messenger.authenticator.accounts.get(key)
    if account is not None and account.id in room.members:
        return shown_role(room.roles.get(account.id, "member"), is_passing=room.is_passing)
    return shown_role(room.guest_roles.get(key, "member"), is_passing=room.is_passing)


def _shown_names(handler: IrcHandler, room: Room, names: Iterable[str]) -> Iterator[str]:
    capabilities, users = handler.capabilities, handler.network.users
    roles, all_prefixes = room.named_roles, Capability.MULTI_PREFIX in capabilities
    for name in names:
        role = shown_role(roles.get(name, "member"), is_passing=room.is_passing)
        prefix = role_prefix(role, all_prefixes=all_prefixes)
        yield prefix + (users.source(name) if Capability.USERHOST_IN_NAMES in capabilities else name)
