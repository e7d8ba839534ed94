"""Sanctions: what operators have imposed on names, networks and rooms, in memory as it is now and in the store."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from gmessenger.chat.contract import Store
from gmessenger.chat.networks import Networks
from gmessenger.chat.records import Sanction
from gmessenger.errors import Banned, Forbidden, Muted, NeverSeen, StoreUnavailable, WireError

Kind: TypeAlias = Literal["name", "network", "mute", "close"]
KINDS: Final[tuple[Kind, ...]] = ("name", "network", "mute", "close")
MOST: Final = 10_000
"""Sanctions of a kind."""


class Sanctions:
    """Consulted with every message and every connection. What is over is dropped when it is met, and at every start."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[Kind, dict[str, Sanction]] = {kind: {} for kind in KINDS}
        self._networks = Networks()
        self.muted = self._kept["mute"]
        """By folded name; empty nearly always, which costs a message no more than a look."""
        for sanction in store.sanctions():
            self.remember(sanction)
        self._drop_what_is_over()

    def __iter__(self) -> Iterator[Sanction]:
        """Everything that is known, what is over included."""
        return (sanction for kept in self._kept.values() for sanction in list(kept.values()))

    def impose(self, sanction: Sanction) -> None:
        """Keep a sanction, in the place of one of its kind on the same target. Raises `Forbidden` if there are many."""
        kept = self._kept[sanction.kind]
        if len(kept) >= MOST and sanction.target not in kept:
            self._drop_what_is_over()
            if len(kept) >= MOST:
                raise Forbidden(f"There are already {MOST} of them; remove some first.")
        self._store.impose(sanction)
        self.remember(sanction)

    def lift(self, kind: Kind, target: str, by: str) -> None:
        """End a sanction. Raises `NeverSeen` where there is none."""
        if self.find(kind, target) is None:
            raise NeverSeen(f"There is no such ban or mute for {target}.")
        self._store.lift(kind, [target], by)
        self.drop(kind, target)

    def drop(self, kind: Kind, target: str) -> None:
        """The store keeps it no more."""
        if self._kept[kind].pop(target, None) is not None and kind == "network":
            self._networks.discard(target)

    def find(self, kind: Kind, target: str) -> Sanction | None:
        """What is imposed on a target and not over yet."""
        found = self._kept[kind].get(target)
        if found is not None and found.until is not None and found.until <= self._clock():
            self.drop(kind, target)  # its row lies in the store until the next start, which asks nobody to wait
            return None
        return found

    def page(self, kinds: tuple[Kind, ...], after: str, size: int) -> list[Sanction]:
        """What there is of these kinds, by target, behind a target; one more than `size`, if there are more."""
        later = ((kind, target) for kind in kinds for target in list(self._kept[kind]) if target > after)
        there = (found for kind, target in later if (found := self.find(kind, target)) is not None)
        return heapq.nsmallest(size + 1, there, key=lambda sanction: sanction.target)

    def check_login(self, key: str, address: str) -> None:
        """Raises `Banned`."""
        if (found := self.find("name", key)) is not None:
            raise self.refusal(Banned, found)
        self.check_address(address)

    def check_address(self, address: str) -> None:
        """Raises `Banned`; `address` is that of a connection, with its port."""
        for network in self._networks.around(address):
            if (found := self.find("network", network)) is not None:
                raise self.refusal(Banned, found)

    def check_voice(self, key: str) -> None:
        """Raises `Muted`."""
        if (found := self.find("mute", key)) is not None:
            raise self.refusal(Muted, found)

    def refusal(self, error: type[WireError], sanction: Sanction) -> WireError:
        """What somebody is told whom a sanction hits: why, and for how long."""
        if sanction.until is None:
            return because(error, sanction.reason)
        left = max(1, math.ceil(sanction.until - self._clock()))
        refusal = because(error, sanction.reason, f" for another {_in_words(left)}")
        refusal.retry_after = left
        return refusal

    def remember(self, sanction: Sanction) -> None:
        """The store keeps it."""
        self._kept[sanction.kind][sanction.target] = sanction
        if sanction.kind == "network":
            self._networks.add(sanction.target)

    def _drop_what_is_over(self) -> None:
        for kind in KINDS:
            over = [target for target in list(self._kept[kind]) if self.find(kind, target) is None]
            if over:
                with suppress(StoreUnavailable):  # the next start drops them
                    self._store.lift(kind, over)


def because(error: type[WireError], reason: str, lasting: str = "") -> WireError:
    """An error with an operator's reason in its sentence."""
    said = f": {reason.rstrip('.')}" if reason else ""
    return error(f"{error.sentence.rstrip('.')}{lasting}{said}.")


def _in_words(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
