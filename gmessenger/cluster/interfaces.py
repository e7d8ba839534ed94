"""The records that pass between a node and what it shares with the others.

What a node asks of a store that it shares with others, and of the bus between them.

The store is the truth and numbers the messages. The bus only hints: what it loses, doubles or brings in another order
costs time, never a message.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeGuard

from msgspec import Struct, field

from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.storage import Store

ChangeKind: TypeAlias = Literal[
    "account", "room", "member", "sanction", "blocks", "device", "guest", "kick", "expel", "bus key"
]


class Change(Struct):
    """What a node has changed, by what it is about; how it is now is asked of the store.

    | kind | subject | |
    |---|---|---|
    | account | its id | made, deleted, disabled, enabled, given a role or a password |
    | room | its key | made, deleted, given a topic |
    | member | the room's key, the account's id | joined or left |
    | sanction | its kind, its target | imposed or lifted |
    | blocks | the account's id | blocked or unblocked somebody |
    | device | its id | a session has entered on it, or it was dropped for another |
    | guest | the name folded | has come back elsewhere |
    | kick | the name folded | `details` has the `reason`; to be done once |
    | expel | the room's key, a guest's name folded | to be done once |
    | bus key | | the nodes have another key for the bus |

    `details["by"]` is whose doing it was, where somebody is to be told.
    """

    node: str
    kind: str  # a `OptionType`, or what a later release knows
    subject: list[str | int]
    details: dict[str, Any] = field(default_factory=dict)


class ChangeSet(Struct):
    """What has happened since the last look: other nodes' changes, each once and about in the order they were made in,
    and the heads of conversations that anybody's messages have moved on.

    Where it is not `complete`, changes were missed that are kept no more, or one of this node's own may have been made
    though it was told otherwise: everything has to be read again.
    """

    changes: Sequence[Change] = ()
    heads: Sequence[tuple[str, int]] = ()
    is_complete: bool = True


class LeaseClaim(Struct):
    """A guest's name is held; whether it was `taken` from another node, and how far the conversations of two go that it
    is in: what was said there before is not for whoever has the name now.
    """

    was_taken_over: bool
    heads: dict[str, int] = field(default_factory=dict)


class BusStats(Struct):
    """What a bus has done: hints sent and received, `lost` those that nobody could be sent, and how often it came back
    after it had been away. `missed` is how many parcels of other nodes did not come, `rejected` what was on the bus and
    not believed, by reason.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    reconnects: int = 0
    missed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


LEASE_TTL: Final = 30.0
"""Seconds for which a node that has beaten lives: so long nobody else is given what it holds."""


class SharedStore(Store, Protocol):
    """A store that several nodes have open. Whatever one of them changes, it leaves a `Change` with it, in the same
    transaction.

    Every method may raise `StoreUnavailable`.
    """

    @property
    def node(self) -> str:
        """This process, for as long as it has the store open: a random word."""

    @property
    def cluster(self) -> str:
        """What all who have this store open have in common, and nobody else: a copy of the store is another cluster."""

    def bus_key(self) -> bytes:
        """What the nodes have in common, and nobody else who does not read the store: 32 bytes, as they are now.

        A copy of the store, and one that was restored, has other ones.
        """

    on_change: Callable[[], None]
    """Called when a `Change` of this node is on disk, before whoever made it goes on; must not block. (Not for a device
    that was entered: the only one whom that concerns is shown it.)
    """

    def poll_changes(self) -> ChangeSet:
        """What has happened since the last call, or since the store was opened. Nothing is ever left out, whatever
        was being committed meanwhile; a head may be told again.
        """

    def publish_change(self, kind: ChangeKind, subject: Sequence[str | int], details: Mapping[str, Any]) -> None:
        """Leave a change of which nothing else is kept."""

    def account(self, id: int) -> Account | None:
        """An account as it is now."""

    def account_by_name(self, key: str) -> Account | None:
        """The account of a folded name."""

    def room(self, key: str) -> RoomRecord | None:
        """A room as it is now, with its members."""

    def sanction(self, kind: str, target: str) -> Sanction | None:
        """What is imposed on a target."""

    def blocked_by(self, account: int) -> Mapping[str, str]:
        """Whom an account blocks: names as shown, by their folded form."""

    def login_counts(self, devices: Sequence[int]) -> Mapping[int, int]:
        """How often each of these devices has been entered; what is gone is left out."""

    def renew_leases(self) -> Collection[str]:
        """This node lives, and holds its guests' names for another lease. Returns the folded names it holds.

        What dead nodes held is free again.
        """

    def claim_name(self, key: str, token: str, resumed_token: str | None) -> LeaseClaim:
        """Hold a guest's name for this node, to be resumed with a token (kept as a hash). (Among this node's own guests
        it sees to it itself that a name is used once: what it holds already it may claim again.)

        Raises `NameInUse` where another node that lives holds it, unless `resumed` is the token of the guest there:
        then it is `taken` from there, that token stays, and the other node hears of it by a `Change`. Raises
        `NameTaken` where it is an account's.
        """

    def name_holder(self, key: str) -> str | None:
        """The other node that lives and holds a guest's name."""

    def release_names(self, keys: Collection[str]) -> None:
        """These guests' names are free, as far as this node holds them."""

    def release_node(self) -> None:
        """This node goes: all its names are free."""


class BusListener(Protocol):
    """Who listens to a bus. Called in the bus's own greenlet, in the order in which each node spoke; may not block."""

    def on_data(self, node: str, data: bytes) -> None:
        """Another node has sent this."""

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        """How a name is present on another node; None where it is not, or no more."""

    def on_node_gone(self, node: str) -> None:
        """A node has ended, or has not been heard of for too long: it shows nothing any more."""

    def on_gap(self, node: str) -> None:
        """Something that a node has said did not come; where `node` is empty, something came that is not understood."""

    def on_connected(self) -> None:
        """The bus is there, at first or again; what was sent meanwhile is lost. (What others show is told first.)"""


class Bus(Protocol):
    """What carries hints between the nodes of a cluster. Nothing waits for it, and nothing is lost with it."""

    @property
    def connected(self) -> bool:
        """Whether others can hear now, as far as is known."""

    @property
    def state_since(self) -> float:
        """When that began, by a steady clock."""

    @property
    def nodes(self) -> Collection[str]:
        """The other nodes that have been heard of."""

    @property
    def stats(self) -> BusStats:
        """What it has done since it was opened."""

    def start(self, listener: BusListener) -> None:
        """Connect, and stay connected."""

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        """Send to these nodes, or to every other one. Never waits: what is sent in one turn of the loop goes together.

        Dropped while the bus is away.
        """

    def set_presence(self, key: str, entry: bytes | None) -> None:
        """This node shows a name so from now on, or no more; kept as long as this node is heard of. Never waits."""

    def replace_key(self, key: bytes) -> None:
        """The cluster has another key: seal with it from now on. What comes sealed with the one before is taken for a
        minute.
        """

    def close(self) -> None:
        """Say goodbye, if somebody hears it, and let go."""


def is_shared(store: Store) -> TypeGuard[SharedStore]:
    """Return whether a store is a `SharedStore`: a server that has one open is a node of a cluster."""
    return store.is_shared
