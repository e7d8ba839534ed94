"""Reads and writes descriptors that may block for ever, in threads, so that everything else goes on."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from gevent import get_hub
from gevent import select as cooperative

Result = TypeVar("Result")


def read(fd: int, most: int) -> bytes:
    """What there is, at most so many bytes; nothing at the end. Raises OSError."""
    while True:
        try:
            return _in_thread(partial(os.read, fd, most))
        except BlockingIOError:  # somebody who shares the descriptor made it so
            cooperative.select([fd], [], [])


def write(fd: int, data: bytes) -> None:
    """All of it. Raises OSError."""
    while data:
        try:
            data = data[_in_thread(partial(os.write, fd, data)) :]
        except BlockingIOError:
            cooperative.select([], [fd], [])


def reader_is_gone(fd: int) -> bool:
    """Whether writing would fail because nobody has the other end of the pipe or terminal."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def _in_thread(call: Callable[[], Result]) -> Result:
    # Not gevent.os.tp_read and tp_write: an error in the thread would be printed with its traceback.
    result: Result | OSError = get_hub().threadpool.apply(_attempt, (call,))
    if isinstance(result, OSError):
        raise result
    return result


def _attempt(call: Callable[[], Result]) -> Result | OSError:
    try:
        return call()
    except OSError as error:
        return error
