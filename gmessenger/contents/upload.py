"""One upload on its way to the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from gmessenger.durability import sync_file

HEAD_BYTES: Final = 262_144
"""So much of the beginning is kept in memory until the end: the format of a file is recognized by it."""


class ContentUpload:
    """The bytes of an upload in a file of its own, which is removed at the end of the `with` block unless it was kept.

    Used by one greenlet. `part`: the file. `head`: its first bytes. `size`: how many there are so far.
    """

    def __init__(self, part: Path, opened: IO[bytes], run: Callable[[Callable[[], Any]], Any]) -> None:
        """`run` runs a call in a thread and returns its result."""
        self.part = part
        self.head = b""
        self.size = 0
        self.digest = ""
        self.is_kept = False
        self._opened = opened
        self._run = run
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        if not self.is_kept:
            with suppress(OSError):
                self.part.unlink()

    def write(self, data: bytes) -> None:
        """Append bytes. Blocks the greenlet. Raises OSError: the disk is full, say."""
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.size += len(data)
        self._run(lambda: self._write(data))

    def finish(self) -> None:
        """Have all of it written to the disk; `digest` is known afterwards. Blocks the greenlet. Raises OSError."""
        self._run(self._sync)
        self.digest = self._hash.hexdigest()

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._opened.write(rest) :]

    def _sync(self) -> None:
        sync_file(self._opened.fileno())
        self._opened.close()
