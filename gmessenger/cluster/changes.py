"""Application of other nodes' changes: read the store, update memory, notify local sessions.

A `Change` only names its subject, so it does not matter whether one arrives twice or late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from gmessenger import log
from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import SessionReplaced
from gmessenger.chat.profile_service import ProfileService
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.room import Room
from gmessenger.chat.room_access import RoomAccess
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionKind, SanctionRegistry, with_reason
from gmessenger.chat.session import Session
from gmessenger.cluster.interfaces import DROPPED, Change, ChangeDetails, SharedStore
from gmessenger.errors import AccountDeleted, AccountDisabled, Banned, Kicked, NameTaken, WireError
from gmessenger.room_roles import RoomRole


class RoomChangeApplier:
    """Applies changes of rooms to memory and notifies the members. No method blocks.

    Args of the constructor:
        profiles: what tells of a changed profile.
        accounts: all accounts by id.
        on_room_loaded: called for each room that was not known on this node before.
    """

    def __init__(
        self,
        rooms: RoomRegistry,
        router: Router,
        delivery: DeliveryService,
        sanctions: SanctionRegistry,
        profiles: ProfileService,
        accounts: Mapping[int, Account],
        on_room_loaded: Callable[[Room], None],
    ) -> None:
        self._rooms = rooms
        self._router = router
        self._delivery = delivery
        self._sanctions = sanctions
        self._profiles = profiles
        self._accounts = accounts
        self._on_room_loaded = on_room_loaded

    def update_room(self, key: str, stored: RoomRecord | None, by: str) -> None:
        """Create, update or delete a room.

        Args:
            key: the folded name of the room.
            stored: the room as it is in the store; None if it has been deleted.
            by: name of the user who made the change, for the notification; may be empty.
        """
        room = self._rooms.get(key)
        if room is not None and (stored is None or stored.id != room.id):
            self._sanctions.discard("close", key)
            self._rooms.discard(room)
            room = None
        if room is not None and stored is not None:
            self._merge_room(room, stored, by)
        elif stored is not None:
            room = self._rooms.load(stored)
            self._on_room_loaded(room)
            for id, account in room.members.items():
                self._notify_own(room, account)
                self._set_start(room, account, stored.members[id])

    def update_member(self, key: str, account: Account, start: int | None, by: str, reason: str = "") -> None:
        """Add an account to a room, or remove it.

        Args:
            start: first seq that the account's devices are sent; None if it is not a member any more.
            by: name of the user who removed it, empty if it left by itself.
            reason: of that, or what it has said.
        """
        room = self._rooms.get(key)
        if room is None:
            return
        was_guest = room.remote_guests.pop(account.key, None) is not None  # which has registered
        if start is None:
            event = RoomEvent("leave", room.name, account.name, by=by or None, reason=reason or None)
            if was_guest and account.id not in room.members:
                self._rooms.notify(room, event, None)
                self._rooms.on_left(room)
            self._rooms.remove_member(room, account.key, account, event, None)
            return
        is_new = account.id not in room.members and not was_guest
        room.members[account.id] = account
        if is_new:
            self._rooms.notify(room, RoomEvent("join", room.name, account.name), None)
        self._set_start(room, account, start)

    def _set_start(self, room: Room, account: Account, start: int) -> None:
        """Have a member's sessions begin with `start`, and catch up on the messages from there on."""
        self._rooms.set_cursor(account.key, room.key, start - 1)
        for session in self._router.sessions(account.key):
            self._delivery.catch_up_if_behind(session, room.key, room.head)

    def _notify_own(self, room: Room, account: Account) -> None:
        """Notify the sessions of an account that it is in a room, which it has created on another node."""
        for session in self._router.sessions(account.key):
            session.outbox.offer(RoomEvent("join", room.name, account.name))

    def update_closure(self, key: str, closure: Sanction | None, by: str) -> None:
        """Close a room, or reopen it (None)."""
        room = self._rooms.get(key)
        if room is None or (room.closure is None) == (closure is None):
            return
        self._rooms.set_closure(
            room, closure, closure.by if closure is not None else by, closure.reason if closure else ""
        )

    def update_access(self, key: str, access: RoomAccess, by: str, now: float) -> None:
        """Replace who is kept out of a room or invited to it; tell those concerned. `by`: who has changed it."""
        room = self._rooms.get(key)
        if room is not None:
            self._rooms.update_access(room, access, by, now, None)

    def expel(self, key: str, guest: str, by: str, reason: str) -> None:
        """Remove a guest from a room, whichever node the guest is on."""
        room = self._rooms.get(key)
        if room is None:
            return
        if guest in room.guests:
            event = RoomEvent("leave", room.name, room.guests[guest].name, by=by, reason=reason or None)
            self._rooms.remove_member(room, guest, None, event, None)
        elif (name := room.remote_guests.get(guest)) is not None:
            event = RoomEvent("leave", room.name, name, by=by, reason=reason or None)
            self._rooms.remove_remote_guest(room, guest, event, None)

    def _merge_room(self, room: Room, stored: RoomRecord, by: str) -> None:
        room.head = max(room.head, stored.head)
        room.topic_by, room.topic_at = stored.topic_by, stored.topic_at
        if stored.topic != room.topic:
            room.topic = stored.topic
            self._rooms.notify(room, RoomEvent("topic", room.name, by, topic=stored.topic), None)
        if stored.profile != room.profile:
            self._profiles.update_room(room, stored.profile)
        for id in room.members.keys() ^ stored.members.keys():
            if (account := self._accounts.get(id)) is not None:
                self.update_member(room.key, account, stored.members.get(id), by)
        self._rooms.set_rules(room, stored.rules, by, None)

    def update_role(self, key: str, account: int, role: RoomRole, by: str) -> None:
        """Set the role of a member. It has a change of its own: the name that gave it is not that of other changes."""
        room = self._rooms.get(key)
        if room is not None:
            self._rooms.set_role(room, account, role, by, None)


