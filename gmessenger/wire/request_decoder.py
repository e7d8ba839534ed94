"""The server's decoder of JIM: bytes in, requests out.

A connection begins as a stream of course objects, and becomes native at a presence with `"jim": 2`. Native frames are
JSON in UTF-8, each with a newline.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, json

from gmessenger.errors import BadFrame, BadId, BadRequest, BadText, FrameTooLong, UnknownAction
from gmessenger.field_types import MAX_ID, length_error
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.events import (
    ClientEvent,
    ForeignProtocol,
    InvalidFrame,
    MessageRequest,
    NativeEvent,
    NativeRequest,
    Pong,
)
from gmessenger.wire.framing import (
    MAX_LINE_DEPTH,
    LineReader,
    MalformedFrame,
    ObjectReader,
    OversizedFrame,
    is_nested_too_deep,
)
from gmessenger.wire.protocol_detection import EXPECTED, ProtocolDetector
from gmessenger.wire.version import JIM_VERSION

NATIVE_OPENINGS: Final = ("presence", "register")
"""The requests that, with `jim` of 2 or more, make a connection native."""
MAX_BATCH_BRACKETS: Final = MAX_LINE_DEPTH // 2
"""Brackets in several frames together, above which each is decoded alone, which checks how deep it is nested. Half the
depth, since arrays and objects may alternate.

(Looking for the first bracket costs 1.5 ns a message, counting braces as well 40. Objects alone that are nested deeper
are skipped or refused by the decoder, as deep as the interpreter goes.)"""

_decode: Final = json.Decoder(NativeRequest).decode
BACKSLASH: Final = ord("\\")
OPEN_BRACKET: Final = ord("[")
_ACTIONS: Final = frozenset(request.__struct_config__.tag for request in NativeRequest.__args__)


class _LenientFrame(Struct):
    """The fields of an invalid frame that tell why it is invalid."""

    id: Any = UNSET
    action: Any = None
    response: Any = None
    what: Any = None
    message: Any = UNSET


_LENIENT_DECODER: Final = json.Decoder(_LenientFrame)


class _ShortErase(MessageRequest, tag="msg", kw_only=True, gc=False):
    """A request to erase a message, which alone needs no text. All others are decoded without a look at this."""

    message: str = ""


_ERASE_DECODER: Final = json.Decoder(_ShortErase)


def decode_request(frame: bytes) -> NativeEvent | InvalidFrame:
    """Decode one native frame; return its request, or an `InvalidFrame` with the error. Never raises."""
    if len(frame) > MAX_LINE_DEPTH and is_nested_too_deep(frame):
        return InvalidFrame(BadFrame())
    try:
        request: NativeRequest = _decode(frame)
        if not frame.isascii():
            frame.decode()  # the decoder does not check the values of unknown keys
    except msgspec.ValidationError as error:
        return _diagnose(frame, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return InvalidFrame(BadFrame())
    if request.id is not UNSET and not _is_valid_id(request.id):
        return InvalidFrame(BadId())
    if BACKSLASH in frame and b"\\u0000" in frame:
        return _refuse_nul(request, frame)
    return request


TOLERATED_CODES: Final = frozenset({FrameTooLong.code, UnknownAction.code})
"""Errors that a well-behaved client may cause any number of times."""


def decode_requests(
    frames: list[bytes | OversizedFrame], max_frame: int, max_bad_frames: int = 100
) -> list[ClientEvent]:
    """Decode frames as `decode_request` does, but all in one call if all are valid.

    After `max_bad_frames` invalid ones (`TOLERATED_CODES` not counted) the rest is dropped: diagnosing an invalid frame
    takes much longer than decoding a valid one.
    """
    try:
        whole = b"\n".join(frames)  # type: ignore[arg-type]
        # No short frame is nested too deep; comparing lengths takes half the time of counting brackets.
        if OPEN_BRACKET in whole and whole.count(b"[") > MAX_BATCH_BRACKETS:
            return _decode_one_by_one(frames, max_frame, max_bad_frames)
        # Often hundreds, and nearly always all valid: no bytecode runs for each.
        requests: list[Any] = list(map(_decode, frames))  # type: ignore[arg-type]
        if not whole.isascii():
            whole.decode()
    except (TypeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_one_by_one(frames, max_frame, max_bad_frames)
    # One byte is found much faster than six, and escapes are rare.
    if BACKSLASH in whole and b"\\u0000" in whole:
        return _decode_one_by_one(frames, max_frame, max_bad_frames)
    # As `_is_valid_id`, without a call for each; U+0000 is not looked for, as it comes escaped only.
    return [
        request
        if (id := request.id) is UNSET
        or (type(id) is str and 0 < len(id) <= MAX_ID and id.isascii())
        or _is_valid_id(id)
        else InvalidFrame(BadId())
        for request in requests
    ]


def _decode_one_by_one(frames: list[bytes | OversizedFrame], max_frame: int, max_bad_frames: int) -> list[ClientEvent]:
    events: list[ClientEvent] = []
    for frame in frames:
        event = _decode_frame(frame, max_frame)
        events.append(event)
        max_bad_frames -= type(event) is InvalidFrame and event.error.code not in TOLERATED_CODES
        if max_bad_frames <= 0:
            break
    return events


def _decode_frame(frame: bytes | OversizedFrame, max_frame: int) -> ClientEvent:
    if isinstance(frame, bytes):
        return decode_request(frame)
    return InvalidFrame(FrameTooLong(limit=max_frame), fatal=frame.is_fatal)


def _refuse_nul(request: NativeRequest, frame: bytes) -> NativeRequest | InvalidFrame:
    """Return a request, or an error if a string of its frame has U+0000, at any depth and under any key."""
    try:
        pending = [json.decode(frame)]
    except RecursionError:
        return InvalidFrame(BadFrame())
    while pending:
        value = pending.pop()
        if isinstance(value, str) and "\0" in value:
            return InvalidFrame(BadText(), request.id or None)
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value
    return request


def _is_valid_id(id: Any) -> bool:
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID or "\0" in id:
        return False
    return id.isascii() or len(id.encode()) <= MAX_ID


def _diagnose(frame: bytes, complaint: str) -> MessageRequest | Pong | InvalidFrame:
    """Return why a frame is no request; or that it is a client's answer to a probe, or erases a message."""
    try:
        fields = _LENIENT_DECODER.decode(frame)
        frame.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return InvalidFrame(BadFrame())
    if fields.action is None and fields.response is not None:
        return Pong()
    if fields.id is not UNSET and not _is_valid_id(fields.id):
        return InvalidFrame(BadId())
    if isinstance(fields.action, str) and fields.action not in _ACTIONS:
        return InvalidFrame(UnknownAction(), fields.id or None)
    if (fields.action, fields.what, fields.message) == ("msg", "erase", UNSET):
        with contextlib.suppress(msgspec.MsgspecError):
            return _add_text(_ERASE_DECODER.decode(frame))
    if (error := length_error(complaint)) is not None:
        return InvalidFrame(error, fields.id or None)
    return InvalidFrame(BadRequest(f"The request is not valid: {complaint}."), fields.id or None)


