"""The outbox: bounded, in order, and calling its reader when an event is appended to an empty queue."""

from __future__ import annotations

import gc
import sys
from collections import deque

import pytest
from gevent.queue import Empty

from gmessenger.chat.outbound import EndOfStream, LivenessProbe, Message
from gmessenger.chat.outbox import Outbox


class Reader:
    """Counts calls of `on_ready` and `flush`. If it `reads`, a flush drains the outbox."""

    def __init__(self, frames: int = 3, bytes_: int = 10_000, *, reads: bool = False) -> None:
        self.ready_count = self.flush_count = 0
        self.reads = reads
        self.read: list[object] = []
        self.outbox = Outbox(frames, bytes_, self.on_ready, self.flush)

    def on_ready(self) -> None:
        self.ready_count += 1

    def flush(self) -> None:
        self.flush_count += 1
        if self.reads:
            self.read += self.outbox.drain()


def text(length: int) -> Message:
    return Message("hank", "dale", "x" * length, 1.0)


def test_it_wakes_once_until_it_is_emptied() -> None:
    reader = Reader()
    for _ in range(3):
        assert reader.outbox.offer(LivenessProbe())
    assert reader.ready_count == 1
    reader.outbox.drain()
    reader.outbox.offer(LivenessProbe())
    assert reader.ready_count == 2


def test_it_refuses_beyond_its_frames_but_takes_what_is_owed() -> None:
    reader = Reader(frames=2)
    assert [reader.outbox.offer(LivenessProbe()) for _ in range(3)] == [True, True, False]
    assert reader.outbox.push(LivenessProbe())
    assert reader.flush_count == 1


def test_it_refuses_beyond_its_bytes() -> None:
    reader = Reader(frames=100, bytes_=1000)
    assert [reader.outbox.offer(text(600)) for _ in range(3)] == [True, True, False]
    reader.outbox.pop()
    assert reader.outbox.offer(text(1))


def test_a_burst_is_no_fault_of_a_reader_that_reads() -> None:
    reader = Reader(frames=2, reads=True)
    assert all(reader.outbox.offer(text(number)) for number in range(10))
    assert len(reader.read) + reader.outbox.qsize() == 10


def test_after_finish_it_takes_nothing_and_ends_with_goodbye() -> None:
    reader = Reader()
    reader.outbox.offer(LivenessProbe())
    reader.outbox.close_after_drain()
    reader.outbox.close_after_drain()
    assert not reader.outbox.offer(LivenessProbe()) and not reader.outbox.push(LivenessProbe())
    assert reader.outbox.drain() == [LivenessProbe(), EndOfStream()]
    with pytest.raises(Empty):
        reader.outbox.pop()


def test_nobody_waits_in_it_and_nothing_is_held_for_those_who_would() -> None:
    outbox = Reader().outbox
    size = sum(sys.getsizeof(each) for each in gc.get_referents(outbox) if not callable(each))
    assert size < sys.getsizeof(deque())
    with pytest.raises(Empty):
        outbox.get_nowait()
    with pytest.raises(AttributeError):
        outbox.get()
    outbox.offer(LivenessProbe())
    assert outbox.get() == LivenessProbe()
