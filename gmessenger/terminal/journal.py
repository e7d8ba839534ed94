"""What of a link's events goes into the log: that they happened, never what was said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger import logs
from gmessenger.client import Accepted, Connected, LinkEvent, Lost, Rejected
from gmessenger.options import ClientOptions

Fields = dict[str, Any]

LOGGED: Final[dict[type[LinkEvent], tuple[str, Callable[[Any, ClientOptions], Fields]]]] = {
    Connected: (
        "client_connected",
        lambda event, options: _place(options) | {"name": options.name, "server": event.server},
    ),
    Lost: (
        "client_disconnected",
        lambda event, options: _place(options) | {"reason": event.reason, "retry_in": round(event.retry_in, 3)},
    ),
    Accepted: ("client_sent", lambda event, options: _message(event)),
    Rejected: ("client_sent", lambda event, options: _message(event)),
}


def write_down(event: LinkEvent, options: ClientOptions) -> None:
    """Log the event, if it is one that is logged."""
    if type(event) in LOGGED:
        word, fields = LOGGED[type(event)]
        logs.event(word, **fields(event, options))


def _place(options: ClientOptions) -> Fields:
    return {"host": options.host, "port": options.server_port}


def _message(event: Accepted | Rejected) -> Fields:
    return {"id": event.message.id, "code": event.answer.response}
