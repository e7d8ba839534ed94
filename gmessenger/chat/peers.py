"""Elsewhere: who is on the other servers of a cluster, and the ways to them. For a server that is alone: nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gmessenger.chat.outbox import Message, Outbound

if TYPE_CHECKING:
    from gmessenger.chat.session import Session


class PeerPresence(Struct, frozen=True, array_like=True):
    """A name as another server shows it: with the `status` it has had `since` then, its number of `sessions`, the ids
    of their `devices`, and, of a `guest`, the keys of the rooms it is in.
    """

    name: str
    status: str
    since: float
    is_guest: bool
    session_count: int
    devices: tuple[int, ...] = ()
    rooms: tuple[str, ...] = ()


class Reservation(Protocol):
    """Room that is kept in an outbox."""

    def release(self, size: int) -> None:
        """Give it back: now the parcel comes, or will not come."""


class Peers:
    """What a server that is alone knows of others: nothing, and nothing has to be told to anybody.

    A cluster's servers have another one. Methods that raise `StoreUnavailable` may block; the others never do.
    """

    def __init__(self) -> None:
        self.presences: dict[str, dict[str, PeerPresence]] = {}
        """By folded name, then by server: never an empty dict."""

    def __contains__(self, key: str) -> bool:
        return key in self.presences

    def __iter__(self) -> Iterator[str]:
        return iter(self.presences)

    def latest(self, key: str) -> PeerPresence | None:
        """How a name is shown by the server where it came, or said how it is, last."""
        there = self.presences.get(key)
        return max(there.values(), key=lambda shown: shown.since) if there else None

    def rooms_of(self, key: str) -> set[str]:
        """The keys of the rooms that a guest elsewhere is in."""
        return {room for shown in self.presences.get(key, {}).values() for room in shown.rooms}

    def devices_of(self, key: str) -> list[int]:
        """The devices on which an account is elsewhere."""
        return [device for shown in self.presences.get(key, {}).values() for device in shown.devices]

    def session_count(self, key: str) -> int:
        """How many sessions a name has elsewhere."""
        return sum(shown.session_count for shown in self.presences.get(key, {}).values())

    def presence_changed(self, key: str) -> None:
        """How a name is present here may have changed."""

    def conversation_deleted(self, conversation: str) -> None:
        """Nothing more is said under that key, unless in another conversation."""

    def sync(self, key: str = "") -> bool:
        """Learn what others have changed up to now, and whether a guest of that name is elsewhere; False where there
        are no others. Raises `StoreUnavailable`.
        """
        return False

    def claim(self, session: Session, resumed_token: str | None) -> None:
        """Have a guest's name held for this server, and what was said under it before not be for this guest.

        Where that `resumed` a guest who was elsewhere, its token stays. Raises `NameInUse`, `NameTaken` for an
        account's, or `StoreUnavailable`.
        """

    def lock_account(self, account: int, locked: bool = True) -> bool:
        """Have nobody be that account elsewhere, or let it in again; False where there are no others.

        Raises `StoreUnavailable`.
        """
        return False

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        """A guest becomes an account with these cursors: what was on its way to the guest has to come first."""

    def release(self, key: str) -> None:
        """A guest's name is free."""

    def send_receipt(self, key: str, receipt: Outbound) -> None:
        """Put a parcel into the outboxes of that name elsewhere."""

    def broadcast(self, message: Message) -> None:
        """A broadcast."""

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """Have a message put into the outboxes of a guest elsewhere; says into how many. With an `id` it may be sent
        again, and is put there once.

        Raises `RecipientGone`, `RecipientBusy`, `Blocked` or `StoreUnavailable`.
        """
        raise NotImplementedError

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        """Have room kept for a message to a guest elsewhere. Raises as `hand_over`."""
        raise NotImplementedError

    def kick(self, key: str, by: str, reason: str) -> int | None:
        """Have the sessions of a name closed elsewhere; says how many are known of, None where nobody has that name.

        Raises `StoreUnavailable`.
        """
        return None

    def expel(self, room: str, key: str, by: str) -> None:
        """Have a guest taken out of a room elsewhere. Raises `StoreUnavailable`."""
