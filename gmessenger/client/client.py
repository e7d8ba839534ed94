"""Waiting for the outbox: until there is room in it, or until everything in it was answered.

The link: a name's line to a server, as bots and the terminal hold it in their hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gevent.event import Event
from gevent.queue import Full

from gmessenger.client.config import Timeouts, TlsConfig
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import ChatEvent, MessageReceived, MessageSentElsewhere, make_connected, reject_too_long
from gmessenger.client.handshake import Handshake
from gmessenger.client.journal import UnsentJournal
from gmessenger.client.receiver import Receiver
from gmessenger.client.reconnect import Reconnector
from gmessenger.client.requests import ChatRequests, PendingRequests
from gmessenger.client.sender import OutgoingMessage, Sender, SendQueue, is_too_large, make_message
from gmessenger.client.sequencing import AckBatcher, Resequencer, conversation_name
from gmessenger.errors import AccountDeleted, Refused, Unreachable
from gmessenger.names import fold
from gmessenger.text import Text
from gmessenger.wire.events import ForgetRequest, RegisterRequest, Request, ResponseFrame


class SendCapacity:
    """At most `size` messages wait. Who waits here is let go when the link has ended, and may overfill the inbox."""

    def __init__(self, event_queue: EventQueue, send_queue: SendQueue, size: int) -> None:
        self._event_queue = event_queue
        self._send_queue = send_queue
        self._size = size
        self._has_room = Event()
        self._empty = Event()
        self.update()

    def update(self) -> None:
        """Let those go on who wait for what has come about."""
        for event, due in (
            (self._has_room, len(self._send_queue) < self._size),
            (self._empty, not len(self._send_queue)),
        ):
            if due or self._event_queue.closed:
                event.set()
            else:
                event.clear()

    def wait(self, timeout: float) -> None:
        """Wait for room. Raises `gevent.queue.Full` when there was none for so many seconds."""
        with self._event_queue.extended():
            if not self._has_room.wait(timeout):
                raise Full

    def wait_for_empty(self, timeout: float) -> None:
        with self._event_queue.extended():
            self._empty.wait(timeout)


class Client(ChatRequests):
    """A name on a server, for as long as it can be kept there.

        with Client("127.0.0.1", 7777, "echo") as client:
            for event in client:
                if isinstance(event, MessageReceived):
                    client.send(event.delivery.sender, event.delivery.message)

    Iterating yields a `ChatEvent` after another; it ends when the link is closed, and raises `Refused` or `Unreachable`
    when no line will come any more. A lost line is not the end: the link comes back by itself and sends again what was
    not answered, so a message reaches the server at least once, and twice only where an answer was lost on the way.

    An account's messages come once, in order and without holes, to each of its devices: what the owner was given counts
    as done with when it comes for the next event, calls `ack`, or closes the link, and is acknowledged then. What an
    owner that failed, or called `abort`, had not finished with comes again to the next link on the same `device`,
    unless `receive_messages` is off: then an account is sent no messages, whoever they are from.

    With an `unsent_file` an account's messages outlive the process: what was not answered is sent by the next link with
    that file, by the same ids, which the server stores once. (To the same `device`, that is. Of a guest nothing is
    kept: the server would take a message that it has for a new one.)

    With `tls` the connection is encrypted and its server's certificate verified; the link ends with
    `CertificateNotTrusted` (which is `Refused`) where that fails, also on a reconnect. Without it, a password is sent
    to this machine only, unless `plain_passwords`.

    An owner that stops iterating is not sent more than about `event_queue_size` events: receiving pauses, and the
    connection is kept alive. Everything may be called from any greenlet, also while another one iterates.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        *,
        password: str | None = None,
        device: str | None = None,
        tls: TlsConfig | None = None,
        plain_passwords: bool = False,
        receive_messages: bool = True,
        unsent_file: Path | None = None,
        timeouts: Timeouts | None = None,
        send_queue_size: int = 1000,
        event_queue_size: int = 256,
    ) -> None:
        super().__init__()
        self.name = name
        self.limits: Mapping[str, Any] = {}
        """The server's own words: `frame` in bytes, `text` in characters, and so on."""
        self._timeouts = timeouts or Timeouts()
        self._event_queue = EventQueue(event_queue_size)
        self._send_queue = SendQueue()
        self._send_capacity = SendCapacity(self._event_queue, self._send_queue, send_queue_size)
        self._pending_requests = PendingRequests()
        self._sender = Sender(self._send_queue, self._timeouts)
        self._ack_batcher = AckBatcher(self._sender)
        self._resequencer = Resequencer(
            name, self._event_queue, self._send_queue, self._sender, self._ack_batcher, self._timeouts
        )
        receiver = Receiver(
            self._event_queue,
            self._send_queue,
            self._pending_requests,
            self._resequencer,
            self._sender,
            self._timeouts,
            self._on_resolved,
        )
        self._handshake = Handshake(
            host, port, name, self._timeouts, password, device, tls, plain_passwords, receive_messages
        )
        self._reconnector = Reconnector(
            self._handshake,
            self._timeouts,
            self._event_queue,
            self._sender,
            receiver,
            on_connected=self._on_connected,
            on_closed=self._finish,
        )
        self._journal = UnsentJournal(unsent_file, self._event_queue, self._send_queue)
        self._last_event: ChatEvent | None = None
        self._erasing = False
        self.is_erased = False
        """Whether the account was erased because `forget` asked for it."""

    def start(self, password: str | None = None) -> None:
        """Connect and log in, with a password where another one or none was given before.

        Raises `Unreachable` (nobody there, or no room) or `Refused` (not under this name, or not with this password;
        its cause is the server's `WireError`), and may then be tried again.
        """
        if password:
            self._handshake.set_password(password)
        self._reconnector.start()

    def close(self) -> None:
        """Say goodbye and end; what is unanswered is given up (`flush` first). Does no harm twice."""
        self.ack()
        self.abort()

    def abort(self) -> None:
        """The same, but the event that was given last is not done with."""
        self._reconnector.stop(self._ack_batcher.encode_all())
        self._journal.close()
        self._finish(None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatEvent:
        self.ack()
        event = self._event_queue.get()
        if event is None:
            raise StopIteration
        self._last_event = event
        return event

    def ack(self) -> None:
        """The event that was given last is done with. Whoever may be closed at any time had better say so at once."""
        event, self._last_event = self._last_event, None
        if isinstance(event, MessageReceived | MessageSentElsewhere) and event.delivery.seq:
            self._ack_batcher.ack(conversation_name(event.delivery, fold(self.name)), event.delivery.seq)

    @property
    def connected(self) -> bool:
        """Whether the line is up; if not, what is sent waits for it."""
        return self._reconnector.connected

    @property
    def can_send_password(self) -> bool:
        """Whether a password may be sent: the line is encrypted, or stays on this machine, or `plain_passwords`."""
        return self._handshake.is_confidential

    @property
    def closed(self) -> bool:
        """Whether no line will come any more: the link was closed, or ended with an error."""
        return self._event_queue.closed

    @property
    def pending_count(self) -> int:
        """How many messages the server has not answered yet."""
        return len(self._send_queue)

    def send(self, to: str, text: str, timeout: float = 0.0) -> OutgoingMessage:
        """Have a message sent; what becomes of it is told by an `Accepted` or `Rejected` with that message.

        An account's message is in the `unsent_file`, if there is one, when this returns.

        Raises `gevent.queue.Full` when the outbox is, and still is after `timeout` seconds; `BadText` for text that
        UTF-8 cannot say; and what the link ended with, or `Unreachable`, when it has ended.
        """
        message = make_message(to, text)
        self._send_capacity.wait(timeout)
        self._require_open()
        if is_too_large(message, self._max_frame):
            self._event_queue.put(reject_too_long(message, self._max_frame))
        else:
            self._journal.add(message)
            self._send_queue.add(message)
            self._send_capacity.update()
            self._sender.wake()
        return message

    @property
    def is_durable(self) -> bool:
        """Whether all that is unanswered when this process ends is sent by the next one."""
        return self._journal.holds_all_pending

    def flush(self, timeout: float) -> int:
        """Wait until everything is answered, for at most so long; returns how many messages are not."""
        self._send_capacity.wait_for_empty(timeout)
        return len(self._send_queue)

    def register(self, password: str, invite: str | None = None) -> None:
        """Take the guest's name for ever. Raises as every question does."""
        answer = self._request(RegisterRequest(password=password, invite=invite))
        self._handshake.set_credentials(password, answer.session)
        self.registration = None
        self._resequencer.on_registered()
        self._set_account(is_account=True)

    def erase_account(self, password: str) -> None:
        self._erasing = True
        try:
            super().erase_account(password)
        except BaseException:
            self._erasing = False
            raise
        self.is_erased = True
        for message in list(self._send_queue):  # or the next owner of the name would say it
            self._send_queue.resolve(message.id)
            self._on_resolved(message)

    def leave(self, room: str) -> None:
        super().leave(room)
        self._resequencer.forget(room)

    def _request_once(self, request: Request) -> ResponseFrame:
        self._require_open()
        if isinstance(request, RegisterRequest | ForgetRequest):
            self._handshake.require_confidential()
        id, frame = self._pending_requests.add(request)
        self._sender.send_now(id, frame)
        with self._event_queue.extended():
            return self._pending_requests.wait(id, self._timeouts.response)

    def _send_without_response(self, key: str, frame: bytes) -> None:
        self._require_open()
        self._sender.send_now(key, frame)

    @property
    def _max_frame(self) -> float:
        return limit if isinstance(limit := self.limits.get("frame"), int) else float("inf")

    def _on_connected(self, response: ResponseFrame, reconnected: bool) -> None:
        if self._resequencer.is_account and response.account is not True:
            # Its name would do as a guest's; but what is to be said in the account's name is not a guest's to say.
            raise Refused(Text("The account {name} no longer exists.", name=self.name)) from AccountDeleted()
        self.limits = response.limits or {}
        self.registration = response.registration if self._handshake.is_confidential else None
        self._send_queue.rate_limiter.set_limits(self.limits)
        self._set_account(is_account=response.account is True)
        anew = (
            self._resequencer.reset(is_account=self.is_account, token=response.session, store=response.store)
            and reconnected
        )
        self._event_queue.put(make_connected(response, reconnected, anew))
        for message in self._send_queue.larger_than(self._max_frame):
            self._send_queue.resolve(message.id)
            self._on_resolved(message)
            self._event_queue.put(reject_too_long(message, self._max_frame))
        for what, frame in (
            self._state_to_restore(seqs_reset=anew) | self._pending_requests.unanswered_frames()
        ).items():
            self._sender.send_now(what, frame)
        self._send_capacity.update()

    def _set_account(self, *, is_account: bool) -> None:
        self.is_account = is_account
        self._ack_batcher.set_account(is_account)
        self._journal.set_account(is_account)
        self._sender.wake()

    def _on_resolved(self, message: OutgoingMessage) -> None:
        self._journal.remove(message)
        self._send_capacity.update()

    def _finish(self, error: Exception | None) -> None:
        self._event_queue.close(None if self._is_requested_erasure(error) else error)
        self._pending_requests.fail(self._closing_error())
        self._send_capacity.update()

    def _is_requested_erasure(self, error: Exception | None) -> bool:
        """Whether the end is the one that was asked for."""
        return self._erasing and error is not None and isinstance(error.__cause__, AccountDeleted)

    def _closing_error(self) -> Exception:
        return self._event_queue.error or Unreachable(Text("The link is closed."))

    def _require_open(self) -> None:
        if self._event_queue.closed:
            raise self._closing_error()
