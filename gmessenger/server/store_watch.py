"""Detect that the files of the store were moved, and log it. The store itself refuses to store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger import logs
from gmessenger.chat.contract import Store

STORE_CHECK_INTERVAL: Final = 1.0  # seconds


def look_after_store(store: Store, stopped: Callable[[float], object]) -> None:
    """Look until `stopped`, which waits that many seconds, says so. Log each fault once, and its end.

    Runs in a greenlet of its own: a server to which nothing is said has to notice, too.
    """
    last = ""
    while not stopped(STORE_CHECK_INTERVAL):
        last = compare_store(store, last)


def compare_store(store: Store, last: str) -> str:
    """Check once, and log a fault that differs from the `last` one; return the present fault, empty for none."""
    fault = store.find_fault()
    if fault and fault != last:
        logs.event("store_moved", reason=fault, advice=store.advise())
    elif last and not fault:
        logs.event("store_in_place")
    return fault
