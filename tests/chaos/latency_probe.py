"""Beacons: a client on each node says something at even pauses, whatever happens, and notes when others hear it."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import Any, Final

import gevent

from tests.chaos.checker import Ledger
from tests.chaos.resending_client import NUMBERS, Member
from tests.support.course_clients import Address

BEACONS: Final = ("ray-one", "ray-two", "ray-three")
SEAS: Final = {f"#sea-of-{name}": BEACONS for name in BEACONS}
"""Rooms in which one of them speaks and the others only listen: no word of their own shows them that they miss some."""
BEAT: Final = 0.1
LIVE: Final = 0.4
"""Seconds: what was not heard sooner has been found in the store."""
WITHIN: Final = 30.0
STALE: Final = 100


class Crossings:
    """What beacons said and heard, by a steady clock."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[str, float]] = {}
        self._heard: dict[tuple[str, str], list[tuple[float, float]]] = {
            pair: [] for pair in itertools.permutations(BEACONS, 2)
        }

    def says(self, number: int, sender: str) -> None:
        self._said[number] = sender, time.monotonic()

    def hears(self, number: int, hearer: str) -> None:
        sender, said = self._said[number]
        self._heard[sender, hearer].append((said, time.monotonic()))

    def live_since(self, moment: float) -> float | None:
        """How long after a moment every node first heard live what was said on every other one; None: not yet."""
        firsts = [_first_live(heard, moment) for heard in self._heard.values()]
        return None if None in firsts else max(each for each in firsts if each is not None) - moment

    def wait(self, moment: float) -> float:
        """Wait until they all hear each other live; how long after the moment they did."""
        while (took := self.live_since(moment)) is None:
            deaf = [pair for pair, heard in self._heard.items() if _first_live(heard, moment) is None]
            assert time.monotonic() < moment + WITHIN, f"not one messenger any more: {deaf}"
            gevent.sleep(BEAT / 2)
        return took

    def slowest(self, begin: float, end: float) -> float:
        """The longest that anything took that was said between two moments."""
        return max((heard - said for each in self._heard.values() for said, heard in each if begin <= said <= end))


def _first_live(heard: list[tuple[float, float]], moment: float) -> float | None:
    recent = itertools.takewhile(lambda pair: pair[0] >= moment, reversed(heard))
    return min((then for said, then in recent if then - said < LIVE), default=None)


class Beacon(Member):
    """On one node only."""

    def __init__(self, name: str, server: Address, ledger: Ledger, crossings: Crossings, silence: float) -> None:
        super().__init__(name, server, ledger, [f"#sea-of-{name}"], silence=silence)
        self._crossings = crossings

    def beat(self) -> None:
        """Say something at every beat, until it has to finish."""
        while self._sending:
            if len(self._unanswered) < STALE:
                with contextlib.suppress(OSError):  # it is said when connected again
                    self._send(self._words(next(NUMBERS)))
            gevent.sleep(BEAT)

    def _fill(self) -> None:
        self._look()

    def _words(self, number: int) -> bytes:
        self._crossings.says(number, self.name)
        return super()._words(number)

    def _hear(self, frame: dict[str, Any]) -> None:
        again = self._ledger.again
        super()._hear(frame)
        if self._ledger.again == again:
            self._crossings.hears(int(frame["message"].split()[0]), self.name)
