"""What of a link's events goes into the log: that they happened, never what was said."""

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
    """Log the event, if it is one that is logged."""
    if type(event) in LOGGED_EVENTS:
        word, fields = LOGGED_EVENTS[type(event)]
        log.log_event(word, **fields(event, options))


def _server_fields(options: ClientOptions) -> Fields:
    return {"host": options.host, "port": options.server_port}


def _message_fields(event: Accepted | Rejected) -> Fields:
    return {"id": event.message.id, "code": event.response.response}
