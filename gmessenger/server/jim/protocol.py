"""JIM on one connection: decode, choose the native or course handler, charge and dispatch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from gmessenger import log
from gmessenger.chat.messenger import Messenger
from gmessenger.errors import InternalError, RateLimited, WireError
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.jim.commands import (
    BATCHABLE_REQUEST,
    COURSE_COMMANDS,
    INVALID_FRAME_COST,
    MESSAGE_REQUESTS,
    find_command,
)
from gmessenger.server.jim.course import CourseHandler
from gmessenger.server.jim.native import NativeHandler
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.foreign_protocol import reject_foreign
from gmessenger.timeslice import TimeSlice
from gmessenger.wire import events
from gmessenger.wire.events import ClientEvent, ForeignProtocol, InvalidFrame
from gmessenger.wire.request_decoder import TOLERATED_CODES, RequestDecoder

MESSAGE_BATCH: Final = 32
"""Messages to one name that are handled before it is checked whether other greenlets should run."""
STREAM_CHUNK: Final = 2048  # bytes
"""Bytes of a stream that are read before other greenlets may run. Objects are taken off a stream one by one: 64 KiB of
the shortest blocked the loop for 100 ms. (Lines are read much faster.)"""


class JimProtocol:
    """A connection that speaks JIM. Its methods never raise.

    An internal error is logged and answered 500.

    The handler is chosen by the first request; until the login it may still change from course to native.
    """

    __slots__ = ("_bad_frames", "_connection", "_decoder", "_handler", "_messenger")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self._connection = connection
        self._messenger = messenger
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

    def receive_in_loop(self, data: bytes) -> bytes | list[ClientEvent] | None:
        handler = self._handler
        if type(handler) is not NativeHandler or (event := self._decoder.feed_single_frame(data)) is None:
            return data
        try:
            return None if handler.relay_now(event) else [event]
        except Exception as failure:  # the loop would only print it
            self._report_error(handler, failure, _request_id(event))
            return None

    def data_received(self, received: bytes | list[ClientEvent]) -> None:
        if isinstance(received, bytes):
            if len(received) > STREAM_CHUNK and not self._decoder.is_native:
                received = self._receive_chunks(received)
            received = self._decoder.feed(received)
        self._handle(received)

    def _handle(self, received: list[ClientEvent]) -> None:
        if len(received) > 1:
            self._dispatch_batch(received)
        elif received and type(received[0]) is ForeignProtocol:
            reject_foreign(self._connection, received[0].protocol)
        elif received and self._dispatch(received[0]) and self._connection.writer.is_blocked:
            self._yield(TimeSlice())

    def _receive_chunks(self, data: bytes) -> bytes:
        """Handle a stream in chunks while it is one; returns the rest of the data."""
        time_slice, start = TimeSlice(), 0
        while len(data) - start > STREAM_CHUNK and not self._decoder.is_native:
            self.data_received(data[start : start + STREAM_CHUNK])
            start += STREAM_CHUNK
            if self._connection.is_closing or (self._handler is not None and self._handler.is_closing):
                return b""
            self._yield(time_slice)
        return data[start:]

    def send_probe(self) -> bool:
        return self._handler is not None and self._handler.send_probe()

    def sweep(self, now: float) -> None:
        """Do nothing: nothing of JIM is due at a time."""

    def eof_received(self) -> None:
        if self._handler is not None and not self._handler.is_closing:
            self._handler.close_gracefully("left")

    def turn_away(self, reason: str) -> None:
        """Close the connection without a word: JIM has no frame for that."""
        self._connection.close_gracefully(reason)

    def connection_closed(self) -> None:
        if self._handler is not None:
            self._handler.connection_closed()

    def end_session(self, reason: str) -> None:
        if self._handler is not None:
            self._handler.log_out(reason)

    def _dispatch_batch(self, received: list[ClientEvent]) -> None:
        """Handle several requests; messages to one target as a batch where possible."""
        time_slice, count = TimeSlice(), 0
        for target, requests in _group_by_target(received):
            if target is not None and len(requests) > 1 and target != BROADCAST_TARGET and self._try_batch(requests):
                self._yield(time_slice)
                continue
            for request in requests:
                if not self._dispatch(request):
                    return
                count += 1
                # (A message to a name is cheap, and shortly answered.)
                if target is None or target[:1] == ROOM_PREFIX or not count % MESSAGE_BATCH:
                    self._yield(time_slice)

    def _yield(self, time_slice: TimeSlice) -> None:
        """Write responses where they pile up, and let other greenlets run when it is time."""
        if self._handler is not None and self._handler.is_backlogged:
            self._connection.writer.drain()
        time_slice.yield_if_expired()

    def _handler_for(self, event: ClientEvent) -> NativeHandler | CourseHandler:
        """Return the handler for a connection that has not logged in: of the kind of this request."""
        previous = self._handler
        is_native = self._decoder.is_native if type(event) is InvalidFrame else type(event) not in COURSE_COMMANDS
        if previous is not None and (type(previous) is NativeHandler) is is_native:
            return previous
        handler = (
            NativeHandler(self._connection, self._messenger)
            if is_native
            else CourseHandler(self._connection, self._messenger, self._decoder.course_codec)
        )
        if previous is not None:
            handler.take_over(previous)
        self._handler = handler
        return handler

    def _try_batch(self, messages: list[Any]) -> bool:
        """Handle messages to one target as a batch; False if they have to be handled one by one."""
        handler = self._handler
        if type(handler) is not NativeHandler or handler.is_closing or self._connection.is_closing:
            return False
        try:
            return handler.handle_batch(messages)
        except Exception as failure:
            self._report_error(handler, failure)
            return True

    def _dispatch(self, event: ClientEvent) -> bool:
        """Handle a request; False, and it is not handled, if the connection is closing."""
        handler = self._handler
        if handler is None or handler.session is None:
            handler = self._handler_for(event)
        if self._connection.is_closing or handler.is_closing:
            return False
        try:
            if type(event) is events.MessageRequest and type(handler) is NativeHandler:  # nearly always
                if not handler.relay_now(event):
                    handler.send_message(event)
            elif type(event) is InvalidFrame:
                self._handle_unreadable(handler, event)
            else:
                command = find_command(handler, event)
                if command.cost:
                    self._charge(handler, command.cost, delay_only=command.delay_only)
                handler.handle(command, event)
        except WireError as error:
            self._refuse(handler, event, error)
        except Exception as failure:
            self._report_error(handler, failure, _request_id(event))
        return True

    def _refuse(self, handler: NativeHandler | CourseHandler, request: Any, error: WireError) -> None:
        if type(request) in MESSAGE_REQUESTS:
            self._messenger.stats.refused[error.code] += 1
        log.log_event("request_refused", name=self.user_name, code=error.code)
        handler.send_error(error, _request_id(request))

    def _report_error(self, handler: NativeHandler | CourseHandler, error: Exception, id: str | None = None) -> None:
        handler.report("request", error)
        handler.send_error(InternalError(), id)

    def _charge(self, handler: NativeHandler | CourseHandler, cost: float, *, delay_only: bool) -> None:
        try:
            handler.charge(cost)
        except RateLimited:
            if not delay_only:
                raise

    def _handle_unreadable(self, handler: NativeHandler | CourseHandler, event: InvalidFrame) -> None:
        self._charge(handler, INVALID_FRAME_COST, delay_only=True)
        error = event.error
        self._bad_frames += error.code not in TOLERATED_CODES
        if set(str(self._bad_frames)[1:]) <= {"0"}:  # the 1st to 9th, 10th, 20th … 100th, 200th …
            log.log_event(
                "frame_refused",
                address=self._connection.address,
                name=self.user_name,
                code=error.code,
                count=self._bad_frames,
            )
        handler.refuse_invalid_frame(event)
        if event.fatal or self._bad_frames >= self._connection.options.max_bad_frames:
            handler.close_gracefully(error.code)


def _group_by_target(received: list[ClientEvent]) -> Iterable[tuple[str | None, list[ClientEvent]]]:
    """Return requests in groups: messages that may be batched with their target, anything else with None.

    A message about another has None, too: the store decides of each by itself whether it is allowed.

    Each target's messages stay in order. Where there is nothing else in between, all to one target are a group: people
    and programs write to several names in turn, and a message alone costs several times as much as one of a batch.
    """
    requests: list[Any] = received
    targets: list[str | None] = [
        # Only where all are None are the first two the same: an int and a string never are.
        each.to if type(each) is BATCHABLE_REQUEST and each.about is each.what is each.kind is each.file else None
        for each in requests
    ]
    if targets.count(targets[0]) == len(targets):
        return ((targets[0], received),)
    if None not in targets:
        by_target: dict[str | None, list[ClientEvent]] = {}
        for target, event in zip(targets, received, strict=True):
            by_target.setdefault(target, []).append(event)
        if len({fold(target or "") for target in by_target}) == len(by_target):
            return by_target.items()
    # In their order: a request in between may depend on a message before it, or one target is spelled in two ways.
    pairs = groupby(zip(targets, received, strict=True), itemgetter(0))
    return [(target, [event for _, event in group]) for target, group in pairs]


def _request_id(event: ClientEvent) -> str | None:
    return getattr(event, "id", None) or None
