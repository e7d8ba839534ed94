"""Connect at the start, with retries, and wait for pending messages before the exit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.backoff import Backoff
from gmessenger.client import Client, Timeouts
from gmessenger.client.connection import ForeignServer
from gmessenger.client.dialer import is_resolution_error, is_unknown_host
from gmessenger.errors import MessagesNotSent, Unreachable
from gmessenger.terminal import format_events
from gmessenger.terminal.dates import format_duration
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.i18n import N_, _, as_notice


class StartupRetry:
    """Start a client, and retry for `retry_for` seconds after the first failure.

    show: called with a notice at the 1st, 2nd, 4th, 8th … failure.
    interactive: a host name that cannot be resolved just now fails at once, because a person can correct it.
    """

    def __init__(self, retry_for: float, show: Callable[[str], object], *, interactive: bool = False) -> None:
        self._retry_for = retry_for
        self._show = show
        self._interactive = interactive

    def start(self, client: Client, password: str | None = None) -> None:
        """Connect and log in. Raises `Unreachable` when the time is over, and `Refused` at once.

        Blocks the greenlet.
        """
        deadline: float | None = None
        timeouts = Timeouts()
        backoff = Backoff(timeouts.initial_backoff, timeouts.max_backoff)
        attempt = 0
        while True:
            try:
                return client.start(password)
            except Unreachable as error:
                deadline = deadline or time.monotonic() + self._retry_for  # from the first failure on
                remaining = deadline - time.monotonic()
                if not self._retry_for or remaining < 0 or self._is_final(error.__cause__):
                    raise
                retry_after = getattr(error.__cause__, "retry_after", 0.0)  # set by a server that is full
                delay = min(backoff.next_delay(at_least=min(retry_after, timeouts.max_retry_after)), remaining)
                attempt += 1
                if attempt & (attempt - 1) == 0:  # the 1st, 2nd, 4th, 8th … failure is shown
                    reason = format_reason(error)
                    self._show(
                        as_notice(_("{reason} Trying again in {time}.", reason=reason, time=format_duration(delay)))
                    )
            gevent.sleep(delay)

    def _is_final(self, cause: BaseException | None) -> bool:
        is_no_host = is_resolution_error(cause) if self._interactive else is_unknown_host(cause)
        return is_no_host or isinstance(cause, ForeignServer)


UNSENT_KEPT: Final = N_("Messages without an answer, saved and sent at the next start: {count}.")
UNSENT_MAY_BE_LOST: Final = N_("Messages without an answer, which may be lost: {count}.")
QUIET_FLUSH_TIMEOUT: Final = 0.3
"""Seconds in which responses usually arrive; a longer wait is announced."""


def flush_before_exit(client: Client, timeout: float, show: Callable[[str], object]) -> MessagesNotSent | None:
    """Wait until every message has its response, for at most `timeout` seconds.

    Returns the error to end the program with if some are left. Blocks the greenlet.
    """
    unanswered = client.flush(QUIET_FLUSH_TIMEOUT)
    if unanswered:
        show(format_events.format_flushing(unanswered))
        unanswered = client.flush(timeout)
    if not unanswered:
        return None
    return MessagesNotSent(_(UNSENT_KEPT if client.is_durable else UNSENT_MAY_BE_LOST, count=unanswered))
