"""One process at a time: the lock beside a store's file, held for as long as the process has the store open."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from gmessenger.errors import FileProblem, StoreInUse
from gmessenger.store.datafile import OTHER_NAME, is_served

UNKNOWN: Final = "unknown"


def holder(store: Path) -> str | None:
    """The process that has a store open, if one has, by this name or another. Nothing is made, and nothing held
    afterwards. Not for a process that has it open itself.
    """
    try:
        file = os.open(_beside(store), os.O_RDONLY)
    except OSError:
        return UNKNOWN if is_served(store) else None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _name(file)
    except OSError:  # there are no locks on this disk: whoever wants to open the store is told
        return None
    finally:
        os.close(file)
    return UNKNOWN if is_served(store) else None


def check_only_name(store: Path) -> None:
    """Raises `StoreInUse` where a server has the file by another name: its log is beside that one, and cannot be seen
    from here.
    """
    if is_served(store):
        raise StoreInUse(OTHER_NAME.format(store=store))


class Lock:
    """Held from its making until `release`, or the end of the process, whatever ended it.

    The file itself stays: removing it would let two processes hold two locks of the same name.
    """

    def __init__(self, store: Path) -> None:
        """Raises `StoreInUse` where another process holds it, `FileProblem` where there is no place for it."""
        path = _beside(store)
        try:
            store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise FileProblem(f"Cannot open the store {store}: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = _name(self._file)
            os.close(self._file)
            raise StoreInUse(f"The store {store} is in use by process {process}.") from None
        except OSError as error:
            os.close(self._file)
            raise FileProblem(f"The store {store} cannot be locked: {error.strerror}.") from error
        with contextlib.suppress(OSError):  # on a full disk it is nobody's name, and held all the same
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


def _beside(store: Path) -> Path:
    return store.with_name(f"{store.name}.lock")


def _name(file: int) -> str:
    return os.pread(file, 20, 0).decode(errors="replace").strip() or UNKNOWN
