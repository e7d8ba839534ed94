"""The folder of contents: where each lies, and how one gets in and out without a moment in which a crash loses it.

    gmessenger-files        the marker: the id of the store whose contents these are
    ab/abcd…                a content, named by the digest of its bytes in hexadecimal
    incoming/…              uploads that are under way, under random names
    removed/abcd…           a content that is being removed

A content gets in by a rename, after its row was stored; so one that is found here without a row is either of an upload
that was never answered, or of a file that was deleted. One gets out in two steps, because another process may be
storing the same bytes at that moment: it is renamed to `removed`, and deleted from there if the store still has no row
that names it, else put back. A row is stored before its content comes, so whatever is found in `removed` can be judged
by the rows alone, by any process, at any time.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, TypeVar

from gevent.threadpool import ThreadPool

from gmessenger.contents.upload import ContentUpload
from gmessenger.durability import create_file, replace_file, sync_directory
from gmessenger.errors import ConfigError, FileError

MARKER: Final = "gmessenger-files"
INCOMING: Final = "incoming"
REMOVED: Final = "removed"
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
PREFIX: Final = re.compile(r"[0-9a-f]{2}")
MAX_MARKER: Final = 200  # bytes that are read of it
WORKERS: Final = 4
"""Threads for the disk: so many uploads and downloads wait for it at a time, and nothing else of the process does."""
GRACE: Final = 86_400.0
"""Seconds for which a content or upload without a row is left alone: its upload may still be under way."""

ResultT = TypeVar("ResultT")
AreUsed = Callable[[Sequence[str]], set[str]]
"""Returns those of these digests that a row of the store names. Blocks."""


class ContentFolder:
    """The contents of one store. Methods block the calling greenlet, never the loop; all raise OSError."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or written before `open`."""
        self.path = path
        self._pool = ThreadPool(WORKERS)

    def open(self, owner: str, *, is_new: bool) -> None:
        """Check that the folder is the one of a store, or make it.

        Args:
            owner: the id of the store's files.
            is_new: whether the store has no files yet; else a folder without a marker is refused, as a shared folder
                that is not mounted has none.

        Raises:
            ConfigError: the folder belongs to another store, or lacks its marker.
            FileError: it cannot be made or written.
        """
        try:
            self._run(lambda: self._open(owner, is_new=is_new))
        except OSError as error:
            raise FileError(f"The folder of files {self.path} cannot be used: {error.strerror or error}.") from error

    def close(self) -> None:
        """End the threads. Blocks while they wait for the disk."""
        self._pool.kill()

    def begin_upload(self) -> ContentUpload:
        """Create a file for the bytes of an upload. To be used with `with`, which removes it unless it was kept."""
        part = self.path / INCOMING / secrets.token_hex(16)
        opened = self._run(lambda: _create(part))
        return ContentUpload(part, opened, self._run)

    def keep(self, upload: ContentUpload) -> None:
        """Put a finished upload into its place, synced. Its row MUST be on disk already."""
        target = self._place(upload.digest)

        def move() -> None:
            if not target.parent.exists():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                sync_directory(self.path)
            upload.part.replace(target)  # over an equal one: its content is the same
            sync_directory(target.parent)

        self._run(move)
        upload.is_kept = True

    def open_content(self, digest: str) -> ContentReader:
        """Open a content for reading. Raises FileNotFoundError if there is none."""
        return ContentReader(self._run(lambda: self._open_content(digest)), self._run)

    def has(self, digest: str) -> bool:
        """Return whether there is such a content."""
        return self._run(lambda: self._place(digest).exists() or (self.path / REMOVED / digest).exists())

    def remove_unused(self, digests: Sequence[str], are_used: AreUsed) -> int:
        """Delete those of these contents that no row names; return how many were deleted."""
        unused = sorted(set(digests) - are_used(digests))
        self._run(lambda: self._set_aside(unused))
        return self.finish_removals(are_used, unused)

    def finish_removals(self, are_used: AreUsed, digests: Sequence[str] | None = None) -> int:
        """Delete what was set aside, or put it back where a row names it; return how many were deleted.

        `digests`: those to look at; by default all, also of a process that was killed.
        """
        aside = list(digests) if digests is not None else self._run(lambda: _list_digests(self.path / REMOVED))
        used = are_used(aside) if aside else set()
        return self._run(lambda: sum(self._finish_removal(digest, is_used=digest in used) for digest in aside))

    def sweep(self, are_used: AreUsed, now: float) -> int:
        """Delete contents and uploads older than `GRACE` that no row names; return how many contents.

        Reads the whole folder, a part at a time. `now`: Unix seconds.
        """
        self._run(lambda: self._remove_old_uploads(now - GRACE))
        removed = self.finish_removals(are_used)
        for prefix in self._run(lambda: _list_prefixes(self.path)):
            old = self._run(lambda prefix=prefix: _list_digests(self.path / prefix, now - GRACE))  # type: ignore[misc]
            removed += self.remove_unused(old, are_used) if old else 0
        return removed

    def iter_contents(self) -> Iterator[tuple[str, int]]:
        """Yield digest and size of every content, by digest, a part of the folder at a time."""
        for prefix in self._run(lambda: _list_prefixes(self.path)):
            yield from self._run(lambda prefix=prefix: _list_sizes(self.path / prefix))  # type: ignore[misc]

    def _run(self, call: Callable[[], ResultT]) -> ResultT:
        """Run a call in a thread of the folder. Raises OSError as it does."""
        result: ResultT | OSError = self._pool.apply(_catch_os_error, (call,))
        if isinstance(result, OSError):
            raise result
        return result

    def _open(self, owner: str, *, is_new: bool) -> None:
        marker = self.path / MARKER
        if not marker.exists():
            if not is_new:
                raise ConfigError(
                    f"The folder of files {self.path} lacks its marker {MARKER}; is it mounted, and the right one?"
                )
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileError), create_file(marker) as created:  # another node may have been first
                created.write(f"{owner}\n".encode())
        with marker.open("rb") as opened:
            found = opened.read(MAX_MARKER).decode("utf-8", "replace").strip()
        if found != owner:
            raise ConfigError(f"The folder of files {self.path} belongs to another store; each needs one of its own.")
        for name in (INCOMING, REMOVED):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)
        sync_directory(self.path)
        probe = self.path / INCOMING / secrets.token_hex(16)
        replace_file(probe, b"", probe, sync=False)
        probe.unlink()

    def _place(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.path / digest[:2] / digest

    def _open_content(self, digest: str) -> IO[bytes]:
        place = self._place(digest)
        for path in (place, self.path / REMOVED / digest):
            with suppress(FileNotFoundError):
                return path.open("rb")
        return place.open("rb")  # it may have been put back meanwhile

    def _set_aside(self, digests: Sequence[str]) -> None:
        for digest in digests:
            with suppress(FileNotFoundError):
                self._place(digest).replace(self.path / REMOVED / digest)

    def _finish_removal(self, digest: str, *, is_used: bool) -> bool:
        aside, place = self.path / REMOVED / digest, self._place(digest)
        with suppress(FileNotFoundError):
            if not is_used:
                aside.unlink()
                return True
            aside.replace(place)
            sync_directory(place.parent)
        return False

    def _remove_old_uploads(self, before: float) -> None:
        with os.scandir(self.path / INCOMING) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()


class ContentReader:
    """An open content. `size`: its bytes, `time`: when it was written, Unix seconds."""

    def __init__(self, opened: IO[bytes], run: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._opened = opened
        self._run = run
        status = os.fstat(opened.fileno())
        self.size = status.st_size
        self.time = status.st_mtime

    def read(self, offset: int, length: int) -> bytes:
        """Return at most so many bytes from an offset on. Blocks the greenlet. Raises OSError."""
        return self._run(lambda: os.pread(self._opened.fileno(), length, offset))

    def close(self) -> None:
        """Close it. Never blocks for long: nothing was written."""
        self._opened.close()


def _create(part: Path) -> IO[bytes]:
    return os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb", buffering=0)


def _list_prefixes(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if PREFIX.fullmatch(entry.name))


def _list_digests(path: Path, before: float | None = None) -> list[str]:
    """Return the contents in a directory, or those that were written before a time."""
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if DIGEST.fullmatch(entry.name) and (before is None or entry.stat().st_mtime < before):
                    found.append(entry.name)
    return found


def _list_sizes(path: Path) -> list[tuple[str, int]]:
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if DIGEST.fullmatch(entry.name):
                    found.append((entry.name, entry.stat().st_size))
    return sorted(found)


def _catch_os_error(call: Callable[[], ResultT]) -> ResultT | OSError:
    try:
        return call()
    except OSError as error:
        return error
