"""The JIM front: one port for native and course connections; which of the two it is shows at the presence."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from gmessenger import log
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import BROADCAST_TARGET
from gmessenger.errors import InternalError, RateLimited, WireError
from gmessenger.server.jim.commands import (
    COURSE_REQUESTS,
    DEFAULT_COST,
    DELAY_ONLY_REQUESTS,
    MESSAGE_REQUESTS,
    REQUEST_COSTS,
)
from gmessenger.server.jim.course import CourseHandler
from gmessenger.server.jim.handler import ConnectionHandler
from gmessenger.server.jim.native import NativeHandler
from gmessenger.server.net.connection import Connection
from gmessenger.timeslice import TimeSlice
from gmessenger.wire import events
from gmessenger.wire.events import ClientEvent, ForeignProtocol, InvalidFrame
from gmessenger.wire.jim import TOLERATED_CODES, RequestDecoder
from gmessenger.wire.protocol_detection import REJECTIONS

MESSAGE_BATCH: Final = 32
"""How many messages to one name or room may go before it is asked whether others should have their turn."""
STREAM_CHUNK: Final = 2048  # bytes
"""How much of a stream is read before others have their turn. Objects are taken off a stream one by one: 64 KiB of the
shortest held up all others for 100 ms. (Lines are read much faster.)"""


class JimProtocol:
    """A connection that speaks JIM. `hear` never raises: a mistake of ours is logged and answered 500."""

    __slots__ = ("_bad_frames", "_connection_handler", "_decoder", "_handler")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self._connection_handler = ConnectionHandler(connection, messenger)
        self._decoder = RequestDecoder(connection.options.max_frame, connection.options.max_bad_frames)
        self._handler: NativeHandler | CourseHandler | None = None
        self._bad_frames = 0

    @property
    def user_name(self) -> str | None:
        session = self._handler.session if self._handler is not None else None
        return session.name if session is not None else None

    @property
    def labels(self) -> tuple[str, str]:
        session = self._handler.session if self._handler is not None else None
        return (session.protocol, session.kind) if session is not None else ("unknown", "unknown")

    @property
    def pending_frames(self) -> int:
        return self._handler.pending_frames if self._handler is not None else 0

    def data_received(self, data: bytes) -> None:
        if len(data) > STREAM_CHUNK and not self._decoder.is_native:
            data = self._receive_chunks(data)
        self._receive(data)

    def _receive_chunks(self, data: bytes) -> bytes:
        """Hear a stream a piece at a time, as long as it is one; returns what is left to be heard."""
        turn, start = TimeSlice(), 0
        while len(data) - start > STREAM_CHUNK and not self._decoder.is_native:
            self._receive(data[start : start + STREAM_CHUNK])
            start += STREAM_CHUNK
            if self._connection_handler.connection.is_closing or (
                self._handler is not None and self._handler.is_closing
            ):
                return b""
            self._yield(turn)
        return data[start:]

    def _receive(self, data: bytes) -> None:
        heard = self._decoder.feed(data)
        if len(heard) > 1:
            self._dispatch_batch(heard)
        elif heard and type(heard[0]) is ForeignProtocol:
            self._reject_foreign(heard[0].protocol)
        elif heard and self._dispatch(heard[0]) and self._connection_handler.connection.writer.is_blocked:
            self._yield(TimeSlice())

    def send_probe(self) -> bool:
        return self._handler is not None and self._handler.send_probe()

    def eof_received(self) -> None:
        if self._handler is not None and not self._handler.is_closing:
            self._handler.close_gracefully("left")

    def connection_closed(self) -> None:
        if self._handler is not None:
            self._handler.connection_closed()

    def session_lost(self, reason: str) -> None:
        if self._handler is not None and self._handler.session is not None:
            self._connection_handler.log_out(self._handler.session, reason)

    def _dispatch_batch(self, received: list[ClientEvent]) -> None:
        """Act on events; what was said to one name or room without a pause goes there at once, where it can."""
        turn, alone = TimeSlice(), 0
        for addressee, said in groupby(received, _batch_target):
            run = list(said)
            if addressee is not None and len(run) > 1 and self._try_batch(run):
                self._yield(turn)
                continue
            for event in run:
                if not self._dispatch(event):
                    return
                alone += 1
                # (A message to a name is cheap, and shortly answered.)
                if addressee is None or addressee[:1] == "#" or not alone % MESSAGE_BATCH:
                    self._yield(turn)

    def _yield(self, time_slice: TimeSlice) -> None:
        """Between two events: let what waits be written where that is much, and others have their turn."""
        if self._handler is not None and self._handler.is_backlogged:
            self._connection_handler.connection.writer.drain()
        time_slice.yield_if_expired()

    def _reject_foreign(self, protocol: str) -> None:
        """Close a connection that speaks another protocol, after a word in that protocol where there is one."""
        connection = self._connection_handler.connection
        connection.context.rejected_count[protocol] += 1
        log.log_event("connection_refused", address=connection.address, reason=f"it speaks {protocol}")
        connection.writer.write(REJECTIONS.get(protocol, b""))
        connection.close_gracefully(f"it speaks {protocol}")

    def _handler_for(self, event: ClientEvent) -> NativeHandler | CourseHandler:
        """The voice that answers while nobody has logged in: of the kind that was heard."""
        voice = self._handler
        native = self._decoder.is_native if type(event) is InvalidFrame else type(event) not in COURSE_REQUESTS
        if voice is None or isinstance(voice, NativeHandler) is not native:
            voice = (
                NativeHandler(self._connection_handler)
                if native
                else CourseHandler(self._connection_handler, self._decoder.course_codec)
            )
            self._handler = voice
        return voice

    def _try_batch(self, messages: list[Any]) -> bool:
        """Whether it was possible to act on messages to one name or room at once."""
        voice = self._handler
        if type(voice) is not NativeHandler or voice.is_closing or self._connection_handler.connection.is_closing:
            return False
        try:
            return voice.handle_batch(messages)
        except Exception as failure:
            self._report_error(voice, failure)
            return True

    def _dispatch(self, event: ClientEvent) -> bool:
        """Act on an event; False, and nothing is done, where nothing more is to be listened to."""
        voice = self._handler
        if voice is None or voice.session is None:
            voice = self._handler_for(event)
        if self._connection_handler.connection.is_closing or voice.is_closing:
            return False
        try:
            if price := REQUEST_COSTS.get(type(event), DEFAULT_COST):
                self._charge(voice, event, price)
            if type(event) is InvalidFrame:
                self._handle_unreadable(voice, event)
            else:
                voice.handle(event)
        except WireError as error:
            if type(event) in MESSAGE_REQUESTS:
                self._connection_handler.messenger.stats.refused[error.code] += 1
            log.log_event("request_refused", name=self.user_name, code=error.code)
            voice.send_error(error, _request_id(event))
        except Exception as failure:
            self._report_error(voice, failure, _request_id(event))
        return True

    def _report_error(self, handler: NativeHandler | CourseHandler, error: Exception, id: str | None = None) -> None:
        self._connection_handler.connection.context.supervisor.report(
            "request", error, self._connection_handler.connection.address
        )
        handler.send_error(InternalError(), id)

    def _charge(self, handler: NativeHandler | CourseHandler, event: ClientEvent, cost: float) -> None:
        try:
            self._connection_handler.charge(handler.session, cost)
        except RateLimited:
            if type(event) not in DELAY_ONLY_REQUESTS:
                raise

    def _handle_unreadable(self, handler: NativeHandler | CourseHandler, event: InvalidFrame) -> None:
        error = event.error
        self._bad_frames += error.code not in TOLERATED_CODES
        if set(str(self._bad_frames)[1:]) <= {"0"}:  # the 1st to 9th, 10th, 20th … 100th, 200th …
            address = self._connection_handler.connection.address
            log.log_event(
                "frame_refused", address=address, name=self.user_name, code=error.code, count=self._bad_frames
            )
        handler.handle_unreadable(event)
        if event.fatal or self._bad_frames >= self._connection_handler.connection.options.max_bad_frames:
            handler.close_gracefully(error.code)


def _batch_target(event: ClientEvent) -> str | None:
    """The name or room that a message goes to; None for everything else, and for what goes to everybody at once."""
    return event.to if type(event) is events.MessageRequest and event.to != BROADCAST_TARGET else None


def _request_id(event: ClientEvent) -> str | None:
    return getattr(event, "id", None) or None
