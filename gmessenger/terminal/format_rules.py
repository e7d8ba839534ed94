"""Format rules and roles of rooms as text for a person; all text is sanitized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gmessenger.client import RoleChanged, RulesChanged
from gmessenger.room_rules import OPEN_ROOM, ROOM_RULES, RuleValue, changed_rules, format_rule_value, with_changes
from gmessenger.sanitize import sanitize
from gmessenger.terminal.i18n import N_, _, as_notice, ngettext

RULE_SENTENCES: Final[Mapping[tuple[str, RuleValue], str]] = {
    ("invited", True): N_("only who is invited can join"),
    ("invited", False): N_("all users can join"),
    ("hidden", True): N_("the room is not in the list of rooms"),
    ("hidden", False): N_("the room is in the list of rooms"),
    ("moderated", True): N_("only speakers, moderators and owners can write"),
    ("moderated", False): N_("all members can write"),
    ("topic", "all"): N_("all accounts in the room can set the topic"),
    ("topic", "moderators"): N_("only moderators and owners can set the topic"),
    ("guests", True): N_("guests can join, too"),
    ("guests", False): N_("only accounts can join"),
    ("history", "all"): N_("who joins can read everything that was sent before"),
    ("history", "joined"): N_("who joins can read what is sent from then on"),
    ("outside", True): N_("who is not in the room can write to it, too"),
    ("outside", False): N_("only who is in the room can write to it"),
}
"""What each value of a rule means, but for `most`, which is a number, and `key`, which is a text."""
ROLE_NAMES: Final = {
    "owner": N_("owner"),
    "moderator": N_("moderator"),
    "speaker": N_("speaker"),
    "member": N_("member"),
}


def rule_sentence(key: str, value: Any) -> str:
    """Say what a value of a rule means; empty for a rule of a later release."""
    if key == "most" and isinstance(value, int):
        return (
            ngettext("the room can have {count} member", "the room can have {count} members", value)
            if value
            else _("the room can have as many members as the server allows")
        )
    if key == "key":
        return _("who joins must give the key") if value else _("no key is needed to join")
    return _(RULE_SENTENCES.get((key, value), ""))


def role_name(role: str) -> str:
    """Return the name of a role in the user's language."""
    return _(ROLE_NAMES[role]) if role in ROLE_NAMES else sanitize(role)


def rules(room: str, values: Mapping[str, Any]) -> str:
    """Format all rules of a room, one on each line."""
    lines = [as_notice(_("the rules of {room}; owners set them with /rule KEY VALUE:", room=sanitize(room)))]
    return "\n".join([*lines, *_rule_lines(values)])


def _rule_lines(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        shown = f"{sanitize(key)} {sanitize(format_rule_value(value))}"
        yield f"   {shown:<20}  {rule_sentence(key, value)}".rstrip()


def special_rules(values: Mapping[str, Any]) -> str | None:
    """Say in one line which rules of a room differ from those of an open room; None if none does."""
    known = {key: value for key, value in values.items() if key in ROOM_RULES}
    changes = changed_rules(OPEN_ROOM, with_changes(OPEN_ROOM, known))
    sentences = filter(None, (rule_sentence(key, value) for key, value in changes.items()))
    return "; ".join(sentences) or None


def made(room: str, *, is_private: bool) -> str:
    """Say that the user has made a room."""
    if is_private:
        return as_notice(
            _("you have made {room}, which only who is invited can find and join: /invite NAME", room=sanitize(room))
        )
    return as_notice(_("you have made {room}; /rules lists its rules, /rule sets them", room=sanitize(room)))


def was_there(room: str, *, is_private: bool) -> str:
    """Say that the room which was to be made exists already, and is the user's own."""
    name = sanitize(room)
    if is_private:
        return as_notice(_("{room} was there already, and is yours: now only who is invited can find it", room=name))
    return as_notice(_("{room} was there already, and is yours; its rules are as they were", room=name))


def rules_changed(event: RulesChanged, by: str) -> str:
    """Say who has set which rules of a room; `by` is sanitized."""
    changes = "; ".join(
        rule_sentence(key, value) or f"{sanitize(key)} {sanitize(str(value))}" for key, value in event.changes.items()
    )
    room = sanitize(event.room)
    return as_notice(_("{name} has set the rules of {room}: {rules}", name=by, room=room, rules=changes))


def role_changed(event: RoleChanged, by: str) -> str:
    """Say which role a member has now; `by` is sanitized, and empty if it fell to the member."""
    values = {"name": sanitize(event.name), "room": sanitize(event.room), "role": role_name(event.role)}
    if by:
        return as_notice(_("{name} has the role {role} in {room} now, given by {by}", **values, by=by))
    return as_notice(_("{name} has the role {role} in {room} now, as the last owner has gone", **values))


def role_given(name: str, role: str, room: str) -> str:
    """Say that the user has given a member a role."""
    return as_notice(
        _("{name} has the role {role} in {room} now", name=sanitize(name), role=role_name(role), room=sanitize(room))
    )
