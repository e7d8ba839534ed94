"""Course connections: requests of any dialect, and messages at the pace that clients need.

Responses are written at once. Messages are written one frame at a time, no faster than the dialect's intervals, from a
timer of the loop, so that a connection needs no greenlet besides its reading one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import EndOfStream, Message
from gmessenger.chat.session import Session
from gmessenger.errors import BadName, BadRequest, BroadcastDisabled, NotLoggedIn, TextTooLong, WireError
from gmessenger.names import BROADCAST_TARGET, fold, is_room
from gmessenger.server.jim.handler import Command, ConnectionHandler
from gmessenger.server.net.connection import Connection
from gmessenger.wire import dialects, events
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.jim import encode_error

GREETING_SENDER: Final = "server"
GREETING: Final = "Welcome. You receive messages while you are connected."
REPORTED_ERRORS: Final = (BroadcastDisabled, TextTooLong, BadRequest)
"""Errors sent to course clients. They do not expect any other, and some of them crash on one."""


class CourseHandler(ConnectionHandler):
    """One course connection, which is answered in its own dialect."""

    __slots__ = ("_codec", "_frames", "_push_allowed_at", "_pushed_at", "_timer")

    def __init__(self, connection: Connection, messenger: Messenger, codec: CourseCodec) -> None:
        super().__init__(connection, messenger)
        self._codec = codec
        self._frames: Iterator[bytes] = iter(())
        self._push_allowed_at = 0.0  # monotonic seconds, after the latest response
        self._pushed_at = 0.0  # monotonic seconds
        self._timer: Any = None

    @property
    def is_backlogged(self) -> bool:
        return self.connection.writer.is_blocked

    def handle(self, command: Command[Any], request: Any) -> None:
        if command.needs_login and self.session is None:
            raise NotLoggedIn
        command.handler(self, self.session, request)  # type: ignore[arg-type]  # None only for rows that need no login

    def send_error(self, error: WireError, id: str | None = None) -> None:
        if self.session is None or isinstance(error, REPORTED_ERRORS):
            self._send_response(self._codec.encode_error(str(error), self.now()))

    def close_gracefully(self, reason: str) -> None:
        """Handle no more requests, send no more messages, and close the connection."""
        self.is_closing = True
        self.connection.close_gracefully(reason)

    def refuse_invalid_frame(self, event: events.InvalidFrame) -> None:
        # A frame that could not be decoded has no dialect: the error has the native form.
        if not (event.fatal and self.session is not None):
            self._send_response(encode_error(event.error, self.now(), event.id))

    def connection_closed(self) -> None:
        """Discard what is queued, and the timer that would send it."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        self._frames = iter(())
        if self.session is not None:
            self.session.outbox.close()
            self.session.outbox.drain()

    def send_probe(self) -> bool:
        return False

    def handle_message(self, session: Session, message: events.CourseMessage) -> None:
        """Send a message; to a room, join it first; without a target, to all who are online."""
        service = self.messenger.message_service
        if message.to is not None and is_room(message.to):
            service.join_and_send(session, message.to, message.text, message.action)
        else:
            service.send(session, message.to or BROADCAST_TARGET, message.text, action=message.action)

    def handle_list(self, session: Session, request: events.CourseList) -> None:
        names = session.contacts if request.contacts else self.messenger.known_names()
        self._send_response(self._codec.encode_list(names, self.now()))

    def handle_contact(self, session: Session, request: events.CourseContact) -> None:
        if request.name is not None:
            change = session.add_contact if request.add else session.remove_contact
            change(request.name)
        self._send_response(self._codec.encode_ok(self.now()))

    def reject_native_request(self) -> None:
        """Refuse a request of the native protocol within a course session, and close the connection."""
        self._reject(BadRequest("This connection is logged in as a course client."))

    def handle_login(self, name: str | None) -> None:
        """Log in, or confirm the login to a client that asks again; a refusal closes the connection."""
        if self.session is not None:
            if name is None or fold(name) != self.session.key:
                return self._reject(BadName("This connection is logged in under another name."))
            return self._send_response(self._codec.encode_ok(self.now()), dialects.PRESENCE_DELAY)
        try:
            self._log_in(name)
        except WireError as error:
            self._reject(error)
        return None

    def _log_in(self, name: str | None) -> None:
        if name is None:
            raise BadName("The presence gives no name.")
        login = LoginRequest(name, "course", False, self.connection.address)
        session, _ = self.log_in(login, self.make_outbox(self._schedule_push, self._flush))
        self._send_response(self._codec.encode_ok(self.now()), dialects.PRESENCE_DELAY)
        if self._codec.dialect.expects_greeting:
            session.outbox.offer(Message(GREETING_SENDER, session.name, GREETING, self.now()))

    def _reject(self, error: WireError) -> None:
        self._send_response(self._codec.encode_error(str(error), self.now()))
        self.close_gracefully(error.code)

    def _send_response(self, frame: bytes, gap: float = dialects.FRAME_INTERVAL) -> None:
        self.connection.writer.write(frame)
        self._push_allowed_at = time.monotonic() + gap

    @property
    def _next_push_at(self) -> float:
        """When the next message may be sent, in monotonic seconds."""
        gap = dialects.LIST_INTERVAL if self._codec.fetches_lists else dialects.FRAME_INTERVAL
        return max(self._push_allowed_at, self._pushed_at + gap)

    def _schedule_push(self) -> None:
        """Start the timer that sends what is queued, unless it runs. Called by the outbox; never blocks."""
        if self._timer is None:
            self._timer = self.connection.context.hub.loop.timer(max(0.0, self._next_push_at - time.monotonic()))
            self._timer.start(self.connection.context.supervisor.guard("course pacing", self._on_timer))

    def _flush(self) -> None:
        """Do nothing: messages to a course client wait for their interval."""

    def _on_timer(self) -> None:
        self._timer.close()
        self._timer = None
        if self.connection.is_closing or self.session is None:
            return
        writer = self.connection.writer
        if writer.is_blocked:  # the client reads nothing: the write timeout ends the connection
            self._push_allowed_at = time.monotonic() + dialects.FRAME_INTERVAL
        elif time.monotonic() < self._next_push_at:
            pass
        elif (frame := self._next_frame(self.session)) is not None:
            writer.write(frame)
            self._pushed_at = time.monotonic()
        else:
            return
        self._schedule_push()

    def _next_frame(self, session: Session) -> bytes | None:
        """Return the next frame of a message, encoded only now; None if nothing is queued."""
        while (frame := next(self._frames, None)) is None and not session.outbox.empty():
            event = session.outbox.pop()
            if type(event) is Message:
                room = f"[{event.to}] " if is_room(event.to) and event.to != BROADCAST_TARGET else ""
                text = room + event.text
                self._frames = self._codec.encode_message(event.sender, session.name, text, event.action, event.time)
            elif type(event) is EndOfStream:
                self.connection.close_gracefully("left")
        return frame
