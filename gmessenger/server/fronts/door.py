"""The door between a connection and the messenger: logging in, and being turned away."""

from __future__ import annotations

import time
from collections.abc import Callable

from gmessenger import logs
from gmessenger.chat.model import Parcel
from gmessenger.chat.service import Login, Messenger
from gmessenger.chat.session import Outbox, Session
from gmessenger.errors import WireError
from gmessenger.server.connection import Connection


class Door:
    """What a voice needs to let somebody in: the connection they are on and the messenger they want."""

    __slots__ = ("connection", "messenger")

    def __init__(self, connection: Connection, messenger: Messenger) -> None:
        self.connection = connection
        self.messenger = messenger

    def now(self) -> float:
        """The time frames are stamped with, in Unix seconds."""
        return time.time()

    def outbox(self, wake: Callable[[], None], press: Callable[[], None]) -> Outbox:
        options = self.connection.options
        return Outbox(options.outbox_frames, options.outbox_bytes, wake, press)

    def admit(self, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        """`Messenger.login`, told to the log whichever way it goes."""
        try:
            session, left_over = self.messenger.login(login, outbox)
        except WireError as error:
            logs.event("login_refused", name=login.name, code=error.word, address=login.address, front=login.front)
            raise
        logs.event(
            "login",
            name=session.name,
            kind=session.kind,
            resumed=login.token is not None,
            address=login.address,
            front=login.front,
        )
        return session, left_over

    def leave(self, session: Session, reason: str) -> None:
        """The session is over, its name free; what waits for it may still be written."""
        if self.messenger.logout(session):
            logs.event("session_ended", name=session.name, address=session.address, reason=reason)
