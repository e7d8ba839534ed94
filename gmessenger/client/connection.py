"""One TCP connection to a server: frames out, frames in. Knows no session and never comes back once it is down."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from gevent import socket, with_timeout

from gmessenger.client.patience import Patience
from gmessenger.errors import BadFrame
from gmessenger.sentences import Sentence, Unended
from gmessenger.turns import Turn
from gmessenger.wire.encoding import encode
from gmessenger.wire.events import Quit, ServerEvent
from gmessenger.wire.jim import ServerHearing

RECEIVED_AT_ONCE: Final = 65_536
SENT_AT_ONCE: Final = 16_384
"""One record of TLS: of a larger piece it would not be known how much the other end has read."""
LARGEST_FRAME: Final = 1_048_576
"""The longest frame a server may send; what is larger is no JIM."""

ALERT: Final = b"\x15\x03"
"""How TLS answers to what is not TLS."""

Heard: TypeAlias = tuple[bytes, ServerEvent]


def reason(error: Exception) -> str:
    """Why a line is down, in the words of a sentence's end."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return said if isinstance(said, Sentence) else Sentence(said)


def _is_this_machine(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


class Connection:
    """Raises OSError (its `reason` fit to be shown) as soon as the other end is gone, silent, or talks nonsense.

    `held_back` is set while nothing is read on purpose: then a peer that takes nothing is not at fault.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(None)
        with suppress(OSError):  # it does without
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._hearing = ServerHearing(LARGEST_FRAME)
        self._heard: deque[Heard] = deque()
        self._fault: Exception | None = None
        self._sending = False
        self._turn = Turn()
        # Only a socket of TLS has this: it tells the other end that nothing was cut off.
        self._unwrap: Callable[[], object] | None = getattr(sock, "unwrap", None)
        self.held_back = False
        self.private = self._unwrap is not None or _is_this_machine(sock.getpeername()[0])
        """Whether nobody on the way can read what is said."""

    def send(self, data: bytes, patience: Patience) -> None:
        """Write all of it, however slowly the other end reads, as long as it does."""
        self._sending = True
        rest = memoryview(data)
        while rest:
            sent = with_timeout(patience.answer, self._socket.send, rest[:SENT_AT_ONCE], timeout_value=0)
            if not sent and not self.held_back:
                raise TimeoutError(Sentence("the server has read nothing for {seconds:g} s", seconds=patience.answer))
            rest = rest[sent:]
        self._sending = False

    def hear(self, timeout: float) -> Heard | None:
        """The next frame; None when there is none for `timeout` seconds."""
        while not self._heard:
            if self._fault is not None:
                raise self._fault
            data = self._receive(timeout)
            if data is None:
                return None
            self._understand(data)
        return self._heard.popleft()

    def fail(self, fault: Exception) -> None:
        """Have `hear` raise `fault`, after what was already received."""
        self._fault = self._fault or fault
        self._shut_down()

    def take_leave(self, last_words: bytes) -> None:
        """Say them and goodbye, as far as that needs no waiting, and close."""
        if not self._sending and self._fault is None:
            with suppress(OSError):
                self._socket.setblocking(False)
                self._socket.send(last_words + encode(Quit()))
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

    def _receive(self, timeout: float) -> bytes | None:
        data: bytes | None
        # From a server that never pauses a socket gives at once, and no other greenlet would run, nor any signal.
        self._turn.give_way()
        try:
            data = with_timeout(max(timeout, 0.0), self._socket.recv, RECEIVED_AT_ONCE, timeout_value=None)
        except OSError as error:
            raise (self._fault or error) from error
        if data == b"":
            raise self._fault or ConnectionError(Sentence("the server closed the connection"))
        return data

    def _understand(self, data: bytes) -> None:
        try:
            # A line at a time: what came before a fault counts.
            for line in data.splitlines(keepends=True):
                self._heard += self._hearing.hear(line)
        except BadFrame as error:
            self._fault = ConnectionError(Unended(str(error)))
            if data.startswith(ALERT):
                self._fault = ConnectionError(
                    Sentence("that port expects TLS: connect with TLS, or give the server's plain port")
                )
