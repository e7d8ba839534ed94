"""NAMES and LIST: who is in rooms, and which rooms there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.names import fold
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.room_views import is_visible, send_names
from gmessenger.server.irc.rooms import LIST_COST, flush_if_long, split_list
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.masks import match_mask
from gmessenger.wire.irc.numerics import (
    RPL_ENDOFNAMES,
    RPL_LIST,
    RPL_LISTEND,
    RPL_LISTSTART,
)

ALL_ROOMS: Final = "*"
MAX_CONDITIONS: Final = 10
"""Masks and other conditions of one LIST; what follows is ignored."""
CLOSED: Final = "[closed] "
"""What begins the topic of a room that an operator has closed."""


def names(handler: IrcHandler, line: Line) -> None:
    """Handle NAMES: rooms of which the client may not know have no names, as those that do not exist."""
    if not line.params:
        handler.reply(RPL_ENDOFNAMES, ALL_ROOMS)
        return
    rooms = split_list(line.params[0])
    handler.charge(len(rooms) - 1)
    time_slice = TimeSlice()
    for name in rooms:
        time_slice.yield_if_expired()
        room = handler.messenger.rooms.get(fold(name))
        if room is not None and is_visible(handler, room):
            handler.charge(LIST_COST)
            send_names(handler, room)
            flush_if_long(handler)
    handler.reply(RPL_ENDOFNAMES, quote_param(line.params[0]))


def list_rooms(handler: IrcHandler, line: Line) -> None:
    """Handle LIST, with the conditions of ELIST=MNU."""
    session, after = handler.require_session(), None
    is_wanted = _condition(split_list(line.params[0])[:MAX_CONDITIONS] if line.params else [])
    time_slice = TimeSlice()
    handler.reply(RPL_LISTSTART, "Channel")
    while True:
        page = handler.messenger.listings.rooms(session, after)
        for entry in page.rooms:
            if is_wanted(entry.name, entry.members):
                topic = f"{CLOSED if entry.closed is True else ''}{entry.topic}"
                handler.reply(RPL_LIST, entry.name, str(entry.members), text=topic)
        flush_if_long(handler)
        time_slice.yield_if_expired()
        if not page.more or not page.rooms:
            break
        after = page.rooms[-1].name
    handler.reply(RPL_LISTEND)


def _condition(words: list[str]) -> Callable[[str, int], bool]:
    """Return whether a room of that name, with so many members, is wanted: by a mask, if any is given, and the rest."""
    masks = [word for word in words if word[0] not in "<>!"]
    others = [word for word in words if word[0] in "<>!"]

    def is_wanted(name: str, members: int) -> bool:
        is_named = not masks or any(match_mask(mask, name) for mask in masks)
        return is_named and all(_holds(word, name, members) for word in others)

    return is_wanted


def _holds(word: str, name: str, members: int) -> bool:
    sign, value = word[0], word[1:]
    if sign == "!":
        return not match_mask(value, name)
    if not (value.isascii() and value.isdecimal()):
        return False
    return members < int(value) if sign == "<" else members > int(value)
