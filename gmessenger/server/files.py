"""The files of a running server: its folder of contents, and the greenlet that deletes what no message has any more."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gmessenger import log
from gmessenger.chat.records import UPLOAD_TTL
from gmessenger.chat.storage import Store
from gmessenger.contents.folder import ContentFolder
from gmessenger.errors import StoreUnavailable

COLLECT_INTERVAL: Final = 15.0
"""Seconds after which, at the latest, the content of an erased file is being deleted."""
EXPIRE_INTERVAL: Final = 3600.0  # seconds
SWEEP_INTERVAL: Final = 86_400.0
"""Seconds between two comparisons of the whole folder with the store: they find what a killed process has left."""
COLLECT_BATCH: Final = 100  # contents


class FileKeeper:
    """The contents of a server's files. `path` None: files are kept until the server stops, as all of its store."""

    def __init__(self, store: Store, path: Path | None) -> None:
        """Open the folder, or make it. Raises `ConfigError` or `FileError`, as `ContentFolder.open`."""
        self._store = store
        self._temporary = Path(tempfile.mkdtemp(prefix="gmessenger-files-")) if path is None else None
        self.folder = ContentFolder(path or self._temporary or Path())
        self.usage = store.file_usage()
        """What is kept, as it was counted last."""
        self.deleted_count = 0
        self._is_recovered = False
        self._expire_at = time.monotonic()
        self._sweep_at = self._expire_at + EXPIRE_INTERVAL
        self.folder.open(store.files_id, is_new=self.usage.count == 0)

    def run(self, wait_stopped: Callable[[float], bool]) -> None:
        """Delete what no message has any more, until the server stops. Runs in a greenlet of its own."""
        while True:
            try:
                if not self._is_recovered:
                    self.folder.finish_removals(self._store.used_contents)
                    self._is_recovered = True
                self.collect()
            except (StoreUnavailable, OSError) as error:  # tried again: nothing is forgotten before it is deleted
                log.log_event("file_failed", reason=str(error))
            if wait_stopped(COLLECT_INTERVAL):
                return

    def collect(self) -> None:
        """Do what is due by now. Blocks. Raises OSError and `StoreUnavailable`."""
        now = time.monotonic()
        expired = 0
        if now >= self._expire_at:
            expired = self._store.expire_files(time.time() - UPLOAD_TTL)
            self._expire_at = now + EXPIRE_INTERVAL
        removed = self._delete_dropped()
        if now >= self._sweep_at:
            removed += self.folder.sweep(self._store.used_contents, time.time())
            self._sweep_at = now + SWEEP_INTERVAL
        if removed or expired:
            log.log_event("file_dropped", count=removed, expired=expired)
        self.deleted_count += removed
        self.usage = self._store.file_usage()

    def _delete_dropped(self) -> int:
        removed = 0
        while dropped := self._store.dropped_contents(COLLECT_BATCH):
            removed += self.folder.remove_unused([digest for _, digest in dropped], self._store.used_contents)
            self._store.forget_dropped([number for number, _ in dropped])
        return removed

    def close(self) -> None:
        """Use the folder no more. Blocks while the disk is written."""
        self.folder.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
