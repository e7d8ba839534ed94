"""Following: what other nodes change is read and made so here, when they say that there is something, and anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import gevent
from gevent.event import AsyncResult, Event

from gmessenger import logs
from gmessenger.cluster.contract import SharedStore
from gmessenger.cluster.records import Change
from gmessenger.errors import StoreUnavailable
from gmessenger.turns import Turn

EAGER_FOR: Final = 1.0
"""Seconds after somebody came here: other nodes that did not know it yet may have kept something for them."""
EAGERLY: Final = 0.2
"""Seconds between two looks then."""
APART: Final = 0.02
"""Seconds between two looks for which nobody waits, however many changes there are."""
STORE_PAUSE: Final = 0.5
MOST_FAILURES: Final = 5


class Following:
    """`apply` makes a change so and says whether it is sure of it; `heads` is told of conversations that moved on;
    `compare` makes everything so, where changes were missed. `every` is how long it waits, in seconds, for somebody to
    say that there is something.
    """

    def __init__(
        self,
        store: SharedStore,
        apply: Callable[[Change], bool],
        heads: Callable[[Iterable[tuple[str, int]]], None],
        compare: Callable[[], None],
        steady: Callable[[], float],
        every: float,
        timeout: float,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._apply = apply
        self._heads = heads
        self._compare = compare
        self._steady = steady
        self._every = every
        self._timeout = timeout
        self._failed = failed
        self._todo: deque[Change] = deque()
        self._moved: dict[str, int] = {}
        self._all = False
        self._failures = 0
        self._wanted = Event()
        self._awaited = Event()
        self._next: AsyncResult[tuple[StoreUnavailable | None]] | None = None
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
        answer = looked.wait(self._timeout)  # None where nobody has answered
        failure = answer[0] if answer is not None else StoreUnavailable()
        if failure is not None:
            raise failure

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
            failure = self._try()
            if waiting is not None:
                waiting.set((failure,))
            if failure is not None:
                gevent.sleep(STORE_PAUSE)

    def _try(self) -> StoreUnavailable | None:
        try:
            self._look()
        except StoreUnavailable as error:
            if not self._away:
                logs.event("store_away", reason=str(error.__cause__ or error).strip())
            self._away = True
            return error
        except Exception as failure:  # nobody else looks
            self._failed("following", failure)
            return StoreUnavailable()
        if self._away:
            logs.event("store_back")
        self._away = False
        return None

    def _look(self) -> None:
        news = self._store.news()
        self._todo.extend(news.changes)
        self._moved.update(news.heads)
        self._all |= not news.complete
        if self._all:
            self._compare()
            logs.event("compared_with_store")
            self._all = False
        turn = Turn()
        for _ in range(len(self._todo)):
            self._do(self._todo[0])
            turn.give_way()
        # Only now: who has come into a conversation just now is to have what was said since.
        moved, self._moved = self._moved, {}
        self._heads(moved.items())

    def _do(self, change: Change) -> None:
        """Make a change so; what cannot be done now is done with the next look, but not for ever."""
        try:
            sure = self._apply(change)
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures < MOST_FAILURES or not self._answers():
                raise
            self._failed("a change of another server", error)
            sure = True
        except Exception as failure:  # the others are to be done all the same
            self._failed("a change of another server", failure)
            sure = True
        self._failures = 0
        self._todo.popleft()
        if not sure:
            self._todo.append(change)

    def _answers(self) -> bool:
        """Whether the store is well, and it is this change that it cannot tell about."""
        try:
            self._store.check()
        except StoreUnavailable:
            return False
        return True
