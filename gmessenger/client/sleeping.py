"""Sleep: a machine that was shut has lines that nobody has closed, and a clock that stood still meanwhile."""

from __future__ import annotations

import time
from typing import Final

NAP: Final = 5.0
"""Seconds; a shorter sleep has broken no line."""


def asleep() -> float:
    """How many seconds this machine has slept since it started; 0 where the system does not tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0
