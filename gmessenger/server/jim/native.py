"""Native connections: requests with ids to the messenger's verbs, and parcels to newline-delimited frames."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Raw

from gmessenger import __version__
from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.outbox import EndOfStream, LivenessProbe, Message, Response
from gmessenger.chat.session import Session
from gmessenger.errors import AlreadyLoggedIn, NotLoggedIn, StoreUnavailable, WireError
from gmessenger.names import fold
from gmessenger.server.jim.commands import REQUEST_HANDLERS, UNFLUSHED_REQUESTS
from gmessenger.server.jim.encoder import ENCODERS, encode_message
from gmessenger.server.jim.handler import ConnectionHandler
from gmessenger.wire import events
from gmessenger.wire.events import ClientEvent
from gmessenger.wire.jim import (
    JIM_VERSION,
    MAX_ID,
    Encodable,
    encode_error,
    encode_lines,
    encode_response,
    make_response,
)

SERVER_VERSION: Final = f"gmessenger/{__version__}"


class NativeHandler:
    """Answers one native connection. Once logged in, everything goes through the session's outbox, in order."""

    __slots__ = ("_device_label", "connection_handler", "is_closing", "session")

    def __init__(self, connection_handler: ConnectionHandler) -> None:
        self.connection_handler = connection_handler
        self.session: Session | None = None
        self.is_closing = False
        self._device_label: str | None = None

    @property
    def is_backlogged(self) -> bool:
        """Whether requests must wait: their answers would not be read."""
        if self.session is None:
            return self.connection_handler.connection.writer.is_blocked
        writer = self.connection_handler.connection.writer
        return (
            self.session.outbox.is_full
            or writer.pending_bytes > self.connection_handler.connection.options.outbox_bytes
        )

    @property
    def pending_frames(self) -> int:
        return self.session.outbox.pending_frames if self.session is not None else 0

    def handle(self, event: ClientEvent) -> None:
        if type(event) is events.MessageRequest and self.session is not None:  # nearly always, and hundreds at a time
            if not self.session.outbox.closed:
                self.connection_handler.messenger.message_service.send(
                    self.session, event.to, event.message, event.id or None, "msg"
                )
        elif type(event) is events.PresenceRequest:
            self._handle_presence(event)
        elif type(event) is events.RegisterRequest and self.session is not None:
            self.connection_handler.require_secure_transport()
            self.connection_handler.messenger.register(
                self.session, event.id or None, event.password, event.invite, self._device_label
            )
        elif type(event) is events.QuitRequest:
            self.close_gracefully("quit")
        elif self.session is None:
            raise NotLoggedIn
        elif not self.session.outbox.closed:  # else it has been sent away
            if type(event) is events.ForgetRequest:
                self.connection_handler.require_secure_transport()
            if type(event) not in UNFLUSHED_REQUESTS:
                self.connection_handler.messenger.flush_acknowledgements(self.session)
            REQUEST_HANDLERS[type(event)](self.connection_handler.messenger, self.session, event)

    def handle_batch(self, messages: Sequence[events.MessageRequest]) -> bool:
        """Act on several messages to one name or room at once; False where they have to be taken one by one."""
        if self.session is None or self.session.outbox.closed:
            return False
        texts = [message.message for message in messages]
        ids = [message.id or None for message in messages]
        return self.connection_handler.messenger.message_service.send_batch(
            self.session, messages[0].to, texts, ids, "msg"
        )

    def send_error(self, error: WireError, id: str | None = None) -> None:
        now = self.connection_handler.now()
        if self.session is None:
            self.connection_handler.connection.writer.write(encode_error(error, now, id))
        else:
            try:
                self.connection_handler.messenger.flush_acknowledgements(self.session)
            except StoreUnavailable as unavailable:
                error = unavailable
            self.session.outbox.push(Response(error.status, id, now, error.to_fields()))

    def close_gracefully(self, reason: str) -> None:
        """Listen to nothing more; the connection is closed once everything queued is written."""
        self.is_closing = True
        if self.session is None:
            self.connection_handler.connection.close_gracefully(reason)
        else:
            self.connection_handler.log_out(self.session, reason)
            with contextlib.suppress(StoreUnavailable):  # who sent something has been told 503
                self.connection_handler.messenger.flush_acknowledgements(self.session)
            self.session.outbox.close_after_drain()

    def handle_unreadable(self, event: events.InvalidFrame) -> None:
        self.send_error(event.error, event.id)

    def connection_closed(self) -> None:
        """Nobody reads any more."""
        if self.session is not None:
            self.session.outbox.close()

    def send_probe(self) -> bool:
        return self.session is not None and self.session.outbox.offer(LivenessProbe())

    def encode_pending(self) -> bytes:
        """What waits in the outbox, as bytes; at its end the connection is taken leave of."""
        if self.session is None:
            return b""
        frames: list[Encodable] = []
        for parcel in self.session.outbox.drain():
            if type(parcel) is Message:
                frames.append(encode_message(parcel, self.session.name))
            elif type(parcel) is EndOfStream:
                self.connection_handler.connection.close_gracefully("left")
            elif type(parcel) is Response:
                frames.append(self._encode_response(parcel))
            else:
                frames.append(ENCODERS[type(parcel)](parcel))
        return encode_lines(frames)

    def _encode_response(self, response: Response) -> Encodable:
        more = response.fields
        frame = make_response(response.status, response.id, response.time, more, response.seq)
        return frame if more is None or "messages" not in more else self._fit_frame(response, more)

    def _fit_frame(self, response: Response, fields: dict[str, Any]) -> Encodable:
        """An answer that fits a frame: messages that are too many for one are cut to as few as one, and it says so."""
        frame = encode_response(response.status, response.id, response.time, fields)
        cap = self.connection_handler.connection.options.max_frame
        while len(frame) > cap and len(fields["messages"]) > 1:
            kept = max(1, len(fields["messages"]) * cap // (len(frame) + 1))
            fields["messages"] = fields["messages"][:kept] if response.truncate_at_end else fields["messages"][-kept:]
            fields["more"] = True
            if "after" in fields:  # an export goes on behind the last one that is told
                fields["after"] = fields["messages"][-1]["place"]
            frame = encode_response(response.status, response.id, response.time, fields)
        return Raw(frame[:-1])

    def _handle_presence(self, request: events.PresenceRequest) -> None:
        if self.session is None:
            self._log_in(request)
        elif fold(request.user.account_name) == self.session.key:
            self.session.outbox.push(self._login_response(self.session, request.id or None))
        else:
            raise AlreadyLoggedIn

    def _log_in(self, request: events.PresenceRequest) -> None:
        writer, card = self.connection_handler.connection.writer, request.user
        token = card.session or request.session
        if card.password is not None:
            self.connection_handler.require_secure_transport()
        self._device_label = card.device
        address = self.connection_handler.connection.address
        login = LoginRequest(card.account_name, "native", True, address, card.password, token, card.device)
        self.session, left_over = self.connection_handler.log_in(
            login, self.connection_handler.make_outbox(writer.schedule, writer.flush, accepts_batches=True)
        )
        writer.pull = self.encode_pending
        self.session.outbox.push(self._login_response(self.session, request.id or None))
        if request.receive or self.session.account is None:  # an account's that is not welcomed stays behind for good
            self.connection_handler.messenger.welcome(self.session, left_over)

    def _login_response(self, session: Session, id: str | None) -> Response:
        limits = self.connection_handler.messenger.policy.announced_limits(session) | {"id": MAX_ID}
        more = {
            "jim": JIM_VERSION,
            "account": session.kind == "account",
            "session": session.token,
            "server": SERVER_VERSION,
        }
        known = {
            "store": self.connection_handler.messenger.store_identity,
            "limits": limits,
            "alert": self.connection_handler.messenger.greeting,
        }
        standing = {
            "role": session.role,
            "blocks": self.connection_handler.messenger.blocks.count(session.key),
            "registration": session.account is None and self.connection_handler.messenger.policy.registration,
        }
        own = {key: value for key, value in standing.items() if value}
        return Response(200, id, self.connection_handler.now(), more | own | known)
