"""The health server: metrics, liveness and readiness over HTTP, for monitoring.

It has no password, and is off unless the option `health` names an address. Its clients may be slow or broken: neither
chat connections nor the end of the server wait for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeAlias

import gevent
from gevent import Greenlet, socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from gmessenger import log
from gmessenger.chat.storage import Store
from gmessenger.errors import StoreUnavailable
from gmessenger.server.metrics import make_registry
from gmessenger.server.net.idle_limit import IdleConnectionLimit
from gmessenger.server.net.listener import Listener, SpareDescriptor
from gmessenger.server.net.sockets import address_of, listen_on, socket_file_of
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.snapshot import ServerView

STOPPING_MESSAGE = "The server is stopping."


class ReadinessProbe:
    """Checks that the store can commit, because a store on a full disk can still be read.

    Concurrent calls share one check, so that all of them cost at most one commit at a time.
    """

    def __init__(self, store: Store, timeout: float, is_stopping: Callable[[], bool], supervisor: Supervisor) -> None:
        self._store = store
        self._timeout = timeout
        self._is_stopping = is_stopping
        self._supervisor = supervisor
        self._probing: Greenlet[..., object] | None = None

    def find_failure(self) -> str:
        """Return why the server is not ready, as a sentence; empty if it is. Blocks for at most the timeout."""
        if self._is_stopping():
            return STOPPING_MESSAGE
        if self._probing is None:
            self._probing = self._supervisor.spawn("readiness", self._probe)
        probing = self._probing
        probing.join(self._timeout)
        if not probing.ready():
            return f"The store has not answered for {self._timeout:g} s."
        return str(probing.value) if probing.successful() else "The store could not be queried; see the log."

    def stop(self) -> None:
        """End a check that is running."""
        if self._probing is not None:
            self._probing.kill(block=False)

    def _probe(self) -> str:
        try:
            self._store.check_writable()
        except StoreUnavailable as error:
            return str(error)
        else:
            return ""
        finally:
            self._probing = None


MAX_IDLE_CONNECTIONS: Final = 64
"""Connections that are sending a request, or slow to read; one more closes the oldest of them."""
REQUEST_TIMEOUT: Final = 5.0
"""Seconds that a connection may last, besides the timeout of the readiness check."""
STOP_TIMEOUT: Final = 0.2  # seconds for requests that are being handled
PLAIN_TEXT: Final = "text/plain; charset=utf-8"
EMPTY_RESPONSE: Final = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BAD_REQUEST: Final = EMPTY_RESPONSE % b"400 Bad Request"
UNAVAILABLE: Final = EMPTY_RESPONSE % b"503 Service Unavailable"
TRACKED_CONNECTION: Final = "gmessenger.tracked_connection"
"""The key in the WSGI environment for the `TrackedConnection`."""
HttpResponse: TypeAlias = tuple[str, str, bytes]
"""Status, content type, content."""


class HealthServer:
    """Serves the pages of PAGE_HANDLERS from `start` to `stop`, each connection in a greenlet of its own."""

    def __init__(self, server: ServerView) -> None:
        """Bind the address of the options. Raises `ListenError`."""
        options = server.options
        self._supervisor = server.supervisor
        self._registry = make_registry(server)
        self._readiness = ReadinessProbe(
            server.store, options.health_timeout, lambda: server.stopping, server.supervisor
        )
        self._idle_limit = IdleConnectionLimit(MAX_IDLE_CONNECTIONS)
        sockets = listen_on(options.health, "health")
        self._socket_file = socket_file_of(options.health)
        self.address = address_of(sockets[0])
        """Where it listens: `address:port` or a path; the first of several."""
        handler = partial(_HttpHandler, timeout=REQUEST_TIMEOUT + options.health_timeout, idle_limit=self._idle_limit)
        pool = Pool(2 * MAX_IDLE_CONNECTIONS)
        spare_descriptor = server.acceptor.spare_descriptor
        self._listeners = [_HttpListener(sock, self._serve, spare_descriptor, pool, handler) for sock in sockets]

    def start(self) -> None:
        """Accept connections."""
        for listener in self._listeners:
            listener.start()
        log.log_event("health_started", address=self.address)

    def stop(self) -> None:
        """Close the address and end what is being handled; blocks for at most STOP_TIMEOUT for each socket."""
        self._readiness.stop()
        for listener in self._listeners:
            listener.stop(STOP_TIMEOUT)
        if self._socket_file is not None:
            self._socket_file.remove()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        try:
            with self._idle_limit.busy(environ[TRACKED_CONNECTION]):
                status, kind, content = self._respond(environ)
        except Exception as failure:
            self._supervisor.report("health", failure)
            status, kind, content = _text_response(
                "500 Internal Server Error", "The server had an internal error, which it has logged."
            )
        length = str(len(content))
        start_response(status, [("Content-Type", kind), ("Content-Length", length), ("Connection", "close")])
        return [content] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _respond(self, environ: dict[str, Any]) -> HttpResponse:
        handler = PAGE_HANDLERS.get(environ["PATH_INFO"])
        if handler is None:
            return _text_response("404 Not Found", f"The pages are {', '.join(PAGE_HANDLERS)}.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text_response("405 Method Not Allowed", "Only GET and HEAD are allowed.")
        return handler(self, environ)

    def _handle_metrics(self, environ: dict[str, Any]) -> HttpResponse:
        encode, kind = _encoder(environ.get("HTTP_ACCEPT", ""))
        return "200 OK", kind, encode(self._registry)

    def _handle_liveness(self, environ: dict[str, Any]) -> HttpResponse:
        """Respond: that the loop does so is what is checked."""
        return _text_response("200 OK", "The server is alive.")

    def _handle_readiness(self, environ: dict[str, Any]) -> HttpResponse:
        fault = self._readiness.find_failure()
        return (
            _text_response("503 Service Unavailable", fault)
            if fault
            else _text_response("200 OK", "The server is ready.")
        )


PAGE_HANDLERS: Final[dict[str, Callable[[HealthServer, dict[str, Any]], HttpResponse]]] = {
    "/metrics": HealthServer._handle_metrics,
    "/healthz": HealthServer._handle_liveness,
    "/readyz": HealthServer._handle_readiness,
}


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return encoder and content type for an `Accept` header; an invalid one accepts anything."""
    try:
        return choose_encoder(accept)
    except Exception:
        return choose_encoder("")


