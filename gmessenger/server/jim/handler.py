"""The door between a connection and the messenger: logging in, and being turned away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger import log
from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import Outbound, Outbox
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import AnonymousBuckets
from gmessenger.errors import InsecureTransport, LoginThrottled, WireError, WrongPassword
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.remote import is_loopback

MAX_LOGIN_FAILURES: Final = 10
"""Wrong passwords on one connection before it has to wait."""
LOGIN_FAILURE_DELAY: Final = 30.0


class ConnectionHandler:
    """What a voice needs to let somebody in: the connection they are on and the messenger they want."""

    __slots__ = ("_anonymous_buckets", "_failures", "_login_blocked_until", "connection", "messenger")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self.connection = connection
        self.messenger = messenger
        self._anonymous_buckets: AnonymousBuckets | None = None  # before anybody logged in
        self._failures = 0
        self._login_blocked_until = 0.0

    def now(self) -> float:
        """The time frames are stamped with, in Unix seconds."""
        return time.time()

    def make_outbox(
        self, on_ready: Callable[[], None], flush: Callable[[], None], *, accepts_batches: bool = False
    ) -> Outbox:
        options = self.connection.options
        return Outbox(options.outbox_frames, options.outbox_bytes, on_ready, flush, accepts_batches=accepts_batches)

    def charge(self, session: Session | None, cost: float) -> None:
        """A request costs so much: waits while that is too fast, and so holds back reading. Raises `RateLimited`."""
        if session is None:
            self._anonymous_buckets = self._anonymous_buckets or self.messenger.throttle.anonymous_buckets(
                self.connection.address
            )
            self.messenger.throttle.charge_request(self._anonymous_buckets, cost)
        else:
            self.messenger.throttle.charge_request(session, cost)

    def log_in(self, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        """`Messenger.login`, told to the log whichever way it goes; too many wrong passwords shut the door a while."""
        try:
            self._check_login_failures()
            session, left_over = self.messenger.login(login, outbox)
        except WireError as error:
            self._failures += isinstance(error, WrongPassword)
            self.messenger.stats.logins[error.code] += 1
            log.log_event(
                "login_refused", name=login.name, code=error.code, address=login.address, protocol=login.protocol
            )
            raise
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
        return session, left_over

    def require_secure_transport(self) -> None:
        """Raises `InsecureTransport` where a password said on this line could be overheard."""
        connection = self.connection
        # What a balancer's client says has crossed a network, whatever address the balancer gives.
        near = is_loopback(connection.address) and not connection.is_proxied
        if not (connection.is_encrypted or near or connection.options.plain_passwords):
            raise InsecureTransport

    def log_out(self, session: Session, reason: str) -> None:
        """The session is over, its name free; what waits for it may still be written."""
        if self.messenger.logout(session):
            log.log_event("session_ended", name=session.name, address=session.address, reason=reason)

    def _check_login_failures(self) -> None:
        if self._failures >= MAX_LOGIN_FAILURES:
            self._failures = 0
            self._login_blocked_until = time.monotonic() + LOGIN_FAILURE_DELAY
        if (left := self._login_blocked_until - time.monotonic()) > 0:
            raise LoginThrottled(retry_after=round(left, 1))
