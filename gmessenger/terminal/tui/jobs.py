"""Job queues: requests and disk writes run in other greenlets, so that no key waits for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from gevent.queue import Full, Queue

Job: TypeAlias = Callable[[], object]
MAX_QUEUED_JOBS: Final = 500
"""Jobs that may wait: more than anybody types, so only pasted text reaches it."""


class JobQueue:
    """Run jobs one after the other. An error of a job goes to `on_error`, and the next job follows."""

    def __init__(self, on_error: Callable[[Exception], object], max_size: int = MAX_QUEUED_JOBS) -> None:
        self._jobs: Queue[Job] = Queue(max_size)
        self._on_error = on_error

    def put(self, job: Job) -> bool:
        """Queue a job. Never blocks. Return False if the queue is full."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def run(self) -> None:
        """Run jobs for as long as the program runs; the body of the queue's greenlet."""
        while True:
            try:
                self._jobs.get()()
            except Exception as error:
                self._on_error(error)
            self._jobs.task_done()

    def drain(self, timeout: float) -> bool:
        """Wait until all jobs are done, for at most `timeout` seconds. Return whether they are."""
        return bool(self._jobs.join(timeout))
