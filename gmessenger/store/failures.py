"""Log the reasons of failed and refused writes; clients only get a general error."""

from __future__ import annotations

import time
from typing import Final, Literal

from gmessenger import log

REPEAT_INTERVAL: Final = 10.0  # seconds
"""The same reason is logged again after so long: a full disk refuses every batch."""


class FailureLog:
    """Log of failures that skips repetitions: remembers by event the last reason, and when it was logged."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def log(self, event: Literal["store_failed", "store_refused"], error: BaseException) -> None:
        """Log the first line of an error, unless it was this event's last within `REPEAT_INTERVAL`."""
        reason = str(error.__cause__ or error).strip().partition("\n")[0] or type(error).__name__
        last_reason, logged_at = self._last.get(event, ("", 0.0))
        now = time.monotonic()
        if reason != last_reason or now - logged_at >= REPEAT_INTERVAL:
            self._last[event] = (reason, now)
            log.log_event(event, reason=reason)


FAILURE_LOG: Final = FailureLog()
"""The one of this process."""
