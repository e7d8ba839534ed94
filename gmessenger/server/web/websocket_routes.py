"""The routes at which a request becomes a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from gmessenger.server.net.frontend import Frontend
from gmessenger.server.web.http_connection import Upgrade
from gmessenger.server.web.routes import Route, WebRequest
from gmessenger.server.web.websocket_spec import WebSocketSpec
from gmessenger.threads import run_in_thread
from gmessenger.wire.http import HttpError
from gmessenger.wire.websocket_lines import (
    IRC_MAX_MESSAGE,
    IRC_SUBPROTOCOLS,
    IRC_TEXT_FRAMING,
    JIM_FRAMING,
    JIM_SUBPROTOCOL,
)


def jim_routes(frontend: Frontend, max_frame: Callable[[], int]) -> list[Route]:
    """Return the routes for JIM. `max_frame` returns the bytes that a message may have."""
    spec = WebSocketSpec(frontend, max_frame, JIM_FRAMING, {JIM_SUBPROTOCOL: JIM_FRAMING})
    return [_websocket_route("/jim", spec)]


def irc_routes(frontend: Frontend, *paths: str) -> list[Route]:
    """Return the routes for IRC at some paths."""
    spec = WebSocketSpec(frontend, lambda: IRC_MAX_MESSAGE, IRC_TEXT_FRAMING, IRC_SUBPROTOCOLS, is_strict=True)
    return [_websocket_route(path, spec) for path in paths]


def _websocket_route(path: str, spec: WebSocketSpec) -> Route:
    def accept(request: WebRequest) -> Upgrade:
        if request.rest:
            raise HttpError(404, "There is nothing here.")
        _load_websockets()
        from gmessenger.server.web.upgrade import accept_websocket

        return accept_websocket(request.http, spec)

    return Route(path, {"GET": accept})


@cache
def _load_websockets() -> None:
    """Import `websockets` and what that imports, two megabytes, for the first WebSocket. Blocks the greenlet."""
    run_in_thread(_import_websockets)  # it takes 30 to 80 ms


def _import_websockets() -> None:
    import gmessenger.server.web.upgrade
    import gmessenger.server.web.websocket_transport  # noqa: F401
