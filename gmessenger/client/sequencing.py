"""Order of received messages: positions by conversation, duplicates and gaps, and batched acknowledgements."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import gevent
from msgspec import UNSET

from gmessenger.client.config import Timeouts
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import GapDetected, MessageReceived, MessageSentElsewhere
from gmessenger.client.responses import encode_request, is_error, is_retryable, parse_messages
from gmessenger.client.sender import Sender, SendQueue
from gmessenger.names import fold, is_room
from gmessenger.wire.events import AckRequest, HistoryRequest, MessageEvent, ResponseFrame
from gmessenger.wire.jim import encode

MAX_OWN_SEQS: Final = 1000
"""Numbers of one's own messages that are remembered before the conversation's place is known."""


def conversation_name(delivery: MessageEvent, own_key: str) -> str:
    """The room, or the other end; `me` is folded."""
    if is_room(delivery.to) or fold(delivery.sender) == own_key:
        return delivery.to
    return delivery.sender


@dataclass(slots=True, eq=False)
class ConversationPosition:
    """One conversation's: everything up to `last` was handed on or sent from here; None where nobody knows yet."""

    conversation: str
    last: int | None = None
    buffered: deque[tuple[MessageEvent, bytes]] = field(default_factory=deque)
    gap_reported: bool = False  # of the present hole
    _own_seqs: set[int] = field(default_factory=set)

    def set_start(self, seq: int) -> None:
        """Where the place is not known, it is before `seq` and all of one's own."""
        if self.last is None:
            self.last = min(seq, *self._own_seqs) - 1 if self._own_seqs else seq - 1
            self._skip_own()

    def advance(self, seq: int) -> None:
        """Everything up to `seq` is done with."""
        self.last = max(self.last or 0, seq)
        self._skip_own()

    def add_own(self, seq: int) -> None:
        """A message sent from here has this number; it will not come."""
        if self.last is None or seq > self.last:
            self._own_seqs.add(seq)
        if self.last is not None:
            self._skip_own()
        elif len(self._own_seqs) > MAX_OWN_SEQS:
            self._own_seqs.remove(min(self._own_seqs))

    def count_missing(self, before: int) -> int:
        """How many there are between what was had and the number `before`, one's own left out."""
        last = self.last or 0
        return max(0, before - last - 1 - sum(last < seq < before for seq in self._own_seqs))

    def _skip_own(self) -> None:
        last = self.last or 0
        while last + 1 in self._own_seqs:
            last += 1
        self.last = last
        self._own_seqs = {seq for seq in self._own_seqs if seq > last}


ACK_DELAY: Final = 0.05
"""Seconds from what is to be acknowledged to its acknowledgement, which then covers what came meanwhile."""


