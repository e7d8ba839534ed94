"""When devices were used last: gathered as sessions end, and written to the store from time to time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final

from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import StoreUnavailable

WRITE_INTERVAL: Final = 5.0  # seconds
LIVE_INTERVAL: Final = 3600.0
"""Seconds between two looks at the sessions that last: after a crash their devices were used that long ago at most."""
WRITE_BATCH: Final = 100  # devices in a transaction
MAX_PENDING: Final = 100_000  # devices that may wait for a store that has stopped


class DeviceUseRecorder:
    """Records when sessions of accounts end, as their tokens expire some time after that. Only `write` blocks."""

    def __init__(self, store: Store, router: Router, clock: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        self._clock = clock
        self._pending: dict[int, float] = {}

    def add(self, session: Session) -> None:
        """Record that a session's device is used now."""
        if session.device is not None and len(self._pending) < MAX_PENDING:
            self._pending[session.device.id] = self._clock()

    def write(self) -> None:
        """Write the recorded times in batches. Raises `StoreUnavailable`; the remaining ones are then kept."""
        while self._pending:
            batch = dict(islice(self._pending.items(), WRITE_BATCH))
            self._store.note_use(batch)
            for device, time in batch.items():
                if self._pending.get(device) == time:
                    del self._pending[device]

    def run(self, wait_stopped: Callable[[float], object]) -> None:
        """Write regularly until `wait_stopped(seconds)` is true. Runs in its own greenlet."""
        looked_at = self._clock()
        while not wait_stopped(WRITE_INTERVAL):
            if not 0 <= self._clock() - looked_at < LIVE_INTERVAL:
                looked_at = self._clock()
                for session in list(self._router):
                    self.add(session)
            with suppress(StoreUnavailable):  # tried again after the interval
                self.write()
