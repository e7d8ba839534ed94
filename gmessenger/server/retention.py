"""Retention: what is older than the operator wants to keep is dropped, at the start and then every hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger import logs
from gmessenger.chat.contract import Store
from gmessenger.errors import StoreUnavailable

EVERY: Final = 3600.0
DAY: Final = 86_400.0


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


def prune(store: Store, before: float) -> None:
    started = time.monotonic()
    try:
        dropped = store.prune(before)
    except StoreUnavailable as error:
        logs.event("prune_failed", reason=str(error))
    else:
        logs.event("pruned", count=dropped, seconds=round(time.monotonic() - started, 3))
