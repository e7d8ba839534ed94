"""Extent of the chaos tests: small in `make test`, large with FAULTS=long as in `make faults`."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Scale:
    """How often and how long things fail."""

    kills: int
    max_lifetime: float  # seconds between the start of a server and its kill
    client_kills: int
    stall_seconds: float
    stalled_messages: int
    full_disks: int  # times that the disk fills and drains
    clock_jumps: int


SHORT: Final = Scale(
    kills=3, max_lifetime=0.5, client_kills=20, stall_seconds=2.0, stalled_messages=5_000, full_disks=1, clock_jumps=4
)
LONG: Final = Scale(
    kills=60,
    max_lifetime=1.5,
    client_kills=600,
    stall_seconds=30.0,
    stalled_messages=50_000,
    full_disks=5,
    clock_jumps=40,
)
IS_LONG: Final = os.environ.get("FAULTS") == "long"
SCALE: Final = LONG if IS_LONG else SHORT
TIMEOUT: Final = 600 if IS_LONG else 240
"""Seconds for one test: several times `tests.support.timeouts.TEST_TIMEOUT`, which a single wait may take."""
SEED: Final = int(os.environ.get("FAULTS_SEED") or random.randrange(10**6))
"""Seed of the random moments; it is printed with the results."""
WALK_SEED: Final = SEED if IS_LONG or "FAULTS_SEED" in os.environ else 0
"""Seed of random requests: the same ones each time, but for who looks for faults."""
