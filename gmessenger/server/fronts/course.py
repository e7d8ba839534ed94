"""Course connections: requests in any spelling to the messenger's verbs, and messages paced as their readers need.

Answers go out at once; messages one frame a write, no faster than the dialect bears, from a timer of the loop: a
connection with nothing to be told costs no greenlet beside its reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from gmessenger.chat.entrance import Login
from gmessenger.chat.model import EVERYBODY, Goodbye, Message
from gmessenger.chat.names import fold
from gmessenger.chat.session import Session
from gmessenger.errors import BadName, BadRequest, BroadcastRefused, NotLoggedIn, TooLong, WireError
from gmessenger.server.fronts.door import Door
from gmessenger.wire import dialects, events
from gmessenger.wire.course import CourseCodec
from gmessenger.wire.encoding import encode_error
from gmessenger.wire.events import Event

GREETER: Final = "server"
GREETING: Final = "Welcome. You receive messages while you are connected."
TOLD: Final = (BroadcastRefused, TooLong, BadRequest)
"""Refusals a course client hears of. Whether a message found its reader it did not ask, and some die of being told."""


class CourseVoice:
    """Answers one course connection in its own dialect."""

    __slots__ = ("_answered", "_codec", "_frames", "_pushed_at", "_timer", "door", "ended", "session")

    def __init__(self, door: Door, codec: CourseCodec) -> None:
        self.door = door
        self.session: Session | None = None
        self.ended = False
        self._codec = codec
        self._frames: Iterator[bytes] = iter(())
        self._answered = 0.0  # when the next push may follow the last answer
        self._pushed_at = 0.0
        self._timer: Any = None

    @property
    def crowded(self) -> bool:
        """Whether requests must wait: their answers would not be read."""
        return self.door.connection.writer.blocked

    @property
    def waiting(self) -> int:
        return self.session.outbox.waiting if self.session is not None else 0

    def handle(self, event: Event) -> None:
        if type(event) is events.CoursePresence:
            self._presence(event.name)
        elif type(event) is events.CourseQuit:
            self.end("quit")
        elif self.session is None:
            raise NotLoggedIn
        else:
            HANDLERS.get(type(event), CourseVoice._native)(self, self.session, event)

    def refuse(self, error: WireError, id: str | None = None) -> None:
        if self.session is None or isinstance(error, TOLD):
            self._answer(self._codec.refusal(str(error), self.door.now()))

    def end(self, reason: str) -> None:
        """Listen to nothing more and say nothing more: it has left, or lost its place in the stream."""
        self.ended = True
        self.door.connection.goodbye(reason)

    def unreadable(self, event: events.Unreadable) -> None:
        # What could not be read was said in no dialect: it is refused in the plain form.
        if not (event.fatal and self.session is not None):
            self._answer(encode_error(event.error, self.door.now(), event.id))

    def closed(self) -> None:
        """Nobody reads any more: what is queued is let go, and the timer that would push it."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        self._frames = iter(())
        if self.session is not None:
            self.session.outbox.close()
            self.session.outbox.take_all()

    def probe(self) -> bool:
        return False

    def message(self, session: Session, message: events.CourseMsg) -> None:
        if message.to is None:
            self.door.messenger.speech.message(session, EVERYBODY, message.text, said=message.said)
        elif message.to[:1] == "#":
            self.door.messenger.speech.enter_and_say(session, message.to, message.text, message.said)
        else:
            self.door.messenger.speech.message(session, message.to, message.text, said=message.said)

    def names(self, session: Session, request: events.CourseList) -> None:
        names = session.contacts if request.contacts else self.door.messenger.names_seen()
        self._answer(self._codec.listing(names, self.door.now()))

    def contact(self, session: Session, request: events.CourseContact) -> None:
        if request.name is not None:
            change = session.add_contact if request.add else session.remove_contact
            change(request.name)
        self._answer(self._codec.ok(self.door.now()))

    def _native(self, session: Session, event: Event) -> None:
        """It has taken up the native tongue in the middle of a course session."""
        self._turn_away(BadRequest("This connection is logged in as a course client."))

    def _presence(self, name: str | None) -> None:
        if self.session is not None:
            if name is None or fold(name) != self.session.key:
                return self._turn_away(BadName("This connection is logged in under another name."))
            return self._answer(self._codec.ok(self.door.now()), dialects.GAP_AFTER_PRESENCE)
        try:
            self._log_in(name)
        except WireError as error:
            self._turn_away(error)
        return None

    def _log_in(self, name: str | None) -> None:
        if name is None:
            raise BadName("The presence gives no name.")
        login = Login(name, "course", False, self.door.connection.address)
        self.session, _ = self.door.admit(login, self.door.outbox(self._wake, self._press))
        self._answer(self._codec.ok(self.door.now()), dialects.GAP_AFTER_PRESENCE)
        if self._codec.dialect.greeted:
            self.session.outbox.offer(Message(GREETER, self.session.name, GREETING, self.door.now()))

    def _turn_away(self, error: WireError) -> None:
        self._answer(self._codec.refusal(str(error), self.door.now()))
        self.end(error.word)

    def _answer(self, frame: bytes, gap: float = dialects.GAP) -> None:
        self.door.connection.writer.write(frame)
        self._answered = time.monotonic() + gap

    @property
    def _due(self) -> float:
        """When the next push may go out."""
        gap = dialects.GAP_AFTER_LISTS if self._codec.fetches_lists else dialects.GAP
        return max(self._answered, self._pushed_at + gap)

    def _wake(self) -> None:
        """Something waits where nothing did: say it as soon as the last frame is old enough."""
        if self._timer is None:
            self._timer = self.door.connection.floor.hub.loop.timer(max(0.0, self._due - time.monotonic()))
            self._timer.start(self.door.connection.floor.watch.guard("course pacing", self._tick))

    def _press(self) -> None:
        """A paced reader cannot be hurried."""

    def _tick(self) -> None:
        self._timer.close()
        self._timer = None
        if self.door.connection.leaving or self.session is None:
            return
        writer = self.door.connection.writer
        if writer.blocked:  # it has not read the last frame: the writer's own timeout will end it
            self._answered = time.monotonic() + dialects.GAP
        elif time.monotonic() < self._due:
            pass
        elif (frame := self._next_frame(self.session)) is not None:
            writer.write(frame)
            self._pushed_at = time.monotonic()
        else:
            return
        self._wake()

    def _next_frame(self, session: Session) -> bytes | None:
        """The next frame to push, spelled only now; None where nothing waits."""
        while (frame := next(self._frames, None)) is None and not session.outbox.empty():
            parcel = session.outbox.take()
            if type(parcel) is Message:
                room = f"[{parcel.to}] " if parcel.to[:1] == "#" and parcel.to != EVERYBODY else ""
                text = room + parcel.text
                self._frames = self._codec.message(parcel.sender, session.name, text, parcel.said, parcel.time)
            elif type(parcel) is Goodbye:
                self.door.connection.goodbye("left")
        return frame


HANDLERS: Final[dict[type, Callable[[CourseVoice, Session, Any], None]]] = {
    events.CourseMsg: CourseVoice.message,
    events.CourseList: CourseVoice.names,
    events.CourseContact: CourseVoice.contact,
}
