"""JOIN, PART, TOPIC, NAMES, LIST, KICK and INVITE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from gmessenger.chat.results import RoomState
from gmessenger.chat.room import Room
from gmessenger.errors import BadRequest, NoSuchRoom, NotMember, WireError
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import MAX_KICK_REASON, MAX_TARGETS
from gmessenger.server.irc.read_marks import marks_on_join
from gmessenger.server.irc.replies import FLUSH_SIZE, Reply
from gmessenger.server.irc.room_views import join_replies, member_replies, name_replies, topic_replies
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.masks import match_mask
from gmessenger.wire.irc.numerics import (
    ERR_NOSUCHCHANNEL,
    RPL_ENDOFNAMES,
    RPL_INVITING,
    RPL_LIST,
    RPL_LISTEND,
    RPL_LISTSTART,
    RPL_NOTOPIC,
)

JOIN_COST: Final = 2.0
MAX_ROOMS_IN_COMMAND: Final = 20
LEAVE_ALL: Final = "0"


@contextmanager
def refusing(handler: IrcHandler, command: str, target: str) -> Iterator[None]:
    """Answer what is refused within the block, about a target, and go on."""
    try:
        yield
    except WireError as error:
        handler.add(command_refusal(handler, command, target, error))


def split_list(text: str) -> list[str]:
    """Return the names of a list with commas, each once, a bounded number of them."""
    return list(dict.fromkeys(name for name in text.split(",") if name))[:MAX_ROOMS_IN_COMMAND]


def join(handler: IrcHandler, line: Line) -> None:
    """Handle JOIN."""
    keys = line.params[1].split(",") if len(line.params) > 1 else []
    for number, name in enumerate(split_list(line.params[0])):
        if name == LEAVE_ALL or name[:1] != ROOM_PREFIX or fold(name) == BROADCAST_TARGET:
            handler.reply(ERR_NOSUCHCHANNEL, name)
            continue
        with refusing(handler, "JOIN", name):
            _join(handler, name, keys[number] if number < len(keys) else None)


def _join(handler: IrcHandler, name: str, key: str | None) -> None:
    session, messenger = handler.require_session(), handler.messenger
    room = messenger.rooms.get(fold(name))
    if room is not None and room.has_member(session):
        return
    handler.charge(JOIN_COST)
    marks = marks_on_join(handler, name)

    def respond(state: RoomState) -> None:
        show_joined(handler, state.name, marks)

    messenger.change_runner.run(lambda: messenger.room_service.join(session, name, None), respond)


def show_joined(handler: IrcHandler, name: str, marks: Sequence[Reply] = ()) -> None:
    """Say that the connection has joined a room, before any event of it, and up to where it was read."""
    room = handler.messenger.rooms.get(fold(name))
    replies = join_replies(handler, name, handler.nick)
    for reply in [*replies, *marks, *(member_replies(handler, room) if room is not None else ())]:
        handler.add(reply)
    handler.flush_replies()


def part(handler: IrcHandler, line: Line) -> None:
    """Handle PART."""
    session, messenger = handler.require_session(), handler.messenger
    reason = line.params[1:2]
    for name in split_list(line.params[0]):

        def respond(state: RoomState, reason: list[str] = reason) -> None:
            source = handler.network.users.source(handler.nick)
            handler.add(Reply(source, "PART", (state.name, *reason), is_text=bool(reason)))
            handler.flush_replies()

        with refusing(handler, "PART", name):
            find_member_room(handler, name)
            messenger.change_runner.run(partial(messenger.room_service.leave, session, name), respond)


def find_member_room(handler: IrcHandler, name: str) -> Room:
    """Return a room that the connection is in. Raises `NoSuchRoom` or `NotMember`."""
    if name[:1] != ROOM_PREFIX:
        raise NoSuchRoom
    return handler.messenger.rooms.require_member(name, handler.require_session())


def topic(handler: IrcHandler, line: Line) -> None:
    """Handle TOPIC."""
    session, messenger, name = handler.require_session(), handler.messenger, line.params[0]
    with refusing(handler, "TOPIC", name):
        room = find_member_room(handler, name)
        if len(line.params) < 2:
            replies = topic_replies(handler, room) if room.topic else [handler.numeric(RPL_NOTOPIC, room.name)]
            for reply in replies:
                handler.add(reply)
            return
        text = line.params[1]

        def respond(result: None) -> None:
            handler.add(Reply(handler.own_source, "TOPIC", (room.name, text), is_text=True))
            handler.flush_replies()

        try:
            messenger.change_runner.run(lambda: messenger.room_service.set_topic(session, name, text), respond)
        except BadRequest as error:
            handler.fail("TOPIC", "INVALID_TOPIC", name, text=str(error))


def names(handler: IrcHandler, line: Line) -> None:
    """Handle NAMES."""
    session = handler.require_session()
    for name in split_list(line.params[0]) if line.params else []:
        room = handler.messenger.rooms.get(fold(name))
        if room is None or not (room.has_member(session) or not room.rules.hidden) or room.is_being_deleted:
            handler.reply(RPL_ENDOFNAMES, name)
            continue
        for reply in name_replies(handler, room):
            handler.add(reply)
        flush_if_long(handler)
    if not line.params:
        handler.reply(RPL_ENDOFNAMES, "*")


def flush_if_long(handler: IrcHandler) -> None:
    """Send replies of which there are many, as the client reads them. Blocks while it reads slowly."""
    if handler.buffer.size > FLUSH_SIZE:
        handler.flush_replies()
        handler.connection.writer.drain()


def list_rooms(handler: IrcHandler, line: Line) -> None:
    """Handle LIST, with the conditions of ELIST=MNU."""
    session, after = handler.require_session(), None
    conditions = [_condition(text) for text in split_list(line.params[0])] if line.params else []
    handler.reply(RPL_LISTSTART, "Channel", text="Users  Name")
    while True:
        page = handler.messenger.listings.rooms(session, after)
        for entry in page.rooms:
            if not conditions or any(condition(entry.name, entry.members) for condition in conditions):
                handler.reply(RPL_LIST, entry.name, str(entry.members), text=entry.topic)
        flush_if_long(handler)
        if not page.more or not page.rooms:
            break
        after = page.rooms[-1].name
    handler.reply(RPL_LISTEND)


def _condition(text: str) -> Callable[[str, int], bool]:
    """Return what a condition of LIST is true of: the name of a room and the number of its members."""
    if text[:1] in "<>" and text[1:].isdecimal():
        bound, is_less = int(text[1:]), text[0] == "<"
        return lambda name, members: members < bound if is_less else members > bound
    if text[:1] == "!":
        return lambda name, members: not match_mask(text[1:], name)
    return lambda name, members: match_mask(text, name)


def kick(handler: IrcHandler, line: Line) -> None:
    """Handle KICK: who is removed cannot come back by itself."""
    session, messenger, name = handler.require_session(), handler.messenger, line.params[0]
    reason = (line.params[2] if len(line.params) > 2 and line.params[2] else handler.nick)[:MAX_KICK_REASON]
    for user in split_list(line.params[1])[:MAX_TARGETS]:
        with refusing(handler, "KICK", name):
            find_member_room(handler, name)

            def respond(result: None, user: str = user) -> None:
                handler.add(Reply(handler.own_source, "KICK", (name, user, reason), is_text=True))
                handler.flush_replies()

            messenger.change_runner.run(
                partial(messenger.room_sanctions.remove, session, name, user),
                respond,
            )


def invite(handler: IrcHandler, line: Line) -> None:
    """Handle INVITE."""
    session, messenger = handler.require_session(), handler.messenger
    user, name = line.params[0], line.params[1]

    def respond(result: None) -> None:
        handler.reply(RPL_INVITING, user, name)
        handler.flush_replies()

    with refusing(handler, "INVITE", name):
        if name[:1] != ROOM_PREFIX:
            raise NoSuchRoom
        room = messenger.rooms.get(fold(name))
        if room is not None and not room.has_member(session):
            raise NotMember
        messenger.change_runner.run(lambda: messenger.invitations.invite(session, name, user), respond)


def is_listed(handler: IrcHandler, room: Room) -> bool:
    """Return whether a client may see who is in a room."""
    return not room.rules.hidden or room.has_member(handler.require_session())
