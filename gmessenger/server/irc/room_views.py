"""What a client is told of a room that it is in, or joins: topic and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gmessenger.chat.room import Room
from gmessenger.room_roles import RoomRole
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.late_replies import LateReplies
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
    """Return the topic and the names of a room, for a client that is told that it has joined it.

    The names of many are left to `LateNames`.
    """
    replies = topic_replies(handler, room) if room.topic else []
    if Capability.NO_IMPLICIT_NAMES in handler.capabilities or has_late_names(room):
        return replies
    return [*replies, *name_replies(handler, room, room.names), handler.numeric(RPL_ENDOFNAMES, room.name)]


def has_late_names(room: Room) -> bool:
    """Return whether so many are in a room that their names are sent in parts."""
    return room.size > NAMES_PART


class LateNames(LateReplies):
    """Tells a client who is in rooms of many that another client of its account has joined."""

    __slots__ = ()
    task = "names in a room"

    def note_join(self, room: Room) -> None:
        """Have the client told who is in a room, if those are many. Never blocks."""
        if Capability.NO_IMPLICIT_NAMES not in self._handler.capabilities and has_late_names(room):
            self.put(room.key)

    def tell(self, target: str) -> None:
        """Send the names as the client reads them, unless the account leaves the room meanwhile."""
        handler, session = self._handler, self._handler.require_session()
        room, time_slice = handler.messenger.rooms.find(target), TimeSlice()
        for part in split_members(room):
            if not session.outbox.wait_for_room() or not room.has_member(session):
                return
            handler.offer(*name_replies(handler, room, present_names(room, part)))
            time_slice.yield_if_expired()
        handler.offer(handler.numeric(RPL_ENDOFNAMES, room.name))


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
    parts, time_slice = split_members(room), TimeSlice()
    for number, part in enumerate(parts, 1):
        for reply in name_replies(handler, room, present_names(room, part)):
            handler.add(reply)
        if number < len(parts):
            handler.flush_replies()
            handler.connection.writer.drain()
            time_slice.yield_if_expired()


def split_members(room: Room) -> list[list[int | str]]:
    """Return who is in a room in parts: accounts by their ids, then guests by their folded names."""
    everyone: list[int | str] = [*room.members, *room.guests, *room.remote_guests]
    return [everyone[start : start + NAMES_PART] for start in range(0, len(everyone), NAMES_PART)]


def present_names(room: Room, part: Iterable[int | str]) -> Iterator[str]:
    """Iterate over the names of those of a part who are in the room still."""
    for member in part:
        if isinstance(member, int):
            if (account := room.members.get(member)) is not None:
                yield account.name
        elif (session := room.guests.get(member)) is not None:
            yield session.name
        elif (name := room.remote_guests.get(member)) is not None:
            yield name


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
