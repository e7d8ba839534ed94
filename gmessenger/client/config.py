"""Configuration of a client: timeouts, reconnect backoff, and TLS verification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from random import SystemRandom


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a link waits for what; all in seconds."""

    connect: float = 10.0
    """Connecting and logging in, together, at each try."""
    response: float = 30.0
    """Any answer; a server that takes longer counts as lost."""
    probe_after: float = 60.0
    """Silence after which the server is asked whether it is there."""
    retry_for: float = 86_400.0
    """Getting a lost line back, from its loss on."""
    initial_backoff: float = 1.0
    """The longest that the first pause before a new try can be; each further one can be twice as long."""
    max_backoff: float = 30.0
    """The longest that any of them can be."""
    max_retry_after: float = 300.0
    """The longest that a server can ask for before the line is tried again: it may ask for a century."""
    stable_after: float = 10.0
    """How long a line must stand before the pauses start from the first again."""
    name_in_use: float = 240.0
    """Being told on coming back that the name is in use: a server needs minutes to miss a connection that broke."""
    stale_login: float = 120.0
    """After a login that we gave up waiting for: the server may still come to it, and take it for us."""
    absence_grace: float = 5.0
    """After coming back: others may have lost their lines too, and who is missing may be on their way."""
    max_defer: float = 60.0
    """One message being answered "later", from the first time on; then that answer is final."""
    max_outage: float = inf
    """The same where it is an account's and the server that cannot do its part: nothing it said is thrown away."""


class Backoff:
    """Growing pauses, each drawn between half of its longest and that: a server that comes back is not stormed."""

    def __init__(
        self, initial: float, max_delay: float, uniform: Callable[[float, float], float] | None = None
    ) -> None:
        self._initial = initial
        self._max_delay = max_delay
        self._uniform = uniform or SystemRandom().uniform
        self._ceiling = initial

    def next_delay(self) -> float:
        """Seconds to pause now; the next one is longer."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, self._max_delay)
        return self._uniform(ceiling / 2, ceiling)

    def jitter_requested(self, seconds: float) -> float:
        """A pause that a server asked for, jittered: never shorter than asked, nor than the first and next of ours."""
        seconds = max(seconds, self._initial)
        return max(self._uniform(seconds, seconds * 1.5), self.next_delay())

    def reset(self) -> None:
        """Start from the first pause again."""
        self._ceiling = self._initial


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """An encrypted line, and what the certificate at its other end has to be.

    As it stands: signed by an authority that this system believes, for the host that is called. With `ca`, by an
    authority in that file (PEM) instead. With `pin` (`sha256:` and the digest of the certificate in DER, as
    `gmessenger-admin cert show` prints it) it has to be this very certificate; who signed it, and for whom, does not
    matter then, unless `ca` is given as well.
    """

    ca: Path | None = None
    pin: str | None = None
