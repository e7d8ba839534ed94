"""Invitations to rooms: of accounts, which the store keeps, and of guests, which last as long as their session."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.hooks import require_no_hook
from gmessenger.chat.listings import USERS_PAGE
from gmessenger.chat.records import Account
from gmessenger.chat.results import InvitationEntry, InvitationPage
from gmessenger.chat.room import GuestInvitation, Room
from gmessenger.chat.room_access import MAX_INVITATIONS, Invitation
from gmessenger.chat.room_events import InvitationEvent
from gmessenger.chat.room_rights import RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import AccountsOnly, AlreadyMember, Forbidden, NotFound, RecipientGone, WireError
from gmessenger.lru_map import LruMap
from gmessenger.names import fold

MAX_REMEMBERED: Final = 1000  # invitations of guests on other nodes
MAX_ANNOUNCED: Final = 100  # invitations at a login


class Invitations:
    """Invites to rooms, takes invitations back, and tells those who are invited. Changes block on the store.

    `accounts`, by folded name, belongs to the authenticator. `is_recent`: whether a folded name was online lately.
    `check_not_muted` raises `Muted` for a folded name.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        rights: RoomRights,
        blocks: BlockList,
        accounts: Mapping[str, Account],
        is_recent: Callable[[str], bool],
        check_not_muted: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._router = router
        self._rooms = rooms
        self._rights = rights
        self._blocks = blocks
        self._accounts = accounts
        self._is_recent = is_recent
        self._check_not_muted = check_not_muted
        self._clock = clock
        self._invited_elsewhere: LruMap[tuple[str, str], str] = LruMap(MAX_REMEMBERED)
        """Who has invited a guest of another node, by the keys of room and guest, until that node shows it."""

    def invite(self, session: Session, name: str, user: str) -> None:
        """Invite a user to a room that the session is in; where it is `invited`, as a moderator.

        Guests invite to passing rooms only.

        Raises `NoSuchRoom`, `NotMember`, `AccountsOnly`, `NotOwner`, `RoomClosed`, `Muted`, `Blocked`, `NotFound`,
        `RecipientGone`, `AlreadyMember`, or `Forbidden` beyond `MAX_INVITATIONS`.
        """
        if not self._rooms.is_passing_for(name, session):
            session.require_account()
        self._router.peers.sync()  # all that is checked may just have been changed on another node
        self._check_not_muted(session.key)
        room = self._rooms.require_member(name, session)
        room.check_open()
        key = fold(user)
        # (What a moderator has done, a member must not undo.)
        is_kept_out = room.find_sanction("shut_out", key, self._clock()) is not None
        if room.rules.invited or is_kept_out:
            self._rights.require_role(room, session, "moderator")
        account = self._find_account(key)
        self._blocks.check(session.key, key)
        self._invite(RoomActor.of(session, room), room, key, user, account)

    def invite_as(self, actor: RoomActor, room: Room, user: str) -> None:
        """Invite a user to a room for the owner of the server. Raises as `invite`."""
        room.check_open()
        key = fold(user)
        self._invite(actor, room, key, user, self._find_account(key))

    def _find_account(self, key: str) -> Account | None:
        if key not in self._accounts and key not in self._router:
            self._router.peers.sync(key)
        return self._accounts.get(key)

    def _invite(self, actor: RoomActor, room: Room, key: str, user: str, account: Account | None) -> None:
        if account is None:
            self._invite_guest(actor, room, key, user)
        elif account.id in room.members and not (self._router.peers.sync() and account.id not in room.members):
            raise AlreadyMember
        else:
            require_no_hook(account)
            self._invite_account(actor, room, account)

    def _invite_account(self, actor: RoomActor, room: Room, account: Account) -> None:
        _check_limit(room, account.key)
        invitation = Invitation(account.key, account.name, actor.name, self._clock())
        with room.access_lock:
            access = self._store.invite(room.key, invitation)
            self._rooms.update_access(room, access, actor.name, self._clock(), actor.session)

    def _invite_guest(self, actor: RoomActor, room: Room, key: str, user: str) -> None:
        if key in room.guests or key in room.remote_guests:
            raise AlreadyMember
        is_here = bool(self._router.sessions(key))
        if not is_here and key not in self._router.peers:
            raise RecipientGone(f"{user} has left, and was a guest.") if self._is_recent(key) else NotFound
        if not room.rules.guests:
            raise AccountsOnly(f"{user} is a guest, and only accounts may join this room.")
        _check_limit(room, key)
        if room.find_sanction("shut_out", key, self._clock()) is not None:
            with room.access_lock:
                access = self._store.lift_room_sanction(room.key, "shut_out", key, actor.name)
                self._rooms.update_access(room, access, actor.name, self._clock(), actor.session)
        if is_here:
            self.invite_guest_here(room, key, actor.name)
        else:
            self._router.peers.invite_guest(room.key, key, actor.name)
            self._invited_elsewhere[room.key, key] = actor.name

    def invite_guest_here(self, room: Room, key: str, by: str, digest: str = "") -> None:
        """Invite the guest that is connected to this server under a folded name, if one is. Never blocks.

        With the `digest` of a token, only the guest whose session has that.
        """
        guest = next((one for one in self._router.sessions(key) if one.account is None), None)
        if guest is None or room.is_invited(guest) or digest not in ("", _digest(guest.token)):
            return
        room.guest_invitations[key] = GuestInvitation(guest.token, by)
        self._router.peers.presence_changed(key)
        _tell(guest, room, by)
        self._rooms.announce_invitation(room, guest.name, by)

    def hand_over(self, session: Session) -> None:
        """Have a guest that has resumed its session on another node invited there. Raises `StoreUnavailable`."""
        for room in self._rooms:
            invitation = room.guest_invitations.get(session.key)
            if invitation is not None and invitation.token == session.token:
                digest = _digest(invitation.token)
                self._router.peers.invite_guest(room.key, session.key, invitation.by, digest=digest)

    def uninvite(self, session: Session, name: str, user: str) -> None:
        """Take an invitation back, as a moderator or who has given it. Raises `NoSuchRoom`, `NotOwner`, `NotFound`."""
        self._router.peers.sync()
        room = self._rooms.require_member(name, session)
        key = fold(user)
        if self._find_inviter(room, key) != session.name:
            self._rights.require_role(room, session, "moderator")
        self._uninvite(RoomActor.of(session, room), room, key, user)

    def uninvite_as(self, actor: RoomActor, room: Room, user: str) -> None:
        """Take an invitation back for the owner of the server. Raises `NotFound`."""
        self._router.peers.sync()
        self._uninvite(actor, room, fold(user), user)

    def _find_inviter(self, room: Room, key: str) -> str | None:
        """Return who has invited a name, None for no invitation, as far as is known here."""
        invitation = room.access.invitations.get(key) or room.guest_invitations.get(key)
        if invitation is not None:
            return invitation.by
        if key in self._accounts or key not in self._router.peers:
            return None
        return self._router.peers.inviter_of(room.key, key) or self._invited_elsewhere.peek((room.key, key))

    def _uninvite(self, actor: RoomActor, room: Room, key: str, user: str) -> None:
        if self._find_inviter(room, key) is None:
            raise NotFound(f"{user} is not invited.")
        if key in room.access.invitations:
            self._remove(room, key, actor.name, actor.session)
        elif self._rooms.take_guest_invitation(room, key) is None:
            self._router.peers.invite_guest(room.key, key, actor.name, invited=False)
            self._invited_elsewhere.pop((room.key, key))

    def decline(self, session: Session, name: str) -> Room | None:
        """Decline the invitation to a room. Returns the room; None if the session is in it, or not invited."""
        room = self._rooms.get(fold(name))
        if room is None or not (room.has_member(session) or room.is_invited(session)):
            self._router.peers.sync()
            room = self._rooms.get(fold(name))
        if room is None or room.has_member(session) or not room.is_invited(session):
            return None
        self._rooms.take_guest_invitation(room, session.key)
        self._remove(room, session.key, session.name, session)
        return room

    def _remove(self, room: Room, key: str, by: str, actor: Session | None) -> None:
        if key not in room.access.invitations:
            return
        with room.access_lock:
            access = self._store.uninvite(room.key, key, by)
            self._rooms.update_access(room, access, by, self._clock(), actor)

    def announce(self, session: Session) -> None:
        """Tell a session that has logged in to which rooms it is invited, at most `MAX_ANNOUNCED`. Never blocks."""
        for room in self._waiting(session):
            _tell(session, room, room.inviter_of(session))

    def rooms_for(self, session: Session) -> Sequence[Room]:
        """Return the rooms that a session is invited to, by name, at most `MAX_ANNOUNCED`. Blocks on a cluster."""
        self._router.peers.sync()
        return list(self._waiting(session))

    def _waiting(self, session: Session) -> Iterator[Room]:
        """Yield the rooms that a session is invited to, and not in; not by who is blocked."""
        waiting = (room for room in self._rooms if room.is_invited(session) and not room.has_member(session))
        for room in heapq.nsmallest(MAX_ANNOUNCED, waiting, key=lambda room: room.key):
            if not self._blocks.is_hidden(session.key, fold(room.inviter_of(session))):
                yield room

    def promote_guest(self, session: Session) -> None:
        """Keep the invitations of a guest that has become an account, as far as the store can.

        The account exists, whatever becomes of them: who has given one can give it again.
        """
        for room in self._rooms:
            invitation = room.guest_invitations.pop(session.key, None)
            if invitation is not None and invitation.token == session.token and not room.has_member(session):
                stored = Invitation(session.key, session.name, invitation.by, self._clock())
                with suppress(WireError), room.access_lock:
                    access = self._store.invite(room.key, stored)
                    self._rooms.update_access(room, access, invitation.by, self._clock(), session)

    def list(self, session: Session, name: str, after: str | None) -> InvitationPage:
        """Return the invitations to a room that wait, by name. Raises as `uninvite`; members may see them, too."""
        self._router.peers.sync()
        room = self._rooms.require_member(name, session)
        if room.rules.invited:
            self._rights.require_role(room, session, "moderator")
        start = fold(after) if after else ""
        waiting = room.access.invitations
        keys = heapq.nsmallest(USERS_PAGE + 1, (key for key in waiting if key > start))
        return InvitationPage([_invitation_entry(waiting[key]) for key in keys[:USERS_PAGE]], len(keys) > USERS_PAGE)

    def all(self, room: Room) -> Sequence[InvitationEntry]:
        """Return the invitations of accounts to a room that wait, by name."""
        self._router.peers.sync()
        return [_invitation_entry(invitation) for _, invitation in sorted(room.access.invitations.items())]


def _invitation_entry(invitation: Invitation) -> InvitationEntry:
    return InvitationEntry(invitation.name, invitation.by, invitation.since)


def _check_limit(room: Room, key: str) -> None:
    """Raise `Forbidden` if no further invitation may wait: of accounts, which the store counts, and of guests here."""
    accounts, guests = room.access.invitations, room.guest_invitations
    if key not in accounts and key not in guests and len(accounts) + len(guests) >= MAX_INVITATIONS:
        raise Forbidden(f"At most {MAX_INVITATIONS} invitations to a room can wait.", limit=MAX_INVITATIONS)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _tell(session: Session, room: Room, by: str) -> None:
    if session.accepts_push:
        session.outbox.offer(InvitationEvent(room.name, by))
