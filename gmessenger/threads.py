"""Run blocking system calls in threads, so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent import get_hub

ResultT = TypeVar("ResultT")


def run_in_thread(call: Callable[[], ResultT]) -> ResultT:
    """Run a blocking call in the hub's thread pool, and return its result.

    Only the calling greenlet waits. Raises OSError as `call` does; any other error of `call` is raised too, but gevent
    prints its traceback first.
    """
    result: ResultT | OSError = get_hub().threadpool.apply(_catch_os_error, (call,))
    if isinstance(result, OSError):
        raise result
    return result


def _catch_os_error(call: Callable[[], ResultT]) -> ResultT | OSError:
    try:
        return call()
    except OSError as error:
        return error
