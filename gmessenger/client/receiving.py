"""The receiving half of a link: reads frames, tells the owner what they mean, and feels the server's pulse."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from gmessenger.client.connection import Connection, Heard
from gmessenger.client.events import (
    Accepted,
    CaughtUp,
    Closed,
    Deferred,
    Delivered,
    Joined,
    Left,
    Notice,
    Opened,
    PresenceChanged,
    ReadElsewhere,
    Rejected,
    TopicChanged,
)
from gmessenger.client.frames import refusal, refused, wanted_later
from gmessenger.client.heartbeat import Heartbeat, Pulse
from gmessenger.client.inbox import Inbox
from gmessenger.client.incoming import Incoming
from gmessenger.client.outbox import Message, Outbox
from gmessenger.client.patience import Patience
from gmessenger.client.positions import fold
from gmessenger.client.questions import Questions
from gmessenger.client.sending import Sender
from gmessenger.client.sleeping import NAP, asleep
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    Banned,
    Kicked,
    NameTaken,
    NeverSeen,
    NotHere,
    PasswordNeeded,
    Refused,
    Replaced,
)
from gmessenger.sentences import Sentence
from gmessenger.wire.encoding import encode
from gmessenger.wire.events import (
    MAX_SEQ,
    Answer,
    CloseEvent,
    DeliveredEvent,
    Delivery,
    JoinEvent,
    LeaveEvent,
    Moving,
    OpenEvent,
    PresenceEvent,
    Probe,
    ReadEvent,
    ServerEvent,
    ServerProbe,
    Synced,
    TopicEvent,
)

PROBE: Final = encode(Probe())
HERE: Final = encode({"response": 200})
DISMISSED: Final = frozenset(
    error.word for error in (Replaced, AccountDisabled, AccountDeleted, PasswordNeeded, NameTaken, Kicked, Banned)
)
"""What ends a session for good: coming back by oneself would be wrong, or as somebody else."""
ABSENT: Final = frozenset({NeverSeen.word, NotHere.word})
SERVERS_FAULT: Final = 500
USUAL_PAUSE: Final = 1.0
"""Seconds until a message is tried again when the server did not say how many."""


class Receiver:
    """Reads in the greenlet that calls `run`. Holds back reading while the inbox is full, and keeps the line alive.

    `settled` is called with each message that has left the outbox.
    """

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        questions: Questions,
        incoming: Incoming,
        sender: Sender,
        patience: Patience,
        settled: Callable[[Message], object],
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._questions = questions
        self._incoming = incoming
        self._sender = sender
        self._patience = patience
        self._heartbeat = Heartbeat(patience, time.monotonic())
        self._asleep = asleep()
        self._settled = settled
        self._others_back_at = 0.0
        self._again = self._caught_up = False
        self.moving: float | None = None
        """The server said that it closes the line and when to come back: in so many seconds."""

    def run(self, connection: Connection, *, again: bool) -> NoReturn:
        """Read until the line is lost: raises OSError. Raises `Refused` when another connection took the name.

        `again` says that this is not the link's first line.
        """
        now = time.monotonic()
        self._heartbeat = Heartbeat(self._patience, now)
        self._others_back_at = now + self._patience.others_return if again else now
        self.moving = None
        self._again, self._caught_up = again, False
        while True:
            self._wait_for_room(connection)
            heard = connection.hear(self._how_long())
            if heard is None:
                self._feel_pulse()
            else:
                self._take_in(heard)

    def _wait_for_room(self, connection: Connection) -> None:
        if self._inbox.wait_for_room(0):
            return
        connection.held_back = True
        while not self._inbox.wait_for_room(self._patience.probe_after):
            self._sender.urge("probe", PROBE)  # the server must not take us for gone
        connection.held_back = False
        self._heartbeat.listening_again(time.monotonic())

    def _how_long(self) -> float:
        wait = self._heartbeat.look_again_at(self._outbox.oldest_sent()) - time.monotonic()
        # A message that goes out meanwhile has its own time to be answered in.
        return min(wait, self._patience.answer / 4)

    def _feel_pulse(self) -> None:
        now, slept = time.monotonic(), asleep()
        if slept - self._asleep > NAP:
            self._heartbeat.slept(now)
        self._asleep = slept
        pulse = self._heartbeat.pulse(now, self._outbox.oldest_sent())
        if pulse is Pulse.GONE:
            raise TimeoutError(
                Sentence("the server did not answer within {seconds:g} s", seconds=self._patience.answer)
            )
        if pulse is Pulse.PROBE:
            self._heartbeat.probed(now)
            self._sender.urge("probe", PROBE)

    def _take_in(self, heard: Heard) -> None:
        self._heartbeat.heard(time.monotonic())
        frame, event = heard
        handler = HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, frame)

    def _delivery(self, delivery: Delivery, frame: bytes) -> None:
        self._incoming.hear(delivery, frame)

    def _read(self, event: ReadEvent, frame: bytes) -> None:
        self._inbox.put(ReadElsewhere(event.with_, event.seq))

    def _presence(self, event: PresenceEvent, frame: bytes) -> None:
        self._inbox.put(PresenceChanged(event.user.account_name, event.user.status or ""))

    def _delivered(self, event: DeliveredEvent, frame: bytes) -> None:
        self._inbox.put(Delivered(event.with_, event.seq))

    def _join(self, event: JoinEvent, frame: bytes) -> None:
        self._inbox.put(Joined(event.room, event.user.account_name))

    def _leave(self, event: LeaveEvent, frame: bytes) -> None:
        if fold(event.user.account_name) == self._incoming.me:
            self._incoming.forget(event.room)
        self._inbox.put(Left(event.room, event.user.account_name, event.by))

    def _topic(self, event: TopicEvent, frame: bytes) -> None:
        self._inbox.put(TopicChanged(event.room, event.user.account_name, event.topic))

    def _close(self, event: CloseEvent, frame: bytes) -> None:
        self._inbox.put(Closed(event.room, event.user.account_name, event.reason or ""))

    def _open(self, event: OpenEvent, frame: bytes) -> None:
        self._inbox.put(Opened(event.room, event.user.account_name))

    def _synced(self, event: Synced, frame: bytes) -> None:
        # Said again where a reader was slow; its owner has seen that coming, and what counts is what was missed.
        if not self._caught_up:
            self._caught_up = True
            self._inbox.put(CaughtUp(self._incoming.came, self._again))

    def _probe(self, event: ServerProbe, frame: bytes) -> None:
        self._sender.urge("here", HERE)

    def _moving(self, event: Moving, frame: bytes) -> None:
        self.moving = event.retry_in
        self._sender.paused = True
        self._heartbeat.last_orders(time.monotonic())

    def _answer(self, answer: Answer, frame: bytes) -> None:
        message = self._outbox.find(answer.id) if answer.id is not None else None
        if message is not None:
            self._settle(message, answer)
        elif answer.id is None and answer.code in DISMISSED:
            error = refusal(answer)
            raise Refused(str(error)) from error
        elif not (self._incoming.answered(answer) or self._questions.settle(answer)) and refused(answer):
            self._inbox.put(Notice(str(refusal(answer))))

    def _settle(self, message: Message, answer: Answer) -> None:
        now = time.monotonic()
        later = wanted_later(answer) or (answer.code in ABSENT and now < self._others_back_at)
        if later and not self._waited_enough(message, answer, now):
            self._defer(message, answer, now)
        else:
            self._outbox.settle(message.id)
            if answer.seq is not None and 0 < answer.seq <= MAX_SEQ and not refused(answer):
                self._incoming.sent(message.to, answer.seq)
            self._inbox.put((Rejected if refused(answer) else Accepted)(message, answer))
            self._settled(message)
        self._sender.wake()

    def _waited_enough(self, message: Message, answer: Answer, now: float) -> bool:
        # What the server cannot store now is an account's to send for as long as it takes: it is stored once.
        stored = self._incoming.account and answer.response >= SERVERS_FAULT
        longest = self._patience.outage if stored else self._patience.defer
        return message.deferred_at is not None and now - message.deferred_at >= longest

    def _defer(self, message: Message, answer: Answer, now: float) -> None:
        pause = USUAL_PAUSE if answer.retry_after is None else answer.retry_after
        pause = min(max(pause, 0.05), self._patience.defer)
        waited = now - (message.deferred_at or now)
        pause = max(pause, min(waited / 4, self._patience.longest_pause))
        if message.deferred_at is None:
            self._inbox.put(Deferred(message, str(refusal(answer)), pause))
        self._outbox.defer(message, now, pause)


HANDLERS: Final[dict[type[ServerEvent], Callable[[Receiver, Any, bytes], None]]] = {
    Answer: Receiver._answer,
    Delivery: Receiver._delivery,
    DeliveredEvent: Receiver._delivered,
    ReadEvent: Receiver._read,
    PresenceEvent: Receiver._presence,
    JoinEvent: Receiver._join,
    LeaveEvent: Receiver._leave,
    TopicEvent: Receiver._topic,
    CloseEvent: Receiver._close,
    OpenEvent: Receiver._open,
    Synced: Receiver._synced,
    ServerProbe: Receiver._probe,
    Moving: Receiver._moving,
}
"""What is done with each frame; what is not here (frames of a later version) concerns nobody yet."""
