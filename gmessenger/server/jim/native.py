"""Native connections: log in, handle requests by their rows, encode the outbox as lines."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, Raw, UnsetType, field

from gmessenger import __version__
from gmessenger.account_settings import AccountSettings, decode_settings
from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import EndOfStream, LivenessProbe, Message, RelayedText, Response
from gmessenger.chat.records import About
from gmessenger.chat.results import Page, Registration, Result
from gmessenger.chat.session import Session
from gmessenger.errors import (
    AlreadyLoggedIn,
    BadRequest,
    NotLoggedIn,
    PasswordChangeRequired,
    StoreUnavailable,
    WireError,
)
from gmessenger.field_types import MAX_ID
from gmessenger.names import ROOM_PREFIX, fold
from gmessenger.server.jim.encoder import ENCODERS, encode_room_message, message_event, relayed_event
from gmessenger.server.jim.handler import Command, ConnectionHandler
from gmessenger.server.net.connection import Connection
from gmessenger.urls import FILE_PATH
from gmessenger.wire import events
from gmessenger.wire.encoder import Encodable, encode_error, encode_lines, encode_response, make_response
from gmessenger.wire.version import FEATURES, FILE_FEATURE, JIM_VERSION

LOGIN_COST: Final = 1.0
"""What a registration before the login costs besides, as it is a login, too."""
SERVER_VERSION: Final = f"gmessenger/{__version__}"


class LoginResult(Result, kw_only=True):
    """What a client is told at its login; see docs/protocol.md."""

    jim: int
    account: bool
    token: str = field(name="session")
    server: str
    role: str | UnsetType = UNSET
    blocks: int | UnsetType = UNSET
    settings: AccountSettings | UnsetType = UNSET
    registration: str | UnsetType = UNSET
    password_until: float | UnsetType = UNSET  # Unix seconds; of a one-time password
    store: str
    limits: dict[str, int]
    files: str | UnsetType = UNSET
    vapid: str | UnsetType = UNSET
    features: tuple[str, ...] = FEATURES
    alert: str


def _own_settings(session: Session) -> AccountSettings | UnsetType:
    """Return the settings of a session's account; UNSET if it has changed none."""
    stored = session.account.settings if session.account is not None else ""
    return decode_settings(stored) if stored else UNSET


