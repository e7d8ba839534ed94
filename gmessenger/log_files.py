"""Log files that go on being written while they are rotated, moved or deleted, by this program or others."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections.abc import Callable
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final, TypeAlias

try:
    import fcntl
except ImportError:  # the client is imported on systems without it, to report that
    fcntl = None  # type: ignore[assignment]

LOG_MODE: Final = 0o640
"""The mode of new log files, less the umask: logs contain names and addresses."""
MAX_ROTATED_FILES: Final = 14  # one for each day
MAX_SHARED_LOG_SIZE: Final = 1_048_576  # bytes
OnError: TypeAlias = Callable[[str, str], None]
"""`on_error(file, reason)`"""


def open_log_file(file: str, mode: int = LOG_MODE) -> TextIOWrapper:
    """Open a log file for appending, and create it with `mode` if it is missing. Raises OSError."""
    return open(file, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, mode))


class WatchedLog(WatchedFileHandler):
    """Append to a file; if logrotate moves or deletes it, create a new one in its place.

    If that fails, it goes on writing to the open file, tries again with each line, and calls `on_error` once until it
    has succeeded. It MUST NOT close its file before another one is open.
    """

    MODE = LOG_MODE

    def __init__(self, file: str, on_error: OnError) -> None:
        """Open or create `file`. Raises OSError."""
        self._on_error = on_error
        self._failed = False
        super().__init__(file, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        stream = open_log_file(self.baseFilename, self.MODE)
        status = os.fstat(stream.fileno())
        self.dev, self.ino = status.st_dev, status.st_ino
        return stream

    def reopenIfNeeded(self) -> None:  # the standard library's name
        """Open the file that is at the path now, if it is another one. Called before each line."""
        with contextlib.suppress(OSError):
            if self._is_open_file(Path(self.baseFilename).stat()):
                return
        try:
            fresh = self._open()
        except OSError as error:
            self._report(error)
            return
        self._failed = False
        stale, self.stream = self.stream, fresh
        if stale is not None:
            with contextlib.suppress(OSError):  # what is buffered cannot be written, such as on a full disk
                stale.close()

    def _is_open_file(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.dev, self.ino)

    def _report(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True  # before the callback, which logs to this handler
            self._on_error(self.baseFilename, error.strerror or str(error))


class DailyLog(WatchedLog):
    """As `WatchedLog`; at midnight (local time) rename the file to `FILE.YYYY-MM-DD`, and keep the last `max_files`.

    Several processes may write to one file: the first one to log on the new day renames it, and the others follow. A
    renamed file is never overwritten.
    """

    def __init__(self, file: str, on_error: OnError, max_files: int = MAX_ROTATED_FILES) -> None:
        super().__init__(file, on_error)
        self._max_files = max_files
        self._day = _day(Path(file).stat().st_mtime)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; rename the file before the first one of a day. Never raises."""
        if (day := _day(record.created)) > self._day:
            ended, self._day = self._day, day
            self._failed = False
            try:
                self._rotate_to(Path(f"{self.baseFilename}.{ended}"))
            except OSError as error:
                self._report(error)
        super().emit(record)

    def _rotate_to(self, target: Path) -> None:
        """Rename the file, if it is still the one at its path; it stays open. Raises OSError."""
        stream = self.stream
        if stream is None or not _lock(stream.fileno()):
            return  # another process is renaming it
        try:
            file = Path(self.baseFilename)
            status = file.stat()
            if self._is_open_file(status) and status.st_size and not os.path.lexists(target):
                file.rename(target)
                self._delete_old(file)
        finally:
            _unlock(stream.fileno())

    def _delete_old(self, file: Path) -> None:
        rotated = [path for path in file.parent.iterdir() if path.stem == file.name and _is_day(path.suffix[1:])]
        for path in sorted(rotated)[: -self._max_files]:
            path.unlink(missing_ok=True)


class SharedLog(WatchedLog):
    """Append to a file that several programs of one user write to; when it has `max_bytes`, rename it to `FILE.1`.

    Only its owner may read it. Lines are written under a lock, so that one process renames the file and the others
    follow. A process that is suspended while it holds the lock blocks no other: they append without the lock, and the
    file grows beyond its maximum.
    """

    MODE = 0o600

    def __init__(self, file: str, on_error: OnError, max_bytes: int = MAX_SHARED_LOG_SIZE) -> None:
        """Open or create `file`, and remove other users' rights to an existing one. Raises OSError."""
        super().__init__(file, on_error)
        self._max_bytes = max_bytes
        assert self.stream is not None
        with contextlib.suppress(OSError):  # it may belong to another user
            os.fchmod(self.stream.fileno(), self.MODE)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Never raises, and does not wait for the lock."""
        self.reopenIfNeeded()
        stream = self.stream
        if stream is None:
            return
        is_locked = False
        try:
            is_locked = _lock(stream.fileno())
            if is_locked and os.fstat(stream.fileno()).st_size >= self._max_bytes:
                self._rotate()
        except OSError as error:
            self._report(error)
        try:
            super().emit(record)
        finally:
            if is_locked and not stream.closed:
                _unlock(stream.fileno())

    def _rotate(self) -> None:
        """Rename the file, if it is still the one at its path. Raises OSError."""
        file = Path(self.baseFilename)
        if self._is_open_file(file.stat()):
            file.replace(f"{file}.1")


def _lock(fd: int) -> bool:
    """Lock an open file without waiting; return False if another process has the lock. Raises OSError."""
    with contextlib.suppress(BlockingIOError):
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _unlock(fd: int) -> None:
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _day(timestamp: float) -> str:
    """Return the local day of a time in Unix seconds, as `YYYY-MM-DD`."""
    return datetime.date.fromtimestamp(timestamp).isoformat()


def _is_day(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return datetime.date.fromisoformat(text).isoformat() == text
    return False
