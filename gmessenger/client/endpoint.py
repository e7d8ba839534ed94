"""Where a server is, and how a connection to it is made: TCP, TLS, or a WebSocket over either."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gevent import socket

from gmessenger.client.config import Timeouts, TlsConfig
from gmessenger.client.connection import ServerConnection
from gmessenger.client.dialer import dial
from gmessenger.constants import DEFAULT_PORT, DEFAULT_TLS_PORT
from gmessenger.errors import InsecureTransport, UsageError
from gmessenger.hosts import join_host_port, strip_brackets
from gmessenger.server_urls import ServerUrl, is_server_url, parse_server_url
from gmessenger.text import Text

if TYPE_CHECKING:
    from gmessenger.client.tls import TlsContext


class ServerEndpoint:
    """A server's host and port, or its URL; as text, how a person would write it."""

    def __init__(self, host: str, port: int = 0, tls: TlsConfig | None = None) -> None:
        """Prepare connections.

        host: a name, an address, or a URL (`wss://HOST/jim`), which then has port and encryption in itself.
        port: 0 for the default one.
        tls: encrypt, and whom to trust; for a `wss` URL None is the same as `TlsConfig()`.

        Raises `UsageError` if the URL is none, or contradicts the others, and `FileError` if a file of `tls` cannot be
        used.
        """
        self._url = _parse_url(host, port, tls) if is_server_url(host) else None
        if self._url is not None:
            self._host, self._port = self._url.host, self._url.port
            tls = (tls or TlsConfig()) if self._url.is_encrypted else None
        else:
            self._host = strip_brackets(host)
            self._port = port or (DEFAULT_TLS_PORT if tls is not None else DEFAULT_PORT)
        self._tls_context = _make_tls_context(tls) if tls is not None else None

    @property
    def invite(self) -> str | None:
        """The invite that the URL has beside the address, if it has one."""
        return self._url.invite if self._url is not None else None

    def __str__(self) -> str:
        return str(self._url) if self._url is not None else join_host_port(self._host, self._port)

    def connect(self, timeouts: Timeouts) -> ServerConnection:
        """Open a connection within `timeouts.connect` seconds. Blocks.

        Raises:
            OSError: no server responds, it has no room (`ServerBusy`), or is of another kind (`ForeignServer`).
            CertificateNotTrusted: the server did not prove its identity; nothing was sent to it.
        """
        deadline = time.monotonic() + timeouts.connect
        sock = dial(self._host, self._port, timeouts.connect)
        if self._tls_context is not None:
            sock = self._tls_context.wrap(sock, self._host, deadline - time.monotonic())
        if self._url is None:
            return ServerConnection(sock)
        from gmessenger.client.websocket import open_websocket  # loads slowly, and is not needed otherwise

        return open_websocket(sock, self._url, deadline - time.monotonic())

    def open_web_connection(self, scheme: str, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to where the server has its files, with TLS for `https`, within `timeout` seconds. Blocks.

        The server's own host is verified as the server is, and another one by the authorities that the system trusts.
        Raises OSError, `CertificateNotTrusted`, and `InsecureTransport` where the token of a session that is encrypted
        would be sent in plain text.
        """
        deadline = time.monotonic() + timeout
        if scheme != "https" and self._tls_context is not None:
            raise InsecureTransport
        sock = dial(host, port, timeout)
        if scheme != "https":
            return sock
        context = self._tls_context if host == self._host else None
        return (context or _make_tls_context(TlsConfig())).wrap(sock, host, deadline - time.monotonic())

    def files_url(self, told: str) -> str:
        """Return where the server has its files, which its login `told`: by the host that the client itself knows."""
        if self._url is None or not told:
            return told
        scheme = "https" if self._url.is_encrypted else "http"
        return f"{scheme}://{join_host_port(self._host, self._port)}{urlsplit(told).path}"


def _make_tls_context(tls: TlsConfig) -> TlsContext:
    from gmessenger.client.tls import TlsContext  # loads slowly, and is not needed for plain connections

    return TlsContext(tls)


def _parse_url(text: str, port: int, tls: TlsConfig | None) -> ServerUrl:
    try:
        url = parse_server_url(text)
    except ValueError:
        raise UsageError(Text("{url} is not the URL of a server, as wss://HOST/jim is.", url=text)) from None
    if port not in (0, url.port):
        raise UsageError(Text("{url} has its port in itself; {port} is another one.", url=url, port=port))
    if tls is not None and not url.is_encrypted:
        raise UsageError(Text("{url} is not encrypted; with TLS it begins with wss://.", url=url))
    return url
