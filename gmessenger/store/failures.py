"""Log what a database says when it fails or refuses something: peers are never told."""

from __future__ import annotations

import time
from typing import Final, Literal

from gmessenger import log

REPEAT_INTERVAL: Final = 10.0  # seconds
"""The same is said again after so long: a disk that is full refuses every batch."""


class FailureLog:
    """One for the process: the sentences logged lately, and when."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def log(self, event: Literal["store_failed", "store_refused"], error: BaseException) -> None:
        """Log it in one line, unless the same was said within the last INTERVAL."""
        reason = str(error.__cause__ or error).strip().partition("\n")[0] or type(error).__name__
        said, at = self._last.get(event, ("", 0.0))
        now = time.monotonic()
        if reason != said or now - at >= REPEAT_INTERVAL:
            self._last[event] = (reason, now)
            log.log_event(event, reason=reason)


FAILURE_LOG: Final = FailureLog()
