"""Remembers: accounts, devices, rooms and messages, on disk before anybody is told that they are.
It must not know sessions, sockets, fronts, or how anything is said on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gmessenger.chat.contract import Store
from gmessenger.cluster.contract import SharedStore
from gmessenger.errors import ConfigProblem
from gmessenger.extras import how_to_install
from gmessenger.store.common import VerifyReport
from gmessenger.urls import masked

MEMORY = "memory:"
SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
PATIENCE = 30.0
CONNECTIONS = 4

__all__ = ["MEMORY", "POSTGRES", "SQLITE", "file_of", "open_store", "taking_a_library", "verify_store"]


def open_store(
    url: str,
    failed: Callable[[str, BaseException], None] | None = None,
    timeout: float = PATIENCE,
    connections: int = CONNECTIONS,
) -> Store:
    """The store that a URL names: `memory:`, `sqlite:///path` (four slashes for an absolute path), or
    `postgresql://user@host/database` with whatever else libpq understands: that one is a `SharedStore`.

    Files and directories are made where they are missing, for their owner only; a database's tables, too. Raises
    `ConfigProblem` for a URL that names no store, a schema newer than this program, or a database that does not let it
    in; `FileProblem` for a file that cannot be opened or a server that is not there. `failed` is told of a mistake in
    what the store called back. After `timeout` seconds without an answer of the disk, a change counts as unavailable.
    To a database there are so many `connections`, and one to write messages.
    """
    if url.startswith(POSTGRES):
        return _open_postgres(url, failed, timeout, connections)
    # A backend is imported where it is opened: programs that open none are small, and a server needs one of them.
    from gmessenger.store.sqlite import SqliteStore

    return SqliteStore(file_of(url), failed, timeout)


def _open_postgres(
    url: str, failed: Callable[[str, BaseException], None] | None, timeout: float, connections: int
) -> SharedStore:
    with taking_a_library():
        from gmessenger.store.postgres.store import PostgresStore
    return PostgresStore(url, failed, timeout, connections)


def verify_store(url: str) -> VerifyReport:
    """Look through what a URL names, whether servers have it open or not; nothing is changed.

    Raises `FileProblem` where there is no store, else as `open_store`.
    """
    if url.startswith(POSTGRES):
        with taking_a_library():
            from gmessenger.store.postgres.verifying import verify_database
        return verify_database(url)
    file = file_of(url)
    if file is None:
        raise ConfigProblem("A store in memory can be used by its own server only.")
    from gmessenger.store.verifying import verify_file

    return verify_file(file)


@contextmanager
def taking_a_library() -> Iterator[None]:
    """Around the import of what is for PostgreSQL: a server on its own can do without. Raises `ConfigProblem`."""
    try:
        yield
    except ImportError as error:
        raise ConfigProblem(
            f"A PostgreSQL store needs a library that is not installed ({error}): {how_to_install('cluster')}."
        ) from error


def file_of(url: str) -> Path | None:
    """The file that a store's URL names; None where it is in no file. Raises `ConfigProblem`."""
    if url == MEMORY or url.startswith(POSTGRES):
        return None
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        try:
            return Path(url.removeprefix(SQLITE)).expanduser()
        except RuntimeError as error:
            raise ConfigProblem(f"The store {url!r} is in a home directory that does not exist.") from error
    raise ConfigProblem(
        f"The store {masked(url)!r} is not one of {MEMORY}, {SQLITE}PATH and {POSTGRES[0]}USER@HOST/DATABASE."
    )
