"""The web endpoint: makes the transports of the web port, by the options and the certificate."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Final

from gmessenger.config.options import ServerOptions
from gmessenger.hosts import strip_brackets
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport, Transport
from gmessenger.server.web.origins import OriginPolicy, WebAddress
from gmessenger.server.web.transport import WebTransport
from gmessenger.server.web.upgrade import route

FULL_REPLY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class WebEndpoint:
    """What the web port is like: encrypted or not, and whom it lets in."""

    def __init__(self, options: Callable[[], ServerOptions], certificate: CertificateManager | None) -> None:
        """`options` returns the present ones."""
        self._options = options
        self._certificate = certificate if _is_tls_wanted(options()) else None
        self._policy = OriginPolicy(self._certificate_names, lambda: self._options().web_url)

    @property
    def scheme(self) -> str:
        """`https`, or `http` where the port is not encrypted by this server."""
        return "https" if self._certificate is not None else "http"

    def make_transport(self, sock: socket.socket) -> Transport:
        """Return the transport of an accepted connection."""
        place = WebAddress(self.scheme, str(sock.getsockname()[0]).removeprefix("::ffff:"))
        certificate, policy = self._certificate, self._policy
        inner = TlsTransport(sock, certificate.context) if certificate is not None else TcpTransport(sock)
        return WebTransport(inner, lambda request: route(request, place, policy), self._options().max_frame)

    def make_full_reply(self) -> bytes:
        """Return what a client is sent for which there is no descriptor; nothing where it expects TLS."""
        return FULL_REPLY if self._certificate is None else b""

    def _certificate_names(self) -> Iterable[str]:
        return self._certificate.names if self._certificate is not None else ()


def _is_tls_wanted(options: ServerOptions) -> bool:
    """Return whether the web port is encrypted where there is a certificate."""
    host = strip_brackets(options.web.rpartition(":")[0])
    if options.web_tls == "no" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
