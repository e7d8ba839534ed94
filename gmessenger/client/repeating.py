"""Questions that were too fast for the server are asked again when they may be."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Final

import gevent

from gmessenger.errors import TooFast
from gmessenger.wire.events import Answer, Request

LONGEST_DELAY: Final = 60.0
"""Seconds over which a question is asked again."""
SHORTEST_PAUSE: Final = 0.05


class Repeating(ABC):
    """Asks, and waits for the answer."""

    @abstractmethod
    def _ask_once(self, request: Request) -> Answer:
        """The answer, or the `WireError` it tells of."""

    def _ask(self, request: Request) -> Answer:
        """The answer; nobody has to hear that the question came too fast, unless it goes on for too long."""
        patient_until = time.monotonic() + LONGEST_DELAY
        while True:
            try:
                return self._ask_once(request)
            except TooFast as error:
                pause = max(error.retry_after or 0.0, SHORTEST_PAUSE)
                if time.monotonic() + pause > patient_until:
                    raise
                gevent.sleep(pause)
