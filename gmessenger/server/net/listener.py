"""Listeners: accept clients in small greenlets; reply when descriptors run out.

`gevent.server` alone takes one kilobyte more for each connection: for a socket that can wait (these never do: the loop
is asked), and for a function around the handler, which is a second interpreter loop on the stack of every greenlet.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from gevent import Greenlet
from gevent import socket as waiting
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer

from gmessenger import log
from gmessenger.server.net import descriptors
from gmessenger.server.net.sockets import format_address

OUT_OF_RESOURCES_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of accept(2): no descriptor or memory is left."""
PEER_GONE_ERRNOS: Final = frozenset({errno.ECONNABORTED, errno.EPROTO})
"""Errors of accept(2): the client has left, and no connection waits any more."""
ACCEPT_RETRY_DELAY: Final = 0.1  # seconds
SHORTAGE_LOG_INTERVAL: Final = 60.0  # seconds
READ_CHUNK: Final = 65_536  # bytes
UNIX_PEER: Final = "127.0.0.1:0"
"""The address of a client of a Unix socket: it is on this machine, and has no port."""
NativeSocket: type[socket.socket] = get_original("socket", "socket")
"""The socket class without gevent's patches: non-blocking means that it never waits."""


class SpareDescriptor:
    """An open file that is closed to accept one connection more, and reject it with a reply.

    There is one in the process. A shortage is logged once in SHORTAGE_LOG_INTERVAL.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._logged_at: float | None = None
        self._fd: int | None = None

    def open(self) -> None:
        """Open it unless it is open, if possible."""
        if self._fd is None:
            with contextlib.suppress(OSError):
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Free one descriptor until the block ends; the block must close the one that it opens."""
        self.close()
        try:
            yield
        finally:
            self.open()

    def close(self) -> None:
        """Close it for good."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def log_shortage(self, reason: str) -> None:
        """Log why no connection can be accepted."""
        now = self._monotonic()
        if self._logged_at is None or now - self._logged_at >= SHORTAGE_LOG_INTERVAL:
            self._logged_at = now
            log.log_event("cannot_accept", reason=reason, limit=descriptors.soft_limit())


class Listener(StreamServer):
    """A `StreamServer` that goes on when descriptors run out, and replies to rejected clients.

    (`StreamServer` itself prints a traceback, and pauses for longer each time.)
    """

    def __init__(
        self,
        sock: waiting.socket,
        handle: Callable[..., object],
        spare_descriptor: SpareDescriptor,
        make_full_reply: Callable[[], bytes],
        **options: Any,
    ) -> None:
        """`make_full_reply` is called for each client that is rejected; it may return nothing to send."""
        super().__init__(sock, handle, **options)
        self._spare_descriptor = spare_descriptor
        self._make_full_reply = make_full_reply

    def do_read(self) -> Any:
        """Accept one connection; None if there is none now. Called by the loop; never blocks."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in self.fatal_errors:
                raise
            if error.errno not in PEER_GONE_ERRNOS:
                self._handle_accept_error(error)
            return None

    def _handle_accept_error(self, error: OSError) -> None:
        self._spare_descriptor.log_shortage(error.strerror or str(error))
        try:
            if error.errno in OUT_OF_RESOURCES_ERRNOS and self._reject_one():
                return
        except OSError:
            pass  # not even one: pause
        self.stop_accepting()
        self._retry_timer = self.loop.timer(ACCEPT_RETRY_DELAY)
        self._retry_timer.start(self._resume_accepting)

    def _resume_accepting(self) -> None:
        self._spare_descriptor.open()
        if self.started:
            self.start_accepting()

    def _reject_one(self) -> bool:
        with self._spare_descriptor.released():
            accepted: Any = super().do_read()
            if accepted is None:
                return True  # the client has left
            sock, _ = accepted
            # gevent would close it later, when the spare one has not been opened again.
            with NativeSocket(sock.family, sock.type, sock.proto, sock.detach()) as plain:
                send_and_close(plain, self._make_full_reply())
        return True


def send_and_close(sock: socket.socket, data: bytes) -> None:
    """Send what the socket takes, and shut it down. Never blocks; the caller closes the socket.

    What has arrived is read: closing over unread bytes would reset the connection and lose the reply.
    """
    with contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(READ_CHUNK)


ConnectionCallback: TypeAlias = Callable[[socket.socket, str], object]
"""`handle(socket, address)`, with the client's `address:port`."""


class ConnectionGreenlet(Greenlet):  # type: ignore[type-arg]  # the class itself takes no parameters
    """The greenlet of one client: runs `handle`, then closes the socket.

    `_run` is a method because gevent keeps a function given to a greenlet in a dict made for it.
    """

    __slots__ = ("_address", "_handle_connection", "_socket")

    def __init__(self, handle: ConnectionCallback, sock: socket.socket, address: str) -> None:
        super().__init__()
        self._handle_connection = handle
        self._socket = sock
        self._address = address

    def _run(self) -> None:
        try:
            self._handle_connection(self._socket, self._address)
        finally:
            self._socket.close()


class ClientListener(Listener):
    """Accepts clients on a listening socket, each in a `ConnectionGreenlet` of a pool.

    Their sockets are without gevent's patches, and non-blocking.
    """

    def __init__(
        self,
        sock: waiting.socket,
        handle_connection: ConnectionCallback,
        pool: Pool,
        spare_descriptor: SpareDescriptor | None = None,
        make_full_reply: Callable[[], bytes] = bytes,
    ) -> None:
        super().__init__(sock, handle_connection, spare_descriptor or SpareDescriptor(), make_full_reply, spawn=pool)
        self._handle_connection = handle_connection
        self._pool = pool

    def do_handle(self, sock: waiting.socket, address: tuple[str, int]) -> None:
        """Start the greenlet of an accepted client. Called by the loop."""
        plain = NativeSocket(sock.family, sock.type, sock.proto, sock.detach())
        plain.setblocking(False)
        peer = format_address(address) if sock.family != socket.AF_UNIX else UNIX_PEER
        self._pool.start(ConnectionGreenlet(self._handle_connection, plain, peer))
