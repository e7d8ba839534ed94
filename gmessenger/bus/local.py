"""The bus of a server that is alone: nobody hears anything."""

from __future__ import annotations

from collections.abc import Collection

from gmessenger.cluster.contract import Heard
from gmessenger.cluster.records import BusTally


class LocalBus:
    """Never connected: there is nobody else."""

    connected = False
    since = 0.0
    nodes: Collection[str] = ()

    def __init__(self) -> None:
        self.tally = BusTally()

    def start(self, heard: Heard) -> None:
        """There is nothing to hear."""

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        """To nobody. It does not count as lost: nobody misses it."""

    def show(self, key: str, card: bytes | None) -> None:
        """To nobody."""

    def rekey(self, key: bytes) -> None:
        """There is nothing to seal."""

    def close(self) -> None:
        """There is nothing to let go."""
