"""Those who wait for a message to be kept are told, in their order, and everybody else has a turn between them.

Messages that wait for the next commit: how many it takes, and how many may wait.

Rounds: one greenlet takes what waits, again and again; what arrives meanwhile is the next round's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias, TypeVar, cast

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult, Event
from msgspec import Struct

from gmessenger.chat.records import NewMessage
from gmessenger.chat.stats import StoreStats
from gmessenger.chat.storage import AppendCallback
from gmessenger.errors import StoreUnavailable, WireError
from gmessenger.timeslice import TimeSlice

NOTIFY_SLICE: Final = 0.01
"""Seconds at a time that are spent on delivering what was committed. In a large room that is a few messages: with a
shorter turn every frame would be written by itself."""


class AppendResult(Struct, gc=False):
    """What became of one post."""

    done: AppendCallback
    seq: int = 0
    duplicate: bool = False
    error: WireError | None = None


class CompletionNotifier:
    """The part of every store that calls back. `failed` is told of a mistake in what it calls."""

    def __init__(self, on_error: Callable[[str, BaseException], None] | None) -> None:
        self._on_error = on_error or (lambda what, failure: None)
        self.stats = StoreStats()
        self.on_batch_completed: Callable[[], None] = lambda: None

    def find_fault(self) -> str:
        """Say why nothing can be stored although the disk works; a store without files has no such fault."""
        return ""

    def suggest_remedy(self) -> str:
        """Say what the operator can do about it."""
        return ""

    def _notify(self, results: Sequence[AppendResult], posted_at: float | None) -> None:
        """Call back. `began` is when the first of these was posted, None where they were refused."""
        turn = TimeSlice(NOTIFY_SLICE)
        for outcome in results:
            if turn.expired:
                self._notify_batch()
                turn.yield_if_expired()  # what was answered is written, and others have their turn
            try:
                outcome.done(outcome.seq, outcome.duplicate, outcome.error)
            except Exception as failure:  # the next one's message is on disk too, and must be delivered
                self._on_error("delivery", failure)
        self._notify_batch()
        if results and posted_at is not None:
            self.stats.batch_sizes.add(len(results))
            self.stats.append_seconds.add(max(0.0, time.time() - posted_at), len(results))

    def _notify_batch(self) -> None:
        while True:
            try:
                return self.on_batch_completed()
            except Exception as failure:  # the others' messages are on disk too, and must be delivered
                self._on_error("delivery", failure)


MAX_BATCH: Final = 10_000
"""Messages that one commit takes; the rest are the next one's."""
MAX_BATCH_TEXT: Final = 1_000_000
"""Characters that one commit takes, unless they are all one message's: their words take a while to be made."""
MIN_PIPELINED_BATCH: Final = 500
"""Messages that share the price of a commit well enough."""
MAX_QUEUED_TEXT: Final = 67_108_864
"""Characters that may wait for a disk that has stopped; what comes then is refused."""

QueuedAppend: TypeAlias = tuple[NewMessage, AppendCallback]


class AppendQueue:
    """Messages in the order in which they were given."""

    def __init__(self) -> None:
        self._queue: list[QueuedAppend] = []
        self._queued_text = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, post: NewMessage, done: AppendCallback) -> None:
        """Have a message inserted with the next batch. Raises `StoreUnavailable` where too much waits already."""
        self._check_room()
        self._queued_text += len(post.text)
        self._queue.append((post, done))

    def add_all(self, posts: Sequence[QueuedAppend]) -> None:
        """`add` all of them, or none."""
        self._check_room()
        self._queued_text += sum(len(post.text) for post, _ in posts)
        self._queue += posts

    def pop_batch(self) -> list[QueuedAppend]:
        """The next batch."""
        number = self._batch_size()
        taken, self._queue = self._queue[:number], self._queue[number:]
        self._queued_text -= sum(len(post.text) for post, _ in taken)
        return taken

    def drain(self) -> list[QueuedAppend]:
        """Everything there is."""
        taken, self._queue = self._queue, []
        self._queued_text = 0
        return taken

    def exceeds_batch(self) -> bool:
        """Whether more waits than a batch takes."""
        return len(self._queue) > self._batch_size()

    def is_worth_a_commit(self) -> bool:
        """Whether enough waits for a commit of its own to be worth while."""
        return len(self._queue) >= MIN_PIPELINED_BATCH

    def _batch_size(self) -> int:
        """How many messages the next batch may take."""
        if self._queued_text > MAX_BATCH_TEXT:
            weights = accumulate(len(post.text) for post, _ in self._queue[:MAX_BATCH])
            return max(1, sum(weight <= MAX_BATCH_TEXT for weight in weights))
        return MAX_BATCH

    def _check_room(self) -> None:
        if self._queued_text > MAX_QUEUED_TEXT:
            raise StoreUnavailable(
                "The disk has not written anything for a while, and too many requests are waiting for it."
            )


ResultT = TypeVar("ResultT")

WAKE_DELAY: Final = 0.2
"""Seconds."""
CLOSE_TIMEOUT: Final = 30.0


class GroupCommitLoop:
    """What both writers are: `_round` is theirs. `failed` is told of what should not happen."""

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._on_error = on_error
        self._wake_event = Event()
        self._is_wake_scheduled = False
        self._is_closing = False
        self._completion: Greenlet[..., object] | None = None
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.link_exception(lambda ended: on_error("store writer", ended.exception or SystemError()))

    def wake(self) -> None:
        """There is something to commit."""
        self._wake_event.set()

    def wake_later(self) -> None:
        """There is something that may wait for what is committed next, but not for long."""
        if not self._is_wake_scheduled:
            self._is_wake_scheduled = True
            gevent.spawn_later(WAKE_DELAY, self._wake_now)

    def _wake_now(self) -> None:
        self._is_wake_scheduled = False
        self.wake()

    def _run_batch(self) -> None:
        """Take what waits, and commit it."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Commit what waits, and have no more rounds."""
        self._is_closing = True
        self.wake()
        self._greenlet.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        while True:
            self._wake_event.wait()
            self._wake_event.clear()
            try:
                self._run_batch()
            except Exception as failure:  # the only writer goes on
                self._on_error("commit", failure)
            if self._is_closing and not self._wake_event.is_set():
                self._wait_for_completion()
                return

    def _complete_batch(
        self, is_worth_a_commit: Callable[[], bool], complete: Callable[..., object], *args: Any
    ) -> None:
        """Settle what was committed, behind what was committed before; beside the next round where much waits for it.

        Else the disk would wait for the loop here, and the loop for the disk there. Where little waits it goes the
        other way: what is answered brings more, and a commit that takes more is cheaper.
        """
        self._wait_for_completion()
        if is_worth_a_commit():
            self._completion = gevent.spawn(complete, *args)
        else:
            complete(*args)

    def _wait_for_completion(self) -> None:
        """Wait until what was committed before is delivered: what comes after is delivered after."""
        settling, self._completion = self._completion, None
        if settling is not None:
            settling.join()


def await_result(result: AsyncResult[ResultT], timeout: float | None, party: str) -> ResultT:
    """Return a result, or raise the exception it was set to; block the greenlet until then.

    Args:
        timeout: seconds; None for no limit.
        silent: the party that has not answered, for the message.
    Raises:
        StoreUnavailable: after `timeout`. A `gevent.Timeout` of the caller's own passes through: it is not taken for
            this one.
    """
    result.wait(timeout)
    if not result.ready():
        raise StoreUnavailable(f"The {party} has not answered for {timeout:g} s.")
    return cast(ResultT, result.get())
