"""Readiness: whether a message that came now would be stored.

Health: metrics, and whether the server is well, over HTTP, for programs that watch it.

Whoever can reach the address may ask; there is no password, and it is off unless the operator wants it. Who asks may be
as slow or broken as they like: nobody in the messenger waits for them, and a stopping server does not either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import gevent
from gevent import Greenlet
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
from gmessenger.server.net.sockets import UNIX_PREFIX, address_of, file_identity, listen_on, remove_socket_file
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.snapshot import ServerView

STOPPING_MESSAGE = "The server is stopping."


class ReadinessProbe:
    """Has the store write something: that it can be read says nothing of a disk that is full.

    The store is asked once at a time, however many want to know, so that asking costs a commit at most.
    """

    def __init__(self, store: Store, timeout: float, is_stopping: Callable[[], bool], supervisor: Supervisor) -> None:
        self._store = store
        self._timeout = timeout
        self._is_stopping = is_stopping
        self._supervisor = supervisor
        self._probing: Greenlet[..., object] | None = None

    def find_failure(self) -> str:
        """Why the server is not ready, as a sentence; empty where it is."""
        if self._is_stopping():
            return STOPPING_MESSAGE
        if self._probing is None:
            self._probing = self._supervisor.spawn("readiness", self._probe)
        asking = self._probing
        asking.join(self._timeout)
        if not asking.ready():
            return f"The store has not answered for {self._timeout:g} s."
        return str(asking.value) if asking.successful() else "The store could not be queried; see the log."

    def stop(self) -> None:
        """Nobody wants to know any more."""
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
"""Connections at one time that are still asking, or slow to read; one more closes the oldest of them."""
REQUEST_TIMEOUT: Final = 5.0
"""Seconds a connection may last, besides what the store may take to answer."""
STOP_TIMEOUT: Final = 0.2
PLAIN_TEXT: Final = "text/plain; charset=utf-8"
EMPTY_RESPONSE: Final = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BAD_REQUEST: Final = EMPTY_RESPONSE % b"400 Bad Request"
UNAVAILABLE: Final = EMPTY_RESPONSE % b"503 Service Unavailable"
TRACKED_CONNECTION: Final = "gmessenger.visit"
HttpResponse: TypeAlias = tuple[str, str, bytes]
"""Status, type of content, content."""


class HealthServer:
    """Answers from `start` to `stop`."""

    def __init__(self, server: ServerView) -> None:
        """Takes the address. Raises `ListenError`."""
        timeout = server.options.health_timeout
        self._listen_address = server.options.health
        self._supervisor = server.supervisor
        self._registry = make_registry(server)
        self._readiness = ReadinessProbe(server.store, timeout, lambda: server.stopping, server.supervisor)
        sockets = listen_on(self._listen_address, "health")
        self._socket_path = (
            Path(self._listen_address.removeprefix(UNIX_PREFIX))
            if self._listen_address.startswith(UNIX_PREFIX)
            else None
        )
        self._socket_identity = file_identity(self._socket_path) if self._socket_path is not None else None
        self.address = address_of(sockets[0])
        """Where it listens: `address:port`, or a path; the first of several."""
        # (Without a name the server would ask the resolver for one.)
        environ = {"SERVER_NAME": "gmessenger"}
        pool = Pool(2 * MAX_IDLE_CONNECTIONS)
        self._idle_limit = IdleConnectionLimit(MAX_IDLE_CONNECTIONS)
        handler = type(
            "Handler", (_HttpHandler,), {"request_timeout": REQUEST_TIMEOUT + timeout, "idle_limit": self._idle_limit}
        )
        common: dict[str, Any] = {
            "spawn": pool,
            "log": None,
            "error_log": None,
            "environ": environ,
            "handler_class": handler,
        }
        self._listeners = [_HttpListener(sock, self._serve, **common) for sock in sockets]

    def start(self, spare_descriptor: SpareDescriptor) -> None:
        for server in self._listeners:
            server.spare_descriptor, server.make_full_reply = spare_descriptor, lambda: UNAVAILABLE
            server.start()
        log.log_event("health_started", address=self.address)

    def stop(self) -> None:
        self._readiness.stop()
        for server in self._listeners:
            server.stop(STOP_TIMEOUT)
        if self._socket_path is not None:
            remove_socket_file(self._socket_path, self._socket_identity)

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
        page = PAGE_HANDLERS.get(environ["PATH_INFO"])
        if page is None:
            return _text_response("404 Not Found", f"The pages are {', '.join(PAGE_HANDLERS)}.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text_response("405 Method Not Allowed", "Only GET and HEAD are allowed.")
        return page(self, environ)

    def _metrics(self, environ: dict[str, Any]) -> HttpResponse:
        encode, kind = _encoder(environ.get("HTTP_ACCEPT", ""))
        return "200 OK", kind, encode(self._registry)

    def _alive(self, environ: dict[str, Any]) -> HttpResponse:
        """That this is answered says it: the loop turns."""
        return _text_response("200 OK", "The server is alive.")

    def _ready(self, environ: dict[str, Any]) -> HttpResponse:
        fault = self._readiness.find_failure()
        return (
            _text_response("503 Service Unavailable", fault)
            if fault
            else _text_response("200 OK", "The server is ready.")
        )


PAGE_HANDLERS: Final[dict[str, Callable[[HealthServer, dict[str, Any]], HttpResponse]]] = {
    "/metrics": HealthServer._metrics,
    "/healthz": HealthServer._alive,
    "/readyz": HealthServer._ready,
}


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """How the metrics are written for who accepts that; what cannot be understood accepts anything (RFC 9110)."""
    try:
        return choose_encoder(accept)
    except Exception:
        return choose_encoder("")


def _text_response(status: str, text: str) -> HttpResponse:
    return status, PLAIN_TEXT, text.encode() + b"\n"


class _HttpListener(Listener, WSGIServer):
    """Tells who cannot be let in, too."""


class _HttpHandler(WSGIHandler):
    """One question a connection, within `request_timeout` seconds, and not a word about what a stranger does wrong."""

    request_timeout = REQUEST_TIMEOUT
    idle_limit: IdleConnectionLimit

    def handle(self) -> None:
        with (
            self.idle_limit.track() as self._tracked,
            contextlib.suppress(OSError, gevent.Timeout),
            gevent.Timeout(self.request_timeout),
        ):
            super().handle()

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), TRACKED_CONNECTION: self._tracked}

    def read_request(self, raw_requestline: str) -> Any:
        understood = super().read_request(raw_requestline)
        self.close_connection = True
        return understood

    def handle_error(self, *_: object) -> None:
        """The time was up, or the other end has left: what went wrong before, the application has answered itself."""
        self.close_connection = True

    def _handle_client_error(self, _: object) -> tuple[str, bytes]:
        return "400", BAD_REQUEST
