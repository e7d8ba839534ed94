"""Byte transports of a connection: TCP, or TLS over it. Only `TlsTransport.handshake` blocks."""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from gevent import Timeout, ssl
from gevent import socket as waiting

from gmessenger.server.net.client_certificates import fingerprint_of

SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    # Course clients cannot be probed on the wire; their kernels can.
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 15),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
)
MAX_TLS_RECORD: Final = 16_384
"""Bytes that one TLS record holds at most."""
TLS_HANDSHAKE_TYPE: Final = 0x16
"""The first byte of a TLS record that holds a handshake."""
PEEK_CHUNK: Final = 64  # bytes
LINGER_TIMEOUT: Final = 1.0  # seconds
"""Time for a client that does not speak TLS to read why it is rejected."""


class NotTlsError(ConnectionError):
    """The client of a TLS port began with something else than a handshake, and has been sent a reply."""


class Transport(Protocol):
    """The server's end of a connection. All methods may raise OSError when the client is gone."""

    @property
    def label(self) -> str:
        """What metrics call it: `plain`, `tls` or `web`."""

    @property
    def is_encrypted(self) -> bool:
        """Whether the bytes are encrypted."""

    @property
    def needs_handshake(self) -> bool:
        """Whether nothing can be sent before `handshake`."""

    @property
    def client_certificate(self) -> str | None:
        """The SHA-256 fingerprint, in hexadecimal, of the certificate that the client has presented, if any."""

    @property
    def max_idle(self) -> float:
        """For how many seconds nothing may be sent either way without the connection being forgotten on the way."""

    def fileno(self) -> int:
        """Return the descriptor for the loop: while it is not readable, there is nothing to receive."""

    def handshake(self, timeout: float) -> None:
        """Do what comes before the first byte, in `timeout` seconds. The only method that blocks."""

    def recv(self, size: int, /) -> bytes:
        """Return received bytes; none at the end. Raises BlockingIOError if nothing is complete yet."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send what is taken now; return its length. BlockingIOError means 0."""

    def shutdown_read(self) -> None:
        """Receive no more: the end is received next."""

    def shutdown_write(self) -> None:
        """Signal the end of what is sent; what is received after that is not decrypted."""

    def close(self) -> None:
        """Close the socket."""


