"""The transport of a WebSocket: JIM's lines in text messages, over TCP or TLS. Only `handshake` blocks."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent import Timeout
from gevent import socket as waiting

from gmessenger.errors import FrameTooLong
from gmessenger.server.net.transport import Transport
from gmessenger.wire.encoder import encode_error
from gmessenger.wire.http import HeaderList, HttpCodec, HttpError, HttpRequest
from gmessenger.wire.websocket import WebSocketCodec, encode_messages

LINGER_TIMEOUT: Final = 1.0  # seconds for a client that is refused to read why
READ_CHUNK: Final = 8_192
"""Bytes that are read at a time. The shortest frames have six: more would hold the loop for longer than 10 ms."""
MAX_DISCARDS: Final = 64  # chunks that are read and discarded before a connection is closed
PIECE: Final = 65_536
"""Bytes of lines that are framed together; a piece counts as sent when all its frames are."""
NORMAL_CLOSURE: Final = 1000


class NoWebSocketError(ConnectionError):
    """The client's request was answered, and no WebSocket came of it."""


class WebTransport:
    """A WebSocket over another transport, which it owns from then on.

    What a client sends is bounded by `max_message` bytes a message; what it is sent has a message for each line.
    """

    __slots__ = ("_accept", "_codec", "_out", "_out_offset", "_piece_length", "_transport")
    label = "web"
    needs_handshake = True
    max_idle = 45.0  # seconds: proxies forget connections on which nothing was sent for a minute

    def __init__(self, transport: Transport, accept: Callable[[HttpRequest], HeaderList], max_message: int) -> None:
        """`accept` returns the headers that accept a request, or raises `HttpError`."""
        self._transport = transport
        self._accept = accept
        self._codec = WebSocketCodec(max_message)
        self._out = b""  # frames that the socket has not taken yet
        self._out_offset = 0
        self._piece_length = 0  # bytes of lines that `_out` stands for

    @property
    def is_encrypted(self) -> bool:
        return self._transport.is_encrypted

    def fileno(self) -> int:
        return self._transport.fileno()

    def handshake(self, timeout: float) -> None:
        """Do the handshake of TLS in `timeout` seconds, then that of the WebSocket in as many. Blocks.

        Raises `NoWebSocketError` after another request, which was answered; and OSError.
        """
        self._transport.handshake(timeout)
        http = HttpCodec()
        try:
            with Timeout(timeout, HttpError(408, "The request has not arrived in time.")):
                request = self._read_request(http)
            headers = self._accept(request)
            if http.take_rest():
                raise HttpError(400, "Frames may be sent only after the answer.")
            answer = http.switch_protocols(headers)
        except HttpError as error:
            self._refuse(http.refuse(error))
            raise NoWebSocketError(errno.EPROTO, f"HTTP {error.status}") from None
        self._send_all(answer)

    def _read_request(self, http: HttpCodec) -> HttpRequest:
        while True:
            try:
                data = self._transport.recv(READ_CHUNK)
            except BlockingIOError:
                waiting.wait_read(self._transport.fileno())
                continue
            if not data:
                raise ConnectionError(errno.ECONNRESET, "closed before its request was complete")
            if (request := http.receive(data)) is not None:
                return request

    def _refuse(self, answer: bytes) -> None:
        """Send, and read for a while: closing over unread bytes would lose the answer."""
        with Timeout(LINGER_TIMEOUT, TimeoutError()):
            self._send_all(answer)
            self._transport.shutdown_write()
            while True:
                try:
                    if not self._transport.recv(READ_CHUNK):
                        return
                except BlockingIOError:
                    waiting.wait_read(self._transport.fileno())

    def _send_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[self._transport.send(data) :]
            except BlockingIOError:
                waiting.wait_write(self._transport.fileno())

    def recv(self, size: int, /) -> bytes:
        codec = self._codec
        was_closed = codec.is_closed
        data = self._transport.recv(min(size, READ_CHUNK))
        if not data or was_closed:
            return b""
        lines = codec.receive(data)
        if codec.is_oversized:
            self._queue(encode_messages(encode_error(FrameTooLong(), time.time())))
        self._send_replies()
        if lines:
            if codec.is_closed:
                self._transport.shutdown_read()  # so that the end is read next
            return lines
        if codec.is_closed:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | memoryview, /) -> int:
        if not self._send_out():
            return 0
        # The piece that was refused has left meanwhile; the caller sends it again, as it was.
        sent, self._piece_length = self._piece_length, 0
        view = memoryview(data)
        while sent < len(view):
            piece = _first_lines(view[sent:])
            self._out, self._piece_length = encode_messages(piece), len(piece)
            if not self._send_out():
                break
            sent += self._piece_length
            self._piece_length = 0
        return sent

    def shutdown_read(self) -> None:
        self._transport.shutdown_read()

    def shutdown_write(self) -> None:
        self._queue(self._codec.take_replies() + self._codec.close(NORMAL_CLOSURE))
        self._send_out()
        self._transport.shutdown_write()

    def close(self) -> None:
        # Closing over unread bytes would reset the connection, and why it was closed would be lost.
        with suppress(OSError):
            for _ in range(MAX_DISCARDS):
                if not self._transport.recv(READ_CHUNK):
                    break
        self._transport.close()

    def _queue(self, frames: bytes) -> None:
        self._out = self._out[self._out_offset :] + frames
        self._out_offset = 0

    def _send_replies(self) -> None:
        """Send what the codec answers, unless frames are waiting; they are few, and sent with the next otherwise."""
        if not self._out:
            self._out = self._codec.take_replies()
        if self._out:
            self._send_out()

    def _send_out(self) -> bool:
        """Send frames that wait, and the codec's replies behind them; return whether nothing waits any more."""
        while self._out_offset < len(self._out):
            try:
                taken = self._transport.send(memoryview(self._out)[self._out_offset :])
            except BlockingIOError:
                return False
            if not taken:
                return False
            self._out_offset += taken
        self._out, self._out_offset = self._codec.take_replies(), 0
        return not self._out or self._send_out()


def _first_lines(lines: memoryview) -> memoryview:
    """Return whole lines of up to `PIECE` bytes; one, where that is longer."""
    if len(lines) <= PIECE:
        return lines
    end = bytes(lines[:PIECE]).rfind(b"\n") + 1 or bytes(lines).find(b"\n") + 1
    return lines[:end] if end else lines