def _add_text(erase: _ShortErase) -> MessageRequest | InvalidFrame:
    if "\0" in erase.to:
        return InvalidFrame(BadText(), erase.id or None)
    return MessageRequest(id=erase.id, to=erase.to, message="", about=erase.about, what=erase.what, kind=erase.kind)


class RequestDecoder:
    """A server's decoder of one connection: bytes in, events out, in order.

    A connection that begins as another protocol gives one `ForeignProtocol` and nothing else. It becomes native at the
    first presence or registration with `jim` 2 or above, and stays native.

    Args:
        max_frame: bytes of the largest frame.
        max_bad_frames: invalid frames in one call of `feed` after which the rest of the data is dropped; in a stream of
            course objects the last of them is fatal.
    """

    __slots__ = ("_detector", "_lines", "_max_bad_frames", "_max_frame", "_stream", "course_codec")

    def __init__(self, max_frame: int, max_bad_frames: int = 100) -> None:
        self._max_frame = max_frame
        self._max_bad_frames = max_bad_frames
        self._detector: ProtocolDetector | None = ProtocolDetector()
        self._stream: ObjectReader | None = ObjectReader(max_frame)
        self._lines: LineReader | None = None
        self.course_codec = CourseCodec()

    @property
    def is_native(self) -> bool:
        """Whether the connection has become native."""
        return self._lines is not None

    def feed_single_frame(self, data: bytes) -> ClientEvent | None:
        """Return the event of `data` that is one native frame, as `feed`; None, and nothing was fed, for all else."""
        lines = self._lines
        return decode_request(data) if lines is not None and lines.is_single_frame(data) else None

    def feed(self, data: bytes) -> list[ClientEvent]:
        """Return the events that `data` completes; after a fatal `InvalidFrame` nothing more can be decoded."""
        if self._lines is not None:
            if self._lines.is_single_frame(data):
                return [decode_request(data)]
            return decode_requests(self._lines.feed(data), self._max_frame, self._max_bad_frames)
        return self._feed_stream(data) if self._detector is None else self._detect_protocol(self._detector, data)

    def _detect_protocol(self, detector: ProtocolDetector, data: bytes) -> list[ClientEvent]:
        """Buffer the first bytes until they are known not to be of another protocol."""
        protocol = detector.feed(data)
        length = len(detector.buffer) if protocol is None else detector.needed_length
        if length > self._max_frame:
            return [InvalidFrame(FrameTooLong(limit=self._max_frame), fatal=True)]
        if protocol is None:
            return []
        self._detector = None
        if protocol != EXPECTED:
            self._stream = None
            return [ForeignProtocol(protocol)]
        return self._feed_stream(bytes(detector.buffer))

    def _feed_stream(self, data: bytes) -> list[ClientEvent]:
        stream = self._stream
        if stream is None:  # the connection speaks another protocol
            return []
        stream.feed(data)
        events: list[ClientEvent] = []
        bad_frames = 0
        while (frame := stream.next_frame()) is not None:
            if isinstance(frame, OversizedFrame):
                return [*events, InvalidFrame(FrameTooLong(limit=self._max_frame), fatal=frame.is_fatal)]
            event = (
                InvalidFrame(BadFrame()) if isinstance(frame, MalformedFrame) else self._decode_object(stream, frame)
            )
            if event is not None:
                events.append(event)
                bad_frames += type(event) is InvalidFrame
            if bad_frames >= self._max_bad_frames:
                return [*events[:-1], InvalidFrame(BadFrame(), fatal=True)]
            if self._lines is not None:
                self._stream = None
                return events + self.feed(stream.take_rest())
        return events

    def _decode_object(self, stream: ObjectReader, frame: bytes) -> ClientEvent | None:
        try:
            raw = json.decode(frame, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            stream.reject(frame)
            return InvalidFrame(BadFrame())
        if raw.get("action") in NATIVE_OPENINGS and _is_native_version(raw.get("jim")):
            self._lines = LineReader(self._max_frame)
            return decode_request(frame)
        return self.course_codec.decode(raw)


def _is_native_version(jim: Any) -> bool:
    return type(jim) is int and jim >= JIM_VERSION
