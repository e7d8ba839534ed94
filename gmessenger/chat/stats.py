"""Counters and histograms of the messenger and the store; the metrics read them.

Adding to a counter costs a hundredth of what it costs to decode a message; what is dearer is done once per batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

RECENT_VALUES: Final = 500  # that are kept for quantiles
LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Histogram:
    """Counts values by upper bound, and those above the last; has their sum, and the latest values."""

    __slots__ = ("bounds", "counts", "recent", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.recent: deque[float] = deque(maxlen=RECENT_VALUES)

    def add(self, value: float, times: int = 1) -> None:
        """Count a value, `times` times; among the latest values it is one."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times
        self.recent.append(value)

    def quantile(self, fraction: float) -> float:
        """Return a quantile of the latest values (0.5: the median); 0 if there are none."""
        latest = sorted(self.recent)
        return latest[min(len(latest) - 1, int(len(latest) * fraction))] if latest else 0.0


@dataclass(slots=True)
class MessengerStats:
    """Counters of the messenger.

    `deliveries`: messages that were put into outboxes, live or from the store. `refused`: messages, by error code.
    `logins`: by result. `hook_posts`, `pushes` (push messages): by outcome.
    """

    stored: int = 0
    duplicates: int = 0
    relayed: int = 0
    deliveries: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    logins: Counter[str] = field(default_factory=lambda: Counter(ok=0, resumed=0))
    hook_posts: Counter[str] = field(default_factory=lambda: Counter(stored=0, silent=0))
    pushes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class StoreStats:
    """Counters of a store.

    `append_seconds`: from `append` to the end of the message's callback; each message counts as the slowest of its
    batch.
    """

    commit_seconds: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(SIZE_BOUNDS))
    append_seconds: Histogram = field(default_factory=lambda: Histogram(LATENCY_BOUNDS))
    failed_commits: int = 0
