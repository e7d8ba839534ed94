"""Log client events: that they happened, never their text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger import log
from gmessenger.client import Accepted, ChatEvent, Connected, Disconnected, Rejected
from gmessenger.config.options import ClientOptions

Fields = dict[str, Any]

LOGGED_EVENTS: Final[dict[type[ChatEvent], tuple[str, Callable[[Any, ClientOptions], Fields]]]] = {
    Connected: (
        "client_connected",
        lambda event, options: _server_fields(options) | {"name": options.name, "server": event.server},
    ),
    Disconnected: (
        "client_disconnected",
        lambda event, options: _server_fields(options) | {"reason": event.reason, "retry_in": round(event.retry_in, 3)},
    ),
    Accepted: ("client_sent", lambda event, options: _message_fields(event)),
    Rejected: ("client_sent", lambda event, options: _message_fields(event)),
}


def log_client_event(event: ChatEvent, options: ClientOptions) -> None:
    """Log an event if it has a row in LOGGED_EVENTS."""
    if type(event) in LOGGED_EVENTS:
        log_event_name, fields = LOGGED_EVENTS[type(event)]
        log.log_event(log_event_name, **fields(event, options))


def _server_fields(options: ClientOptions) -> Fields:
    return {"host": options.server_host, "port": options.server_port}


def _message_fields(event: Accepted | Rejected) -> Fields:
    return {"id": event.message.id, "code": event.response.response}
