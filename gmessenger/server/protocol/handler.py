"""What any protocol does on a connection: log in and out, charge requests, make the outbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gmessenger import log
from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import Outbound
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import AnonymousBuckets
from gmessenger.errors import InsecureTransport, LoginThrottled, WireError, WrongPassword
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.remote import is_loopback

MAX_LOGIN_FAILURES: Final = 10
"""Wrong passwords on one connection before it has to wait."""
LOGIN_FAILURE_DELAY: Final = 30.0  # seconds


class ProtocolHandler:
    """The base of what handles the requests of one connection. `session` is None before the login.

    All methods are called from the connection's reading greenlet, except where a subclass says otherwise.
    """

    __slots__ = (
        "_anonymous_buckets",
        "_failures",
        "_login_blocked_until",
        "connection",
        "is_closing",
        "messenger",
        "session",
    )

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self.connection = connection
        self.messenger = messenger
        self.session: Session | None = None
        self.is_closing = False
        self._anonymous_buckets: AnonymousBuckets | None = None  # rate limit until the login
        self._failures = 0
        self._login_blocked_until = 0.0  # monotonic seconds

    @property
    def pending_frames(self) -> int:
        return self.session.outbox.pending_frames if self.session is not None else 0

    def now(self) -> float:
        """Return the time that frames are stamped with, in Unix seconds."""
        return time.time()

    def make_outbox(
        self, on_ready: Callable[[], None], flush: Callable[[], None], *, accepts_batches: bool = False
    ) -> Outbox:
        options = self.connection.options
        return Outbox(options.outbox_frames, options.outbox_bytes, on_ready, flush, accepts_batches=accepts_batches)

    def charge(self, cost: float) -> None:
        """Charge a request to the session, or to the address before the login. Blocks while it comes too fast.

        Raises `RateLimited`.
        """
        if self.session is not None:
            self.messenger.throttle.charge_request(self.session, cost)
            return
        self._anonymous_buckets = self._anonymous_buckets or self.messenger.throttle.anonymous_buckets(
            self.connection.address
        )
        self.messenger.throttle.charge_request(self._anonymous_buckets, cost)

    def report(self, task: str, error: Exception) -> None:
        """Log and count an internal error."""
        self.connection.context.supervisor.report(task, error, self.connection.address)

    def log_in(self, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        """Log in; log a refusal. Returns the session and what its predecessor had not been sent.

        The caller calls `set_session` then. It is not called from here, because logging is the deepest call of a
        connection, and one frame more cost 4 kB for each connection at rest.

        Raises as `Messenger.login`, and `LoginThrottled` for LOGIN_FAILURE_DELAY after MAX_LOGIN_FAILURES wrong
        passwords on this connection.
        """
        with self.logging_refusal(login), self.counting_failures():
            return self.messenger.login(login, outbox)

    @contextmanager
    def logging_refusal(self, login: LoginRequest) -> Iterator[None]:
        """Log and count a login that is refused within the block."""
        try:
            yield
        except WireError as error:
            self.messenger.stats.logins[error.code] += 1
            log.log_event(
                "login_refused", name=login.name, code=error.code, address=login.address, protocol=login.protocol
            )
            raise

    def set_session(self, session: Session, login: LoginRequest) -> None:
        """Continue as a session that has logged in; log and count it."""
        self.session = session
        self._anonymous_buckets = None
        self.messenger.stats.logins["ok" if login.token is None else "resumed"] += 1
        log.log_event(
            "login",
            name=session.name,
            kind=session.kind,
            resumed=login.token is not None,
            address=login.address,
            protocol=login.protocol,
        )

    def require_secure_transport(self) -> None:
        """Raise `InsecureTransport` where a password on this connection could be read by others."""
        connection = self.connection
        # Behind a balancer, the bytes have crossed a network whatever address the balancer gives.
        is_local = is_loopback(connection.address) and not connection.is_proxied
        if not (connection.is_encrypted or is_local or connection.options.plain_passwords):
            raise InsecureTransport

    def log_out(self, reason: str, said: str = "") -> None:
        """End the session and free its name; what waits in its outbox may still be written.

        `said`: what the user has said of it.
        """
        session = self.session
        if session is not None and self.messenger.logout(session, said):
            log.log_event("session_ended", name=session.name, address=session.address, reason=reason)

    @contextmanager
    def counting_failures(self) -> Iterator[None]:
        """Count a wrong password within the block. Raises `LoginThrottled` where there were too many already."""
        self._check_login_failures()
        try:
            yield
        except WrongPassword:
            self._failures += 1
            raise

    def _check_login_failures(self) -> None:
        if self._failures >= MAX_LOGIN_FAILURES:
            self._failures = 0
            self._login_blocked_until = time.monotonic() + LOGIN_FAILURE_DELAY
        if (left := self._login_blocked_until - time.monotonic()) > 0:
            raise LoginThrottled(retry_after=round(left, 1))
