"""Profiles as clients of IRC are told of them: in batches, by events, and in answer to WHOIS (`draft/metadata-3`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from gmessenger.chat.outbound import ProfileUpdate
from gmessenger.chat.room import Room
from gmessenger.profiles import decode_profile
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.replies import FLUSH_SIZE, UNKNOWN_NICK, Reply
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.irc.lines import MAX_BODY
from gmessenger.wire.irc.numerics import (
    RPL_KEYNOTSET,
    RPL_KEYVALUE,
    RPL_METADATASYNCLATER,
    RPL_WHOISKEYVALUE,
    Numeric,
)

BATCH_TYPE: Final = "metadata"
ALL_TARGETS: Final = "*ALL"
"""In place of a target: all of whose changes the client is told."""
SEEN_BY_ALL: Final = "*"
"""The visibility of every key."""


def value_reply(
    handler: IrcHandler, target: str, key: str, value: str | None, numeric: Numeric = RPL_KEYVALUE
) -> Reply:
    """Return the numeric with the value of a key, or that it has none."""
    if value is None:
        return handler.numeric(RPL_KEYNOTSET, target, key)
    reply = handler.numeric(numeric, target, key, SEEN_BY_ALL, text=value)
    if len(f":{reply.source} {reply.command} {' '.join(reply.params)}:".encode()) > MAX_BODY:
        reply.params = (UNKNOWN_NICK, *reply.params[1:])  # rather than cut the value: the client knows its nick
    return reply


@contextmanager
def reply_batch(handler: IrcHandler, batch_type: str, *params: str) -> Iterator[Callable[[Reply], None]]:
    """Yield what adds replies to a batch, if the client knows batches, else to the answer of the command.

    What it adds is sent in parts, and then it blocks while the client reads slowly.
    """
    reference = handler.network.next_batch() if Capability.BATCH in handler.capabilities else ""
    if reference:
        handler.add(Reply(handler.network.server_name, "BATCH", (f"+{reference}", batch_type, *params)))

    def add(reply: Reply) -> None:
        if reference:
            reply.tags["batch"] = reference
        handler.add(reply)
        if handler.is_registered and handler.buffer.size > FLUSH_SIZE:
            handler.flush_replies()
            handler.connection.writer.drain()

    yield add
    if reference:
        handler.add(Reply(handler.network.server_name, "BATCH", (f"-{reference}",)))


# -- values of the keys that a client has subscribed to


def subscribed_values(handler: IrcHandler, target: str, profile: Mapping[str, str | None]) -> Iterator[Reply]:
    """Iterate over the values of keys that the client has subscribed to."""
    return (value_reply(handler, target, key, profile[key]) for key in profile if key in handler.subscribed_keys)


def user_values(handler: IrcHandler, key: str, name: str) -> Iterator[Reply]:
    """Iterate over such values of a user. Never blocks."""
    if not handler.subscribed_keys or Capability.METADATA not in handler.capabilities:
        return iter(())
    return subscribed_values(handler, name, handler.messenger.profiles.seen_by(handler.require_session(), key))


def subscribed_changes(handler: IrcHandler, update: ProfileUpdate) -> list[Reply]:
    """Return the lines of an event: the keys that have changed and are subscribed to."""
    return list(subscribed_values(handler, update.name, update.changes))


def _room_values(handler: IrcHandler, room: Room, shown: set[str]) -> Iterator[Reply]:
    """Iterate over such values of a room and, but for those of `shown`, of who is in it. Adds these to `shown`."""
    yield from subscribed_values(handler, room.name, decode_profile(room.profile))
    members = [(account.key, account.name) for account in room.members.values() if account.profile]
    members += [(guest.key, guest.name) for guest in room.guests.values() if guest.profile]
    for key, name in members:
        if key not in shown:
            shown.add(key)
            yield from user_values(handler, key, name)


def _all_values(handler: IrcHandler) -> Iterator[Reply]:
    """Iterate over all values of whose changes the client is told."""
    session, router, time_slice = handler.require_session(), handler.messenger.router, TimeSlice()
    shown = {session.key}
    yield from user_values(handler, session.key, session.name)
    for room in handler.messenger.rooms:
        if room.has_member(session):
            yield from _room_values(handler, room, shown)
        time_slice.yield_if_expired()
    for key in list(handler.monitored):
        name = router.name(key)
        if key not in shown and name is not None:
            yield from user_values(handler, key, name)


def _send(handler: IrcHandler, target: str, replies: Iterable[Reply]) -> None:
    time_slice = TimeSlice()
    with reply_batch(handler, BATCH_TYPE, target) as add:
        for reply in replies:
            add(reply)
            time_slice.yield_if_expired()


def sync_joined(handler: IrcHandler, room: Room) -> None:
    """Do `sync_room` for a client that has just joined the room, if it has subscribed. Blocks."""
    if handler.subscribed_keys and Capability.METADATA in handler.capabilities:
        sync_room(handler, room)


def sync_room(handler: IrcHandler, room: Room) -> None:
    """Show a room's profile, and those of who is in it, to a client that is in it, as far as it has subscribed."""
    _send(handler, room.name, _room_values(handler, room, set()))


def sync_user(handler: IrcHandler, key: str, name: str) -> None:
    """Show a user's profile to a client, as far as it has subscribed. Blocks."""
    _send(handler, name, user_values(handler, key, name))


def sync_all(handler: IrcHandler) -> None:
    """Show all profiles of whose changes a client is told. Blocks."""
    _send(handler, ALL_TARGETS, _all_values(handler))


def offer_sync(handler: IrcHandler, target: str) -> list[Reply]:
    """Return the line that says that a client may ask for profiles of a target, if it has subscribed. Never blocks."""
    if not handler.subscribed_keys or Capability.METADATA not in handler.capabilities:
        return []
    return [handler.numeric(RPL_METADATASYNCLATER, target, "0")]


# -- whole profiles


def show_profiles(handler: IrcHandler) -> None:
    """Show a client that has just registered its own profile, and all that it has subscribed to. Blocks."""
    show_own_profile(handler)
    if handler.subscribed_keys:
        sync_all(handler)


def show_own_profile(handler: IrcHandler) -> None:
    """Show a client that has negotiated it what its user says of itself, also where that is nothing."""
    if Capability.METADATA in handler.capabilities:
        session = handler.require_session()
        profile = handler.messenger.profiles.seen_by(session, session.key)
        _send(handler, session.name, (value_reply(handler, session.name, key, profile[key]) for key in profile))


def whois_values(handler: IrcHandler, key: str, name: str) -> Iterator[Reply]:
    """Iterate over the lines of a WHOIS, for clients that have negotiated them."""
    if Capability.METADATA not in handler.capabilities:
        return iter(())
    profile = handler.messenger.profiles.seen_by(handler.require_session(), key)
    return (value_reply(handler, name, each, value, RPL_WHOISKEYVALUE) for each, value in profile.items())
