"""JOIN, PART, TOPIC, KICK and INVITE. The lines of what a command changes are those of its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from gmessenger.chat.results import RoomState
from gmessenger.chat.room import Room
from gmessenger.chat.session import Session
from gmessenger.errors import AlreadyMember, BadRequest, NoSuchRoom, NotFound, NotMember, RecipientGone, WireError
from gmessenger.field_types import MAX_REASON
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import REFUSED_COST, IrcHandler
from gmessenger.server.irc.network import MAX_TARGETS
from gmessenger.server.irc.profile_views import sync_joined
from gmessenger.server.irc.read_marks import marks_on_join
from gmessenger.server.irc.replies import FLUSH_SIZE, Reply
from gmessenger.server.irc.room_views import is_visible, join_replies, show_members, topic_replies
from gmessenger.server.irc.user_views import acts_as_operator, away_reply, find_user
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.numerics import (
    ERR_NEEDMOREPARAMS,
    ERR_NOSUCHCHANNEL,
    ERR_NOSUCHNICK,
    ERR_USERNOTINCHANNEL,
    ERR_USERONCHANNEL,
    RPL_ENDOFINVITELIST,
    RPL_INVITELIST,
    RPL_INVITING,
    RPL_NOTOPIC,
)

JOIN_COST: Final = 2.0
LIST_COST: Final = 1.0
"""Of each room in a list."""
LEAVE_ALL: Final = "0"
"""In place of a room, after JOIN: leave all, which accounts would do for all their devices. It is refused."""


@contextmanager
def refusing(handler: IrcHandler, command: str, target: str) -> Iterator[None]:
    """Answer what is refused within the block, about a target, and go on."""
    try:
        yield
    except WireError as error:
        handler.add(command_refusal(handler, command, target, error))


@contextmanager
def refusing_user(handler: IrcHandler, room: str, user: str) -> Iterator[None]:
    """Answer what is refused within the block because of a user, who is not in the room or is, and go on."""
    try:
        yield
    except NoSuchRoom:
        raise
    except AlreadyMember:
        handler.reply(ERR_USERONCHANNEL, quote_param(user), room)
    except (NotFound, RecipientGone):
        if find_user(handler, user) is None:
            handler.reply(ERR_NOSUCHNICK, quote_param(user))
        else:
            handler.reply(ERR_USERNOTINCHANNEL, quote_param(user), room)


def make_change(handler: IrcHandler, change: Callable[[], object]) -> None:
    """Make a change of a room; the client is sent the line of its event. Blocks on the store."""
    handler.messenger.change_runner.run(change, lambda result: None)


def split_list(text: str) -> list[str]:
    """Return the names of a list with commas, each once, whatever its spelling."""
    names: dict[str, str] = {}
    for name in filter(None, text.split(",")):
        names.setdefault(fold(name), name)
    return list(names.values())


def flush_if_long(handler: IrcHandler) -> None:
    """Send replies of which there are many, as the client reads them. Blocks while it reads slowly."""
    if handler.buffer.size > FLUSH_SIZE:
        handler.flush_replies()
        handler.connection.writer.drain()


def find_visible_room(handler: IrcHandler, name: str) -> Room:
    """Return a room of which the client may know. Raises `NoSuchRoom`."""
    room = handler.messenger.rooms.find(name) if name[:1] == ROOM_PREFIX else None
    if room is None or not is_visible(handler, room):
        raise NoSuchRoom
    return room


def find_own_room(handler: IrcHandler, name: str) -> Room:
    """Return a room that the client is in. Raises `NoSuchRoom` or `NotMember`."""
    if name[:1] != ROOM_PREFIX:
        raise NoSuchRoom
    try:
        return handler.messenger.rooms.require_member(name, handler.require_session())
    except NotMember:
        find_visible_room(handler, name)
        raise


def find_changed_room(handler: IrcHandler, name: str) -> Room:
    """Return a room that the client is about to change: it is in it, or an operator. Raises as `find_own_room`."""
    if acts_as_operator(handler) and name[:1] == ROOM_PREFIX:
        return handler.messenger.rooms.find(name)
    return find_own_room(handler, name)


def join(handler: IrcHandler, line: Line) -> None:
    """Handle JOIN."""
    keys = dict(zip(line.params[0].split(","), line.params[1].split(",") if len(line.params) > 1 else (), strict=False))
    for name in split_list(line.params[0]):
        if name == LEAVE_ALL or name[:1] != ROOM_PREFIX or fold(name) == BROADCAST_TARGET:
            handler.charge(REFUSED_COST)
            handler.reply(ERR_NOSUCHCHANNEL, quote_param(name))
            continue
        with refusing(handler, "JOIN", name):
            _join(handler, name, keys.get(name))
        if handler.is_backlogged:  # a room may have ten thousand names
            handler.connection.writer.drain()


def _join(handler: IrcHandler, name: str, key: str | None) -> None:
    session, messenger = handler.require_session(), handler.messenger
    room = messenger.rooms.get(fold(name))
    if room is not None and room.has_member(session):
        return
    handler.charge(JOIN_COST)
    marks = marks_on_join(handler, name)

    def respond(state: RoomState) -> None:
        show_joined(handler, state.name, marks)

    messenger.change_runner.run(lambda: messenger.room_service.join(session, name, None, key), respond)
    room = messenger.rooms.get(fold(name))
    if room is not None and room.has_member(session):
        show_members(handler, room)
        sync_joined(handler, room)


def show_joined(handler: IrcHandler, name: str, marks: Sequence[Reply] = ()) -> None:
    """Say that the connection has joined a room, before any event of it, and up to where it was read."""
    room, handler.last_quit = handler.messenger.rooms.get(fold(name)), ""
    topic = topic_replies(handler, room) if room is not None and room.topic else ()
    for reply in [*join_replies(handler, name, handler.nick), *marks, *topic]:
        handler.add(reply)
    handler.flush_replies()


def part(handler: IrcHandler, line: Line) -> None:
    """Handle PART. An account leaves for all its devices."""
    session, reason = handler.require_session(), line.params[1] if len(line.params) > 1 else ""
    for name in split_list(line.params[0]):
        with refusing(handler, "PART", name):
            handler.charge(LIST_COST)
            room = find_own_room(handler, name)
            make_change(handler, partial(handler.messenger.room_service.leave, session, room.name, reason))


def topic(handler: IrcHandler, line: Line) -> None:
    """Handle TOPIC."""
    session, name = handler.require_session(), line.params[0]
    with refusing(handler, "TOPIC", name):
        room = find_own_room(handler, name)
        if len(line.params) < 2:
            for reply in topic_replies(handler, room) if room.topic else [handler.numeric(RPL_NOTOPIC, room.name)]:
                handler.add(reply)
            return
        try:
            make_change(handler, partial(handler.messenger.room_service.set_topic, session, room.name, line.params[1]))
        except BadRequest as error:
            handler.fail("TOPIC", "INVALID_TOPIC", room.name, text=str(error))


def kick(handler: IrcHandler, line: Line) -> None:
    """Handle KICK, of users from one room, or of each from its own: who is removed cannot come back by itself."""
    rooms, users = line.params[0].split(","), line.params[1].split(",")
    if len(rooms) == 1:
        rooms *= len(users)
    if len(rooms) != len(users):
        handler.reply(ERR_NEEDMOREPARAMS, "KICK")
        return
    reason = printable(line.params[2] if len(line.params) > 2 else "", MAX_REASON)
    for name, user in list(zip(rooms, users, strict=True))[:MAX_TARGETS]:
        _kick(handler, name, user, reason)


def _kick(handler: IrcHandler, name: str, user: str, reason: str) -> None:
    session, remove = handler.require_session(), handler.messenger.room_sanctions.remove
    with refusing(handler, "KICK", name), refusing_user(handler, name, user):
        room = find_changed_room(handler, name)
        make_change(handler, partial(remove, session, room.name, user, reason))
        handler.add(handler.notice(f"{user} is kept out of {room.name} until MODE {room.name} -b {user}, or INVITE"))


def printable(text: str, most: int) -> str:
    """Return the printable characters of a text, at most so many: formatting and colours are left out."""
    return "".join(character for character in text if character.isprintable())[:most]


def invite(handler: IrcHandler, line: Line) -> None:
    """Handle INVITE: invite a user, or list the rooms that one is invited to."""
    session, messenger = handler.require_session(), handler.messenger
    if not line.params:
        _list_invitations(handler, session)
        return
    if len(line.params) < 2:
        handler.reply(ERR_NEEDMOREPARAMS, "INVITE")
        return
    user, name = line.params[0], line.params[1]
    with refusing(handler, "INVITE", name), refusing_user(handler, name, user):
        room = find_own_room(handler, name)

        def respond(result: None) -> None:
            found = find_user(handler, user)
            handler.reply(RPL_INVITING, found.name if found is not None else user, room.name)
            if found is not None and found.is_away:
                handler.add(away_reply(handler, found))
            handler.flush_replies()

        messenger.change_runner.run(lambda: messenger.invitations.invite(session, room.name, user), respond)


def _list_invitations(handler: IrcHandler, session: Session) -> None:
    for room in handler.messenger.invitations.rooms_for(session):
        handler.reply(RPL_INVITELIST, room.name)
    handler.reply(RPL_ENDOFINVITELIST)
