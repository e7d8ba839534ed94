"""The pulse of the loop: how late it lets somebody run who wanted to run now."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger.chat.tally import SECONDS, Histogram

EVERY: Final = 0.25
"""Seconds between two beats."""


class Pulse:
    """Measures while `beat` runs. Who keeps the loop to himself for longer than a beat is always noticed."""

    def __init__(self) -> None:
        self.lateness = Histogram(SECONDS)

    def beat(self, stopped: Callable[[float], object]) -> None:
        """Measure until `stopped`, which waits that many seconds, says so."""
        due = time.monotonic() + EVERY
        while not stopped(EVERY):
            # (The loop's timers look at the clock once a turn, and so may be early.)
            self.lateness.add(max(0.0, time.monotonic() - due))
            due = time.monotonic() + EVERY
