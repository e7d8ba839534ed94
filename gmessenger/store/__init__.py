"""Remembers: accounts, devices, rooms and messages, on disk before anybody is told that they are.
It must not know sessions, sockets, fronts, or how anything is said on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gmessenger.chat.contract import Store
from gmessenger.errors import ConfigProblem
from gmessenger.store.sqlite import SqliteStore

MEMORY = "memory:"
SQLITE = "sqlite:///"
PATIENCE = 30.0

__all__ = ["MEMORY", "SQLITE", "file_of", "open_store"]


def open_store(
    url: str, failed: Callable[[str, BaseException], None] | None = None, timeout: float = PATIENCE
) -> Store:
    """The store that a URL names: `memory:`, or `sqlite:///path` (four slashes for an absolute path).

    Files and directories are made where they are missing, for their owner only. Raises `ConfigProblem` for a URL that
    names no store or a schema newer than this program, `FileProblem` for a file that cannot be opened. `failed` is told
    of a mistake in what the store called back. After `timeout` seconds without an answer of the disk, a change counts
    as unavailable.
    """
    return SqliteStore(file_of(url), failed, timeout)


def file_of(url: str) -> Path | None:
    """The file that a store's URL names; None for `memory:`. Raises `ConfigProblem`."""
    if url == MEMORY:
        return None
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        try:
            return Path(url.removeprefix(SQLITE)).expanduser()
        except RuntimeError as error:
            raise ConfigProblem(f"The store {url!r} is below a home directory that there is not.") from error
    raise ConfigProblem(f"The store {url!r} is not one of {MEMORY} and {SQLITE}PATH.")
