"""The database file of a store: its descriptor, its identity, and the locks against other processes.

SQLite loses all its locks on a file when its process closes *any* descriptor of it. So `DataFile` opens its descriptor
before the first connection and closes it after the last; the file is opened in no other way while the store is open.

Two locks, because neither is enough: `StoreLock`, an flock on a file beside the store, names the process that has it,
but a store opened through a link to the database has another lock file. A byte of the database itself, locked with an
open file description lock (Linux), is the same under every name, but names no process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from gmessenger.durability import sync_file
from gmessenger.errors import FileError, StoreLocked
from gmessenger.store.sqlite.file_format import HEADER_BYTES, FileRange, find_slack, get_page_size, list_free_pages

SHARED_FIRST: Final = 0x40000002
SHARED_BYTES: Final = 510
"""The bytes that SQLite's connections lock while they have a file open (`SHARED_FIRST` in its os.h)."""
OWNER_BYTE: Final = SHARED_FIRST + SHARED_BYTES
"""A byte that SQLite neither locks nor uses; the process that has the store open holds a lock on it."""
SET_LOCK: Final = getattr(fcntl, "F_OFD_SETLK", None)
GET_LOCK: Final = getattr(fcntl, "F_OFD_GETLK", None)
"""Open file description locks (Linux): not lost when another descriptor of the same file is closed."""
FLOCK_STRUCT: Final = struct.Struct("@hhqqi4x")  # struct flock of fcntl(2)
OTHER_NAME: Final = "The store {store} is in use by another process, which opened the file under another name."
ADVICE_MOVED: Final = "move it back to its name to continue; or stop this server and start one with the file's new name"
ADVICE_DELETED: Final = "do not stop this server before you have saved it: cp /proc/{process}/fd/{descriptor} FILE"

FileIdentity: TypeAlias = tuple[int, int]
"""Device and inode."""


class DataFile:
    """An open and locked database file. `path` is its absolute name, `real` the same with links resolved."""

    def __init__(self, path: Path) -> None:
        """Open the file, created where it is missing for its owner only, and lock it.

        Raises `FileError`, or `StoreLocked` where another process has it open, under this name or another.
        """
        self.path = Path.cwd() / path
        self.real = path.resolve()
        try:
            self.real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.real, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise FileError(f"Cannot open the store {path}: {error.strerror}.") from error
        self._identity = _file_identity(os.fstat(self._descriptor))
        self._companions: dict[Path, FileIdentity] = {}
        self._is_held = False
        if not _lock_byte(self._descriptor, fcntl.F_WRLCK, OWNER_BYTE):
            os.close(self._descriptor)
            raise StoreLocked(OTHER_NAME.format(store=path))

    def keep_wal_files(self) -> None:
        """Remember the log and its index; keep SQLite from removing them with the last connection.

        SQLite would remove them by their names, which may be other files by then. MUST be called while a connection
        has the log open.
        """
        for part in ("-wal", "-shm"):
            with suppress(OSError):
                name = self.real.with_name(self.real.name + part)
                self._companions[name] = _file_identity(name.stat())
        _lock_byte(self._descriptor, fcntl.F_RDLCK, SHARED_FIRST)
        self._is_held = True

    def release_wal_files(self) -> None:
        """Let SQLite remove the log and its index when the last connection is closed."""
        _lock_byte(self._descriptor, fcntl.F_UNLCK, SHARED_FIRST)
        self._is_held = False

    def close(self) -> None:
        """Close the file. MUST be called after every connection of this process was closed.

        While the companions are kept, a thread may still have a connection: then only the lock is given up, and the
        descriptor stays open until the process ends.
        """
        if self._is_held:
            _lock_byte(self._descriptor, fcntl.F_UNLCK, OWNER_BYTE)
        else:
            os.close(self._descriptor)

    def find_fault(self) -> str:
        """Return why new data would not be found under the store's name, in a sentence; empty where it would."""
        for name, identity in ((self.path, self._identity), *self._companions.items()):
            try:
                if _file_identity(name.stat()) != identity:
                    return f"{name} is not the file that was opened."
            except OSError as error:
                return f"{name} no longer exists: {error.strerror}."
        return ""

    def advise(self) -> str:
        """Return what the operator can do where `find_fault` found one."""
        if os.fstat(self._descriptor).st_nlink:
            return ADVICE_MOVED
        return ADVICE_DELETED.format(process=os.getpid(), descriptor=self._descriptor)

    def is_open_elsewhere(self) -> bool:
        """Return whether another process has the database open."""
        query = FLOCK_STRUCT.pack(fcntl.F_WRLCK, os.SEEK_SET, SHARED_FIRST + 1, SHARED_BYTES - 1, 0)
        found = fcntl.fcntl(self._descriptor, fcntl.F_GETLK, query)
        return bool(FLOCK_STRUCT.unpack(found)[0] != fcntl.F_UNLCK)

    @property
    def wal_path(self) -> Path:
        """Return the path of the write-ahead log. It may be opened and closed: SQLite has no locks on it."""
        return self.real.with_name(f"{self.real.name}-wal")

    @property
    def wal_size(self) -> int:
        """Return the bytes of the write-ahead log; 0 where there is none."""
        try:
            return self.wal_path.stat().st_size
        except OSError:
            return 0

    @property
    def size(self) -> int:
        """Return the bytes of the database."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes, fewer at the end of the file. Blocks on the disk. Raises OSError."""
        return os.pread(self._descriptor, size, offset)

    def sync(self) -> None:
        """Wait until all writes are on disk. Blocks. Raises OSError."""
        sync_file(self._descriptor)

    def get_page_size(self) -> int:
        """Return the bytes of a page; 0 for an empty file."""
        return get_page_size(self.read(0, HEADER_BYTES))

    def list_free_pages(self, size: int) -> set[int]:
        """List the free pages; `size` is the bytes of a page."""
        return list_free_pages(self.read(0, HEADER_BYTES), lambda number: self.read((number - 1) * size, size))

    def zero_slack(self, number: int, size: int, free: set[int]) -> bool:
        """Write zeros over the unused parts of a page of `size` bytes; return whether they held anything.

        The log MUST be empty, and nothing may write to the database meanwhile. Blocks on the disk. Raises OSError.
        """
        start = (number - 1) * size
        page = self.read(start, size)
        if len(page) < size:
            return False
        ranges = find_erasable(page, number, free)
        for begin, end in ranges:
            os.pwrite(self._descriptor, bytes(end - begin), start + begin)
        return bool(ranges)


