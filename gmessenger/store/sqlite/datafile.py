"""A store's database as a file: an open descriptor, which file that is, and a lock on it under whatever name.

SQLite forgets all its locks on a file when its process closes *any* descriptor of it. So the descriptor is opened
before the first connection and closed after the last; the file is opened in no other way while the store is open.

One process at a time: the lock beside a store's file, held for as long as the process has the store open.
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
from gmessenger.store.sqlite.file_format import HEADER_BYTES, ByteRange, find_slack, get_page_size, list_free_pages

SHARED_FIRST: Final = 0x40000002
SHARED_BYTES: Final = 510
"""The bytes by which SQLite's connections say that they have a file open (`SHARED_FIRST` in its os.h)."""
OWNER_BYTE: Final = SHARED_FIRST + SHARED_BYTES
"""A byte that SQLite neither locks nor uses: the process that has it locked is the one server of the file."""
SET_LOCK: Final = getattr(fcntl, "F_OFD_SETLK", None)
GET_LOCK: Final = getattr(fcntl, "F_OFD_GETLK", None)
"""Locks that belong to a descriptor, and are not lost when another one of the same file is closed (Linux)."""
FLOCK_STRUCT: Final = struct.Struct("@hhqqi4x")
OTHER_NAME: Final = "The store {store} is in use by another process, which opened the file under another name."
ADVICE_MOVED: Final = "move it back to its name to continue; or stop this server and start one with the file's new name"
ADVICE_DELETED: Final = "do not stop this server before you have saved it: cp /proc/{process}/fd/{descriptor} FILE"

FileIdentity: TypeAlias = tuple[int, int]
"""Device and inode."""


class DataFile:
    """The file, from its making until `close`. `path` is its name as it was given, `real` without symbolic links."""

    def __init__(self, path: Path) -> None:
        """Open the file, made if need be, and lock it. Raises `FileError`, or `StoreLocked` where another process is
        its server, under this name or another.
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

    def keep_companions(self) -> None:
        """Remember the files beside it, and keep SQLite from removing them by their names, or moving the log into the
        file, when the last connection is closed. Called while a connection has all of them open.
        """
        for part in ("-wal", "-shm"):
            with suppress(OSError):
                name = self.real.with_name(self.real.name + part)
                self._companions[name] = _file_identity(name.stat())
        _lock_byte(self._descriptor, fcntl.F_RDLCK, SHARED_FIRST)
        self._is_held = True

    def release_companions(self) -> None:
        """Let the last connection that is closed remove the files beside it."""
        _lock_byte(self._descriptor, fcntl.F_UNLCK, SHARED_FIRST)
        self._is_held = False

    def close(self) -> None:
        """Close it; call this after every connection of this process has been closed.

        A lock that is still held stays so until the process ends: a thread may have a connection that it will close.
        """
        if self._is_held:
            _lock_byte(self._descriptor, fcntl.F_UNLCK, OWNER_BYTE)
        else:
            os.close(self._descriptor)

    def find_fault(self) -> str:
        """Return why new data would not be found under the store's name, as a sentence; empty where it would."""
        for name, identity in ((self.path, self._identity), *self._companions.items()):
            try:
                if _file_identity(name.stat()) != identity:
                    return f"{name} is not the file that was opened."
            except OSError as error:
                return f"{name} no longer exists: {error.strerror}."
        return ""

    def advise(self) -> str:
        """Say what can be done where there is a fault."""
        if os.fstat(self._descriptor).st_nlink:
            return ADVICE_MOVED
        return ADVICE_DELETED.format(process=os.getpid(), descriptor=self._descriptor)

    def is_open_elsewhere(self) -> bool:
        """Whether another process has the database open."""
        asked = FLOCK_STRUCT.pack(fcntl.F_WRLCK, os.SEEK_SET, SHARED_FIRST + 1, SHARED_BYTES - 1, 0)
        found = fcntl.fcntl(self._descriptor, fcntl.F_GETLK, asked)
        return bool(FLOCK_STRUCT.unpack(found)[0] != fcntl.F_UNLCK)

    @property
    def wal_path(self) -> Path:
        """The write-ahead log. Unlike the file itself it may be opened and closed: SQLite has no locks on it."""
        return self.real.with_name(f"{self.real.name}-wal")

    @property
    def wal_size(self) -> int:
        """Bytes of the write-ahead log; 0 where there is none."""
        try:
            return self.wal_path.stat().st_size
        except OSError:
            return 0

    @property
    def size(self) -> int:
        """Bytes of the database."""
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read so many bytes, fewer at the end. Blocks on the disk. Raises OSError."""
        return os.pread(self._descriptor, size, offset)

    def sync(self) -> None:
        """Wait until all writes are on disk."""
        sync_file(self._descriptor)

    def get_page_size(self) -> int:
        """Return the bytes of a page; 0 where there is none yet."""
        return get_page_size(self.read(0, HEADER_BYTES))

    def list_free_pages(self, size: int) -> set[int]:
        """List the pages that belong to nothing; `size` is a page's."""
        return list_free_pages(self.read(0, HEADER_BYTES), lambda number: self.read((number - 1) * size, size))

    def zero_slack(self, number: int, size: int, free: set[int]) -> bool:
        """Write zeros over what a page of `size` bytes holds and nothing uses; say whether there was anything.

        While this runs nothing may write to the database: neither to the file nor to its log, which MUST be empty.
        """
        start = (number - 1) * size
        page = self.read(start, size)
        if len(page) < size:
            return False
        ranges = find_erasable(page, number, free)
        for begin, end in ranges:
            os.pwrite(self._descriptor, bytes(end - begin), start + begin)
        return bool(ranges)


