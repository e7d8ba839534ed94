"""Configuration of a client: timeouts and TLS verification."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path


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