def _text_response(status: str, text: str) -> HttpResponse:
    return status, PLAIN_TEXT, text.encode() + b"\n"


class _HttpListener(Listener, WSGIServer):
    """A WSGI server that rejects clients with a reply when descriptors run out."""

    def __init__(
        self,
        sock: socket.socket,
        application: Callable[..., object],
        spare_descriptor: SpareDescriptor,
        pool: Pool,
        handler: Callable[..., WSGIHandler],
    ) -> None:
        super().__init__(
            sock,
            application,
            spare_descriptor,
            lambda: UNAVAILABLE,
            spawn=pool,
            log=None,
            error_log=None,
            environ={"SERVER_NAME": "gmessenger"},  # without a name, gevent would look it up
            handler_class=handler,
        )


class _HttpHandler(WSGIHandler):
    """Handles one request of a connection within `timeout` seconds; logs no errors of its client."""

    def __init__(
        self, sock: socket.socket, address: Any, server: WSGIServer, *, timeout: float, idle_limit: IdleConnectionLimit
    ) -> None:
        super().__init__(sock, address, server)
        self._timeout = timeout
        self._idle_limit = idle_limit

    def handle(self) -> None:
        with (
            self._idle_limit.track() as self._tracked,
            contextlib.suppress(OSError, gevent.Timeout),
            gevent.Timeout(self._timeout),
        ):
            super().handle()

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), TRACKED_CONNECTION: self._tracked}

    def read_request(self, raw_requestline: str) -> Any:
        is_valid = super().read_request(raw_requestline)
        self.close_connection = True
        return is_valid

    def handle_error(self, *_: object) -> None:
        """Close the connection, whose time is up or whose client has left; `_serve` handles other errors."""
        self.close_connection = True

    def _handle_client_error(self, _: object) -> tuple[str, bytes]:
        return "400", BAD_REQUEST
