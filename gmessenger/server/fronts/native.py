"""Native connections: requests with ids to the messenger's verbs, and parcels to newline-delimited frames."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Raw

from gmessenger import __version__
from gmessenger.chat.entrance import Login
from gmessenger.chat.model import (
    Answer,
    Goodbye,
    Message,
    Probe,
)
from gmessenger.chat.names import fold
from gmessenger.chat.service import Messenger
from gmessenger.chat.session import Session
from gmessenger.errors import AlreadyLoggedIn, NotLoggedIn, StoreUnavailable, WireError
from gmessenger.server.fronts.door import Door
from gmessenger.server.fronts.moderating import MODERATING
from gmessenger.server.fronts.saying import SAID, delivery
from gmessenger.wire import events
from gmessenger.wire.encoding import Sayable, answer, encode_all, encode_answer, encode_error
from gmessenger.wire.events import Event
from gmessenger.wire.jim import JIM_VERSION, LONGEST_ID

SERVER: Final = f"gmessenger/{__version__}"


class NativeVoice:
    """Answers one native connection. Once logged in, everything goes through the session's outbox, in order."""

    __slots__ = ("_device", "door", "ended", "session")

    def __init__(self, door: Door) -> None:
        self.door = door
        self.session: Session | None = None
        self.ended = False
        self._device: str | None = None

    @property
    def crowded(self) -> bool:
        """Whether requests must wait: their answers would not be read."""
        if self.session is None:
            return self.door.connection.writer.blocked
        writer = self.door.connection.writer
        return self.session.outbox.crowded or writer.pending > self.door.connection.options.outbox_bytes

    @property
    def waiting(self) -> int:
        return self.session.outbox.waiting if self.session is not None else 0

    def handle(self, event: Event) -> None:
        if type(event) is events.Msg and self.session is not None:  # nearly always, and hundreds at a time
            if not self.session.outbox.closed:
                self.door.messenger.speech.message(self.session, event.to, event.message, event.id or None, "msg")
        elif type(event) is events.Presence:
            self._presence(event)
        elif type(event) is events.Register and self.session is not None:
            self.door.check_line()
            self.door.messenger.register(self.session, event.id or None, event.password, event.invite, self._device)
        elif type(event) is events.Quit:
            self.end("quit")
        elif self.session is None:
            raise NotLoggedIn
        elif not self.session.outbox.closed:  # else it has been sent away
            if type(event) is events.Forget:
                self.door.check_line()
            if type(event) not in UNSETTLED:
                self.door.messenger.settle(self.session)
            VERBS[type(event)](self.door.messenger, self.session, event)

    def in_one_breath(self, messages: Sequence[events.Msg]) -> bool:
        """Act on several messages to one name or room at once; False where they have to be taken one by one."""
        if self.session is None or self.session.outbox.closed:
            return False
        texts = [message.message for message in messages]
        ids = [message.id or None for message in messages]
        return self.door.messenger.speech.in_one_breath(self.session, messages[0].to, texts, ids, "msg")

    def refuse(self, error: WireError, id: str | None = None) -> None:
        now = self.door.now()
        if self.session is None:
            self.door.connection.writer.write(encode_error(error, now, id))
        else:
            try:
                self.door.messenger.settle(self.session)
            except StoreUnavailable as unavailable:
                error = unavailable
            self.session.outbox.insist(Answer(error.code, id, now, error.described()))

    def end(self, reason: str) -> None:
        """Listen to nothing more; the connection is closed once everything queued is written."""
        self.ended = True
        if self.session is None:
            self.door.connection.goodbye(reason)
        else:
            self.door.leave(self.session, reason)
            with contextlib.suppress(StoreUnavailable):  # who sent something has been told 503
                self.door.messenger.settle(self.session)
            self.session.outbox.finish()

    def unreadable(self, event: events.Unreadable) -> None:
        self.refuse(event.error, event.id)

    def closed(self) -> None:
        """Nobody reads any more."""
        if self.session is not None:
            self.session.outbox.close()

    def probe(self) -> bool:
        return self.session is not None and self.session.outbox.offer(Probe())

    def frames(self) -> bytes:
        """What waits in the outbox, as bytes; at its end the connection is taken leave of."""
        if self.session is None:
            return b""
        frames: list[Sayable] = []
        for parcel in self.session.outbox.take_all():
            if type(parcel) is Message:
                frames.append(delivery(parcel, self.session.name))
            elif type(parcel) is Goodbye:
                self.door.connection.goodbye("left")
            elif type(parcel) is Answer:
                frames.append(self._answer(parcel))
            else:
                frames.append(SAID[type(parcel)](parcel))
        return encode_all(frames)

    def _answer(self, given: Answer) -> Sayable:
        more = given.more
        frame = answer(given.code, given.id, given.time, more, given.seq)
        return frame if more is None or "messages" not in more else self._cut(given, more)

    def _cut(self, answer: Answer, more: dict[str, Any]) -> Sayable:
        """An answer that fits a frame: messages that are too many for one are cut to as few as one, and it says so."""
        frame = encode_answer(answer.code, answer.id, answer.time, more)
        cap = self.door.connection.options.max_frame
        while len(frame) > cap and len(more["messages"]) > 1:
            kept = max(1, len(more["messages"]) * cap // (len(frame) + 1))
            more["messages"] = more["messages"][:kept] if answer.cut_at_end else more["messages"][-kept:]
            more["more"] = True
            if "after" in more:  # an export goes on behind the last one that is told
                more["after"] = more["messages"][-1]["place"]
            frame = encode_answer(answer.code, answer.id, answer.time, more)
        return Raw(frame[:-1])

    def _presence(self, request: events.Presence) -> None:
        if self.session is None:
            self._log_in(request)
        elif fold(request.user.account_name) == self.session.key:
            self.session.outbox.insist(self._welcome(self.session, request.id or None))
        else:
            raise AlreadyLoggedIn

    def _log_in(self, request: events.Presence) -> None:
        writer, card = self.door.connection.writer, request.user
        token = card.session or request.session
        if card.password is not None:
            self.door.check_line()
        self._device = card.device
        address = self.door.connection.address
        login = Login(card.account_name, "native", True, address, card.password, token, card.device)
        self.session, left_over = self.door.admit(login, self.door.outbox(writer.wake, writer.flush, together=True))
        writer.source = self.frames
        self.session.outbox.insist(self._welcome(self.session, request.id or None))
        if request.receive or self.session.account is None:  # an account's that is not welcomed stays behind for good
            self.door.messenger.welcome(self.session, left_over)

    def _welcome(self, session: Session, id: str | None) -> Answer:
        limits = self.door.messenger.policy.limits_of(session) | {"id": LONGEST_ID}
        more = {"jim": JIM_VERSION, "account": session.kind == "account", "session": session.token, "server": SERVER}
        known = {"store": self.door.messenger.store_identity, "limits": limits, "alert": self.door.messenger.greeting}
        standing = {
            "role": session.role,
            "blocks": self.door.messenger.blocks.count(session.key),
            "registration": session.account is None and self.door.messenger.policy.registration,
        }
        own = {key: value for key, value in standing.items() if value}
        return Answer(200, id, self.door.now(), more | own | known)


VERBS: Final[dict[type, Callable[[Messenger, Session, Any], None]]] = {
    events.Ack: lambda messenger, session, ack: messenger.archive.acknowledge(session, ack.with_, ack.seq),
    events.Read: lambda messenger, session, read: messenger.archive.mark_read(session, read.with_, read.seq),
    events.History: lambda messenger, session, ask: messenger.history(
        session, ask.id or None, ask.with_, ask.before, ask.after, ask.limit
    ),
    events.Search: lambda messenger, session, ask: messenger.search(
        session, ask.id or None, ask.text, ask.with_, ask.limit
    ),
    events.Conversations: lambda messenger, session, ask: messenger.conversations(session, ask.id or None, ask.after),
    events.Join: lambda messenger, session, ask: messenger.room_service.join(session, ask.id or None, ask.room),
    events.Leave: lambda messenger, session, ask: messenger.room_service.leave(session, ask.id or None, ask.room),
    events.Remove: lambda messenger, session, ask: messenger.room_service.remove(
        session, ask.id or None, ask.room, ask.user
    ),
    events.Topic: lambda messenger, session, ask: messenger.room_service.set_topic(
        session, ask.id or None, ask.room, ask.topic
    ),
    events.Members: lambda messenger, session, ask: messenger.room_service.members(
        session, ask.id or None, ask.room, ask.after
    ),
    events.Rooms: lambda messenger, session, ask: messenger.room_service.list_rooms(session, ask.id or None, ask.after),
    events.Users: lambda messenger, session, users: messenger.users(session, users.id or None, users.after),
    events.Status: lambda messenger, session, status: messenger.set_status(session, status.id or None, status.status),
    events.Export: lambda messenger, session, ask: messenger.own_data.export(session, ask.id or None, ask.after),
    events.Forget: lambda messenger, session, ask: messenger.forget(session, ask.id or None, ask.password),
    events.Probe: lambda messenger, session, probe: messenger.probe(session, probe.id or None),
    events.Pong: lambda messenger, session, pong: None,  # having arrived is all it was for
    **MODERATING,
}
"""What each native request asks of the messenger."""
UNSETTLED: Final = frozenset({events.Ack, events.Pong})
"""Requests that are not answered. (Messages are, once stored: acknowledgements before them are on disk by then.)"""
