"""Wait for a condition that can only be polled, with a deadline. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable


def poll_until(condition: Callable[[], bool], timeout: float, interval: float) -> bool:
    """Block until the condition is true: return True, or False after `timeout` seconds.

    The condition is checked at least once, with a pause of `interval` seconds after each check; 0 if it blocks itself.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True
