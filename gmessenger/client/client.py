"""The client: one name's session on a server, as bots and the terminal client use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gevent.event import Event
from gevent.queue import Full

from gmessenger import field_types as fields
from gmessenger.client.amendments import AmendmentSender
from gmessenger.client.config import Timeouts, TlsConfig
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import (
    ChatEvent,
    DeliveryEvent,
    Rejected,
    make_connected,
    reject_too_long,
    reject_unknown_to_server,
)
from gmessenger.client.files import FILE_FEATURE, FileSender
from gmessenger.client.handshake import Handshake
from gmessenger.client.journal import UnsentJournal
from gmessenger.client.receiver import Receiver
from gmessenger.client.reconnect import Reconnector
from gmessenger.client.requests import ChatRequests, PendingRequests
from gmessenger.client.resequencer import AckBatcher, Resequencer
from gmessenger.client.sender import OutgoingMessage, Sender, SendQueue, is_too_large, make_message
from gmessenger.errors import AccountDeleted, AccountsOnly, PasswordRequired, Refused, Unreachable, WireError
from gmessenger.text import Text
from gmessenger.wire.events import ForgetRequest, PasswordRequest, RegisterRequest, Request, ResponseFrame

if TYPE_CHECKING:
    from gmessenger.client.uploads import FileUploader


class SendCapacity:
    """Block callers while `size` messages are in the send queue, or until it is empty.

    Waiting ends, too, when the client is closed. Meanwhile the event queue may hold twice as many events.
    """

    def __init__(self, event_queue: EventQueue, send_queue: SendQueue, size: int) -> None:
        self._event_queue = event_queue
        self._send_queue = send_queue
        self._size = size
        self._has_room = Event()
        self._empty = Event()
        self.update()

    def update(self) -> None:
        """Wake the callers whose condition holds now; called after every change of the send queue."""
        for event, is_due in (
            (self._has_room, len(self._send_queue) < self._size),
            (self._empty, not len(self._send_queue)),
        ):
            if is_due or self._event_queue.closed:
                event.set()
            else:
                event.clear()

    def wait(self, timeout: float) -> None:
        """Wait until there is room. Raises `gevent.queue.Full` if there is none within `timeout` seconds."""
        with self._event_queue.extended():
            if not self._has_room.wait(timeout):
                raise Full

    def wait_for_empty(self, timeout: float) -> None:
        """Wait until the send queue is empty, for at most `timeout` seconds."""
        with self._event_queue.extended():
            self._empty.wait(timeout)


class Client(ChatRequests, AmendmentSender, FileSender):
    """A session under one name on a server, which reconnects by itself.

        with Client("127.0.0.1", 7777, "echo") as client:
            for event in client:
                if isinstance(event, MessageReceived):
                    client.send(event.delivery.sender, event.delivery.message)

    Iterating yields `ChatEvent`s. It ends when the client is closed, and raises `Refused` or `Unreachable` when the
    client cannot come back. After a lost connection the client reconnects and sends again what was not answered: a
    message reaches the server at least once, and twice only if a response was lost.

    Each device of an account gets the account's messages once, in order and without gaps. A message counts as handled,
    and is acknowledged, when the next event is requested, on `ack`, and on `close`. A message that was not handled,
    because the program failed or called `abort`, comes again to the next client on the same `device`. With
    `receive_messages` off, an account gets no messages at all.

    With an `unsent_file` an account's unanswered messages survive the process: the next client with that file and the
    same `device` sends them under the same ids, so the server stores each once. Messages of guests are not kept, since
    the server could not recognise them.

    With `tls` the connection is encrypted and the server's certificate verified; if that fails, also on a reconnect,
    the client ends with `CertificateNotTrusted` (a `Refused`). Without `tls` a password is sent only to this machine,
    unless `plain_passwords` is set.

    While the program does not iterate, about `event_queue_size` events are queued; then reading from the connection
    pauses, and the connection is kept alive. All methods may be called from any greenlet, also while another one
    iterates; methods that send a request block the calling greenlet until the response.
    """

    def __init__(
        self,
        host: str,
        port: int = 0,
        name: str = "",
        *,
        password: str | None = None,
        device: str | None = None,
        tls: TlsConfig | None = None,
        plain_passwords: bool = False,
        receive_messages: bool = True,
        unsent_file: Path | None = None,
        invite: str | None = None,
        timeouts: Timeouts | None = None,
        send_queue_size: int = 1000,
        event_queue_size: int = 256,
    ) -> None:
        """Prepare a client, which `start` connects.

        host: a name, an address, or the URL of a server's WebSocket: `Client("wss://HOST/jim", name="echo")`.
        port: 0 for the default one: 7777, with `tls` 7778, or that of the URL.
        invite: what registers the name where the server asks for an invite; by default `#invite=…` of the URL.

        Raises `UsageError` if the URL is none, or contradicts `port` or `tls`, and `FileError` if a file of `tls`
        cannot be used.
        """
        super().__init__()
        self.name = name
        self.limits: Mapping[str, Any] = {}
        """The server's limits under its own names: `frame` in bytes, `text` in characters, and so on."""
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
        self._endpoint = endpoint = ServerEndpoint(host, port, tls)
        self.registration_invite = invite or endpoint.invite
        """The invite with which the name is registered, unless the call has another one."""
        self._handshake = Handshake(endpoint, name, self._timeouts, password, device, plain_passwords, receive_messages)
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
        self._requested_end: type[WireError] | None = None
        self.is_erased = False
        """Whether the account was erased by `erase_account`."""

    def start(self, password: str | None = None) -> None:
        """Connect and log in, with `password` instead of the constructor's if it is given. May be retried.

        Raises `Unreachable` if no server responds or it has no room, and `Refused` if it refuses the name or password;
        the cause is its `WireError`.
        """
        if password:
            self._handshake.set_password(password)
        self._reconnector.start()

    def start_registered(self, password: str, invite: str | None = None) -> None:
        """Connect, register the name and log in as its account, in one go; also where guests are refused.

        Without an `invite`, that of the constructor is used. Raises as `start`.
        """
        self._handshake.set_registration((password, invite or self.registration_invite))
        try:
            self._reconnector.start()
        finally:
            self._handshake.set_registration(None)

    def close(self) -> None:
        """Acknowledge the last event, log out and disconnect; may be called again.

        Unanswered messages are dropped unless they are in the `unsent_file`: call `flush` first.
        """
        self.ack()
        self.abort()

    def abort(self) -> None:
        """Close without acknowledging the last event, so that its message comes again."""
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
        """Mark the last event as handled, before the next one is requested; for programs that may be killed."""
        event, self._last_event = self._last_event, None
        if isinstance(event, DeliveryEvent) and event.delivery.seq:
            self._ack_batcher.ack(event.conversation, event.delivery.seq)

    @property
    def connected(self) -> bool:
        """Whether the client is logged in; if not, messages and requests wait for the reconnection."""
        return self._reconnector.connected

    @property
    def can_send_password(self) -> bool:
        """Whether a password may be sent: over TLS, to this machine, or with `plain_passwords`."""
        return self._handshake.is_confidential

    @property
    def closed(self) -> bool:
        """Whether the client has ended: it was closed, or cannot come back."""
        return self._event_queue.closed

    @property
    def pending_count(self) -> int:
        """The number of messages that the server has not answered yet."""
        return len(self._send_queue)

    def send(
        self,
        to: str,
        text: str,
        timeout: float = 0.0,
        *,
        about: int | None = None,
        what: fields.What | None = None,
        kind: fields.Kind | None = None,
        file: str | None = None,
    ) -> OutgoingMessage:
        """Queue a message to a name or room; an `Accepted` or `Rejected` event with it tells the result.

        `kind` is `action` for what one does, or `notice` for what no program answers. `about` is the seq of an earlier
        message, for which there are `reply`, `edit`, `erase`, `react` and `unreact`. `file` is the id of a file that
        `upload` has returned; `send_file` does both.

        An account's message is in the `unsent_file`, if there is one, when this returns. Blocks for that, and for at
        most `timeout` seconds while the send queue is full.

        Raises `gevent.queue.Full` if the queue is still full then, `BadText` for what UTF-8 cannot represent, and if
        the client has ended, the error that it ended with, or `Unreachable`.
        """
        message = make_message(to, text, about, what, kind, file=file)
        self._send_capacity.wait(timeout)
        self._require_open()
        if is_too_large(message, self._max_frame):
            self._event_queue.put(reject_too_long(message, self._max_frame))
        elif not self._may_send(message):
            self._event_queue.put(reject_unknown_to_server(message))
        else:
            self._journal.add(message)
            self._send_queue.add(message)
            self._send_capacity.update()
            self._sender.wake()
        return message

    def _make_uploader(self) -> FileUploader:
        from gmessenger.client.uploads import FileUploader  # loads slowly, and few clients upload

        self._require_open()
        if not self.is_account:
            raise AccountsOnly
        return FileUploader(self.files_url, self._endpoint, self._handshake.token, self._timeouts)

    @property
    def is_durable(self) -> bool:
        """Whether all unanswered messages are in the `unsent_file`, so that the next process will send them."""
        return self._journal.holds_all_pending

    def flush(self, timeout: float) -> int:
        """Wait until all messages are answered, for at most `timeout` seconds; return how many are not."""
        self._send_capacity.wait_for_empty(timeout)
        return len(self._send_queue)

    def register(self, password: str, invite: str | None = None) -> None:
        """Make the guest's name an account. Raises as all requests do, and `InsecureTransport`.

        Without an `invite`, that of the constructor is used.
        """
        response = self._request(RegisterRequest(password=password, invite=invite or self.registration_invite))
        self._handshake.set_credentials(password, response.session)
        self.registration = None
        self._resequencer.on_registered()
        self._set_account(is_account=True)

    def change_password(self, old: str, new: str) -> None:
        super().change_password(old, new)
        self._handshake.set_password(new)
        self.must_change_password = False

    def replace_password(self, new: str) -> None:
        """Change the password with which the client logged in, such as a one-time password. Raises as all requests."""
        self.change_password(self._handshake.password or "", new)

    def log_out(self) -> None:
        """Log out this device, and end the client: the next login needs the password. Raises `AccountsOnly`, too."""
        own = next((device.name for device in self.devices() if device.is_this), None)
        if own is None:
            raise AccountsOnly
        with self._ending_by(PasswordRequired):
            self.drop_device(own)

    def erase_account(self, password: str) -> None:
        with self._ending_by(AccountDeleted):
            super().erase_account(password)
        self.is_erased = True
        for message in list(self._send_queue):  # or they would be sent by the next user of the name
            self._send_queue.resolve(message.id)
            self._on_resolved(message)

    @contextmanager
    def _ending_by(self, error: type[WireError]) -> Iterator[None]:
        """Within the block a request is made after which the server ends the session by this error."""
        self._requested_end = error
        try:
            yield
        except BaseException:
            self._requested_end = None
            raise

    def leave(self, room: str) -> None:
        super().leave(room)
        self._resequencer.forget(room)

    def _request_once(self, request: Request) -> ResponseFrame:
        self._require_open()
        if isinstance(request, RegisterRequest | PasswordRequest | ForgetRequest):
            self._handshake.require_confidential()
        id, frame = self._pending_requests.add(request)
        self._sender.send_now(id, frame)
        with self._event_queue.extended():
            return self._pending_requests.wait(id, self._timeouts.response)

    def _send_without_response(self, key: str, frame: bytes) -> None:
        self._require_open()
        self._sender.send_now(key, frame)

    def _reject(self, message: OutgoingMessage, event: Rejected) -> None:
        """Give up a queued message that the server would refuse, or take for another one."""
        self._send_queue.resolve(message.id)
        self._on_resolved(message)
        self._event_queue.put(event)

    def _may_send(self, message: OutgoingMessage) -> bool:
        """Return whether the server knows all fields of a message; an older one ignores those it does not know."""
        needed = ((message.about is not None, "about"), (message.file is not None, FILE_FEATURE))
        return all(self.supports(feature) for is_needed, feature in needed if is_needed)

    @property
    def _max_frame(self) -> float:
        return limit if isinstance(limit := self.limits.get("frame"), int) else float("inf")

    def _on_connected(self, response: ResponseFrame, reconnected: bool) -> None:
        if self._resequencer.is_account and response.account is not True:
            # The name could log in as a guest, but queued messages of an account must not be sent by a guest.
            raise Refused(Text("The account {name} no longer exists.", name=self.name)) from AccountDeleted()
        self.limits, self.features = response.limits or {}, frozenset(response.features or ())
        self.files_url = self._resequencer.files_url = self._endpoint.files_url(response.files or "")
        self.must_change_password = response.password_until is not None
        self.registration = response.registration if self._handshake.is_confidential else None
        self._send_queue.rate_limiter.set_limits(self.limits)
        self._set_account(is_account=response.account is True)
        seqs_reset = (
            self._resequencer.reset(is_account=self.is_account, token=response.session, store=response.store)
            and reconnected
        )
        self._event_queue.put(make_connected(response, reconnected, seqs_reset))
        for message in self._send_queue.larger_than(self._max_frame):
            self._reject(message, reject_too_long(message, self._max_frame))
        for message in [message for message in self._send_queue if not self._may_send(message)]:
            self._reject(message, reject_unknown_to_server(message))
        restored = self._state_to_restore(seqs_reset=seqs_reset) | self._pending_requests.unanswered_frames()
        for key, frame in restored.items():
            self._sender.send_now(key, frame)
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
        self._event_queue.close(None if self._has_ended_by_request(error) else error)
        self._pending_requests.fail(self._closing_error())
        self._send_capacity.update()

    def _has_ended_by_request(self, error: Exception | None) -> bool:
        """Return whether the client ended because of its own `erase_account` or `log_out`."""
        requested = self._requested_end
        return requested is not None and error is not None and isinstance(error.__cause__, requested)

    def _closing_error(self) -> Exception:
        return self._event_queue.error or Unreachable(Text("The link is closed."))

    def _require_open(self) -> None:
        if self._event_queue.closed:
            raise self._closing_error()
