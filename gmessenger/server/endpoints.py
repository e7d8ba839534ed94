"""Endpoints: where clients come in, by TCP, TLS or HTTP, and how those are admitted or rejected there.

Each listener has one. It calls `handle` in the greenlet of each client, and `make_full_reply` for a client for whom
there is no descriptor.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from gevent import socket

from gmessenger.errors import ServerFull, WireError
from gmessenger.server.acceptor import AcceptedClient, Acceptor, reject_without_waiting
from gmessenger.server.net.frontend import Frontend
from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport, Transport

if TYPE_CHECKING:
    from gmessenger.server.web.endpoint import WebEndpoint
    from gmessenger.server.web.session import WebSession


class ClientEndpoint(Protocol):
    """What a listener calls."""

    def handle(self, sock: socket.socket, address: str) -> None:
        """Handle a client until it is gone. Blocks: it is the body of its greenlet."""

    def make_full_reply(self) -> bytes:
        """Count a client that is rejected for want of a descriptor; return its reply."""


class StreamEndpoint:
    """Where a protocol is spoken over TCP or, with a certificate, over TLS."""

    def __init__(
        self,
        acceptor: Acceptor,
        frontend: Frontend,
        certificate: CertificateManager | None = None,
        *,
        asks_for_certificates: bool = False,
    ) -> None:
        """`asks_for_certificates`: whether clients are asked for one of their own, in TLS."""
        self._asks_for_certificates = asks_for_certificates
        self._acceptor = acceptor
        self._frontend = frontend
        self._certificate = certificate

    def handle(self, sock: socket.socket, address: str) -> None:
        self._acceptor.handle(sock, address, self._admit)

    def make_full_reply(self) -> bytes:
        """Count a client that is rejected for want of a descriptor; return its reply: over TLS nothing can be sent."""
        self._acceptor.count_full()
        return self._frontend.encode_refusal(ServerFull()) if self._certificate is None else b""

    def _admit(self, sock: socket.socket, remote: RemoteAddress) -> AcceptedClient | None:
        """Count a connection, or reject it and return None."""
        transport, acceptor = self._open(sock), self._acceptor
        try:
            acceptor.check_capacity(transport.fileno())
            networks = acceptor.admit_address(remote.address)
        except WireError as error:
            acceptor.reject(transport, remote.address, error, self._frontend.encode_refusal(error))
            return None
        acceptor.count_open()
        return AcceptedClient(transport, remote, networks, self._frontend)

    def _open(self, sock: socket.socket) -> Transport:
        certificate, make_reply = self._certificate, self._frontend.make_not_tls_reply
        if certificate is None:
            return TcpTransport(sock)
        if self._asks_for_certificates:
            return TlsTransport(sock, certificate.asking_context, make_reply, certificate.context)
        return TlsTransport(sock, certificate.context, make_reply)


class HttpEndpoint:
    """Where HTTP is spoken until a connection is a WebSocket; the protocol in it depends on the path of the request."""

    def __init__(self, acceptor: Acceptor, web: WebEndpoint) -> None:
        self._acceptor = acceptor
        self._web = web

    def handle(self, sock: socket.socket, address: str) -> None:
        self._acceptor.handle(sock, address, self._admit)

    def make_full_reply(self) -> bytes:
        self._acceptor.count_full()
        return self._web.make_full_reply()

    def _admit(self, sock: socket.socket, remote: RemoteAddress) -> AcceptedClient | None:
        """Count a connection before a byte of it is read, and answer requests until it is a WebSocket.

        Its address may be a proxy's.
        """
        acceptor = self._acceptor
        session = self._web.open(sock, remote)
        try:
            acceptor.check_capacity(sock.fileno())
            if not session.is_behind_proxy:
                session.networks = acceptor.admit_address(remote.address)
        except WireError as error:
            self._refuse(session, error)
            return None
        acceptor.count_open()
        websocket = None
        try:
            websocket = self._web.negotiate(session)
        finally:
            if websocket is None:
                acceptor.release(session.networks)
                session.transport.close()
        if websocket is None:
            return None
        return AcceptedClient(websocket.transport, session.remote, session.networks, websocket.frontend)

    def _refuse(self, session: WebSession, error: WireError) -> None:
        if self._acceptor.count_rejected(session.remote.address, error):
            reject_without_waiting(session.transport, self._web.make_full_reply())
        else:
            with closing(session.transport):
                session.refuse(error)
