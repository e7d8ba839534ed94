"""Reports failures of greenlets and callbacks: they are logged, and counted for the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent import Greenlet

from gmessenger import log


class Supervisor:
    """Counts internal errors; a server that has counted any does not exit with 0."""

    def __init__(self) -> None:
        self.failure_count = 0

    def report(self, task: str, error: BaseException, address: str | None = None) -> None:
        """Log and count an internal error of a task, and the connection that it happened on."""
        self.failure_count += 1
        log.log_event("greenlet_failed", exception=error, what=task, address=address)

    def spawn(self, task: str, function: Callable[..., object], *args: Any) -> Greenlet[..., object]:
        """Start a greenlet whose failure is reported under the name of the task."""
        greenlet = gevent.spawn(function, *args)
        greenlet.link_exception(lambda dead: self.report(task, dead.exception or RuntimeError(task)))
        return greenlet

    def guard(self, task: str, function: Callable[[], object]) -> Callable[[], None]:
        """Return a callback for the loop whose failure is reported; the loop itself would only print it."""

        def guarded() -> None:
            try:
                function()
            except Exception as failure:
                self.report(task, failure)

        return guarded
