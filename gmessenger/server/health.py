"""Health: metrics, and whether the server is well, over HTTP, for programs that watch it.

Whoever can reach the address may ask; there is no password, and it is off unless the operator wants it. Who asks may be
as slow or broken as they like: nobody in the messenger waits for them, and a stopping server does not either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from gmessenger import logs
from gmessenger.server.acceptor import Acceptor, Spare
from gmessenger.server.census import Observed
from gmessenger.server.listening import UNIX, identify, listen_at, place_of, remove_own
from gmessenger.server.metrics import registry_of
from gmessenger.server.readiness import Readiness
from gmessenger.server.visitors import Visitors

MOST_ASKING: Final = 64
"""Connections at one time that are still asking, or slow to read; one more closes the oldest of them."""
TAKES: Final = 5.0
"""Seconds a connection may last, besides what the store may take to answer."""
STOPPING_TAKES: Final = 0.2
TEXT: Final = "text/plain; charset=utf-8"
HEAD: Final = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
BAD_REQUEST: Final = HEAD % b"400 Bad Request"
UNAVAILABLE: Final = HEAD % b"503 Service Unavailable"
VISIT: Final = "gmessenger.visit"
Answer: TypeAlias = tuple[str, str, bytes]
"""Status, type of content, content."""


class Health:
    """Answers from `start` to `stop`."""

    def __init__(self, server: Observed) -> None:
        """Takes the address. Raises `CannotListen`."""
        timeout = server.options.health_timeout
        self._place = server.options.health
        self._watch = server.watch
        self._registry = registry_of(server)
        self._readiness = Readiness(server.store, timeout, lambda: server.stopping, server.watch)
        sockets = listen_at(self._place, "health")
        self._file = Path(self._place.removeprefix(UNIX)) if self._place.startswith(UNIX) else None
        self._identity = identify(self._file) if self._file is not None else None
        self.place = place_of(sockets[0])
        """Where it listens: `address:port`, or a path; the first of several."""
        # (Without a name the server would ask the resolver for one.)
        environ = {"SERVER_NAME": "gmessenger"}
        pool = Pool(2 * MOST_ASKING)
        self._visitors = Visitors(MOST_ASKING)
        handler = type("Handler", (_Handler,), {"takes": TAKES + timeout, "visitors": self._visitors})
        common: dict[str, Any] = {
            "spawn": pool,
            "log": None,
            "error_log": None,
            "environ": environ,
            "handler_class": handler,
        }
        self._servers = [_Server(sock, self._serve, **common) for sock in sockets]

    def start(self, spare: Spare) -> None:
        for server in self._servers:
            server.spare, server.farewell = spare, lambda: UNAVAILABLE
            server.start()
        logs.event("health_started", address=self.place)

    def stop(self) -> None:
        self._readiness.stop()
        for server in self._servers:
            server.stop(STOPPING_TAKES)
        if self._file is not None:
            remove_own(self._file, self._identity)

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        try:
            with self._visitors.serving(environ[VISIT]):
                status, kind, content = self._answer(environ)
        except Exception as failure:
            self._watch.failed("health", failure)
            status, kind, content = _said(
                "500 Internal Server Error", "The server had an internal error, which it has logged."
            )
        length = str(len(content))
        start_response(status, [("Content-Type", kind), ("Content-Length", length), ("Connection", "close")])
        return [content] if environ["REQUEST_METHOD"] != "HEAD" else []

    def _answer(self, environ: dict[str, Any]) -> Answer:
        page = PAGES.get(environ["PATH_INFO"])
        if page is None:
            return _said("404 Not Found", f"The pages are {', '.join(PAGES)}.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _said("405 Method Not Allowed", "Only GET and HEAD are allowed.")
        return page(self, environ)

    def _metrics(self, environ: dict[str, Any]) -> Answer:
        encode, kind = _encoder(environ.get("HTTP_ACCEPT", ""))
        return "200 OK", kind, encode(self._registry)

    def _alive(self, environ: dict[str, Any]) -> Answer:
        """That this is answered says it: the loop turns."""
        return _said("200 OK", "The server is alive.")

    def _ready(self, environ: dict[str, Any]) -> Answer:
        fault = self._readiness.fault()
        return _said("503 Service Unavailable", fault) if fault else _said("200 OK", "The server is ready.")


PAGES: Final[dict[str, Callable[[Health, dict[str, Any]], Answer]]] = {
    "/metrics": Health._metrics,
    "/healthz": Health._alive,
    "/readyz": Health._ready,
}


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """How the metrics are written for who accepts that; what cannot be understood accepts anything (RFC 9110)."""
    try:
        return choose_encoder(accept)
    except Exception:
        return choose_encoder("")


def _said(status: str, sentence: str) -> Answer:
    return status, TEXT, sentence.encode() + b"\n"


class _Server(Acceptor, WSGIServer):
    """Tells who cannot be let in, too."""


class _Handler(WSGIHandler):
    """One question for each connection, within `takes` seconds, and not a word about what a stranger does wrong."""

    takes = TAKES
    visitors: Visitors

    def handle(self) -> None:
        with (
            self.visitors.visit() as self._visit,
            contextlib.suppress(OSError, gevent.Timeout),
            gevent.Timeout(self.takes),
        ):
            super().handle()

    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), VISIT: self._visit}

    def read_request(self, raw_requestline: str) -> Any:
        understood = super().read_request(raw_requestline)
        self.close_connection = True
        return understood

    def handle_error(self, *_: object) -> None:
        """The time was up, or the other end has left: what went wrong before, the application has answered itself."""
        self.close_connection = True

    def _handle_client_error(self, _: object) -> tuple[str, bytes]:
        return "400", BAD_REQUEST
