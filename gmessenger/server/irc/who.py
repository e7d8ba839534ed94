"""WHO, with the fields of WHOX (modern.ircdocs.horse, "WHO message"; IRCv3, "WHOX")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from gmessenger.chat.room import Room
from gmessenger.names import ROOM_PREFIX, fold
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.rooms import flush_if_long
from gmessenger.server.irc.user_views import (
    UserView,
    acts_as_operator,
    find_user,
    is_in,
    is_invisible,
    is_operator,
    own_rooms,
    shown_prefix,
)
from gmessenger.server.irc.whois import addresses, idle_seconds
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.masks import is_mask, match_mask
from gmessenger.wire.irc.numerics import ERR_TOOMANYMATCHES, RPL_ENDOFWHO, RPL_WHOREPLY, RPL_WHOSPCRPL

EVERYBODY: Final = frozenset({"*", "0"})
MAX_ROWS: Final = 500
NO_ADDRESS: Final = "255.255.255.255"
MAX_QUERY_TYPE: Final = 3
REALNAME: Final = "r"
"""The last field, a text."""


class WhoQuery(Struct, frozen=True):
    """What a WHO asks for. `fields`: letters of WHOX, none for a plain reply; `query_type` comes back with each row."""

    only_operators: bool = False
    fields: frozenset[str] = frozenset()
    query_type: str = "0"


class WhoRow(Struct, frozen=True):
    """One user of an answer, as found in a room or in none."""

    user: UserView
    room: Room | None = None


def who(handler: IrcHandler, line: Line) -> None:
    """Handle WHO."""
    mask = line.params[0] if line.params and line.params[0] else "*"
    query = parse_query(line.params[1] if len(line.params) > 1 else "")
    for count, row in enumerate(_matches(handler, mask)):
        if count == MAX_ROWS:
            handler.reply(ERR_TOOMANYMATCHES, quote_param(mask))
            break
        if not query.only_operators or is_operator(handler, row.user):
            handler.add(_reply(handler, row, query))
            flush_if_long(handler)
    handler.reply(RPL_ENDOFWHO, quote_param(mask))


def parse_query(text: str) -> WhoQuery:
    """Return what the second parameter asks for: `o%tcuihsnfdlaor,123`, each part of it optional."""
    flags, percent, rest = text.partition("%")
    if not percent:
        return WhoQuery("o" in flags)
    letters, _, token = rest.partition(",")
    is_token = token.isascii() and token.isdecimal() and len(token) <= MAX_QUERY_TYPE
    fields = frozenset(letter for letter in letters if letter in FIELDS)
    return WhoQuery("o" in flags, fields, token if is_token else "0")


def _matches(handler: IrcHandler, mask: str) -> Iterator[WhoRow]:
    if mask[:1] == ROOM_PREFIX:
        return _members(handler, mask)
    if mask in EVERYBODY or is_mask(mask):
        return _present(handler, "*" if mask in EVERYBODY else mask)
    user = find_user(handler, mask)
    return iter([WhoRow(user)] if user is not None else [])


def _members(handler: IrcHandler, name: str) -> Iterator[WhoRow]:
    room = handler.messenger.rooms.get(fold(name))
    if room is None or not room.has_member(handler.require_session()):
        return
    time_slice = TimeSlice()
    for member in room.names:
        time_slice.yield_if_expired()
        user = find_user(handler, member)
        if user is not None:
            yield WhoRow(user, room)


def _present(handler: IrcHandler, mask: str) -> Iterator[WhoRow]:
    """Find who is online by a mask: of the nick, or of all if it has an `!` or an `@`; not who is invisible."""
    router, users, rooms = handler.messenger.router, handler.network.users, own_rooms(handler)
    sees_all, has_parts = acts_as_operator(handler), "!" in mask or "@" in mask
    time_slice = TimeSlice()
    for key, name in sorted(router.names.items()):
        time_slice.yield_if_expired()
        if not match_mask(mask, users.source(name) if has_parts else name):
            continue
        user = find_user(handler, name)
        if user is None or (user.account is not None and handler.messenger.blocks.is_hidden(key, handler.key)):
            continue
        shares_room = key == handler.key or any(is_in(room, key, user.account) for room in rooms)
        if sees_all or shares_room or not is_invisible(handler, key):
            yield WhoRow(user)


def _flags(handler: IrcHandler, row: WhoRow) -> str:
    """Return here or gone, `*` of operators, the prefixes of the role, and `B` of bots."""
    user = row.user
    flags = "G" if user.is_away else "H"
    if is_operator(handler, user):
        flags += "*"
    if row.room is not None:
        flags += shown_prefix(handler, row.room, user.key)
    return f"{flags}B" if handler.network.users.is_bot(user.name) else flags


def _reply(handler: IrcHandler, row: WhoRow, query: WhoQuery) -> Reply:
    if query.fields:
        values = [value(handler, row, query) for letter, value in FIELDS.items() if letter in query.fields]
        realname = values.pop() if REALNAME in query.fields else None
        return handler.numeric(RPL_WHOSPCRPL, *values, text=realname)
    user, users = row.user, handler.network.users
    return handler.numeric(
        RPL_WHOREPLY,
        row.room.name if row.room is not None else "*",
        users.user(user.name),
        users.host(user.name),
        handler.network.server_name,
        user.name,
        _flags(handler, row),
        text=f"0 {users.realname(user.name)}",
    )


def _address(handler: IrcHandler, row: WhoRow) -> str:
    return next(iter(addresses(handler, row.user)), NO_ADDRESS)


FIELDS: Final[dict[str, Callable[[IrcHandler, WhoRow, WhoQuery], str]]] = {
    "t": lambda handler, row, query: query.query_type,
    "c": lambda handler, row, query: row.room.name if row.room is not None else "*",
    "u": lambda handler, row, query: handler.network.users.user(row.user.name),
    "i": lambda handler, row, query: _address(handler, row),
    "h": lambda handler, row, query: handler.network.users.host(row.user.name),
    "s": lambda handler, row, query: handler.network.server_name,
    "n": lambda handler, row, query: row.user.name,
    "f": lambda handler, row, query: _flags(handler, row),
    "d": lambda handler, row, query: "0",
    "l": lambda handler, row, query: str(idle_seconds(handler, row.user) or 0),
    "a": lambda handler, row, query: row.user.account.name if row.user.account is not None else "0",
    "o": lambda handler, row, query: "n/a",
    REALNAME: lambda handler, row, query: handler.network.users.realname(row.user.name),
}
"""The fields of WHOX, in the order in which they are answered."""
