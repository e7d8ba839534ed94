"""Background tasks on the store: prune messages, rebuild the search index, detect moved files."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger import log
from gmessenger.chat.storage import Store
from gmessenger.errors import StoreUnavailable

PRUNE_INTERVAL: Final = 3600.0  # seconds
DAY: Final = 86_400.0  # seconds
PROGRESS_INTERVAL: Final = 10.0  # seconds between log events
REINDEX_RETRY_DELAY: Final = 30.0  # seconds


def prune_regularly(
    store: Store, days: float, wait_stopped: Callable[[float], object], on_error: Callable[[str, BaseException], object]
) -> None:
    """Delete messages older than `days` at once and then regularly, until `wait_stopped` is true.

    Runs in its own greenlet. An error does not end it; an internal one is passed to `on_error`.
    """
    while True:
        try:
            prune(store, time.time() - days * DAY)
        except Exception as failure:
            on_error("prune", failure)
        if wait_stopped(PRUNE_INTERVAL):
            return


def reindex(store: Store, wait_stopped: Callable[[float], object]) -> None:
    """Rebuild the search index of an earlier release, and log the progress.

    Runs in its own greenlet until it is done, or until `wait_stopped(seconds)` returns true.
    """
    started = logged_at = time.monotonic()

    def progress(left: int) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at >= PROGRESS_INTERVAL:
            logged_at = time.monotonic()
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
    """Delete messages from before a Unix time, also from the store's files, and log their number. Blocks."""
    started = time.monotonic()
    try:
        count = store.prune(before)
        if count:
            store.purge()
    except StoreUnavailable as error:
        log.log_event("prune_failed", reason=str(error))
    else:
        log.log_event("pruned", count=count, seconds=round(time.monotonic() - started, 3))


STORE_CHECK_INTERVAL: Final = 1.0  # seconds


def watch_store_files(store: Store, wait_stopped: Callable[[float], object]) -> None:
    """Check the store's files until `wait_stopped` is true; log each fault once, and its end.

    Runs in its own greenlet, so that an idle server notices, too. The store itself refuses to store meanwhile.
    """
    fault = ""
    while not wait_stopped(STORE_CHECK_INTERVAL):
        fault = check_store_files(store, fault)


def check_store_files(store: Store, last_fault: str) -> str:
    """Check the store's files once; log and return their fault if it is a new one. Empty: no fault."""
    fault = store.find_fault()
    if fault and fault != last_fault:
        log.log_event("store_moved", reason=fault, advice=store.suggest_remedy())
    elif last_fault and not fault:
        log.log_event("store_in_place")
    return fault
