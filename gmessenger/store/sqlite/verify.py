"""Read-only checks of a SQLite store or backup: verification, and status without opening it."""

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
from gmessenger.store.sqlite.search_index import FIND_LAST_INDEXED, FIND_UNINDEXED

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
    "SELECT count(*) FROM messages WHERE NOT erased "  # noqa: S608
    f"AND (rowid < ({FIND_UNINDEXED}) OR rowid > ({FIND_LAST_INDEXED}))"
)
"""Messages that the index does not have yet: old ones while it is being rebuilt, and the newest."""
COUNT_MISCOUNTED: Final = (
    f"SELECT count(*) FROM (SELECT account FROM ("  # noqa: S608
    "SELECT account_id AS account, bytes FROM usage UNION ALL "
    f"SELECT coalesce(account_id, {usage.GUESTS_ID}), -{usage.TEXT_BYTES.format('text')} FROM messages"
    ") GROUP BY account HAVING sum(bytes) != 0)"
)
"""Accounts (0: all guests) whose stored bytes differ from those in `usage`."""
SELECT_VERSION: Final = "PRAGMA user_version"
COUNT_TABLES: Final = "SELECT count(*) FROM sqlite_master"
COUNT_ORPHANS: Final = "SELECT count(*) FROM {} WHERE conversation_id NOT IN (SELECT id FROM conversations)"
OF_CONVERSATIONS: Final = {
    "messages": "messages",
    "absences": "absences",
    "room_sanctions": "room sanctions",
    "invitations": "invitations",
    "room_masks": "masks of rooms",
    "reaction_messages": "messages of reactions",
}
"""Tables whose rows belong to conversations; a store of an earlier schema has not all of them."""

COUNT_LOOSE_REACTIONS: Final = (
    "SELECT count(*) FROM reactions r WHERE NOT EXISTS (SELECT 1 FROM messages m "
    "WHERE m.conversation_id = r.conversation_id AND m.seq = r.seq AND NOT m.erased)"
)

HOOK_QUERIES: Final = {
    "hooks belong to no account or no room": (
        "SELECT count(*) FROM hooks WHERE account_id NOT IN (SELECT id FROM accounts) "
        "OR conversation_id NOT IN (SELECT id FROM conversations)"
    ),
    "alerts belong to no hook": ("SELECT count(*) FROM alerts WHERE account_id NOT IN (SELECT account_id FROM hooks)"),
}

FILE_QUERIES: Final = {
    "files belong to no message": (
        "SELECT count(*) FROM files f WHERE f.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM messages m "
        "WHERE m.conversation_id = f.conversation_id AND m.seq = f.seq AND NOT m.erased)"
    ),
    "accounts have files that are counted wrongly": (
        "SELECT count(*) FROM (SELECT account FROM ("
        "SELECT account_id AS account, count, size FROM file_usage UNION ALL "
        "SELECT account_id, -1, -((size + 4095) / 4096 * 4096) FROM files) "
        "GROUP BY account HAVING sum(count) <> 0 OR sum(size) <> 0)"
    ),
}

SENT_CONTENTS: Final = "SELECT DISTINCT digest, size FROM files WHERE seq IS NOT NULL ORDER BY digest"
ORDINARY_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"


def verify_file(file: Path) -> VerifyReport:
    """Verify a store or backup. Blocks. Raises `FileError` for no store, `ConfigError` for a newer schema."""
    report = VerifyReport()
    try:
        with open_store_readonly(file) as db:
            report.faults += _check_integrity(db)
            if not report.faults:
                db.execute("BEGIN")  # one snapshot of a store that may be in use
                report.counts = {what: int(db.execute(query).fetchone()[0]) for what, query in COUNT_QUERIES.items()}
                report.faults += describe_seq_gaps(
                    db.execute(SELECT_SEQ_GAPS).fetchmany(MAX_FAULTS), report.counts, _count_unindexed(db)
                )
                report.faults += _check_orphans(db) + _check_search_index(db) + _check_usage(db)
    except sqlite3.Error as error:
        report.faults.append(f"it cannot be read: {error}.")
    return report


def contents_of_file(file: Path) -> list[tuple[str, int]]:
    """Return digest and size of the contents of files that messages have; see `stored_contents`."""
    with open_store_readonly(file) as db:
        if "files" not in {name for (name,) in db.execute(ORDINARY_TABLES)}:
            return []
        return db.execute(SENT_CONTENTS).fetchall()


