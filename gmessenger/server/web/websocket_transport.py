"""The transport of a WebSocket: lines in text messages, over TCP or TLS. Nothing blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gmessenger.chat.ratelimit import RateLimit, TokenBucket
from gmessenger.server.net.transport import Transport
from gmessenger.server.web.websocket_spec import WebSocketSpec
from gmessenger.wire.websocket import WebSocketCodec, encode_messages
from gmessenger.wire.websocket_lines import LineFraming

READ_CHUNK: Final = 32_768
"""Bytes that are read at a time. The shortest frames have six, and take a microsecond each."""
MAX_DISCARDS: Final = 64  # chunks that are read and discarded before a connection is closed
PIECE: Final = 65_536
"""Bytes of lines that are framed together; a piece counts as sent when all its frames are."""
IDLE_FRAME_RATE: Final = RateLimit(per_second=100, burst=4000)
"""Of pings, pongs, fragments and empty messages: messages have limits of their own. A frame costs the loop 5 µs."""
NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001


class WebSocketTransport:
    """A WebSocket, after its handshake, over another transport, which it owns from then on.

    What a client is sent has a message for each line.
    """

    __slots__ = (
        "_codec",
        "_framing",
        "_idle_bucket",
        "_is_stopping",
        "_out",
        "_out_offset",
        "_piece_length",
        "_spec",
        "_transport",
        "is_encrypted",
    )
    label = "web"
    needs_handshake = False
    client_certificate = None  # browsers would ask their users for one
    max_idle = 45.0  # seconds: proxies forget connections on which nothing was sent for a minute

    def __init__(
        self,
        transport: Transport,
        spec: WebSocketSpec,
        framing: LineFraming,
        *,
        is_encrypted: bool,
        is_stopping: Callable[[], bool],
    ) -> None:
        """`is_encrypted`: whether the client's end of the connection is; `is_stopping`: whether the server stops."""
        self._transport = transport
        self._spec = spec
        self._framing = framing
        self._codec = WebSocketCodec(spec.max_message(), framing=framing)
        self._is_stopping = is_stopping
        self._out = b""  # frames that the socket has not taken yet
        self._out_offset = 0
        self._piece_length = 0  # bytes of lines that `_out` stands for
        self._idle_bucket: TokenBucket | None = None
        self.is_encrypted = is_encrypted

    def fileno(self) -> int:
        return self._transport.fileno()

    def handshake(self, timeout: float) -> None:
        """Do nothing: it is done."""

    def recv(self, size: int, /) -> bytes:
        codec = self._codec
        was_closed = codec.is_closed
        data = self._transport.recv(READ_CHUNK)
        if not data or was_closed:
            return b""
        lines = codec.receive(data)
        if codec.idle_frames or codec.is_closed:  # seldom
            self._answer_frames()
        if lines:
            if codec.is_closed:
                self._transport.shutdown_read()  # so that the end is read next
            return lines
        if codec.is_closed:
            return b""
        raise BlockingIOError

    def _answer_frames(self) -> None:
        """Charge and answer frames that are not for the protocol."""
        codec = self._codec
        if codec.idle_frames:
            self._charge_idle_frames(codec.idle_frames)
        if codec.is_oversized:
            self._queue(encode_messages(self._spec.make_too_long_reply(), self._framing))
        self._send_replies()

    def _charge_idle_frames(self, count: int) -> None:
        """End the connection of a client that sends more frames without a message than a client needs."""
        self._idle_bucket = bucket = self._idle_bucket or TokenBucket()
        if bucket.spend(count, IDLE_FRAME_RATE, time.monotonic()) is not None:
            self._codec.refuse_idle_frames()

    def send(self, data: bytes | memoryview, /) -> int:
        if not self._out and len(data) <= PIECE:  # nearly always
            return len(data) if self._send_piece(data) else 0
        if not self._send_out():
            return 0
        # The piece that was refused has left meanwhile; the caller sends it again, as it was.
        sent, self._piece_length = self._piece_length, 0
        view = memoryview(data)
        while sent < len(view):
            piece = _first_lines(view[sent:])
            if not self._send_piece(piece):
                break
            sent += len(piece)
        return sent

    def _send_piece(self, piece: bytes | memoryview) -> bool:
        """Frame lines and send them while nothing waits; return whether all were taken, else the rest waits."""
        frames = encode_messages(piece, self._framing)
        try:
            taken = self._transport.send(frames)
        except BlockingIOError:
            taken = 0
        if taken == len(frames):
            return True
        self._out, self._out_offset, self._piece_length = frames, taken, len(piece)
        return False

    def shutdown_read(self) -> None:
        self._transport.shutdown_read()

    def shutdown_write(self) -> None:
        self._queue(
            self._codec.take_replies() + self._codec.close(GOING_AWAY if self._is_stopping() else NORMAL_CLOSURE)
        )
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
