"""The base of native and course connections, and the row of a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gmessenger.chat.results import Result
from gmessenger.chat.session import Session
from gmessenger.errors import WireError
from gmessenger.server.protocol.handler import ProtocolHandler
from gmessenger.wire import events

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


class ConnectionHandler(ProtocolHandler, ABC):
    """Handle the requests of one connection of JIM."""

    __slots__ = ()

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
