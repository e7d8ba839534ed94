"""Applying: what another node has changed is asked of the store and made so in memory, and whoever is here is told.

A change only says what it is about. Whether it was heard of twice or late does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from gmessenger import logs
from gmessenger.chat.model import Replaced
from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.sanctions import because
from gmessenger.chat.service import Messenger
from gmessenger.chat.session import Session
from gmessenger.cluster.contract import SharedStore
from gmessenger.cluster.records import Change
from gmessenger.cluster.room_changes import RoomChanges
from gmessenger.errors import AccountDeleted, AccountDisabled, Banned, Kicked, NameTaken, PasswordNeeded, WireError

Value = TypeVar("Value")
VERBS: Final = {
    "name": ("ban", "unban"),
    "network": ("ban", "unban"),
    "mute": ("mute", "unmute"),
    "close": ("close", "open"),
}
"""What a sanction of a kind is called in the log when it is imposed, and when it is lifted."""
MORE: Final = 2**62
ANSWERS: Final = 5
"""How often something is asked again because this node has changed something meanwhile."""


class Applying:
    """Blocks as the store does; what it does in memory it does without letting anybody in between."""

    def __init__(
        self,
        store: SharedStore,
        messenger: Messenger,
        rooms: RoomChanges,
        clock: Callable[[], float],
        name_on: Callable[[int], str],
        rekey: Callable[[], None],
    ) -> None:
        """`name_on` says whose session is here on a device, by its id; nothing where none is. `rekey` has the bus use
        the key that is kept now; it may raise `StoreUnavailable`.
        """
        self._store = store
        self._messenger = messenger
        self._rooms = rooms
        self._clock = clock
        self._name_on = name_on
        self._rekey = rekey
        self._own = 0
        self._sure = True

    def changed_here(self) -> None:
        """This node has changed something itself."""
        self._own += 1

    def apply(self, change: Change) -> bool:
        """Make it so here; False where this node has changed so much meanwhile that it has to be asked again.

        Raises `StoreUnavailable`, and can then be asked again.
        """
        self._sure = True
        how = HOW.get(change.kind)
        if how is not None:  # else a later release knows
            how(self, *change.subject, change.details)
        return self._sure

    def compare(self) -> None:
        """Make everything so. Raises `StoreUnavailable`, and can then be asked again."""
        messenger, store = self._messenger, self._store
        self._rekey()
        accounts = {account.id: account for account in self._ask(store.accounts)}
        for id in accounts.keys() | messenger.entrance.by_id.keys():
            self._follow_account(id, accounts.get(id))
        blocks: dict[int, dict[str, str]] = {id: {} for id in accounts}
        for id, key, name in self._ask(store.blocks):
            blocks.setdefault(id, {})[key] = name
        for id, names in blocks.items():
            self._follow_blocks(id, names)
        sanctions = {(each.kind, each.target): each for each in self._ask(store.sanctions)}
        rooms = {room.key: room for room in self._ask(store.rooms)}
        for key in rooms.keys() | {room.key for room in messenger.rooms}:
            self._rooms.follow(key, rooms.get(key), "")
        for kind, target in sanctions.keys() | {(each.kind, each.target) for each in messenger.sanctions}:
            self._follow_sanction(kind, target, sanctions.get((kind, target)), "")
        self._compare_sessions()

    def _compare_sessions(self) -> None:
        """Who was connected all the time may have been replaced, and has to look what it was not sent."""
        sessions = [session for session in self._messenger.router if session.device is not None]
        entries = self._store.entries([session.device.id for session in sessions if session.device is not None])
        for session in sessions:
            if session.device is not None and entries.get(session.device.id, MORE) > session.device.entry:
                self.replace(session)
            elif not session.behind:
                self._messenger.delivery.fall_behind(session)

    def replace(self, session: Session) -> None:
        """Another session has taken its place, elsewhere."""
        self._messenger.logout(session)
        session.outbox.insist(Replaced(self._clock()))
        session.outbox.finish()

    def _ask(self, question: Callable[[], Value]) -> Value:
        """How something is now: asked again where it may have been changed here before the answer came."""
        for _ in range(ANSWERS):
            before, answer = self._own, question()
            if before == self._own:
                return answer
        self._sure = False
        return answer

    def _account(self, id: int, details: dict[str, Any]) -> None:
        self._follow_account(id, self._ask(lambda: self._store.account(id)))

    def _follow_account(self, id: int, kept: Account | None) -> None:
        known = self._messenger.entrance.by_id.get(id)
        if kept is not None and known is None:
            self._add(kept)
        elif kept is None and known is not None:
            self._remove(known)
        elif kept is not None and known is not None:
            self._compare(kept, known)

    def _add(self, account: Account) -> None:
        self._messenger.entrance.add(account)
        for session in list(self._messenger.router.sessions(account.key)):
            if session.account is None:
                self._dismiss_one(session, NameTaken("Another user has registered this name."))

    def _remove(self, account: Account) -> None:
        account.disabled = True
        self._dismiss(account.key, AccountDeleted())
        self._messenger.entrance.remove(account)
        self._messenger.rooms.forget_account(account)
        self._messenger.blocks.forget(account.key)

    def _compare(self, kept: Account, known: Account) -> None:
        if kept.role != known.role:
            self._messenger.moderation.granted(known, kept.role)
        if kept.generation != known.generation:
            known.generation = kept.generation
            self._dismiss(known.key, PasswordNeeded("The password has been changed: log in again."))
        if kept.disabled and not known.disabled:
            self._dismiss(known.key, AccountDisabled())
        known.disabled = kept.disabled

    def _room(self, key: str, details: dict[str, Any]) -> None:
        self._rooms.follow(key, self._ask(lambda: self._store.room(key)), details.get("by", ""))

    def _member(self, room: str, account: int, details: dict[str, Any]) -> None:
        visible = self._ask(lambda: self._store.visible_from(account, room))
        who = self._messenger.entrance.by_id.get(account)
        if who is not None:
            self._rooms.follow_member(room, who, visible, details.get("by", ""))

    def _sanction(self, kind: Any, target: str, details: dict[str, Any]) -> None:
        kept = self._ask(lambda: self._store.sanction(kind, target))
        self._follow_sanction(kind, target, kept, details.get("by", ""))

    def _follow_sanction(self, kind: Any, target: str, kept: Sanction | None, by: str) -> None:
        sanctions, before = self._messenger.sanctions, self._messenger.sanctions.find(kind, target)
        if kept is None:
            sanctions.drop(kind, target)
        else:
            sanctions.remember(kept)
        if kept != before:
            who, reason = (kept.by, kept.reason) if kept is not None else (by, "")
            logs.event("moderated", by=who, method=VERBS[kind][kept is None], what=target, reason=reason or None)
        kept = sanctions.find(kind, target)  # None where it is over
        if kind == "close":
            self._rooms.follow_closing(target, kept, by)
        elif kept is not None and kept != before and kind == "name":
            self._dismiss(target, sanctions.refusal(Banned, kept))
        elif kept is not None and kept != before and kind == "network":
            self._messenger.moderation.close_network(kept)

    def _blocks(self, id: int, details: dict[str, Any]) -> None:
        self._follow_blocks(id, self._ask(lambda: self._store.blocked_by(id)))

    def _follow_blocks(self, id: int, names: Mapping[str, str]) -> None:
        account = self._messenger.entrance.by_id.get(id)
        if account is not None:
            self._messenger.blocks.know(account.key, names)

    def _device(self, id: int, details: dict[str, Any]) -> None:
        if self._session_on(id) is None:
            return
        entry = self._ask(lambda: self._store.entries([id])).get(id, MORE)
        session = self._session_on(id)
        if session is not None and session.device is not None and entry > session.device.entry:
            self.replace(session)

    def _session_on(self, device: int) -> Session | None:
        sessions = self._messenger.router.sessions(self._name_on(device))
        return next((each for each in sessions if each.device is not None and each.device.id == device), None)

    def _guest(self, key: str, details: dict[str, Any]) -> None:
        if self._store.holder(key) is None:  # it has come back here since
            return
        for session in list(self._messenger.router.sessions(key)):
            if session.account is None:
                self.replace(session)

    def _kick(self, key: str, details: dict[str, Any]) -> None:
        reason = details.get("reason", "")
        logs.event("moderated", by=details.get("by", ""), method="kick", what=key, reason=reason or None)
        self._dismiss(key, because(Kicked, reason))

    def _bus_key(self, details: dict[str, Any]) -> None:
        self._rekey()

    def _expel(self, room: str, key: str, details: dict[str, Any]) -> None:
        self._rooms.expel(room, key, details.get("by", ""))

    def _dismiss(self, key: str, error: WireError) -> None:
        self._messenger.dismissal.everybody(key, error)

    def _dismiss_one(self, session: Session, error: WireError) -> None:
        self._messenger.dismissal.one(session, error)


HOW: Final[dict[str, Callable[..., None]]] = {
    "account": Applying._account,
    "room": Applying._room,
    "member": Applying._member,
    "sanction": Applying._sanction,
    "blocks": Applying._blocks,
    "device": Applying._device,
    "guest": Applying._guest,
    "kick": Applying._kick,
    "expel": Applying._expel,
    "bus key": Applying._bus_key,
}
"""How each kind of change is made so; each is given the change's subject and details."""
