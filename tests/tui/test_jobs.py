"""What takes time is done in turn, and nothing of it goes unsaid."""

from __future__ import annotations

import gevent
from gevent.event import Event

from gmessenger.terminal.tui.jobs import JobQueue


def test_jobs_are_done_in_turn_and_a_failed_one_is_told_of() -> None:
    done: list[object] = []
    work = JobQueue(done.append)
    running = gevent.spawn(work.run)
    error = ValueError("bad")

    def fails() -> None:
        raise error

    assert all(work.put(job) for job in (lambda: done.append(1), fails, lambda: done.append(2)))
    assert work.drain(5)
    assert done == [1, error, 2]
    running.kill()


def test_who_gives_too_many_jobs_is_told_so_at_once() -> None:
    work, free = JobQueue(lambda error: None, max_size=1), Event()
    running = gevent.spawn(work.run)
    assert work.put(free.wait)
    gevent.sleep(0)
    assert work.put(free.wait) and not work.put(free.wait)
    assert not work.drain(0)
    free.set()
    assert work.drain(5)
    running.kill()
