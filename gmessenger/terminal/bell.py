"""The rate limit of the terminal bell, for line mode and the full screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

BELL_INTERVAL: Final = 1.0
"""Seconds between two bells, at least: messages that were stored overnight arrive all at once, and deserve one bell."""


class BellPolicy:
    """Decide whether the bell may ring now. `monotonic`: a clock in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last_bell = float("-inf")

    def may_ring(self) -> bool:
        """Return whether the last bell is long enough ago; if so, the bell counts as rung."""
        now = self._monotonic()
        if now - self._last_bell < BELL_INTERVAL:
            return False
        self._last_bell = now
        return True
