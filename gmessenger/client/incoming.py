"""Puts in order what comes: drops what was had, asks for what is missing, hands on each message once."""

from __future__ import annotations

import secrets
from typing import Any, Final

import gevent
from msgspec import UNSET

from gmessenger.client.acks import Acks
from gmessenger.client.events import Missed, Received, SentElsewhere
from gmessenger.client.frames import frame_of, refused, wanted_later
from gmessenger.client.inbox import Inbox
from gmessenger.client.outbox import Outbox
from gmessenger.client.pages import deliveries
from gmessenger.client.patience import Patience
from gmessenger.client.positions import Position, conversation, fold
from gmessenger.client.sending import Sender
from gmessenger.wire.encoding import encode
from gmessenger.wire.events import Answer, Delivery, History

MOST_HELD: Final = 1000
"""Messages that may wait behind a hole before it is left as it is."""
PAGE: Final = 200
USUAL_PAUSE: Final = 1.0


class Incoming:
    """Every message goes through `hear`, on its way to the inbox.

    A hole, 12 after 10, is filled from the server's history before what follows is handed on; only accounts can ask
    for it, so a guest is told of it and goes on.
    """

    def __init__(self, me: str, inbox: Inbox, outbox: Outbox, sender: Sender, acks: Acks, patience: Patience) -> None:
        self.me = fold(me)
        self._inbox = inbox
        self._outbox = outbox
        self._sender = sender
        self._acks = acks
        self._patience = patience
        self._positions: dict[str, Position] = {}
        self._asked: dict[str, Position] = {}
        self._session: tuple[bool, str | None] = (False, None)
        self._store: str | None = None
        self.account = False
        self.came = 0
        """How many messages this line has brought."""

    def new_line(self, *, account: bool, token: str | None, store: str | None = None) -> bool:
        """A line is up. What waited behind holes comes again.

        To another guest's session, and from another store (a backup was put in its place), nothing counts as had;
        says whether it is so.
        """
        self.came = 0
        session = (account, None if account else token)
        self._asked.clear()
        for position in self._positions.values():
            position.held.clear()
        if anew := session != self._session or store != self._store:
            self._positions.clear()
            self._acks.forget()
        self._session, self.account, self._store = session, account, store
        self._acks.all_again()
        return anew

    def registered(self) -> None:
        """The guest's session goes on as the account's."""
        self._session, self.account = (True, None), True

    def forget(self, with_: str) -> None:
        """What comes next in that conversation need not follow on what came last: one was not in it meanwhile."""
        self._positions.pop(fold(with_), None)

    def sent(self, to: str, seq: int) -> None:
        """The server gave a message from here this number."""
        self._at(to).sent(seq)

    def hear(self, delivery: Delivery, frame: bytes) -> None:
        seq = delivery.seq
        if seq is UNSET:
            return self._hand_on(delivery, frame)
        position = self._at(conversation(delivery, self.me))
        position.begin(seq)
        if position.held:
            return self._hold(position, delivery, frame)
        if seq <= (position.last or 0):
            return self._acks.again(position.with_)
        if position.missing(seq):
            return self._miss(position, delivery, frame)
        position.reach(seq)
        return self._hand_on(delivery, frame)

    def answered(self, answer: Answer) -> bool:
        """Take what fills a hole; False for an answer to another question."""
        position = self._asked.pop(answer.id or "", None)
        if position is None:
            return False
        if not position.held:
            return True
        if wanted_later(answer):
            pause = min(max(answer.retry_after or USUAL_PAUSE, USUAL_PAUSE / 10), self._patience.defer)
            gevent.spawn_later(pause, self._ask, position)
        elif not refused(answer) and self._fill(position, answer) and answer.more and self._missing(position):
            self._ask(position)
        else:
            self._go_on(position)
        return True

    def _at(self, with_: str) -> Position:
        return self._positions.setdefault(fold(with_), Position(with_))

    def _mine(self, delivery: Delivery) -> bool:
        return fold(delivery.sender) == self.me

    def _hand_on(self, delivery: Delivery, frame: bytes) -> None:
        self.came += 1
        self._inbox.put((SentElsewhere if self._mine(delivery) else Received)(delivery, frame))

    def _hold(self, position: Position, delivery: Delivery, frame: bytes) -> None:
        position.held.append((delivery, frame))
        if len(position.held) > MOST_HELD:
            self._go_on(position)

    def _miss(self, position: Position, delivery: Delivery, frame: bytes) -> None:
        position.told = False
        position.held.append((delivery, frame))
        if self.account:
            self._ask(position)
        else:
            self._go_on(position)

    def _ask(self, position: Position) -> None:
        if position.held:
            id = secrets.token_urlsafe(12)
            self._asked[id] = position
            missing = History(
                id=id, with_=position.with_, after=position.last, limit=min(self._missing(position), PAGE)
            )
            self._sender.urge(id, frame_of(missing))
            gevent.spawn_later(self._patience.answer, self._give_up, id)

    def _give_up(self, id: str) -> None:
        position = self._asked.pop(id, None)
        if position is not None:
            self._go_on(position)

    def _missing(self, position: Position) -> int:
        return position.missing(_seq(position.held[0][0])) if position.held else 0

    def _fill(self, position: Position, answer: Answer) -> bool:
        """Hand on what was missing; False where nothing of it was there."""
        before = position.last
        for whole, delivery in deliveries(answer, position.with_):
            seq = _seq(delivery)
            if (position.last or 0) < seq < _seq(position.held[0][0]):
                self._hand_on_late(position, delivery, whole)
                position.reach(seq)
        return position.last != before

    def _hand_on_late(self, position: Position, delivery: Delivery, whole: dict[str, Any]) -> None:
        if self._mine(delivery):
            if self._is_on_its_way(delivery):
                return
        elif not position.told:
            position.told = True
            self._inbox.put(Missed(position.with_, self._missing(position), found=True))
        self._hand_on(delivery, encode(whole).rstrip())

    def _is_on_its_way(self, delivery: Delivery) -> bool:
        """Whether it may be a message of ours whose answer was lost: it is sent again, and told of when answered."""
        here = (fold(delivery.to), delivery.message)
        return any((fold(message.to), message.text) == here for message in self._outbox)

    def _go_on(self, position: Position) -> None:
        """What waited is handed on, and what is still missing is told of."""
        if lost := self._missing(position):
            self._inbox.put(Missed(position.with_, lost, found=False))
        waiting = list(position.held)
        position.held.clear()
        if waiting:
            position.reach(_seq(waiting[0][0]) - 1)
        for delivery, frame in waiting:
            self.hear(delivery, frame)


def _seq(delivery: Delivery) -> int:
    return delivery.seq or 0
