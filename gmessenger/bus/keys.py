"""What a cluster's channels and keys in Redis are called, and how often a node speaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """| | |
    |---|---|
    | `…:all` | a channel that every node listens to |
    | `…:node:ID` | a channel that one node listens to |
    | `…:nodes` | a hash with a field for every node that may be there |
    | `…:shown:ID` | a hash of what a node shows, which expires where the node does not renew it |
    """

    cluster: str
    own: str

    def _named(self, name: str) -> str:
        return f"gmessenger:{self.cluster}:{name}"

    @property
    def all(self) -> str:
        return self._named("all")

    @property
    def nodes(self) -> str:
        return self._named("nodes")

    def node(self, node: str) -> str:
        return self._named(f"node:{node}")

    def shown(self, node: str) -> str:
        return self._named(f"shown:{node}")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a node speaks, in seconds, and how long it waits: `timeout` is when the others give it up."""

    timeout: float

    @property
    def beat(self) -> float:
        """Pause between what tells the others that this node lives, and renews what it shows."""
        return self.timeout / 5

    @property
    def pulse(self) -> float:
        """Pause between what a node publishes to itself, to see whether the link is well."""
        return min(1.0, self.timeout / 5)

    @property
    def answer(self) -> float:
        """How long Redis may take to answer, or a pulse to come back. With a pulse before it: less than 5 s."""
        return min(2.5, self.timeout / 2)
