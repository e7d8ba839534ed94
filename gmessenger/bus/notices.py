"""Notices: what may happen as often as a stranger likes is counted, and told to the log once a minute at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from gmessenger import logs

NOTICE_INTERVAL: Final = 60.0  # seconds
MAX_KINDS: Final = 20


class Notices:
    """Counts kinds of one event; the first is told at once, what comes within a minute of it together after that."""

    def __init__(self, event: str, clock: Callable[[], float]) -> None:
        self._event = event
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._told_at = clock() - NOTICE_INTERVAL

    def add(self, kind: str, count: int = 1) -> None:
        if kind in self._counts or len(self._counts) < MAX_KINDS:
            self._counts[kind] += count
        self.tell()

    def tell(self) -> None:
        """Log the counts, unless something was logged within the last minute."""
        if not self._counts or self._clock() - self._told_at < NOTICE_INTERVAL:
            return
        kinds = " ".join(f"{kind}={count}" for kind, count in sorted(self._counts.items()))
        logs.event(self._event, count=self._counts.total(), what=kinds)
        self._counts.clear()
        self._told_at = self._clock()
