"""WebSocket (RFC 6455), both ends after the handshake: the bytes of the peer in, lines and replies out.

`websockets` reads the frames. A text message is one line, or several, of the protocol spoken over it; each line that we
send is a text message of its own. Extensions are never negotiated: compression would cost more memory than the rest
of a connection, and mixes secrets with text of others.
"""

from __future__ import annotations

from typing import Any, Final, cast

from websockets.exceptions import PayloadTooBig
from websockets.frames import CTRL_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

TEXT_HEADS: Final = tuple(bytes((0x81, length)) for length in range(126))
"""The first bytes of a text message of so many bytes, which is one frame."""
MAX_SHORT_LENGTH: Final = 65_535
PONG: Final = 0x8A
"""The first byte of a pong."""
BINARY_FAULT: Final = "a binary message"


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
    """

    __slots__ = (
        "_message",
        "_protocol",
        "_replies",
        "fault",
        "idle_frames",
        "is_closed",
        "is_oversized",
        "received_control_only",
    )

    def __init__(self, max_message: int, side: Side = Side.SERVER) -> None:
        """Read what the other side sends.

        max_message: bytes that a message of the peer may have; a longer one ends the connection.
        side: which end this is.
        """
        self._protocol = Protocol(side, state=State.OPEN, max_size=max_message, logger=NULL_LOGGER)
        self._message = bytearray()
        """The fragments, up to now, of a message that is not complete."""
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
        """Return the messages that are complete, each with a newline; none where there is none."""
        if self.is_closed:
            return b""
        protocol, lines = self._protocol, bytearray()
        protocol.receive_data(data)
        frames = cast(list[Frame], protocol.events_received())  # requests are for who does the handshake by it
        idle_frames = 0
        for frame in frames:
            if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
                self._message += frame.data
                if frame.fin and self._message:
                    lines += self._message
                    lines += b"\n"
                    self._message = bytearray()
                else:
                    idle_frames += 1
            elif frame.opcode is Opcode.BINARY:
                self._fail(CloseCode.UNSUPPORTED_DATA, BINARY_FAULT)
                break
            else:
                idle_frames += 1
        self.idle_frames = idle_frames
        self.received_control_only = bool(frames) and all(frame.opcode in CTRL_OPCODES for frame in frames)
        self._note_end()
        self._note_replies()
        return bytes(lines)

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

    def refuse(self, fault: str) -> None:
        """End the connection of a peer that keeps to the protocol, but asks too much; `take_replies` has the Close."""
        self._fail(CloseCode.POLICY_VIOLATION, fault)
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
            self._message = bytearray()

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


def encode_messages(lines: bytes | memoryview) -> bytes:
    """Return what a server sends: a text message for each line, without its newline."""
    messages: list[bytes] = []
    for line in bytes(lines).split(b"\n"):
        if length := len(line):
            messages += (encode_head(length), line)
    return b"".join(messages)


def encode_head(length: int) -> bytes:
    """Return the first bytes of a text message of so many bytes."""
    if length < len(TEXT_HEADS):
        return TEXT_HEADS[length]
    if length <= MAX_SHORT_LENGTH:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
