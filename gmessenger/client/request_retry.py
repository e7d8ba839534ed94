"""Requests that are sent again while the server answers that they come too fast."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Final

import gevent

from gmessenger.errors import RateLimited
from gmessenger.wire.events import Request, ResponseFrame

RETRY_TIMEOUT: Final = 60.0
"""Seconds in which a request that was too fast is sent again."""
MIN_RETRY_DELAY: Final = 0.05  # seconds


class RetryingRequests(ABC):
    """Sends requests, again if they were too fast, and waits for the responses."""

    @abstractmethod
    def _request_once(self, request: Request) -> ResponseFrame:
        """Send a request and return its response. Blocks. Raises `WireError` and `Unreachable`."""

    def _request(self, request: Request) -> ResponseFrame:
        """Send a request as `_request_once` does, and again, after a wait, while the server answers `RateLimited`."""
        deadline = time.monotonic() + RETRY_TIMEOUT
        while True:
            try:
                return self._request_once(request)
            except RateLimited as error:
                delay = max(error.retry_after or 0.0, MIN_RETRY_DELAY)
                if time.monotonic() + delay > deadline:
                    raise
                gevent.sleep(delay)
