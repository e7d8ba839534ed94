"""The receiver: reads frames, turns them into events, and probes a silent server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import ReceivedFrame, ServerConnection
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import (
    Accepted,
    Deferred,
    Invited,
    MemberJoined,
    MemberLeft,
    MemberLetIn,
    MemberShutOut,
    MemberSilenced,
    MemberUnsilenced,
    MessageDelivered,
    Notice,
    PresenceChanged,
    ReadMarkerMoved,
    Rejected,
    RoleChanged,
    RoomClosedByOperator,
    RoomReopened,
    RulesChanged,
    SettingsChanged,
    Synced,
    TopicChanged,
)
from gmessenger.client.files import resolve_file_url
from gmessenger.client.heartbeat import MIN_SUSPEND, Heartbeat, Liveness, suspended_seconds
from gmessenger.client.request_retry import MIN_RETRY_DELAY
from gmessenger.client.requests import PendingRequests
from gmessenger.client.resequencer import Resequencer
from gmessenger.client.responses import error_from_response, is_error, is_retryable
from gmessenger.client.sender import OutgoingMessage, Sender, SendQueue
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    Banned,
    Kicked,
    LoggedInElsewhere,
    NameTaken,
    NotFound,
    PasswordRequired,
    RecipientGone,
    Refused,
)
from gmessenger.field_types import MAX_SEQ
from gmessenger.names import fold
from gmessenger.text import Text
from gmessenger.wire.encoder import encode
from gmessenger.wire.events import (
    CloseEvent,
    DeliveredEvent,
    InvitedEvent,
    JoinEvent,
    LeaveEvent,
    LetInEvent,
    MessageEvent,
    MovingEvent,
    OpenEvent,
    PresenceEvent,
    ProbeEvent,
    ProbeRequest,
    ReadEvent,
    ResponseFrame,
    RoleEvent,
    RuleEvent,
    ServerEvent,
    SettingsEvent,
    ShutOutEvent,
    SilenceEvent,
    SyncedEvent,
    TopicEvent,
    UnsilenceEvent,
)

PROBE_FRAME: Final = encode(ProbeRequest())
PROBE_REPLY: Final = encode({"response": 200})
FINAL_CODES: Final = frozenset(
    error.code
    for error in (LoggedInElsewhere, AccountDisabled, AccountDeleted, PasswordRequired, NameTaken, Kicked, Banned)
)
"""Errors that end the client: the server would refuse it again, or log it in as another user."""
ABSENT_CODES: Final = frozenset({NotFound.code, RecipientGone.code})
"""Errors for a recipient that is offline; after a reconnection it may be reconnecting, too."""
MIN_SERVER_ERROR: Final = 500
DEFAULT_RETRY_DELAY: Final = 1.0
"""Seconds until a message is sent again, if the server did not request a delay."""


class Receiver:
    """Reads the frames of one connection after another, in the greenlet that calls `run`.

    While the event queue is full it does not read, but keeps the connection alive. `on_resolved` is called with each
    message that has left the send queue.
    """

    def __init__(
        self,
        event_queue: EventQueue,
        send_queue: SendQueue,
        pending_requests: PendingRequests,
        resequencer: Resequencer,
        sender: Sender,
        timeouts: Timeouts,
        on_resolved: Callable[[OutgoingMessage], object],
    ) -> None:
        self._event_queue = event_queue
        self._send_queue = send_queue
        self._pending_requests = pending_requests
        self._resequencer = resequencer
        self._sender = sender
        self._timeouts = timeouts
        self._heartbeat = Heartbeat(timeouts, time.monotonic())
        self._suspended = suspended_seconds()
        self._on_resolved = on_resolved
        self._absence_final_at = 0.0
        self._reconnected = self._caught_up = False
        self.reconnect_after: float | None = None
        """Seconds after which to reconnect, if the server has announced that it closes the connection."""

    def run(self, connection: ServerConnection, *, reconnected: bool) -> NoReturn:
        """Read frames until the connection is lost; `reconnected` if it is not the client's first one. Blocks.

        Raises:
            OSError: the connection is lost, or the server is dead.
            Refused: the server has ended the session for good, for example because another login replaced it.
        """
        now = time.monotonic()
        self._heartbeat = Heartbeat(self._timeouts, now)
        self._absence_final_at = now + self._timeouts.absence_grace if reconnected else now
        self.reconnect_after = None
        self._reconnected, self._caught_up = reconnected, False
        while True:
            self._wait_for_room(connection)
            received = connection.read(self._read_timeout())
            if received is None:
                self._check_liveness()
            else:
                self._dispatch(received)

    def _wait_for_room(self, connection: ServerConnection) -> None:
        if self._event_queue.wait_for_room(0):
            return
        with connection.reading_paused():
            while not self._event_queue.wait_for_room(self._timeouts.probe_after):
                self._sender.send_now("probe", PROBE_FRAME)  # or the server would close the connection as dead
        self._heartbeat.on_reading_resumed(time.monotonic())

    def _read_timeout(self) -> float:
        timeout = self._heartbeat.next_check_at(self._send_queue.oldest_sent_at()) - time.monotonic()
        # Bounded, as a message that is sent meanwhile has its own deadline.
        return min(timeout, self._timeouts.response / 4)

    def _check_liveness(self) -> None:
        now, suspended = time.monotonic(), suspended_seconds()
        if suspended - self._suspended > MIN_SUSPEND:
            self._heartbeat.on_suspend(now)
        self._suspended = suspended
        liveness = self._heartbeat.check(now, self._send_queue.oldest_sent_at())
        if liveness is Liveness.DEAD:
            raise TimeoutError(Text("the server did not answer within {seconds:g} s", seconds=self._timeouts.response))
        if liveness is Liveness.PROBE:
            self._heartbeat.on_probe_sent(now)
            self._sender.send_now("probe", PROBE_FRAME)

    def _dispatch(self, received: ReceivedFrame) -> None:
        self._heartbeat.on_frame(time.monotonic())
        frame, event = received
        handler = FRAME_HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, frame)

    def _on_message(self, delivery: MessageEvent, frame: bytes) -> None:
        self._resequencer.feed(delivery, frame)

    def _on_read(self, event: ReadEvent, frame: bytes) -> None:
        self._event_queue.put(ReadMarkerMoved(event.target, event.seq))

    def _on_presence(self, event: PresenceEvent, frame: bytes) -> None:
        self._event_queue.put(PresenceChanged(event.user.account_name, event.user.status or "", event.user.note or ""))

    def _on_delivered(self, event: DeliveredEvent, frame: bytes) -> None:
        self._event_queue.put(MessageDelivered(event.target, event.seq))

    def _on_join(self, event: JoinEvent, frame: bytes) -> None:
        self._event_queue.put(MemberJoined(event.room, event.user.account_name))

    def _on_leave(self, event: LeaveEvent, frame: bytes) -> None:
        if fold(event.user.account_name) == self._resequencer.own_key:
            self._resequencer.forget(event.room)
        self._event_queue.put(MemberLeft(event.room, event.user.account_name, event.by, event.reason or ""))

    def _on_topic(self, event: TopicEvent, frame: bytes) -> None:
        self._event_queue.put(TopicChanged(event.room, event.user.account_name, event.topic))

    def _on_invited(self, event: InvitedEvent, frame: bytes) -> None:
        self._event_queue.put(Invited(event.room, event.sender))

    def _on_sanction(self, event: ShutOutEvent | SilenceEvent, frame: bytes) -> None:
        kind = MemberShutOut if isinstance(event, ShutOutEvent) else MemberSilenced
        self._event_queue.put(kind(event.room, event.user.account_name, event.by, event.reason or "", event.until))

    def _on_sanction_lifted(self, event: LetInEvent | UnsilenceEvent, frame: bytes) -> None:
        kind = MemberLetIn if isinstance(event, LetInEvent) else MemberUnsilenced
        self._event_queue.put(kind(event.room, event.user.account_name, event.by))

    def _on_rules(self, event: RuleEvent, frame: bytes) -> None:
        self._event_queue.put(RulesChanged(event.room, event.user.account_name, event.changes))

    def _on_role(self, event: RoleEvent, frame: bytes) -> None:
        self._event_queue.put(RoleChanged(event.room, event.user.account_name, event.role, event.by))

    def _on_room_closed(self, event: CloseEvent, frame: bytes) -> None:
        self._event_queue.put(RoomClosedByOperator(event.room, event.user.account_name, event.reason or ""))

    def _on_room_opened(self, event: OpenEvent, frame: bytes) -> None:
        self._event_queue.put(RoomReopened(event.room, event.user.account_name))

    def _on_settings(self, event: SettingsEvent, frame: bytes) -> None:
        self._event_queue.put(SettingsChanged(event.settings))

    def _on_synced(self, event: SyncedEvent, frame: bytes) -> None:
        # The server repeats it when it had to catch up a slow connection; only the first one ends the login.
        if not self._caught_up:
            self._caught_up = True
            self._event_queue.put(Synced(self._resequencer.received_count, self._reconnected))

    def _on_probe(self, event: ProbeEvent, frame: bytes) -> None:
        self._sender.send_now("here", PROBE_REPLY)

    def _on_moving(self, event: MovingEvent, frame: bytes) -> None:
        self.reconnect_after = event.retry_in
        self._sender.pause()
        self._heartbeat.on_server_closing(time.monotonic())

    def _on_response(self, response: ResponseFrame, frame: bytes) -> None:
        message = self._send_queue.find(response.id) if response.id is not None else None
        if message is not None:
            self._on_message_response(message, response)
        elif response.id is None and response.code in FINAL_CODES:
            error = error_from_response(response)
            raise Refused(str(error)) from error
        elif not (self._resequencer.handle_response(response) or self._pending_requests.resolve(response)) and is_error(
            response
        ):
            self._event_queue.put(Notice(str(error_from_response(response))))

    def _on_message_response(self, message: OutgoingMessage, response: ResponseFrame) -> None:
        now = time.monotonic()
        may_retry = is_retryable(response) or (response.code in ABSENT_CODES and now < self._absence_final_at)
        if may_retry and not self._is_defer_expired(message, response, now):
            self._defer(message, response, now)
        else:
            self._send_queue.resolve(message.id)
            if response.seq is not None and 0 < response.seq <= MAX_SEQ and not is_error(response):
                self._resequencer.on_sent(message.to, response.seq)
            resolve_file_url(response, self._resequencer.files_url)
            self._event_queue.put((Rejected if is_error(response) else Accepted)(message, response))
            self._on_resolved(message)
        self._sender.wake()

    def _is_defer_expired(self, message: OutgoingMessage, response: ResponseFrame, now: float) -> bool:
        # An account's message may be sent again for longer if the server fails: it stores the message once.
        is_outage = self._resequencer.is_account and response.response >= MIN_SERVER_ERROR
        longest = self._timeouts.max_outage if is_outage else self._timeouts.max_defer
        return message.deferred_at is not None and now - message.deferred_at >= longest

    def _defer(self, message: OutgoingMessage, response: ResponseFrame, now: float) -> None:
        """Send a message again after the requested delay, or a quarter of the time that it is deferred already."""
        requested = DEFAULT_RETRY_DELAY if response.retry_after is None else response.retry_after
        delay = min(max(requested, MIN_RETRY_DELAY), self._timeouts.max_defer)
        deferred_for = now - (message.deferred_at or now)
        delay = max(delay, min(deferred_for / 4, self._timeouts.max_backoff))
        if message.deferred_at is None:
            self._event_queue.put(Deferred(message, str(error_from_response(response)), delay))
        self._send_queue.defer(message, now, delay)


FRAME_HANDLERS: Final[dict[type[ServerEvent], Callable[[Receiver, Any, bytes], None]]] = {
    ResponseFrame: Receiver._on_response,
    MessageEvent: Receiver._on_message,
    DeliveredEvent: Receiver._on_delivered,
    ReadEvent: Receiver._on_read,
    PresenceEvent: Receiver._on_presence,
    JoinEvent: Receiver._on_join,
    LeaveEvent: Receiver._on_leave,
    TopicEvent: Receiver._on_topic,
    InvitedEvent: Receiver._on_invited,
    ShutOutEvent: Receiver._on_sanction,
    SilenceEvent: Receiver._on_sanction,
    LetInEvent: Receiver._on_sanction_lifted,
    UnsilenceEvent: Receiver._on_sanction_lifted,
    RuleEvent: Receiver._on_rules,
    RoleEvent: Receiver._on_role,
    CloseEvent: Receiver._on_room_closed,
    OpenEvent: Receiver._on_room_opened,
    SettingsEvent: Receiver._on_settings,
    SyncedEvent: Receiver._on_synced,
    ProbeEvent: Receiver._on_probe,
    MovingEvent: Receiver._on_moving,
}
"""The handler of each kind of frame; others, of a later version of the protocol, are ignored."""
