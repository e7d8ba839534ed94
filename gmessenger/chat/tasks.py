"""Changes of stored state, which run to their end even if their request waits no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent.event import AsyncResult

from gmessenger.chat.delivery import Spawn
from gmessenger.errors import StoreUnavailable, WireError

ResultT = TypeVar("ResultT")


class ChangeRunner:
    """Runs changes in greenlets that neither a lost connection nor a timeout ends.

    So whatever is committed is also changed in memory.
    """

    def __init__(self, spawn: Spawn, timeout: float) -> None:
        """`timeout`: seconds that a request waits for its change."""
        self._spawn = spawn
        self._timeout = timeout

    def run(
        self,
        change: Callable[[], ResultT],
        respond: Callable[[ResultT], object],
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Make a change, and block until it is made.

        `respond` is called with its result in the same turn of the loop, so that no event comes before the response;
        not if the request waits no more. `then` is called after that, in any case. Raises what `change` raises, or
        `StoreUnavailable` after the timeout: then the change is still made.
        """
        outcome: AsyncResult[bool] = AsyncResult()
        is_awaited = True

        def run() -> None:
            try:
                result = change()
            except WireError as error:
                outcome.set_exception(error)
                return
            except Exception as failure:
                if not is_awaited:
                    raise
                outcome.set_exception(failure)
                return
            except BaseException:  # the greenlet was killed: end the waiting now, not after the timeout
                outcome.set_exception(StoreUnavailable())
                raise
            try:
                if is_awaited:
                    respond(result)
                then()
            finally:  # the change is made, even if what follows it fails
                outcome.set(True)

        self._spawn("a change", run)
        try:
            outcome.wait(self._timeout)
        finally:
            is_awaited = False
        if not outcome.ready():
            raise StoreUnavailable(f"The disk has not answered for {self._timeout:g} s.")
        outcome.get()
