"""The client's decoder of native frames: bytes in, events out."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, json

from gmessenger.errors import BadFrame
from gmessenger.text import Text
from gmessenger.wire.events import PushEvent, ResponseFrame, ServerEvent, UnknownEvent
from gmessenger.wire.framing import LineReader, is_nested_too_deep


class _FrameHead(Struct):
    """As much of a server's frame as tells a response from an event."""

    action: str | UnsetType = UNSET
    response: int | UnsetType = UNSET


FRAME_TOO_LONG: Final = Text("The server sent a frame that is too long.")
_HEAD_DECODER: Final = json.Decoder(_FrameHead)
_RESPONSE_DECODER: Final = json.Decoder(ResponseFrame)
_PUSH_DECODER: Final = json.Decoder(PushEvent)
_RAW_DECODER: Final = json.Decoder(msgspec.Raw)


def decode_server_frame(line: bytes) -> ServerEvent:
    """Decode a server's frame for a client; a frame of a later version of the protocol becomes an `UnknownEvent`.

    Raises `BadFrame` for what is not JSON, or nested too deep.
    """
    if is_nested_too_deep(line):
        raise BadFrame("The server sent something that is not JSON.")
    try:
        event: ServerEvent = _PUSH_DECODER.decode(line)
        return event
    except msgspec.ValidationError:
        return _response_or_unknown(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame("The server sent something that is not JSON.") from error


def _response_or_unknown(line: bytes) -> ServerEvent:
    try:
        head = _HEAD_DECODER.decode(line)
        if head.action is UNSET and head.response is not UNSET:
            return _RESPONSE_DECODER.decode(line)
        return UnknownEvent(_RAW_DECODER.decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UnknownEvent(msgspec.Raw(line))


class EventDecoder:
    """A client's decoder of one connection: bytes in, pairs of frame and event out, in order."""

    def __init__(self, max_frame: int) -> None:
        self._lines = LineReader(max_frame)

    def feed(self, data: bytes) -> list[tuple[bytes, ServerEvent]]:
        """Return the frames that `data` completes, with their events.

        Raises `BadFrame` if the server does not speak JIM 2, or a frame is longer than `max_frame`.
        """
        pairs: list[tuple[bytes, ServerEvent]] = []
        for line in self._lines.feed(data):
            if not isinstance(line, bytes):
                raise BadFrame(FRAME_TOO_LONG)
            pairs.append((line, decode_server_frame(line)))
        return pairs
