"""What a cluster's channels in Redis are called, and how often a node speaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """| | |
    |---|---|
    | `…:all` | a channel that every node listens to |
    | `…:node:ID` | a channel that one node listens to |

    There is nothing else: no key is ever written, so there is none to forge, to delete or to lose.
    """

    cluster: str
    own: str

    def _named(self, name: str) -> str:
        return f"gmessenger:{self.cluster}:{name}"

    @property
    def all(self) -> str:
        return self._named("all")

    def node(self, node: str) -> str:
        return self._named(f"node:{node}")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a node speaks, in seconds, and how long it waits: `timeout` is when the others give it up."""

    timeout: float

    @property
    def beat(self) -> float:
        """Pause between what tells the others that this node lives, and how much it has said."""
        return self.timeout / 5

    @property
    def pulse(self) -> float:
        """Pause between what a node publishes to itself, to see whether the link is well."""
        return min(1.0, self.timeout / 5)

    @property
    def answer(self) -> float:
        """How long Redis or a node may take to answer, or a pulse to come back. With a pulse before: less than 5 s."""
        return min(2.5, self.timeout / 2)

    @property
    def grace(self) -> float:
        """How long a node that has just connected waits for listeners that do not answer it."""
        return self.pulse / 2
