"""Writing to sockets without a greenlet each: whatever became dirty is flushed once per turn of the loop.

Waking a greenlet per message costs more than everything else a relay does; so outboxes are emptied from a loop
callback with a send that does not block, and a greenlet exists only while a socket refuses more.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent import Greenlet, socket
from gevent.hub import Hub

from gmessenger.server.lines import Line
from gmessenger.server.watch import Watch


class Flusher:
    """Gathers the writers with something to write and flushes them together.

    `timeout` is how many seconds a reader may read nothing; it may be changed.
    """

    def __init__(self, hub: Hub, watch: Watch, timeout: float) -> None:
        self.timeout = timeout
        self._loop = hub.loop
        self._watch = watch
        self._dirty: list[Writer] = []

    def soon(self, writer: Writer) -> None:
        if not self._dirty:
            self._loop.run_callback(self._flush)
        self._dirty.append(writer)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for writer in dirty:
            try:
                writer.flush()
            except Exception as failure:  # the others must be flushed, and the hub must not see it
                writer.fail(failure)


class Writer:
    """The writing side of one connection. Nothing here blocks its caller but `until_written`.

    `source` gives the bytes that wait to be written (and takes them out of where they waited); `lost` is called with a
    reason when the other end is gone or has read nothing for the flusher's `timeout`.
    """

    __slots__ = (
        "_finishing",
        "_flusher",
        "_greenlet",
        "_line",
        "_lost",
        "_pending",
        "_start",
        "_watch",
        "source",
    )

    def __init__(self, line: Line, flusher: Flusher, watch: Watch, lost: Callable[[str], None]) -> None:
        self._line = line
        self._flusher = flusher
        self._watch = watch
        self._lost = lost
        self._pending = b""
        self._start = 0  # how much of what is pending has left: cutting it off each time would copy the rest
        self._greenlet: Greenlet[..., object] | None = None
        self._finishing: Callable[[], None] | None = None
        self.source: Callable[[], bytes] = bytes

    @property
    def blocked(self) -> bool:
        """Whether the other end has not read what was written before."""
        return self._greenlet is not None

    @property
    def pending(self) -> int:
        """Bytes that are still to be sent."""
        return len(self._pending) - self._start

    def wake(self) -> None:
        """`source` has something: write it before the loop turns."""
        self._flusher.soon(self)

    def write(self, data: bytes) -> None:
        """Write these bytes after what is already on its way, in one piece where the socket takes it."""
        self._pending += data
        if self._greenlet is None:
            self._send()

    def flush(self) -> None:
        """Write what waits, now, as far as the socket takes it."""
        if self._greenlet is None:
            self._pending = self.source()  # nothing is left of what was before, else there were a greenlet
            self._send()

    def finish(self, then: Callable[[], None]) -> None:
        """Call `then` once all that was written has left; `source` is not asked again."""
        self._finishing = then
        self.source = bytes
        # Not at once: `source` itself may have come to the end, and what it returns is still to be written.
        self._flusher.soon(self)

    def until_written(self) -> None:
        """Wait until what waits is written, for as long as the other end goes on reading."""
        self.flush()
        if self._greenlet is not None:
            self._greenlet.join()

    def close(self) -> None:
        """Write no more."""
        self.source, self._finishing = bytes, None
        self._clear()
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None and greenlet is not gevent.getcurrent():
            greenlet.kill(block=False)

    def fail(self, failure: Exception) -> None:
        """What was to be written could not be made: a mistake of ours, which ends the connection."""
        self._watch.failed("writer", failure)
        self._lost("an internal error of the server")

    def _send(self) -> None:
        if self._pending and not self._try():
            self._greenlet = self._watch.spawn("writer", self._send_the_rest)
        else:
            self._finish()

    def _finish(self) -> None:
        then, self._finishing = self._finishing, None
        if then is not None:
            then()

    def _try(self) -> bool:
        """Send what the socket takes; says whether that was all."""
        data = self._pending
        try:
            sent = self._line.send(data if not self._start else memoryview(data)[self._start :])
        except BlockingIOError:
            return False
        except OSError as error:
            self._clear()
            self._lost(error.strerror or "the connection broke")
            return True
        self._start += sent
        if self._start < len(data):
            return False
        self._clear()
        return True

    def _clear(self) -> None:
        self._pending, self._start = b"", 0

    def _send_the_rest(self) -> None:
        try:
            while self._pending:
                socket.wait_write(self._line.fileno(), self._flusher.timeout, TimeoutError())
                if self._try():
                    self._pending = self.source()
        except TimeoutError:
            self._lost("reads nothing")
        except Exception as failure:
            self.fail(failure)
        finally:
            self._greenlet = None
        self._finish()
