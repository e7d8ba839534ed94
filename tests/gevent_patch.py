"""The plugin named in addopts: patches sockets before any test module is collected."""

from __future__ import annotations

import _thread
import os
import signal
import sqlite3
import sys
import warnings
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import gevent
import pytest
from execnet.gateway_base import ThreadExecModel

from gmessenger.patch import patch_all

NativeRLock, allocate_native_lock = _thread.RLock, _thread.allocate_lock
patch_all()


class NativeEvent:
    """An event between threads. It blocks its thread with all greenlets in it."""

    def __init__(self) -> None:
        self._unset = allocate_native_lock()
        self._unset.acquire()

    def is_set(self) -> bool:
        return not self._unset.locked()

    def set(self) -> None:
        with suppress(RuntimeError):  # it was set
            self._unset.release()

    def clear(self) -> None:
        self._unset.acquire(blocking=False)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._unset.acquire(timeout=-1 if timeout is None else timeout):
            return False
        self.set()
        return True


# A worker waits for orders that another thread receives. A lock of gevent between threads loses a wake-up now and then
# (once in 20,000 queues of 2,000 orders, gevent 26.9): the worker waited for ever, and nothing limits that wait. (What
# orders the workers has greenlets for threads, and a limit to each wait.)
if "PYTEST_XDIST_WORKER" in os.environ:
    ThreadExecModel.RLock = lambda model: NativeRLock()
    ThreadExecModel.Event = lambda model: NativeEvent()
    # After its last test it waits for its end on an event from before; a loop with nothing to wait for ends instead.
    keep_alive = gevent.get_hub().loop.timer(1.0, 1.0)
    keep_alive.start(lambda: None)

# Whoever runs the tests may have a config file of their own, and it is none of theirs.
os.environ["XDG_CONFIG_HOME"] = os.devnull


# A shell that starts the tests in the background, or nohup, has these ignored, and so would be what tests start.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class WatchedConnection(sqlite3.Connection):
    """Warns when it goes unclosed, as connections do from Python 3.13 on; here a warning is an error."""

    def __del__(self) -> None:
        try:
            self.total_changes  # noqa: B018  refused by one that is closed
        except (AttributeError, sqlite3.ProgrammingError):
            return
        warnings.warn(f"unclosed database in {self!r}", ResourceWarning, source=self, stacklevel=1)


if sys.version_info < (3, 13):
    sqlite3.connect = sqlite3.dbapi2.connect = partial(sqlite3.connect, factory=WatchedConnection)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, Any, Any]:
    """Let the timeout of a test end the test, whatever greenlet it interrupts.

    Its signal raises where the thread happens to be: in another greenlet that ended that one, in a callback of the loop
    it was printed, and the test waited on without a timeout.
    """
    armed = yield
    raise_timeout: Any = signal.getsignal(signal.SIGALRM)
    test = gevent.getcurrent()

    def interrupt(number: int, frame: FrameType | None) -> None:
        try:
            raise_timeout(number, frame)
        except BaseException as timeout:
            if gevent.getcurrent() is test:
                raise
            gevent.get_hub().loop.run_callback(test.throw, timeout)

    signal.signal(signal.SIGALRM, interrupt)
    return armed
