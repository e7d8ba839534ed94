"""Read-only checks of a SQLite store or backup: verification, and status without opening it for writing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gmessenger.errors import ConfigError, FileError
from gmessenger.store.common import MAX_FAULTS, SELECT_SEQ_GAPS, VerifyReport, describe_miscounted, describe_seq_gaps
from gmessenger.store.sqlite import schema, usage
from gmessenger.store.sqlite.datafile import UNKNOWN_PROCESS, check_not_served, lock_holder

COUNT_QUERIES: Final = {
    "accounts": "SELECT count(*) FROM accounts",
    "devices": "SELECT count(*) FROM devices",
    "rooms": "SELECT count(*) FROM conversations WHERE key LIKE '#%'",
    "conversations": "SELECT count(*) FROM conversations",
    "messages": "SELECT count(*) FROM messages",
    "erased": "SELECT count(*) FROM messages WHERE erased",
    "indexed": "SELECT count(*) FROM words_docsize",
}
COUNT_UNINDEXED: Final = (
    "SELECT count(*) FROM messages WHERE NOT erased "
    "AND rowid < (SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed')"
)
"""Messages that the index, which is being made again, has not come to yet."""
COUNT_MISCOUNTED: Final = (
    f"SELECT count(*) FROM (SELECT account FROM ("  # noqa: S608
    "SELECT account_id AS account, bytes FROM usage UNION ALL "
    f"SELECT coalesce(account_id, {usage.GUESTS_ID}), -{usage.TEXT_BYTES.format('text')} FROM messages"
    ") GROUP BY account HAVING sum(bytes) != 0)"
)
"""Accounts, and 0 for guests, whose stored bytes are not as many as `usage` says."""
SELECT_VERSION: Final = "PRAGMA user_version"
COUNT_TABLES: Final = "SELECT count(*) FROM sqlite_master"
COUNT_ORPHANS: Final = "SELECT count(*) FROM messages WHERE conversation_id NOT IN (SELECT id FROM conversations)"

ORDINARY_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"


def verify_file(file: Path) -> VerifyReport:
    """Look through a file. Raises `FileError` for one that is no store, `ConfigError` for a newer schema."""
    found = VerifyReport()
    try:
        with open_store_readonly(file) as db:
            found.faults += _check_integrity(db)
            if not found.faults:
                db.execute("BEGIN")  # one moment of a store that goes on changing
                found.counts = {what: int(db.execute(query).fetchone()[0]) for what, query in COUNT_QUERIES.items()}
                found.faults += describe_seq_gaps(
                    db.execute(SELECT_SEQ_GAPS).fetchmany(MAX_FAULTS), found.counts, _count_unindexed(db)
                )
                found.faults += _check_orphans(db) + _check_search_index(db) + _check_usage(db)
    except sqlite3.Error as error:
        found.faults.append(f"it cannot be read: {error}.")
    return found


@contextmanager
def open_store_readonly(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write. Raises `FileError` or `ConfigError` where the file is no store we know."""
    with open_readonly(file) as db:
        _check_schema(db, file)
        yield db


def schema_version(file: Path) -> int:
    """The schema of a store; 0 of one that a first start has not put anything into. Raises as `reading`."""
    with open_readonly(file) as db:
        with suppress(sqlite3.Error):
            (version,), (tables,) = (db.execute(each).fetchone() for each in (SELECT_VERSION, COUNT_TABLES))
            if not version and not tables:
                return 0
        _check_schema(db, file)
        return int(db.execute(SELECT_VERSION).fetchone()[0])


