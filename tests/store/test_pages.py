"""Unused bytes of a SQLite file: found by the file format, checked by SQLite itself."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.store.sqlite.datafile import DataFile, find_erasable
from gmessenger.store.sqlite.file_format import (
    find_slack,
    get_page_size,
    list_free_pages,
    list_wal_pages,
    read_wal_header,
)

SEEDS = range(6)


def leaf(pointers: bytes, gap: bytes, content: bytes, free: int = 0, cells: int = 1) -> bytes:
    """Return the leaf page of a table, of 512 bytes."""
    top = 512 - len(content)
    header = bytes([13]) + free.to_bytes(2, "big") + cells.to_bytes(2, "big") + top.to_bytes(2, "big") + b"\0"
    page = header + pointers + gap
    return page + bytes(top - len(page)) + content


def test_what_lies_between_the_pointers_and_the_rows_is_found_where_it_is_not_zero() -> None:
    assert find_slack(leaf(b"\1\xf6", b"", b"0123456789"), 2) == []
    assert find_slack(leaf(b"\1\xf6", b"secret", b"0123456789"), 2) == [(10, 502)]


def test_what_a_freed_row_has_left_is_found_where_it_is_not_zero() -> None:
    block = (0).to_bytes(2, "big") + (10).to_bytes(2, "big")
    assert find_slack(leaf(b"\1\xf6", b"", block + bytes(6) + b"row", free=512 - 13), 2) == []
    assert find_slack(leaf(b"\1\xf6", b"", block + b"secret" + b"row", free=512 - 13), 2) == [(503, 509)]


@pytest.mark.parametrize(
    "page",
    [
        b"",
        bytes(512),
        b"\0\0\0\7" + b"an overflow page" * 31,
        bytes([13]) + b"\xff" * 511,
        leaf(b"\1\xf6", b"secret", b"0123456789", cells=300),
        leaf(b"\1\xf6", b"", b"\1\0\0\0" + b"a block that comes before itself", free=512 - 36),
    ],
)
def test_of_a_page_that_makes_no_sense_nothing_is_touched(page: bytes) -> None:
    assert find_slack(page, 2) == []


def churn(db: sqlite3.Connection, seed: int) -> None:
    """Insert, update and delete rows of every size, in tables and indexes of every kind."""
    chance = random.Random(seed)
    db.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT, c BLOB)")
    db.execute("CREATE TABLE IF NOT EXISTS w (a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID")
    db.execute("CREATE INDEX IF NOT EXISTS i ON t (b)")
    for _ in range(3000):
        key, text = chance.randrange(800), chance.choice("xyz") * chance.choice((3, 40, 300, 6000))
        for statement, values in (
            ("INSERT OR REPLACE INTO t VALUES (?,?,?)", (key, text, text.encode())),
            ("INSERT OR REPLACE INTO w VALUES (?,?)", (f"{key}{text[:900]}", text)),
            ("DELETE FROM t WHERE a = ?", (chance.randrange(800),)),
            ("DELETE FROM w WHERE a LIKE ?", (f"{chance.randrange(800)}%",)),
            ("UPDATE t SET b = ? WHERE a = ?", (text[:5], chance.randrange(800))),
        ):
            if chance.random() < 0.4:
                db.execute(statement, values)


@pytest.mark.parametrize("seed", SEEDS)
def test_clearing_it_changes_nothing_of_the_database(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "t.db"
    path.touch()
    file = DataFile(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA secure_delete = ON")
        churn(db, seed)
        db.commit()
        before = list(db.iterdump())
    size = file.get_page_size()
    free = file.list_free_pages(size)
    numbers = range(1, file.size // size + 1)
    cleared = [number for number in numbers if file.zero_slack(number, size, free)]
    assert cleared, "SQLite cleared everything by itself: there was nothing to test"
    data = path.read_bytes()
    pages = {number: data[(number - 1) * size : number * size] for number in numbers}
    assert [number for number in numbers if find_erasable(pages[number], number, free)] == []
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert list(db.iterdump()) == before
        churn(db, seed + 100)  # and it can be used on
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    file.close()


def test_pages_that_belong_to_nothing_are_those_that_sqlite_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (a)")
        db.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 3000)
        db.commit()
        db.execute("DELETE FROM t WHERE rowid % 100")
        db.commit()
        counted = db.execute("PRAGMA freelist_count").fetchone()[0]
    data = path.read_bytes()
    size = get_page_size(data[:100])
    trunks = 0

    def read(number: int) -> bytes:
        nonlocal trunks
        trunks += 1
        return data[(number - 1) * size : number * size]

    assert len(list_free_pages(data[:100], read)) + trunks == counted > 2000


def test_pages_in_the_log_are_listed_up_to_where_it_was_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE t (a)")
        db.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * 20)
        whole = path.with_name("t.db-wal").read_bytes()
        db.execute("PRAGMA wal_checkpoint(RESTART)")
        db.execute("UPDATE t SET a = 'y' WHERE rowid = 20")
        again = path.with_name("t.db-wal").read_bytes()
    assert len(again) == len(whole)
    listed = {}
    for log in (whole, again):
        size, salts = read_wal_header(log[:32])
        listed[log] = list_wal_pages(log[32:], size, salts)
    pages, committed = listed[whole]
    assert len(set(pages)) >= 20 and committed == len(pages) == (len(whole) - 32) // (24 + 4096)
    pages, committed = listed[again]
    assert 0 < committed == len(pages) < 5


def test_what_is_no_database_has_no_pages() -> None:
    assert get_page_size(b"") == get_page_size(b"x" * 100) == 0 and read_wal_header(b"") == (0, [])
