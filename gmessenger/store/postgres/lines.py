"""Connections to the database: a few that are lent out, and thrown away when anything happened to them."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import gevent
import psycopg
from gevent.lock import BoundedSemaphore
from psycopg import Connection
from psycopg.pq import TransactionStatus

from gmessenger.errors import NotStorable, StoreUnavailable
from gmessenger.store.failures import FAILURES
from gmessenger.store.postgres.address import Address, said

Result = TypeVar("Result")
Line: TypeAlias = Connection[tuple[Any, ...]]
# What becomes of a connection is told by the errors it raises; psycopg would tell it on stderr as well.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
AGAIN: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation)
"""What happens to one who was not alone, and is well the next time."""
CANNOT_BE_KEPT: Final = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)
"""What is wrong with what is to be kept itself, whatever is tried, and however often."""
ATTEMPTS: Final = 5
PAUSE: Final = 0.02
REST: Final = 0.2
"""Seconds after a failure to connect in which nobody tries: they are refused at once."""
FAILED: Final = " failed: "
"""What libpq says between an address and what is wrong with it."""
GRACE: Final = 1.0
"""Seconds that a server has, beyond the time it was given itself, to say that something took too long."""


class Lines:
    """Connections, at most so many at a time. What goes wrong with one is `StoreUnavailable`, and it is not used again.

    A server that does not answer is waited for `timeout` seconds.
    """

    def __init__(self, address: Address, most: int, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self._places = BoundedSemaphore(most)
        self._idle: list[Line] = []
        self._rest_until = 0.0
        self._closed = False

    def open(self) -> Line:
        """One more connection, its caller's own. Raises `StoreUnavailable`."""
        if self._closed or time.monotonic() < self._rest_until:
            raise StoreUnavailable
        try:
            return self.address.connect()
        except (psycopg.Error, OSError) as error:
            self._rest_until = time.monotonic() + REST
            raise unavailable(error) from error

    def close(self) -> None:
        """Close those that nobody uses; the others are closed when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def use(self, work: Callable[[Line], Result]) -> Result:
        """Do something with a connection; again where it was not alone.

        So `work` may run more than once: what it does is one transaction, or changes nothing.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.lent() as line:
                    return work(line)
            except AGAIN as error:
                failure: psycopg.Error = error
                gevent.sleep(PAUSE * attempt)
            except CANNOT_BE_KEPT as error:
                FAILURES.tell("store_refused", error)
                raise NotStorable from error
            except psycopg.Error as error:
                raise unavailable(error) from error
        raise unavailable(failure) from failure

    @contextmanager
    def lent(self) -> Iterator[Line]:
        with self._place():
            line = self._living() or self.open()
            try:
                with self.watched(line):
                    yield line
            except psycopg.Error:
                line.close()  # of a pipeline that failed psycopg believes that all of it was prepared
                raise
            finally:
                if self._closed or line.closed or line.info.transaction_status != TransactionStatus.IDLE:
                    line.close()
                else:
                    self._idle.append(line)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self.timeout):
            raise StoreUnavailable(f"The store has been busy with other requests for {self.timeout:g} s.")
        try:
            yield
        finally:
            self._places.release()

    def _living(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if is_living(line):
                return line
            line.close()
        return None

    @contextmanager
    def watched(self, line: Line) -> Iterator[None]:
        """Hang up where the server does not answer in time: whoever waits for it hears that the connection is gone."""
        timer = gevent.get_hub().loop.timer(self.timeout + GRACE)
        timer.start(_hang_up, line)
        try:
            yield
        finally:
            timer.stop()
            timer.close()


def unavailable(error: Exception) -> StoreUnavailable:
    """What is answered where the database failed. What it said to us, and where it is, is for operators."""
    return StoreUnavailable(why=said(error).rpartition(FAILED)[2])


def is_living(line: Line) -> bool:
    """Whether a connection that nobody uses is there still, as far as its server has told us."""
    try:
        for _ in range(2):  # its last words, and the end
            line.pgconn.consume_input()
    except psycopg.Error:
        return False
    return not line.closed and line.info.transaction_status == TransactionStatus.IDLE


def _hang_up(line: Line) -> None:
    if not line.closed:
        with socket.socket(fileno=os.dup(line.fileno())) as beside:
            beside.shutdown(socket.SHUT_RDWR)
