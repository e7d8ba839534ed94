"""What has happened, counted in plain numbers where it happens; to whom they are shown is not known here.

Adding to a number costs a hundredth of what it costs to hear a message; everything dearer is done once for a batch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

RECENT_VALUES: Final = 500
"""The latest values that are remembered one by one."""
LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Histogram:
    """How many values were at most each of `bounds`, and how many above the last; their sum; and the latest of them."""

    __slots__ = ("bounds", "counts", "recent", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.recent: deque[float] = deque(maxlen=RECENT_VALUES)

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times
        self.recent.append(value)

    def quantile(self, fraction: float) -> float:
        """What that share of the latest values does not exceed (0.5: the median); 0 where there were none."""
        latest = sorted(self.recent)
        return latest[min(len(latest) - 1, int(len(latest) * fraction))] if latest else 0.0


@dataclass(slots=True)
class MessengerStats:
    """What the messenger has done. `refused` counts messages by the word of the error, `logins` by result.

    `deliveries` are messages put into outboxes, live or from what was kept.
    """

    stored: int = 0
    duplicates: int = 0
    relayed: int = 0
    deliveries: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    logins: Counter[str] = field(default_factory=lambda: Counter(ok=0, resumed=0))


@dataclass(slots=True)
class StoreStats:
    """What a store has done. `settling` is how long messages took from `append` to the end of what `done` did; each
    counts as the slowest of its batch.
    """

    commit_seconds: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(SIZE_BOUNDS))
    append_seconds: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    failed_commits: int = 0
