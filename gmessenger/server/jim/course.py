"""Course connections: requests of any dialect, and messages at the pace that clients need.

Responses that every client waits for are written at once. Messages, and answers that only some clients expect, are
written one frame at a time, no faster than the client reads (`server/jim/pacer.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import EndOfStream, Message, Outbound, RelayedText, Response
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.session import Session
from gmessenger.errors import (
    BadName,
    BadRequest,
    BroadcastDisabled,
    NotFound,
    NotLoggedIn,
    TextTooLong,
    UnknownAction,
    WireError,
)
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold, is_room
from gmessenger.server.jim.handler import Command, ConnectionHandler
from gmessenger.server.jim.pacer import CoursePacer
from gmessenger.server.net.connection import Connection
from gmessenger.urls import file_path
from gmessenger.wire import dialects, events
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.encoder import encode_error

GREETING_SENDER: Final = "server"
GREETING: Final = "Welcome. You receive messages while you are connected."
REPORTED_ERRORS: Final = (BroadcastDisabled, TextTooLong, BadRequest)
"""Errors sent to clients that wait for no answer. They do not expect any other, and some of them crash on one."""


class CourseOutbox(Outbox):
    """The outbox of a course session. A response does not wait in it: `on_response` is called, and never blocks."""

    __slots__ = ("_on_response",)

    def __init__(
        self, max_frames: int, max_size: int, on_ready: Callable[[], None], on_response: Callable[[Response], None]
    ) -> None:
        # Nothing to flush: messages wait for their interval.
        super().__init__(max_frames, max_size, on_ready, flush=lambda: None)
        self._on_response = on_response

    def push(self, event: Outbound, frames: int = 1) -> bool:
        """Append an event, or hand on a response. Returns False if the outbox is closed."""
        if type(event) is not Response:
            return super().push(event, frames)
        if not self.closed:
            self._on_response(event)
        return not self.closed


class CourseHandler(ConnectionHandler):
    """One course connection, which is answered in its own dialect."""

    __slots__ = ("_codec", "_frames", "_pacer")

    def __init__(self, connection: Connection, messenger: Messenger, codec: CourseCodec) -> None:
        super().__init__(connection, messenger)
        self._codec = codec
        self._frames: Iterator[bytes] = iter(())
        self._pacer = CoursePacer(connection, lambda: codec.interval, self._next_frame)

    @property
    def is_backlogged(self) -> bool:
        return self.connection.writer.is_blocked

    def handle(self, command: Command[Any], request: Any) -> None:
        if command.needs_login and self.session is None:
            raise NotLoggedIn
        command.handler(self, self.session, request)  # type: ignore[arg-type]  # None only for rows that need no login

    def send_error(self, error: WireError, id: str | None = None) -> None:
        if self.session is not None and self._codec.expects_answers:
            self._answer_error(error)
        elif self.session is None or isinstance(error, REPORTED_ERRORS):
            self._pacer.respond(self._codec.encode_error(str(error), self.now()))

    def close_gracefully(self, reason: str) -> None:
        """Handle no more requests, send no more messages, and close the connection."""
        self.is_closing = True
        self.connection.close_gracefully(reason)

    def refuse_invalid_frame(self, event: events.InvalidFrame) -> None:
        if self.session is None or not (event.fatal or self._codec.expects_answers):
            # A frame that could not be decoded has no dialect: the error has the native form.
            self._pacer.respond(encode_error(event.error, self.now(), event.id))
        elif not event.fatal:
            self._answer_error(event.error)

    def connection_closed(self) -> None:
        """Discard what is queued."""
        self._pacer.close()
        self._frames = iter(())
        if self.session is not None:
            self.session.outbox.close()
            self.session.outbox.drain()

    def send_probe(self) -> bool:
        return False

    def handle_message(self, session: Session, message: events.CourseMessage) -> None:
        """Send a message; to a room, join it first; without a target, to all who are online."""
        session.answers_all = self._codec.expects_answers
        service = self.messenger.message_service
        if message.to is not None and is_room(message.to):
            service.join_and_send(session, message.to, message.text, message.action)
        else:
            service.send(session, message.to or BROADCAST_TARGET, message.text, action=message.action)

    def handle_list(self, session: Session, request: events.CourseList) -> None:
        names = LISTS[request.names](self.messenger, session)
        self._pacer.respond(self._codec.encode_list(names, self.now()))

    def handle_contact(self, session: Session, request: events.CourseContact) -> None:
        if request.name is not None:
            change = session.add_contact if request.add else session.remove_contact
            change(request.name)
        self._pacer.respond(self._codec.encode_ok(self.now()))

    def handle_key(self, session: Session, request: events.CourseKey) -> None:
        """Answer with the public key of a user who is here. Raises `NotFound`."""
        key = self.messenger.router.public_key(fold(request.name or ""))
        frame = self._codec.encode_key(key, request.key, self.now()) if key else None
        if frame is None:
            raise NotFound("There is no public key of this name.")
        self._pacer.answer(frame)

    def handle_room(self, session: Session, request: events.CourseRoom) -> None:
        """Join or leave a room, whose name may lack the `#`."""
        service = self.messenger.room_service
        change = service.join if request.join else service.leave
        room = request.room or ""
        try:
            change(session, room if is_room(room) else ROOM_PREFIX + room)
        except WireError as error:
            return self._answer_error(error)
        return self._pacer.answer(self._codec.encode_ok(self.now()))

    def handle_unknown(self, session: Session | None, request: events.CourseUnknown) -> None:
        """Refuse what is not supported, where an answer is expected: clients without lists may crash on one."""
        if session is None:  # it has no dialect yet: the error has the native form
            return self._pacer.respond(encode_error(UnknownAction(), self.now()))
        if request.awaited or self._codec.expects_answers:
            self._answer_error(UnknownAction())
        return None

    def reject_native_request(self) -> None:
        """Refuse a request of the native protocol within a course session, and close the connection."""
        self._reject(BadRequest("This connection is logged in as a course client."))

    def handle_login(self, request: events.CoursePresence) -> None:
        """Log in, or confirm the login to a client that asks again; a refusal closes the connection."""
        is_new = self.session is None
        try:
            session = self.session or self._log_in(request.name)
            if fold(request.name or "") != session.key:
                raise BadName("This connection is logged in under another name.")
        except WireError as error:
            return self._reject(error)
        if request.public_key is not None:
            session.public_key = request.public_key
            self.messenger.router.peers.presence_changed(session.key)
        self._pacer.respond(self._codec.encode_ok(self.now()), dialects.PRESENCE_DELAY)
        if is_new and self._codec.dialect.expects_greeting:
            session.outbox.offer(Message(GREETING_SENDER, session.name, GREETING, self.now()))
        return None

    def _log_in(self, name: str | None) -> Session:
        if name is None:
            raise BadName("The presence gives no name.")
        options = self.connection.options
        outbox = CourseOutbox(options.outbox_frames, options.outbox_bytes, self._pacer.schedule, self._on_response)
        login = LoginRequest(name, "course", False, self.connection.address)
        session, _ = self.log_in(login, outbox)
        self.set_session(session, login)
        return session

    def _reject(self, error: WireError) -> None:
        self._pacer.respond(self._codec.encode_error(str(error), self.now()))
        self.close_gracefully(error.code)

    def _answer_error(self, error: WireError) -> None:
        self._pacer.answer(self._codec.encode_error(str(error), self.now()))

    def _on_response(self, response: Response) -> None:
        """Tell a client that expects it whether its message was delivered. Called by the outbox; never blocks."""
        if not self._codec.expects_answers:
            return
        error, time = response.error, self.now()
        self._pacer.answer(
            self._codec.encode_ok(time) if error is None else self._codec.encode_error(str(error["error"]), time)
        )

    def _next_frame(self) -> bytes | None:
        """Return the next frame of a message, encoded only now; None if nothing is queued."""
        session = self.session
        if session is None:
            return None
        while (frame := next(self._frames, None)) is None and not session.outbox.empty():
            event = session.outbox.pop()
            if type(event) is RelayedText:
                event = Message(event.sender, event.to, event.text, event.time, "msg")
            if type(event) is Message:
                shown = _shown_text(event, self.messenger.policy.web_url)
                if shown is None:
                    continue
                room = f"[{event.to}] " if is_room(event.to) and event.to != BROADCAST_TARGET else ""
                text = room + shown
                self._frames = self._codec.encode_message(event.sender, session.name, text, event.action, event.time)
            elif type(event) is EndOfStream:
                self.connection.close_gracefully("left")
        return frame


LISTS: Final[dict[dialects.NameList, Callable[[Messenger, Session], Iterable[str]]]] = {
    "seen": lambda messenger, _: messenger.known_names(),
    "present": lambda messenger, _: messenger.router.names.values(),
    "contacts": lambda _, session: session.contacts,
}
"""Where the names of a list come from."""


def _shown_text(message: Message, web_url: str) -> str | None:
    """Return how a message is told to a client that knows texts only; None where it is not told at all.

    A file is told as its URL, which begins with `web_url`.
    """
    if message.erased or message.what in ("erase", "unreact"):
        return None
    if message.what == "edit":
        return f"* {message.text}"
    text = f"* {message.sender} {message.text}" if message.kind == "action" else message.text
    return text if message.file is None else f"{text}\n{web_url}{file_path(message.file.id, message.file.name)}"
