"""The speaker: brings out what this node has to say, all that waits in one round trip.

There is no timer for that: while one round is under way, what is sent waits and forms the next. In a round, what goes
to all is published first, so that what single nodes are told about this node's state is not ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from gevent.event import Event

from gmessenger.bus.dialling import Command, Line
from gmessenger.bus.envelopes import Sealer
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.link import Link
from gmessenger.bus.parcels import Parcel, packed
from gmessenger.bus.replies import Replies, Reply
from gmessenger.bus.shelf import Shelf
from gmessenger.bus.waiting import Batch, Waiting
from gmessenger.cluster.records import BusTally

SAID_GOODBYE: Final = "this node is stopping"
AT_ONCE: Final = 0.0


class Speaker:
    """What waits to be said, what this node shows, and the greenlet's work of a link: `speak`.

    `nodes` says which are known, `challenge` makes what the others are asked to say again.
    """

    def __init__(
        self,
        keys: Keys,
        pace: Pace,
        tally: BusTally,
        clock: Callable[[], float],
        sealer: Sealer,
        nodes: Callable[[], Collection[str]],
        challenge: Callable[[], bytes],
    ) -> None:
        self._keys = keys
        self._pace = pace
        self._tally = tally
        self._clock = clock
        self._sealer = sealer
        self._nodes = nodes
        self._challenge = challenge
        self._waiting = Waiting()
        self._shelf = Shelf()
        self._wake = Event()
        self.replies = Replies(self._shelf, self._wake.set)
        self._sent = 0
        """The seq of what has gone to all, and by node of what has gone to single ones."""
        self._sent_apart: dict[str, int] = {}
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
        self.replies.drop()

    def speak(self, link: Link) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line = link.speaking
        if self._line is not None:
            line.end(self._line)  # what that had not been read of yet would come after what is said now
        self._line = line.id
        self._beat_at = AT_ONCE
        while not link.lost:
            self._wake.clear()
            self._round(link, line)
            if self._waiting or self._shelf.changed or self.replies:
                continue
            if self._closing:
                link.lose(SAID_GOODBYE)
                line.ask(self._to_all(Parcel(self._shelf.number, bye=True)))
            else:
                self._wake.wait(max(0.0, min(self._pulse_at, self._beat_at) - self._clock()))

    def _round(self, link: Link, line: Line) -> None:
        """Say all there is."""
        now = self._clock()
        batch = self._waiting.take() or Batch()
        commands: list[Command] = []
        if beats := now >= self._beat_at:
            self._beat_at = now + self._pace.beat
        commands += self._for_all(batch, beats)
        commands += self._for_each(batch)
        if now >= self._pulse_at:
            self._pulse_at = now + self._pace.pulse
            commands.append(self._publish(self._keys.node(self._keys.own), Parcel(self._shelf.number)))
        if not commands:
            return
        try:
            answers = line.ask(*commands)
        except ConnectionError:
            self._tally.lost += batch.count
            raise
        self._tally.sent += batch.count
        if beats:
            link.listeners = _number(answers[0])

    def _for_all(self, batch: Batch, beats: bool) -> list[Command]:
        cards = self._shelf.take_changes()
        if not (batch.together or cards or beats):
            return []
        parcel = Parcel(self._shelf.number, hints=batch.together, cards=cards)
        if beats:
            known = self._nodes()
            self._sent_apart = {node: seq for node, seq in self._sent_apart.items() if node in known}
            parcel.ask, parcel.counts = self._challenge(), self._sent_apart
        return [self._to_all(parcel)]

    def _for_each(self, batch: Batch) -> list[Command]:
        replies, pages = self.replies.take(), self.replies.take_pages()
        said: list[Command] = []
        for node in batch.apart.keys() | replies.keys() | pages.keys():
            reply = replies.get(node) or Reply()
            cards, page = pages.get(node, ({}, 0))
            parcel = Parcel(self._shelf.number, hints=batch.apart.get(node, ()), cards=cards, page=page)
            parcel.ask, parcel.proof, parcel.wants = reply.ask, reply.proof, reply.wants
            if parcel.proof:
                parcel.sent = self._sent
            parcel.seq = self._sent_apart[node] = self._sent_apart.get(node, 0) + 1
            said.append(self._publish(self._keys.node(node), parcel))
        return said

    def _to_all(self, parcel: Parcel) -> Command:
        self._sent += 1
        parcel.seq = self._sent
        return self._publish(self._keys.all, parcel)

    def _publish(self, channel: str, parcel: Parcel) -> Command:
        return ("PUBLISH", channel, self._sealer.seal(channel, packed(parcel)))


def _number(answer: Any) -> int:
    return answer if isinstance(answer, int) else 0
