"""The listener: receives published frames, and asks nodes whose frames were lost for their presence.

That what is sent is heard is seen by our own: the speaker publishes something at each pulse, and here it has to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.bus.admission import Admission
from gmessenger.bus.dialling import Line
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.link import Link
from gmessenger.bus.others import Others
from gmessenger.bus.parcels import LAST_PAGE, NOTHING_NEW
from gmessenger.bus.replies import Replies, Wishes
from gmessenger.cluster.records import BusTally
from gmessenger.turns import Turn

NOT_HEARD: Final = "its own messages do not come back"
MESSAGE: Final = b"message"


class Listener:
    """The greenlet's work of a link: `listen`.

    `echoed` is called when what we say comes back, `resumed` when a link is well, before the others are told, and
    `look` at each pulse.
    """

    def __init__(
        self,
        keys: Keys,
        pace: Pace,
        tally: BusTally,
        clock: Callable[[], float],
        others: Others,
        admission: Admission,
        replies: Replies,
        wishes: Wishes,
        echoed: Callable[[], None],
        resumed: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._pace = pace
        self._tally = tally
        self._clock = clock
        self._others = others
        self._admission = admission
        self._replies = replies
        self._wishes = wishes
        self._tell_echoed = echoed
        self._resumed = resumed
        self._look = look
        self._channels = {name.encode(): name for name in (keys.all, keys.node(keys.own))}
        self._well = self._echoed = False
        self._echo_at = self._linked_at = 0.0

    def subscribe(self, link: Link) -> None:
        """What is published from now on is heard. Raises `ConnectionError`."""
        line = link.listening
        line.tell(("SUBSCRIBE", *self._channels.values()))
        for _ in self._channels:
            if line.hear(self._pace.answer) is None:
                raise ConnectionError("it does not answer")
        self._well = self._echoed = False

    def listen(self, link: Link) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line, turn = link.listening, Turn()
        self._wishes.clear()
        self._others.link_is_back()
        self._echo_at = self._others.now
        looked = self._linked_at = self._clock()
        while not link.lost:
            self._hear(line)
            turn.give_way()
            now = self._clock()
            self._wishes.look(now)
            if not self._well and self._is_well(link, now):
                self._well = True
                self._resumed()
                self._others.resumed()
            if now - looked >= self._pace.pulse:
                self._look_around(link, now - looked)
                looked = now

    def _hear(self, line: Line) -> None:
        said = line.hear(self._pace.pulse if self._well else self._pace.grace)
        if isinstance(said, list) and len(said) == 3 and said[0] == MESSAGE and isinstance(said[2], bytes):
            channel = self._channels.get(said[1]) if isinstance(said[1], bytes) else None
            if channel is not None:
                self._take(channel, said[2])

    def _is_well(self, link: Link, now: float) -> bool:
        """Whether our own frames come back, and the presence of every other node that answers is known."""
        waited = now - self._linked_at
        are_all_known = bool(link.listeners) and len(self._others.nodes) >= link.listeners - 1
        is_known = not self._wishes and (are_all_known or waited >= self._pace.grace)
        return self._echoed and (is_known or waited >= self._pace.answer)

    def _look_around(self, link: Link, seconds: float) -> None:
        """Who has not been heard of for too long? Maybe the link itself."""
        # While this process stood still, nobody else was silent: what they said has only not been read yet.
        self._others.time_goes_by(min(seconds, 2 * self._pace.pulse))
        if self._others.now - self._echo_at > self._pace.answer + self._pace.pulse:
            link.lose(NOT_HEARD)
        self._look()

    def _take(self, channel: str, data: bytes) -> None:
        envelope = self._admission.read(data)
        if envelope is None:
            return
        if envelope.node == self._keys.own:
            if self._admission.is_echo(channel, envelope):
                self._echo_at, self._echoed = self._others.now, True
                self._tell_echoed()
            return
        taken = self._admission.take(channel, envelope)
        if taken is None:
            return
        node, parcel = taken
        self._tally.received += len(parcel.hints)
        self._others.hear(node, parcel, to_all=channel == self._keys.all, read_soon=node.name in self._wishes)
        if parcel.page & (LAST_PAGE | NOTHING_NEW):
            self._wishes.fulfil(node.name)
        if parcel.wants is not None:
            self._replies.show_to(node.name, parcel.wants)
