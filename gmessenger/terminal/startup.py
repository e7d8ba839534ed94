"""Start a link, and try again while the server is not there yet, as a lost line is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from gmessenger.client import Link, Patience
from gmessenger.client.dialer import is_no_host, is_not_resolved
from gmessenger.client.patience import Pauses
from gmessenger.errors import Unreachable
from gmessenger.terminal.dates import moment
from gmessenger.terminal.render import why
from gmessenger.terminal.words import _, noted


class Startup:
    """Start links, trying again for `seconds` after the first failure; `say` is told of the 1st, 2nd, 4th … failure."""

    def __init__(self, seconds: float, say: Callable[[str], object], *, typed: bool = False) -> None:
        """With `typed` (a person at a terminal), a host name that cannot be resolved just now fails at once."""
        self._seconds = seconds
        self._say = say
        self._typed = typed

    def start(self, link: Link, password: str | None = None) -> None:
        """Connect and log in. Raises `Unreachable` when the time is over, `Refused` at once. Blocks the greenlet."""
        deadline: float | None = None
        patience = Patience()
        pauses = Pauses(patience.first_pause, patience.longest_pause)
        attempt = 0
        while True:
            try:
                return link.start(password)
            except Unreachable as error:
                deadline = deadline or time.monotonic() + self._seconds  # from the first failure on
                left = deadline - time.monotonic()
                if not self._seconds or left < 0 or self._is_final(error.__cause__):
                    raise
                asked = getattr(error.__cause__, "retry_after", 0.0)  # by a server that has no room just now
                pause = min(max(pauses.next(), min(asked, patience.longest_asked)), left)
                attempt += 1
                if attempt & (attempt - 1) == 0:  # the 1st, 2nd, 4th, 8th … failure is news
                    reason = why(error)
                    self._say(noted(_("{reason} Trying again in {time}.", reason=reason, time=moment(pause))))
            gevent.sleep(pause)

    def _is_final(self, cause: BaseException | None) -> bool:
        return is_not_resolved(cause) if self._typed else is_no_host(cause)