ValueT = TypeVar("ValueT")
SANCTION_VERBS: Final[dict[SanctionKind, tuple[str, str]]] = {
    "name": ("ban", "unban"),
    "network": ("ban", "unban"),
    "mute": ("mute", "unmute"),
    "close": ("close", "open"),
}
"""Method logged for a sanction, by its kind: when it is imposed, and when it is lifted."""
UNKNOWN_LOGIN_COUNT: Final = 2**62  # more than any device has: a deleted device counts as replaced
MAX_READS: Final = 5
"""Number of attempts to read a value that this node does not change meanwhile."""


class ChangeApplier:
    """Applies each kind of change.

    Blocks while it reads the store; updates of memory never yield to other greenlets.
    """

    def __init__(
        self,
        store: SharedStore,
        messenger: Messenger,
        room_changes: RoomChangeApplier,
        clock: Callable[[], float],
        name_on_device: Callable[[int], str],
        replace_key: Callable[[], None],
    ) -> None:
        """Create an applier.

        Args:
            clock: Unix seconds.
            name_on_device: returns the folded name whose session is on a device id on this node; empty if none is.
            replace_key: reads the bus key from the store and installs it; may raise `StoreUnavailable`.
        """
        self._store = store
        self._messenger = messenger
        self._room_changes = room_changes
        self._clock = clock
        self._name_on_device = name_on_device
        self._replace_key = replace_key
        self._own_changes = 0
        self._is_certain = True

    def count_own_change(self) -> None:
        """Note that this node has written to the store: a read under way may return an older state."""
        self._own_changes += 1

    def apply(self, change: Change) -> bool:
        """Apply a change. May be repeated, also after an error.

        Returns:
            False if this node wrote to the store during every attempt to read, so that the change must be applied
            again later.

        Raises:
            StoreUnavailable: the new state could not be read.
        """
        self._is_certain = True
        handler = CHANGE_HANDLERS.get(change.kind)
        if handler is not None:  # else it is of a later release
            handler(self, *change.subject, change.details)
        return self._is_certain

    def resync(self) -> None:
        """Compare everything in memory with the store, and update it. May be repeated.

        Raises:
            StoreUnavailable: the store could not be read.
        """
        self._replace_key()
        accounts = {account.id: account for account in self._read(self._store.accounts)}
        for id in accounts.keys() | self._messenger.authenticator.accounts_by_id.keys():
            self._update_account(id, accounts.get(id))
        self._end_outdated_sessions(accounts.values())
        self._resync_blocks(accounts)
        self._messenger.subscriptions.load_all()
        self._resync_rooms_and_sanctions()
        self._resync_sessions()

    def _resync_blocks(self, accounts: Iterable[int]) -> None:
        blocks: dict[int, dict[str, str]] = {id: {} for id in accounts}
        for id, key, name in self._read(self._store.blocks):
            blocks.setdefault(id, {})[key] = name
        for id, names in blocks.items():
            self._update_blocks(id, names)

    def _resync_rooms_and_sanctions(self) -> None:
        messenger = self._messenger
        stored = {(sanction.kind, sanction.target): sanction for sanction in self._read(self._store.sanctions)}
        rooms = {room.key: room for room in self._read(self._store.rooms)}
        for key in rooms.keys() | {room.key for room in messenger.rooms}:
            self._room_changes.update_room(key, rooms.get(key), "")
            self._resync_roles(key, rooms.get(key))
        accesses = self._read(self._store.room_accesses)
        for room in messenger.rooms:
            self._room_changes.update_access(room.key, accesses.get(room.key) or RoomAccess(), "", self._clock())
        for kind, target in stored.keys() | {(sanction.kind, sanction.target) for sanction in messenger.sanctions}:
            self._update_sanction(kind, target, stored.get((kind, target)), "")

    def _resync_roles(self, key: str, stored: RoomRecord | None) -> None:
        room = self._messenger.rooms.get(key)
        if room is not None and stored is not None:
            for id in room.roles.keys() | stored.roles.keys():
                self._room_changes.update_role(key, id, stored.roles.get(id, "member"), "")

    def _resync_sessions(self) -> None:
        """End sessions whose device has logged in elsewhere; have the others check for unsent messages."""
        self._messenger.authenticator.doubt_logins()
        sessions = [(session, session.device) for session in self._messenger.router if session.device is not None]
        login_counts = self._store.login_counts([device.id for _, device in sessions])
        for session, device in sessions:
            if login_counts.get(device.id, UNKNOWN_LOGIN_COUNT) > device.login_count:
                self.replace_session(session)
            elif not session.sync.catching_up:
                self._messenger.delivery.restart_catch_up(session)

    def replace_session(self, session: Session) -> None:
        """End a session that another one, on another node, has replaced."""
        self._messenger.logout(session)
        session.outbox.push(SessionReplaced(self._clock()))
        session.outbox.close_after_drain()

    def _read(self, query: Callable[[], ValueT]) -> ValueT:
        """Query the store, again if this node wrote to it meanwhile: the result may be older than memory then."""
        for _ in range(MAX_READS):
            before, result = self._own_changes, query()
            if before == self._own_changes:
                return result
        self._is_certain = False
        return result

    def _end_outdated_sessions(self, accounts: Iterable[Account]) -> None:
        """End the sessions of these accounts that began before the last change of their password in the store.

        It blocks on the store, so it comes after everything that was read is in memory.
        """
        authenticator = self._messenger.authenticator
        for stored in accounts:
            known = authenticator.accounts_by_id.get(stored.id)
            if known is not None and stored.generation > known.generation:
                authenticator.note_password_change(known, stored.generation)

    def _handle_account(self, id: int, details: ChangeDetails) -> None:
        stored = self._read(lambda: self._store.account(id))
        self._update_account(id, stored)
        if stored is not None:
            self._end_outdated_sessions([stored])

    def _update_account(self, id: int, stored: Account | None) -> None:
        known = self._messenger.authenticator.accounts_by_id.get(id)
        if stored is not None and known is None:
            self._add_account(stored)
        elif stored is None and known is not None:
            self._remove_account(known)
        elif stored is not None and known is not None:
            self._merge_account(stored, known)

    def _add_account(self, account: Account) -> None:
        self._messenger.authenticator.add_account(account)
        for session in list(self._messenger.router.sessions(account.key)):
            if session.account is None:
                self._close_session(session, NameTaken("Another user has registered this name."))

    def _remove_account(self, account: Account) -> None:
        account.disabled = True
        self._close_sessions(account.key, AccountDeleted())
        self._messenger.authenticator.remove_account(account)
        self._messenger.rooms.remove_account(account, {})
        self._messenger.blocks.discard(account.key)

    def _merge_account(self, stored: Account, known: Account) -> None:
        if stored.role != known.role:
            self._messenger.moderation.set_role(known, stored.role)
        if stored.disabled and not known.disabled:
            self._close_sessions(known.key, AccountDisabled())
        known.disabled = stored.disabled
        if stored.settings != known.settings:
            self._messenger.settings_service.update(known, stored.settings)
        if stored.profile != known.profile:
            self._messenger.profiles.update_account(known, stored.profile)

    def _handle_room(self, key: str, details: ChangeDetails) -> None:
        before = self._messenger.rooms.get(key)
        self._room_changes.update_room(key, self._read(lambda: self._store.room(key)), details.by)
        if self._messenger.rooms.get(key) is not before:  # a new one; of its access a change may have come before this
            self._handle_access(key, ChangeDetails())

    def _handle_member(self, room: str, account: int, details: ChangeDetails) -> None:
        readable = self._read(lambda: self._store.read_range(account, room))
        role = self._read(lambda: self._store.room_role(room, account))
        member = self._messenger.authenticator.accounts_by_id.get(account)
        if member is None:
            return
        # The store may have been read after a later change of the same member, whose author is not known here.
        removed_by = details.by if not details.reason else ""
        given_by = details.by if details.reason == role else ""
        self._room_changes.update_member(room, member, readable.start if readable else None, removed_by, details.said)
        self._room_changes.update_role(room, account, role, given_by)

    def _handle_sanction(self, kind: SanctionKind, target: str, details: ChangeDetails) -> None:
        stored = self._read(lambda: self._store.sanction(kind, target))
        self._update_sanction(kind, target, stored, details.by)

    def _update_sanction(self, kind: SanctionKind, target: str, stored: Sanction | None, by: str) -> None:
        sanctions = self._messenger.sanctions
        before = sanctions.find(kind, target)
        if stored is None:
            sanctions.discard(kind, target)
        else:
            sanctions.load(stored)
        is_new = stored != before
        if is_new:
            _log_sanction(kind, target, stored, by)
        active = sanctions.find(kind, target)  # None if it has expired
        if kind == "close":
            self._room_changes.update_closure(target, active, by)
        elif active is not None and is_new and kind == "name":
            self._close_sessions(target, sanctions.error_for(Banned, active))
        elif active is not None and is_new and kind == "network":
            self._messenger.moderation.disconnect_network(active)

    def _handle_blocks(self, id: int, details: ChangeDetails) -> None:
        self._update_blocks(id, self._read(lambda: self._store.blocked_by(id)))

    def _update_blocks(self, id: int, names: Mapping[str, str]) -> None:
        account = self._messenger.authenticator.accounts_by_id.get(id)
        if account is not None:
            self._messenger.blocks.load(account.key, names)

    def _handle_push(self, account: int, details: ChangeDetails) -> None:
        self._messenger.subscriptions.load(account, self._read(lambda: self._store.push_devices(account)))

    def _handle_device(self, id: int, details: ChangeDetails) -> None:
        is_dropped = details.reason == DROPPED
        if not is_dropped:
            self._messenger.router.peers.note_login(id)
        if self._session_on_device(id) is None:
            if is_dropped:
                self._messenger.authenticator.doubt_logins()
            return
        login_count = self._read(lambda: self._store.login_counts([id])).get(id, UNKNOWN_LOGIN_COUNT)
        session = self._session_on_device(id)
        if session is None or session.device is None or login_count <= session.device.login_count:
            return
        if is_dropped:
            self._messenger.session_closer.close_dropped(session)
        else:
            self.replace_session(session)

    def _session_on_device(self, device: int) -> Session | None:
        sessions = self._messenger.router.sessions(self._name_on_device(device))
        return next((one for one in sessions if one.device is not None and one.device.id == device), None)

    def _handle_guest(self, key: str, details: ChangeDetails) -> None:
        if self._store.name_holder(key) is None:  # the guest has resumed on this node since
            return
        for session in list(self._messenger.router.sessions(key)):
            if session.account is None:
                self._messenger.invitations.hand_over(session)
                self.replace_session(session)

    def _handle_kick(self, key: str, details: ChangeDetails) -> None:
        log.log_event("moderated", by=details.by, method="kick", what=key, reason=details.reason or None)
        self._close_sessions(key, with_reason(Kicked, details.reason))

    def _handle_bus_key(self, details: ChangeDetails) -> None:
        self._replace_key()

    def _handle_access(self, room: str, details: ChangeDetails) -> None:
        self._room_changes.update_access(
            room, self._read(lambda: self._store.room_access(room)), details.by, self._clock()
        )

    def _handle_guest_invitation(self, room: str, key: str, invited: int, details: ChangeDetails) -> None:
        found = self._messenger.rooms.get(room)
        if found is not None and invited:
            self._messenger.invitations.invite_guest_here(found, key, details.by, details.reason)
        elif found is not None:
            self._messenger.rooms.take_guest_invitation(found, key)

    def _handle_expel(self, room: str, key: str, details: ChangeDetails) -> None:
        found = self._messenger.rooms.get(room)
        if found is not None:  # stored first: where that fails, all of it is done again
            self._messenger.rooms.take_guest_invitation(found, key)
            self._messenger.room_sanctions.shut_out_guest_here(found, key, details.by)
        self._room_changes.expel(room, key, details.by, details.reason)

    def _close_sessions(self, key: str, error: WireError) -> None:
        self._messenger.session_closer.close_all(key, error)

    def _close_session(self, session: Session, error: WireError) -> None:
        self._messenger.session_closer.close(session, error)


def _log_sanction(kind: SanctionKind, target: str, stored: Sanction | None, by: str) -> None:
    imposed, lifted = SANCTION_VERBS[kind]
    if stored is not None:
        log.log_event("moderated", by=stored.by, method=imposed, what=target, reason=stored.reason or None)
    else:
        log.log_event("moderated", by=by, method=lifted, what=target, reason=None)


CHANGE_HANDLERS: Final[dict[str, Callable[..., None]]] = {
    "account": ChangeApplier._handle_account,
    "room": ChangeApplier._handle_room,
    "member": ChangeApplier._handle_member,
    "sanction": ChangeApplier._handle_sanction,
    "blocks": ChangeApplier._handle_blocks,
    "device": ChangeApplier._handle_device,
    "push": ChangeApplier._handle_push,
    "guest": ChangeApplier._handle_guest,
    "kick": ChangeApplier._handle_kick,
    "expel": ChangeApplier._handle_expel,
    "access": ChangeApplier._handle_access,
    "guest invitation": ChangeApplier._handle_guest_invitation,
    "bus key": ChangeApplier._handle_bus_key,
}
"""Handler of each kind of change; it is called with the parts of the change's subject, and its details."""
