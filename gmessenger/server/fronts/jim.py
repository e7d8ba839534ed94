"""The JIM front: one port for native and course connections; which of the two it is shows at the presence."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from gmessenger import logs
from gmessenger.chat.model import EVERYBODY
from gmessenger.chat.service import Messenger
from gmessenger.errors import InternalError, TooFast, WireError
from gmessenger.server.connection import Connection
from gmessenger.server.fronts.course import CourseVoice
from gmessenger.server.fronts.door import Door
from gmessenger.server.fronts.native import NativeVoice
from gmessenger.server.fronts.prices import ONLY_HELD_BACK, PRICES, USUAL
from gmessenger.turns import Turn
from gmessenger.wire import events
from gmessenger.wire.events import Event, Foreign, Unreadable
from gmessenger.wire.jim import HARMLESS, Hearing
from gmessenger.wire.openings import FAREWELLS

COURSE_EVENTS: Final = frozenset(
    {events.CoursePresence, events.CourseMsg, events.CourseList, events.CourseContact, events.CourseQuit}
)
MESSAGES: Final = frozenset({events.Msg, events.CourseMsg})
MESSAGES_AT_ONCE: Final = 32
"""How many messages to one name or room may go before it is asked whether others should have their turn."""
PIECE: Final = 2048  # bytes
"""How much of a stream is read before others have their turn. Objects are taken off a stream one by one: 64 KiB of the
shortest held up all others for 100 ms. (Lines are read much faster.)"""


class JimFront:
    """A connection that speaks JIM. `hear` never raises: a mistake of ours is logged and answered 500."""

    __slots__ = ("_bad_frames", "_door", "_hearing", "_voice")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self._door = Door(connection, messenger)
        self._hearing = Hearing(connection.options.max_frame, connection.options.max_bad_frames)
        self._voice: NativeVoice | CourseVoice | None = None
        self._bad_frames = 0

    @property
    def name(self) -> str | None:
        session = self._voice.session if self._voice is not None else None
        return session.name if session is not None else None

    @property
    def spoken(self) -> tuple[str, str]:
        session = self._voice.session if self._voice is not None else None
        return (session.front, session.kind) if session is not None else ("unknown", "unknown")

    @property
    def waiting(self) -> int:
        return self._voice.waiting if self._voice is not None else 0

    def hear(self, data: bytes) -> None:
        if len(data) > PIECE and not self._hearing.native:
            data = self._hear_pieces(data)
        self._hear(data)

    def _hear_pieces(self, data: bytes) -> bytes:
        """Hear a stream a piece at a time, as long as it is one; returns what is left to be heard."""
        turn, start = Turn(), 0
        while len(data) - start > PIECE and not self._hearing.native:
            self._hear(data[start : start + PIECE])
            start += PIECE
            if self._door.connection.leaving or (self._voice is not None and self._voice.ended):
                return b""
            self._rest(turn)
        return data[start:]

    def _hear(self, data: bytes) -> None:
        heard = self._hearing.hear(data)
        if len(heard) > 1:
            self._hear_many(heard)
        elif heard and type(heard[0]) is Foreign:
            self._hang_up(heard[0].protocol)
        elif heard and self._act(heard[0]) and self._door.connection.writer.blocked:
            self._rest(Turn())

    def probe(self) -> bool:
        return self._voice is not None and self._voice.probe()

    def hung_up(self) -> None:
        if self._voice is not None and not self._voice.ended:
            self._voice.end("left")

    def closed(self) -> None:
        if self._voice is not None:
            self._voice.closed()

    def lost(self, reason: str) -> None:
        if self._voice is not None and self._voice.session is not None:
            self._door.leave(self._voice.session, reason)

    def _hear_many(self, heard: list[Event]) -> None:
        """Act on events; what was said to one name or room without a pause goes there at once, where it can."""
        turn, alone = Turn(), 0
        for addressee, said in groupby(heard, _addressee):
            run = list(said)
            if addressee is not None and len(run) > 1 and self._in_one_breath(run):
                self._rest(turn)
                continue
            for event in run:
                if not self._act(event):
                    return
                alone += 1
                # (A message to a name is cheap, and shortly answered.)
                if addressee is None or addressee[:1] == "#" or not alone % MESSAGES_AT_ONCE:
                    self._rest(turn)

    def _rest(self, turn: Turn) -> None:
        """Between two events: let what waits be written where that is much, and others have their turn."""
        if self._voice is not None and self._voice.crowded:
            self._door.connection.writer.until_written()
        turn.give_way()

    def _hang_up(self, protocol: str) -> None:
        """Close a connection that speaks another protocol, after a word in that protocol where there is one."""
        connection = self._door.connection
        connection.floor.refused[protocol] += 1
        logs.event("connection_refused", address=connection.address, reason=f"it speaks {protocol}")
        connection.writer.write(FAREWELLS.get(protocol, b""))
        connection.goodbye(f"it speaks {protocol}")

    def _voice_for(self, event: Event) -> NativeVoice | CourseVoice:
        """The voice that answers while nobody has logged in: of the kind that was heard."""
        voice = self._voice
        native = self._hearing.native if type(event) is Unreadable else type(event) not in COURSE_EVENTS
        if voice is None or isinstance(voice, NativeVoice) is not native:
            voice = NativeVoice(self._door) if native else CourseVoice(self._door, self._hearing.course)
            self._voice = voice
        return voice

    def _in_one_breath(self, messages: list[Any]) -> bool:
        """Whether it was possible to act on messages to one name or room at once."""
        voice = self._voice
        if type(voice) is not NativeVoice or voice.ended or self._door.connection.leaving:
            return False
        try:
            return voice.in_one_breath(messages)
        except Exception as failure:
            self._failed(voice, failure)
            return True

    def _act(self, event: Event) -> bool:
        """Act on an event; False, and nothing is done, where nothing more is to be listened to."""
        voice = self._voice
        if voice is None or voice.session is None:
            voice = self._voice_for(event)
        if self._door.connection.leaving or voice.ended:
            return False
        try:
            if price := PRICES.get(type(event), USUAL):
                self._pay(voice, event, price)
            if type(event) is Unreadable:
                self._unreadable(voice, event)
            else:
                voice.handle(event)
        except WireError as error:
            if type(event) in MESSAGES:
                self._door.messenger.tally.refused[error.word] += 1
            logs.event("request_refused", name=self.name, code=error.word)
            voice.refuse(error, _id_of(event))
        except Exception as failure:
            self._failed(voice, failure, _id_of(event))
        return True

    def _failed(self, voice: NativeVoice | CourseVoice, failure: Exception, id: str | None = None) -> None:
        self._door.connection.floor.watch.failed("request", failure, self._door.connection.address)
        voice.refuse(InternalError(), id)

    def _pay(self, voice: NativeVoice | CourseVoice, event: Event, price: float) -> None:
        try:
            self._door.pay(voice.session, price)
        except TooFast:
            if type(event) not in ONLY_HELD_BACK:
                raise

    def _unreadable(self, voice: NativeVoice | CourseVoice, event: Unreadable) -> None:
        error = event.error
        self._bad_frames += error.word not in HARMLESS
        if set(str(self._bad_frames)[1:]) <= {"0"}:  # the 1st to 9th, 10th, 20th … 100th, 200th …
            address = self._door.connection.address
            logs.event("frame_refused", address=address, name=self.name, code=error.word, count=self._bad_frames)
        voice.unreadable(event)
        if event.fatal or self._bad_frames >= self._door.connection.options.max_bad_frames:
            voice.end(error.word)


def _addressee(event: Event) -> str | None:
    """The name or room that a message goes to; None for everything else, and for what goes to everybody at once."""
    return event.to if type(event) is events.Msg and event.to != EVERYBODY else None


def _id_of(event: Event) -> str | None:
    return getattr(event, "id", None) or None
