"""Interfaces of a cluster node to the shared store and the bus, and the records they exchange.

The store is authoritative and numbers the messages. The bus carries hints only: a frame that is lost, duplicated or
reordered costs time, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias, TypeGuard

from msgspec import Struct, field

from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.room_access import RoomAccess
from gmessenger.chat.storage import Store
from gmessenger.room_roles import RoomRole

ChangeKind: TypeAlias = Literal[
    "account",
    "room",
    "member",
    "access",
    "sanction",
    "blocks",
    "device",
    "push",
    "guest",
    "guest invitation",
    "kick",
    "expel",
    "bus key",
]


DROPPED: Final = "dropped"
"""The reason of a change of a device whose owner has revoked its token."""


class ChangeDetails(Struct, frozen=True, omit_defaults=True):
    """Facts about a change that the store keeps nowhere else.

    Attributes:
        by: name of the user who made the change; empty where no client is notified of it.
        reason: reason given for a kick; `DROPPED` for a device that was logged out; for a member the role it was given,
            if it was.
        said: what a member who left has said, or why it was removed.
    """

    by: str = ""
    reason: str = ""
    said: str = ""


class Change(Struct):
    """Notification of what a node has changed, by subject; the new state itself is read from the store.

    | kind | subject | meaning |
    |---|---|---|
    | account | account id | created, deleted, disabled, enabled, given a role, a password or other settings |
    | room | room key | created, deleted, given a topic or rules |
    | member | room key, account id | joined, left or given a role |
    | access | room key | a name was invited, shut out or silenced, or that was undone |
    | sanction | sanction kind, target | imposed or lifted |
    | blocks | account id | the account blocked or unblocked a name |
    | device | device id | a session logged in on it, its token was revoked, or it was replaced by another device |
    | guest | folded name | the guest resumed its session on another node |
    | kick | folded name | to be applied once; `details.reason` |
    | expel | room key, folded name of a guest | to be applied once |
    | guest invitation | room key, folded guest name, 1 or 0 | applied once: invited or not; `reason`: of which token |
    | bus key | | the cluster has a new bus key |
    """

    node: str
    kind: str  # a `ChangeKind`, or one that a later release has added
    subject: list[str | int]
    details: ChangeDetails = ChangeDetails()


class ChangeSet(Struct):
    """Result of one poll of the store.

    Attributes:
        changes: changes of the other nodes, each once, roughly in the order in which they were made.
        heads: (conversation key, seq) of the conversations whose head has advanced, whichever node stored the message.
        is_complete: False where changes were missed because they are no longer kept, or where a change of this node
            was reported as failed and may be committed nevertheless: everything has to be read again.
    """

    changes: Sequence[Change] = ()
    heads: Sequence[tuple[str, int]] = ()
    is_complete: bool = True


class LeaseClaim(Struct):
    """Result of claiming a guest's name.

    Attributes:
        was_taken_over: the name was held by another node until now.
        heads: last seq of each direct conversation of the name. Older messages belong to its previous holder.
    """

    was_taken_over: bool
    heads: dict[str, int] = field(default_factory=dict)


class BusStats(Struct):
    """Counters of a bus since it was opened.

    Attributes:
        sent: frames published.
        received: frames received from other nodes.
        lost: frames that could not be published.
        reconnects: how often the connection to Redis was restored.
        missed: packets of other nodes that did not arrive, by their sequence numbers.
        rejected: published messages that failed authentication, by reason.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    reconnects: int = 0
    missed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