class TcpTransport:
    """TCP. `recv` and `send` are the socket's own methods, so that this layer costs nothing."""

    __slots__ = ("_socket", "recv", "send")
    label = "plain"
    is_encrypted = needs_handshake = False
    client_certificate = None
    max_idle = math.inf

    def __init__(self, sock: socket.socket) -> None:
        set_socket_options(sock)
        self._socket = sock
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes | memoryview], int] = sock.send

    def fileno(self) -> int:
        return self._socket.fileno()

    def handshake(self, timeout: float) -> None:
        """Do nothing."""

    def shutdown_read(self) -> None:
        self._socket.shutdown(socket.SHUT_RD)

    def shutdown_write(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


class TlsTransport:
    """TLS over a socket, which it owns from then on."""

    __slots__ = (
        "_context",
        "_is_open",
        "_make_not_tls_reply",
        "_next_context",
        "_pending",
        "_read",
        "_socket",
        "_write",
        "client_certificate",
    )
    label = "tls"
    is_encrypted = needs_handshake = True
    max_idle = math.inf
    _socket: Any
    # The methods of the TLS socket that each message needs; they are there after the handshake.
    _read: Callable[[int], bytes]
    _pending: Callable[[], int]
    _write: Callable[[bytes | memoryview], int]

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        make_not_tls_reply: Callable[[bytes], bytes],
        next_context: ssl.SSLContext | None = None,
    ) -> None:
        """`make_not_tls_reply` returns what a client is sent that begins with these bytes, which are not TLS.

        `next_context`: where `context` asks for a certificate, the one to go on with after the handshake.
        """
        set_socket_options(sock)
        self._socket = sock
        self._context = context
        self._next_context = next_context
        self.client_certificate: str | None = None
        self._make_not_tls_reply = make_not_tls_reply
        self._is_open = False

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def handshake(self, timeout: float) -> None:
        """Do the TLS handshake. Blocks for at most `timeout` seconds.

        Raises `NotTlsError` if the client begins with something else, after a reply in its protocol; and OSError.
        """
        try:
            with Timeout(timeout, TimeoutError(errno.ETIMEDOUT, "no handshake in time")):
                _require_handshake(self._socket, self._make_not_tls_reply)
                self._socket = sock = self._context.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
                sock.setblocking(True)
                sock.do_handshake()
                if self._next_context is not None:
                    self.client_certificate = fingerprint_of(sock)
                    sock.context = self._next_context
        except ssl.SSLError as error:
            raise ConnectionError(errno.EPROTO, describe_ssl_error(error)) from None
        sock.setblocking(False)
        self._read, self._pending, self._write = sock.read, sock.pending, sock.write
        self._is_open = True

    def recv(self, size: int, /) -> bytes:
        if not self._is_open:  # the close_notify was sent: from here on it is read as a plain socket
            return bytes(self._socket.recv(size))
        try:
            data = self._read(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None  # half a record, or one without data
        # One record is read at a time; the rest stays in the kernel, where the loop sees it. It would not see what is
        # decrypted already.
        while left := self._pending():
            data += self._read(left)
        return data

    def send(self, data: bytes | memoryview, /) -> int:
        # A record at a time: one that was not taken must be sent again with the same bytes, whatever follows them.
        sent = 0
        try:
            if len(data) <= MAX_TLS_RECORD:
                return self._write(data)
            while sent < len(data):
                sent += self._write(data[sent : sent + MAX_TLS_RECORD])
        except ssl.SSLWantWriteError:
            pass
        except ssl.SSLWantReadError:  # waiting until the socket is writable would not help
            raise ConnectionError(errno.EPROTO, "began a handshake and did not end it") from None
        return sent

    def shutdown_read(self) -> None:
        waiting.socket.shutdown(self._socket, socket.SHUT_RD)  # SSLSocket.shutdown would end TLS in both directions

    def shutdown_write(self) -> None:
        if not self._is_open:
            raise ConnectionError(errno.EPROTO, "no handshake")
        with suppress(OSError):  # the close_notify is sent; the client's would have to be waited for
            self._socket.unwrap()
        self._is_open = False
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


def set_socket_options(sock: socket.socket) -> None:
    """Make a socket non-blocking, without delay for small frames, and with keepalive probes."""
    sock.setblocking(False)
    for level, option, value in SOCKET_OPTIONS:
        if hasattr(socket, option):
            with suppress(OSError):  # it works without
                sock.setsockopt(level, getattr(socket, option), value)


def _require_handshake(sock: socket.socket, make_reply: Callable[[bytes], bytes]) -> None:
    """Block until there are bytes, and leave them unread. Raises `NotTlsError`."""
    waiting.wait_read(sock.fileno())
    first = sock.recv(PEEK_CHUNK, socket.MSG_PEEK)
    if first and first[0] != TLS_HANDSHAKE_TYPE:
        _send_and_linger(sock, make_reply(first))
        raise NotTlsError(errno.EPROTO, "it does not speak TLS")


def _send_and_linger(sock: socket.socket, data: bytes) -> None:
    """Send, then read for a while: closing over unread bytes would lose the reply."""
    with suppress(OSError), Timeout(LINGER_TIMEOUT, TimeoutError()):
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(MAX_TLS_RECORD):
            waiting.wait_read(sock.fileno())


def describe_ssl_error(error: ssl.SSLError) -> str:
    """Return why TLS failed, like `no shared cipher`: OpenSSL's reasons are written as names."""
    return (error.reason or error.strerror or "TLS failed").replace("_", " ").lower()
