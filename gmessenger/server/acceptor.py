"""Accepting connections whatever the system lacks: who comes beyond the open files there may be is told so."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from gevent.monkey import get_original
from gevent.server import StreamServer

from gmessenger import logs
from gmessenger.server import files

NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of accept(2) that say that the process or the system has no descriptor or memory left."""
GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO})
"""Errors that say that the other end has left, and that nothing waits any more."""
ACCEPT_RETRY_DELAY: Final = 0.1  # seconds
SAID_INTERVAL: Final = 60.0  # seconds
READ_AT_ONCE: Final = 65_536  # bytes
PlainSocket: type[socket.socket] = get_original("socket", "socket")
"""A socket as it was before gevent: it never waits, where it is told not to."""
CLOSE: Final = get_original("os", "close")
"""Closes at once; gevent's own does so when the loop has had a turn."""


class Spare:
    """An open file that is of no use but to be closed, so that one connection more can be accepted and told why not.

    One for the whole process. The log hears of a shortage once in SAID_INTERVAL.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said_at: float | None = None
        self._handle: int | None = None

    def keep(self) -> None:
        """Open it, if it is not open, and that is possible now."""
        if self._handle is None:
            with contextlib.suppress(OSError):
                self._handle = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Free one descriptor until the block ends; the block has to close the one that it opens."""
        self.close()
        try:
            yield
        finally:
            self.keep()

    def close(self) -> None:
        """Give it up."""
        if self._handle is not None:
            CLOSE(self._handle)
            self._handle = None

    def say(self, reason: str) -> None:
        """Log that no connection can be accepted, and why."""
        now = self._monotonic()
        if self._said_at is None or now - self._said_at >= SAID_INTERVAL:
            self._said_at = now
            logs.event("cannot_accept", reason=reason, limit=files.soft_limit())


class Acceptor(StreamServer):
    """A `StreamServer` that tells `farewell()` to whom it cannot let in for want of a descriptor, and never gives up.

    (What `StreamServer` does by itself is a traceback on stderr, and a pause that doubles.)
    """

    spare: Spare
    farewell: Callable[[], bytes]
    """Called once for each; empty for nothing."""

    def do_read(self) -> Any:
        """Accept one connection; None where there is none now. Called by the loop, and never waits."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in self.fatal_errors:
                raise
            if error.errno not in GONE:
                self._cope(error)
            return None

    def _cope(self, error: OSError) -> None:
        self.spare.say(error.strerror or str(error))
        try:
            if error.errno in NO_ROOM and self._turn_one_away():
                return
        except OSError:
            pass  # nor now: a pause
        self.stop_accepting()
        self._again = self.loop.timer(ACCEPT_RETRY_DELAY)
        self._again.start(self._start_again)

    def _start_again(self) -> None:
        self.spare.keep()
        if self.started:
            self.start_accepting()

    def _turn_one_away(self) -> bool:
        with self.spare.lent():
            accepted: Any = super().do_read()
            if accepted is None:
                return True  # it has left
            sock, _ = accepted
            # gevent would close it later, when the spare one has not been opened again.
            with PlainSocket(sock.family, sock.type, sock.proto, sock.detach()) as plain:
                say_and_leave(plain, self.farewell())
        return True


def say_and_leave(sock: socket.socket, farewell: bytes) -> None:
    """Send what there is room for, and end both directions without waiting. What had come is read: closing a socket
    over it would take the farewell along.
    """
    with contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(farewell)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(READ_AT_ONCE)
