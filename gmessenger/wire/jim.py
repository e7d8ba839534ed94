"""JIM's two ends: what a server hears from a connection and says to a native one, and what a native client does.

`RequestDecoder` begins as a stream of course objects and turns to lines once a presence carried `"jim": 2`.

Native frames from structs: compact UTF-8, each with its newline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType, json
from msgspec.structs import astuple

from gmessenger.errors import BadFrame, BadId, BadRequest, BadText, FrameTooLong, UnknownAction, WireError
from gmessenger.field_types import MAX_ID, length_error
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.events import (
    ClientEvent,
    ForeignProtocol,
    InvalidFrame,
    NativeEvent,
    NativeRequest,
    Pong,
    PresenceRequest,
    PushEvent,
    ResponseFrame,
    ServerEvent,
    UnknownEvent,
)
from gmessenger.wire.framing import MAX_LINE_DEPTH, LineReader, Malformed, Oversize, StreamReader, is_nested_too_deep
from gmessenger.wire.protocol_detection import JIM, ProtocolDetector

JIM_VERSION: Final = 2

_REQUEST_DECODER: Final = json.Decoder(NativeRequest)
_ACTIONS: Final = frozenset(request.__struct_config__.tag for request in NativeRequest.__args__)


class _LenientFrame(Struct):
    """As much of a refused frame as tells why it was refused."""

    id: Any = UNSET
    action: Any = None
    response: Any = None


_LENIENT_DECODER: Final = json.Decoder(_LenientFrame)


def decode_request(frame: bytes) -> NativeEvent | InvalidFrame:
    """The request that one native frame holds, or what is wrong with it."""
    if is_nested_too_deep(frame):
        return InvalidFrame(BadFrame())
    try:
        request: NativeRequest = _REQUEST_DECODER.decode(frame)
        if not frame.isascii():
            frame.decode()  # the decoder does not look into the values of keys that it skips
    except msgspec.ValidationError as error:
        return _diagnose(frame, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return InvalidFrame(BadFrame())
    if request.id is not UNSET and not _is_valid_id(request.id):
        return InvalidFrame(BadId())
    if b"\\" in frame and b"\\u0000" in frame and _has_nul(request):
        return InvalidFrame(BadText(), request.id or None)
    return request


TOLERATED_CODES: Final = frozenset({FrameTooLong.code, UnknownAction.code})
"""Refusals that a client which means well may meet any number of times."""


def decode_requests(frames: list[bytes | Oversize], max_frame: int, max_bad_frames: int = 100) -> list[ClientEvent]:
    """What `decode_request` makes of each frame; asked once for all of them where nothing is to be said against any.

    After `patience` frames that are unreadable, and not harmless, the rest is not looked at: to find out what is wrong
    with one takes much longer than to read it.
    """
    try:
        whole = b"\n".join(frames)  # type: ignore[arg-type]
        if _may_be_nested_too_deep(whole, len(frames)):
            return _decode_one_by_one(frames, max_frame, max_bad_frames)
        # Hundreds at a time, and nearly always all of them good: no bytecode runs for each.
        found: list[Any] = list(map(_REQUEST_DECODER.decode, frames))  # type: ignore[arg-type]
        if not whole.isascii():
            whole.decode()
    except (TypeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_one_by_one(frames, max_frame, max_bad_frames)
    # (One byte is found much faster than six, and escapes are rare.)
    if b"\\" in whole and b"\\u0000" in whole:
        return _decode_one_by_one(frames, max_frame, max_bad_frames)
    return [request if request.id is UNSET or _is_valid_id(request.id) else InvalidFrame(BadId()) for request in found]


def _may_be_nested_too_deep(whole: bytes, frames: int) -> bool:
    """Return whether one of several frames may exceed MAX_LINE_DEPTH: each that is an object has a brace of its own."""
    return whole.count(b"[") + whole.count(b"{") >= MAX_LINE_DEPTH + frames


def _decode_one_by_one(frames: list[bytes | Oversize], max_frame: int, max_bad_frames: int) -> list[ClientEvent]:
    found: list[ClientEvent] = []
    for frame in frames:
        event = _decode_frame(frame, max_frame)
        found.append(event)
        max_bad_frames -= type(event) is InvalidFrame and event.error.code not in TOLERATED_CODES
        if max_bad_frames <= 0:
            break
    return found


def _decode_frame(frame: bytes | Oversize, max_frame: int) -> ClientEvent:
    return decode_request(frame) if isinstance(frame, bytes) else InvalidFrame(FrameTooLong(limit=max_frame))


def _has_nul(request: NativeRequest) -> bool:
    values = astuple(request) + (astuple(request.user) if isinstance(request, PresenceRequest) else ())
    return any(isinstance(value, str) and "\0" in value for value in values)


def _is_valid_id(id: Any) -> bool:
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID or "\0" in id:
        return False
    return id.isascii() or len(id.encode()) <= MAX_ID


def _diagnose(frame: bytes, complaint: str) -> Pong | InvalidFrame:
    try:
        loose = _LENIENT_DECODER.decode(frame)
        frame.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return InvalidFrame(BadFrame())
    if loose.action is None and loose.response is not None:
        return Pong()
    if loose.id is not UNSET and not _is_valid_id(loose.id):
        return InvalidFrame(BadId())
    if isinstance(loose.action, str) and loose.action not in _ACTIONS:
        return InvalidFrame(UnknownAction(), loose.id or None)
    if (refusal := length_error(complaint)) is not None:
        return InvalidFrame(refusal, loose.id or None)
    return InvalidFrame(BadRequest(f"The request is not valid: {complaint}."), loose.id or None)


class RequestDecoder:
    """The server's ear on one connection: bytes in, events out, in the order they were said.

    `cap` is the largest frame in bytes; after `patience` unreadable objects in one piece of a stream, the last of them
    is fatal and the rest is not looked at; after as many unreadable lines, neither is the rest. `native` turns True at
    the first presence with `jim` 2 or above, and stays.
    A connection that begins as another protocol does is one `ForeignProtocol`, whatever it sends.
    """

    __slots__ = ("_detector", "_lines", "_max_bad_frames", "_max_frame", "_stream", "course_codec")

    def __init__(self, max_frame: int, max_bad_frames: int = 100) -> None:
        self._max_frame = max_frame
        self._max_bad_frames = max_bad_frames
        self._detector: ProtocolDetector | None = ProtocolDetector()
        self._stream: StreamReader | None = StreamReader(max_frame)
        self._lines: LineReader | None = None
        self.course_codec = CourseCodec()

    @property
    def is_native(self) -> bool:
        return self._lines is not None

    def feed(self, data: bytes) -> list[ClientEvent]:
        """The events that `data` completes; after one that is `fatal` nothing more can be understood."""
        if self._lines is not None:
            if self._lines.is_single_frame(data):
                return [decode_request(data)]
            return decode_requests(self._lines.feed(data), self._max_frame, self._max_bad_frames)
        return self._feed_stream(data) if self._detector is None else self._detect_protocol(self._detector, data)

    def _detect_protocol(self, detector: ProtocolDetector, data: bytes) -> list[ClientEvent]:
        """Hold back what comes until it is known not to be another protocol."""
        protocol = detector.feed(data)
        if protocol is None:
            too_long = len(detector.buffer) > self._max_frame
            return [InvalidFrame(FrameTooLong(limit=self._max_frame), fatal=True)] if too_long else []
        self._detector = None
        if protocol != JIM:
            self._stream = None
            return [ForeignProtocol(protocol)]
        return self._feed_stream(bytes(detector.buffer))

    def _feed_stream(self, data: bytes) -> list[ClientEvent]:
        stream = self._stream
        if stream is None:  # it was of another protocol
            return []
        stream.feed(data)
        events: list[ClientEvent] = []
        unreadable = 0
        while (frame := stream.next_frame()) is not None:
            if isinstance(frame, Oversize):
                return [*events, InvalidFrame(FrameTooLong(limit=self._max_frame), fatal=True)]
            event = InvalidFrame(BadFrame()) if isinstance(frame, Malformed) else self._decode_object(stream, frame)
            if event is not None:
                events.append(event)
                unreadable += type(event) is InvalidFrame
            if unreadable >= self._max_bad_frames:
                return [*events[:-1], InvalidFrame(BadFrame(), fatal=True)]
            if self._lines is not None:
                self._stream = None
                return events + self.feed(stream.take_rest())
        return events

    def _decode_object(self, stream: StreamReader, frame: bytes) -> ClientEvent | None:
        try:
            spelled = json.decode(frame, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            stream.reject(frame)
            return InvalidFrame(BadFrame())
        if spelled.get("action") == "presence" and _is_native_version(spelled.get("jim")):
            self._lines = LineReader(self._max_frame)
            return decode_request(frame)
        return self.course_codec.decode(spelled)


def _is_native_version(jim: Any) -> bool:
    return type(jim) is int and jim >= JIM_VERSION


class _FrameHead(Struct):
    action: str | UnsetType = UNSET
    response: int | UnsetType = UNSET


_HEAD_DECODER: Final = json.Decoder(_FrameHead)
_RESPONSE_DECODER: Final = json.Decoder(ResponseFrame)
_PUSH_DECODER: Final = json.Decoder(PushEvent)
_RAW_DECODER: Final = json.Decoder(msgspec.Raw)


def decode_server_frame(line: bytes) -> ServerEvent:
    """What a server said, for a client.

    A frame of a later version comes back as `UnknownEvent`; what is not JSON, or nested too deep, raises `BadFrame`.
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
    """The client's ear: bytes in, pairs of frame and event out, in order. `cap` is the longest frame it bears."""

    def __init__(self, max_frame: int) -> None:
        self._lines = LineReader(max_frame)

    def feed(self, data: bytes) -> list[tuple[bytes, ServerEvent]]:
        """Raises `BadFrame` where the other end does not speak JIM 2 (or says more than the cap in one frame)."""
        pairs: list[tuple[bytes, ServerEvent]] = []
        for line in self._lines.feed(data):
            if not isinstance(line, bytes):
                raise BadFrame("The server sent a frame that is too long.")
            pairs.append((line, decode_server_frame(line)))
        return pairs


