"""MODE of rooms: shows and changes their rules, the roles of those in them, and who is kept out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct

from gmessenger.chat.room import Room
from gmessenger.chat.room_access import MaskKind, RoomSanction, RoomSanctionKind
from gmessenger.errors import BadRequest, Forbidden, NotFound, NotOwner
from gmessenger.names import fold
from gmessenger.room_roles import ROLE_RANKS, RoomRole
from gmessenger.room_rules import MAX_MOST, OPEN_ROOM, RuleValue, with_changes
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.modes import (
    FLAG_RULES,
    MASK_MODES,
    ROLE_LETTERS,
    VALUE_RULES,
    parse_mask,
    room_modes,
    show_mask,
)
from gmessenger.server.irc.network import MAX_MODES
from gmessenger.server.irc.rooms import (
    find_changed_room,
    find_visible_room,
    make_change,
    refusing,
    refusing_user,
)
from gmessenger.server.irc.user_views import acts_as_operator
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.masks import ANYTHING, is_mask, normalize_mask, split_source
from gmessenger.wire.irc.numerics import (
    ERR_BANLISTFULL,
    ERR_INVALIDMODEPARAM,
    ERR_UNKNOWNMODE,
    RPL_BANLIST,
    RPL_CHANNELCREATED,
    RPL_CHANNELMODEIS,
    RPL_ENDOFBANLIST,
    RPL_ENDOFEXCEPTLIST,
    RPL_ENDOFINVEXLIST,
    RPL_EXCEPTLIST,
    RPL_INVEXLIST,
    Numeric,
)

LISTS: Final[dict[str, tuple[Numeric, Numeric]]] = {
    "b": (RPL_BANLIST, RPL_ENDOFBANLIST),
    "e": (RPL_EXCEPTLIST, RPL_ENDOFEXCEPTLIST),
    "I": (RPL_INVEXLIST, RPL_ENDOFINVEXLIST),
}
"""Modes that are lists of masks: the numerics of an entry and of the end."""
SANCTION_KINDS: Final[dict[MaskKind, RoomSanctionKind]] = {"ban": "shut_out", "silenced": "silence"}
"""What is imposed on one name and shown as a mask of that kind."""
ROLES: Final[dict[str, RoomRole]] = {letter: role for role, letter in ROLE_LETTERS.items()}
ROLES_OF_PASSING_ROOMS: Final = ROLES | {"o": "owner"}
"""Roles by the letters of their modes; in a passing room `o` is the highest role there is."""
NO_PARAMETER: Final = "*"


class ModeChange(Struct, frozen=True):
    """One letter of a MODE command. `sign`: `+` or `-`. `value`: its parameter, None if there is none."""

    sign: str
    letter: str
    value: str | None = None

    @property
    def is_set(self) -> bool:
        """Whether the mode is set, and not unset."""
        return self.sign == "+"


def change_room_modes(handler: IrcHandler, line: Line) -> None:
    """Handle MODE of a room: show its modes, show one of its lists, or change modes."""
    name = line.params[0]
    with refusing(handler, "MODE", name):
        is_operator = acts_as_operator(handler)
        room = handler.messenger.rooms.find(name) if is_operator else find_visible_room(handler, name)
        if len(line.params) == 1:
            _show_modes(handler, room)
            return
        changes = list(parse_changes(line.params[1:]))
        for letter in dict.fromkeys(change.letter for change in changes if _is_question(change)):
            _show_list(handler, room, letter)
        unknown = dict.fromkeys(change.letter for change in changes if not is_known(change.letter))
        for letter in list(unknown)[:MAX_MODES]:
            handler.reply(ERR_UNKNOWNMODE, quote_param(letter))
        changes = [change for change in changes if change.letter not in unknown and not _is_question(change)]
        if changes:
            _change_modes(handler, find_changed_room(handler, name), changes)


def _show_modes(handler: IrcHandler, room: Room) -> None:
    is_member = room.has_member(handler.require_session())
    handler.reply(RPL_CHANNELMODEIS, room.name, *room_modes(room, with_key=is_member))
    if room.created is not None:
        handler.reply(RPL_CHANNELCREATED, room.name, str(int(room.created)))


def parse_changes(params: Sequence[str]) -> Iterator[ModeChange]:
    """Yield the changes of a command: `+ov-k hank dale *`. Beyond `MAX_MODES` parameters the rest is left out."""
    sign, values = "+", list(params[1:])
    left = MAX_MODES
    for letter in params[0] if params else "":
        if letter in "+-":
            sign = letter
            continue
        has_value = letter in ROLES or letter in LISTS or letter == "k" or (letter == "l" and sign == "+")
        change = ModeChange(sign, letter, values.pop(0) if has_value and values else None)
        if has_value and not _is_question(change):
            if not left:
                return
            left -= 1
        yield change


def _is_question(change: ModeChange) -> bool:
    return change.letter in LISTS and not change.value


def is_known(letter: str) -> bool:
    """Return whether there is a mode of that letter."""
    return any(letter in each for each in (ROLES, LISTS, FLAG_RULES, VALUE_RULES))


def _change_modes(handler: IrcHandler, room: Room, changes: list[ModeChange]) -> None:
    """Change the rules together, then everything else in order, up to what the client may not do."""
    handler.charge(sum(change.value is not None for change in changes))
    rules: dict[str, RuleValue] = {}
    for change in changes:
        rules |= _wanted_rule(handler, room, change)
    rules = {rule: value for rule, value in rules.items() if getattr(room.rules, rule) != value}
    session, messenger = handler.require_session(), handler.messenger
    if rules:
        make_change(handler, partial(messenger.room_service.rules, session, room.name, rules))
    for change in changes:
        if change.letter in ROLES:
            _change_role(handler, room, change)
        elif change.letter in LISTS:
            _change_mask(handler, room, change)


# -- rules


def _wanted_rule(handler: IrcHandler, room: Room, change: ModeChange) -> dict[str, RuleValue]:
    """Return the rule that a change sets, if it is one of a rule; answer what is wrong with its parameter."""
    if change.letter in FLAG_RULES:
        rule, value, unset = FLAG_RULES[change.letter]
        return {rule: value if change.is_set else unset}
    if change.letter not in VALUE_RULES:
        return {}
    rule, unset = VALUE_RULES[change.letter]
    if not change.is_set:
        return {rule: unset}
    try:
        return {rule: PARSERS[change.letter](change.value or "")}
    except BadRequest as error:
        _refuse_value(handler, room, change, str(error))
        return {}


def _parse_limit(value: str) -> int:
    limit = int(value) if value.isascii() and value.isdecimal() and len(value) <= len(str(MAX_MOST)) else 0
    if not 0 < limit <= MAX_MOST:
        raise BadRequest(f"A limit is a number from 1 to {MAX_MOST}.")
    return limit


def _parse_key(value: str) -> str:
    if not value:
        raise BadRequest("A key has at least one character.")
    return with_changes(OPEN_ROOM, {"key": value}).key


PARSERS: Final[dict[str, Callable[[str], RuleValue]]] = {"k": _parse_key, "l": _parse_limit}
"""What the parameters of modes say. Raise `BadRequest`."""


def _refuse_value(handler: IrcHandler, room: Room, change: ModeChange, reason: str) -> None:
    shown = NO_PARAMETER if change.letter == "k" else quote_param(change.value or "")
    handler.reply(ERR_INVALIDMODEPARAM, room.name, change.letter, shown, text=reason)


# -- roles


def _change_role(handler: IrcHandler, room: Room, change: ModeChange) -> None:
    if not change.value:
        _refuse_value(handler, room, change, "Whose role?")
        return
    user, session = change.value, handler.require_session()
    with refusing_user(handler, room.name, user):
        if not room.has_name(fold(user)):
            raise NotFound
        role = wanted_role(change, room.role_of_user(fold(user)), is_passing=room.is_passing)
        if role is not None:
            make_change(handler, partial(handler.messenger.room_service.change_role, session, room.name, user, role))


def wanted_role(change: ModeChange, current: RoomRole, *, is_passing: bool) -> RoomRole | None:
    """Return the role that a change gives who has another; None where it changes nothing.

    Who loses `q` is a moderator then, as its prefixes said; who loses `o` or `v` has no role any more. In a passing
    room who has either of the higher roles is an operator. Raises `NotOwner` for who has a higher role than is taken.
    """
    role = (ROLES_OF_PASSING_ROOMS if is_passing else ROLES)[change.letter]
    if change.is_set:
        return role if ROLE_RANKS[current] < ROLE_RANKS[role] else None
    if is_passing and role == "owner" and current == "moderator":
        return "member"
    if ROLE_RANKS[current] > ROLE_RANKS[role]:
        raise NotOwner("They have a higher role than that.")
    if current != role:
        return None
    return "moderator" if role == "owner" and not is_passing else "member"


# -- lists


def _show_list(handler: IrcHandler, room: Room, letter: str) -> None:
    entry, end = LISTS[letter]
    for mask, by, since in sorted(_entries(handler, room, letter), key=lambda each: each[2]):
        handler.reply(entry, room.name, mask, handler.network.users.source(by), str(int(since)))
    handler.reply(end, room.name)


def _entries(handler: IrcHandler, room: Room, letter: str) -> Iterator[tuple[str, str, float]]:
    """Yield the entries of a list: masks, by whom, and since when in Unix seconds; names that are shut out, too."""
    for kind, (other_letter, start) in MASK_MODES.items():
        if other_letter == letter:
            for mask in room.masks(kind):
                yield show_mask(kind, mask.mask)[1], mask.by, mask.since
            for found in _sanctions(handler, room, SANCTION_KINDS.get(kind)):
                yield start + normalize_mask(found.name), found.by, found.since


def _sanctions(handler: IrcHandler, room: Room, kind: RoomSanctionKind | None) -> Iterator[RoomSanction]:
    for each, target in list(room.access.sanctions):
        if each == kind and (found := room.find_sanction(each, target, handler.now())) is not None:
            yield found


def single_name(mask: str) -> str | None:
    """Return the only name that a mask stands for, whatever its user and host; None if it stands for others, too."""
    nick, user, host = split_source(mask)
    return nick if not is_mask(nick) and (user, host) == (ANYTHING, ANYTHING) else None


def _change_mask(handler: IrcHandler, room: Room, change: ModeChange) -> None:
    """Add a mask to a list, or remove it. A ban of one name shuts it out, if it was ever seen, as in all protocols."""
    try:
        kind, mask = parse_mask(change.letter, change.value or "")
        present = next((each.mask for each in room.masks(kind) if each.mask.lower() == mask.lower()), None)
        name = _sanctioned_name(handler, room, kind, mask)
        if change.is_set and present is None and name is None:
            _add_mask(handler, room, kind, mask)
        elif not change.is_set:
            _remove_mask(handler, room, kind, present, name)
    except BadRequest as error:
        _refuse_value(handler, room, change, str(error))
    except Forbidden as error:
        if type(error) is not Forbidden:  # by who may not change the list
            raise
        handler.reply(ERR_BANLISTFULL, room.name, change.letter, text=str(error))


def _sanctioned_name(handler: IrcHandler, room: Room, kind: MaskKind, mask: str) -> str | None:
    """Return the only name that a mask stands for, if on that is imposed what is shown as a mask of this kind."""
    sanction, name = SANCTION_KINDS.get(kind), single_name(mask)
    if sanction is None or name is None or room.find_sanction(sanction, fold(name), handler.now()) is None:
        return None
    return name


def _add_mask(handler: IrcHandler, room: Room, kind: MaskKind, mask: str) -> None:
    session, messenger = handler.require_session(), handler.messenger
    name = single_name(mask) if kind == "ban" else None
    if name is not None:
        with suppress(NotFound, BadRequest):  # nobody of that name was ever here, or it is one's own
            make_change(handler, partial(messenger.room_sanctions.shut_out, session, room.name, name, None, ""))
            return
    make_change(handler, partial(messenger.room_masks.add_mask, session, room.name, kind, mask))


def _remove_mask(handler: IrcHandler, room: Room, kind: MaskKind, mask: str | None, name: str | None) -> None:
    """Remove a mask that is in a list, and lift what is imposed on a name."""
    session, messenger = handler.require_session(), handler.messenger
    if mask is not None:
        make_change(handler, partial(messenger.room_masks.remove_mask, session, room.name, kind, mask))
    if name is not None:
        sanctions = messenger.room_sanctions
        lift = sanctions.let_in if kind == "ban" else sanctions.unsilence
        make_change(handler, partial(lift, session, room.name, name))
