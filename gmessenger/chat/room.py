"""A room, its members and their roles, as a node has them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from typing import TypeAlias

from gevent.lock import RLock
from msgspec import Struct, field

from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.room_access import MaskKind, RoomAccess, RoomMask, RoomSanction, RoomSanctionKind
from gmessenger.chat.sanctions import sanction_error, with_reason
from gmessenger.chat.session import Session
from gmessenger.errors import InvitedOnly, NotOwner, OnlySpeakers, RoomClosed, ShutOut, Silenced, WrongKey
from gmessenger.room_roles import RoomRole, has_rank
from gmessenger.room_rules import OPEN_ROOM, RoomRules

MaskMatcher: TypeAlias = Callable[[str, Session], bool]
"""Returns whether a mask of a room matches a session. Never blocks."""


def match_none(mask: str, session: Session) -> bool:
    """Return False: what masks mean is not known."""
    return False


class GuestInvitation(Struct, frozen=True):
    """An invitation of the guest whose session has this token. `by`: who has invited it."""

    token: str
    by: str


class Room(Struct):
    """A room, as this node knows it.

    `key`: the name folded. `creator`: an account id; the account may be deleted.
    `head`: the highest seq known here.
    `members`: accounts by id, present or not. `roles`: by account id, those that are higher than `member`.
    `guests`: local sessions by key. `remote_guests`: names by key.
    `is_being_deleted`: no messages and no members are accepted.
    `closure`: the sanction by which the room is closed: members can read its history, but nothing else.
    `access`: who is kept out, silenced or invited; set by `set_access`. `guest_invitations`: by folded name.
    `access_lock`: held while a change of `access` is stored, so that changes are made here in the same order.
    `is_restricted`: not every member may write; kept up to date by `set_closure`, `set_rules` and `set_access`.
    `id`: tells it from earlier rooms of its name. `topic_by`, `topic_at`, `created`, `profile`: as in
    `RoomRecord`.
    `guest_roles`: of guests of this node in a passing room, by folded name, those that are higher than `member`.
    `is_passing`: a guest has made it, from the networks `made_from`; it is deleted as soon as it is empty.
    `matches_mask`: what the masks of the room mean.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int = 0
    members: dict[int, Account] = field(default_factory=dict)
    guests: dict[str, Session] = field(default_factory=dict)
    remote_guests: dict[str, str] = field(default_factory=dict)
    is_being_deleted: bool = False
    closure: Sanction | None = None
    id: int = 0
    rules: RoomRules = OPEN_ROOM
    roles: dict[int, RoomRole] = field(default_factory=dict)
    is_restricted: bool = False
    access: RoomAccess = field(default_factory=RoomAccess)
    guest_invitations: dict[str, GuestInvitation] = field(default_factory=dict)
    access_lock: RLock = field(default_factory=RLock)
    is_passing: bool = False
    made_from: Sequence[str] = ()
    guest_roles: dict[str, RoomRole] = field(default_factory=dict)
    topic_by: str = ""
    topic_at: float | None = None
    created: float | None = None
    profile: str = ""
    matches_mask: MaskMatcher = match_none

    def set_closure(self, closure: Sanction | None) -> None:
        """Close the room, or reopen it with None."""
        self.closure = closure
        self._update_restriction()

    def set_rules(self, rules: RoomRules) -> None:
        """Replace all rules."""
        self.rules = rules
        self._update_restriction()

    def set_role(self, account: int, role: RoomRole) -> None:
        """Set the role of a member."""
        if role == "member":
            self.roles.pop(account, None)
        else:
            self.roles[account] = role

    def set_guest_role(self, key: str, role: RoomRole) -> None:
        """Set the role of a guest of this node, by its folded name."""
        if role == "member":
            self.guest_roles.pop(key, None)
        else:
            self.guest_roles[key] = role

    def set_access(self, access: RoomAccess) -> None:
        """Replace who is kept out, silenced or invited."""
        self.access = access
        self._update_restriction()

    def forget_access(self, key: str) -> None:
        """Forget what is known of the folded name of an account that was deleted."""
        self.access.invitations.pop(key, None)
        for kind in ("shut_out", "silence"):
            self.access.sanctions.pop((kind, key), None)
        self._update_restriction()

    def _update_restriction(self) -> None:
        has_silenced = any(kind == "silence" for kind, _ in self.access.sanctions)
        has_masks = any(kind in ("ban", "silenced") for kind, _ in self.access.masks)
        self.is_restricted = self.closure is not None or self.rules.moderated or has_silenced or has_masks

    def has_member(self, session: Session) -> bool:
        """Return whether the session's account, or this very session of a guest, is in the room."""
        if session.account is not None:
            return session.account.id in self.members
        return self.guests.get(session.key) is session

    def has_user(self, key: str, account: Account | None) -> bool:
        """Return whether an account, or else the guest of a folded name on any node, is in the room."""
        if account is not None:
            return account.id in self.members
        return key in self.guests or key in self.remote_guests

    def has_place_for(self, session: Session) -> bool:
        """Return whether the session is in the room, or is a guest's that has resumed one that is, here or elsewhere.

        A namesake has no place: another guest, whose name was that of one who has just left.
        """
        if session.account is not None:
            return session.account.id in self.members
        if ("shut_out", session.key) in self.access.sanctions:
            return False
        guest, former_rooms = self.guests.get(session.key), session.former_rooms
        if guest is not None and guest.token == session.token:
            return True
        return former_rooms is not None and (self.key in former_rooms or session.key in self.remote_guests)

    def is_known_to(self, session: Session) -> bool:
        """Return whether the session may know that the room exists: a private one only if it is in it or invited."""
        return (
            not self.rules.is_private
            or self.has_place_for(session)
            or self.is_invited(session)
            or self.matches(session, "welcome")
        )

    def is_invited(self, session: Session) -> bool:
        """Return whether the session's account, or this very guest, is invited to the room."""
        if session.account is not None and session.key in self.access.invitations:
            return True
        invitation = self.guest_invitations.get(session.key)
        return invitation is not None and invitation.token == session.token

    def inviter_of(self, session: Session) -> str:
        """Return who has invited the session; empty if it is not invited."""
        invitation = self.access.invitations.get(session.key) or self.guest_invitations.get(session.key)
        return invitation.by if invitation is not None else ""

    def masks(self, kind: MaskKind) -> Iterator[RoomMask]:
        """Iterate over the masks of a list."""
        return (mask for mask in self.access.masks.values() if mask.kind == kind)

    def matches(self, session: Session, kind: MaskKind) -> bool:
        """Return whether a mask of a list matches a session."""
        return any(self.matches_mask(each.mask, session) for each in self.masks(kind))

    def matched_since(self, session: Session, kind: MaskKind) -> float:
        """Return since when the latest mask of a list that matches a session is there; 0 where none does."""
        return max((each.since for each in self.masks(kind) if self.matches_mask(each.mask, session)), default=0.0)

    def is_banned(self, session: Session) -> bool:
        """Return whether a mask keeps the session from joining and writing, as it has no role in the room."""
        return self._is_masked(session, "ban", "spared")

    def _is_masked(self, session: Session, kind: MaskKind, exempt: MaskKind) -> bool:
        """Return whether a mask of a kind, and none of the kind that exempts, matches a session without a role."""
        if not self.access.masks or has_rank(self.role_of(session), "speaker"):
            return False
        return self.matches(session, kind) and not self.matches(session, exempt)

    def find_sanction(self, kind: RoomSanctionKind, target: str, now: float) -> RoomSanction | None:
        """Return the sanction on a folded name or a network, unless it has expired."""
        found = self.access.sanctions.get((kind, target))
        return None if found is None or (found.until is not None and found.until <= now) else found

    def find_member(self, key: str) -> Account | None:
        """Return the account of that folded name, if it is in the room."""
        return next((account for account in self.members.values() if account.key == key), None)

    def has_name(self, key: str) -> bool:
        """Return whether the user of a folded name is in the room, on whatever node."""
        return key in self.guests or key in self.remote_guests or self.find_member(key) is not None

    def role_of(self, session: Session) -> RoomRole:
        """Return the role of the session's account, or of this very session of a guest; else the lowest."""
        if session.account is not None:
            return self.roles.get(session.account.id, "member")
        return self.guest_roles.get(session.key, "member") if self.guests.get(session.key) is session else "member"

    def role_of_user(self, key: str) -> RoomRole:
        """Return the role of the user of a folded name; the lowest for who is not in the room."""
        account = self.find_member(key)
        return self.roles.get(account.id, "member") if account is not None else self.guest_roles.get(key, "member")

    @property
    def named_roles(self) -> dict[str, RoomRole]:
        """The roles that are higher than `member`, by name as shown."""
        accounts = {self.members[id].name: role for id, role in self.roles.items() if id in self.members}
        return accounts | {self.guests[key].name: role for key, role in self.guest_roles.items() if key in self.guests}

    def require_role(self, session: Session, least: RoomRole) -> None:
        """Raise `NotOwner` unless the session's account, or this guest, has at least that role in the room."""
        if not has_rank(self.role_of(session), least):
            raise NotOwner

    def check_not_shut_out(self, session: Session, now: float, network: str | None) -> None:
        """Raise `ShutOut` if the session's name or a guest's network is kept out of the room, or a mask bans it.

        A mask that spares it has no hold on what was imposed after the mask: who is removed from the room stays out.
        """
        if self.is_invited(session):
            return
        if self.is_banned(session):
            raise ShutOut
        found = self.find_sanction("shut_out", session.key, now)
        if found is None and session.account is None and network is not None:
            found = self.find_sanction("network", network, now)
        if found is not None and found.since >= self.matched_since(session, "spared"):
            raise sanction_error(ShutOut, found.reason, found.until, now)

    def check_may_join(self, session: Session, key: str | None = None) -> None:
        """Raise why the session, which is not in the room, may not join it; not whether there is a place left.

        `key`: what was given for the rule of that name.
        """
        self.check_open()
        is_invited = self.is_invited(session)
        if self.rules.invited and not is_invited and not self.matches(session, "welcome"):
            raise InvitedOnly
        if self.rules.key and not is_invited and not compare_digest((key or "").encode(), self.rules.key.encode()):
            raise WrongKey
        if not self.rules.guests:
            session.require_account()

    def lets_write(self, session: Session) -> bool:
        """Return whether a session that is not in the room may write to it, unless it is kept out."""
        return self.rules.outside and self.is_known_to(session)

    def check_may_write(self, session: Session) -> None:
        """Raise why a session may not write, in the room or from outside. Needed only where it `is_restricted`."""
        self.check_open()
        if self.rules.moderated and not has_rank(self.role_of(session), "speaker"):
            raise OnlySpeakers

    def check_not_silenced(self, session: Session, now: float) -> None:
        """Raise `Silenced` if the session's name may not write in the room, or a mask bans or silences it.

        A mask by which it is heard has no hold on a silence that was imposed after the mask.
        """
        if self.is_banned(session) or self._is_masked(session, "silenced", "heard"):
            raise Silenced
        found = self.find_sanction("silence", session.key, now) if self.access.sanctions else None
        if found is not None and found.since >= self.matched_since(session, "heard"):
            raise sanction_error(Silenced, found.reason, found.until, now)

    def check_open(self) -> None:
        """Raise `RoomClosed` if an operator has closed the room."""
        if self.closure is not None:
            raise with_reason(RoomClosed, self.closure.reason)

    @property
    def size(self) -> int:
        """The number of members and guests, on all nodes."""
        return len(self.members) + len(self.guests) + len(self.remote_guests)

    @property
    def names(self) -> list[str]:
        """The names of members, then of guests, as shown."""
        local = [account.name for account in self.members.values()] + [guest.name for guest in self.guests.values()]
        return local + list(self.remote_guests.values())
