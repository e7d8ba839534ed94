"""Order of received messages: positions by conversation, duplicates and gaps, and batched acknowledgements."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gevent
from msgspec import UNSET

from gmessenger.client.config import Timeouts
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import (
    BotMessageReceived,
    DeliveryEvent,
    GapDetected,
    MessageAmended,
    MessageReceived,
    MessageSentElsewhere,
)
from gmessenger.client.files import resolve_file_url
from gmessenger.client.responses import encode_request, is_error, is_retryable, parse_messages
from gmessenger.client.sender import Sender, SendQueue
from gmessenger.names import fold, is_room
from gmessenger.wire.encoder import encode
from gmessenger.wire.events import AckRequest, HistoryRequest, MessageEvent, ResponseFrame

MAX_OWN_SEQS: Final = 1000
"""Own seqs that are remembered until the position in the conversation is known."""


def conversation_name(delivery: MessageEvent, own_key: str) -> str:
    """Return the conversation of a message: its room, or the other user. `own_key` is the own name, folded."""
    if is_room(delivery.to) or fold(delivery.sender) == own_key:
        return delivery.to
    return delivery.sender


@dataclass(slots=True, eq=False)
class ConversationPosition:
    """How far a conversation was received: up to `last` all was delivered or sent by this client; None at first.

    `buffered` are the messages after a gap, with their frames.
    """

    conversation: str
    last: int | None = None
    buffered: deque[tuple[MessageEvent, bytes]] = field(default_factory=deque)
    gap_reported: bool = False  # the current gap
    _own_seqs: set[int] = field(default_factory=set)
    _absences: Sequence[tuple[int, int]] = ()

    def set_start(self, seq: int) -> None:
        """Begin before the first received seq, or the first own one if that is lower; only the first call counts."""
        if self.last is None:
            self.last = min(seq, *self._own_seqs) - 1 if self._own_seqs else seq - 1
            self._skip_own()

    def advance(self, seq: int) -> None:
        """Note that everything up to `seq` was delivered, or is given up."""
        self.last = max(self.last or 0, seq)
        self._skip_own()

    def add_own(self, seq: int) -> None:
        """Note the seq of a message of this client: the server does not send it."""
        if self.last is None or seq > self.last:
            self._own_seqs.add(seq)
        if self.last is not None:
            self._skip_own()
        elif len(self._own_seqs) > MAX_OWN_SEQS:
            self._own_seqs.remove(min(self._own_seqs))

    def count_missing(self, before: int) -> int:
        """Return how many messages are missing before a seq; own ones and absences are not."""
        last = self.last or 0
        absent = sum(max(0, min(end, before - 1) - max(first, last + 1) + 1) for first, end in self._absences)
        return max(0, before - last - 1 - absent - sum(last < seq < before for seq in self._own_seqs))

    def set_absences(self, absences: Sequence[tuple[int, int]]) -> None:
        """Note the first and the last seq of what one may not read: the server does not send it."""
        self._absences = absences

    def _skip_own(self) -> None:
        last = self.last or 0
        while last + 1 in self._own_seqs:
            last += 1
        self.last = last
        self._own_seqs = {seq for seq in self._own_seqs if seq > last}


ACK_DELAY: Final = 0.05
"""Seconds after which handled messages are acknowledged, so that one acknowledgement covers several."""


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
        """Acknowledge a conversation up to `seq`, after `ACK_DELAY`."""
        key = fold(conversation)
        if self._is_account and (key not in self._acked or self._acked[key].seq < seq):
            self._acked[key] = AckRequest(target=conversation, seq=seq)
            self._schedule(key)

    def resend(self, conversation: str) -> None:
        """Acknowledge again: the server has sent a message that was acknowledged."""
        if fold(conversation) in self._acked:
            self._schedule(fold(conversation))

    def resend_all(self) -> None:
        """Acknowledge everything again, after a reconnection: the last acknowledgements may be lost."""
        for key in self._acked:
            self._schedule(key)

    def clear(self) -> None:
        """Forget everything: the seqs have lost their meaning."""
        self._acked.clear()
        self._unsent.clear()

    def encode_all(self) -> bytes:
        """Return the frames that acknowledge everything, to be sent before the end."""
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
"""Messages that may wait after a gap; with more, the gap is given up."""
GAP_PAGE: Final = 200  # messages requested at one time
DEFAULT_GAP_DELAY: Final = 1.0
"""Seconds until a gap is requested again, if the server did not request a delay."""


class Resequencer:
    """Passes each received message to the event queue once and in the order of seqs, per conversation.

    A gap (12 after 10) is filled from the server's history before the messages after it are passed on. Guests have no
    history: their gaps are reported by `GapDetected` only. Called from the receiver's greenlet; nothing blocks.
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
        self.files_url = ""
        """Where the URLs of files begin, as the login has told."""
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
        """The number of messages received over this connection."""

    def reset(self, *, is_account: bool, token: str | None, store: str | None = None) -> bool:
        """Begin with a new connection; return whether earlier seqs have lost their meaning.

        That is so for another session of a guest, and for another store, such as a restored backup. Messages that
        waited after gaps are dropped: the server sends them again.
        """
        self.received_count = 0
        session = (is_account, None if is_account else token)
        self._gap_requests.clear()
        for position in self._positions.values():
            position.buffered.clear()
        if seqs_reset := session != self._session or store != self._store:
            self._positions.clear()
            self._ack_batcher.clear()
        self._session, self.is_account, self._store = session, is_account, store
        self._ack_batcher.resend_all()
        return seqs_reset

    def on_registered(self) -> None:
        """Note that the guest has become an account; its positions stay valid."""
        self._session, self.is_account = (True, None), True

    def forget(self, conversation: str) -> None:
        """Drop the position in a room that was left: after joining again, seqs need not follow."""
        self._positions.pop(fold(conversation), None)

    def on_sent(self, to: str, seq: int) -> None:
        """Note the seq that the server has given a message of this client."""
        self._position(to).add_own(seq)

    def feed(self, delivery: MessageEvent, frame: bytes) -> None:
        """Pass on a received message, drop it as a duplicate, or keep it until the gap before it is filled."""
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
        """Fill a gap from the response to its request; return False for a response to anything else."""
        position = self._gap_requests.pop(response.id or "", None)
        if position is None:
            return False
        if not position.buffered:
            return True
        if is_retryable(response):
            delay = max(response.retry_after or DEFAULT_GAP_DELAY, DEFAULT_GAP_DELAY / 10)
            gevent.spawn_later(min(delay, self._timeouts.max_defer), self._request_gap, position)
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
        resolve_file_url(delivery, self.files_url)
        self.received_count += 1
        self._event_queue.put(_event_of(delivery, frame, is_own=self._is_own(delivery)))

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
            limit = min(self._gap_size(position), GAP_PAGE)
            request = HistoryRequest(
                id=id, target=position.conversation, after=position.last, limit=limit, amendments=True
            )
            self._sender.send_now(id, encode_request(request))
            gevent.spawn_later(self._timeouts.response, self._on_gap_timeout, id)

    def _on_gap_timeout(self, id: str) -> None:
        position = self._gap_requests.pop(id, None)
        if position is not None:
            self._skip_gap(position)

    def _gap_size(self, position: ConversationPosition) -> int:
        return position.count_missing(_seq_of(position.buffered[0][0])) if position.buffered else 0

    def _fill_gap(self, position: ConversationPosition, response: ResponseFrame) -> bool:
        """Pass on the missing messages of a response; return False if it has none of them."""
        last = position.last
        position.set_absences(response.absent or ())
        for raw, delivery in parse_messages(response, position.conversation):
            seq = _seq_of(delivery)
            if (position.last or 0) < seq < _seq_of(position.buffered[0][0]):
                self._deliver_late(position, delivery, raw)
                position.advance(seq)
        return position.last != last

    def _deliver_late(self, position: ConversationPosition, delivery: MessageEvent, raw: dict[str, Any]) -> None:
        if self._is_own(delivery):
            if self._is_in_send_queue(delivery):
                return
        elif not position.gap_reported:
            position.gap_reported = True
            self._event_queue.put(GapDetected(position.conversation, self._gap_size(position), is_filled=True))
        self._deliver(delivery, encode(raw).rstrip())

    def _is_in_send_queue(self, delivery: MessageEvent) -> bool:
        """Return whether it may be a queued message whose response was lost: `Accepted` will report it."""
        about = (delivery.about or None, delivery.what or None)
        sent = (fold(delivery.to), delivery.message, *about)
        return any(
            (fold(message.to), message.text, message.about, message.what) == sent for message in self._send_queue
        )

    def _skip_gap(self, position: ConversationPosition) -> None:
        """Give a gap up: report the missing messages, and pass on those after it."""
        if missing := self._gap_size(position):
            self._event_queue.put(GapDetected(position.conversation, missing, is_filled=False))
        buffered = list(position.buffered)
        position.buffered.clear()
        if buffered:
            position.advance(_seq_of(buffered[0][0]) - 1)
        for delivery, frame in buffered:
            self.feed(delivery, frame)


def _event_of(delivery: MessageEvent, frame: bytes, *, is_own: bool) -> DeliveryEvent:
    if delivery.what:
        return MessageAmended(delivery, frame, is_own)
    if is_own:
        return MessageSentElsewhere(delivery, frame)
    return (BotMessageReceived if delivery.kind == "notice" else MessageReceived)(delivery, frame)


def _seq_of(delivery: MessageEvent) -> int:
    return delivery.seq or 0
