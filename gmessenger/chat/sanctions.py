"""Sanctions: what operators have imposed on names, networks and rooms, in memory as it is now and in the store."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from gmessenger.chat.networks import NetworkSet
from gmessenger.chat.records import Sanction
from gmessenger.chat.storage import Store
from gmessenger.errors import Banned, Forbidden, Muted, NotFound, StoreUnavailable, WireError

SanctionKind: TypeAlias = Literal["name", "network", "mute", "close"]
SANCTION_KINDS: Final[tuple[SanctionKind, ...]] = ("name", "network", "mute", "close")
MAX_SANCTIONS: Final = 10_000
"""Sanctions of a kind."""


class SanctionRegistry:
    """Consulted with every message and every connection. What is over is dropped when it is met, and at every start."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._by_kind: dict[SanctionKind, dict[str, Sanction]] = {kind: {} for kind in SANCTION_KINDS}
        self._networks = NetworkSet()
        self.muted = self._by_kind["mute"]
        """By folded name; empty nearly always, which costs a message no more than a look."""
        for sanction in store.sanctions():
            self.load(sanction)
        self._discard_expired()

    def __iter__(self) -> Iterator[Sanction]:
        """Everything that is known, what is over included."""
        return (sanction for kept in self._by_kind.values() for sanction in list(kept.values()))

    def add(self, sanction: Sanction) -> None:
        """Keep a sanction, in the place of one of its kind on the same target. Raises `Forbidden` if there are many."""
        kept = self._by_kind[sanction.kind]
        if len(kept) >= MAX_SANCTIONS and sanction.target not in kept:
            self._discard_expired()
            if len(kept) >= MAX_SANCTIONS:
                raise Forbidden(f"There are already {MAX_SANCTIONS} of them; remove some first.")
        self._store.add_sanction(sanction)
        self.load(sanction)

    def remove(self, kind: SanctionKind, target: str, by: str) -> None:
        """End a sanction. Raises `NotFound` where there is none."""
        if self.find(kind, target) is None:
            raise NotFound(f"There is no such ban or mute for {target}.")
        self._store.remove_sanctions(kind, [target], by)
        self.discard(kind, target)

    def discard(self, kind: SanctionKind, target: str) -> None:
        """The store keeps it no more."""
        if self._by_kind[kind].pop(target, None) is not None and kind == "network":
            self._networks.discard(target)

    def find(self, kind: SanctionKind, target: str) -> Sanction | None:
        """What is imposed on a target and not over yet."""
        found = self._by_kind[kind].get(target)
        if found is not None and found.until is not None and found.until <= self._clock():
            self.discard(kind, target)  # its row lies in the store until the next start, which asks nobody to wait
            return None
        return found

    def page(self, kinds: tuple[SanctionKind, ...], after: str, size: int) -> list[Sanction]:
        """What there is of these kinds, by target, behind a target; one more than `size`, if there are more."""
        later = ((kind, target) for kind in kinds for target in list(self._by_kind[kind]) if target > after)
        there = (found for kind, target in later if (found := self.find(kind, target)) is not None)
        return heapq.nsmallest(size + 1, there, key=lambda sanction: sanction.target)

    def check_login(self, key: str, address: str) -> None:
        """Raises `Banned`."""
        if (found := self.find("name", key)) is not None:
            raise self.error_for(Banned, found)
        self.check_address(address)

    def check_address(self, address: str) -> None:
        """Raises `Banned`; `address` is that of a connection, with its port."""
        for network in self._networks.containing(address):
            if (found := self.find("network", network)) is not None:
                raise self.error_for(Banned, found)

    def check_not_muted(self, key: str) -> None:
        """Raises `Muted`."""
        if (found := self.find("mute", key)) is not None:
            raise self.error_for(Muted, found)

    def error_for(self, error_type: type[WireError], sanction: Sanction) -> WireError:
        """What somebody is told whom a sanction hits: why, and for how long."""
        if sanction.until is None:
            return with_reason(error_type, sanction.reason)
        left = max(1, math.ceil(sanction.until - self._clock()))
        refusal = with_reason(error_type, sanction.reason, f" for another {_format_duration(left)}")
        refusal.retry_after = left
        return refusal

    def load(self, sanction: Sanction) -> None:
        """The store keeps it."""
        self._by_kind[sanction.kind][sanction.target] = sanction
        if sanction.kind == "network":
            self._networks.add(sanction.target)

    def _discard_expired(self) -> None:
        for kind in SANCTION_KINDS:
            over = [target for target in list(self._by_kind[kind]) if self.find(kind, target) is None]
            if over:
                with suppress(StoreUnavailable):  # the next start drops them
                    self._store.remove_sanctions(kind, over)


def with_reason(error_type: type[WireError], reason: str, duration_text: str = "") -> WireError:
    """An error with an operator's reason in its sentence."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return error_type(f"{error_type.message.rstrip('.')}{duration_text}{said}.")


def _format_duration(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
