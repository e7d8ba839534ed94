"""Empties the outbox of a session: its events as lines of IRC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gmessenger.chat.outbound import (
    BacklogSkipped,
    CatchUpDone,
    EncodedFrames,
    EndOfStream,
    Message,
    MessageBatch,
    ReadReceipt,
    RelayedText,
    Response,
    Signal,
    TextBatch,
)
from gmessenger.chat.room_events import RoomEvent
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.irc.acknowledgements import AckTracker
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import message_refusal, redaction_refusal
from gmessenger.server.irc.event_lines import EVENT_LINES
from gmessenger.server.irc.handler import IrcHandler, IrcMessage
from gmessenger.server.irc.messages import FORM, MessageFormatter
from gmessenger.server.irc.playback import Playback
from gmessenger.server.irc.read_marks import ReadReceiptReader
from gmessenger.server.irc.replies import Reply, ReplyBuffer, closing_link
from gmessenger.server.irc.response_groups import answer_in_group
from gmessenger.server.irc.room_views import LateNames
from gmessenger.server.irc.user_views import HEARS_OPERATORS


class OutboxEncoder:
    """Writes what a session is sent. Called by the writer, in a callback of the loop: nothing here blocks."""

    __slots__ = ("_acks", "_formatter", "_handler", "_names", "_receipts", "_returning", "playback")

    def __init__(self, handler: IrcHandler, acks: AckTracker) -> None:
        self._handler = handler
        self._acks = acks
        self._formatter = MessageFormatter(handler.network)
        self._returning: dict[str, IrcMessage] = {}
        """Messages with a label that were stored, and come back to their sender."""
        self.playback = Playback(handler)
        self._receipts = ReadReceiptReader(handler)
        self._names = LateNames(handler)

    def start(self) -> None:
        """Write the events of the handler's session from now on; the first are what it has missed."""
        session, can_ask = self._handler.session, Capability.CHATHISTORY in self._handler.capabilities
        if session is not None and session.account is not None and not can_ask:
            self.playback.start()
        if self._handler.session is not None:
            self._handler.session.on_change_made = self._show_own_change
        self._handler.is_writing_outbox = True
        writer = self._handler.connection.writer
        writer.set_source(self.encode_pending)
        writer.schedule()

    def _show_own_change(self, event: RoomEvent) -> None:
        """Answer a command with the line of what it has changed, in its place among the events of others.

        A command to join is answered with the names in the room as well.
        """
        if event.action == "join" or event.quit:
            return
        for line in EVENT_LINES[RoomEvent](self._handler, event):
            self._handler.add(line)
        self._handler.flush_replies()

    def encode_pending(self) -> bytes:
        """Empty the outbox and return its lines; at the end of the stream, close the connection."""
        session = self._handler.session
        if session is None:
            return b""
        form = self._handler.bits & FORM
        lines = []
        for event in session.outbox.drain():
            if type(event) is RelayedText and not form:  # the commonest event, which takes the shortest way
                lines.append(self._formatter.encode_plain(event, event.is_line) or self._encode(event))
            else:
                lines.append(self._encode(event))
        return b"".join(lines)

    def _encode(self, event: Any) -> bytes:
        if (encode := EVENT_ENCODERS.get(type(event))) is not None:
            return encode(self, event)
        return _join(map(self._handler.with_account, EVENT_LINES[type(event)](self._handler, event)))

    def encode_message(self, message: Message) -> bytes:
        """Return the lines of a message."""
        if message.seq is not None:
            self._acks.note_written(message)
            if self._handler.is_own(message.id):
                return self._encode_own(message, self._returning.pop(message.id or "", None))
            if self.playback.is_active:
                return _join(self.playback.add(message, self._formatter))
        return self._formatter.encode(message, self._handler.bits)

    def _encode_own(self, message: Message, sent: IrcMessage | None) -> bytes:
        """Return the lines of a message of this connection: its echo, and what it has written to itself."""
        echo = delivered = b""
        if Capability.ECHO_MESSAGE in self._handler.capabilities:
            echo = self._answer(sent, self._formatter.replies(message, self._handler.capabilities))
        if fold(message.to) == self._handler.key:
            delivered = self._formatter.encode(message, self._handler.bits)
        return echo + delivered

    def encode_batch(self, batch: MessageBatch) -> bytes:
        """Return the lines of messages that were committed together."""
        session = self._handler.session
        hears_itself = session is not None and session.hears_itself
        if self.playback.is_active or hears_itself or self._has_note(batch):
            return b"".join([self.encode_message(message) for message in batch.messages])
        self._acks.note_written(batch.messages[-1])
        return self._formatter.encode_batch(batch, self._handler.bits)

    def _has_note(self, batch: MessageBatch) -> bool:
        """Return whether this connection has written some of the messages to its own name."""
        messages, is_own = batch.messages, self._handler.is_own
        return messages[0].to[:1] != ROOM_PREFIX and any(is_own(message.id) for message in messages)

    def encode_relayed(self, relayed: RelayedText) -> bytes:
        """Return the lines of a text that is not stored."""
        message = Message(relayed.sender, relayed.to, relayed.text, relayed.time)
        return _join(self._formatter.replies(message, self._handler.capabilities))

    def encode_texts(self, batch: TextBatch) -> bytes:
        """Return the lines of texts that are not stored."""
        return self._formatter.encode_texts(batch, self._handler.bits)

    def note_receipt(self, receipt: ReadReceipt) -> bytes:
        """Have the client told, once it is known when that was written."""
        self._receipts.note(receipt)
        return b""

    def encode_room_event(self, event: RoomEvent) -> bytes:
        """Return the lines of a change in a room; the names of many follow where another device has joined it."""
        handler = self._handler
        lines = EVENT_LINES[RoomEvent](handler, event)
        if event.action == "join" and fold(event.name) == handler.key:
            room = handler.messenger.rooms.get(fold(event.room))
            if room is not None:
                self._names.note_join(room)
        return _join(map(handler.with_account, lines))

    def encode_signal(self, signal: Signal) -> bytes:
        """Return the line of what a client tells others beside messages."""
        if signal.to == BROADCAST_TARGET and HEARS_OPERATORS not in self._handler.card.modes:
            return b""
        return self._formatter.encode_signal(signal, self._handler.capabilities)

    def encode_response(self, response: Response) -> bytes:
        """Return what the sender of a message is told, of its success or failure."""
        handler, id = self._handler, response.id or ""
        sent = handler.sent.pop(id, None)
        if sent is None:
            return b""
        if response.error is not None:
            if sent.msgid:
                return self._answer(sent, [redaction_refusal(handler, sent.target, sent.msgid, response.error)])
            return self._answer(sent, [message_refusal(handler, sent.command, sent.target, response.error)])
        has_echo = sent.is_echoed and Capability.ECHO_MESSAGE in handler.capabilities
        is_delivered = response.seq is not None and not self._is_outside(sent.target)
        if has_echo and is_delivered:
            if sent.label is not None or sent.group is not None:
                self._returning[id] = sent
            return b""
        acknowledged = b"" if has_echo else self._answer(sent, [])
        if not is_delivered:  # relayed and not stored, or in a room that it is not in: it does not come back
            message = Message(handler.nick, sent.target, sent.text, response.time, kind=sent.kind, tags=sent.tags)
            message.seq = response.seq
            return acknowledged + self._encode_own(message, sent)
        return acknowledged

    def _is_outside(self, target: str) -> bool:
        """Return whether the session is not in a room that was written to."""
        if target[:1] != ROOM_PREFIX:
            return False
        session, room = self._handler.session, self._handler.messenger.rooms.get(fold(target))
        return room is None or session is None or not room.has_member(session)

    def end_playback(self, event: CatchUpDone) -> bytes:
        """Return the end of what was missed."""
        self._handler.note_caught_up()
        return _join(self.playback.end())

    def skip_backlog(self, event: BacklogSkipped) -> bytes:
        """Return the notice that older messages are left out."""
        return _join(self.playback.skip(event))

    def end_stream(self, event: EndOfStream) -> bytes:
        """Close the connection once all is written; send the reason first if the client has not been told it."""
        handler = self._handler
        handler.connection.close_gracefully("left")
        return closing_link(handler.farewell).encode() if handler.farewell and not handler.is_closing else b""

    def _answer(self, sent: IrcMessage | None, lines: list[Reply]) -> bytes:
        """Return lines as the answer to what was sent, with its label, or in the batch that has it."""
        label = sent.label if sent is not None else None
        if not lines and label is None and (sent is None or sent.group is None):
            return b""
        if sent is not None and sent.group is not None:
            return _join(answer_in_group(self._handler, sent.group, lines))
        if lines and label is not None and (len(lines) == 1 or lines[0].command == "BATCH"):
            lines[0].tags = {"label": label, **lines[0].tags}
            return _join(lines)
        buffer = ReplyBuffer(self._handler.network.server_name, label, self._handler.network.next_batch())
        for line in lines:
            buffer.add(line)
        return buffer.finish()


EVENT_ENCODERS: Final[dict[type, Callable[[OutboxEncoder, Any], bytes]]] = {
    Message: OutboxEncoder.encode_message,
    MessageBatch: OutboxEncoder.encode_batch,
    RelayedText: OutboxEncoder.encode_relayed,
    TextBatch: OutboxEncoder.encode_texts,
    EncodedFrames: lambda encoder, event: event.data,
    RoomEvent: OutboxEncoder.encode_room_event,
    Signal: OutboxEncoder.encode_signal,
    ReadReceipt: OutboxEncoder.note_receipt,
    Response: OutboxEncoder.encode_response,
    CatchUpDone: OutboxEncoder.end_playback,
    BacklogSkipped: OutboxEncoder.skip_backlog,
    EndOfStream: OutboxEncoder.end_stream,
}
"""The events that need more than the handler to be written."""


def _join(lines: Iterable[Reply]) -> bytes:
    return b"".join([line.encode() for line in lines])