def find_erasable(page: bytes, number: int, free: set[int]) -> list[ByteRange]:
    """Find what a page holds and nothing uses: all of it where it is one of the `free` ones."""
    if number not in free:
        return find_slack(page, number)
    return [] if page.startswith(bytes(len(page))) else [(0, len(page))]


def is_served(file: Path) -> bool:
    """Whether a server has this file, by whatever name. Not for a process that has it open itself: see above."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_byte_unlocked(descriptor, OWNER_BYTE)
    finally:
        os.close(descriptor)


def _lock_byte(descriptor: int, kind: int, byte: int) -> bool:
    """Take or leave a lock on one byte; say whether it was to be had. Where the system has no such locks: yes."""
    if SET_LOCK is None:
        return True
    try:
        fcntl.fcntl(descriptor, SET_LOCK, FLOCK_STRUCT.pack(kind, os.SEEK_SET, byte, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks, where SQLite would not work, either, and says so better
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
    """The process that has a store open, if one has, by this name or another. Nothing is made, and nothing held
    afterwards. Not for a process that has it open itself.
    """
    try:
        file = os.open(_lock_path(store), os.O_RDONLY)
    except OSError:
        return UNKNOWN_PROCESS if is_served(store) else None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(file)
    except OSError:  # there are no locks on this disk: whoever wants to open the store is told
        return None
    finally:
        os.close(file)
    return UNKNOWN_PROCESS if is_served(store) else None


def check_not_served(store: Path) -> None:
    """Raises `StoreLocked` where a server has the file by another name: its log is beside that one, and cannot be seen
    from here.
    """
    if is_served(store):
        raise StoreLocked(OTHER_NAME.format(store=store))


class StoreLock:
    """Held from its making until `release`, or the end of the process, whatever ended it.

    The file itself stays: removing it would let two processes hold two locks of the same name.
    """

    def __init__(self, store: Path) -> None:
        """Raises `StoreLocked` where another process holds it, `FileError` where there is no place for it."""
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
        with contextlib.suppress(OSError):  # on a full disk it is nobody's name, and held all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


def _lock_path(store: Path) -> Path:
    return store.with_name(f"{store.name}.lock")


def _read_holder(file: int) -> str:
    return os.pread(file, 20, 0).decode(errors="replace").strip() or UNKNOWN_PROCESS
