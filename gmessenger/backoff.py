"""Exponential backoff with jitter: how long to wait before each of a series of attempts."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

Uniform = Callable[[float, float], float]
"""Draws a number between two bounds."""


class Backoff:
    """Delays in seconds that double from `initial` to `max_delay`, less a random part, until `reset`.

    Pure: it neither sleeps nor reads a clock. `jitter` is the share of a delay that is random: 0.5 draws between half
    of the delay and all of it ("equal jitter"), so that a server that comes back is not met by all clients at once; 0
    draws nothing.
    """

    def __init__(
        self, initial: float, max_delay: float, uniform: Uniform | None = None, *, jitter: float = 0.5
    ) -> None:
        self._initial = initial
        self._max_delay = max_delay
        self._uniform = uniform or SystemRandom().uniform
        self._jitter = jitter
        self._ceiling = initial

    def next_delay(self, at_least: float = 0.0) -> float:
        """Return the seconds to wait now, `at_least` so many; the next delay is up to twice as long."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, self._max_delay)
        delay = self._uniform(ceiling * (1 - self._jitter), ceiling) if self._jitter else ceiling
        return max(delay, at_least)

    def spread_requested(self, seconds: float) -> float:
        """Return a delay for one that a server requested: up to half longer, and never shorter than our own next."""
        seconds = max(seconds, self._initial)
        return self.next_delay(at_least=self._uniform(seconds, seconds * 1.5))

    def reset(self) -> None:
        """Begin with `initial` again."""
        self._ceiling = self._initial
