"""Following: what other nodes change is read and made so here, when they say that there is something, and anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import gevent
from gevent.event import AsyncResult, Event

from gmessenger import logs
from gmessenger.cluster.contract import SharedStore
from gmessenger.cluster.records import Change
from gmessenger.errors import StoreUnavailable

EAGER_FOR: Final = 1.0
"""Seconds after somebody came here: other nodes that did not know it yet may have kept something for them."""
EAGERLY: Final = 0.2
"""Seconds between two looks then."""
APART: Final = 0.02
"""Seconds between two looks for which nobody waits: when thousands log in, each of them leaves a change."""
STORE_PAUSE: Final = 0.5


class Following:
    """`apply` makes a change so, `heads` is told of conversations that moved on, `all_over` what to do where changes
    were missed. `every` is how long it waits, in seconds, for somebody to say that there is something.
    """

    def __init__(
        self,
        store: SharedStore,
        apply: Callable[[Change], None],
        heads: Callable[[list[tuple[str, int]]], None],
        everything: Callable[[], list[Change]],
        steady: Callable[[], float],
        every: float,
        timeout: float,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._apply = apply
        self._heads = heads
        self._everything = everything
        self._steady = steady
        self._every = every
        self._timeout = timeout
        self._failed = failed
        self._todo: deque[Change] = deque()
        self._wanted = Event()
        self._awaited = Event()
        self._next: AsyncResult[bool] | None = None
        self._eager_until = 0.0
        self._away = False
        self._stopped = False

    def wake(self) -> None:
        """There is something to be read."""
        self._wanted.set()

    def be_eager(self) -> None:
        """Somebody has come: look more often for a moment."""
        self._eager_until = self._steady() + EAGER_FOR
        self._wanted.set()

    def freshen(self) -> None:
        """Wait until a look that has begun after this call is over. Raises `StoreUnavailable`."""
        looked = self._next = self._next or AsyncResult()
        self._wanted.set()
        self._awaited.set()
        try:
            looked.get(timeout=self._timeout)
        except gevent.Timeout:
            raise StoreUnavailable from None

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()

    def run(self) -> None:
        """Look until `stop`."""
        looked = -APART
        while True:
            self._wanted.wait(EAGERLY if self._steady() < self._eager_until else self._every)
            self._awaited.wait(max(0.0, looked + APART - self._steady()))
            self._awaited.clear()
            if self._stopped:
                return
            looked = self._steady()
            self._wanted.clear()
            waiting, self._next = self._next, None
            try:
                self._look()
            except StoreUnavailable as error:
                self._is_away(str(error))
                if waiting is not None:
                    waiting.set_exception(error)
                gevent.sleep(STORE_PAUSE)
                continue
            self._is_back()
            if waiting is not None:
                waiting.set(True)

    def _look(self) -> None:
        news = self._store.news()
        if news.complete:
            self._todo.extend(news.changes)
        else:
            logs.event("changes_missed")
            self._todo = deque(self._everything())
        self._heads(list(news.heads))
        while self._todo:
            try:
                self._apply(self._todo[0])
            except StoreUnavailable:  # it is done with the next look
                raise
            except Exception as failure:  # the others are to be done all the same
                self._failed("a change of another server", failure)
            self._todo.popleft()

    def _is_back(self) -> None:
        if self._away:
            logs.event("store_back")
        self._away = False

    def _is_away(self, reason: str) -> None:
        if not self._away:
            logs.event("store_away", reason=reason)
        self._away = True
