"""How the lines of a protocol are messages of a WebSocket, and which subprotocol says so."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class LineFraming(Struct, frozen=True):
    """How lines are messages, which never have a line end themselves.

    Args:
        line_end: what ends a line of the protocol.
        is_binary: whether sent messages are binary, not text.
        takes_binary: whether received messages may be either.
        too_long_line: what is received in place of a message that is too long; empty if that ends the connection.
    """

    line_end: bytes = b"\n"
    is_binary: bool = False
    takes_binary: bool = False
    too_long_line: bytes = b""


JIM_SUBPROTOCOL: Final = "jim.2"
JIM_FRAMING: Final = LineFraming()
IRC_MAX_MESSAGE: Final = 8704
"""Bytes of a message: 512 of a line and 8192 of its tags, of which clients may send half."""
_TOO_LONG_LINE: Final = b"x" * (IRC_MAX_MESSAGE + 1)
IRC_TEXT_FRAMING: Final = LineFraming(b"\r\n", takes_binary=True, too_long_line=_TOO_LONG_LINE)
IRC_BINARY_FRAMING: Final = LineFraming(b"\r\n", is_binary=True, takes_binary=True, too_long_line=_TOO_LONG_LINE)
IRC_SUBPROTOCOLS: Final = {"text.ircv3.net": IRC_TEXT_FRAMING, "binary.ircv3.net": IRC_BINARY_FRAMING}
"""The subprotocols of IRCv3, each with its framing."""
