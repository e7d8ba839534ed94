"""A room as docs/protocol.md describes it: a small model, against which the server is tested.

For a request, `RoomModel.refusals` returns all errors that may be the answer; none: it must be 200, and `apply` changes
the model and returns the events that others are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

ROLES: Final = ("member", "speaker", "moderator", "owner")
GIVEN_BY: Final = {"member": "moderator", "speaker": "moderator", "moderator": "owner", "owner": "owner"}
OPEN_RULES: Final[dict[str, Any]] = {
    "invited": False,
    "hidden": False,
    "moderated": False,
    "topic": "all",
    "guests": True,
    "history": "joined",
    "most": 0,
}
Fields: TypeAlias = dict[str, Any]
Event: TypeAlias = tuple[str, str, str | None]
"""Action, the user that it is about, and who has done it."""


@dataclass
class RoomModel:
    """One room, who there is besides, and what they may do.

    `members`: accounts, those who joined first first. `invitations`: by name, who has invited it. `operators`: accounts
    that are operators of the server. `guests`: names of guests that are here.
    """

    accounts: set[str]
    guests: set[str]
    operators: set[str] = field(default_factory=set)
    exists: bool = False
    rules: Fields = field(default_factory=lambda: dict(OPEN_RULES))
    members: list[str] = field(default_factory=list)
    guests_in: set[str] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    shut_out: set[str] = field(default_factory=set)
    silenced: set[str] = field(default_factory=set)
    is_closed: bool = False
    events: list[tuple[str, Event]] = field(default_factory=list)
    """Who is sent what by the last request."""

    @property
    def people(self) -> list[str]:
        return [*self.members, *sorted(self.guests_in)]

    def is_in(self, name: str) -> bool:
        return name in self.members or name in self.guests_in

    def rank(self, name: str) -> int:
        return ROLES.index(self.roles.get(name, "member"))

    def has(self, name: str, least: str) -> bool:
        return self.rank(name) >= ROLES.index(least)

    def is_known(self, name: str) -> bool:
        is_private = self.rules["invited"] and self.rules["hidden"]
        return self.exists and (not is_private or self.is_in(name) or name in self.invitations)

    def may_act_on(self, actor: str, user: str) -> bool:
        return self.has(actor, "moderator") and self.rank(actor) > self.rank(user)

    def refusals(self, action: str, actor: str, fields: Fields) -> set[str]:
        """Return the errors that may answer a request; empty if it is answered 200."""
        is_operator = actor in self.operators and action not in IN_ROOM_ONLY
        if not (self.exists if is_operator else self.is_known(actor)):
            if action == "join" and not self.exists and actor in self.accounts:
                return set()
            is_early = actor in self.guests and action in FOR_ACCOUNTS
            return (
                {"operators_only"}
                if action in OF_OPERATORS and not is_operator
                else ({"no_such_room", "accounts_only"} if is_early else {"no_such_room"})
            )
        found = set(REFUSALS[action](self, actor, fields))
        return found | ({"not_member"} if action in FOR_MEMBERS and not self.is_in(actor) else set())

    def tell(self, event: Event, *besides: str, without: str = "") -> None:
        """Send an event to all who are in the room, and to `besides`, but not to `without`."""
        self.events += [(name, event) for name in {*self.people, *besides} - {without}]

    def remove(self, user: str, by: str | None, actor: str) -> None:
        """Remove a member; if it was the last owner, another one follows."""
        self.tell(("leave", user, by), without=actor)
        self.guests_in.discard(user)
        if user not in self.members:
            return
        self.members.remove(user)
        was_owner = self.roles.pop(user, "") == "owner"
        if was_owner and "owner" not in self.roles.values() and self.members:
            heir = next((name for name in self.members if self.roles.get(name) == "moderator"), self.members[0])
            self.roles[heir] = "owner"
            self.tell(("role", heir, None))

    def set_rules(self, actor: str, changes: Fields) -> None:
        if any(self.rules[key] != value for key, value in changes.items()):
            self.tell(("rule", actor, None), without=actor)
        self.rules.update(changes)

    def lift(self, action: str, names: set[str], user: str, actor: str) -> None:
        if user in names:
            names.discard(user)
            self.tell((action, user, actor), without=actor)

    def apply(self, action: str, actor: str, fields: Fields) -> list[tuple[str, Event]]:
        """Do what a request asks that is not refused. Returns who is sent what."""
        self.events = []
        EFFECTS.get(action, lambda *_: None)(self, actor, fields)
        return self.events

    def forget(self, account: str) -> list[tuple[str, Event]]:
        """Delete an account; return who is sent what: not that it has left."""
        self.events = []
        self.remove(account, None, account)
        self.events = [each for each in self.events if each[1][0] != "leave"]
        self.accounts.discard(account)
        self.operators.discard(account)
        self.invitations.pop(account, None)
        self.shut_out.discard(account)
        self.silenced.discard(account)
        return self.events

    def state(self) -> Fields:
        """Return what a node knows of the room."""
        return {
            "members": sorted(self.members),
            "guests": sorted(self.guests_in),
            "roles": dict(self.roles),
            "rules": dict(self.rules),
            "invitations": dict(self.invitations),
            "shut_out": set(self.shut_out),
            "silenced": set(self.silenced),
            "closed": self.is_closed,
        }


# What is refused, by action.


def refused_join(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    if fields.get("rules") is not None and not room.has(actor, "owner"):
        yield "not_owner"
    if room.is_in(actor):
        return
    is_invited = actor in room.invitations
    if room.is_closed:
        yield "room_closed"
    if actor in room.shut_out and not is_invited:
        yield "shut_out"
    if room.rules["invited"] and not is_invited:
        yield "invited_only"
    if actor in room.guests and not room.rules["guests"]:
        yield "accounts_only"
    if 0 < room.rules["most"] <= len(room.people) and not is_invited:
        yield "room_full"


def refused_leave(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    if not room.is_in(actor) and actor not in room.invitations:
        yield "not_member"


def refused_invite(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    user = fields["user"]
    if actor in room.guests:
        yield "accounts_only"
    if room.is_closed:
        yield "room_closed"
    if (room.rules["invited"] or user in room.shut_out) and not room.has(actor, "moderator"):
        yield "not_owner"
    if room.is_in(user):
        yield "already_member"
    if user not in room.accounts | room.guests:
        yield "never_seen"
    if user in room.guests and not room.rules["guests"]:
        yield "accounts_only"


def refused_uninvite(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    by = room.invitations.get(fields["user"])
    if by is None:
        yield "never_seen"
    if by != actor and not room.has(actor, "moderator"):
        yield "not_owner"


def refused_role(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    user, role = fields["user"], fields["role"]
    is_operator = actor in room.operators
    if actor in room.guests:
        yield "not_owner"
    if user in room.guests_in:
        yield "accounts_only"
    elif user not in room.members:
        yield "never_seen"
    is_lowered = user == actor and ROLES.index(role) <= room.rank(actor) and room.is_in(actor)
    is_allowed = room.may_act_on(actor, user) and room.has(actor, GIVEN_BY[role])
    if not (is_operator or is_lowered or is_allowed):
        yield "not_owner"
    if room.roles.get(user) == "owner" != role and list(room.roles.values()).count("owner") == 1:
        yield "last_owner"


def refused_sanction(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    user = fields["user"]
    if actor not in room.operators and not room.has(actor, "moderator"):
        yield "not_owner"
    if user == actor:
        yield "bad_request"
    if actor not in room.operators and user in room.members and not room.may_act_on(actor, user):
        yield "not_owner"
    if user not in room.accounts | room.guests:
        yield "never_seen"


def refused_remove(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    yield from refused_sanction(room, actor, fields)
    if not room.is_in(fields["user"]):
        yield "never_seen"


def refused_lifting(names: Callable[[RoomModel], set[str]]) -> Callable[[RoomModel, str, Fields], Iterator[str]]:
    def refused(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
        if actor not in room.operators and not room.has(actor, "moderator"):
            yield "not_owner"
        if fields["user"] not in names(room):
            yield "never_seen"

    return refused


def refused_rule(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    changes = fields.get("set")
    if changes is None:
        return
    if actor not in room.operators and not room.has(actor, "owner"):
        yield "not_owner"
    if changes.keys() - OPEN_RULES.keys():
        yield "bad_request"


def refused_topic(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    if actor in room.guests:
        yield "accounts_only"
    if room.is_closed:
        yield "room_closed"
    if room.rules["topic"] == "moderators" and not room.has(actor, "moderator"):
        yield "not_owner"
    if actor in room.silenced:
        yield "silenced"


def refused_message(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    if room.is_closed:
        yield "room_closed"
    if room.rules["moderated"] and not room.has(actor, "speaker"):
        yield "only_speakers"
    if actor in room.silenced:
        yield "silenced"


def refused_list(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
    if actor not in room.operators and not room.has(actor, "moderator"):
        yield "not_owner"


def refused_closing(*, closes: bool) -> Callable[[RoomModel, str, Fields], Iterator[str]]:
    def refused(room: RoomModel, actor: str, fields: Fields) -> Iterator[str]:
        if actor not in room.operators:
            yield "operators_only"
        elif not closes and not room.is_closed:
            yield "never_seen"

    return refused


FOR_MEMBERS: Final = ("invite", "uninvite", "topic", "msg", "members")
IN_ROOM_ONLY: Final = (*FOR_MEMBERS, "join", "leave")
"""What operators of the server may do no more than others."""
FOR_ACCOUNTS: Final = ("invite", "topic")
OF_OPERATORS: Final = ("close", "open")
REFUSALS: Final[dict[str, Callable[[RoomModel, str, Fields], Iterator[str]]]] = {
    "join": refused_join,
    "leave": refused_leave,
    "invite": refused_invite,
    "uninvite": refused_uninvite,
    "role": refused_role,
    "remove": refused_remove,
    "shut_out": refused_sanction,
    "silence": refused_sanction,
    "let_in": refused_lifting(lambda room: room.shut_out),
    "unsilence": refused_lifting(lambda room: room.silenced),
    "rule": refused_rule,
    "topic": refused_topic,
    "msg": refused_message,
    "members": lambda *_: iter(()),
    "shut_outs": refused_list,
    "silences": refused_list,
    "close": refused_closing(closes=True),
    "open": refused_closing(closes=False),
}


# What is done, by action.


def do_join(room: RoomModel, actor: str, fields: Fields) -> None:
    rules = fields.get("rules") or {}
    if not room.exists:
        room.exists, room.rules = True, {**OPEN_RULES, **rules}
        room.members, room.roles = [actor], {actor: "owner"}
    elif room.is_in(actor):
        room.set_rules(actor, rules)
    else:
        room.invitations.pop(actor, None)
        room.tell(("join", actor, None))
        (room.members.append if actor in room.accounts else room.guests_in.add)(actor)


def do_leave(room: RoomModel, actor: str, fields: Fields) -> None:
    if room.is_in(actor):
        room.remove(actor, None, actor)
    else:
        room.invitations.pop(actor, None)


def do_invite(room: RoomModel, actor: str, fields: Fields) -> None:
    user = fields["user"]
    room.lift("let_in", room.shut_out, user, actor)
    if user not in room.invitations:
        room.invitations[user] = actor
        room.events.append((user, ("invited", actor, None)))


def do_shut_out(room: RoomModel, actor: str, fields: Fields) -> None:
    user = fields["user"]
    room.shut_out.add(user)
    room.invitations.pop(user, None)
    room.tell(("shut_out", user, actor), without=actor)
    if room.is_in(user):
        room.remove(user, actor, actor)


def do_silence(room: RoomModel, actor: str, fields: Fields) -> None:
    room.silenced.add(fields["user"])
    room.tell(("silence", fields["user"], actor), without=actor)


def do_role(room: RoomModel, actor: str, fields: Fields) -> None:
    user, role = fields["user"], fields["role"]
    if room.roles.get(user, "member") != role:
        room.roles[user] = role
        if role == "member":
            del room.roles[user]
        room.tell(("role", user, actor), without=actor)


def do_close(room: RoomModel, actor: str, fields: Fields) -> None:
    room.is_closed = True
    room.tell(("close", actor, None))


def do_open(room: RoomModel, actor: str, fields: Fields) -> None:
    room.is_closed = False
    room.tell(("open", actor, None))


EFFECTS: Final[dict[str, Callable[[RoomModel, str, Fields], object]]] = {
    "join": do_join,
    "leave": do_leave,
    "invite": do_invite,
    "uninvite": lambda room, actor, fields: room.invitations.pop(fields["user"], None),
    "role": do_role,
    "remove": do_shut_out,
    "shut_out": do_shut_out,
    "silence": do_silence,
    "let_in": lambda room, actor, fields: room.lift("let_in", room.shut_out, fields["user"], actor),
    "unsilence": lambda room, actor, fields: room.lift("unsilence", room.silenced, fields["user"], actor),
    "rule": lambda room, actor, fields: room.set_rules(actor, fields.get("set") or {}),
    "topic": lambda room, actor, fields: room.tell(("topic", actor, None), without=actor),
    "msg": lambda room, actor, fields: room.tell(("msg", actor, None), without=actor),
    "close": do_close,
    "open": do_open,
}
