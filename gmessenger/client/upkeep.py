"""Keeps a line up: serves a connection until it is lost, then comes back, with pauses that grow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent import Greenlet

from gmessenger.client.connection import Connection, reason
from gmessenger.client.events import Lost
from gmessenger.client.inbox import Inbox
from gmessenger.client.login import Login, TryLater
from gmessenger.client.patience import Patience, Pauses
from gmessenger.client.receiving import Receiver
from gmessenger.client.sending import Sender
from gmessenger.errors import NameInUse, Refused, Replaced, Unreachable, WireError
from gmessenger.sentences import Sentence, Unended
from gmessenger.wire.events import Answer

STOPPING: Final = Sentence("the server has announced that it is stopping")


class Upkeep:
    """Two greenlets while the line is up, one while it is down.

    `welcomed` is called after each login, with the answer and whether it was not the first; `ended`, once, with the
    error after which no line will come: `Unreachable`, `Refused`, or a mistake of ours.
    """

    def __init__(
        self,
        login: Login,
        patience: Patience,
        inbox: Inbox,
        sender: Sender,
        receiver: Receiver,
        *,
        welcomed: Callable[[Answer, bool], object],
        ended: Callable[[Exception], object],
    ) -> None:
        self._login = login
        self._patience = patience
        self._inbox = inbox
        self._sender = sender
        self._receiver = receiver
        self._pauses = Pauses(patience.first_pause, patience.longest_pause)
        self._greenlet: Greenlet[..., object] | None = None
        self._connection: Connection | None = None
        self._gave_up_at: float | None = None
        self._welcomed = welcomed
        self._ended = ended
        self.connected = False

    def start(self) -> None:
        """Log in, once. Raises `Unreachable` or `Refused`; from then on the line is kept up."""
        try:
            connection, answer = self._login.open()
        except WireError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            sentence = Sentence(
                "Cannot reach {place}: {reason}.", place=self._login.place, reason=Unended(reason(error))
            )
            raise Unreachable(sentence) from error
        self._welcome(connection, answer, again=False)
        self._greenlet = gevent.spawn(self._run, connection)

    def stop(self, last_words: bytes) -> None:
        """Say them and goodbye, if there is a line, and keep it up no more."""
        if self._greenlet is not None:
            self._greenlet.kill()
        if self._connection is not None:
            self._connection.take_leave(last_words)

    def _run(self, connection: Connection) -> None:
        try:
            again = False
            while True:
                lost_because = self._serve(connection, again=again)
                connection = self._come_back(lost_because)
                again = True
        except Exception as error:
            self._hang_up()
            self._ended(error)

    def _serve(self, connection: Connection, *, again: bool) -> str:
        """Use the connection until it is lost; returns why it was."""
        up_since = time.monotonic()
        sending = gevent.spawn(self._send, connection)
        try:
            self._receiver.run(connection, again=again)
        except OSError as error:
            self._hang_up()
            return STOPPING if self._receiver.moving is not None else Unended(reason(error))
        except Refused as error:
            if not isinstance(error.__cause__, Replaced) or not self._by_our_ghost():
                raise
            self._hang_up()
            return Unended(str(error))
        finally:
            self.connected = False
            sending.kill()
            self._sender.start_over()
            if time.monotonic() - up_since >= self._patience.steady:
                self._pauses.reset()

    def _by_our_ghost(self) -> bool:
        """Whether what has replaced us may be a login of our own that we have given up; once for each."""
        gave_up_at, self._gave_up_at = self._gave_up_at, None
        return gave_up_at is not None and time.monotonic() - gave_up_at < self._patience.ghosts

    def _send(self, connection: Connection) -> None:
        try:
            self._sender.run(connection)
        except Exception as error:
            connection.fail(error)

    def _come_back(self, why: str) -> Connection:
        lost_at = time.monotonic()
        asked = 0.0
        attempt = 0
        while True:
            attempt += 1
            self._pause(why, asked, attempt, self._patience.retry_for - (time.monotonic() - lost_at))
            try:
                connection, answer = self._login.open()
            except WireError as error:
                if not isinstance(error, NameInUse) or time.monotonic() - lost_at >= self._patience.name_in_use:
                    raise Refused(str(error)) from error
                why, asked = Unended(str(error)), 0.0
            except OSError as error:
                self._gave_up_at = time.monotonic()
                why, asked = Unended(reason(error)), error.retry_after if isinstance(error, TryLater) else 0.0
            else:
                self._welcome(connection, answer, again=True)
                return connection

    def _pause(self, why: str, asked: float, attempt: int, left: float) -> None:
        """Pause before an attempt, at least as long as `asked`. Raises `Unreachable` when no time is `left`."""
        if attempt > 1 and left <= 0:
            raise Unreachable(
                Sentence(
                    "The connection to {place} was lost and could not be restored within {seconds:g} s: {reason}.",
                    place=self._login.place,
                    seconds=self._patience.retry_for,
                    reason=why,
                )
            )
        pause = min(self._length(asked, attempt), max(left, 0.0))
        if attempt == 1 or self._inbox.wait_for_room(0):  # an owner who does not read misses the repetitions
            self._inbox.put(Lost(why, pause, attempt))
        gevent.sleep(pause)

    def _length(self, asked: float, attempt: int) -> float:
        """Return the seconds to pause: at least our own pause, and what the server asked for as far as that is sane."""
        if attempt == 1 and self._receiver.moving is not None:
            return self._pauses.spread(self._sane(self._receiver.moving))
        return max(self._pauses.next(), self._sane(asked))

    def _sane(self, asked: float) -> float:
        return min(max(asked, 0.0), self._patience.longest_asked)

    def _welcome(self, connection: Connection, answer: Answer, *, again: bool) -> None:
        self._connection = connection
        try:
            self._welcomed(answer, again)
        except Refused:
            self._hang_up()
            raise
        self.connected = True

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
