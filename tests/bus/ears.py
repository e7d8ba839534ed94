"""Who listens to a bus in the tests, and a node in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

TOP = Path(__file__).parent.parent.parent
CLUSTER = "springfield"
PATIENCE = 20.0
ALONE = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from gmessenger.bus import open_bus
from tests.bus.ears import CLUSTER, Ear
url, node, timeout, key, card = sys.argv[1:]
bus, ear = open_bus(url, node, CLUSTER, float(timeout)), Ear()
bus.show(key, card.encode())
bus.start(ear)
ear.wait(lambda: bus.connected)
print("there", flush=True)
gevent.sleep(60)
"""


class Ear:
    """Keeps what it hears, and what is shown by others: cards by node and name."""

    def __init__(self) -> None:
        self.received_: list[tuple[str, bytes]] = []
        self.cards: dict[str, dict[str, bytes]] = {}
        self.told: list[tuple[Any, ...]] = []
        self.resumes = 0
        self._heard = Event()

    def received(self, node: str, data: bytes) -> None:
        self.received_.append((node, data))
        self._heard.set()

    def shown(self, node: str, key: str, card: bytes | None) -> None:
        self.told.append((node, key, card))
        if card is None:
            del self.cards[node][key]
        else:
            self.cards.setdefault(node, {})[key] = card
        self._heard.set()

    def gone(self, node: str) -> None:
        self.told.append((node,))
        self.cards.pop(node, None)
        self._heard.set()

    def resumed(self) -> None:
        self.resumes += 1
        self._heard.set()

    def wait(self, until: Callable[[], object]) -> None:
        """Wait until something is so, which is looked at whenever anything is heard, and now and then."""
        with gevent.Timeout(PATIENCE):
            while not until():
                self._heard.wait(0.02)
                self._heard.clear()

    def wait_for(self, *data: bytes) -> None:
        """Wait until exactly this was received since the last time, whoever sent it."""
        self.wait(lambda: len(self.received_) >= len(data))
        assert [each for _, each in self.received_] == list(data)
        self.received_.clear()


class Child:
    """A node in another process, which shows one name. It may be killed, and stand still."""

    def __init__(self, url: str, node: str, timeout: float, key: str, card: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ALONE, url, node, str(timeout), key, card], cwd=TOP, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout
        assert self._said.readline() == b"there\n"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()
