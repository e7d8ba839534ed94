"""The other nodes of a cluster, as the chat sees them. A server on its own has no peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gmessenger.chat.outbound import Message, Outbound, Signal

if TYPE_CHECKING:
    from gmessenger.chat.session import Session


class PeerPresence(Struct, frozen=True, array_like=True):
    """The presence of a name on another node.

    `since`: when the status was set, in Unix seconds. `devices`: the ids of the sessions' devices.
    `rooms`: the keys of the rooms that a guest is in. `public_key`: with which others can encrypt for a guest.
    `note`: of the status, or empty. `invitations`: keys of the rooms that a guest is invited to, each with by whom.
    `departures`: the rooms that a guest has left last: key, who has removed it, and why; each may be empty.
    """

    name: str
    status: str
    since: float
    is_guest: bool
    session_count: int
    devices: tuple[int, ...] = ()
    rooms: tuple[str, ...] = ()
    public_key: str = ""
    note: str = ""
    invitations: tuple[tuple[str, str], ...] = ()
    departures: tuple[tuple[str, str, str], ...] = ()


class Reservation(Protocol):
    """Room for one message that an outbox, here or on another node, keeps free."""

    def release(self, size: int) -> None:
        """Give the room back: the message comes now, or will not come."""


class Peers:
    """What the chat asks of the other nodes, and tells them; as it is for a server on its own: there are none.

    `cluster.peers.ClusterPeers` implements it for a node. Methods that raise `StoreUnavailable` may block; the others
    never do.
    """

    def __init__(self) -> None:
        self.listeners: dict[str, Callable[[Sequence[str]], object]] = {}
        """Callbacks by protocol, for messages that the same protocol sends from other nodes. They must not block."""
        self.presences: dict[str, dict[str, PeerPresence]] = {}
        """By folded name, then by node; the inner dicts are never empty."""

    def __contains__(self, key: str) -> bool:
        """Return whether a name is online on another node."""
        return key in self.presences

    def __iter__(self) -> Iterator[str]:
        return iter(self.presences)

    def latest(self, key: str) -> PeerPresence | None:
        """Return the presence of a name on the node where its status was set last."""
        by_node = self.presences.get(key)
        return max(by_node.values(), key=lambda presence: presence.since) if by_node else None

    def rooms_of(self, key: str) -> set[str]:
        """Return the keys of the rooms that a guest of another node is in."""
        return {room for presence in self.presences.get(key, {}).values() for room in presence.rooms}

    def inviter_of(self, room: str, key: str) -> str | None:
        """Return who has invited a guest of another node to a room, given by its key; None if that is not known."""
        presences = self.presences.get(key, {}).values()
        return next((by for presence in presences for each, by in presence.invitations if each == room), None)

    def devices_of(self, key: str) -> list[int]:
        """Return the ids of the devices with which an account is online on other nodes."""
        return [device for presence in self.presences.get(key, {}).values() for device in presence.devices]

    def note_login(self, device: int) -> None:
        """Take note that a session has begun on a device on another node: its presence may come later."""

    def has_just_logged_in(self, device: int) -> bool:
        """Return whether a session on another node has begun on a device that may not be known to be online yet."""
        return False

    def session_count(self, key: str) -> int:
        """Return the number of sessions of a name on other nodes."""
        return sum(presence.session_count for presence in self.presences.get(key, {}).values())

    def note_departure(self, key: str, room: str, by: str, reason: str) -> None:
        """Have the other nodes told why a guest has left a room; `presence_changed` comes next."""

    def presence_changed(self, key: str) -> None:
        """Publish the presence of a name on this node, if it has changed."""

    def conversation_deleted(self, conversation: str) -> None:
        """Forget a conversation that was deleted: another one of that key begins anew."""

    def sync(self, key: str = "") -> bool:
        """Apply what other nodes have changed up to now, and find out whether a guest of that name is on one of them.

        Returns False if there are no other nodes. Raises `StoreUnavailable`.
        """
        return False

    def claim(self, session: Session, resumed_token: str | None, key: str = "") -> None:
        """Claim a guest's name for this node; messages that were sent to the name before are not for this guest.

        `key`: the folded name, if it is another one than the session has yet. `resumed_token` resumes a guest of
        another node, whose token the session keeps. Raises `NameInUse`, `NameTaken` for an account's name, or
        `StoreUnavailable`.
        """

    def lock_account(self, account: int, locked: bool = True) -> bool:
        """Lock an account on all nodes, which ends its sessions, or unlock it.

        Returns False if there are no other nodes. Raises `StoreUnavailable`.
        """
        return False

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        """Deliver to a guest that becomes an account with these cursors what is up to them, before it has them.

        Raises `StoreUnavailable`.
        """

    def release(self, key: str) -> None:
        """Release a guest's name."""

    def send_receipt(self, key: str, receipt: Outbound) -> None:
        """Send a receipt to the sessions of a name on other nodes."""

    def broadcast(self, message: Message) -> None:
        """Send a broadcast to the sessions on other nodes."""

    def tell(self, protocol: str, *words: str) -> None:
        """Send a message to a protocol on the other nodes. It is not stored: a node that is unreachable misses it."""

    def send_signal(self, signal: Signal) -> None:
        """Send a signal to the sessions on other nodes that it is for."""

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """Relay a message to a guest on another node. Returns into how many outboxes it was put.

        A message that is sent again with the same `id` is put there once. Raises `RecipientGone`, `RecipientBusy`,
        `Blocked` or `StoreUnavailable`.
        """
        raise NotImplementedError

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        """Reserve room for a message to a guest on another node. Raises as `relay`."""
        raise NotImplementedError

    def kick(self, key: str, by: str, reason: str) -> int | None:
        """Have the sessions of a name closed on other nodes.

        Returns how many this node knows of; None if the name is not online there. Raises `StoreUnavailable`.
        """
        return None

    def invite_guest(self, room: str, key: str, by: str, *, invited: bool = True, digest: str = "") -> None:
        """Have a guest of another node invited to a room, or not any more. Raises `StoreUnavailable`.

        With the `digest` of a token, it is only for the guest whose session has that.
        """

    def expel(self, room: str, key: str, by: str, reason: str = "") -> None:
        """Have a guest of another node removed from a room, and its network kept out. Raises `StoreUnavailable`."""
