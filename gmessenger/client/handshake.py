"""Opening a line: connect, say who one is, and be let in or turned away."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gevent import socket

from gmessenger.client.config import Timeouts, TlsConfig
from gmessenger.client.connection import ServerConnection
from gmessenger.client.dialer import dial
from gmessenger.client.responses import encode_request, error_from_response, is_error, is_retryable
from gmessenger.errors import BadName, BadText, InsecureTransport, NameInUse, WireError
from gmessenger.hosts import join_host_port, strip_brackets
from gmessenger.text import Text
from gmessenger.wire.events import ResponseFrame
from gmessenger.wire.jim import JIM_VERSION

if TYPE_CHECKING:
    from gmessenger.client.tls import TlsContext

LOGIN_OK: Final = 200


class ServerBusy(ConnectionError):
    """The server has no room just now; `retry_after` seconds from now it may have."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after or 0.0


def _make_tls_context(tls: TlsConfig) -> TlsContext:
    from gmessenger.client.tls import (
        TlsContext,  # a plain line should not wait for it  # a plain line should not wait for it
    )

    return TlsContext(tls)


class Handshake:
    """Opens lines for one name, on one device where the name is an account.

    Holds the password, and the token by which the server knows the session again, in memory only. The token goes
    first: it spares the server a password's hash, and the password the way. A password is not said where others can
    hear it: on a plain line to another machine, unless `plain_passwords`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        timeouts: Timeouts,
        password: str | None = None,
        device: str | None = None,
        tls: TlsConfig | None = None,
        plain_passwords: bool = False,
        receive_messages: bool = True,
    ) -> None:
        """Raises `FileError` where `tls` names a file of no use."""
        self._host = strip_brackets(host)
        self._port = port
        self._name = name
        self._timeouts = timeouts
        self._device = device
        self._tls_context = _make_tls_context(tls) if tls is not None else None
        self._plain_passwords = plain_passwords
        self._is_private = True  # as far as is known
        self._receive_messages = receive_messages
        self._password = password
        self._token: str | None = None

    def set_password(self, password: str) -> None:
        """Use another password for the following logins."""
        self._password = password

    def set_credentials(self, password: str, token: str | None) -> None:
        """Use the password and session token of a new account for the following logins."""
        self._password, self._token = password, token

    @property
    def address(self) -> str:
        """Host and port, as people write them."""
        return join_host_port(self._host, self._port)

    def connect(self) -> tuple[ServerConnection, ResponseFrame]:
        """A line that is logged in, and the server's words to it.

        Raises OSError where there is no server or it has no room (`ServerBusy`), `WireError` where it refuses the name,
        `CertificateNotTrusted` where it may be another server, before it was told anything.
        """
        ends_at = time.monotonic() + self._timeouts.connect
        connection = ServerConnection(self._dial(ends_at))
        self._is_private = connection.is_private
        try:
            return connection, self._log_in(connection, ends_at)
        except BaseException:
            connection.close()
            raise

    @property
    def is_confidential(self) -> bool:
        """Whether a password may be said on this line."""
        return self._is_private or self._plain_passwords

    def require_confidential(self) -> None:
        """Raises `InsecureTransport` where a password said on this line could be overheard."""
        if not self.is_confidential:
            raise InsecureTransport

    def _dial(self, deadline: float) -> socket.socket:
        sock = dial(self._host, self._port, self._timeouts.connect)
        if self._tls_context is None:
            return sock
        return self._tls_context.wrap(sock, self._host, deadline - time.monotonic())

    def _log_in(self, connection: ServerConnection, deadline: float) -> ResponseFrame:
        answer = self._send_presence(connection, deadline)
        if self._token is not None and self._is_token_rejected(answer):
            self._token = None
            answer = self._send_presence(connection, deadline)
        if answer.response != LOGIN_OK:
            raise self._login_error(answer)
        if (answer.jim or 0) < JIM_VERSION:
            raise ConnectionError(Text("this server does not speak JIM 2"))
        self._token = answer.session
        return answer

    def _is_token_rejected(self, response: ResponseFrame) -> bool:
        """Whether it may be the token that was refused, and the name alone would do."""
        return is_error(response) and response.code != NameInUse.code and not is_retryable(response)

    def _login_error(self, response: ResponseFrame) -> OSError | WireError:
        error = error_from_response(response)
        return ServerBusy(str(error), response.retry_after) if is_retryable(response) else error

    def _send_presence(self, connection: ServerConnection, deadline: float) -> ResponseFrame:
        presence = self._encode_presence()
        with suppress(OSError):  # a server without room says so and closes, perhaps before we have said a word
            connection.send(presence, self._timeouts)
        while (heard := connection.read(deadline - time.monotonic())) is not None:
            if isinstance(heard[1], ResponseFrame):
                return heard[1]
        raise TimeoutError(Text("connected, but no answer within {seconds:g} s", seconds=self._timeouts.connect))

    def _encode_presence(self) -> bytes:
        password = self._password if self._token is None else None
        if password is not None:
            self.require_confidential()
        card = {"account_name": self._name, "password": password, "device": self._device}
        user = {key: value for key, value in card.items() if value is not None}
        # Not the struct: it leaves out what has its default, and `jim` must be said.
        presence: dict[str, Any] = {"action": "presence", "jim": JIM_VERSION, "user": user}
        if not self._receive_messages:
            presence["receive"] = False
        try:
            return encode_request(presence | ({"session": self._token} if self._token else {}))
        except BadText as error:
            raise BadName from error
