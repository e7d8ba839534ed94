"""One writer, group commit: what arrives while a transaction is under way forms the next.

A transaction is one round trip: its statements go in a pipeline, and the conversations that it locks are locked for no
longer than the server takes. They are locked in the order of their keys, so two nodes never wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import gevent
import psycopg
from gevent.event import AsyncResult

from gmessenger.chat.tally import StoreTally
from gmessenger.errors import NotStorable, StoreUnavailable, WireError
from gmessenger.store.failures import FAILURES
from gmessenger.store.postgres.batches import Batch, Cursors
from gmessenger.store.postgres.lines import (
    AGAIN,
    ATTEMPTS,
    CANNOT_BE_KEPT,
    GRACE,
    PAUSE,
    Line,
    Lines,
    is_living,
    unavailable,
)
from gmessenger.store.rounds import Rounds, await_result
from gmessenger.store.settling import Outcome
from gmessenger.store.waiting import Asked, Waiting

Settle: TypeAlias = Callable[[Sequence[Outcome], float | None], None]
Flushed: TypeAlias = "AsyncResult[None]"
BY_INDEX: Final = (
    # A plan is made once and kept, perhaps when the tables were empty and looked through as a whole.
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
)
MOST_FLUSHING: Final = 10_000
"""Who may wait at a time for a database that has stopped."""


class Writer(Rounds):
    """Keeps messages and cursors. `settle` is told what became of each batch, in order; `failed` of mistakes."""

    def __init__(
        self, lines: Lines, settle: Settle, failed: Callable[[str, BaseException], None], tally: StoreTally
    ) -> None:
        self.waiting = Waiting()
        self.cursors: Cursors = {}
        self.moving: Cursors = {}
        self._lines = lines
        self._timeout = lines.timeout + GRACE
        self._line: Line | None = None
        self._settle = settle
        self._tally = tally
        self._batch = Batch()
        self._flushing: list[Flushed] = []
        super().__init__(failed)

    def flush(self) -> None:
        """Wait until everything that was given before is on disk. Raises `StoreUnavailable`."""
        if len(self._flushing) >= MOST_FLUSHING:
            raise StoreUnavailable
        flushed: Flushed = AsyncResult()
        self._flushing.append(flushed)
        self.wake()
        await_result(flushed, self._timeout, "database")

    def close(self) -> None:
        """Keep what waits, and end."""
        self._end()
        self._hang_up()

    def _round(self) -> None:
        posts = self.waiting.take()
        flushing: list[Flushed] = []
        if self.waiting:
            self._wanted.set()
        else:
            flushing, self._flushing = self._flushing, []
        self.moving, self.cursors = self.cursors, {}
        refusal, outcomes = self._outcomes(posts)
        if refusal is not None:
            for key, seq in self.moving.items():  # no session acknowledges again what it has acknowledged
                self.cursors[key] = max(seq, self.cursors.get(key, 0))
            if self.moving:
                self.soon()
        self.moving = {}
        began = posts[0][0].time if posts and refusal is None else None
        self._deliver(self.waiting.much, self._tell, outcomes, began, flushing, refusal)

    def _tell(
        self, outcomes: Sequence[Outcome], began: float | None, flushing: list[Flushed], refusal: WireError | None
    ) -> None:
        try:
            self._settle(outcomes, began)
        except Exception as mistake:  # who waits is told all the same
            self._failed("delivery", mistake)
        for flushed in flushing:
            if refusal is None:
                flushed.set(None)
            else:
                flushed.set_exception(refusal)

    def _outcomes(self, posts: list[Asked]) -> tuple[WireError | None, Sequence[Outcome]]:
        """What became of a batch as a whole, and of each message in it."""
        if not posts and not self.moving:
            return None, ()
        began = time.monotonic()
        try:
            outcomes = self._kept(posts, self.moving)
        except Exception as error:
            if not isinstance(error, (psycopg.Error, WireError)):  # a mistake of ours may not end the only writer
                self._failed("commit", error)
            self._hang_up()
            self._tally.failed += 1
            refusal = error if isinstance(error, StoreUnavailable) else unavailable(error)
            FAILURES.tell("store_failed", error)
            # Also those that wait: they would wait for as long, and their order is kept.
            return refusal, [Outcome(done, error=refusal) for _, done in posts + self.waiting.take_all()]
        self._tally.commits.add(time.monotonic() - began)
        return None, outcomes

    def _kept(self, posts: list[Asked], cursors: Cursors) -> Sequence[Outcome]:
        try:
            return self._tried(posts, cursors)
        except (*CANNOT_BE_KEPT, psycopg.errors.UniqueViolation) as error:
            self._hang_up()
            return self._apart(posts, cursors, error)

    def _tried(self, posts: list[Asked], cursors: Cursors) -> Sequence[Outcome]:
        for attempt in range(ATTEMPTS):
            line = self._living()
            try:
                with self._lines.watched(line):
                    return self._batch.keep(line, posts, cursors)
            except AGAIN as error:
                failure: psycopg.Error = error
                self._hang_up()
                gevent.sleep(PAUSE * attempt)
        raise failure

    def _apart(self, posts: list[Asked], cursors: Cursors, error: Exception) -> Sequence[Outcome]:
        """One of them cannot be kept by this database: it is refused, and no other for its sake.

        It is looked for by halves: the others are kept in few transactions.
        """
        if posts and cursors:
            outcomes = self._kept(posts, {})
            self._kept([], cursors)
            return outcomes
        if len(posts) <= 1:
            FAILURES.tell("store_refused", error)
            return [Outcome(done, error=NotStorable()) for _, done in posts]
        half = len(posts) // 2
        return [*self._kept(posts[:half], {}), *self._kept(posts[half:], {})]

    def _living(self) -> Line:
        if self._line is not None and not is_living(self._line):
            self._hang_up()
        if self._line is None:
            self._line = self._lines.open()
            with self._lines.watched(self._line):
                self._line.execute(BY_INDEX)
        return self._line

    def _hang_up(self) -> None:
        """Go on with another connection: of a pipeline that failed psycopg believes that all of it was prepared."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
