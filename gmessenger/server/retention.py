"""Upkeep of the store: old messages are dropped at the start and then every hour, and an old index is made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger import logs
from gmessenger.chat.contract import Store
from gmessenger.errors import StoreUnavailable

EVERY: Final = 3600.0
DAY: Final = 86_400.0
PROGRESS_INTERVAL: Final = 10.0  # seconds
REINDEX_RETRY_AFTER: Final = 30.0  # seconds


def prune_regularly(
    store: Store, days: float, stopped: Callable[[float], object], failed: Callable[[str, BaseException], object]
) -> None:
    """Prune until `stopped`, which waits that many seconds, says so. A store that cannot now is asked again later, and
    so is one that failed as it should not have: `failed` is told of it.
    """
    while True:
        try:
            prune(store, time.time() - days * DAY)
        except Exception as failure:
            failed("prune", failure)
        if stopped(EVERY):
            return


def reindex(store: Store, stopped: Callable[[float], object]) -> None:
    """Make the index of an earlier release what it should be, and tell the log how far it is.

    Runs in a greenlet of its own until it is done, or until `stopped`, which waits that many seconds, says so.
    """
    started = told = time.monotonic()

    def progress(left: int) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_INTERVAL:
            told = time.monotonic()
            logs.event("reindexing", left=left)

    while True:
        try:
            count = store.reindex(progress)
        except StoreUnavailable as error:
            logs.event("reindex_failed", reason=str(error))
        else:
            if count:
                logs.event("reindexed", count=count, seconds=round(time.monotonic() - started, 3))
            return
        if stopped(REINDEX_RETRY_AFTER):
            return


def prune(store: Store, before: float) -> None:
    started = time.monotonic()
    try:
        dropped = store.prune(before)
        if dropped:
            store.purge()
    except StoreUnavailable as error:
        logs.event("prune_failed", reason=str(error))
    else:
        logs.event("pruned", count=dropped, seconds=round(time.monotonic() - started, 3))
