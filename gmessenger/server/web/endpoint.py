"""The web endpoint: makes the sessions of the web port, by the options and the certificate."""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.constants import WebTls
from gmessenger.hosts import strip_brackets
from gmessenger.server.net.connection import ServerContext
from gmessenger.server.net.frontend import Frontend
from gmessenger.server.net.remote import RemoteAddress, is_in_networks
from gmessenger.server.net.sockets import unix_socket_path
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport
from gmessenger.server.web.origins import OriginPolicy
from gmessenger.server.web.routes import Route, RouteTable
from gmessenger.server.web.session import WebContext, WebSession, local_address_of

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


class OpenWebSocket(NamedTuple):
    """A connection that is a WebSocket now, and the protocol that is spoken there."""

    transport: WebSocketTransport
    frontend: Frontend


class WebEndpoint:
    """What a web port is like: encrypted or not, whom it lets in, and what is found there."""

    def __init__(
        self,
        server: ServerContext,
        place: str,
        certificate: CertificateManager | None,
        check_address: Callable[[str], None],
        admit_address: Callable[[str], WeightedNetworks],
        charge_request: Callable[[str], None],
        is_stopping: Callable[[], bool],
        routes: Sequence[Route],
        request_count: Counter[int],
    ) -> None:
        """`place`: where it listens; `certificate`: None without encryption; for the rest see `WebContext`.

        `request_count` counts requests by the status of the answer.
        """
        self._server = server
        self._place = place
        self._certificate = certificate
        self._is_stopping = is_stopping
        self._request_count = request_count
        self._sessions: set[WebSession] = set()
        policy = OriginPolicy(
            self._certificate_names, lambda: server.options.web_url, lambda: server.options.web_origins
        )
        table = RouteTable(routes, policy)
        self._context = WebContext(server, table, check_address, admit_address, charge_request, self._count)

    @property
    def scheme(self) -> str:
        """`https`, or `http` where the port is not encrypted by this server."""
        return "https" if self._certificate is not None else "http"

    def address(self, port: int | None) -> str:
        """Return the URL of the endpoint at a port, with a host that browsers know; without a port, its socket."""
        if port is None:
            return self._place
        host = self._place.rpartition(":")[0]
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

    def negotiate(self, session: WebSession) -> OpenWebSocket | None:
        """Answer requests until the connection is a WebSocket, or ends (None). Blocks. Raises OSError."""
        self._sessions.add(session)
        try:
            upgrade = session.negotiate() if not self._is_stopping() else None
        finally:
            self._sessions.discard(session)
        if upgrade is None:
            return None
        from gmessenger.server.web.websocket_transport import WebSocketTransport  # which the route has loaded

        transport = WebSocketTransport(
            session.transport,
            upgrade.spec,
            upgrade.framing,
            is_encrypted=session.is_encrypted,
            is_stopping=self._is_stopping,
        )
        return OpenWebSocket(transport, upgrade.spec.frontend)

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
        self._request_count[status] += 1


def is_tls_wanted(place: str, mode: WebTls) -> bool:
    """Return whether a web port at a place is encrypted where there is a certificate."""
    host = strip_brackets(place.rpartition(":")[0])
    if mode == "no" or host == "localhost" or unix_socket_path(place) is not None:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
