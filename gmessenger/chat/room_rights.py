"""What owners, moderators and operators of the server may do with a room: its rules, its topic, and members' roles.

Changes are stored first, then made in memory and announced to those present. An operator of the server need not be in
the room to change it, and can read nothing in it by that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gmessenger import log
from gmessenger.chat.records import Account
from gmessenger.chat.room import Room
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.constants import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import AccountsOnly, BadRequest, Forbidden, NotFound, NotOwner
from gmessenger.field_types import MAX_TOPIC
from gmessenger.names import fold
from gmessenger.room_roles import RoomRole, check_role_change, has_rank, may_act_on
from gmessenger.room_rules import RoomRules, RuleValue, shown_rules, with_changes


@dataclass(frozen=True, slots=True)
class RoomActor:
    """Who changes a room: the name that is announced, and the account or guest whose role must allow it.

    Without either it is an operator, or the owner of the server, who may change any room. `session` gets a response
    instead of the event. `guest`: its folded name; the store takes its changes as those of an operator.
    """

    name: str
    account: int | None = None
    session: Session | None = None
    guest: str | None = None

    @classmethod
    def of(cls, session: Session, room: Room) -> RoomActor:
        """Return the actor of a session that changes a room: the account that it acts as, or its own.

        Raises `NotOwner` for a guest, but in a passing room.
        """
        account = session.authority
        if account is not None:
            return cls(account.name, None if account.role == OPERATOR_ROLE else account.id, session)
        if not room.is_passing:
            raise NotOwner
        return cls(session.name, None, session, session.key)

    @property
    def is_operator(self) -> bool:
        """Whether it may change any room."""
        return self.account is None and self.guest is None

    def role_in(self, room: Room) -> RoomRole | None:
        """Return the actor's role in a room; None if it may change any room."""
        if self.account is not None:
            return room.roles.get(self.account, "member")
        return room.guest_roles.get(self.guest, "member") if self.guest is not None else None