@contextmanager
def open_store_readonly(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a store read-only. Raises `FileError` for no store, `ConfigError` for a newer schema."""
    with open_readonly(file) as db:
        _check_schema(db, file)
        yield db


def schema_version(file: Path) -> int:
    """Return the schema version of a store, 0 for an empty database. Raises as `open_store_readonly`."""
    with open_readonly(file) as db:
        with suppress(sqlite3.Error):
            (version,), (tables,) = (db.execute(query).fetchone() for query in (SELECT_VERSION, COUNT_TABLES))
            if not version and not tables:
                return 0
        _check_schema(db, file)
        return int(db.execute(SELECT_VERSION).fetchone()[0])


@contextmanager
def open_readonly(file: Path) -> Iterator[sqlite3.Connection]:
    """Open any SQLite database read-only. Raises `FileError`."""
    try:
        # Not `is_file`: from Python 3.14 on it says False of a name that is too long or a folder that may not be read.
        if not stat.S_ISREG(file.stat().st_mode):
            raise FileError(f"The file {file} does not exist.")
        # Without a log no process has it open; `immutable` then avoids creating the index of a log.
        file = file.resolve()
        if lock_holder(file) == UNKNOWN_PROCESS:
            check_not_served(file)
        immutable = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    except FileNotFoundError:
        raise FileError(f"The file {file} does not exist.") from None
    except OSError as error:
        raise FileError(f"Cannot open {file}: {error.strerror}.") from error
    try:
        db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro{immutable}", uri=True, isolation_level=None)
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
    """Return what SQLite finds damaged; tell damage of the search index apart, as it can be rebuilt.

    From version 3.44 on SQLite looks into the index, too.
    """
    if not (lines := _integrity_check(db, MAX_FAULTS)):
        return []
    only_index = not any(_integrity_check(db, f"'{name}'") for (name,) in db.execute(ORDINARY_TABLES))
    return [f"{'its search index' if only_index else 'it'} is damaged: {line}." for line in lines]


def _integrity_check(db: sqlite3.Connection, what: object) -> list[str]:
    try:
        lines = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({what})")]
    except sqlite3.Error as error:
        return [str(error)]
    return lines if lines != ["ok"] else []


def _check_orphans(db: sqlite3.Connection) -> list[str]:
    tables = {name for (name,) in db.execute(ORDINARY_TABLES)}
    orphans = {
        what: int(db.execute(COUNT_ORPHANS.format(table)).fetchone()[0])
        for table, what in OF_CONVERSATIONS.items()
        if table in tables
    }
    faults = [f"{count} {what} belong to no conversation." for what, count in orphans.items() if count]
    loose = int(db.execute(COUNT_LOOSE_REACTIONS).fetchone()[0]) if "reactions" in tables else 0
    faults += [f"{loose} reactions belong to no message."] if loose else []
    queries = (HOOK_QUERIES if "hooks" in tables else {}) | (FILE_QUERIES if "files" in tables else {})
    for what, query in queries.items():
        faults += [f"{count} {what}."] if (count := int(db.execute(query).fetchone()[0])) else []
    return faults


def _check_search_index(db: sqlite3.Connection) -> list[str]:
    """Read the whole search index: it should have as many words as were put into it."""
    try:
        db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'row')")
        actual = int(db.execute("SELECT coalesce(sum(cnt), 0) FROM temp.vocabulary").fetchone()[0])
    except sqlite3.Error as error:
        return [f"its search index is damaged: {error}."]
    expected = sum(_decode_word_count(size) for (size,) in db.execute("SELECT sz FROM words_docsize"))
    return [] if actual == expected else [f"its search index has {actual} words instead of {expected}."]


def _decode_word_count(size: bytes) -> int:
    """Decode the word count of an index entry: seven bits a byte, the highest first."""
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def _count_unindexed(db: sqlite3.Connection) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    return int(db.execute(COUNT_UNINDEXED).fetchone()[0]) if version >= schema.WITH_FACTS else 0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The status of a store, as far as it is known without opening it.

    `schema` is None where there is no store yet; `holder` is the id of the process that has it open; `free` is the
    free space in bytes, None where the file system does not tell.
    """

    schema: int | None
    holder: str | None
    free: int | None


def inspect_file(file: Path) -> StoreStatus:
    """Return the status of a store's file.

    Raises `FileError` where a server could not use it, `ConfigError` for a newer schema.
    """
    file = file.resolve()
    directory = next(parent for parent in file.parents if parent.exists())
    if not directory.is_dir():
        raise FileError(f"The store {file} cannot be made: {directory} is not a directory.")
    for path in (file, directory):
        if path.exists() and not os.access(path, os.W_OK):
            raise FileError(f"The store {file} cannot be written: {path} is not writable for this user.")
    return StoreStatus(_existing_schema(file) if file.exists() else None, lock_holder(file), _free_space(directory))


def _free_space(directory: Path) -> int | None:
    """Return the free bytes; None where the file system does not tell, or says that it has no blocks."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return None
    return usage.free if usage.total else None


def _existing_schema(file: Path) -> int:
    if file.stat().st_size == 0:  # left by a first start that was killed
        return 0
    try:
        return schema_version(file)
    except sqlite3.Error as error:
        raise FileError(f"The store {file} cannot be read: {error}.") from error
