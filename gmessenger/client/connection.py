"""One TCP connection to a server: frames out, frames in. Knows no session and never comes back once it is down."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from gevent import socket, with_timeout

from gmessenger.client.config import Timeouts
from gmessenger.errors import BadFrame
from gmessenger.text import Fragment, Text
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.events import QuitRequest, ServerEvent
from gmessenger.wire.jim import EventDecoder, encode

RECV_CHUNK: Final = 65_536
SEND_CHUNK: Final = 16_384
"""One record of TLS: of a larger piece it would not be known how much the other end has read."""
MAX_FRAME: Final = 1_048_576
"""The longest frame a server may send; what is larger is no JIM."""

TLS_ALERT_PREFIX: Final = b"\x15\x03"
"""How TLS answers to what is not TLS."""

ReceivedFrame: TypeAlias = tuple[bytes, ServerEvent]


def describe_error(error: Exception) -> str:
    """Why a line is down, in the words of a sentence's end."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said if isinstance(said, Text) else Text(said)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class ServerConnection:
    """Raises OSError (its `reason` fit to be shown) as soon as the other end is gone, silent, or talks nonsense.

    `held_back` is set while nothing is read on purpose: then a peer that takes nothing is not at fault.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        with suppress(OSError):  # it does without
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._decoder = EventDecoder(MAX_FRAME)
        self._received: deque[ReceivedFrame] = deque()
        self._error: Exception | None = None
        self._sending = False
        self._time_slice = TimeSlice()
        # Only a socket of TLS has this: it tells the other end that nothing was cut off.
        self._unwrap: Callable[[], object] | None = getattr(sock, "unwrap", None)
        self._reading_paused = False
        self.is_private = self._unwrap is not None or _is_loopback(sock.getpeername()[0])
        """Whether nobody on the way can read what is said."""

    @contextmanager
    def reading_paused(self) -> Iterator[None]:
        """Within the block nothing is read on purpose: a server that reads nothing either is not at fault."""
        self._reading_paused = True
        try:
            yield
        finally:
            self._reading_paused = False

    def send(self, data: bytes, timeouts: Timeouts) -> None:
        """Write all of it, however slowly the other end reads, as long as it does."""
        self._sending = True
        rest = memoryview(data)
        while rest:
            sent = with_timeout(timeouts.response, self._socket.send, rest[:SEND_CHUNK], timeout_value=0)
            if not sent and not self._reading_paused:
                raise TimeoutError(Text("the server has read nothing for {seconds:g} s", seconds=timeouts.response))
            rest = rest[sent:]
        self._sending = False

    def read(self, timeout: float) -> ReceivedFrame | None:
        """The next frame; None when there is none for `timeout` seconds."""
        while not self._received:
            if self._error is not None:
                raise self._error
            data = self._recv(timeout)
            if data is None:
                return None
            self._decode(data)
        return self._received.popleft()

    def fail(self, error: Exception) -> None:
        """Have `hear` raise `fault`, after what was already received."""
        self._error = self._error or error
        self._shut_down()

    def say_goodbye(self, final_frames: bytes) -> None:
        """Say them and goodbye, as far as that needs no waiting, and close."""
        if not self._sending and self._error is None:
            with suppress(OSError):
                self._socket.setblocking(False)
                self._socket.send(final_frames + encode(QuitRequest()))
                if self._unwrap is not None:
                    self._unwrap()
        self.close()

    def close(self) -> None:
        self._shut_down()
        self._socket.close()

    def _shut_down(self) -> None:
        with suppress(OSError):  # the other end was faster
            # That of TCP: TLS's own would pull the line away under a greenlet that reads from it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _recv(self, timeout: float) -> bytes | None:
        data: bytes | None
        # From a server that never pauses a socket gives at once, and no other greenlet would run, nor any signal.
        self._time_slice.yield_if_expired()
        try:
            data = with_timeout(max(timeout, 0.0), self._socket.recv, RECV_CHUNK, timeout_value=None)
        except OSError as error:
            raise (self._error or error) from error
        if data == b"":
            raise self._error or ConnectionError(Text("the server closed the connection"))
        return data

    def _decode(self, data: bytes) -> None:
        try:
            # A line at a time: what came before a fault counts.
            for line in data.splitlines(keepends=True):
                self._received += self._decoder.feed(line)
        except BadFrame as error:
            self._error = ConnectionError(Fragment(str(error)))
            if data.startswith(TLS_ALERT_PREFIX):
                self._error = ConnectionError(
                    Text("that port expects TLS: connect with TLS, or give the server's plain port")
                )
