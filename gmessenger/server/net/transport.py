"""Byte transports of a connection, plain TCP or TLS. Nothing here waits but `TlsTransport.handshake`."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from gevent import Timeout, ssl
from gevent import socket as waiting

from gmessenger.errors import TlsRequired
from gmessenger.wire.jim import encode_error
from gmessenger.wire.protocol_detection import JIM, REJECTIONS, detect_protocol

SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    # Course clients cannot be probed on the wire; their kernels can.
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 15),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 4),
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
)
MAX_TLS_RECORD: Final = 16_384
"""The most that one record of TLS holds."""
TLS_HANDSHAKE_TYPE: Final = 0x16
"""How a record of TLS begins that holds a handshake."""
PEEK_CHUNK: Final = 64  # bytes
LINGER_TIMEOUT: Final = 1.0  # seconds
"""How long a client that does not speak TLS is given to read why it is hung up on."""


class NotTlsError(ConnectionError):
    """The client of a TLS port begins with something else than a handshake, and has been told so."""


class Transport(Protocol):
    """One end of a connection to a client. Everything may raise OSError when the other end is gone."""

    @property
    def is_encrypted(self) -> bool:
        """Whether what is said on it can be read by its two ends only."""

    def fileno(self) -> int:
        """What the loop watches. Where it is not readable, there is nothing to `receive` either."""

    def handshake(self, timeout: float) -> None:
        """Do what comes before the first byte, within `timeout` seconds; the only method that may wait."""

    def recv(self, size: int, /) -> bytes:
        """What has come; nothing after the last of it. Raises BlockingIOError when it is not all there yet."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Write as much as is taken now, and say how much; BlockingIOError is the same as 0."""

    def shutdown_write(self) -> None:
        """Tell the other end that nothing more comes. It may still speak, and what it says is not understood."""

    def close(self) -> None:
        """Let go of the socket."""


class TcpTransport:
    """TCP as it is: to receive and to send are the socket's own methods, so that a line costs nothing."""

    __slots__ = ("_socket", "recv", "send")
    is_encrypted = False

    def __init__(self, sock: socket.socket) -> None:
        set_socket_options(sock)
        self._socket = sock
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes | memoryview], int] = sock.send

    def fileno(self) -> int:
        return self._socket.fileno()

    def handshake(self, timeout: float) -> None:
        """There is nothing to be done."""

    def shutdown_write(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()


class TlsTransport:
    """The server's end of TLS over a socket, which it takes over."""

    __slots__ = ("_context", "_is_open", "_socket")
    is_encrypted = True
    _socket: Any

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        set_socket_options(sock)
        self._socket = sock
        self._context = context
        self._is_open = False

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def handshake(self, timeout: float) -> None:
        """Shake hands. A peer that says nothing is given up after `timeout` seconds, and holds up nobody.

        Raises `NotTlsError` where the peer begins otherwise, once it has been told in its own language.
        """
        try:
            with Timeout(timeout, TimeoutError(errno.ETIMEDOUT, "no handshake in time")):
                _require_handshake(self._socket)
                self._socket = sock = self._context.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
                sock.setblocking(True)
                sock.do_handshake()
        except ssl.SSLError as error:
            raise ConnectionError(errno.EPROTO, describe_ssl_error(error)) from None
        sock.setblocking(False)
        self._is_open = True

    def recv(self, size: int, /) -> bytes:
        sock = self._socket
        data: bytes
        try:
            data = sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None  # half a record, or one that holds nothing for us
        # One record is read at a time, and the rest stays in the kernel, where the loop sees it. What is deciphered
        # already the loop would not see.
        while left := sock.pending():
            data += sock.recv(left)
        return data

    def send(self, data: bytes | memoryview, /) -> int:
        # A record at a time: one that was refused is tried again with the same bytes, whatever has come after them.
        sent = 0
        try:
            while sent < len(data):
                sent += int(self._socket.write(data[sent : sent + MAX_TLS_RECORD]))
        except ssl.SSLWantWriteError:
            pass
        except ssl.SSLWantReadError:  # waiting until it can be written to would be waiting for the wrong thing
            raise ConnectionError(errno.EPROTO, "began a handshake and did not end it") from None
        return sent

    def shutdown_write(self) -> None:
        if not self._is_open:
            raise ConnectionError(errno.EPROTO, "no handshake")
        with suppress(OSError):  # the goodbye has left; the other end's would have to be waited for
            self._socket.unwrap()
        self._socket.shutdown(socket.SHUT_WR)  # from here on the socket is a plain one, and drained as such

    def close(self) -> None:
        self._socket.close()


def set_socket_options(sock: socket.socket) -> None:
    """Never block, send small frames at once, and have the kernel notice a peer that vanished."""
    sock.setblocking(False)
    for level, option, value in SOCKET_OPTIONS:
        if hasattr(socket, option):
            with suppress(OSError):  # it does without
                sock.setsockopt(level, getattr(socket, option), value)


def _require_handshake(sock: socket.socket) -> None:
    """Wait for the first bytes, and leave them where they are if a handshake begins with them. Raises `NotTlsError`."""
    waiting.wait_read(sock.fileno())
    first = sock.recv(PEEK_CHUNK, socket.MSG_PEEK)
    if first and first[0] != TLS_HANDSHAKE_TYPE:
        _send_and_linger(sock, make_not_tls_reply(first))
        raise NotTlsError(errno.EPROTO, "it does not speak TLS")


def make_not_tls_reply(first_bytes: bytes) -> bytes:
    """What a client is told that begins like this at a port where TLS is spoken."""
    protocol = detect_protocol(first_bytes) or JIM
    return REJECTIONS.get(protocol, b"") if protocol != JIM else encode_error(TlsRequired(), time.time())


def _send_and_linger(sock: socket.socket, data: bytes) -> None:
    """Write, and read what else comes: closing over bytes not read would take the words along."""
    with suppress(OSError), Timeout(LINGER_TIMEOUT, TimeoutError()):
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(MAX_TLS_RECORD):
            waiting.wait_read(sock.fileno())


def describe_ssl_error(error: ssl.SSLError) -> str:
    """Why TLS failed: `http request`, `no shared cipher`, and so on; OpenSSL's reasons are written as names."""
    return (error.reason or error.strerror or "TLS failed").replace("_", " ").lower()