class NativeHandler(ConnectionHandler):
    """One native connection. After the login, all it is sent goes through the outbox, in order."""

    __slots__ = ("_device_label",)

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        super().__init__(connection, messenger)
        self._device_label: str | None = None

    @property
    def is_backlogged(self) -> bool:
        writer = self.connection.writer
        if self.session is None:
            return writer.is_blocked
        return self.session.outbox.is_full or writer.pending_bytes > self.connection.options.outbox_bytes

    def handle(self, command: Command[Any], request: Any) -> None:
        session = self.session
        if session is None and command.opening is not None:
            command.opening(self, request)
            return
        if command.needs_login:
            if session is None:
                raise NotLoggedIn
            if session.outbox.closed:
                return  # the session was ended; the connection closes after what is queued
        if session is not None and session.must_change_password and not command.is_always_allowed:
            raise PasswordChangeRequired
        if command.needs_secure_transport:
            self.require_secure_transport()
        if command.flush_first and session is not None:
            self.messenger.flush_acknowledgements(session)
        if command.is_change:
            self._run_change(command, request)
        else:
            # (`session` is None only for rows that need no login.)
            result = command.handler(self, session, request)  # type: ignore[arg-type]
            if command.status is not None and session is not None:
                self._respond(session, command.status, request.id or None, result)

    def _run_change(self, command: Command[Any], request: Any) -> None:
        session, status, then = self.session, command.status, command.then
        assert session is not None
        assert status is not None
        self.messenger.change_runner.run(
            lambda: command.handler(self, session, request),
            lambda result: self._respond(session, status, request.id or None, result),
            lambda: then(self, session) if then is not None else None,
        )

    def _respond(self, session: Session, status: int, id: str | None, result: Result | None) -> None:
        session.outbox.push(Response(status, id, self.now(), result))

    def send_message(self, request: events.MessageRequest) -> None:
        """`handle` for a message: one call instead of a row, because nearly all requests are messages."""
        session = self.session
        if session is None:
            raise NotLoggedIn
        if session.must_change_password:
            raise PasswordChangeRequired
        if session.outbox.closed:
            return
        send, id = self.messenger.message_service.send, request.id or None
        if request.about is None and request.kind is None and request.what is None and request.file is None:
            send(session, request.to, request.message, id, "msg")
        else:
            send(session, request.to, request.message, id, "msg", request.kind or "", _about(request), request.file)

    def relay_now(self, request: Any) -> bool:
        """`send_message` from guest to guest, where nothing can make it wait; else False, and nothing was done.

        Never blocks: also called in a callback of the loop.
        """
        session = self.session
        if (
            session is None
            or type(request) is not events.MessageRequest
            or request.about is not None
            or request.kind is not None
            or request.what is not None
            or request.file is not None
            or self.connection.writer.is_blocked
        ):
            return False
        return self.messenger.guest_relay.relay(session, request.to, request.message, request.id or None)

    def handle_batch(self, messages: Sequence[events.MessageRequest]) -> bool:
        """Send several messages to the same name or room; False if they have to be handled one by one."""
        if self.session is None or self.session.outbox.closed or self.session.must_change_password:
            return False
        texts = [message.message for message in messages]
        ids = [message.id or None for message in messages]
        return self.messenger.message_service.send_batch(self.session, messages[0].to, texts, ids, "msg")

    def send_error(self, error: WireError, id: str | None = None) -> None:
        now = self.now()
        if self.session is None:
            self.connection.writer.write(encode_error(error, now, id))
        else:
            try:
                self.messenger.flush_acknowledgements(self.session)
            except StoreUnavailable as unavailable:
                error = unavailable
            self.session.outbox.push(Response(error.status, id, now, error=error.to_fields()))

    def close_gracefully(self, reason: str) -> None:
        """Handle no more requests; the connection is closed once everything queued is written."""
        self.is_closing = True
        if self.session is None:
            self.connection.close_gracefully(reason)
        else:
            self.log_out(reason)
            with contextlib.suppress(StoreUnavailable):  # messages in flight were answered 503
                self.messenger.flush_acknowledgements(self.session)
            self.session.outbox.close_after_drain()

    def refuse_invalid_frame(self, event: events.InvalidFrame) -> None:
        self.send_error(event.error, event.id)

    def connection_closed(self) -> None:
        if self.session is not None:
            self.session.outbox.close()

    def send_probe(self) -> bool:
        return self.session is not None and self.session.outbox.offer(LivenessProbe())

    def encode_pending(self) -> bytes:
        """Empty the outbox and return its frames; at the end of the stream, close the connection.

        Called by the writer: in a callback of the loop, in the greenlet that waits for the socket, or in the one that
        offers an event to a full outbox. Never blocks.
        """
        if self.session is None:
            return b""
        frames: list[Encodable] = []
        for event in self.session.outbox.drain():
            if type(event) is RelayedText:
                frames.append(relayed_event(event))
            elif type(event) is Message:
                to_room = event.to[:1] == ROOM_PREFIX
                frames.append(encode_room_message(event, self.session.name) if to_room else message_event(event))
            elif type(event) is EndOfStream:
                self.connection.close_gracefully("left")
            elif type(event) is Response:
                if event.result is None:  # nearly always: the response to a message
                    frames.append(make_response(event.status, event.id, event.time, event.error, event.seq))
                else:
                    frames.append(self._encode_result(event, event.result))
            else:
                frame = ENCODERS[type(event)](event)
                if frame is not None:
                    frames.append(frame)
        return encode_lines(frames)

    def _encode_result(self, response: Response, result: Result) -> Encodable:
        if isinstance(result, Page):
            return self._fit_frame(response, result)
        return make_response(response.status, response.id, response.time, result)

    def _fit_frame(self, response: Response, page: Page) -> Encodable:
        """Encode a page, shortened until it fits a frame, but to no less than one entry."""
        max_frame = self.connection.options.max_frame
        while True:
            frame = encode_response(response.status, response.id, response.time, page)
            if len(frame) <= max_frame or len(page) <= 1:
                return Raw(frame[:-1])
            page.keep(max(1, len(page) * max_frame // (len(frame) + 1)))

    def handle_login(self, current: Session | None, request: events.PresenceRequest) -> None:
        """Log in, or confirm the login to a client that asks again. Raises as `log_in`, or `AlreadyLoggedIn`.

        Connections at rest keep the memory of their deepest calls, which are these: a few more take 4 kB for each.
        """
        if current is not None:
            if fold(request.user.account_name) != current.key:
                raise AlreadyLoggedIn
            if request.profiles:
                self.messenger.profiles.tell_changes(current)
            current.outbox.push(self._login_response(current, request.id or None))
            return
        writer, user = self.connection.writer, request.user
        token = user.session or request.session
        if user.password is not None:
            self.require_secure_transport()
        self._device_label = user.device
        address = self.connection.address
        login = LoginRequest(user.account_name, "native", True, address, user.password, token, user.device)
        outbox = self.make_outbox(writer.schedule, writer.flush, accepts_batches=True)
        session, left_over = self.log_in(login, outbox)
        self.set_session(session, login)
        if request.profiles:
            self.messenger.profiles.tell_changes(session)
        writer.set_source(self.encode_pending)
        outbox.push(self._login_response(session, request.id or None))
        # An account's session whose delivery was not started is never sent live messages.
        if request.receive or session.account is None:
            self.messenger.start_delivery(session, left_over)
        else:
            self.messenger.invitations.announce(session)

    def register(self, session: Session, request: events.RegisterRequest) -> Registration:
        """Make the session's name an account, whose first device is that of the login. Raises `AlreadyLoggedIn`."""
        if request.user is not None and fold(request.user.account_name) != session.key:
            raise AlreadyLoggedIn
        return self.messenger.register(session, request.password, request.invite, self._device_label)

    def register_stranger(self, request: events.RegisterRequest) -> None:
        """Register an account and log in as it, in one request: the first of the connection.

        The account is made also if the connection is lost meanwhile. Raises `NotLoggedIn` without a name, and as
        `Messenger.register_stranger`.
        """
        if request.user is None:
            raise NotLoggedIn
        self.require_secure_transport()
        self.charge(LOGIN_COST)
        writer, address = self.connection.writer, self.connection.address
        name, device = request.user.account_name, request.user.device
        login = LoginRequest(name, "native", True, address, request.password, None, device)
        outbox = self.make_outbox(writer.schedule, writer.flush, accepts_batches=True)

        def begin(session: Session) -> None:
            self.messenger.add_session(session)
            self.set_session(session, login)
            writer.set_source(self.encode_pending)
            outbox.push(self._login_response(session, request.id or None, 201))
            self.messenger.start_delivery(session, [])

        with self.logging_refusal(login):
            self.messenger.change_runner.run(
                lambda: self.messenger.register_stranger(login, request.invite, outbox), begin
            )

    def change_password(self, session: Session, request: events.PasswordRequest) -> None:
        """Change the password of the session's account."""
        with self.counting_failures():
            self.messenger.credentials.change_password(session, request.old, request.new)

    def erase_account(self, session: Session, request: events.ForgetRequest) -> None:
        """Erase the session's account."""
        with self.counting_failures():
            self.messenger.account_data.erase(session, request.password)

    def _login_response(self, session: Session, id: str | None, status: int = 200) -> Response:
        messenger = self.messenger
        is_account = session.account is not None
        result = LoginResult(
            jim=JIM_VERSION,
            account=is_account,
            token=session.token,
            server=SERVER_VERSION,
            role=session.role or UNSET,
            blocks=messenger.blocks.count(session.key) or UNSET,
            settings=_own_settings(session),
            registration=UNSET if is_account else messenger.policy.registration,
            password_until=(session.device and session.device.password_until) or UNSET,
            store=messenger.store_identity,
            limits=messenger.policy.announced_limits(session) | {"id": MAX_ID},
            vapid=messenger.subscriptions.public_key or UNSET,
            alert=messenger.greeting,
        )
        if messenger.policy.takes_files:
            result.features = tuple(sorted((*FEATURES, FILE_FEATURE)))
            result.files = messenger.policy.web_url + FILE_PATH
        return Response(status, id, self.now(), result)


def _about(request: events.MessageRequest) -> About | None:
    """Return what a message is about. Raises `BadRequest` where its fields contradict each other."""
    if request.what is not None and (request.about is None or request.kind is not None):
        raise BadRequest("A message with 'what' has 'about', and no 'kind'.")
    if request.what is not None and request.file is not None:
        raise BadRequest("A message with 'what' has no 'file'.")
    return About(request.about, request.what or "") if request.about is not None else None
