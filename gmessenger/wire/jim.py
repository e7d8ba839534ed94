"""JIM's two ends: what a server hears from a connection and says to a native one, and what a native client does.

`Hearing` begins as a stream of course objects and turns to lines once a presence carried `"jim": 2`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, json
from msgspec.structs import astuple

from gmessenger.errors import BadFrame, BadId, BadRequest, BadText, FrameTooLong, UnknownAction
from gmessenger.field_types import too_long
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.events import (
    Answer,
    Event,
    Foreign,
    NativeRequest,
    Pong,
    Presence,
    Said,
    ServerEvent,
    Told,
    Unknown,
    Unreadable,
)
from gmessenger.wire.framing import LineReader, Malformed, Oversize, StreamReader, is_nested_too_deep
from gmessenger.wire.openings import JIM, Opening

JIM_VERSION: Final = 2
LONGEST_ID: Final = 64

_REQUESTS: Final = json.Decoder(Said)
_ACTIONS: Final = frozenset(request.__struct_config__.tag for request in Said.__args__)


class _Loose(Struct):
    """As much of a refused frame as tells why it was refused."""

    id: Any = UNSET
    action: Any = None
    response: Any = None


_LOOSE: Final = json.Decoder(_Loose)


def decode_request(frame: bytes) -> NativeRequest | Unreadable:
    """The request that one native frame holds, or what is wrong with it."""
    if is_nested_too_deep(frame):
        return Unreadable(BadFrame())
    try:
        request: Said = _REQUESTS.decode(frame)
        if not frame.isascii():
            frame.decode()  # the decoder does not look into the values of keys that it skips
    except msgspec.ValidationError as error:
        return _diagnose(frame, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unreadable(BadFrame())
    if request.id is not UNSET and not _good_id(request.id):
        return Unreadable(BadId())
    if b"\\" in frame and b"\\u0000" in frame and _holds_nul(request):
        return Unreadable(BadText(), request.id or None)
    return request


HARMLESS: Final = frozenset({FrameTooLong.word, UnknownAction.word})
"""Refusals that a client which means well may meet any number of times."""


def decode_requests(frames: list[bytes | Oversize], cap: int, patience: int = 100) -> list[Event]:
    """What `decode_request` makes of each frame; asked once for all of them where nothing is to be said against any.

    After `patience` frames that are unreadable, and not harmless, the rest is not looked at: to find out what is wrong
    with one takes much longer than to read it.
    """
    try:
        # Hundreds at a time, and nearly always all of them good: no bytecode runs for each.
        found: list[Any] = list(map(_REQUESTS.decode, frames))  # type: ignore[arg-type]
        whole = b"\n".join(frames)  # type: ignore[arg-type]
        if not whole.isascii():
            whole.decode()
    except (TypeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_patiently(frames, cap, patience)
    # (One byte is found much faster than six, and escapes are rare.)
    if b"\\" in whole and b"\\u0000" in whole:
        return _decode_patiently(frames, cap, patience)
    return [request if request.id is UNSET or _good_id(request.id) else Unreadable(BadId()) for request in found]


def _decode_patiently(frames: list[bytes | Oversize], cap: int, patience: int) -> list[Event]:
    found: list[Event] = []
    for frame in frames:
        event = _decode_frame(frame, cap)
        found.append(event)
        patience -= type(event) is Unreadable and event.error.word not in HARMLESS
        if patience <= 0:
            break
    return found


def _decode_frame(frame: bytes | Oversize, cap: int) -> Event:
    return decode_request(frame) if isinstance(frame, bytes) else Unreadable(FrameTooLong(limit=cap))


def _holds_nul(request: Said) -> bool:
    values = astuple(request) + (astuple(request.user) if isinstance(request, Presence) else ())
    return any(isinstance(value, str) and "\0" in value for value in values)


def _good_id(id: Any) -> bool:
    if not isinstance(id, str) or not 0 < len(id) <= LONGEST_ID or "\0" in id:
        return False
    return id.isascii() or len(id.encode()) <= LONGEST_ID


def _diagnose(frame: bytes, complaint: str) -> Pong | Unreadable:
    try:
        loose = _LOOSE.decode(frame)
        frame.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unreadable(BadFrame())
    if loose.action is None and loose.response is not None:
        return Pong()
    if loose.id is not UNSET and not _good_id(loose.id):
        return Unreadable(BadId())
    if isinstance(loose.action, str) and loose.action not in _ACTIONS:
        return Unreadable(UnknownAction(), loose.id or None)
    if (refusal := too_long(complaint)) is not None:
        return Unreadable(refusal, loose.id or None)
    return Unreadable(BadRequest(f"The request is not valid: {complaint}."), loose.id or None)


class Hearing:
    """The server's ear on one connection: bytes in, events out, in the order they were said.

    `cap` is the largest frame in bytes; after `patience` unreadable objects in one piece of a stream, the last of them
    is fatal and the rest is not looked at; after as many unreadable lines, neither is the rest. `native` turns True at
    the first presence with `jim` 2 or above, and stays.
    A connection that begins as another protocol does is one `Foreign`, whatever it sends.
    """

    __slots__ = ("_cap", "_lines", "_opening", "_patience", "_stream", "course")

    def __init__(self, cap: int, patience: int = 100) -> None:
        self._cap = cap
        self._patience = patience
        self._opening: Opening | None = Opening()
        self._stream: StreamReader | None = StreamReader(cap)
        self._lines: LineReader | None = None
        self.course = CourseCodec()

    @property
    def native(self) -> bool:
        return self._lines is not None

    def hear(self, data: bytes) -> list[Event]:
        """The events that `data` completes; after one that is `fatal` nothing more can be understood."""
        if self._lines is not None:
            if self._lines.is_frame(data):
                return [decode_request(data)]
            return decode_requests(self._lines.feed(data), self._cap, self._patience)
        return self._hear_stream(data) if self._opening is None else self._open(self._opening, data)

    def _open(self, opening: Opening, data: bytes) -> list[Event]:
        """Hold back what comes until it is known not to be another protocol."""
        protocol = opening.feed(data)
        if protocol is None:
            too_long = len(opening.held) > self._cap
            return [Unreadable(FrameTooLong(limit=self._cap), fatal=True)] if too_long else []
        self._opening = None
        if protocol != JIM:
            self._stream = None
            return [Foreign(protocol)]
        return self._hear_stream(bytes(opening.held))

    def _hear_stream(self, data: bytes) -> list[Event]:
        stream = self._stream
        if stream is None:  # it was of another protocol
            return []
        stream.feed(data)
        events: list[Event] = []
        unreadable = 0
        while (frame := stream.next_frame()) is not None:
            if isinstance(frame, Oversize):
                return [*events, Unreadable(FrameTooLong(limit=self._cap), fatal=True)]
            event = Unreadable(BadFrame()) if isinstance(frame, Malformed) else self._object(stream, frame)
            if event is not None:
                events.append(event)
                unreadable += type(event) is Unreadable
            if unreadable >= self._patience:
                return [*events[:-1], Unreadable(BadFrame(), fatal=True)]
            if self._lines is not None:
                self._stream = None
                return events + self.hear(stream.rest())
        return events

    def _object(self, stream: StreamReader, frame: bytes) -> Event | None:
        try:
            spelled = json.decode(frame, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            stream.resume(frame)
            return Unreadable(BadFrame())
        if spelled.get("action") == "presence" and _speaks_native(spelled.get("jim")):
            self._lines = LineReader(self._cap)
            return decode_request(frame)
        return self.course.decode(spelled)


def _speaks_native(jim: Any) -> bool:
    return type(jim) is int and jim >= JIM_VERSION


class _Head(Struct):
    action: str | UnsetType = UNSET
    response: int | UnsetType = UNSET


_HEAD: Final = json.Decoder(_Head)
_ANSWER: Final = json.Decoder(Answer)
_EVENTS: Final = json.Decoder(Told)
_RAW: Final = json.Decoder(msgspec.Raw)


def decode_server_frame(line: bytes) -> ServerEvent:
    """What a server said, for a client.

    A frame of a later version comes back as `Unknown`; what is not JSON, or nested too deep, raises `BadFrame`.
    """
    if is_nested_too_deep(line):
        raise BadFrame("The server sent something that is not JSON.")
    try:
        event: ServerEvent = _EVENTS.decode(line)
        return event
    except msgspec.ValidationError:
        return _answer_or_unknown(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame("The server sent something that is not JSON.") from error


def _answer_or_unknown(line: bytes) -> ServerEvent:
    try:
        head = _HEAD.decode(line)
        if head.action is UNSET and head.response is not UNSET:
            return _ANSWER.decode(line)
        return Unknown(_RAW.decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unknown(msgspec.Raw(line))


class ServerHearing:
    """The client's ear: bytes in, pairs of frame and event out, in order. `cap` is the longest frame it bears."""

    def __init__(self, cap: int) -> None:
        self._lines = LineReader(cap)

    def hear(self, data: bytes) -> list[tuple[bytes, ServerEvent]]:
        """Raises `BadFrame` where the other end does not speak JIM 2 (or says more than the cap in one frame)."""
        pairs: list[tuple[bytes, ServerEvent]] = []
        for line in self._lines.feed(data):
            if not isinstance(line, bytes):
                raise BadFrame("The server sent a frame that is too long.")
            pairs.append((line, decode_server_frame(line)))
        return pairs
