"""A protocol as it is spoken over WebSockets: what a table of routes needs to accept one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gmessenger.errors import FrameTooLong
from gmessenger.server.net.frontend import Frontend
from gmessenger.wire.websocket_lines import LineFraming


@dataclass(frozen=True, slots=True)
class WebSocketSpec:
    """How a protocol is spoken over WebSockets.

    max_message: returns the bytes that a message of a client may have.
    framing: what is used where a client asks for no subprotocol.
    subprotocols: framings by the names that clients may ask for.
    is_strict: whether a client is refused that asks for other subprotocols only.
    """

    frontend: Frontend
    max_message: Callable[[], int]
    framing: LineFraming
    subprotocols: Mapping[str, LineFraming]
    is_strict: bool = False

    def make_too_long_reply(self) -> bytes:
        """Return the line that answers a message that is too long, where that ends the connection."""
        return self.frontend.encode_refusal(FrameTooLong())