class AckBatcher:
    """Acknowledge what the user of the library is done with; of each conversation only the highest seq.

    Does nothing until `set_account(True)`: guests acknowledge nothing.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._acked: dict[str, AckRequest] = {}
        self._unsent: set[str] = set()
        self._is_account = False

    def set_account(self, is_account: bool) -> None:
        """Begin or cease to acknowledge; called after each login and registration."""
        self._is_account = is_account

    def ack(self, conversation: str, seq: int) -> None:
        """The owner needs nothing any more up to `seq` of that conversation."""
        key = fold(conversation)
        if self._is_account and (key not in self._acked or self._acked[key].seq < seq):
            self._acked[key] = AckRequest(target=conversation, seq=seq)
            self._schedule(key)

    def resend(self, conversation: str) -> None:
        """The server does not know what was said of this conversation, or did not when it sent this."""
        if fold(conversation) in self._acked:
            self._schedule(fold(conversation))

    def resend_all(self) -> None:
        """The line is new: what was said last on the old one may be lost."""
        for key in self._acked:
            self._schedule(key)

    def clear(self) -> None:
        self._acked.clear()
        self._unsent.clear()

    def encode_all(self) -> bytes:
        """Everything, for the last time."""
        return b"".join(encode_request(ack) for ack in self._acked.values()) if self._is_account else b""

    def _schedule(self, key: str) -> None:
        if not self._unsent:
            gevent.spawn_later(ACK_DELAY, self._flush)
        self._unsent.add(key)

    def _flush(self) -> None:
        for key in self._unsent:
            self._sender.send_now(f"ack {key}", encode_request(self._acked[key]))
        self._unsent.clear()


MAX_BUFFERED: Final = 1000
"""Messages that may wait behind a hole before it is left as it is."""
GAP_PAGE: Final = 200
DEFAULT_GAP_DELAY: Final = 1.0


class Resequencer:
    """Every message goes through `hear`, on its way to the inbox.

    A hole, 12 after 10, is filled from the server's history before what follows is handed on; only accounts can ask
    for it, so a guest is told of it and goes on.
    """

    def __init__(
        self,
        own_name: str,
        event_queue: EventQueue,
        send_queue: SendQueue,
        sender: Sender,
        ack_batcher: AckBatcher,
        timeouts: Timeouts,
    ) -> None:
        self.own_key = fold(own_name)
        self._event_queue = event_queue
        self._send_queue = send_queue
        self._sender = sender
        self._ack_batcher = ack_batcher
        self._timeouts = timeouts
        self._positions: dict[str, ConversationPosition] = {}
        self._gap_requests: dict[str, ConversationPosition] = {}
        self._session: tuple[bool, str | None] = (False, None)
        self._store: str | None = None
        self.is_account = False
        self.received_count = 0
        """How many messages this line has brought."""

    def reset(self, *, is_account: bool, token: str | None, store: str | None = None) -> bool:
        """A line is up. What waited behind holes comes again.

        To another guest's session, and from another store (a backup was put in its place), nothing counts as had;
        says whether it is so.
        """
        self.received_count = 0
        session = (is_account, None if is_account else token)
        self._gap_requests.clear()
        for position in self._positions.values():
            position.buffered.clear()
        if anew := session != self._session or store != self._store:
            self._positions.clear()
            self._ack_batcher.clear()
        self._session, self.is_account, self._store = session, is_account, store
        self._ack_batcher.resend_all()
        return anew

    def on_registered(self) -> None:
        """The guest's session goes on as the account's."""
        self._session, self.is_account = (True, None), True

    def forget(self, conversation: str) -> None:
        """What comes next in that conversation need not follow on what came last: one was not in it meanwhile."""
        self._positions.pop(fold(conversation), None)

    def on_sent(self, to: str, seq: int) -> None:
        """The server gave a message from here this number."""
        self._position(to).add_own(seq)

    def feed(self, delivery: MessageEvent, frame: bytes) -> None:
        seq = delivery.seq
        if seq is UNSET:
            return self._deliver(delivery, frame)
        position = self._position(conversation_name(delivery, self.own_key))
        position.set_start(seq)
        if position.buffered:
            return self._buffer(position, delivery, frame)
        if seq <= (position.last or 0):
            return self._ack_batcher.resend(position.conversation)
        if position.count_missing(seq):
            return self._on_gap(position, delivery, frame)
        position.advance(seq)
        return self._deliver(delivery, frame)

    def handle_response(self, response: ResponseFrame) -> bool:
        """Take what fills a hole; False for an answer to another question."""
        position = self._gap_requests.pop(response.id or "", None)
        if position is None:
            return False
        if not position.buffered:
            return True
        if is_retryable(response):
            pause = min(
                max(response.retry_after or DEFAULT_GAP_DELAY, DEFAULT_GAP_DELAY / 10), self._timeouts.max_defer
            )
            gevent.spawn_later(pause, self._request_gap, position)
        elif (
            not is_error(response) and self._fill_gap(position, response) and response.more and self._gap_size(position)
        ):
            self._request_gap(position)
        else:
            self._skip_gap(position)
        return True

    def _position(self, conversation: str) -> ConversationPosition:
        return self._positions.setdefault(fold(conversation), ConversationPosition(conversation))

    def _is_own(self, delivery: MessageEvent) -> bool:
        return fold(delivery.sender) == self.own_key

    def _deliver(self, delivery: MessageEvent, frame: bytes) -> None:
        self.received_count += 1
        self._event_queue.put((MessageSentElsewhere if self._is_own(delivery) else MessageReceived)(delivery, frame))

    def _buffer(self, position: ConversationPosition, delivery: MessageEvent, frame: bytes) -> None:
        position.buffered.append((delivery, frame))
        if len(position.buffered) > MAX_BUFFERED:
            self._skip_gap(position)

    def _on_gap(self, position: ConversationPosition, delivery: MessageEvent, frame: bytes) -> None:
        position.gap_reported = False
        position.buffered.append((delivery, frame))
        if self.is_account:
            self._request_gap(position)
        else:
            self._skip_gap(position)

    def _request_gap(self, position: ConversationPosition) -> None:
        if position.buffered:
            id = secrets.token_urlsafe(12)
            self._gap_requests[id] = position
            missing = HistoryRequest(
                id=id, target=position.conversation, after=position.last, limit=min(self._gap_size(position), GAP_PAGE)
            )
            self._sender.send_now(id, encode_request(missing))
            gevent.spawn_later(self._timeouts.response, self._on_gap_timeout, id)

    def _on_gap_timeout(self, id: str) -> None:
        position = self._gap_requests.pop(id, None)
        if position is not None:
            self._skip_gap(position)

    def _gap_size(self, position: ConversationPosition) -> int:
        return position.count_missing(_seq_of(position.buffered[0][0])) if position.buffered else 0

    def _fill_gap(self, position: ConversationPosition, response: ResponseFrame) -> bool:
        """Hand on what was missing; False where nothing of it was there."""
        before = position.last
        for whole, delivery in parse_messages(response, position.conversation):
            seq = _seq_of(delivery)
            if (position.last or 0) < seq < _seq_of(position.buffered[0][0]):
                self._deliver_late(position, delivery, whole)
                position.advance(seq)
        return position.last != before

    def _deliver_late(self, position: ConversationPosition, delivery: MessageEvent, raw: dict[str, Any]) -> None:
        if self._is_own(delivery):
            if self._is_in_send_queue(delivery):
                return
        elif not position.gap_reported:
            position.gap_reported = True
            self._event_queue.put(GapDetected(position.conversation, self._gap_size(position), is_filled=True))
        self._deliver(delivery, encode(raw).rstrip())

    def _is_in_send_queue(self, delivery: MessageEvent) -> bool:
        """Whether it may be a message of ours whose answer was lost: it is sent again, and told of when answered."""
        here = (fold(delivery.to), delivery.message)
        return any((fold(message.to), message.text) == here for message in self._send_queue)

    def _skip_gap(self, position: ConversationPosition) -> None:
        """What waited is handed on, and what is still missing is told of."""
        if lost := self._gap_size(position):
            self._event_queue.put(GapDetected(position.conversation, lost, is_filled=False))
        waiting = list(position.buffered)
        position.buffered.clear()
        if waiting:
            position.advance(_seq_of(waiting[0][0]) - 1)
        for delivery, frame in waiting:
            self.feed(delivery, frame)


def _seq_of(delivery: MessageEvent) -> int:
    return delivery.seq or 0
