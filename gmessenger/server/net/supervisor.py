"""Sees to it that no greenlet dies silently: failures are logged and remembered for the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent import Greenlet

from gmessenger import log


class Supervisor:
    """Counts what failed unexpectedly; a server that counted any does not exit with 0."""

    def __init__(self) -> None:
        self.failure_count = 0

    def report(self, task: str, error: BaseException, address: str | None = None) -> None:
        self.failure_count += 1
        log.log_event("greenlet_failed", exception=error, what=task, address=address)

    def spawn(self, task: str, function: Callable[..., object], *args: Any) -> Greenlet[..., object]:
        """A greenlet whose failure is seen."""
        greenlet = gevent.spawn(function, *args)
        greenlet.link_exception(lambda dead: self.report(task, dead.exception or RuntimeError(task)))
        return greenlet

    def guard(self, task: str, function: Callable[[], object]) -> Callable[[], None]:
        """A loop callback whose failure is seen; the loop itself would only print it."""

        def guarded() -> None:
            try:
                function()
            except Exception as failure:
                self.report(task, failure)

        return guarded
