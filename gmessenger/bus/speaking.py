"""The speaker: brings out what this node has to say, all that waits in one round trip.

There is no timer for that: while one round is under way, what is sent waits and forms the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from gevent.event import Event

from gmessenger.bus.dialling import Command, Line
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.link import Link
from gmessenger.bus.parcels import FORM, Parcel, packed
from gmessenger.bus.shelf import Shelf
from gmessenger.bus.waiting import Batch, Waiting
from gmessenger.cluster.records import BusTally

SAID_GOODBYE: Final = "this node ends"
AT_ONCE: Final = 0.0


class Speaker:
    """What waits to be said, what this node shows, and the greenlet's work of a link: `speak`."""

    def __init__(self, keys: Keys, pace: Pace, tally: BusTally, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._pace = pace
        self._tally = tally
        self._clock = clock
        self._waiting = Waiting()
        self._shelf = Shelf(keys, pace.timeout)
        self._wake = Event()
        self._closing = False
        self._line: int | None = None
        self._beat_at = self._pulse_at = AT_ONCE

    def send(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Whether there was room for it."""
        taken = self._waiting.add(data, nodes)
        self._wake.set()
        return taken

    def show(self, key: str, card: bytes | None) -> None:
        if self._shelf.show(key, card):
            self._wake.set()

    def wake(self) -> None:
        """There is something new to see to."""
        self._wake.set()

    def close(self) -> None:
        """Say what waits and then goodbye."""
        self._closing = True
        self._wake.set()

    def drop(self) -> None:
        """Nobody hears what waits; what is shown stays."""
        self._tally.lost += self._waiting.drop()

    def speak(self, link: Link) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line = link.speaking
        if self._line is not None:
            line.end(self._line)  # what that had not been read of yet would come after what is written now
        self._line = line.id
        self._write_whole(line)
        while not link.lost:
            self._wake.clear()
            self._round(line)
            if self._waiting or self._shelf.changed:
                continue
            if self._closing:
                link.lose(SAID_GOODBYE)
                line.ask(*self._shelf.goodbye(), self._to_all(Parcel(FORM, self._keys.own, 0, bye=True)))
            else:
                self._wake.wait(max(0.0, min(self._pulse_at, self._beat_at) - self._clock()))

    def _write_whole(self, line: Line) -> None:
        line.ask(*self._shelf.whole())
        self._beat_at = AT_ONCE  # the others hear its number

    def _round(self, line: Line) -> None:
        """Say all there is. Where the shelf turns out to be gone, write it anew."""
        now = self._clock()
        batch = self._waiting.take() or Batch()
        commands, cards = self._shelf.changes()
        if beats := now >= self._beat_at:
            commands += self._shelf.renewal()
            self._beat_at = now + self._pace.beat
        answers_with_number = len(commands) - 1
        commands += self._parcels(batch, cards, beats, pulses=now >= self._pulse_at)
        if beats or now >= self._pulse_at:
            self._pulse_at = now + self._pace.pulse
        if not commands:
            return
        try:
            answers = line.ask(*commands)
        except ConnectionError:
            self._tally.lost += batch.count
            raise
        self._tally.sent += batch.count
        if answers_with_number >= 0 and _number(answers[answers_with_number]) != self._shelf.number:
            self._write_whole(line)

    def _parcels(self, batch: Batch, cards: Mapping[str, bytes | None], beats: bool, pulses: bool) -> list[Command]:
        own, number = self._keys.own, self._shelf.number
        said: list[Command] = []
        if batch.together or cards or beats:
            said.append(self._to_all(Parcel(FORM, own, number, batch.together, cards)))
        elif pulses:
            said.append(("PUBLISH", self._keys.node(own), packed(Parcel(FORM, own, number))))
        for node, hints in batch.apart.items():
            said.append(("PUBLISH", self._keys.node(node), packed(Parcel(FORM, own, number, hints))))
        return said

    def _to_all(self, parcel: Parcel) -> Command:
        return ("PUBLISH", self._keys.all, packed(parcel))


def _number(answer: Any) -> int:
    return int(answer or 0)
