"""What takes time, done one after the other where nobody waits for it: no key is held up by the network or a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from gevent.queue import Full, Queue

Job: TypeAlias = Callable[[], object]
MAX_QUEUED_JOBS: Final = 500
"""Jobs that may wait; a person who gives more of them has something against it."""


class JobQueue:
    """A lane of jobs. `failed` is told what one of them raised, and the next one begins all the same."""

    def __init__(self, on_error: Callable[[Exception], object], max_size: int = MAX_QUEUED_JOBS) -> None:
        self._jobs: Queue[Job] = Queue(max_size)
        self._on_error = on_error

    def put(self, job: Job) -> bool:
        """Have it done; never waits. Says whether there was room for it."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def run(self) -> None:
        """Work, for as long as the program runs."""
        while True:
            try:
                self._jobs.get()()
            except Exception as error:
                self._on_error(error)
            self._jobs.task_done()

    def drain(self, timeout: float) -> bool:
        """Wait until everything is done, for at most so long; says whether it is."""
        return bool(self._jobs.join(timeout))
