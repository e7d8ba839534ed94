"""Stores of accounts, rooms and messages, in SQLite or PostgreSQL; `open_store` opens one by URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gmessenger.chat.storage import Store
from gmessenger.cluster.interfaces import SharedStore
from gmessenger.constants import MEMORY_URL
from gmessenger.errors import ConfigError
from gmessenger.extras import install_command
from gmessenger.store.common import VerifyReport
from gmessenger.urls import redact_url

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
DEFAULT_TIMEOUT = 30.0  # seconds
DEFAULT_CONNECTIONS = 4

__all__ = [
    "POSTGRES_PREFIXES",
    "SQLITE_PREFIX",
    "file_from_url",
    "open_store",
    "require_postgres_driver",
    "stored_contents",
    "verify_store",
]


def open_store(
    url: str,
    on_error: Callable[[str, BaseException], None] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    connections: int = DEFAULT_CONNECTIONS,
) -> Store:
    """Open the store that a URL names; create its files or tables where they are missing.

    Files and directories are created for their owner only.

    Args:
        url: `memory:`, `sqlite:///path` (four slashes for an absolute path), or `postgresql://user@host/database` with
            any parameters that libpq understands; the latter is a `SharedStore`.
        on_error: called with what failed and the exception, where a callback given to the store raised.
        timeout: seconds without an answer of the disk after which a change raises `StoreUnavailable`.
        connections: of PostgreSQL, for queries and changes; a few more are for searches, the node and its messages.

    Raises:
        ConfigError: the URL names no store, its schema is newer than this program, or the database refuses the login.
        FileError: the file cannot be opened, or the database server cannot be reached.
        StoreLocked: another process has the file open.

    Blocks.
    """
    if url.startswith(POSTGRES_PREFIXES):
        return _open_postgres(url, on_error, timeout, connections)
    # A backend is imported where it is opened: programs that open none are small, and a server needs one of them.
    from gmessenger.store.sqlite.store import SqliteStore

    return SqliteStore(file_from_url(url), on_error, timeout)


def _open_postgres(
    url: str, on_error: Callable[[str, BaseException], None] | None, timeout: float, connections: int
) -> SharedStore:
    with require_postgres_driver():
        from gmessenger.store.postgres.store import PostgresStore
    return PostgresStore(url, on_error, timeout, connections)


def verify_store(url: str) -> VerifyReport:
    """Verify the store of a URL: counts, gaps, index and usage. Changes nothing; servers may have it open.

    Blocks for as long as reading all of it takes. Raises `FileError` where there is no store, else as `open_store`.
    """
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres.verify import verify_database
        return verify_database(url)
    file = file_from_url(url)
    if file is None:
        raise ConfigError("A store in memory can be used by its own server only.")
    from gmessenger.store.sqlite.verify import verify_file

    return verify_file(file)


def stored_contents(url: str) -> list[tuple[str, int]]:
    """Return digest and size of the contents of all files that messages have; servers may have the store open.

    Blocks. Raises as `verify_store`.
    """
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres.verify import contents_of_database
        return contents_of_database(url)
    file = file_from_url(url)
    if file is None:
        raise ConfigError("A store in memory can be used by its own server only.")
    from gmessenger.store.sqlite.verify import contents_of_file

    return contents_of_file(file)


@contextmanager
def require_postgres_driver() -> Iterator[None]:
    """Turn the ImportError of an optional library into `ConfigError`, which says how to install it."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"A PostgreSQL store needs a library that is not installed ({error}): {install_command('cluster')}."
        ) from error


def file_from_url(url: str) -> Path | None:
    """Return the file that a store's URL names, None for a store in no file. Raises `ConfigError`."""
    if url == MEMORY_URL or url.startswith(POSTGRES_PREFIXES):
        return None
    if url.startswith(SQLITE_PREFIX) and len(url) > len(SQLITE_PREFIX):
        try:
            return Path(url.removeprefix(SQLITE_PREFIX)).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"The store {url!r} is in a home directory that does not exist.") from error
    raise ConfigError(
        f"The store {redact_url(url)!r} is not one of {MEMORY_URL}, {SQLITE_PREFIX}PATH and "
        f"{POSTGRES_PREFIXES[0]}USER@HOST/DATABASE."
    )
