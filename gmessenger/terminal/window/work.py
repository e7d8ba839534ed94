"""What takes time, done one after the other where nobody waits for it: no key is held up by the network or a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from gevent.event import Event
from gevent.queue import Full, Queue

Job: TypeAlias = Callable[[], object]
MOST: Final = 500
"""Jobs that may wait; a person who gives more of them has something against it."""


class Work:
    """A lane of jobs. `failed` is told what one of them raised, and the next one begins all the same."""

    def __init__(self, failed: Callable[[Exception], object], most: int = MOST) -> None:
        self._jobs: Queue[Job] = Queue(most)
        self._failed = failed
        self._idle = Event()
        self._idle.set()

    def put(self, job: Job) -> bool:
        """Have it done; never waits. Says whether there was room for it."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        self._idle.clear()
        return True

    def run(self) -> None:
        """Work, for as long as the program runs."""
        while True:
            try:
                self._jobs.get()()
            except Exception as error:
                self._failed(error)
            if self._jobs.empty():
                self._idle.set()

    def finish(self, seconds: float) -> bool:
        """Wait until everything is done, for at most so long; says whether it is."""
        return bool(self._idle.wait(seconds))
