"""Sees to it that no greenlet dies silently: failures are logged and remembered for the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent import Greenlet

from gmessenger import logs


class Watch:
    """Counts what failed unexpectedly; a server that counted any does not exit with 0."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, what: str, failure: BaseException, address: str | None = None) -> None:
        self.failures += 1
        logs.event("greenlet_failed", failure=failure, what=what, address=address)

    def spawn(self, what: str, function: Callable[..., object], *args: Any) -> Greenlet[..., object]:
        """A greenlet whose failure is seen."""
        greenlet = gevent.spawn(function, *args)
        greenlet.link_exception(lambda dead: self.failed(what, dead.exception or RuntimeError(what)))
        return greenlet

    def guard(self, what: str, function: Callable[[], object]) -> Callable[[], None]:
        """A loop callback whose failure is seen; the loop itself would only print it."""

        def guarded() -> None:
            try:
                function()
            except Exception as failure:
                self.failed(what, failure)

        return guarded
