"""Accepting connections whatever the system lacks: who comes beyond the open files there may be is told so.

Arriving: whoever is accepted gets a greenlet of their own, as lean as one can be: there are as many as connections.

What `gevent.server` does by itself costs everybody who is connected a kilobyte more: a socket that can wait (ours never
do: the loop is asked), and a function around ours, which is a second interpreter loop on every greenlet's stack.
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
"""Errors of accept(2) that say that the process or the system has no descriptor or memory left."""
PEER_GONE_ERRNOS: Final = frozenset({errno.ECONNABORTED, errno.EPROTO})
"""Errors that say that the other end has left, and that nothing waits any more."""
ACCEPT_RETRY_DELAY: Final = 0.1  # seconds
SHORTAGE_LOG_INTERVAL: Final = 60.0  # seconds
READ_CHUNK: Final = 65_536  # bytes
NativeSocket: type[socket.socket] = get_original("socket", "socket")
"""A socket as it was before gevent: it never waits, where it is told not to."""
NATIVE_CLOSE: Final = get_original("os", "close")
"""Closes at once; gevent's own does so when the loop has had a turn."""


class SpareDescriptor:
    """An open file that is of no use but to be closed, so that one connection more can be accepted and told why not.

    One for the whole process. The log hears of a shortage once in SAID_INTERVAL.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._logged_at: float | None = None
        self._fd: int | None = None

    def open(self) -> None:
        """Open it, if it is not open, and that is possible now."""
        if self._fd is None:
            with contextlib.suppress(OSError):
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def released(self) -> Iterator[None]:
        """Free one descriptor until the block ends; the block has to close the one that it opens."""
        self.close()
        try:
            yield
        finally:
            self.open()

    def close(self) -> None:
        """Give it up."""
        if self._fd is not None:
            NATIVE_CLOSE(self._fd)
            self._fd = None

    def log_shortage(self, reason: str) -> None:
        """Log that no connection can be accepted, and why."""
        now = self._monotonic()
        if self._logged_at is None or now - self._logged_at >= SHORTAGE_LOG_INTERVAL:
            self._logged_at = now
            log.log_event("cannot_accept", reason=reason, limit=descriptors.soft_limit())


class Listener(StreamServer):
    """A `StreamServer` that tells `farewell()` to whom it cannot let in for want of a descriptor, and never gives up.

    (What `StreamServer` does by itself is a traceback on stderr, and a pause that doubles.)
    """

    spare_descriptor: SpareDescriptor
    make_full_reply: Callable[[], bytes]
    """Called once for each; empty for nothing."""

    def do_read(self) -> Any:
        """Accept one connection; None where there is none now. Called by the loop, and never waits."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in self.fatal_errors:
                raise
            if error.errno not in PEER_GONE_ERRNOS:
                self._handle_accept_error(error)
            return None

    def _handle_accept_error(self, error: OSError) -> None:
        self.spare_descriptor.log_shortage(error.strerror or str(error))
        try:
            if error.errno in OUT_OF_RESOURCES_ERRNOS and self._reject_one():
                return
        except OSError:
            pass  # nor now: a pause
        self.stop_accepting()
        self._retry_timer = self.loop.timer(ACCEPT_RETRY_DELAY)
        self._retry_timer.start(self._resume_accepting)

    def _resume_accepting(self) -> None:
        self.spare_descriptor.open()
        if self.started:
            self.start_accepting()

    def _reject_one(self) -> bool:
        with self.spare_descriptor.released():
            accepted: Any = super().do_read()
            if accepted is None:
                return True  # it has left
            sock, _ = accepted
            # gevent would close it later, when the spare one has not been opened again.
            with NativeSocket(sock.family, sock.type, sock.proto, sock.detach()) as plain:
                send_and_close(plain, self.make_full_reply())
        return True


def send_and_close(sock: socket.socket, data: bytes) -> None:
    """Send what there is room for, and end both directions without waiting. What had come is read: closing a socket
    over it would take the farewell along.
    """
    with contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(READ_CHUNK)


ConnectionCallback: TypeAlias = Callable[[socket.socket, str], object]
"""Is given the other end as `address:port`, too."""


class ConnectionGreenlet(Greenlet):  # type: ignore[type-arg]  # the class itself takes no parameters
    """The greenlet of one client: runs `receive`, then closes the socket.

    `_run` is a method because a function that is handed to a greenlet is kept in a dict made for it.
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
    """Hands `receive` whoever comes to a listening socket: plain sockets that never wait, in greenlets of `pool`.

    Who cannot be accepted is turned away by `full`, which returns what is told.
    """

    def __init__(
        self,
        sock: waiting.socket,
        handle_connection: ConnectionCallback,
        pool: Pool,
        spare_descriptor: SpareDescriptor | None = None,
        make_full_reply: Callable[[], bytes] = bytes,
    ) -> None:
        super().__init__(sock, handle_connection, spawn=pool)
        self._handle_connection = handle_connection
        self._pool = pool
        self.spare_descriptor = spare_descriptor or SpareDescriptor()
        self.make_full_reply = make_full_reply

    def do_handle(self, sock: waiting.socket, address: tuple[str, int]) -> None:
        plain = NativeSocket(sock.family, sock.type, sock.proto, sock.detach())
        plain.setblocking(False)
        self._pool.start(ConnectionGreenlet(self._handle_connection, plain, format_address(address)))
