"""Changes that are carried through: what the disk has is in memory too, whoever stops waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from gevent.event import AsyncResult

from gmessenger.chat.delivery import Spawn
from gmessenger.chat.outbox import Response
from gmessenger.chat.session import Session
from gmessenger.errors import StoreUnavailable, WireError

ChangeFunction: TypeAlias = Callable[[], dict[str, Any] | None]
"""Makes a change and returns what its answer says besides its code."""


class ChangeRunner:
    """Runs a request's change in a greenlet of its own, which neither a lost connection nor a timeout ends."""

    def __init__(self, spawn: Spawn, clock: Callable[[], float], timeout: float) -> None:
        self._spawn = spawn
        self._clock = clock
        self._timeout = timeout

    def run(
        self,
        session: Session,
        id: str | None,
        change: ChangeFunction,
        status: int = 200,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Make the change and put its answer into the session's outbox, `then` do what has to come behind the answer.

        Raises what it raises, or `StoreUnavailable` when it takes too long: then it is still made, without an answer.
        """
        outcome: AsyncResult[bool] = AsyncResult()
        awaited = True

        def run() -> None:
            try:
                more = change()
            except WireError as error:
                outcome.set_exception(error)
                return
            except Exception as failure:
                if not awaited:
                    raise
                outcome.set_exception(failure)
                return
            except BaseException:  # it was ended: whoever waits is told now, and not after the timeout
                outcome.set_exception(StoreUnavailable())
                raise
            try:
                if awaited:
                    session.outbox.push(Response(status, id, self._clock(), more))
                then()
            finally:  # it is made, whatever becomes of what follows it
                outcome.set(True)

        self._spawn("a change", run)
        try:
            outcome.wait(self._timeout)
        finally:
            awaited = False
        if not outcome.ready():
            raise StoreUnavailable(f"The disk has not answered for {self._timeout:g} s.")
        outcome.get()
