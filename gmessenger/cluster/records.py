"""The records that pass between a node and what it shares with the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

Kind: TypeAlias = Literal[
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
    kind: str  # a `Kind`, or what a later release knows
    subject: list[str | int]
    details: dict[str, Any] = field(default_factory=dict)


class News(Struct):
    """What has happened since the last look: other nodes' changes, each once and about in the order they were made in,
    and the heads of conversations that anybody's messages have moved on.

    Where it is not `complete`, changes were missed that are kept no more, or one of this node's own may have been made
    though it was told otherwise: everything has to be read again.
    """

    changes: Sequence[Change] = ()
    heads: Sequence[tuple[str, int]] = ()
    complete: bool = True


class Claim(Struct):
    """A guest's name is held; whether it was `taken` from another node, and how far the conversations of two go that it
    is in: what was said there before is not for whoever has the name now.
    """

    taken: bool
    heads: dict[str, int] = field(default_factory=dict)


class BusTally(Struct):
    """What a bus has done: hints sent and received, `lost` those that nobody could be sent, and how often it came back
    after it had been away. `missed` is how many parcels of other nodes did not come, `rejected` what was on the bus and
    not believed, by reason.
    """

    sent: int = 0
    received: int = 0
    lost: int = 0
    returns: int = 0
    missed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
