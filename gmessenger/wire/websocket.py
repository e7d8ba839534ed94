"""WebSocket (RFC 6455), both ends after the handshake: the bytes of the peer in, lines and replies out.

`websockets` reads the frames. A message is one line, or several, of the protocol spoken over it; each line that we send
is a message of its own (`LineFraming`). Extensions are never negotiated: compression would cost more memory than the
rest of a connection, and mixes secrets with text of others.
"""

from __future__ import annotations

from typing import Any, Final, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import (  # type: ignore[attr-defined]  # of the C module, or its replacement in Python
    CloseCode,
    Frame,
    Opcode,
    apply_mask,
)
from websockets.protocol import Protocol, Side, State

from gmessenger.wire.websocket_lines import JIM_FRAMING, LineFraming

WHOLE_MESSAGES: Final = (0x81, 0x82)
"""The first byte of a message of one frame: of a text message, and of a binary one."""
SHORT_HEADS: Final = tuple(tuple(bytes((first, length)) for length in range(126)) for first in WHOLE_MESSAGES)
"""The first bytes of a message of so many bytes, which is one frame."""
MAX_SHORT_LENGTH: Final = 65_535
PONG: Final = 0x8A
"""The first byte of a pong."""
FINAL: Final = 0x80
"""The bit of a frame's first byte that says that its message ends with it; the rest is the opcode."""
DATA_OPCODES: Final = frozenset({Opcode.CONT, Opcode.TEXT, Opcode.BINARY})
"""Frames with a message, or a fragment of one."""
MASKED: Final = 0x80
"""The bit of a frame's second byte that says that it is masked."""
EXTENDED_16: Final = 126
"""The length for one in the next two bytes."""
EXTENDED_64: Final = 127
"""The length for one in the next eight bytes."""
BINARY_FAULT: Final = "a binary message"
IDLE_FAULT: Final = "too many frames without a message"
MAX_IDLE_FRAMES: Final = 1000
"""Fragments and control frames in the bytes received at one time: eight milliseconds' work."""


class NullLogger:
    """What `websockets` calls as its logger: it says nothing."""

    def isEnabledFor(self, level: int) -> bool:
        """Return that no level is logged."""
        return False

    def debug(self, message: str, *arguments: object, **options: object) -> None:
        """Log nothing."""

    info = error = debug


NULL_LOGGER: Final[Any] = NullLogger()