class SharedStore(Store, Protocol):
    """A store that several nodes have open. Every write also records a `Change`, in the same transaction.

    Every method may raise `StoreUnavailable`.
    """

    @property
    def node(self) -> str:
        """Random id of this process, valid for as long as it has the store open."""

    @property
    def cluster(self) -> str:
        """Id that all nodes with this store open have in common. A copy of the store is another cluster."""

    def bus_key(self) -> bytes:
        """Read the current bus key of the cluster: 32 bytes, known only to those who can read the store.

        A copied or restored store has a new key.
        """

    def set_change_listener(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a `Change` of this node is on disk, before the writing call returns.

        It must not block. It is not called for a device that logged in: the one node concerned sees it by presence.
        """

    def poll_changes(self) -> ChangeSet:
        """Return the changes since the previous call, or since the store was opened.

        No change is ever skipped, whatever is being committed meanwhile; a head may be reported twice.
        """

    def publish_change(self, kind: ChangeKind, subject: Sequence[str | int], details: ChangeDetails) -> None:
        """Record a change that has no other representation in the store."""

    def account(self, id: int) -> Account | None:
        """Read an account by id."""

    def account_by_name(self, key: str) -> Account | None:
        """Read an account by folded name."""

    def room(self, key: str) -> RoomRecord | None:
        """Read a room with its members."""

    def room_role(self, room: str, account: int) -> RoomRole:
        """Read the role of an account in a room: the lowest for who is not in it."""

    def room_access(self, key: str) -> RoomAccess:
        """Read who is kept out of a room or invited to it; nothing where there is no such room."""

    def sanction(self, kind: str, target: str) -> Sanction | None:
        """Read the sanction on a target."""

    def blocked_by(self, account: int) -> Mapping[str, str]:
        """Read the names that an account blocks: displayed names by folded name."""

    def login_counts(self, devices: Sequence[int]) -> Mapping[int, int]:
        """Read how often each device has logged in; deleted devices are left out."""

    def renew_leases(self) -> Collection[str]:
        """Renew the lease on all guest names of this node, and free those of dead nodes.

        Returns:
            The folded names that this node holds.
        """

    def claim_name(self, key: str, token: str, resumed_token: str | None) -> LeaseClaim:
        """Hold a guest's name for this node. A name that this node holds already may be claimed again.

        Args:
            key: the folded name.
            token: session token with which the guest can resume; stored as a hash.
            resumed_token: token of an earlier session. If it is that of the guest on the node that holds the name, the
                name and that token are taken over, and the other node learns it by a `Change`.

        Raises:
            NameInUse: another living node holds the name.
            NameTaken: the name is an account's.
        """

    def name_holder(self, key: str) -> str | None:
        """Return the other living node that holds a guest's name, if any."""

    def release_names(self, keys: Collection[str]) -> None:
        """Free these guests' names, as far as this node holds them."""

    def release_node(self) -> None:
        """Free all names that this node holds: it is stopping."""


class BusListener(Protocol):
    """Callbacks of a bus.

    They are called in the bus's own greenlet, in the order in which each node sent its frames, and must not block.
    """

    def on_data(self, node: str, data: bytes) -> None:
        """Another node has sent a frame."""

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        """Take over the presence entry of a name on another node; None if it was removed."""

    def on_node_gone(self, node: str) -> None:
        """Discard all presence entries of a node, which has stopped or timed out."""

    def on_packets_lost(self, node: str) -> None:
        """Look into the store for what a lost frame of a node said; `node` is empty if a packet cannot be decrypted."""

    def on_connected(self) -> None:
        """Continue after the bus has (re)connected, and `on_presence` was called for all entries; frames were lost."""


class Bus(Protocol):
    """Unreliable broadcast and unicast between nodes, and the presence entries each of them shows."""

    @property
    def connected(self) -> bool:
        """Whether frames reach the other nodes now, as far as is known."""

    @property
    def state_since(self) -> float:
        """Monotonic time of the last change of `connected`."""

    @property
    def nodes(self) -> Collection[str]:
        """The other nodes that are known to be alive."""

    @property
    def stats(self) -> BusStats:
        """Counters since the bus was opened."""

    def start(self, listener: BusListener) -> None:
        """Connect in the background, and reconnect whenever the connection is lost."""

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        """Queue a frame for some nodes, or for all others. Never blocks.

        Frames queued within one turn of the loop are published together. While the bus is down they are dropped.
        """

    def set_presence(self, key: str, entry: bytes | None) -> None:
        """Show a presence entry to the other nodes, or remove it (None). Never blocks.

        Entries are kept over reconnects.
        """

    def replace_key(self, key: bytes) -> None:
        """Encrypt with another cluster key from now on. The previous one is accepted for another minute."""

    def close(self) -> None:
        """Publish what is queued and the departure of this node, if connected, and disconnect."""


def is_shared(store: Store) -> TypeGuard[SharedStore]:
    """Return whether a store is a `SharedStore`: a server that has one open is a node of a cluster."""
    return store.is_shared