def find_erasable(page: bytes, number: int, free: set[int]) -> list[FileRange]:
    """Find the unused parts of a page that are not zero: all of it where it is one of the `free` pages."""
    if number not in free:
        return find_slack(page, number)
    return [] if page.startswith(bytes(len(page))) else [(0, len(page))]


def is_served(file: Path) -> bool:
    """Return whether a process has this file open as its store, by any name.

    MUST NOT be called by a process that has it open: closing a descriptor loses SQLite's locks.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_byte_unlocked(descriptor, OWNER_BYTE)
    finally:
        os.close(descriptor)


def _lock_byte(descriptor: int, kind: int, byte: int) -> bool:
    """Lock or unlock one byte; return False where another process holds it.

    True where the system has no such locks.
    """
    if SET_LOCK is None:
        return True
    try:
        fcntl.fcntl(descriptor, SET_LOCK, FLOCK_STRUCT.pack(kind, os.SEEK_SET, byte, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: SQLite does not work there either, and explains it better
        return True
    return True


def _is_byte_unlocked(descriptor: int, byte: int) -> bool:
    if GET_LOCK is None:
        return True
    try:
        found = fcntl.fcntl(descriptor, GET_LOCK, FLOCK_STRUCT.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
    except OSError:
        return True
    return bool(FLOCK_STRUCT.unpack(found)[0] == fcntl.F_UNLCK)


def _file_identity(status: os.stat_result) -> FileIdentity:
    return status.st_dev, status.st_ino


UNKNOWN_PROCESS: Final = "unknown"


def lock_holder(store: Path) -> str | None:
    """Return the id of the process that has a store open, by any name; None if none has.

    Creates nothing and holds nothing afterwards. MUST NOT be called by a process that has the store open.
    """
    try:
        file = os.open(_lock_path(store), os.O_RDONLY)
    except OSError:
        return UNKNOWN_PROCESS if is_served(store) else None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(file)
    except OSError:  # a file system without locks: opening the store reports it
        return None
    finally:
        os.close(file)
    return UNKNOWN_PROCESS if is_served(store) else None


def check_not_served(store: Path) -> None:
    """Raise `StoreLocked` where a process has the file open by another name: its log is beside that name."""
    if is_served(store):
        raise StoreLocked(OTHER_NAME.format(store=store))


class StoreLock:
    """The lock file beside a store, locked until `release` or the end of the process.

    The lock file is never removed: two processes could hold locks on two files of the same name.
    """

    def __init__(self, store: Path) -> None:
        """Lock the store. Raises `StoreLocked` where another process has, `FileError` where it cannot be."""
        path = _lock_path(store)
        try:
            store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise FileError(f"Cannot open the store {store}: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = _read_holder(self._file)
            os.close(self._file)
            raise StoreLocked(f"The store {store} is in use by process {process}.") from None
        except OSError as error:
            os.close(self._file)
            raise FileError(f"The store {store} cannot be locked: {error.strerror}.") from error
        with contextlib.suppress(OSError):  # on a full disk it names no process, and is locked all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


def _lock_path(store: Path) -> Path:
    return store.with_name(f"{store.name}.lock")


def _read_holder(file: int) -> str:
    return os.pread(file, 20, 0).decode(errors="replace").strip() or UNKNOWN_PROCESS