class WebSocketCodec:
    """The state of one WebSocket. Its methods raise nothing, whatever the peer sends.

    After each `receive` the caller sends what `take_replies` returns, and ends the connection once `is_closed`.
    Messages of one frame, nearly all there are, are read here; `websockets`, which takes ten times as long, reads all
    other frames.
    """

    __slots__ = (
        "_framing",
        "_has_control",
        "_is_fragmented",
        "_is_skipping",
        "_mask_bit",
        "_max_message",
        "_message",
        "_protocol",
        "_replies",
        "_tail",
        "_unskipped",
        "_whole_message",
        "fault",
        "idle_frames",
        "is_closed",
        "is_oversized",
        "received_control_only",
    )

    def __init__(self, max_message: int, side: Side = Side.SERVER, framing: LineFraming = JIM_FRAMING) -> None:
        """Read what the other side sends.

        max_message: bytes that a message of the peer may have; a longer one is skipped, or ends the connection.
        side: which end this is.
        """
        self._framing = framing
        self._whole_message = WHOLE_MESSAGES[framing.is_binary]
        self._protocol = Protocol(side, state=State.OPEN, max_size=max_message, logger=NULL_LOGGER)
        self._max_message = max_message
        self._mask_bit = MASKED if side is Side.SERVER else 0
        self._tail = bytearray()
        """The beginning of a frame that is not complete: at most `max_message` bytes and its head."""
        self._message = bytearray()
        """The fragments, up to now, of a message that is not complete."""
        self._is_fragmented = self._has_control = False
        self._is_skipping = False
        """Whether the rest of this message is skipped, because it is too long."""
        self._unskipped = 0
        """Bytes still to come of a frame that is skipped."""
        self._replies: list[bytes] = []
        self.is_closed = False
        """Whether the peer has sent a Close, or broke the protocol: later bytes are ignored."""
        self.is_oversized = False
        """Whether a message was longer than allowed."""
        self.fault = ""
        """How the peer broke the protocol; empty if it did not."""
        self.idle_frames = 0
        """How many of the frames received last completed no message, or an empty one."""
        self.received_control_only = False
        """Whether the bytes received last were control frames, and nothing of a message."""

    @property
    def received_close(self) -> tuple[int, str] | None:
        """The code and the reason of the peer's Close; None if there was none. Without a code it is 1005."""
        close = self._protocol.close_rcvd
        return (int(close.code), close.reason) if close is not None else None

    def receive(self, data: bytes) -> bytes:
        """Return the messages that are complete, each with a line end; none where there is none."""
        if self.is_closed:
            return b""
        self.idle_frames, self._has_control = 0, False
        if self._unskipped:
            skipped = min(self._unskipped, len(data))
            self._unskipped -= skipped
            data = data[skipped:]
        lines: list[bytes | bytearray] = []
        if self._tail:
            self._tail += data
            del self._tail[: self._read_frames(self._tail, lines)]
        elif (used := self._read_frames(data, lines)) < len(data):
            self._tail += data[used:]
        self.received_control_only = self._has_control and not (lines or self._tail or self._message)
        return b"".join(lines)

    def _read_frames(self, data: bytes | bytearray, lines: list[bytes | bytearray]) -> int:
        """Read the frames that are complete; return the bytes that they have. Appends messages to `lines`."""
        position, size = 0, len(data)
        while position + 2 <= size and not self.is_closed:
            second = data[position + 1]
            body, length = position + 2, second & 0x7F
            if length >= EXTENDED_16:
                body += 2 if length == EXTENDED_16 else 8
                length = int.from_bytes(data[position + 2 : body], "big") if body <= size else 0
            body += 4 if second & MASKED else 0
            end = body + length
            is_too_long = length + len(self._message) > self._max_message or (
                self._is_skipping and data[position] & ~FINAL in DATA_OPCODES
            )
            if end > size and not is_too_long:
                break
            is_plain = data[position] == self._whole_message and second & MASKED == self._mask_bit
            if is_too_long and self._may_skip(data[position], second):
                if body > size:  # the head is not complete
                    break
                self._skip_frame(data[position], lines)
                self._unskipped = max(0, end - size)
            elif is_too_long or not is_plain or self._is_fragmented:
                self._read_other_frame(bytes(data[position:end]), lines)
            elif length:
                text = data[body:end]
                lines += (apply_mask(text, data[body - 4 : body]) if self._mask_bit else text, self._framing.line_end)
            else:
                self.idle_frames += 1
            position = end
        return size if self.is_closed else min(position, size)

    def _may_skip(self, first: int, second: int) -> bool:
        """Return whether a frame that is too long is to be skipped, by the first two bytes of its head."""
        is_data = first & ~FINAL in DATA_OPCODES and second & MASKED == self._mask_bit
        return is_data and bool(self._framing.too_long_line)

    def _skip_frame(self, first: int, lines: list[bytes | bytearray]) -> None:
        """Read a frame as if it were empty, and have its message be one that is too long."""
        self._is_skipping, self._message = True, bytearray()
        self._read_other_frame(bytes((first, self._mask_bit)) + (bytes(4) if self._mask_bit else b""), lines)

    def _read_other_frame(self, data: bytes, lines: list[bytes | bytearray]) -> None:
        """Have `websockets` read a frame, or judge the head of one that is too long."""
        self._protocol.receive_data(data)
        for frame in cast(list[Frame], self._protocol.events_received()):
            if frame.opcode is Opcode.BINARY and not self._framing.takes_binary:
                self._fail(CloseCode.UNSUPPORTED_DATA, BINARY_FAULT)
            elif frame.opcode in DATA_OPCODES:
                self._add_fragment(frame, lines)
            else:
                self.idle_frames += 1
                self._has_control = True
        if self.idle_frames > MAX_IDLE_FRAMES:
            self._fail(CloseCode.POLICY_VIOLATION, IDLE_FAULT)
        self._note_end()
        self._note_replies()

    def _add_fragment(self, frame: Frame, lines: list[bytes | bytearray]) -> None:
        """Add a frame to its message; append that to `lines` if it is complete."""
        self._message += self._framing.too_long_line if self._is_skipping and frame.fin else frame.data
        self._is_fragmented = not frame.fin
        if frame.fin and self._message:
            lines += (self._message, self._framing.line_end)
            self._message = bytearray()
            self._is_skipping = False
        else:
            self.idle_frames += 1

    def take_replies(self) -> bytes:
        """Return what the peer must be sent before anything else: a pong, the close."""
        replies, self._replies = self._replies, []
        return b"".join(replies)

    def close(self, code: int) -> bytes:
        """Return the close that is sent after everything else; empty where one was sent."""
        if self._protocol.state is not State.OPEN:
            return b""
        self._protocol.send_close(code)
        return b"".join(self._protocol.data_to_send())

    def refuse_idle_frames(self) -> None:
        """End the connection of a peer that sends too many frames without a message; `take_replies` has the Close."""
        self._fail(CloseCode.POLICY_VIOLATION, IDLE_FAULT)
        self._note_end()
        self._note_replies()

    def _fail(self, code: CloseCode, fault: str) -> None:
        self.fault = fault
        if self._protocol.state is State.OPEN:
            self._protocol.fail(code, fault)

    def _note_end(self) -> None:
        error = self._protocol.parser_exc
        self.is_oversized = isinstance(error, PayloadTooBig)
        if error is not None and not self.fault:
            self.fault = str(error) or type(error).__name__
        self.is_closed = bool(self.fault) or self._protocol.close_rcvd is not None
        if self.is_closed:
            self._tail, self._message = bytearray(), bytearray()

    def _note_replies(self) -> None:
        """Queue the control frames that answer the peer.

        Only the last of several pings is answered, so that a peer that never reads cannot make the queue grow.
        """
        for reply in self._protocol.data_to_send():
            if not reply:  # the end of the stream, which `is_closed` tells
                continue
            if reply[0] == PONG:
                self._replies = [each for each in self._replies if each[0] != PONG]
            self._replies.append(reply)


def encode_masked_messages(lines: bytes) -> bytes:
    """Return what a client sends: a text message for each line, without its newline, masked (RFC 6455, 5.3)."""
    return b"".join(Frame(Opcode.TEXT, line).serialize(mask=True) for line in lines.split(b"\n") if line)


def encode_messages(lines: bytes | memoryview, framing: LineFraming = JIM_FRAMING) -> bytes:
    """Return what a server sends: a message for each line, without its line end."""
    messages: list[bytes] = []
    for line in bytes(lines).split(framing.line_end):
        if length := len(line):
            messages += (encode_head(length, is_binary=framing.is_binary), line)
    return b"".join(messages)


def encode_head(length: int, *, is_binary: bool = False) -> bytes:
    """Return the first bytes of a message of so many bytes."""
    if length < EXTENDED_16:
        return SHORT_HEADS[is_binary][length]
    first = WHOLE_MESSAGES[is_binary]
    if length <= MAX_SHORT_LENGTH:
        return bytes((first, EXTENDED_16)) + length.to_bytes(2, "big")
    return bytes((first, EXTENDED_64)) + length.to_bytes(8, "big")
