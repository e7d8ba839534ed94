"""The files that a log is written to, for as long as the program runs, whatever is done to them meanwhile."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
from collections.abc import Callable
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # the client is imported where there is none, to say so
    fcntl = None  # type: ignore[assignment]

LOG_MODE: Final = 0o640
"""Mode of a log file that is made here, less the umask. Logs hold names and addresses."""
MAX_ROTATED_FILES: Final = 14  # days
MAX_SHARED_LOG_SIZE: Final = 1_048_576  # bytes
OnError = Callable[[str, str], None]
"""Is given the file and the reason."""


def open_log_file(file: str, mode: int = LOG_MODE) -> TextIOWrapper:
    """Open a log file to append to; where there is none it is made with `mode`. Raises OSError."""
    return open(file, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, mode))


class WatchedLog(WatchedFileHandler):
    """Append to a file that logrotate and others may move away or delete: then a new one is made in its place.

    Where that cannot be done, it goes on writing to the file that it has open, tries again with each line, and calls
    `on_error` once until it succeeds. MUST never have no file while it had one.
    """

    MODE = LOG_MODE

    def __init__(self, file: str, on_error: OnError) -> None:
        """Open or make `file`. Raises OSError."""
        self._on_error = on_error
        self._failed = False
        super().__init__(file, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        stream = open_log_file(self.baseFilename, self.MODE)
        status = os.fstat(stream.fileno())
        self.dev, self.ino = status.st_dev, status.st_ino
        return stream

    def reopenIfNeeded(self) -> None:  # the standard library's name
        """Turn to the file that is at the path now, if it is another one. Called before each line."""
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
            with contextlib.suppress(OSError):  # its buffer is lost with the disk that refused it
                stale.close()

    def _is_open_file(self, found: os.stat_result) -> bool:
        return (found.st_dev, found.st_ino) == (self.dev, self.ino)

    def _report(self, error: OSError) -> None:
        if not self._failed:  # first: the notice is logged here, too
            self._failed = True
            self._on_error(self.baseFilename, error.strerror or str(error))


class DailyLog(WatchedLog):
    """The same, and at midnight put the day's file aside as `FILE.YYYY-MM-DD`; the latest MAX_DAYS_KEPT are kept.

    Several processes may write to one file: the first to notice the new day puts it aside, once, and the others turn
    to the new one. A file that was put aside is never overwritten.
    """

    def __init__(self, file: str, on_error: OnError, max_files: int = MAX_ROTATED_FILES) -> None:
        super().__init__(file, on_error)
        self._max_files = max_files
        self._day = _day(Path(file).stat().st_mtime)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; before the first of a day, put aside what there is. Never raises."""
        if (day := _day(record.created)) > self._day:
            ended, self._day = self._day, day
            self._failed = False
            try:
                self._rotate_to(Path(f"{self.baseFilename}.{ended}"))
            except OSError as error:
                self._report(error)
        super().emit(record)

    def _rotate_to(self, target: Path) -> None:
        """Rename the file, where it is still the one at its path. Raises OSError; it stays open to be written to."""
        stream = self.stream
        if stream is None or not _lock(stream.fileno()):
            return  # another process is at it
        try:
            file = Path(self.baseFilename)
            found = file.stat()
            if self._is_open_file(found) and found.st_size and not os.path.lexists(target):
                file.rename(target)
                self._delete_old(file)
        finally:
            _unlock(stream.fileno())

    def _delete_old(self, file: Path) -> None:
        dated = [each for each in file.parent.iterdir() if each.stem == file.name and _is_day(each.suffix[1:])]
        for each in sorted(dated)[: -self._max_files]:
            each.unlink(missing_ok=True)


class SharedLog(WatchedLog):
    """Append to a file that several programs of one person write to; beyond `max_bytes` it begins anew.

    The full file becomes `FILE.1`, in place of the one before it. Only its owner may read it. Each line is written
    under a lock, so that one process puts the file aside and the others turn to the new one; a process that stands
    still with the lock holds up no other: a line is then appended without it, and the file grows a little longer.
    """

    MODE = 0o600

    def __init__(self, file: str, on_error: OnError, max_bytes: int = MAX_SHARED_LOG_SIZE) -> None:
        """Open or make `file`; take away the rights of others to one that is there. Raises OSError."""
        super().__init__(file, on_error)
        self._max_bytes = max_bytes
        assert self.stream is not None
        with contextlib.suppress(OSError):  # it belongs to another user
            os.fchmod(self.stream.fileno(), self.MODE)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Never raises, and waits for nothing."""
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
        """Rename the file, where it is still the one at its path. Raises OSError."""
        file = Path(self.baseFilename)
        if self._is_open_file(file.stat()):
            file.replace(f"{file}.1")


def _lock(handle: int) -> bool:
    """Lock an open file against other processes, without waiting; False where one of them has it. Raises OSError."""
    with contextlib.suppress(BlockingIOError):
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _unlock(handle: int) -> None:
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _day(moment: float) -> str:
    """The local day of a time in Unix seconds, as `YYYY-MM-DD`."""
    return datetime.date.fromtimestamp(moment).isoformat()


def _is_day(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return datetime.date.fromisoformat(text).isoformat() == text
    return False
