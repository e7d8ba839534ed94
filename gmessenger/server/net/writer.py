"""Writing to sockets without a greenlet each: one flush in each turn of the loop.

Waking a greenlet for each message costs more than the rest of relaying it. So outboxes are emptied in a callback of the
loop, by a send that does not block, and a greenlet exists only while a socket takes no more.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent import Greenlet, socket
from gevent.hub import Hub

from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.transport import Transport


class FlushScheduler:
    """Collects the writers with something to write, and flushes them together in a callback of the loop."""

    def __init__(self, hub: Hub, supervisor: Supervisor, write_timeout: Callable[[], float]) -> None:
        """`write_timeout` returns for how many seconds a client may read nothing; it is called for each wait."""
        self.write_timeout = write_timeout
        self._loop = hub.loop
        self._supervisor = supervisor
        self.dirty: list[ConnectionWriter] = []
        """The writers to flush next. Call `start` when you add the first one."""

    def start(self) -> None:
        """Flush the writers that are `dirty` by then before the loop waits again."""
        self._loop.run_callback(self._flush)

    def _flush(self) -> None:
        dirty, self.dirty = self.dirty, []
        for writer in dirty:
            try:
                writer.flush()
            except Exception as failure:  # the others have to be flushed, and the hub would only print it
                writer.on_error(failure)


class ConnectionWriter:
    """The writing side of one connection. Only `drain` blocks its caller."""

    __slots__ = (
        "_buffer",
        "_greenlet",
        "_offset",
        "_on_drained",
        "_on_lost",
        "_pull",
        "_scheduler",
        "_supervisor",
        "_transport",
        "is_blocked",
    )

    def __init__(
        self, transport: Transport, scheduler: FlushScheduler, supervisor: Supervisor, on_lost: Callable[[str], None]
    ) -> None:
        """`on_lost(reason)` is called when the client is gone, or has read nothing for too long."""
        self._transport = transport
        self._scheduler = scheduler
        self._supervisor = supervisor
        self._on_lost = on_lost
        self._buffer = b""
        self._offset = 0  # bytes of the buffer already sent: cutting them off each time would copy the rest
        self.is_blocked = False
        """Whether the socket's send buffer is full, because the client does not read."""
        self._greenlet: Greenlet[..., object] | None = None  # while it is blocked
        self._on_drained: Callable[[], None] | None = None
        self._pull: Callable[[], bytes] = bytes

    def set_source(self, pull: Callable[[], bytes]) -> None:
        """Set where pending bytes come from: `pull` removes them from where they wait and returns them."""
        self._pull = pull

    @property
    def pending_bytes(self) -> int:
        """The number of bytes still to be sent."""
        return len(self._buffer) - self._offset

    def schedule(self) -> None:
        """Write what the source has, before the loop waits again."""
        dirty = self._scheduler.dirty
        if not dirty:
            self._scheduler.start()
        dirty.append(self)

    def write(self, data: bytes) -> None:
        """Send bytes after what is pending, at once as far as the socket takes them."""
        self._buffer += data
        self.flush()

    def flush(self) -> None:
        """Send what the source has, now, as far as the socket takes it."""
        if self.is_blocked:
            return
        pull = self._pull  # (in a variable for the reason that `GuestRelay.relay` has)
        pulled = pull()
        if self._greenlet is not None:  # the source has called `write`, and the socket is full now
            self._buffer += pulled
            return
        data = pulled
        if self._buffer:
            data, self._buffer = self._buffer + pulled, b""
        try:  # (as `_try_send`, without the call: nearly every message comes here)
            send = self._transport.send
            sent = send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            sent = len(data)
        if sent < len(data):
            self._buffer, self._offset = data, sent
            self._greenlet = self._supervisor.spawn("writer", self._send_remaining)
            self.is_blocked = True
        elif self._on_drained is not None:
            self._notify_drained()

    def call_when_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` once everything pending is sent; nothing is taken from the source any more."""
        self._on_drained = callback
        self._pull = bytes
        # Not at once: the source itself may have called this, and what it returns is still to be sent.
        self.schedule()

    def drain(self) -> None:
        """Block until everything is sent, for as long as the client goes on reading."""
        self.flush()
        if self._greenlet is not None:
            self._greenlet.join()

    def close(self) -> None:
        """Discard what is pending, and send no more."""
        self._pull, self._on_drained = bytes, None
        self._buffer, self._offset = b"", 0
        greenlet, self._greenlet, self.is_blocked = self._greenlet, None, False
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)

    def on_error(self, error: Exception) -> None:
        """Report an internal error of the source, and end the connection."""
        self._supervisor.report("writer", error)
        self._on_lost("an internal error of the server")

    def _notify_drained(self) -> None:
        callback, self._on_drained = self._on_drained, None
        if callback is not None:
            callback()

    def _lose(self, error: OSError) -> None:
        self._buffer, self._offset = b"", 0
        self._on_lost(error.strerror or "the connection broke")

    def _try_send(self) -> bool:
        """Send what the socket takes of the buffer; return whether that was everything."""
        data = self._buffer
        try:
            self._offset += self._transport.send(memoryview(data)[self._offset :])
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(error)
            return True
        if self._offset < len(data):
            return False
        self._buffer, self._offset = b"", 0
        return True

    def _send_remaining(self) -> None:
        try:
            while self._buffer:
                socket.wait_write(self._transport.fileno(), self._scheduler.write_timeout(), TimeoutError())
                if self._try_send():
                    self._buffer = self._pull()
        except TimeoutError:
            self._on_lost("reads nothing")
        except Exception as failure:
            self.on_error(failure)
        finally:
            self._greenlet, self.is_blocked = None, False
        self._notify_drained()
