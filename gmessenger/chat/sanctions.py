"""Sanctions: bans of names and networks, mutes, and closures of rooms, in memory and in the store."""

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
MAX_SANCTIONS: Final = 10_000  # of a kind


class SanctionRegistry:
    """All sanctions, checked for each message and each connection. What has expired is removed when it is found.

    `add` and `remove` block on the store; the others do not.
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._by_kind: dict[SanctionKind, dict[str, Sanction]] = {kind: {} for kind in SANCTION_KINDS}
        self._networks = NetworkSet()
        self.muted = self._by_kind["mute"]
        """By folded name. Nearly always empty, so that a message costs one test."""
        for sanction in store.sanctions():
            self.load(sanction)
        self._discard_expired()

    def __iter__(self) -> Iterator[Sanction]:
        """Iterate over all sanctions, expired ones included."""
        return (sanction for sanctions in self._by_kind.values() for sanction in list(sanctions.values()))

    def add(self, sanction: Sanction) -> None:
        """Store a sanction, in place of one of its kind on the same target. Raises `Forbidden` above MAX_SANCTIONS."""
        by_target = self._by_kind[sanction.kind]
        if len(by_target) >= MAX_SANCTIONS and sanction.target not in by_target:
            self._discard_expired()
            if len(by_target) >= MAX_SANCTIONS:
                raise Forbidden(f"There are already {MAX_SANCTIONS} of them; remove some first.")
        self._store.add_sanction(sanction)
        self.load(sanction)

    def remove(self, kind: SanctionKind, target: str, by: str) -> None:
        """Remove a sanction from the store and from memory. Raises `NotFound` if there is none."""
        if self.find(kind, target) is None:
            raise NotFound(f"There is no such ban or mute for {target}.")
        self._store.remove_sanctions(kind, [target], by)
        self.discard(kind, target)

    def discard(self, kind: SanctionKind, target: str) -> None:
        """Remove a sanction from memory that the store does not have any more."""
        if self._by_kind[kind].pop(target, None) is not None and kind == "network":
            self._networks.discard(target)

    def find(self, kind: SanctionKind, target: str) -> Sanction | None:
        """Return the sanction on a target, unless it has expired."""
        found = self._by_kind[kind].get(target)
        if found is not None and found.until is not None and found.until <= self._clock():
            self.discard(kind, target)  # its row stays until the next start: removing it would block
            return None
        return found

    def page(self, kinds: tuple[SanctionKind, ...], after: str, size: int) -> list[Sanction]:
        """Return the sanctions of these kinds after a target, by target: `size` of them, and one if there are more."""
        following = ((kind, target) for kind in kinds for target in list(self._by_kind[kind]) if target > after)
        found = (sanction for kind, target in following if (sanction := self.find(kind, target)) is not None)
        return heapq.nsmallest(size + 1, found, key=lambda sanction: sanction.target)

    def check_login(self, key: str, address: str) -> None:
        """Raise `Banned` if a folded name, or the address of its connection, is banned."""
        if (found := self.find("name", key)) is not None:
            raise self.error_for(Banned, found)
        self.check_address(address)

    def check_address(self, address: str) -> None:
        """Raise `Banned` if a network that contains the address (with its port) is banned."""
        for network in self._networks.containing(address):
            if (found := self.find("network", network)) is not None:
                raise self.error_for(Banned, found)

    def check_not_muted(self, key: str) -> None:
        """Raise `Muted` if a folded name is muted."""
        if (found := self.find("mute", key)) is not None:
            raise self.error_for(Muted, found)

    def error_for(self, error_type: type[WireError], sanction: Sanction) -> WireError:
        """Return the error for a user under a sanction: with the reason, and how long it will last."""
        return sanction_error(error_type, sanction.reason, sanction.until, self._clock())

    def load(self, sanction: Sanction) -> None:
        """Add a sanction to memory that the store has."""
        self._by_kind[sanction.kind][sanction.target] = sanction
        if sanction.kind == "network":
            self._networks.add(sanction.target)

    def _discard_expired(self) -> None:
        for kind in SANCTION_KINDS:
            expired = [target for target in list(self._by_kind[kind]) if self.find(kind, target) is None]
            if expired:
                with suppress(StoreUnavailable):  # the next start removes them
                    self._store.remove_sanctions(kind, expired)


def sanction_error(error_type: type[WireError], reason: str, until: float | None, now: float) -> WireError:
    """Return an error whose message contains the reason, and how long it will last; without `until` for good."""
    if until is None:
        return with_reason(error_type, reason)
    left = max(1, math.ceil(until - now))
    error = with_reason(error_type, reason, f" for another {_format_duration(left)}")
    error.retry_after = left
    return error


def with_reason(error_type: type[WireError], reason: str, duration_text: str = "") -> WireError:
    """Return an error whose message contains the operator's reason."""
    suffix = f": {reason.rstrip('.')}" if reason else ""
    return error_type(f"{error_type.message.rstrip('.')}{duration_text}{suffix}.")


def _format_duration(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
