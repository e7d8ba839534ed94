"""Group commit, for both backends: the queue of messages, the writer's loop, completion of a batch.

`AppendQueue` holds the messages that wait for the next commit and bounds them. `GroupCommitLoop` is the greenlet that
commits batch after batch: what arrives during a commit forms the next batch. `CompletionNotifier` calls back in the
order of `append` once a batch is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, ParamSpec, TypeAlias, TypeVar, cast

import gevent
from gevent import Greenlet
from gevent.event import AsyncResult, Event
from msgspec import Struct

from gmessenger.chat.records import NewMessage
from gmessenger.chat.stats import StoreStats
from gmessenger.chat.storage import AppendCallback
from gmessenger.errors import StoreUnavailable, WireError
from gmessenger.timeslice import TimeSlice

NOTIFY_SLICE: Final = 0.01  # seconds
"""For so long committed messages are delivered before the loop yields. In a large room that is a few messages: with a
shorter slice every frame would be written to its socket alone."""
NOTIFY_STEP: Final = 16  # messages after which it is looked whether that time is over


class AppendResult(Struct, gc=False):
    """What became of one appended message: its seq, whether it was stored before, or the error."""

    callback: AppendCallback
    seq: int = 0
    duplicate: bool = False
    error: WireError | None = None


class CompletionNotifier:
    """Base of both stores: calls back when appended messages are on disk, and counts what the store does."""

    def __init__(self, on_error: Callable[[str, BaseException], None] | None) -> None:
        """`on_error` is called with what failed and the exception, where a callback raised."""
        self._on_error = on_error or (lambda what, failure: None)
        self.stats = StoreStats()
        self._on_batch_completed: Callable[[], None] = lambda: None

    def set_batch_listener(self, on_batch_completed: Callable[[], None]) -> None:
        """Call it after the callbacks of appended messages, before the loop runs anything else."""
        self._on_batch_completed = on_batch_completed

    def find_fault(self) -> str:
        """Return why nothing can be stored although the disk works; empty for a store without files."""
        return ""

    def suggest_remedy(self) -> str:
        """Return what the operator can do about the fault."""
        return ""

    def _notify(self, results: Sequence[AppendResult], posted_at: float | None) -> None:
        """Call back for each message, in order; yield after each `NOTIFY_SLICE`.

        Args:
            posted_at: when the first of the batch was posted, in Unix seconds; None where the batch was refused.
        """
        time_slice = TimeSlice(NOTIFY_SLICE)
        for number, result in enumerate(results):
            if not number % NOTIFY_STEP and time_slice.expired:
                self._notify_batch()
                time_slice.yield_if_expired()  # what was delivered is written to the sockets meanwhile
            try:
                result.callback(result.seq, result.duplicate, result.error)
            except Exception as failure:  # the messages behind it are on disk too, and must be delivered
                self._on_error("delivery", failure)
        self._notify_batch()
        if results and posted_at is not None:
            self.stats.batch_sizes.add(len(results))
            self.stats.append_seconds.add(max(0.0, time.time() - posted_at), len(results))

    def _notify_batch(self) -> None:
        while True:
            try:
                return self._on_batch_completed()
            except Exception as failure:  # the messages behind it are on disk too: go on with them
                self._on_error("delivery", failure)


MAX_BATCH: Final = 10_000  # messages that one commit takes
MAX_BATCH_TEXT: Final = 1_000_000  # characters that one commit takes, or one message: normalising them takes long
MIN_PIPELINED_BATCH: Final = 500  # messages that make a commit of their own worth its fixed cost
MAX_QUEUED_TEXT: Final = 67_108_864  # characters that may wait for a disk that has stopped; then appends are refused

QueuedAppend: TypeAlias = tuple[NewMessage, AppendCallback]


class AppendQueue:
    """Messages that wait for the next commit, in the order in which they were appended. No method yields."""

    def __init__(self) -> None:
        self._queue: list[QueuedAppend] = []
        self._queued_text = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, message: NewMessage, callback: AppendCallback) -> None:
        """Queue a message. Raises `StoreUnavailable` where more than `MAX_QUEUED_TEXT` waits already."""
        self._check_room()
        self._queued_text += len(message.text)
        self._queue.append((message, callback))

    def add_all(self, appends: Sequence[QueuedAppend]) -> None:
        """Queue all of these messages or none, as `add`."""
        self._check_room()
        self._queued_text += sum([len(message.text) for message, _ in appends])
        self._queue += appends

    def pop_batch(self) -> list[QueuedAppend]:
        """Remove and return the messages of the next batch."""
        number = self._batch_size()
        if number >= len(self._queue):
            return self.drain()
        taken, self._queue = self._queue[:number], self._queue[number:]
        self._queued_text -= sum([len(message.text) for message, _ in taken])
        return taken

    def drain(self) -> list[QueuedAppend]:
        """Remove and return all messages."""
        taken, self._queue = self._queue, []
        self._queued_text = 0
        return taken

    def exceeds_batch(self) -> bool:
        """Return whether more messages wait than one batch takes."""
        return len(self._queue) > self._batch_size()

    def is_worth_a_commit(self) -> bool:
        """Return whether at least `MIN_PIPELINED_BATCH` messages wait."""
        return len(self._queue) >= MIN_PIPELINED_BATCH

    def _batch_size(self) -> int:
        """Return how many messages the next batch may take, by their number and length."""
        if self._queued_text > MAX_BATCH_TEXT:
            weights = accumulate(len(message.text) for message, _ in self._queue[:MAX_BATCH])
            return max(1, sum(weight <= MAX_BATCH_TEXT for weight in weights))
        return MAX_BATCH

    def _check_room(self) -> None:
        if self._queued_text > MAX_QUEUED_TEXT:
            raise StoreUnavailable(
                "The disk has not written anything for a while, and too many requests are waiting for it."
            )


P = ParamSpec("P")
ResultT = TypeVar("ResultT")

WAKE_DELAY: Final = 0.2  # seconds
CLOSE_TIMEOUT: Final = 30.0  # seconds that closing waits for the last batch


class GroupCommitLoop:
    """Base of both writers: one greenlet that calls `_run_batch` whenever it was woken."""

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        """Start the greenlet; `on_error` is called with what failed and the exception, for our own mistakes."""
        self._on_error = on_error
        self._wake_event = Event()
        self._is_wake_scheduled = False
        self._is_closing = False
        self._completion: Greenlet[..., object] | None = None
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.link_exception(lambda ended: on_error("store writer", ended.exception or SystemError()))

    def wake(self) -> None:
        """Have what waits committed now, or right after the commit that is under way."""
        self._wake_event.set()

    def wake_later(self) -> None:
        """Have what waits committed with the next batch, but within `WAKE_DELAY`."""
        if not self._is_wake_scheduled:
            self._is_wake_scheduled = True
            gevent.spawn_later(WAKE_DELAY, self._wake_now)

    def _wake_now(self) -> None:
        self._is_wake_scheduled = False
        self.wake()

    def _run_batch(self) -> None:
        """Commit one batch of what waits. Called in the loop's greenlet; blocks it."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Commit what waits and end the greenlet; wait for that up to `CLOSE_TIMEOUT`."""
        self._is_closing = True
        self.wake()
        self._greenlet.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        while True:
            self._wake_event.wait()
            self._wake_event.clear()
            try:
                self._run_batch()
            except Exception as failure:  # the only writer must go on
                self._on_error("commit", failure)
            if self._is_closing and not self._wake_event.is_set():
                self._wait_for_completion()
                return

    def _complete_batch(
        self,
        is_worth_a_commit: Callable[[], bool],
        complete: Callable[P, object],
        *args: P.args,
        **options: P.kwargs,
    ) -> None:
        """Run the completion of a batch, strictly after that of the batch before.

        If enough waits for a commit of its own, run it in a greenlet, so that the next COMMIT overlaps: otherwise disk
        and loop would idle in turn. If little waits, run it here: answers bring new messages, and a larger batch costs
        less per message.
        """
        self._wait_for_completion()
        if is_worth_a_commit():
            self._completion = gevent.spawn(complete, *args, **options)
        else:
            complete(*args, **options)

    def _wait_for_completion(self) -> None:
        """Wait for the completion of the batch before, where it runs in a greenlet of its own."""
        completion, self._completion = self._completion, None
        if completion is not None:
            completion.join()


def await_result(result: AsyncResult[ResultT], timeout: float | None, party: str) -> ResultT:
    """Return a result, or raise the exception it was set to; block the greenlet until then.

    Args:
        timeout: seconds; None for no limit.
        party: what has not answered ("disk", "database"), for the error message.

    Raises:
        StoreUnavailable: after `timeout`. A `gevent.Timeout` of the caller's own passes through.
    """
    result.wait(timeout)
    if not result.ready():
        raise StoreUnavailable(f"The {party} has not answered for {timeout:g} s.")
    return cast(ResultT, result.get())
