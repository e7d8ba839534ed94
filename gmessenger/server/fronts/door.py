"""The door between a connection and the messenger: logging in, and being turned away."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Final

from gmessenger import logs
from gmessenger.chat.entrance import Login
from gmessenger.chat.model import Parcel
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.pacing import Stranger
from gmessenger.chat.service import Messenger
from gmessenger.chat.session import Session
from gmessenger.errors import PasswordExposed, TooManyFailures, WireError, WrongPassword
from gmessenger.server.connection import Connection

MOST_FAILURES: Final = 10
"""Wrong passwords on one connection before it has to wait."""
FAILURE_PAUSE: Final = 30.0


class Door:
    """What a voice needs to let somebody in: the connection they are on and the messenger they want."""

    __slots__ = ("_asked", "_failures", "_shut_until", "connection", "messenger")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self.connection = connection
        self.messenger = messenger
        self._asked: Stranger | None = None  # before anybody logged in
        self._failures = 0
        self._shut_until = 0.0

    def now(self) -> float:
        """The time frames are stamped with, in Unix seconds."""
        return time.time()

    def outbox(self, wake: Callable[[], None], press: Callable[[], None], *, together: bool = False) -> Outbox:
        options = self.connection.options
        return Outbox(options.outbox_frames, options.outbox_bytes, wake, press, together=together)

    def pay(self, session: Session | None, price: float) -> None:
        """A request costs so much: waits while that is too fast, and so holds back reading. Raises `TooFast`."""
        if session is None:
            self._asked = self._asked or self.messenger.pacing.stranger(self.connection.address)
            self.messenger.pacing.request(self._asked, price)
        else:
            self.messenger.pacing.request(session, price)

    def admit(self, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        """`Messenger.login`, told to the log whichever way it goes; too many wrong passwords shut the door a while."""
        try:
            self._check_failures()
            session, left_over = self.messenger.login(login, outbox)
        except WireError as error:
            self._failures += isinstance(error, WrongPassword)
            self.messenger.tally.logins[error.word] += 1
            logs.event("login_refused", name=login.name, code=error.word, address=login.address, protocol=login.front)
            raise
        self._asked = None
        self.messenger.tally.logins["ok" if login.token is None else "resumed"] += 1
        logs.event(
            "login",
            name=session.name,
            kind=session.kind,
            resumed=login.token is not None,
            address=login.address,
            protocol=login.front,
        )
        return session, left_over

    def check_line(self) -> None:
        """Raises `PasswordExposed` where a password said on this line could be overheard."""
        connection = self.connection
        # What a balancer's client says has crossed a network, whatever address the balancer gives.
        near = is_loopback(connection.address) and not connection.proxied
        if not (connection.encrypted or near or connection.options.plain_passwords):
            raise PasswordExposed

    def leave(self, session: Session, reason: str) -> None:
        """The session is over, its name free; what waits for it may still be written."""
        if self.messenger.logout(session):
            logs.event("session_ended", name=session.name, address=session.address, reason=reason)

    def _check_failures(self) -> None:
        if self._failures >= MOST_FAILURES:
            self._failures = 0
            self._shut_until = time.monotonic() + FAILURE_PAUSE
        if (left := self._shut_until - time.monotonic()) > 0:
            raise TooManyFailures(retry_after=round(left, 1))


def is_loopback(address: str) -> bool:
    """Whether `address:port` is this machine itself."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback
