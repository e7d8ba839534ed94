"""Rounds: one greenlet takes what waits, again and again; what arrives meanwhile is the next round's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult, Event

from gmessenger.errors import StoreUnavailable

Result = TypeVar("Result")

SOON: Final = 0.2
"""Seconds."""
CLOSING_TAKES: Final = 30.0


class Rounds:
    """What both writers are: `_round` is theirs. `failed` is told of what should not happen."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._wanted = Event()
        self._soon = False
        self._closing = False
        self._settling: Greenlet[..., object] | None = None
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.link_exception(lambda ended: failed("store writer", ended.exception or SystemError()))

    def wake(self) -> None:
        """There is something to commit."""
        self._wanted.set()

    def soon(self) -> None:
        """There is something that may wait for what is committed next, but not for long."""
        if not self._soon:
            self._soon = True
            gevent.spawn_later(SOON, self._now)

    def _now(self) -> None:
        self._soon = False
        self.wake()

    def _round(self) -> None:
        """Take what waits, and commit it."""
        raise NotImplementedError

    def _end(self) -> None:
        """Commit what waits, and have no more rounds."""
        self._closing = True
        self.wake()
        self._greenlet.join(CLOSING_TAKES)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._round()
            except Exception as failure:  # the only writer goes on
                self._failed("commit", failure)
            if self._closing and not self._wanted.is_set():
                self._until_settled()
                return

    def _deliver(self, much: Callable[[], bool], settle: Callable[..., object], *given: Any) -> None:
        """Settle what was committed, behind what was committed before; beside the next round where much waits for it.

        Else the disk would wait for the loop here, and the loop for the disk there. Where little waits it goes the
        other way: what is answered brings more, and a commit that takes more is cheaper.
        """
        self._until_settled()
        if much():
            self._settling = gevent.spawn(settle, *given)
        else:
            settle(*given)

    def _until_settled(self) -> None:
        """Wait until what was committed before is delivered: what comes after is delivered after."""
        settling, self._settling = self._settling, None
        if settling is not None:
            settling.join()


def await_result(result: AsyncResult[Result], timeout: float | None, silent: str) -> Result:
    """Return a result, or raise the exception it was set to; block the greenlet until then.

    Args:
        timeout: seconds; None for no limit.
        silent: the party that has not answered, for the message.
    Raises:
        StoreUnavailable: after `timeout`. A `gevent.Timeout` of the caller's own passes through: it is not taken for
            this one.
    """
    result.wait(timeout)
    if not result.ready():
        raise StoreUnavailable(f"The {silent} has not answered for {timeout:g} s.")
    return cast(Result, result.get())
