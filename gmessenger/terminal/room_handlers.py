"""Command handlers of rooms that belong to owners: making them, rules, roles, and who is let in or kept out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.log import traced
from gmessenger.room_roles import ROOM_ROLES, RoomRole
from gmessenger.room_rules import ROOM_RULES, RuleValue, format_rule_value, parse_rule_value
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_room_access, format_rules
from gmessenger.terminal.handler_base import HandlerBase, room_name
from gmessenger.terminal.i18n import N_, _, as_notice

SECONDS_PER_MINUTE: Final = 60.0
PRIVATE_RULES: Final[Mapping[str, RuleValue]] = {"invited": True, "hidden": True}
PRIVATE_WORD: Final = N_("private")


class RoomHandlers(HandlerBase):
    """The handlers of commands for the owners and moderators of a room; the room is the recipient."""

    @abstractmethod
    def join_room(self, room: str, rules: Mapping[str, RuleValue] | None = None, key: str | None = None) -> str:
        """Join a room, and make it the recipient; return what to show.

        rules: of a room that is to be made; None to join any room. key: of a room that has one.
        """

    @traced("arguments")
    def make(self, arguments: str) -> None:
        """Make a room: open, or private."""
        room, _sep, kind = arguments.partition(" ")
        if kind.strip().casefold() not in ("", PRIVATE_WORD, _(PRIVATE_WORD)):
            return self.refuse(_("write it as in /make #room, or /make #room private"))
        rules = PRIVATE_RULES if kind.strip() else {}
        return self._show_result(lambda: self.join_room(room_name(room), rules))

    @traced("name")
    def remove(self, name: str) -> None:
        """Remove a member from the room that is the recipient."""
        self._with_room(lambda room: self._remove(room, name))

    def _remove(self, room: str, name: str) -> str:
        self._client.remove_member(room, name)
        return as_notice(_("{name} is no longer in {room}", name=sanitize(name), room=sanitize(room)))

    @traced("name")
    def invite(self, name: str) -> None:
        """Invite a user to the room that is the recipient."""
        self._with_room(lambda room: self._invite(room, name))

    def _invite(self, room: str, name: str) -> str:
        self._client.invite(room, name)
        return as_notice(_("{name} is invited to {room}", name=sanitize(name), room=sanitize(room)))

    @traced("name")
    def uninvite(self, name: str) -> None:
        """Take an invitation to the room back."""
        self._with_room(lambda room: self._uninvite(room, name))

    def _uninvite(self, room: str, name: str) -> str:
        self._client.uninvite(room, name)
        return as_notice(_("{name} is no longer invited to {room}", name=sanitize(name), room=sanitize(room)))

    @traced("name", "minutes")
    def shut_out(self, name: str, reason: str, minutes: int | None) -> None:
        """Remove a name from the room and keep it out; for good if `minutes` is None."""
        self._with_room(lambda room: self._shut_out(room, name, reason, minutes))

    def _shut_out(self, room: str, name: str, reason: str, minutes: int | None) -> str:
        self._client.shut_out(room, name, _seconds(minutes), reason)
        return as_notice(_("{name} is kept out of {room}", name=sanitize(name), room=sanitize(room)))

    @traced("name")
    def let_in(self, name: str) -> None:
        """Let a name join the room again."""
        self._with_room(lambda room: self._let_in(room, name))

    def _let_in(self, room: str, name: str) -> str:
        self._client.let_in(room, name)
        return as_notice(_("{name} may join {room} again", name=sanitize(name), room=sanitize(room)))

    @traced("name", "minutes")
    def silence(self, name: str, reason: str, minutes: int | None) -> None:
        """Have what a name writes in the room refused; for good if `minutes` is None."""
        self._with_room(lambda room: self._silence(room, name, reason, minutes))

    def _silence(self, room: str, name: str, reason: str, minutes: int | None) -> str:
        self._client.silence(room, name, _seconds(minutes), reason)
        return as_notice(_("{name} is silenced in {room}", name=sanitize(name), room=sanitize(room)))

    @traced("name")
    def unsilence(self, name: str) -> None:
        """Let a name write in the room again."""
        self._with_room(lambda room: self._unsilence(room, name))

    def _unsilence(self, room: str, name: str) -> str:
        self._client.unsilence(room, name)
        return as_notice(_("{name} may write in {room} again", name=sanitize(name), room=sanitize(room)))

    @traced("room")
    def access(self, room: str) -> None:
        """List who is invited to a room, kept out of it, and silenced there; by default the recipient."""
        self._with_room(self._access, room)

    def _access(self, room: str) -> str:
        client = self._client
        return format_room_access.access(room, client.invitations(room), client.shut_outs(room), client.silences(room))

    @traced("arguments")
    def role(self, arguments: str) -> None:
        """Give a member a role."""
        name, _sep, typed = arguments.partition(" ")
        names = {format_rules.role_name(role).casefold(): role for role in ROOM_ROLES}
        role = (names | {role: role for role in ROOM_ROLES}).get(typed.strip().casefold())
        if role is None:
            return self.refuse(_role_hint(name))
        return self._with_room(lambda room: self._set_role(room, name, role))

    def _set_role(self, room: str, name: str, role: RoomRole) -> str:
        self._client.set_role(room, name, role)
        return format_rules.role_given(name, role, room)

    @traced("room")
    def rules(self, room: str) -> None:
        """List the rules of a room, by default of the recipient."""
        self._with_room(lambda name: format_rules.rules(name, self._client.rules(name)), room)

    @traced()
    def rule(self, arguments: str) -> None:
        """Set a rule of the room that is the recipient."""
        key, _sep, typed = arguments.partition(" ")
        value = _parse_value(key.casefold(), typed.strip())
        if value is None:
            return self.refuse(_rule_hint(key.casefold()))
        return self._with_room(lambda room: self._set_rule(room, key.casefold(), value))

    def _set_rule(self, room: str, key: str, value: RuleValue) -> str:
        self._client.set_rules(room, {key: value})
        sentence = format_rules.rule_sentence(key, value)
        return as_notice(_("{room}: {rule}", room=sanitize(room), rule=sentence))


def made_notice(room: str, rules: Mapping[str, RuleValue] | None, members: Sequence[str], last_seq: int) -> str:
    """Say that the user has made a room, or that it was there; empty if it was only to be joined.

    The server makes a room, and sets the rules of one's own, by the same request. Who has made the room is alone among
    its members, and nothing was said there: the last seq is 0.
    """
    if rules is None:
        return ""
    if last_seq or len(members) > 1:
        return format_rules.was_there(room, is_private=bool(rules))
    return format_rules.made(room, is_private=bool(rules))


def _seconds(minutes: int | None) -> float | None:
    return minutes * SECONDS_PER_MINUTE if minutes is not None else None


def _role_hint(name: str) -> str:
    roles = ", ".join(map(format_rules.role_name, reversed(ROOM_ROLES)))
    return _("write it as in /role {name} moderator; the roles are: {roles}", name=sanitize(name), roles=roles)


def _parse_value(key: str, typed: str) -> RuleValue | None:
    """Return the value of a rule as it was typed; None if there is no such rule or value."""
    spec = ROOM_RULES.get(key)
    if spec is None:
        return None
    if spec.is_text:
        return typed  # the server says what it takes
    word = typed.casefold()
    value = parse_rule_value(key, {_("yes"): "yes", _("no"): "no"}.get(word, word))
    is_valid = value in spec.choices if spec.choices else isinstance(value, int)
    return value if is_valid else None


def _rule_hint(key: str) -> str:
    """Say which rules there are, or which values a rule has."""
    spec = ROOM_RULES.get(key)
    if spec is None:
        return _("there is no such rule; the rules are: {rules}", rules=", ".join(ROOM_RULES))
    if not spec.choices:
        return _("the rule {key} is a number; 0 is the server's limit", key=key)
    values = ", ".join(map(format_rule_value, spec.choices))
    return _("the rule {key} is one of: {values}", key=key, values=values)
