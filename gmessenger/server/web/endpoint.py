"""The web endpoint: makes the sessions of the web port, by the options and the certificate."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import FrameTooLong
from gmessenger.hosts import strip_brackets
from gmessenger.server.net.connection import ServerContext
from gmessenger.server.net.remote import RemoteAddress, is_in_networks
from gmessenger.server.net.sockets import unix_socket_path
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport
from gmessenger.server.web.http_connection import Upgrade
from gmessenger.server.web.origins import OriginPolicy
from gmessenger.server.web.routes import Route, RouteTable, WebRequest
from gmessenger.server.web.session import WebContext, WebSession, local_address_of
from gmessenger.threads import run_in_thread
from gmessenger.wire.encoder import encode_error

if TYPE_CHECKING:
    from gmessenger.server.web.websocket_transport import WebSocketTransport

FULL_REPLY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
NOT_TLS_REPLY: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 33\r\n"
    b"Connection: close\r\n\r\nThis port is for https addresses\n"
)
EVERY_INTERFACE: Final = frozenset({"", "0.0.0.0", "::"})


def _accept_websocket(request: WebRequest) -> Upgrade:
    _load_websockets()
    from gmessenger.server.web.upgrade import accept_websocket

    return accept_websocket(request)


@cache
def _load_websockets() -> None:
    """Import `websockets` and what that imports, two megabytes, for the first WebSocket. Blocks the greenlet."""
    run_in_thread(_import_websockets)  # it takes 30 to 80 ms


def _import_websockets() -> None:
    import gmessenger.server.web.upgrade
    import gmessenger.server.web.websocket_transport  # noqa: F401


JIM_ROUTE: Final = Route("/jim", {"GET": _accept_websocket})


class WebEndpoint:
    """What the web port is like: encrypted or not, whom it lets in, and what is found there."""

    def __init__(
        self,
        server: ServerContext,
        certificate: CertificateManager | None,
        check_address: Callable[[str], None],
        admit_address: Callable[[str], WeightedNetworks],
        charge_request: Callable[[str], None],
        is_stopping: Callable[[], bool],
        routes: Sequence[Route] = (),
    ) -> None:
        """`routes` are those besides WebSockets; for the rest see `WebContext`."""
        self._server = server
        self._certificate = certificate if is_tls_wanted(server.options) else None
        self._is_stopping = is_stopping
        self.request_count: Counter[int] = Counter()
        """Requests by the status of the answer."""
        self._sessions: set[WebSession] = set()
        policy = OriginPolicy(self._certificate_names, lambda: server.options.web_url)
        table = RouteTable((JIM_ROUTE, *routes), policy)
        self._context = WebContext(server, table, check_address, admit_address, charge_request, self._count)

    @property
    def scheme(self) -> str:
        """`https`, or `http` where the port is not encrypted by this server."""
        return "https" if self._certificate is not None else "http"

    def address(self, port: int | None) -> str:
        """Return the URL of the endpoint at a port, with a host that browsers know; without a port, its socket."""
        place = self._server.options.web
        if port is None:
            return place
        host = place.rpartition(":")[0]
        if strip_brackets(host) in EVERY_INTERFACE:
            host = next((name for name in self._certificate_names() if "*" not in name), "localhost")
        return f"{self.scheme}://{host}:{port}"

    def open(self, sock: socket.socket, remote: RemoteAddress) -> WebSession:
        """Return the session of an accepted connection, in whose greenlet this is called."""
        certificate = self._certificate
        transport = (
            TlsTransport(sock, certificate.context, lambda _: NOT_TLS_REPLY) if certificate else TcpTransport(sock)
        )
        is_proxy = sock.family == socket.AF_UNIX or is_in_networks(remote.address, self._server.options.web_proxy_from)
        return WebSession(transport, remote, local_address_of(sock), self._context, is_proxy=is_proxy)

    def negotiate(self, session: WebSession) -> WebSocketTransport | None:
        """Answer requests until the connection is a WebSocket, whose transport is returned, or ends. Blocks.

        Raises OSError.
        """
        self._sessions.add(session)
        try:
            if self._is_stopping() or not session.negotiate():
                return None
        finally:
            self._sessions.discard(session)
        from gmessenger.server.web.websocket_transport import WebSocketTransport  # which `_load_websockets` has loaded

        return WebSocketTransport(
            session.transport,
            self._server.options.max_frame,
            _make_too_long_reply,
            is_encrypted=session.is_encrypted,
            is_stopping=self._is_stopping,
        )

    def stop(self) -> None:
        """End the connections of HTTP, each after the request that is being answered. Never blocks."""
        for session in list(self._sessions):
            session.close_when_idle()

    def make_full_reply(self) -> bytes:
        """Return what a client is sent for which there is no descriptor; nothing where it expects TLS."""
        return FULL_REPLY if self._certificate is None else b""

    def _certificate_names(self) -> Iterable[str]:
        return self._certificate.names if self._certificate is not None else ()

    def _count(self, status: int) -> None:
        self.request_count[status] += 1


def _make_too_long_reply() -> bytes:
    return encode_error(FrameTooLong(), time.time())


def is_tls_wanted(options: ServerOptions) -> bool:
    """Return whether the web port is encrypted where there is a certificate."""
    host = strip_brackets(options.web.rpartition(":")[0])
    if options.web_tls == "no" or host == "localhost" or unix_socket_path(options.web) is not None:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