class RoomRights:
    """Checks what a session may do with a room, and changes its rules, roles and topic. Changes block on the store.

    Methods that take a room's name raise `NoSuchRoom`, also for a private room of which the session may not know. A
    `RoomActor` is given for the owner of the server.
    """

    def __init__(self, store: Store, router: Router, rooms: RoomRegistry, clock: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        self._rooms = rooms
        self._clock = clock

    def find_room(self, name: str, session: Session, least: RoomRole = "member") -> Room:
        """Return a room in which the session has at least a role, or of which it may know; an operator any room.

        Raises `NotOwner`. Blocks on a cluster where a role is needed: another node may just have taken it.
        """
        if session.role == OPERATOR_ROLE:
            return self._rooms.find(name)
        if least != "member":
            self._router.peers.sync()
        room = self._rooms.find_known(name, session)
        room.require_role(session, least)
        return room

    def require_role(self, room: Room, session: Session, least: RoomRole) -> None:
        """Raise `NotOwner` unless the session has at least a role in the room. Operators need it, too."""
        self._check(lambda: room.require_role(session, least))

    def check_may_act_on(self, room: Room, actor: RoomActor, key: str) -> None:
        """Raise `NotOwner` unless the user of a folded name has a lower role than the actor, or that is an operator.

        In a passing room owners may act on each other.
        """
        role = actor.role_in(room)
        if role is not None and not may_act_on(role, room.role_of_user(key), needs_owner=not room.is_passing):
            raise NotOwner

    def rules(self, session: Session, name: str) -> dict[str, RuleValue]:
        """Return the rules of a room, as the session may know them."""
        self._router.peers.sync()
        room = self.find_room(name, session)
        return shown_rules(room.rules, is_member=room.has_member(session))

    def change_rules(self, session: Session, name: str, changes: Mapping[str, Any]) -> dict[str, RuleValue]:
        """Set rules of a room; return all, as the session may know them.

        Raises `NotOwner`, `BadRequest` or `Upgrading`: then nothing is changed.
        """
        room = self.find_room(name, session, "owner")
        rules = self.change_rules_as(RoomActor.of(session, room), room, changes)
        return shown_rules(rules, is_member=room.has_member(session) or "key" in changes)

    def change_own_rules(self, room: Room, session: Session, changes: Mapping[str, Any]) -> None:
        """Set rules of a room that is the session's. Raises `NotOwner`, for operators too, and `Upgrading`."""
        self._check(lambda: room.require_role(session, "owner"))
        if with_changes(room.rules, changes) != room.rules:
            self.change_rules_as(RoomActor.of(session, room), room, changes)

    def change_rules_as(self, actor: RoomActor, room: Room, changes: Mapping[str, Any]) -> RoomRules:
        """Set rules of a room; return all. Raises as `change_rules`."""
        with_changes(room.rules, changes)  # refused before the store is asked
        rules = self._store.change_rules(room.key, changes, actor.name, actor.account)
        self._log(actor, "rule", room)
        self._rooms.set_rules(room, rules, actor.name, actor.session)
        return rules

    def change_role(self, session: Session, name: str, user: str, role: RoomRole) -> None:
        """Change the role of a member.

        Raises `NotOwner`, `LastOwner`, `NotFound` if the user is not in the room, `AccountsOnly` for a guest, unless
        the room is a passing one and the guest is connected to this server, `Forbidden` for a hook that would be more
        than a speaker, and `Upgrading`.
        """
        is_own = fold(user) == session.key
        room = self.find_room(name, session, "member" if is_own else "moderator")
        if is_own and session.role != OPERATOR_ROLE and not room.has_member(session):
            raise NotOwner
        self.change_role_as(RoomActor.of(session, room), room, user, role)

    def change_role_as(self, actor: RoomActor, room: Room, user: str, role: RoomRole) -> None:
        """Change the role of a member. Raises as `change_role`."""
        if room.is_passing and fold(user) in room.guests:
            self._change_guest_role(actor, room, fold(user), role)
            return
        member = self._find_member(room, user)
        if member.is_bot and has_rank(role, "moderator"):
            raise Forbidden("A hook can be a speaker or a member.")
        self._check(lambda: _check_role_change(room, actor, member, role))
        self._store.change_role(room.key, member.id, role, actor.name, actor.account)
        self._log(actor, "role", room)
        self._rooms.set_role(room, member.id, role, actor.name, actor.session)

    def _change_guest_role(self, actor: RoomActor, room: Room, key: str, role: RoomRole) -> None:
        """Change the role of a guest in a passing room, in memory only: it goes with the guest."""
        before, is_own = room.guest_roles.get(key, "member"), actor.guest == key
        self._check(
            lambda: check_role_change(
                actor.role_in(room), before, role, is_own=is_own, owner_count=0, needs_owner=False
            )
        )
        self._log(actor, "role", room)
        self._rooms.set_guest_role(room, key, role, actor.name, actor.session)

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Set the topic of a room.

        Raises `AccountsOnly` for a guest, but in a passing room, `NotOwner` where it is for moderators, `BadRequest` if
        it is too long or unprintable.
        """
        room = self._rooms.require_member(name, session)
        if not room.is_passing:
            session.require_account()
        room.check_open()
        if room.rules.topic == "moderators":
            self._check(lambda: room.require_role(session, "moderator"))
        if len(topic) > MAX_TOPIC or not topic.isprintable():
            raise BadRequest(f"A topic is at most {MAX_TOPIC} printable characters.")
        now = self._clock()
        self._store.set_topic(room.key, topic, session.name, now)
        room.topic, room.topic_by, room.topic_at = topic, session.name, now
        self._rooms.notify(room, RoomEvent("topic", room.name, session.name, topic=topic), session)

    def _find_member(self, room: Room, user: str) -> Account:
        key = fold(user)
        account = room.find_member(key)
        if account is None and self._router.peers.sync():
            account = room.find_member(key)
        if account is not None:
            return account
        if key in room.guests or key in room.remote_guests:
            if room.is_passing:
                raise AccountsOnly("This guest is connected to another server, which alone can give it a role.")
            raise AccountsOnly("Only accounts have roles; this is a guest.")
        raise NotFound("There is no member of that name in the room.")

    def _check(self, check: Callable[[], None]) -> None:
        """Check a role, again if another node may have changed it a moment ago. Raises what `check` does."""
        try:
            check()
        except NotOwner:
            if not self._router.peers.sync():
                raise
            check()

    def _log(self, actor: RoomActor, method: str, room: Room) -> None:
        if actor.is_operator:
            log.log_event("moderated", by=actor.name, method=method, what=room.key, reason=None)


SERVER_ACTOR = RoomActor(SERVER_OWNER)
"""The owner of the server."""


def _check_role_change(room: Room, actor: RoomActor, member: Account, role: RoomRole) -> None:
    roles = room.roles
    check_role_change(
        actor.role_in(room),
        roles.get(member.id, "member"),
        role,
        is_own=actor.account == member.id,
        owner_count=sum(each == "owner" for each in roles.values()),
        needs_owner=not room.is_passing,
    )
