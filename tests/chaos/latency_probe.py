"""Probes: a client on each node sends at regular intervals, and records when the others receive it."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import Any, Final

import gevent

from tests.chaos.checker import DeliveryLog
from tests.chaos.resending_client import MESSAGE_NUMBERS, ResendingClient
from tests.support.course_clients import Address

PROBES: Final = ("ray-one", "ray-two", "ray-three")
PROBE_ROOMS: Final = {f"#sea-of-{name}": PROBES for name in PROBES}
"""Rooms in which one of them speaks and the others only listen: no word of their own shows them that they miss some."""
PROBE_INTERVAL: Final = 0.1
MAX_LIVE_LATENCY: Final = 0.4
"""Seconds; what took longer was read from the store."""
RECOVERY_TIMEOUT: Final = 30.0
MAX_UNANSWERED: Final = 100


class ProbeLog:
    """When probes were sent and received, in monotonic seconds."""

    def __init__(self) -> None:
        self._sent: dict[int, tuple[str, float]] = {}
        self._received: dict[tuple[str, str], list[tuple[float, float]]] = {
            pair: [] for pair in itertools.permutations(PROBES, 2)
        }

    def record_sent(self, number: int, sender: str) -> None:
        self._sent[number] = sender, time.monotonic()

    def record_received(self, number: int, hearer: str) -> None:
        sender, sent = self._sent[number]
        self._received[sender, hearer].append((sent, time.monotonic()))

    def recovery_seconds(self, moment: float) -> float | None:
        """Return how long after a moment all nodes received all others' probes live; None if not yet."""
        firsts = [_first_live(received, moment) for received in self._received.values()]
        return None if None in firsts else max(each for each in firsts if each is not None) - moment

    def wait_for_recovery(self, moment: float) -> float:
        """Wait until all probes are received live again; return how long after the moment."""
        while (seconds := self.recovery_seconds(moment)) is None:
            missing = [pair for pair, received in self._received.items() if _first_live(received, moment) is None]
            assert time.monotonic() < moment + RECOVERY_TIMEOUT, f"not one messenger any more: {missing}"
            gevent.sleep(PROBE_INTERVAL / 2)
        return seconds

    def max_latency(self, begin: float, end: float) -> float:
        """Return the longest latency of the probes sent between two moments."""
        return max(
            (received - sent for each in self._received.values() for sent, received in each if begin <= sent <= end)
        )


def _first_live(received: list[tuple[float, float]], moment: float) -> float | None:
    recent = itertools.takewhile(lambda pair: pair[0] >= moment, reversed(received))
    return min((received_at for sent, received_at in recent if received_at - sent < MAX_LIVE_LATENCY), default=None)


class ProbeClient(ResendingClient):
    """A client on one node."""

    def __init__(self, name: str, server: Address, log: DeliveryLog, probe_log: ProbeLog, silence: float) -> None:
        super().__init__(name, server, log, [f"#sea-of-{name}"], amending=0.0, silence=silence)
        self._probe_log = probe_log

    def send_probes(self) -> None:
        """Send a probe at each interval, until the client is to finish."""
        while self._sending:
            if len(self._unanswered) < MAX_UNANSWERED:
                with contextlib.suppress(OSError):  # it is sent when connected again
                    self._send(self._next_message(next(MESSAGE_NUMBERS)))
            gevent.sleep(PROBE_INTERVAL)

    def _fill_window(self) -> None:
        self._check_idle()

    def _next_message(self, number: int) -> bytes:
        self._probe_log.record_sent(number, self.name)
        return super()._next_message(number)

    def _on_message(self, frame: dict[str, Any]) -> None:
        repeated = self._log.repeated
        super()._on_message(frame)
        if self._log.repeated == repeated:
            self._probe_log.record_received(int(frame["message"].split()[0]), self.name)
