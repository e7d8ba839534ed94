"""Elsewhere: who is on the other servers of a cluster, and the ways to them. For a server that is alone: nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gmessenger.chat.model import Message, Parcel

if TYPE_CHECKING:
    from gmessenger.chat.session import Session


class Shown(Struct, frozen=True, array_like=True):
    """A name as another server shows it: with the `status` it has had `since` then, its number of `sessions`, the ids
    of their `devices`, and, of a `guest`, the keys of the rooms it is in.
    """

    name: str
    status: str
    since: float
    guest: bool
    sessions: int
    devices: tuple[int, ...] = ()
    rooms: tuple[str, ...] = ()


class Promise(Protocol):
    """Room that is kept in an outbox."""

    def redeem(self, weight: int) -> None:
        """Give it back: now the parcel comes, or will not come."""


class Elsewhere:
    """What a server that is alone knows of others: nothing, and nothing has to be told to anybody.

    A cluster's servers have another one. Methods that raise `StoreUnavailable` may block; the others never do.
    """

    def __init__(self) -> None:
        self.shown: dict[str, dict[str, Shown]] = {}
        """By folded name, then by server: never an empty dict."""

    def __contains__(self, key: str) -> bool:
        return key in self.shown

    def __iter__(self) -> Iterator[str]:
        return iter(self.shown)

    def newest(self, key: str) -> Shown | None:
        """How a name is shown by the server where it came, or said how it is, last."""
        there = self.shown.get(key)
        return max(there.values(), key=lambda shown: shown.since) if there else None

    def rooms(self, key: str) -> set[str]:
        """The keys of the rooms that a guest elsewhere is in."""
        return {room for shown in self.shown.get(key, {}).values() for room in shown.rooms}

    def devices(self, key: str) -> list[int]:
        """The devices on which an account is elsewhere."""
        return [device for shown in self.shown.get(key, {}).values() for device in shown.devices]

    def sessions(self, key: str) -> int:
        """How many sessions a name has elsewhere."""
        return sum(shown.sessions for shown in self.shown.get(key, {}).values())

    def showing(self, key: str) -> None:
        """How a name is present here may have changed."""

    def ended(self, conversation: str) -> None:
        """Nothing more is said under that key, unless in another conversation."""

    def freshen(self, key: str = "") -> bool:
        """Learn what others have changed up to now, and whether a guest of that name is elsewhere; False where there
        are no others. Raises `StoreUnavailable`.
        """
        return False

    def claim(self, session: Session, resumed: str | None) -> None:
        """Have a guest's name held for this server, and what was said under it before not be for this guest.

        Where that `resumed` a guest who was elsewhere, its token stays. Raises `NameInUse`, `NameTaken` for an
        account's, or `StoreUnavailable`.
        """

    def shut_out(self, account: int, out: bool = True) -> bool:
        """Have nobody be that account elsewhere, or let it in again; False where there are no others.

        Raises `StoreUnavailable`.
        """
        return False

    def owe(self, session: Session, cursors: Mapping[str, int]) -> None:
        """A guest becomes an account with these cursors: what was on its way to the guest has to come first."""

    def release(self, key: str) -> None:
        """A guest's name is free."""

    def tell(self, key: str, parcel: Parcel) -> None:
        """Put a parcel into the outboxes of that name elsewhere."""

    def tell_everybody(self, message: Message) -> None:
        """A broadcast."""

    def hand_over(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """Have a message put into the outboxes of a guest elsewhere; says into how many. With an `id` it may be sent
        again, and is put there once.

        Raises `NotHere`, `RecipientBusy`, `Blocked` or `StoreUnavailable`.
        """
        raise NotImplementedError

    def promise(self, sender: str, key: str, weight: int) -> Sequence[Promise]:
        """Have room kept for a message to a guest elsewhere. Raises as `hand_over`."""
        raise NotImplementedError

    def kick(self, key: str, by: str, reason: str) -> int | None:
        """Have the sessions of a name closed elsewhere; says how many are known of, None where nobody has that name.

        Raises `StoreUnavailable`.
        """
        return None

    def expel(self, room: str, key: str, by: str) -> None:
        """Have a guest taken out of a room elsewhere. Raises `StoreUnavailable`."""
