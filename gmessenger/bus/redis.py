"""A bus over Redis (6 or later; no Redis Cluster, no Sentinel): what is published reaches those who listen just then.

    keep_linked    a greenlet: makes the link, listens, and when it is lost makes it anew
    Speaker        a greenlet for each link: says what waits, what this node shows, beats
    Listener       what keep_linked runs: hears the others, asks them what they show

Redis keeps nothing, and is told nothing: what each node shows is in its own memory, and whoever has to know asks it.
What others publish there is believed when `Admission` has seen that a node of the cluster has sealed it.
A link counts as well when all have said what they show and something of our own has come back on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import SystemRandom
from typing import Final

import gevent
from gevent import Greenlet
from gevent.event import Event

from gmessenger import logs
from gmessenger.bus.admission import KEY, REASONS, Admission
from gmessenger.bus.dialling import Exchange
from gmessenger.bus.envelopes import Keyring, Sealer
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.link import Link
from gmessenger.bus.listening import Listener
from gmessenger.bus.notices import Notices
from gmessenger.bus.others import Others
from gmessenger.bus.replies import Wishes
from gmessenger.bus.speaking import SAID_GOODBYE, Speaker
from gmessenger.cluster.contract import Heard
from gmessenger.cluster.records import BusTally

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
DOUBT_INTERVAL: Final = 1.0
"""Seconds between two looks for another key, however often one is named that is not known."""
A_MISTAKE: Final = "an internal error"
uniform: Final = SystemRandom().uniform


class RedisBus:
    """See `Bus` and `open_bus`. What is sent to all comes in the order of sending, and so does what is sent to one;
    between the two there is none.
    """

    def __init__(
        self,
        url: str,
        node: str,
        cluster: str,
        key: bytes,
        timeout: float,
        failed: Callable[[str, BaseException], None],
        clock: Callable[[], float],
    ) -> None:
        self._keys = Keys(cluster, node)
        self._pace = Pace(timeout)
        self._exchange = Exchange(url, self._pace.answer)
        self._failed = failed
        self._clock = clock
        self._ring = Keyring(key, cluster, clock)
        self._sealer = Sealer(self._ring, node)
        self.tally = BusTally(rejected=dict.fromkeys(REASONS, 0))
        self._rejected = Notices("bus_rejected", clock)
        self._missed = Notices("bus_missed", clock)
        self._doubted_at = clock() - DOUBT_INTERVAL
        self.connected = False
        self.since = clock()
        self._told_lost = self._was_there = self._hears_itself = False
        self._pause = FIRST_PAUSE
        self._speaker = Speaker(
            self._keys, self._pace, self.tally, clock, self._sealer, lambda: self.nodes, self._challenge
        )
        self._others: Others | None = None
        self._admission: Admission | None = None
        self._closing = Event()
        self._keeper: Greenlet[..., object] | None = None

    @property
    def nodes(self) -> Collection[str]:
        return self._others.nodes if self._others is not None else ()

    def start(self, heard: Heard) -> None:
        speaker, pace = self._speaker, self._pace
        wishes = Wishes(self._want, pace.answer)
        others = Others(heard, self._keys.own, pace.timeout, self._failed, self._lost_some, wishes.add)
        self._others = others
        self._admission = Admission(self._keys, pace, self._ring, self._sealer, others, speaker.replies, self._reject)
        listener = Listener(
            self._keys,
            pace,
            self.tally,
            self._clock,
            others,
            self._admission,
            speaker.replies,
            wishes,
            self._echoed,
            self._resumed,
            self._tell_notices,
        )
        self._keeper = self._spawn(self._keep_linked, listener)

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        if not self._hears_itself or not self._speaker.send(data, nodes):
            self.tally.lost += 1

    def rekey(self, key: bytes) -> None:
        self._ring.replace(key)

    def show(self, key: str, card: bytes | None) -> None:
        self._speaker.show(key, card)

    def close(self) -> None:
        self._closing.set()
        self._speaker.close()
        if self.connected and self._keeper is not None:
            self._keeper.join(self._pace.answer)
        self._be(connected=False)

    def _keep_linked(self, listener: Listener) -> None:
        while not self._closing.is_set():
            reason = self._link_and_listen(listener)
            self._be(connected=False)
            self._speaker.drop()
            if reason != SAID_GOODBYE and not self._told_lost:
                self._told_lost = True
                logs.event("bus_lost", address=self._exchange.address, reason=reason)
            self._closing.wait(self._pause * uniform(0.5, 1.0))
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _link_and_listen(self, listener: Listener) -> str:
        """Why there is no link, or none any more."""
        try:
            link = Link(self._exchange, self._lost)
        except ConnectionError as error:
            return str(error)
        speaker: Greenlet[..., object] | None = None
        try:
            listener.subscribe(link)
            speaker = self._spawn(self._speak, link)
            listener.listen(link)
        except ConnectionError as error:
            link.lose(str(error))
        except Exception as failure:
            self._failed("bus", failure)
            link.lose(A_MISTAKE)
        finally:
            if speaker is not None:
                speaker.join()
            link.close()
        return link.lost

    def _speak(self, link: Link) -> None:
        try:
            self._speaker.speak(link)
        except ConnectionError as error:
            link.lose(str(error))
        except Exception as failure:
            self._failed("bus", failure)
            link.lose(A_MISTAKE)

    def _lost(self) -> None:
        self._hears_itself = False
        self._be(connected=False)
        self._speaker.wake()

    def _echoed(self) -> None:
        self._hears_itself = True

    def _resumed(self) -> None:
        self._be(connected=True)
        self.tally.returns += self._was_there
        self._was_there = True
        self._told_lost = False
        self._pause = FIRST_PAUSE
        logs.event("bus_connected", address=self._exchange.address, nodes=len(self.nodes))

    def _be(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected, self.since = connected, self._clock()

    def _challenge(self) -> bytes:
        return self._admission.challenges.make(self._others.now) if self._admission and self._others else b""

    def _want(self, name: str) -> bool:
        node = self._others.find(name) if self._others is not None else None
        if node is not None:
            self._speaker.replies.want(name, node.number)
        return node is not None

    def _reject(self, reason: str) -> None:
        self.tally.rejected[reason] += 1
        self._rejected.add(reason)
        if reason == KEY and self._others is not None and self._clock() - self._doubted_at >= DOUBT_INTERVAL:
            self._doubted_at = self._clock()
            self._others.doubt()

    def _lost_some(self, node: str, count: int) -> None:
        self.tally.missed += count
        self._missed.add(node, count)

    def _tell_notices(self) -> None:
        self._rejected.tell()
        self._missed.tell()

    def _spawn(self, function: Callable[..., object], *arguments: object) -> Greenlet[..., object]:
        greenlet = gevent.spawn(function, *arguments)
        greenlet.link_exception(lambda dead: self._failed("bus", dead.exception or RuntimeError("bus")))
        return greenlet
