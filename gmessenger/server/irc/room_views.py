"""What a client is told of a room that it is in, or joins: topic and names."""

from __future__ import annotations

from collections.abc import Iterator

from gmessenger.chat.room import Room
from gmessenger.names import fold
from gmessenger.room_roles import RoomRole
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.messages import MAX_LINE
from gmessenger.server.irc.modes import role_prefix
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.numerics import RPL_ENDOFNAMES, RPL_NAMREPLY, RPL_TOPIC, RPL_TOPICTIME


def join_replies(handler: IrcHandler, room: str, name: str) -> list[Reply]:
    """Return the line that says that a user has joined a room."""
    users = handler.network.users
    if Capability.EXTENDED_JOIN not in handler.capabilities:
        return [Reply(users.source(name), "JOIN", (room,))]
    account = users.account_name(name) or "*"
    return [Reply(users.source(name), "JOIN", (room, account, users.realname(name)), is_text=True)]


def member_replies(handler: IrcHandler, room: Room) -> list[Reply]:
    """Return the topic and the names of a room, for a client that has just joined it."""
    replies = topic_replies(handler, room) if room.topic else []
    if Capability.NO_IMPLICIT_NAMES in handler.capabilities:
        return replies
    return replies + name_replies(handler, room)


def topic_replies(handler: IrcHandler, room: Room) -> list[Reply]:
    """Return the topic of a room, and who has set it."""
    replies = [handler.numeric(RPL_TOPIC, room.name, text=room.topic)]
    if room.topic_by and room.topic_at is not None:
        source = handler.network.users.source(room.topic_by)
        replies.append(handler.numeric(RPL_TOPICTIME, room.name, source, str(int(room.topic_at))))
    return replies


def name_replies(handler: IrcHandler, room: Room) -> list[Reply]:
    """Return the names of all who are in a room."""
    symbol = "@" if room.rules.hidden else "="
    room_left = MAX_LINE - len(f":{handler.network.server_name} 353 {handler.nick} {symbol} {room.name} :".encode())
    replies = [
        handler.numeric(RPL_NAMREPLY, symbol, room.name, text=line)
        for line in _lines(_shown_names(handler, room), room_left)
    ]
    return [*replies, handler.numeric(RPL_ENDOFNAMES, room.name)]


def role_in(room: Room, key: str) -> RoomRole:
    """Return the role of a folded name in a room."""
    if (guest_role := room.guest_roles.get(key)) is not None:
        return guest_role
    account = room.find_member(key)
    return room.roles.get(account.id, "member") if account is not None else "member"


def roles_by_key(room: Room) -> dict[str, RoomRole]:
    """Return the roles of those in a room that have one, by folded name."""
    roles: dict[str, RoomRole] = {room.members[id].key: role for id, role in room.roles.items() if id in room.members}
    return roles | room.guest_roles


def _shown_names(handler: IrcHandler, room: Room) -> Iterator[str]:
    capabilities, users = handler.capabilities, handler.network.users
    roles, all_prefixes = roles_by_key(room), Capability.MULTI_PREFIX in capabilities
    for name in room.names:
        prefix = role_prefix(roles.get(fold(name), "member"), all_prefixes=all_prefixes)
        yield prefix + (users.source(name) if Capability.USERHOST_IN_NAMES in capabilities else name)


def _lines(names: Iterator[str], room_left: int) -> Iterator[str]:
    line, size = "", 0
    for name in names:
        length = len(name.encode()) + 1
        if line and size + length > room_left:
            yield line
            line, size = "", 0
        line += f" {name}" if line else name
        size += length
    if line:
        yield line
