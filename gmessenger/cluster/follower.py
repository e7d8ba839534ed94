"""Following: what other nodes change is read and made so here, when they say that there is something, and anyway."""

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
"""Seconds after somebody came here: other nodes that did not know it yet may have kept something for them."""
FAST_POLL_INTERVAL: Final = 0.2
"""Seconds between two looks then."""
MIN_POLL_INTERVAL: Final = 0.02
"""Seconds between two looks for which nobody waits, however many changes there are."""
STORE_RETRY_DELAY: Final = 0.5
MAX_APPLY_FAILURES: Final = 5


class ChangeFollower:
    """`apply` makes a change so and says whether it is sure of it; `heads` is told of conversations that moved on;
    `compare` makes everything so, where changes were missed. `every` is how long it waits, in seconds, for somebody to
    say that there is something.
    """

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
        """There is something to be read."""
        self._wakeup.set()

    def poll_fast(self) -> None:
        """Somebody has come: look more often for a moment."""
        self._fast_until = self._monotonic() + FAST_POLL_DURATION
        self._wakeup.set()

    def sync(self) -> None:
        """Wait until a look that has begun after this call is over. Raises `StoreUnavailable`."""
        looked = self._next_sync = self._next_sync or AsyncResult()
        self._wakeup.set()
        self._sync_requested.set()
        answer = looked.wait(self._timeout)  # None where nobody has answered
        failure = answer[0] if answer is not None else StoreUnavailable()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        self._stopped = True
        self._wakeup.set()

    def run(self) -> None:
        """Look until `stop`."""
        looked = -MIN_POLL_INTERVAL
        while True:
            self._wakeup.wait(FAST_POLL_INTERVAL if self._monotonic() < self._fast_until else self._poll_interval)
            self._sync_requested.wait(max(0.0, looked + MIN_POLL_INTERVAL - self._monotonic()))
            self._sync_requested.clear()
            if self._stopped:
                return
            looked = self._monotonic()
            self._wakeup.clear()
            waiting, self._next_sync = self._next_sync, None
            failure = self._try_poll()
            if waiting is not None:
                waiting.set((failure,))
            if failure is not None:
                gevent.sleep(STORE_RETRY_DELAY)

    def _try_poll(self) -> StoreUnavailable | None:
        try:
            self._poll()
        except StoreUnavailable as error:
            if not self._store_is_away:
                log.log_event("store_away", reason=str(error.__cause__ or error).strip())
            self._store_is_away = True
            return error
        except Exception as failure:  # nobody else looks
            self._on_error("following", failure)
            return StoreUnavailable()
        if self._store_is_away:
            log.log_event("store_back")
        self._store_is_away = False
        return None

    def _poll(self) -> None:
        news = self._store.poll_changes()
        self._changes.extend(news.changes)
        self._moved_heads.update(news.heads)
        self._needs_resync |= not news.is_complete
        if self._needs_resync:
            self._resync()
            log.log_event("compared_with_store")
            self._needs_resync = False
        turn = TimeSlice()
        for _ in range(len(self._changes)):
            self._apply_or_requeue(self._changes[0])
            turn.yield_if_expired()
        # Only now: who has come into a conversation just now is to have what was said since.
        moved, self._moved_heads = self._moved_heads, {}
        self._on_heads(moved.items())

    def _apply_or_requeue(self, change: Change) -> None:
        """Make a change so; what cannot be done now is done with the next look, but not for ever."""
        try:
            sure = self._apply_change(change)
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures < MAX_APPLY_FAILURES or not self._is_store_well():
                raise
            self._on_error("a change of another server", error)
            sure = True
        except Exception as failure:  # the others are to be done all the same
            self._on_error("a change of another server", failure)
            sure = True
        self._failures = 0
        self._changes.popleft()
        if not sure:
            self._changes.append(change)

    def _is_store_well(self) -> bool:
        """Whether the store is well, and it is this change that it cannot tell about."""
        try:
            self._store.check_writable()
        except StoreUnavailable:
            return False
        return True
