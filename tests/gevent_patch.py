"""The plugin named in addopts: patches sockets before any test module is collected."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import warnings
from functools import partial

import gevent
from gevent import monkey

monkey.patch_all()

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

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker waits for orders that another thread receives; a loop with nothing to wait for would end instead.
    keep_alive = gevent.get_hub().loop.timer(1.0, 1.0)
    keep_alive.start(lambda: None)
