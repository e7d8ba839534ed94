"""Modes of rooms: the letters of roles and rules. One table for what is shown and for what may be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gmessenger.chat.room import Room
from gmessenger.chat.room_access import ACCOUNT_MASK, MaskKind
from gmessenger.errors import BadRequest
from gmessenger.names import ROOM_PREFIX
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RuleValue
from gmessenger.wire.irc.masks import normalize_mask, split_source

ROLE_LETTERS: Final[dict[RoomRole, str]] = {"owner": "q", "moderator": "o", "speaker": "v"}
ROLE_PREFIXES: Final[dict[RoomRole, str]] = {"owner": "~", "moderator": "@", "speaker": "+"}
"""The roles that IRC shows, highest first."""
PREFIXED_ROLES: Final[dict[str, RoomRole]] = {prefix: role for role, prefix in ROLE_PREFIXES.items()}
FLAG_RULES: Final[dict[str, tuple[str, RuleValue, RuleValue]]] = {
    "i": ("invited", True, False),
    "m": ("moderated", True, False),
    "n": ("outside", False, True),
    "s": ("hidden", True, False),
    "t": ("topic", "moderators", "all"),
    "R": ("guests", False, True),
}
"""Modes without a parameter: the rule, and its values where the mode is set and where it is not."""
VALUE_RULES: Final[dict[str, tuple[str, RuleValue]]] = {"k": ("key", ""), "l": ("most", 0)}
"""Modes with a parameter: the rule, and its value where the mode is not set."""
MUTE: Final = "m:"
OF_ACCOUNT: Final = "a:"
MASK_MODES: Final[dict[MaskKind, tuple[str, str]]] = {
    "ban": ("b", ""),
    "spared": ("e", ""),
    "welcome": ("I", ""),
    "silenced": ("b", MUTE),
    "heard": ("e", MUTE),
}
"""Modes that are lists of masks, by kind: the letter, and what begins the masks of that kind in the list."""
KINDS_BY_MODE: Final[dict[tuple[str, str], MaskKind]] = {mode: kind for kind, mode in MASK_MODES.items()}


def split_target(target: str) -> tuple[str, RoomRole]:
    """Return a target of messages, and the least role that it is for: `@#room` is for moderators and above."""
    role = PREFIXED_ROLES.get(target[:1]) if target[1:2] == ROOM_PREFIX else None
    return (target, "member") if role is None else (target[1:], role)


def shown_role(role: RoomRole, *, is_passing: bool) -> RoomRole:
    """Return a role as IRC shows it: who owns a passing room is an operator of it, as in any other network."""
    return "moderator" if is_passing and role == "owner" else role


def role_prefix(role: RoomRole, *, all_prefixes: bool) -> str:
    """Return the prefix of a role; with `all_prefixes` those of the lower roles follow, whose rights it has."""
    if role not in ROLE_PREFIXES:
        return ""
    prefixes = "".join(ROLE_PREFIXES.values())
    found = prefixes[list(ROLE_PREFIXES).index(role) :]
    return found if all_prefixes else found[0]


def room_modes(room: Room, *, with_key: bool) -> list[str]:
    """Return the parameters of numeric 324: the letters, then their values. A key is told to members only."""
    letters, values = "", []
    rules = room.rules
    for letter, (rule, value, _) in FLAG_RULES.items():
        letters += letter if getattr(rules, rule) == value else ""
    for letter, (rule, unset) in VALUE_RULES.items():
        if (found := getattr(rules, rule, unset)) != unset:
            letters += letter
            values.append(str(found) if letter != "k" or with_key else "*")
    return [
        f"+{''.join(sorted(letters[: len(letters) - len(values)]))}{letters[len(letters) - len(values) :]}",
        *values,
    ]


def rule_changes(changes: Mapping[str, RuleValue]) -> Iterator[tuple[str, str, str | None]]:
    """Yield sign, letter and parameter of the modes that show changes of rules."""
    for letter, (rule, value, _) in FLAG_RULES.items():
        if rule in changes:
            yield ("+" if changes[rule] == value else "-", letter, None)
    for letter, (rule, unset) in VALUE_RULES.items():
        if rule in changes:
            is_set = changes[rule] != unset
            yield ("+" if is_set else "-", letter, str(changes[rule]) if is_set else ("*" if letter == "k" else None))


def role_changes(role: RoomRole, former: RoomRole, *, all_prefixes: bool) -> Iterator[tuple[str, str]]:
    """Yield sign and letter of the modes that show that a member has another role.

    They turn the prefixes that NAMES shows for the former role into those that it shows for the new one.
    """
    before, after = (role_prefix(each, all_prefixes=all_prefixes) for each in (former, role))
    letters = {ROLE_PREFIXES[role]: letter for role, letter in ROLE_LETTERS.items()}
    yield from (("-", letters[prefix]) for prefix in before if prefix not in after)
    yield from (("+", letters[prefix]) for prefix in after if prefix not in before)


def show_mask(kind: MaskKind, mask: str) -> tuple[str, str]:
    """Return the letter of the list that a mask is in, and how it is shown there."""
    letter, start = MASK_MODES[kind]
    if mask.startswith(ACCOUNT_MASK):
        return letter, f"{start}{OF_ACCOUNT}{mask.removeprefix(ACCOUNT_MASK)}"
    return letter, start + mask


def parse_mask(letter: str, text: str) -> tuple[MaskKind, str]:
    """Return which kind of mask a list has under that letter, and the mask, with all its parts.

    Raises `BadRequest` for what other servers may know.
    """
    start = MUTE if text.startswith(MUTE) and (letter, MUTE) in KINDS_BY_MODE else ""
    kind, rest = KINDS_BY_MODE[letter, start], text.removeprefix(start)
    if rest.startswith(OF_ACCOUNT) and rest != OF_ACCOUNT:
        return kind, ACCOUNT_MASK + rest.removeprefix(OF_ACCOUNT)
    mask = normalize_mask(rest)
    if not rest or ":" in split_source(mask)[0]:
        raise BadRequest(f"A mask is nick!user@host or {OF_ACCOUNT}account; in +b and +e it may begin with {MUTE}")
    return kind, mask


def join_changes(changes: list[tuple[str, str, str | None]]) -> list[str]:
    """Return changes as the parameters of a MODE line: `+o-v`, then the values."""
    text, last = "", ""
    for sign, letter, _ in changes:
        text += letter if sign == last else sign + letter
        last = sign
    return [text, *[value for _, _, value in changes if value is not None]]


def split_changes(changes: list[tuple[str, str, str | None]], room: int) -> Iterator[list[str]]:
    """Yield changes as the parameters of MODE lines: one line, or one for each where the values do not fit `room`."""
    params = join_changes(changes)
    if len(" ".join(params).encode()) <= room:
        yield params
    else:
        yield from (join_changes([change]) for change in changes)
