"""Patch the standard library for gevent: called by entry points, before they import anything else."""

from __future__ import annotations

import os
from typing import Any


def patch_all() -> None:
    """Patch everything that gevent can but `os.close`, and ask no plugin of another package whether it may.

    gevent searches all installed packages for such plugins 25 times: of 180 ms that patching took, 110 (measured with
    gevent 26.9 and twenty packages). Its `os.close` leaves a pipe or a terminal open until the loop has something else
    to do, which may be never, for a loop that still watches it; here only sockets are watched, and these close
    themselves.
    """
    import gevent.events
    from gevent import monkey

    events: Any = gevent.events  # untyped: the type stubs lack the two functions used below
    search_plugins = events.notify_and_call_entry_points
    events.notify_and_call_entry_points = events.notify
    try:
        monkey.patch_all()
        os.close = monkey.get_original("os", "close")
    finally:
        events.notify_and_call_entry_points = search_plugins
