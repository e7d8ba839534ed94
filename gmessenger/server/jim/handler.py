"""The base of native and course connections, and the row of a request."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from gmessenger import log
from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import Outbound, Outbox
from gmessenger.chat.results import Result
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import AnonymousBuckets
from gmessenger.errors import InsecureTransport, LoginThrottled, WireError, WrongPassword
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.remote import is_loopback
from gmessenger.wire import events

MAX_LOGIN_FAILURES: Final = 10
"""Wrong passwords on one connection before it has to wait."""
LOGIN_FAILURE_DELAY: Final = 30.0  # seconds
HandlerT = TypeVar("HandlerT", bound="ConnectionHandler")


@dataclass(frozen=True, slots=True)
class Command(Generic[HandlerT]):
    """How one kind of request is handled.

    `handler(connection, session, request)` does what is asked, and returns the result for the response, or None where
    the response has none; where `needs_login` is False, `session` may be None.
    `cost` is in requests of the rate limit; a message is charged by `MessageService`, by its size and recipients.
    `delay_only`: too fast, it is delayed but never refused, because it has no answer. `flush_first`: everything that
    the session has acknowledged is committed before the handler runs. `is_message`: a refusal counts in the metric
    `messages_refused`. `batchable`: consecutive requests to the same name or room may be handled as one batch.
    `is_change`: the handler runs by `ChangeRunner`, to its end whatever becomes of the connection; `then(connection,
    session)` runs after the response. `opening(connection, request)` handles the request instead before the login.
    `is_always_allowed`: also before a one-time password was changed. `status` is that of the response; None: the
    handler responds, or nothing does.
    """

    handler: Callable[[HandlerT, Session, Any], Result | None]
    cost: float = 1.0
    needs_login: bool = True
    needs_secure_transport: bool = False
    delay_only: bool = False
    flush_first: bool = True
    is_message: bool = False
    batchable: bool = False
    is_change: bool = False
    then: Callable[[HandlerT, Session], object] | None = None
    opening: Callable[[HandlerT, Any], object] | None = None
    is_always_allowed: bool = False
    status: int | None = 200


class ConnectionHandler(ABC):
    """Handle the requests of one connection. `session` is None before the login.

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

    def take_over(self, previous: ConnectionHandler) -> None:
        """Continue what the handler of the other kind has counted on this connection before the login."""
        self._anonymous_buckets = previous._anonymous_buckets
        self._failures = previous._failures
        self._login_blocked_until = previous._login_blocked_until

    @property
    @abstractmethod
    def is_backlogged(self) -> bool:
        """Whether requests must wait, because their responses would not be read."""

    @abstractmethod
    def handle(self, command: Command[Any], request: Any) -> None:
        """Do what a request asks, as its row says. May block. Raises `WireError`."""

    @abstractmethod
    def refuse_invalid_frame(self, event: events.InvalidFrame) -> None:
        """Answer a frame that could not be decoded."""

    @abstractmethod
    def send_error(self, error: WireError, id: str | None = None) -> None:
        """Answer that the request `id` was refused."""

    @abstractmethod
    def send_probe(self) -> bool:
        """Ask whether the client is alive; False where the dialect cannot ask."""

    @abstractmethod
    def close_gracefully(self, reason: str) -> None:
        """Handle no more requests and close the connection."""

    @abstractmethod
    def connection_closed(self) -> None:
        """Release what only an open connection needs."""

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

    def log_out(self, reason: str) -> None:
        """End the session and free its name; what waits in its outbox may still be written."""
        session = self.session
        if session is not None and self.messenger.logout(session):
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