@contextmanager
def open_readonly(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a database of whatever kind that cannot write. Raises `FileError`."""
    try:
        # Not `is_file`: from Python 3.14 on it says False of a name that is too long or a folder that may not be read.
        if not stat.S_ISREG(file.stat().st_mode):
            raise FileError(f"The file {file} does not exist.")
        # Without a log beside it nobody has it open; reading one needs a file more, which must not be made for nothing.
        file = file.resolve()
        if lock_holder(file) == UNKNOWN_PROCESS:
            check_not_served(file)
        alone = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    except FileNotFoundError:
        raise FileError(f"The file {file} does not exist.") from None
    except OSError as error:
        raise FileError(f"Cannot open {file}: {error.strerror}.") from error
    try:
        db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro{alone}", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise FileError(f"Cannot open {file}: {error}.") from error
    with closing(db):
        yield db


def _check_schema(db: sqlite3.Connection, file: Path) -> None:
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        raise FileError(f"{file} is not a gmessenger store: {error}.") from error
    if version > schema.VERSION:
        raise ConfigError(
            f"{file} has schema {version}, made by a later release; this one knows schema {schema.VERSION}."
        )
    if version < 1 or not {"accounts", "conversations", "messages"} <= tables:
        raise FileError(f"{file} is not a gmessenger store.")


def _check_usage(db: sqlite3.Connection) -> list[str]:
    """Compare the bytes counted for quotas with those stored; a store of an earlier schema counts none."""
    if int(db.execute(SELECT_VERSION).fetchone()[0]) < schema.WITH_USAGE:
        return []
    return describe_miscounted(int(db.execute(COUNT_MISCOUNTED).fetchone()[0]))


def _check_integrity(db: sqlite3.Connection) -> list[str]:
    """What SQLite finds damaged. From 3.44 on it looks into the search index, too: what is said of that is another
    matter, since an index can be made again."""
    if not (lines := _integrity_check(db, MAX_FAULTS)):
        return []
    sound = not any(_integrity_check(db, f"'{name}'") for (name,) in db.execute(ORDINARY_TABLES))
    return [f"{'its search index' if sound else 'it'} is damaged: {line}." for line in lines]


def _integrity_check(db: sqlite3.Connection, what: object) -> list[str]:
    try:
        lines = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({what})")]
    except sqlite3.Error as error:
        return [str(error)]
    return lines if lines != ["ok"] else []


def _check_orphans(db: sqlite3.Connection) -> list[str]:
    stray = int(db.execute(COUNT_ORPHANS).fetchone()[0])
    return [f"{stray} messages belong to no conversation."] if stray else []


def _check_search_index(db: sqlite3.Connection) -> list[str]:
    """Reads the search index to its end: it should have as many words as were put into it."""
    try:
        db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'row')")
        found = int(db.execute("SELECT coalesce(sum(cnt), 0) FROM temp.vocabulary").fetchone()[0])
    except sqlite3.Error as error:
        return [f"its search index is damaged: {error}."]
    put = sum(_decode_word_count(size) for (size,) in db.execute("SELECT sz FROM words_docsize"))
    return [] if found == put else [f"its search index has {found} words instead of {put}."]


def _decode_word_count(size: bytes) -> int:
    """How many words a message has, as the index has it: seven bits a byte, the highest first."""
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def _count_unindexed(db: sqlite3.Connection) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    return int(db.execute(COUNT_UNINDEXED).fetchone()[0]) if version >= schema.WITH_FACTS else 0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """`schema` is None where there is no store yet, `holder` the process that has it open, `free` in bytes, or None
    where the disk does not tell.
    """

    schema: int | None
    holder: str | None
    free: int | None


def inspect_file(file: Path) -> StoreStatus:
    """Look at a store's file. Raises `FileError` where it could not be used, `ConfigError` for a newer schema."""
    file = file.resolve()
    place = next(each for each in file.parents if each.exists())
    if not place.is_dir():
        raise FileError(f"The store {file} cannot be made: {place} is not a directory.")
    for each in (file, place):
        if each.exists() and not os.access(each, os.W_OK):
            raise FileError(f"The store {file} cannot be written: {each} is not writable for this user.")
    return StoreStatus(_existing_schema(file) if file.exists() else None, lock_holder(file), _free_space(place))


def _free_space(place: Path) -> int | None:
    """Not every file system tells; some say that they have no blocks at all."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return None
    return usage.free if usage.total else None


def _existing_schema(file: Path) -> int:
    if file.stat().st_size == 0:  # made, and left before anything was in it
        return 0
    try:
        return schema_version(file)
    except sqlite3.Error as error:
        raise FileError(f"The store {file} cannot be read: {error}.") from error
