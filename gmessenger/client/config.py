"""Configuration of a client: timeouts and TLS verification."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a client waits, and its reconnect delays; all in seconds."""

    connect: float = 10.0
    """For one attempt to connect and log in."""
    response: float = 30.0
    """For any response; if it takes longer, the connection counts as lost."""
    probe_after: float = 60.0
    """Silence after which the server is probed."""
    retry_for: float = 86_400.0
    """For a reconnection, from the loss of the connection on."""
    initial_backoff: float = 1.0
    """The longest delay before the first attempt to reconnect; before each further one it can be twice as long."""
    max_backoff: float = 30.0
    """The longest of these delays."""
    max_retry_after: float = 300.0
    """The longest delay that a server can request; it may request any."""
    stable_after: float = 10.0
    """The connection must have lasted so long before the delays start from `initial_backoff` again."""
    name_in_use: float = 240.0
    """For the name to be free on a reconnection: a server needs minutes to detect that the old connection is dead."""
    stale_login: float = 120.0
    """After a login that timed out: if the server still completes it, that session replaces ours, and we reconnect."""
    absence_grace: float = 5.0
    """After a reconnection, messages to absent recipients are retried: they may be reconnecting as well."""
    max_defer: float = 60.0
    """For a message that the server answers with retryable errors, from the first one on; then the error is final."""
    max_outage: float = inf
    """The same for an account's message while the server fails (5xx): by default it is never dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """TLS, and which certificates are trusted.

    By default the certificate must be issued for the host by an authority that the system trusts. With `ca` the
    authority must be in that file (PEM) instead. With `pin` (`sha256:` and the digest of the certificate in DER, as
    `gmessenger-admin cert show` prints it) it must be that certificate; its issuer and host do not matter then, unless
    `ca` is given as well.
    """

    ca: Path | None = None
    pin: str | None = None
