"""Job queues: the order of jobs, their errors, and a full queue."""

from __future__ import annotations

import gevent
from gevent.event import Event

from gmessenger.terminal.tui.jobs import JobQueue


def test_jobs_are_done_in_turn_and_a_failed_one_is_told_of() -> None:
    done: list[object] = []
    queue = JobQueue(done.append)
    greenlet = gevent.spawn(queue.run)
    error = ValueError("bad")

    def fail() -> None:
        raise error

    assert all(queue.put(job) for job in (lambda: done.append(1), fail, lambda: done.append(2)))
    assert queue.drain(5)
    assert done == [1, error, 2]
    greenlet.kill()


def test_who_gives_too_many_jobs_is_told_so_at_once() -> None:
    queue, released = JobQueue(lambda error: None, max_size=1), Event()
    greenlet = gevent.spawn(queue.run)
    assert queue.put(released.wait)
    gevent.sleep(0)
    assert queue.put(released.wait) and not queue.put(released.wait)
    assert not queue.drain(0)
    released.set()
    assert queue.drain(5)
    greenlet.kill()
