"""One connection to a server: writes bytes, reads frames. It knows no session, and does not reconnect."""

from __future__ import annotations

import ipaddress
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self, TypeAlias

from gevent import socket, with_timeout

from gmessenger.client.config import Timeouts
from gmessenger.errors import BadFrame
from gmessenger.text import Fragment, Text
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.encoder import encode
from gmessenger.wire.event_decoder import EventDecoder
from gmessenger.wire.events import QuitRequest, ServerEvent

RECV_CHUNK: Final = 65_536
SEND_CHUNK: Final = 16_384
"""Bytes of one TLS record: of more, one would not know how much the server has taken."""
MAX_FRAME: Final = 1_048_576
"""Bytes of the longest frame that is accepted from a server."""

MAX_FIRST_BYTES: Final = 1000
MAX_SHOWN_ANSWER: Final = 100  # characters
TLS_ALERT_PREFIX: Final = b"\x15\x03"
"""The beginning of the alert by which a TLS server answers plain text."""

ReceivedFrame: TypeAlias = tuple[bytes, ServerEvent]


class ServerBusy(ConnectionError):
    """The server cannot admit one more connection now; it may in `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after or 0.0


class ForeignServer(ConnectionError):
    """The server speaks something else than JIM 2; trying again does not help."""

    @classmethod
    def answering(cls, answer: bytes) -> Self:
        """Return the error for a server that has sent this, or this first."""
        line = answer.decode(errors="replace").strip().partition("\n")[0].rstrip()
        shown = line if len(line) <= MAX_SHOWN_ANSWER else f"{line[:MAX_SHOWN_ANSWER]}…"
        return cls(Text("this server does not speak JIM 2; it answered {answer}", answer=shown))


def describe_error(error: Exception) -> str:
    """Return the reason why a connection failed, to stand at the end of a sentence."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return reason if isinstance(reason, Text) else Text(reason)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class ServerConnection:
    """A connected socket, plain or TLS. One greenlet reads, another one sends.

    Methods raise OSError when the server is gone, silent, or does not speak JIM 2; `describe_error` makes a reason of
    it that can be shown.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        with suppress(OSError):  # an optimisation only
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._decoder = EventDecoder(MAX_FRAME)
        self.first_bytes = b""
        """How the server began, at most `MAX_FIRST_BYTES`: what it speaks if that is not JIM 2."""
        self._received: deque[ReceivedFrame] = deque()
        self._error: Exception | None = None
        self._sending = False
        self._time_slice = TimeSlice()
        # TLS sockets only: tells the server that nothing was cut off.
        self._unwrap: Callable[[], object] | None = getattr(sock, "unwrap", None)
        self._reading_paused = False
        self.is_private = self._unwrap is not None or _is_loopback(sock.getpeername()[0])
        """Whether nobody can eavesdrop: it uses TLS, or stays on this machine."""

    @contextmanager
    def reading_paused(self) -> Iterator[None]:
        """Within the block nothing is read on purpose: a server that reads nothing either is not at fault."""
        self._reading_paused = True
        try:
            yield
        finally:
            self._reading_paused = False

    def send(self, data: bytes, timeouts: Timeouts) -> None:
        """Write all of it; blocks for as long as the server goes on reading.

        Raises TimeoutError when the server has read nothing for `timeouts.response` seconds.
        """
        self._send_bytes(self._encode(data), timeouts)

    def _encode(self, frames: bytes) -> bytes:
        """Return frames as they are sent."""
        return frames

    def _encode_last(self, frames: bytes) -> bytes:
        """Return frames as they are sent before the connection is closed."""
        return frames

    def _send_bytes(self, data: bytes, timeouts: Timeouts) -> None:
        # After an error `_sending` stays set: nothing may be sent after a frame that was cut off.
        self._sending = True
        rest = memoryview(data)
        while rest:
            sent = with_timeout(timeouts.response, self._socket.send, rest[:SEND_CHUNK], timeout_value=0)
            if not sent and not self._reading_paused:
                raise TimeoutError(Text("the server has read nothing for {seconds:g} s", seconds=timeouts.response))
            rest = rest[sent:]
        self._sending = False

    def read(self, timeout: float) -> ReceivedFrame | None:
        """Return the next frame and its event; None if nothing of one arrives within `timeout` seconds. Blocks."""
        deadline = time.monotonic() + timeout
        while not self._received:
            if self._error is not None:
                raise self._error
            data = self._recv(deadline - time.monotonic())
            if data is None:
                return None
            if self._decode(data):
                deadline = time.monotonic() + timeout
            elif self._error is None and time.monotonic() >= deadline:
                return None
        return self._received.popleft()

    def fail(self, error: Exception) -> None:
        """Shut the connection down; `read` raises `error` after the frames that were already received."""
        self._error = self._error or error
        self._shut_down()

    def say_goodbye(self, final_frames: bytes) -> None:
        """Send `final_frames` and a quit request if that is possible without blocking, and close."""
        if not self._sending and self._error is None:
            with suppress(OSError):
                self._socket.setblocking(False)
                self._socket.send(self._encode_last(final_frames + encode(QuitRequest())))
                if self._unwrap is not None:
                    self._unwrap()
        self.close()

    def close(self) -> None:
        self._shut_down()
        self._socket.close()

    def _shut_down(self) -> None:
        with suppress(OSError):  # the server may have closed it
            # TCP's shutdown: that of TLS would break a read of another greenlet.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _recv(self, timeout: float) -> bytes | None:
        data: bytes | None
        # While a server sends without a pause, recv never blocks: no other greenlet and no signal handler would run.
        self._time_slice.yield_if_expired()
        try:
            data = with_timeout(max(timeout, 0.0), self._socket.recv, RECV_CHUNK, timeout_value=None)
        except OSError as error:
            raise (self._error or error) from error
        if data == b"":
            raise self._error or ConnectionError(Text("the server closed the connection"))
        return data

    def _decode(self, data: bytes) -> bool:
        """Take frames out of received bytes, and why there will be no more; return whether these were of a frame."""
        if len(self.first_bytes) < MAX_FIRST_BYTES:
            self.first_bytes = (self.first_bytes + data)[:MAX_FIRST_BYTES]
        try:
            # A line at a time, so that the frames before an invalid one are received.
            for line in data.splitlines(keepends=True):
                self._received += self._decoder.feed(line)
        except BadFrame as error:
            self._error = ConnectionError(Fragment(str(error)))
            if data.startswith(TLS_ALERT_PREFIX):
                self._error = ConnectionError(
                    Text("that port expects TLS: connect with TLS, or give the server's plain port")
                )
        return True
