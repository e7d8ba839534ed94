"""The listener: hears what is published, and reads the shelves of those of whom it has missed something.

It subscribes, then reads who is there and what they show, and takes what has come meanwhile by its number. It asks on
the line that it listens on: what Redis answers comes in its place among what was published, so that whatever came
before an answer is in it.

That what is sent is heard is seen by our own: the speaker publishes something at each pulse, and here it has to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gmessenger import logs
from gmessenger.bus.dialling import Line
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.link import Link
from gmessenger.bus.others import Others
from gmessenger.bus.parcels import beginning, unpacked
from gmessenger.bus.shelf import contents
from gmessenger.cluster.records import BusTally
from gmessenger.turns import Turn

WHO_IS_THERE: Final = ""
"""What is asked of no node."""
NOT_HEARD: Final = "what is sent does not come back"
MESSAGE: Final = b"message"
STRAYS_TOLD_EVERY: Final = 60.0


class Listener:
    """The greenlet's work of a link: `listen`. `resumed` is called when a link is well, before the others are told."""

    def __init__(
        self,
        keys: Keys,
        pace: Pace,
        tally: BusTally,
        clock: Callable[[], float],
        others: Others,
        resumed: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._pace = pace
        self._tally = tally
        self._clock = clock
        self._others = others
        self._resumed = resumed
        self._ours = beginning(keys.own)
        self._asked: deque[str] = deque()
        self._well = self._echoed = False
        self._echo_at = 0.0
        self._strays = 0
        self._strays_told = -STRAYS_TOLD_EVERY

    def subscribe(self, link: Link) -> None:
        """What is published from now on is heard. Raises `ConnectionError`."""
        line = link.listening
        line.tell(("SUBSCRIBE", self._keys.all, self._keys.node(self._keys.own)))
        for _ in (self._keys.all, self._keys.node):
            if line.hear(self._pace.answer) is None:
                raise ConnectionError("it does not answer")
        line.tell(("HGETALL", self._keys.nodes))
        self._asked = deque([WHO_IS_THERE])
        self._well = self._echoed = False

    def listen(self, link: Link) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line, turn = link.listening, Turn()
        self._others.link_is_back()
        self._echo_at = self._others.now
        looked = self._clock()
        while not link.lost:
            said = line.hear(self._pace.pulse)
            if said is not None:
                self._take(line, said)
                turn.give_way()
            if not self._well and self._echoed and not self._asked:
                self._well = True
                self._resumed()
                self._others.resumed()
            now = self._clock()
            if now - looked >= self._pace.pulse:
                self._look_around(link, now - looked)
                looked = now

    def _look_around(self, link: Link, seconds: float) -> None:
        """Who has not been heard of for too long? Maybe the link itself."""
        # While this process stood still, nobody else was silent: what they said has only not been read yet.
        self._others.time_goes_by(min(seconds, 2 * self._pace.pulse))
        if self._others.now - self._echo_at > self._pace.answer + self._pace.pulse:
            link.lose(NOT_HEARD)

    def _take(self, line: Line, said: Any) -> None:
        if isinstance(said, list):
            if said[0] == MESSAGE:
                self._parcel(line, said[2])
        elif isinstance(said, dict):
            self._answer(line, self._asked.popleft(), said)

    def _parcel(self, line: Line, data: bytes) -> None:
        if data.startswith(self._ours):
            self._echo_at, self._echoed = self._others.now, True
            return
        parcel = unpacked(data)
        if parcel is None or (self._others.full and parcel.node not in self._others.nodes):
            self._stray()
            return
        self._tally.received += len(parcel.hints)
        if self._others.hear(parcel, read_soon=parcel.node in self._asked):
            self._ask(line, parcel.node)

    def _answer(self, line: Line, asked: str, fields: dict[bytes, bytes]) -> None:
        if asked == WHO_IS_THERE:
            there = {name.decode(errors="replace") for name in fields} | set(self._others.nodes)
            for node in sorted(there - {self._keys.own, WHO_IS_THERE}):
                self._ask(line, node)
        elif fields:
            self._others.read(asked, contents(fields))
        else:
            line.tell(("HDEL", self._keys.nodes, asked))

    def _ask(self, line: Line, node: str) -> None:
        self._asked.append(node)
        line.tell(("HGETALL", self._keys.shown(node)))

    def _stray(self) -> None:
        """Somebody else uses our channels, or another release of this program does."""
        self._strays += 1
        if self._others.now - self._strays_told >= STRAYS_TOLD_EVERY:
            logs.event("bus_stray", count=self._strays)
            self._strays, self._strays_told = 0, self._others.now
