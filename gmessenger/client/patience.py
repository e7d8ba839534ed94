"""How long a link waits for what, and the growing pauses between its tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from random import SystemRandom


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a link waits for what; all in seconds."""

    connect: float = 10.0
    """Connecting and logging in, together, at each try."""
    answer: float = 30.0
    """Any answer; a server that takes longer counts as lost."""
    probe_after: float = 60.0
    """Silence after which the server is asked whether it is there."""
    retry_for: float = 86_400.0
    """Getting a lost line back, from its loss on."""
    first_pause: float = 1.0
    """The longest that the first pause before a new try can be; each further one can be twice as long."""
    longest_pause: float = 30.0
    """The longest that any of them can be."""
    longest_asked: float = 300.0
    """The longest that a server can ask for before the line is tried again: it may ask for a century."""
    steady: float = 10.0
    """How long a line must stand before the pauses start from the first again."""
    name_in_use: float = 240.0
    """Being told on coming back that the name is in use: a server needs minutes to miss a connection that broke."""
    ghosts: float = 120.0
    """After a login that we gave up waiting for: the server may still come to it, and take it for us."""
    others_return: float = 5.0
    """After coming back: others may have lost their lines too, and who is missing may be on their way."""
    defer: float = 60.0
    """One message being answered "later", from the first time on; then that answer is final."""
    outage: float = inf
    """The same where it is an account's and the server that cannot do its part: nothing it said is thrown away."""


class Pauses:
    """Growing pauses, each drawn between half of its longest and that: a server that comes back is not stormed."""

    def __init__(self, first: float, longest: float, draw: Callable[[float, float], float] | None = None) -> None:
        self._first = first
        self._longest = longest
        self._draw = draw or SystemRandom().uniform
        self._ceiling = first

    def next(self) -> float:
        """Seconds to pause now; the next one is longer."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, self._longest)
        return self._draw(ceiling / 2, ceiling)

    def spread(self, seconds: float) -> float:
        """A pause that a server asked for, jittered: never shorter than asked, nor than the first and next of ours."""
        seconds = max(seconds, self._first)
        return max(self._draw(seconds, seconds * 1.5), self.next())

    def reset(self) -> None:
        """Start from the first pause again."""
        self._ceiling = self._first
