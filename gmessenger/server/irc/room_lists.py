"""NAMES and LIST: who is in rooms, and which rooms there are."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from gmessenger.chat.room import Room
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

Condition: TypeAlias = Callable[[Room], bool]
ALL_ROOMS: Final = "*"
MAX_CONDITIONS: Final = 10
"""Masks and other conditions of one LIST; what follows is ignored."""
NOT: Final = "!"
"""Begins a mask that is not to match."""
COMPARISON: Final = re.compile(r"([CT]?)([<>])(.*)", re.IGNORECASE | re.DOTALL)
SECONDS_PER_MINUTE: Final = 60.0
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
    """Handle LIST, with the conditions of ELIST=CMNTU."""
    session, after = handler.require_session(), None
    words = split_list(line.params[0])[:MAX_CONDITIONS] if line.params else []
    is_wanted = _condition(words, handler.now())
    time_slice = TimeSlice()
    handler.reply(RPL_LISTSTART, "Channel")
    while True:
        page = handler.messenger.listings.rooms(session, after)
        for entry in page.rooms:
            room = handler.messenger.rooms.get(fold(entry.name))
            if room is not None and is_wanted(room):
                topic = f"{CLOSED if entry.closed is True else ''}{entry.topic}"
                handler.reply(RPL_LIST, entry.name, str(entry.members), text=topic)
        flush_if_long(handler)
        time_slice.yield_if_expired()
        if not page.more or not page.rooms:
            break
        after = page.rooms[-1].name
    handler.reply(RPL_LISTEND)


def _condition(words: Sequence[str], now: float) -> Condition:
    """Return whether a room is wanted: one of the masks stands for its name, if any is given, and the rest holds."""
    masks, others = [], []
    for word in words:
        if word[0] == NOT:
            others.append(_not_named(word[1:]))
        elif comparison := COMPARISON.fullmatch(word):
            others.append(_compared(now, *comparison.groups()))
        else:
            masks.append(word)

    def is_wanted(room: Room) -> bool:
        is_named = not masks or any(match_mask(mask, room.name) for mask in masks)
        return is_named and all(holds(room) for holds in others)

    return is_wanted


def _not_named(mask: str) -> Condition:
    return lambda room: not match_mask(mask, room.name)


def _compared(now: float, subject: str, sign: str, limit: str) -> Condition:
    """Return whether a number of a room is below or above a limit; never where it is not known, or that is none."""
    number, is_number = NUMBERS[subject.upper()], limit.isascii() and limit.isdecimal()
    compare, most = operator.lt if sign == "<" else operator.gt, int(limit) if is_number else 0

    def holds(room: Room) -> bool:
        found = number(room, now)
        return is_number and found is not None and compare(found, most)

    return holds


def _minutes_since(time: float | None, now: float) -> float | None:
    return None if time is None else (now - time) / SECONDS_PER_MINUTE


NUMBERS: Final[dict[str, Callable[[Room, float], float | None]]] = {
    "": lambda room, now: room.size,
    "C": lambda room, now: _minutes_since(room.created, now),
    "T": lambda room, now: _minutes_since(room.topic_at, now) if room.topic else None,
}
"""What is compared, by the letter before the sign: the users, and for how many minutes a room or its topic is there."""
