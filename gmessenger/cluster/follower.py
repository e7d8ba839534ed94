"""Poll the store for changes of other nodes, on a notice over the bus and at regular intervals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import gevent
from gevent.event import AsyncResult, Event

from gmessenger import log
from gmessenger.cluster.interfaces import Change, SharedStore
from gmessenger.errors import StoreUnavailable
from gmessenger.timeslice import TimeSlice

FAST_POLL_DURATION: Final = 1.0
"""Seconds of fast polling after a login here: nodes that had not seen it yet sent this node no hints for the name."""
FAST_POLL_INTERVAL: Final = 0.2
"""Seconds between two polls in that time."""
MIN_POLL_INTERVAL: Final = 0.02
"""Seconds between two polls that no caller waits for, however many notices arrive."""
POLL_RETRY_DELAY: Final = 0.5  # seconds
MAX_APPLY_FAILURES: Final = 5
"""Number of attempts after which a change is skipped, if the store is writable: the change itself is at fault."""


class ChangeFollower:
    """Polls the store and passes changes on. `run` is a greenlet; else only `sync` blocks."""

    def __init__(
        self,
        store: SharedStore,
        apply: Callable[[Change], bool],
        on_heads: Callable[[Iterable[tuple[str, int]]], None],
        resync: Callable[[], None],
        monotonic: Callable[[], float],
        poll_interval: float,
        timeout: float,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """Create a follower.

        Args:
            apply: applies a change; returns False if it must be applied again later.
            on_heads: called with (conversation key, seq) of conversations that have advanced, after all changes.
            resync: compares all state with the store; called where changes were missed.
            poll_interval: seconds between two polls without a notice.
            timeout: seconds that `sync` waits for a poll.
        """
        self._store = store
        self._apply_change = apply
        self._on_heads = on_heads
        self._resync = resync
        self._monotonic = monotonic
        self._poll_interval = poll_interval
        self._timeout = timeout
        self._on_error = on_error
        self._changes: deque[Change] = deque()
        self._moved_heads: dict[str, int] = {}
        self._needs_resync = False
        self._failures = 0
        self._wakeup = Event()
        self._sync_requested = Event()
        self._next_sync: AsyncResult[tuple[StoreUnavailable | None]] | None = None
        self._fast_until = 0.0
        self._store_is_away = False
        self._stopped = False

    def wake(self) -> None:
        """Poll now, or as soon as `MIN_POLL_INTERVAL` allows."""
        self._wakeup.set()

    def poll_fast(self) -> None:
        """Poll every `FAST_POLL_INTERVAL` for the next second: a name has come online here."""
        self._fast_until = self._monotonic() + FAST_POLL_DURATION
        self._wakeup.set()

    def sync(self) -> None:
        """Block until a poll that began after this call is complete.

        Raises:
            StoreUnavailable: the poll failed, or took longer than `timeout`.
        """
        poll = self._next_sync = self._next_sync or AsyncResult()
        self._wakeup.set()
        self._sync_requested.set()
        result = poll.wait(self._timeout)  # None after the timeout
        error = result[0] if result is not None else StoreUnavailable()
        if error is not None:
            raise error

    def stop(self) -> None:
        """Have `run` return."""
        self._stopped = True
        self._wakeup.set()

    def run(self) -> None:
        """Poll until `stop`."""
        polled_at = -MIN_POLL_INTERVAL
        while True:
            self._wakeup.wait(FAST_POLL_INTERVAL if self._monotonic() < self._fast_until else self._poll_interval)
            self._sync_requested.wait(max(0.0, polled_at + MIN_POLL_INTERVAL - self._monotonic()))
            self._sync_requested.clear()
            if self._stopped:
                return
            polled_at = self._monotonic()
            self._wakeup.clear()
            waiting, self._next_sync = self._next_sync, None
            error = self._try_poll()
            if waiting is not None:
                waiting.set((error,))
            if error is not None:
                gevent.sleep(POLL_RETRY_DELAY)

    def _try_poll(self) -> StoreUnavailable | None:
        try:
            self._poll()
        except StoreUnavailable as error:
            if not self._store_is_away:
                log.log_event("store_away", reason=str(error.__cause__ or error).strip())
            self._store_is_away = True
            return error
        except Exception as failure:  # the greenlet must survive: nothing else polls
            self._on_error("following", failure)
            return StoreUnavailable()
        if self._store_is_away:
            log.log_event("store_back")
        self._store_is_away = False
        return None

    def _poll(self) -> None:
        polled = self._store.poll_changes()
        self._changes.extend(polled.changes)
        self._moved_heads.update(polled.heads)
        self._needs_resync |= not polled.is_complete
        if self._needs_resync:
            self._resync()
            log.log_event("compared_with_store")
            self._needs_resync = False
        time_slice = TimeSlice()
        for _ in range(len(self._changes)):
            self._apply_or_requeue(self._changes[0])
            time_slice.yield_if_expired()
        # After the changes: a session that one of them put into a room needs the messages since then, too.
        moved, self._moved_heads = self._moved_heads, {}
        self._on_heads(moved.items())

    def _apply_or_requeue(self, change: Change) -> None:
        """Apply the first queued change; one that fails is retried, `MAX_APPLY_FAILURES` times."""
        try:
            is_certain = self._apply_change(change)
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures < MAX_APPLY_FAILURES or not self._is_store_healthy():
                raise
            self._on_error("a change of another server", error)
            is_certain = True
        except Exception as failure:  # the changes after it must be applied all the same
            self._on_error("a change of another server", failure)
            is_certain = True
        self._failures = 0
        self._changes.popleft()
        if not is_certain:
            self._changes.append(change)

    def _is_store_healthy(self) -> bool:
        """Return whether the store works, so that the failure is due to the change itself."""
        try:
            self._store.check_writable()
        except StoreUnavailable:
            return False
        return True
