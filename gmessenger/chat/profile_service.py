"""Profiles of users and rooms: who may read and change them, and who is told of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from gmessenger import log
from gmessenger.chat.outbound import ProfileUpdate
from gmessenger.chat.records import Account
from gmessenger.chat.results import ProfileResult
from gmessenger.chat.room import Room
from gmessenger.chat.room_rights import RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.whois import WhoisService
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import BadRequest, NotFound, NotMember, OperatorsOnly
from gmessenger.names import fold
from gmessenger.profiles import change_profile, changed_keys, decode_profile, encode_profile

NameFilter: TypeAlias = Callable[[str], bool]
"""Returns whether a session is told of the user of a folded name, although both share no room."""


class ProfileService:
    """Tells and changes profiles. Those of accounts and rooms are stored; a guest's is in its node's memory only.

    Sessions that have asked for it are told of changes: of their own user, of rooms that they are in, and of who is in
    these. `is_hidden(key, viewer)` is whether a user has blocked the viewer: then the viewer sees no profile of it.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        rights: RoomRights,
        whois: WhoisService,
        accounts: Mapping[str, Account],
        is_hidden: Callable[[str, str], bool],
        check_not_muted: Callable[[str], None],
    ) -> None:
        """`check_not_muted` raises `Muted` for the folded name of a user who may not speak."""
        self._store = store
        self._router = router
        self._rooms = rooms
        self._rights = rights
        self._whois = whois
        self._accounts = accounts
        self._is_hidden = is_hidden
        self._check_not_muted = check_not_muted
        self._told: dict[Session, NameFilter] = {}

    def profile(
        self,
        session: Session,
        user: str | None = None,
        room: str | None = None,
        changes: Mapping[str, str | None] | None = None,
    ) -> ProfileResult:
        """Return the profile of a user or a room, or of the session's own user; change it first, if that is asked for.

        Blocks on the store to change it. Raises `BadRequest` where both are named, and as `of_user` and `of_room`.
        """
        if user is not None and room is not None:
            raise BadRequest("A profile is that of a user or of a room.")
        if room is not None:
            return self.of_room(session, room, changes)
        return self.of_user(session, session.name if user is None else user, changes)

    # -- users

    def of_user(self, session: Session, name: str, changes: Mapping[str, str | None] | None = None) -> ProfileResult:
        """Return the profile of a user after changes, which the user itself makes, or an operator.

        Raises `NotFound`, also for another node's guest that is to be changed, `OperatorsOnly`, `Muted`, and as
        `change_profile`.
        """
        self._router.peers.sync()
        shown, key = self._whois.whois(session, name).user.name, fold(name)
        if changes is not None:
            self._change_user(session, key, changes)
        return ProfileResult(shown, self.seen_by(session, key))

    def seen_by(self, session: Session, key: str) -> dict[str, str]:
        """Return the profile of a folded name as a session sees it, who may know of that user. Never blocks."""
        account = self._accounts.get(key)
        guest = next(iter(self._router.sessions(key)), None) if account is None else None
        stored = account.profile if account is not None else guest.profile if guest is not None else ""
        return {} if not stored or self._is_hidden(key, session.key) else decode_profile(stored)

    def _change_user(self, session: Session, key: str, changes: Mapping[str, str | None]) -> None:
        if key != session.key and session.role != OPERATOR_ROLE:
            raise OperatorsOnly
        self._check_not_muted(session.key)
        account = self._accounts.get(key)
        owner = account or next(iter(self._router.sessions(key)), None)
        if owner is None:
            raise NotFound("Only the server that this guest is connected to can change its profile.")
        if not _differs(owner.profile, changes):
            return
        if key != session.key:
            log.log_event("moderated", by=session.name, method="profile", what=key, reason=None)
        if account is not None:
            self.update_account(account, self._store.change_profile(account.id, _changer(changes)), session)
        elif isinstance(owner, Session):
            before, owner.profile = owner.profile, _changer(changes)(owner.profile)
            self._tell_of_user(key, owner.name, None, _difference(before, owner.profile), session)

    def update_account(self, account: Account, stored: str, except_session: Session | None = None) -> None:
        """Note the profile of an account that the store has, and tell of it those who are to know, on this node."""
        before, account.profile = account.profile, stored
        self._tell_of_user(account.key, account.name, account, _difference(before, stored), except_session)

    def promote_guest(self, session: Session) -> None:
        """Store the profile of a guest who has become an account. Blocks on the store."""
        kept, session.profile = session.profile, ""
        if session.account is not None and kept:
            change = _changer(decode_profile(kept))
            session.account.profile = self._store.change_profile(session.account.id, change)

    # -- rooms

    def of_room(self, session: Session, name: str, changes: Mapping[str, str | None] | None = None) -> ProfileResult:
        """Return the profile of a room after changes, which a moderator or owner makes, or an operator of the server.

        Raises `NoSuchRoom`, `NotMember` for who is not in a room that is hidden, or that not everyone may join,
        `NotOwner`, `RoomClosed`, `Muted`, and as `change_profile`.
        """
        room = self._rights.find_room(name, session)
        if changes is not None:
            self._change_room(session, self._rights.find_room(name, session, "moderator"), changes)
        elif not _may_read(room, session):
            raise NotMember
        return ProfileResult(room.name, decode_profile(room.profile))

    def _change_room(self, session: Session, room: Room, changes: Mapping[str, str | None]) -> None:
        actor = RoomActor.of(session, room)
        self._check_not_muted(session.key)
        if not actor.is_operator:
            room.check_open()
        if not _differs(room.profile, changes):
            return
        if actor.is_operator:
            log.log_event("moderated", by=actor.name, method="profile", what=room.key, reason=None)
        stored = self._store.change_room_profile(room.key, _changer(changes), actor.name, actor.account)
        self.update_room(room, stored, session)

    def update_room(self, room: Room, stored: str, except_session: Session | None = None) -> None:
        """Note the profile of a room that the store has, and tell of it those in the room, on this node."""
        before, room.profile = room.profile, stored
        changes = _difference(before, stored)
        self._tell(room.name, changes, (each for each in self._told if room.has_member(each)), except_session)

    # -- who is told of changes

    def tell_changes(self, session: Session, also: NameFilter = lambda key: False) -> None:
        """Have a session told of changes until it ends, `also` of those of other users. Never blocks."""
        if session in self._router.sessions(session.key):
            self._told[session] = also

    def stop_telling(self, session: Session) -> None:
        """Do not tell a session any more."""
        self._told.pop(session, None)

    def _tell_of_user(
        self,
        key: str,
        name: str,
        account: Account | None,
        changes: dict[str, str | None],
        except_session: Session | None,
    ) -> None:
        rooms = [room for room in self._rooms if room.has_user(key, account)] if self._told and changes else []

        def is_told(session: Session, also: NameFilter) -> bool:
            if session.key == key:
                return True
            is_near = also(key) or any(room.has_member(session) for room in rooms)
            return is_near and not self._is_hidden(key, session.key)

        told = [session for session, also in self._told.items() if is_told(session, also)]
        self._tell(name, changes, told, except_session)

    def _tell(
        self, name: str, changes: dict[str, str | None], told: Iterable[Session], except_session: Session | None
    ) -> None:
        update = ProfileUpdate(name, changes)
        for session in list(told) if changes else ():
            if session is not except_session:
                session.outbox.offer(update)


def _may_read(room: Room, session: Session) -> bool:
    """Return whether a session, which may know of a room, may know its profile."""
    rules = room.rules
    is_open = not (rules.hidden or rules.invited or rules.key)
    return is_open or room.has_member(session) or room.is_invited(session) or session.role == OPERATOR_ROLE


def _changer(changes: Mapping[str, str | None]) -> Callable[[str], str]:
    """Return what makes these changes in a profile as it is stored."""
    return lambda stored: encode_profile(change_profile(decode_profile(stored), changes))


def _differs(stored: str, changes: Mapping[str, str | None]) -> bool:
    """Return whether changes alter a profile. Checks them before the store is used; raises as `change_profile`."""
    before = decode_profile(stored)
    return change_profile(before, changes) != before


def _difference(before: str, after: str) -> dict[str, str | None]:
    return changed_keys(decode_profile(before), decode_profile(after))
