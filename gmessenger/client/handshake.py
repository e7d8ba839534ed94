"""The handshake of a client: connect, and log in by password or session token."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from gevent import with_timeout
from msgspec import MsgspecError, Raw, json

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import TLS_ALERT_PREFIX, ForeignServer, ServerBusy, ServerConnection
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.client.responses import encode_request, error_from_response, is_error, is_retryable
from gmessenger.errors import BadName, BadText, InsecureTransport, NameInUse, WireError
from gmessenger.text import Text
from gmessenger.wire.events import ResponseFrame
from gmessenger.wire.version import JIM_VERSION

LOGIN_OK: Final = 200
REGISTERED: Final = 201
NEWLINE_TIMEOUT: Final = 1.0
"""Seconds that a server has to end its answer with a newline."""


def _read_response(connection: ServerConnection, deadline: float) -> ResponseFrame | None:
    """Return the first response; None if there is none before the deadline, however the server drags it out. Blocks.

    Raises `ForeignServer` if the server answers with something else than an object and a newline, and OSError.
    """
    return with_timeout(max(deadline - time.monotonic(), 0.0), _wait_for_response, connection, timeout_value=None)


def _wait_for_response(connection: ServerConnection) -> ResponseFrame:
    while True:
        received = connection.read(NEWLINE_TIMEOUT)
        if received is not None and isinstance(received[1], ResponseFrame):
            return received[1]
        if _may_be_foreign(connection) and _is_no_frame(connection.first_bytes):
            raise ForeignServer.answering(connection.first_bytes)


def _is_no_frame(first_bytes: bytes) -> bool:
    """Return whether this cannot be, or become, a frame of JIM 2: no object, or a complete one without its newline."""
    if not first_bytes.startswith(b"{"):
        return bool(first_bytes.strip())
    try:
        json.decode(first_bytes, type=dict[str, Raw])
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return not first_bytes.endswith(b"\n")


def _may_be_foreign(connection: ServerConnection) -> bool:
    """Return whether a connection that failed before the response has shown another protocol than JIM 2 or TLS."""
    begins = connection.first_bytes
    return bool(begins) and not begins.startswith(TLS_ALERT_PREFIX)


class Handshake:
    """Opens logged-in connections for one name, and one device of it if it is an account.

    The password, and the session token by which the server resumes the session, are kept in memory only. A login uses
    the token if there is one: the server need not hash a password then, and the password is not sent. A password is
    never sent over a plain connection to another machine, unless `plain_passwords` is set.
    """

    def __init__(
        self,
        endpoint: ServerEndpoint,
        name: str,
        timeouts: Timeouts,
        password: str | None = None,
        device: str | None = None,
        plain_passwords: bool = False,
        receive_messages: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._name = name
        self._timeouts = timeouts
        self._device = device
        self._plain_passwords = plain_passwords
        self._is_private = True  # until a connection shows otherwise
        self._receive_messages = receive_messages
        self._password = password
        self._token: str | None = None
        self._registration: tuple[str, str | None] | None = None  # password and invite

    @property
    def password(self) -> str | None:
        """The password for the following logins."""
        return self._password

    def set_password(self, password: str) -> None:
        """Use another password for the following logins."""
        self._password = password

    def set_registration(self, registration: tuple[str, str | None] | None) -> None:
        """Register the name with a password and an invite at the next login; None: just log in."""
        self._registration = registration

    def set_credentials(self, password: str, token: str | None) -> None:
        """Use the password and session token of a new account for the following logins."""
        self._password, self._token = password, token

    @property
    def address(self) -> str:
        """`HOST:PORT` of the server, or its URL."""
        return str(self._endpoint)

    def connect(self) -> tuple[ServerConnection, ResponseFrame]:
        """Connect and log in; return the connection and the response to the login. Blocks.

        Raises:
            OSError: no server responds within `timeouts.connect`, it has no room (`ServerBusy`), or it does not speak
                JIM 2 (`ForeignServer`).
            WireError: the server refuses the name or password.
            CertificateNotTrusted: the server did not prove its identity; nothing was sent to it.
        """
        deadline = time.monotonic() + self._timeouts.connect
        connection = self._endpoint.connect(self._timeouts)
        self._is_private = connection.is_private
        try:
            return connection, self._log_in(connection, deadline)
        except BaseException:
            connection.close()
            raise

    @property
    def token(self) -> str:
        """The token of the present session."""
        return self._token or ""

    @property
    def is_confidential(self) -> bool:
        """Whether a password may be sent on the last connection."""
        return self._is_private or self._plain_passwords

    def require_confidential(self) -> None:
        """Raise `InsecureTransport` if a password must not be sent on the last connection."""
        if not self.is_confidential:
            raise InsecureTransport

    def _log_in(self, connection: ServerConnection, deadline: float) -> ResponseFrame:
        if self._registration is not None:
            return self._register(connection, deadline, *self._registration)
        response = self._send_presence(connection, deadline)
        if self._token is not None and self._is_token_rejected(response):
            self._token = None
            response = self._send_presence(connection, deadline)
        self._require_welcome(connection, response, LOGIN_OK)
        self._token = response.session
        return response

    def _register(
        self, connection: ServerConnection, deadline: float, password: str, invite: str | None
    ) -> ResponseFrame:
        """Register and log in, in one request. Raises as `connect`, and `InsecureTransport`."""
        self.require_confidential()
        user = {"account_name": self._name} | ({"device": self._device} if self._device is not None else {})
        fields = {"action": "register", "jim": JIM_VERSION, "user": user, "password": password}
        frame = encode_request(fields | ({"invite": invite} if invite is not None else {}))
        response = self._exchange(connection, frame, deadline)
        self._require_welcome(connection, response, REGISTERED)
        self.set_credentials(password, response.session)
        return response

    def _require_welcome(self, connection: ServerConnection, response: ResponseFrame, status: int) -> None:
        """Raise why the client is not logged in, or `ForeignServer`."""
        # Every error of JIM 2 has a code.
        if is_error(response) and (response.code is not None or is_retryable(response)):
            raise self._login_error(response)
        if response.response != status or (response.jim or 0) < JIM_VERSION:
            raise ForeignServer.answering(connection.first_bytes)

    def _is_token_rejected(self, response: ResponseFrame) -> bool:
        """Return whether the server may have refused the token, so that a login without it may succeed."""
        return is_error(response) and response.code != NameInUse.code and not is_retryable(response)

    def _login_error(self, response: ResponseFrame) -> OSError | WireError:
        error = error_from_response(response)
        return ServerBusy(str(error), response.retry_after) if is_retryable(response) else error

    def _send_presence(self, connection: ServerConnection, deadline: float) -> ResponseFrame:
        return self._exchange(connection, self._encode_presence(), deadline)

    def _exchange(self, connection: ServerConnection, frame: bytes, deadline: float) -> ResponseFrame:
        """Send the first frame, and return its response."""
        with suppress(OSError):  # a full server responds and closes, perhaps before the frame is sent
            connection.send(frame, self._timeouts)
        try:
            response = _read_response(connection, deadline)
        except ConnectionError as error:
            if _may_be_foreign(connection):
                raise ForeignServer.answering(connection.first_bytes) from error
            raise
        if response is None:
            raise TimeoutError(Text("connected, but no answer within {seconds:g} s", seconds=self._timeouts.connect))
        return response

    def _encode_presence(self) -> bytes:
        password = self._password if self._token is None else None
        if password is not None:
            self.require_confidential()
        fields = {"account_name": self._name, "password": password, "device": self._device}
        user = {key: value for key, value in fields.items() if value is not None}
        # Not a PresenceRequest, which omits defaults: `jim` must be in the frame.
        presence: dict[str, Any] = {"action": "presence", "jim": JIM_VERSION, "user": user}
        if not self._receive_messages:
            presence["receive"] = False
        try:
            return encode_request(presence | ({"session": self._token} if self._token else {}))
        except BadText as error:
            raise BadName from error
