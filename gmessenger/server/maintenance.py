"""Upkeep of the store: old messages are dropped at the start and then every hour, and an old index is made again.

Detect that the files of the store were moved, and log it. The store itself refuses to store.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger import log
from gmessenger.chat.storage import Store
from gmessenger.errors import StoreUnavailable

PRUNE_INTERVAL: Final = 3600.0
DAY: Final = 86_400.0
PROGRESS_INTERVAL: Final = 10.0  # seconds
REINDEX_RETRY_DELAY: Final = 30.0  # seconds


def prune_regularly(
    store: Store, days: float, wait_stopped: Callable[[float], object], on_error: Callable[[str, BaseException], object]
) -> None:
    """Prune until `stopped`, which waits that many seconds, says so. A store that cannot now is asked again later, and
    so is one that failed as it should not have: `failed` is told of it.
    """
    while True:
        try:
            prune(store, time.time() - days * DAY)
        except Exception as failure:
            on_error("prune", failure)
        if wait_stopped(PRUNE_INTERVAL):
            return


def reindex(store: Store, wait_stopped: Callable[[float], object]) -> None:
    """Make the index of an earlier release what it should be, and tell the log how far it is.

    Runs in a greenlet of its own until it is done, or until `stopped`, which waits that many seconds, says so.
    """
    started = told = time.monotonic()

    def progress(left: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_INTERVAL:
            told = time.monotonic()
            log.log_event("reindexing", left=left)

    while True:
        try:
            count = store.reindex(progress)
        except StoreUnavailable as error:
            log.log_event("reindex_failed", reason=str(error))
        else:
            if count:
                log.log_event("reindexed", count=count, seconds=round(time.monotonic() - started, 3))
            return
        if wait_stopped(REINDEX_RETRY_DELAY):
            return


def prune(store: Store, before: float) -> None:
    started = time.monotonic()
    try:
        dropped = store.prune(before)
        if dropped:
            store.purge()
    except StoreUnavailable as error:
        log.log_event("prune_failed", reason=str(error))
    else:
        log.log_event("pruned", count=dropped, seconds=round(time.monotonic() - started, 3))


STORE_CHECK_INTERVAL: Final = 1.0  # seconds


def watch_store_files(store: Store, wait_stopped: Callable[[float], object]) -> None:
    """Look until `stopped`, which waits that many seconds, says so. Log each fault once, and its end.

    Runs in a greenlet of its own: a server to which nothing is said has to notice, too.
    """
    last = ""
    while not wait_stopped(STORE_CHECK_INTERVAL):
        last = check_store_files(store, last)


def check_store_files(store: Store, last_fault: str) -> str:
    """Check once, and log a fault that differs from the `last` one; return the present fault, empty for none."""
    fault = store.find_fault()
    if fault and fault != last_fault:
        log.log_event("store_moved", reason=fault, advice=store.suggest_remedy())
    elif last_fault and not fault:
        log.log_event("store_in_place")
    return fault
