"""What other nodes change about rooms, made so here; whoever is in a room here is told as if it had been done here.

Applying: what another node has changed is asked of the store and made so in memory, and whoever is here is told.

A change only says what it is about. Whether it was heard of twice or late does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from gmessenger import log
from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import RoomEvent, SessionReplaced
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry, with_reason
from gmessenger.chat.session import Session
from gmessenger.cluster.interfaces import Change, SharedStore
from gmessenger.errors import AccountDeleted, AccountDisabled, Banned, Kicked, NameTaken, PasswordRequired, WireError


class RoomChangeApplier:
    """Nothing here blocks. `taken_in` is told of rooms that were not known here before."""

    def __init__(
        self,
        rooms: RoomRegistry,
        router: Router,
        delivery: DeliveryService,
        sanctions: SanctionRegistry,
        accounts: Mapping[int, Account],
        on_room_loaded: Callable[[Room], None],
    ) -> None:
        self._rooms = rooms
        self._router = router
        self._delivery = delivery
        self._sanctions = sanctions
        self._accounts = accounts
        self._on_room_loaded = on_room_loaded

    def update_room(self, key: str, stored: RoomRecord | None, by: str) -> None:
        """A room is so now, or is gone."""
        room = self._rooms.get(key)
        if room is not None and (stored is None or stored.id != room.id):
            self._sanctions.discard("close", key)
            self._rooms.discard(room)
            room = None
        if room is not None and stored is not None:
            self._merge_room(room, stored, by)
        elif stored is not None:
            room = self._rooms.load(stored)
            room.closure = self._sanctions.find("close", key)
            self._on_room_loaded(room)
            for id, account in room.members.items():
                self._set_visible_from(room, account, stored.members[id])

    def update_member(self, key: str, account: Account, visible_from: int | None, by: str) -> None:
        """An account is in a room and may read from a seq on, or is in it no more."""
        room = self._rooms.get(key)
        if room is None:
            return
        if visible_from is None:
            self._rooms.remove_member(
                room, account.key, account, RoomEvent("leave", room.name, account.name, by=by or None), None
            )
            return
        new = account.id not in room.members
        room.members[account.id] = account
        if new:
            self._rooms.notify(room, RoomEvent("join", room.name, account.name), None)
        self._set_visible_from(room, account, visible_from)

    def _set_visible_from(self, room: Room, account: Account, visible_from: int) -> None:
        """Its sessions here are owed what was said from there on."""
        self._rooms.set_cursor(account.key, room.key, visible_from - 1)
        for session in self._router.sessions(account.key):
            self._delivery.check_gap(session, room.key, room.head)

    def update_closure(self, key: str, closure: Sanction | None, by: str) -> None:
        """A room is closed, or open."""
        room = self._rooms.get(key)
        if room is None or (room.closure is None) == (closure is None):
            return
        self._rooms.set_closure(
            room, closure, closure.by if closure is not None else by, closure.reason if closure else ""
        )

    def expel(self, key: str, guest: str, by: str) -> None:
        """A guest has been taken out of a room, wherever that guest is."""
        room = self._rooms.get(key)
        if room is None:
            return
        if guest in room.guests:
            change = RoomEvent("leave", room.name, room.guests[guest].name, by=by)
            self._rooms.remove_member(room, guest, None, change, None)
        elif (name := room.remote_guests.pop(guest, None)) is not None:
            self._rooms.notify(room, RoomEvent("leave", room.name, name, by=by), None)

    def _merge_room(self, room: Room, stored: RoomRecord, by: str) -> None:
        room.head = max(room.head, stored.head)
        if stored.topic != room.topic:
            room.topic = stored.topic
            self._rooms.notify(room, RoomEvent("topic", room.name, by, topic=stored.topic), None)
        for id in room.members.keys() ^ stored.members.keys():
            if (account := self._accounts.get(id)) is not None:
                self.update_member(room.key, account, stored.members.get(id), by)


ValueT = TypeVar("ValueT")
SANCTION_VERBS: Final = {
    "name": ("ban", "unban"),
    "network": ("ban", "unban"),
    "mute": ("mute", "unmute"),
    "close": ("close", "open"),
}
"""What a sanction of a kind is called in the log when it is imposed, and when it is lifted."""
UNKNOWN_LOGIN_COUNT: Final = 2**62
MAX_READS: Final = 5
"""How often something is asked again because this node has changed something meanwhile."""


class ChangeApplier:
    """Blocks as the store does; what it does in memory it does without letting anybody in between."""

    def __init__(
        self,
        store: SharedStore,
        messenger: Messenger,
        room_changes: RoomChangeApplier,
        clock: Callable[[], float],
        name_on_device: Callable[[int], str],
        replace_key: Callable[[], None],
    ) -> None:
        """`name_on` says whose session is here on a device, by its id; nothing where none is. `rekey` has the bus use
        the key that is kept now; it may raise `StoreUnavailable`.
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
        """This node has changed something itself."""
        self._own_changes += 1

    def apply(self, change: Change) -> bool:
        """Make it so here; False where this node has changed so much meanwhile that it has to be asked again.

        Raises `StoreUnavailable`, and can then be asked again.
        """
        self._is_certain = True
        how = CHANGE_HANDLERS.get(change.kind)
        if how is not None:  # else a later release knows
            how(self, *change.subject, change.details)
        return self._is_certain

    def resync(self) -> None:
        """Make everything so. Raises `StoreUnavailable`, and can then be asked again."""
        messenger, store = self._messenger, self._store
        self._replace_key()
        accounts = {account.id: account for account in self._read(store.accounts)}
        for id in accounts.keys() | messenger.authenticator.accounts_by_id.keys():
            self._update_account(id, accounts.get(id))
        blocks: dict[int, dict[str, str]] = {id: {} for id in accounts}
        for id, key, name in self._read(store.blocks):
            blocks.setdefault(id, {})[key] = name
        for id, names in blocks.items():
            self._update_blocks(id, names)
        sanctions = {(each.kind, each.target): each for each in self._read(store.sanctions)}
        rooms = {room.key: room for room in self._read(store.rooms)}
        for key in rooms.keys() | {room.key for room in messenger.rooms}:
            self._room_changes.update_room(key, rooms.get(key), "")
        for kind, target in sanctions.keys() | {(each.kind, each.target) for each in messenger.sanctions}:
            self._update_sanction(kind, target, sanctions.get((kind, target)), "")
        self._resync_sessions()

    def _resync_sessions(self) -> None:
        """Who was connected all the time may have been replaced, and has to look what it was not sent."""
        sessions = [session for session in self._messenger.router if session.device is not None]
        entries = self._store.login_counts([session.device.id for session in sessions if session.device is not None])
        for session in sessions:
            if (
                session.device is not None
                and entries.get(session.device.id, UNKNOWN_LOGIN_COUNT) > session.device.login_count
            ):
                self.replace_session(session)
            elif not session.catching_up:
                self._messenger.delivery.restart_catch_up(session)

    def replace_session(self, session: Session) -> None:
        """Another session has taken its place, elsewhere."""
        self._messenger.logout(session)
        session.outbox.push(SessionReplaced(self._clock()))
        session.outbox.close_after_drain()

    def _read(self, query: Callable[[], ValueT]) -> ValueT:
        """How something is now: asked again where it may have been changed here before the answer came."""
        for _ in range(MAX_READS):
            before, answer = self._own_changes, query()
            if before == self._own_changes:
                return answer
        self._is_certain = False
        return answer

    def _handle_account(self, id: int, details: dict[str, Any]) -> None:
        self._update_account(id, self._read(lambda: self._store.account(id)))

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
        self._messenger.rooms.remove_account(account)
        self._messenger.blocks.discard(account.key)

    def _merge_account(self, stored: Account, known: Account) -> None:
        if stored.role != known.role:
            self._messenger.moderation.set_role(known, stored.role)
        if stored.generation != known.generation:
            known.generation = stored.generation
            self._close_sessions(known.key, PasswordRequired("The password has been changed: log in again."))
        if stored.disabled and not known.disabled:
            self._close_sessions(known.key, AccountDisabled())
        known.disabled = stored.disabled

    def _handle_room(self, key: str, details: dict[str, Any]) -> None:
        self._room_changes.update_room(key, self._read(lambda: self._store.room(key)), details.get("by", ""))

    def _handle_member(self, room: str, account: int, details: dict[str, Any]) -> None:
        visible = self._read(lambda: self._store.visible_from(account, room))
        who = self._messenger.authenticator.accounts_by_id.get(account)
        if who is not None:
            self._room_changes.update_member(room, who, visible, details.get("by", ""))

    def _handle_sanction(self, kind: Any, target: str, details: dict[str, Any]) -> None:
        kept = self._read(lambda: self._store.sanction(kind, target))
        self._update_sanction(kind, target, kept, details.get("by", ""))

    def _update_sanction(self, kind: Any, target: str, stored: Sanction | None, by: str) -> None:
        sanctions, before = self._messenger.sanctions, self._messenger.sanctions.find(kind, target)
        if stored is None:
            sanctions.discard(kind, target)
        else:
            sanctions.load(stored)
        if stored != before:
            who, reason = (stored.by, stored.reason) if stored is not None else (by, "")
            log.log_event(
                "moderated", by=who, method=SANCTION_VERBS[kind][stored is None], what=target, reason=reason or None
            )
        stored = sanctions.find(kind, target)  # None where it is over
        if kind == "close":
            self._room_changes.update_closure(target, stored, by)
        elif stored is not None and stored != before and kind == "name":
            self._close_sessions(target, sanctions.error_for(Banned, stored))
        elif stored is not None and stored != before and kind == "network":
            self._messenger.moderation.disconnect_network(stored)

    def _handle_blocks(self, id: int, details: dict[str, Any]) -> None:
        self._update_blocks(id, self._read(lambda: self._store.blocked_by(id)))

    def _update_blocks(self, id: int, names: Mapping[str, str]) -> None:
        account = self._messenger.authenticator.accounts_by_id.get(id)
        if account is not None:
            self._messenger.blocks.load(account.key, names)

    def _handle_device(self, id: int, details: dict[str, Any]) -> None:
        if self._session_on_device(id) is None:
            return
        entry = self._read(lambda: self._store.login_counts([id])).get(id, UNKNOWN_LOGIN_COUNT)
        session = self._session_on_device(id)
        if session is not None and session.device is not None and entry > session.device.login_count:
            self.replace_session(session)

    def _session_on_device(self, device: int) -> Session | None:
        sessions = self._messenger.router.sessions(self._name_on_device(device))
        return next((each for each in sessions if each.device is not None and each.device.id == device), None)

    def _handle_guest(self, key: str, details: dict[str, Any]) -> None:
        if self._store.name_holder(key) is None:  # it has come back here since
            return
        for session in list(self._messenger.router.sessions(key)):
            if session.account is None:
                self.replace_session(session)

    def _handle_kick(self, key: str, details: dict[str, Any]) -> None:
        reason = details.get("reason", "")
        log.log_event("moderated", by=details.get("by", ""), method="kick", what=key, reason=reason or None)
        self._close_sessions(key, with_reason(Kicked, reason))

    def _handle_bus_key(self, details: dict[str, Any]) -> None:
        self._replace_key()

    def _handle_expel(self, room: str, key: str, details: dict[str, Any]) -> None:
        self._room_changes.expel(room, key, details.get("by", ""))

    def _close_sessions(self, key: str, error: WireError) -> None:
        self._messenger.session_closer.close_all(key, error)

    def _close_session(self, session: Session, error: WireError) -> None:
        self._messenger.session_closer.close(session, error)


CHANGE_HANDLERS: Final[dict[str, Callable[..., None]]] = {
    "account": ChangeApplier._handle_account,
    "room": ChangeApplier._handle_room,
    "member": ChangeApplier._handle_member,
    "sanction": ChangeApplier._handle_sanction,
    "blocks": ChangeApplier._handle_blocks,
    "device": ChangeApplier._handle_device,
    "guest": ChangeApplier._handle_guest,
    "kick": ChangeApplier._handle_kick,
    "expel": ChangeApplier._handle_expel,
    "bus key": ChangeApplier._handle_bus_key,
}
"""How each kind of change is made so; each is given the change's subject and details."""
