"""Opening a line: connect, say who one is, and be let in or turned away."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gevent import socket

from gmessenger.client.connection import Connection
from gmessenger.client.dialer import dial
from gmessenger.client.frames import frame_of, refusal, refused, wanted_later
from gmessenger.client.patience import Patience
from gmessenger.client.tls import Tls
from gmessenger.errors import BadName, BadText, NameInUse, PasswordExposed, WireError
from gmessenger.hosts import bare_host, join_host_port
from gmessenger.sentences import Sentence
from gmessenger.wire.events import Answer
from gmessenger.wire.jim import JIM_VERSION

if TYPE_CHECKING:
    from gmessenger.client.encryption import Encryption

LET_IN: Final = 200


class TryLater(ConnectionError):
    """The server has no room just now; `retry_after` seconds from now it may have."""

    def __init__(self, sentence: str, retry_after: float | None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after or 0.0


def _encryption(tls: Tls) -> Encryption:
    from gmessenger.client.encryption import Encryption  # a plain line should not wait for it

    return Encryption(tls)


class Login:
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
        patience: Patience,
        password: str | None = None,
        device: str | None = None,
        tls: Tls | None = None,
        plain_passwords: bool = False,
        receiving: bool = True,
    ) -> None:
        """Raises `FileProblem` where `tls` names a file of no use."""
        self._host = bare_host(host)
        self._port = port
        self._name = name
        self._patience = patience
        self._device = device
        self._encryption = _encryption(tls) if tls is not None else None
        self._plain_passwords = plain_passwords
        self._private = True  # as far as is known
        self._receiving = receiving
        self.password = password
        self.token: str | None = None

    @property
    def place(self) -> str:
        """Host and port, as people write them."""
        return join_host_port(self._host, self._port)

    def open(self) -> tuple[Connection, Answer]:
        """A line that is logged in, and the server's words to it.

        Raises OSError where there is no server or it has no room (`TryLater`), `WireError` where it refuses the name,
        `Untrusted` where it may be another server, before it was told anything.
        """
        ends_at = time.monotonic() + self._patience.connect
        connection = Connection(self._dial(ends_at))
        self._private = connection.private
        try:
            return connection, self._log_in(connection, ends_at)
        except BaseException:
            connection.close()
            raise

    @property
    def confidential(self) -> bool:
        """Whether a password may be said on this line."""
        return self._private or self._plain_passwords

    def check_line(self) -> None:
        """Raises `PasswordExposed` where a password said on this line could be overheard."""
        if not self.confidential:
            raise PasswordExposed

    def _dial(self, ends_at: float) -> socket.socket:
        sock = dial(self._host, self._port, self._patience.connect)
        if self._encryption is None:
            return sock
        return self._encryption.over(sock, self._host, ends_at - time.monotonic())

    def _log_in(self, connection: Connection, ends_at: float) -> Answer:
        answer = self._present(connection, ends_at)
        if self.token is not None and self._forgotten(answer):
            self.token = None
            answer = self._present(connection, ends_at)
        if answer.response != LET_IN:
            raise self._turned_away(answer)
        if (answer.jim or 0) < JIM_VERSION:
            raise ConnectionError(Sentence("this server does not speak JIM 2"))
        self.token = answer.session
        return answer

    def _forgotten(self, answer: Answer) -> bool:
        """Whether it may be the token that was refused, and the name alone would do."""
        return refused(answer) and answer.code != NameInUse.word and not wanted_later(answer)

    def _turned_away(self, answer: Answer) -> OSError | WireError:
        error = refusal(answer)
        return TryLater(str(error), answer.retry_after) if wanted_later(answer) else error

    def _present(self, connection: Connection, ends_at: float) -> Answer:
        presence = self._presence()
        with suppress(OSError):  # a server without room says so and closes, perhaps before we have said a word
            connection.send(presence, self._patience)
        while (heard := connection.hear(ends_at - time.monotonic())) is not None:
            if isinstance(heard[1], Answer):
                return heard[1]
        raise TimeoutError(Sentence("connected, but no answer within {seconds:g} s", seconds=self._patience.connect))

    def _presence(self) -> bytes:
        password = self.password if self.token is None else None
        if password is not None:
            self.check_line()
        card = {"account_name": self._name, "password": password, "device": self._device}
        user = {key: value for key, value in card.items() if value is not None}
        # Not the struct: it leaves out what has its default, and `jim` must be said.
        presence: dict[str, Any] = {"action": "presence", "jim": JIM_VERSION, "user": user}
        if not self._receiving:
            presence["receive"] = False
        try:
            return frame_of(presence | ({"session": self.token} if self.token else {}))
        except BadText as error:
            raise BadName from error
