"""When it is worth a word that somebody has what was written to them: when it took a while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from gmessenger.client import Accepted, Delivered

LATE: Final = 3.0
"""Seconds; who is there has a message sooner, and "sent" says enough of it."""
MOST: Final = 1000


class Marks:
    """Remembers, for each name, which messages the server has and the addressee does not. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, deque[tuple[int, float]]] = {}

    def accepted(self, event: Accepted) -> None:
        seq = event.answer.seq
        if seq is not None and not event.message.to.startswith("#"):
            waiting = self._waiting.setdefault(event.message.to.casefold(), deque(maxlen=MOST))
            waiting.append((seq, self._clock()))

    def is_news(self, event: Delivered) -> bool:
        """Whether a message that is now delivered had been waiting for its addressee."""
        waiting = self._waiting.get(event.name.casefold(), deque())
        late = False
        while waiting and waiting[0][0] <= event.seq:
            late = self._clock() - waiting.popleft()[1] >= LATE or late
        return late
