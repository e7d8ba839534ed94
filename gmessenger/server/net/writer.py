"""Writing to sockets without a greenlet each: whatever became dirty is flushed once per turn of the loop.

Waking a greenlet per message costs more than everything else a relay does; so outboxes are emptied from a loop
callback with a send that does not block, and a greenlet exists only while a socket refuses more.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent import Greenlet, socket
from gevent.hub import Hub

from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.transport import Transport


class FlushScheduler:
    """Gathers the writers with something to write and flushes them together.

    `timeout` is how many seconds a reader may read nothing; it may be changed.
    """

    def __init__(self, hub: Hub, supervisor: Supervisor, write_timeout: float) -> None:
        self.write_timeout = write_timeout
        self._loop = hub.loop
        self._supervisor = supervisor
        self._dirty: list[ConnectionWriter] = []

    def schedule(self, writer: ConnectionWriter) -> None:
        if not self._dirty:
            self._loop.run_callback(self._flush)
        self._dirty.append(writer)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for writer in dirty:
            try:
                writer.flush()
            except Exception as failure:  # the others must be flushed, and the hub must not see it
                writer.on_error(failure)


class ConnectionWriter:
    """The writing side of one connection. Nothing here blocks its caller but `until_written`.

    `source` gives the bytes that wait to be written (and takes them out of where they waited); `lost` is called with a
    reason when the other end is gone or has read nothing for the flusher's `timeout`.
    """

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
    )

    def __init__(
        self, transport: Transport, scheduler: FlushScheduler, supervisor: Supervisor, on_lost: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._scheduler = scheduler
        self._supervisor = supervisor
        self._on_lost = on_lost
        self._buffer = b""
        self._offset = 0  # how much of what is pending has left: cutting it off each time would copy the rest
        self._greenlet: Greenlet[..., object] | None = None
        self._on_drained: Callable[[], None] | None = None
        self._pull: Callable[[], bytes] = bytes

    def set_source(self, pull: Callable[[], bytes]) -> None:
        """Set where pending bytes come from: `pull` removes them from where they wait and returns them."""
        self._pull = pull

    @property
    def is_blocked(self) -> bool:
        """Whether the other end has not read what was written before."""
        return self._greenlet is not None

    @property
    def pending_bytes(self) -> int:
        """Bytes that are still to be sent."""
        return len(self._buffer) - self._offset

    def schedule(self) -> None:
        """`source` has something: write it before the loop turns."""
        self._scheduler.schedule(self)

    def write(self, data: bytes) -> None:
        """Write these bytes after what is already on its way, in one piece where the socket takes it."""
        self._buffer += data
        if self._greenlet is None:
            self._send()

    def flush(self) -> None:
        """Write what waits, now, as far as the socket takes it."""
        if self._greenlet is None:
            self._buffer = self._pull()  # nothing is left of what was before, else there were a greenlet
            self._send()

    def call_when_drained(self, callback: Callable[[], None]) -> None:
        """Call `then` once all that was written has left; `source` is not asked again."""
        self._on_drained = callback
        self._pull = bytes
        # Not at once: `source` itself may have come to the end, and what it returns is still to be written.
        self._scheduler.schedule(self)

    def drain(self) -> None:
        """Wait until what waits is written, for as long as the other end goes on reading."""
        self.flush()
        if self._greenlet is not None:
            self._greenlet.join()

    def close(self) -> None:
        """Write no more."""
        self._pull, self._on_drained = bytes, None
        self._clear()
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)

    def on_error(self, error: Exception) -> None:
        """What was to be written could not be made: a mistake of ours, which ends the connection."""
        self._supervisor.report("writer", error)
        self._on_lost("an internal error of the server")

    def _send(self) -> None:
        if self._buffer and not self._try_send():
            self._greenlet = self._supervisor.spawn("writer", self._send_remaining)
        else:
            self._notify_drained()

    def _notify_drained(self) -> None:
        then, self._on_drained = self._on_drained, None
        if then is not None:
            then()

    def _try_send(self) -> bool:
        """Send what the socket takes; says whether that was all."""
        data = self._buffer
        try:
            sent = self._transport.send(data if not self._offset else memoryview(data)[self._offset :])
        except BlockingIOError:
            return False
        except OSError as error:
            self._clear()
            self._on_lost(error.strerror or "the connection broke")
            return True
        self._offset += sent
        if self._offset < len(data):
            return False
        self._clear()
        return True

    def _clear(self) -> None:
        self._buffer, self._offset = b"", 0

    def _send_remaining(self) -> None:
        try:
            while self._buffer:
                socket.wait_write(self._transport.fileno(), self._scheduler.write_timeout, TimeoutError())
                if self._try_send():
                    self._buffer = self._pull()
        except TimeoutError:
            self._on_lost("reads nothing")
        except Exception as failure:
            self.on_error(failure)
        finally:
            self._greenlet = None
        self._notify_drained()