_ENCODER: Final = json.Encoder()

Encodable: TypeAlias = Struct | dict[str, Any] | msgspec.Raw
"""What can be encoded as a native frame."""


def encode_lines(frames: Sequence[Encodable]) -> bytes:
    """Native frames, each with its newline, in one go: that is half of what they cost one by one."""
    return _ENCODER.encode_lines(frames)


def pre_encode(frame: Encodable) -> msgspec.Raw:
    """A frame that many are to get, encoded once."""
    return msgspec.Raw(_ENCODER.encode(frame))


def pre_encode_lines(frames: Sequence[Encodable]) -> msgspec.Raw:
    """Frames that many are to get one after the other, encoded once."""
    return msgspec.Raw(_ENCODER.encode_lines(frames)[:-1])


def encode(frame: Encodable) -> bytes:
    """A native frame: compact UTF-8 with its newline."""
    return _ENCODER.encode(frame) + b"\n"


class _ShortResponse(Struct, omit_defaults=True):
    """An answer that says hardly more than its code: what every message stored or handed over is answered with."""

    response: int
    id: str | None
    time: float
    seq: int | None = None


def make_response(
    status: int, id: str | None, time: float, fields: Struct | dict[str, Any] | None = None, seq: int | None = None
) -> Encodable:
    """The answer to the request with that `id`; with `seq` there is nothing `more` to say."""
    if fields is None and id is not None:
        return _ShortResponse(status, id, time, seq)
    frame: dict[str, Any] = {"response": status} if id is None else {"response": status, "id": id}
    frame["time"] = time
    if isinstance(fields, Struct):
        head, tail = _ENCODER.encode(frame), _ENCODER.encode(fields)
        return msgspec.Raw(head if tail == b"{}" else head[:-1] + b"," + tail[1:])
    return frame | (fields or {})


def encode_response(
    status: int, id: str | None, time: float, fields: Struct | dict[str, Any] | None = None, seq: int | None = None
) -> bytes:
    """An `answer`, as bytes."""
    return encode(make_response(status, id, time, fields, seq))


def encode_error(error: WireError, time: float, id: str | None = None) -> bytes:
    """The answer that tells a peer of an error; `id` is the refused request's."""
    return encode_response(error.status, id, time, error.to_fields())
