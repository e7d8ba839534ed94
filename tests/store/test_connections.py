"""Every connection to a database file is closed, whatever fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import gevent
import pytest
from gevent.monkey import get_original

from gmessenger.errors import ExitError
from gmessenger.store import open_store
from gmessenger.store.sqlite import schema
from gmessenger.store.sqlite.reader_pool import ReaderPool
from tests.support.timeouts import TEST_TIMEOUT

connect = sqlite3.connect


class OpenedConnections(list[sqlite3.Connection]):
    """The connections that were opened."""

    def still_open(self) -> list[sqlite3.Connection]:
        return [db for db in self if is_open(db)]


def is_open(db: sqlite3.Connection) -> bool:
    try:
        return db.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> OpenedConnections:
    connections = OpenedConnections()

    def opens(*args: object, **options: object) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", opens)
    return connections


def no_database(file: Path) -> None:
    file.write_bytes(b"something else entirely, and quite long" * 100)


def of_a_later_release(file: Path) -> None:
    open_store(f"sqlite:///{file}").close()
    with changed(file) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def that_cannot_be_migrated(file: Path) -> None:
    with changed(file) as db:
        db.execute("CREATE TABLE messages (nothing_of_ours)")


@contextmanager
def changed(file: Path) -> Iterator[sqlite3.Connection]:
    db = connect(file)
    yield db
    db.commit()
    db.close()


@pytest.mark.parametrize("spoil", [no_database, of_a_later_release, that_cannot_be_migrated])
def test_a_store_that_cannot_be_opened_leaves_no_connection(
    spoil: Callable[[Path], None], tmp_path: Path, opened: OpenedConnections
) -> None:
    file = tmp_path / "messenger.db"
    spoil(file)
    with pytest.raises(ExitError):
        open_store(f"sqlite:///{file}")
    assert opened and opened.still_open() == []


def test_a_store_that_was_used_leaves_no_connection(tmp_path: Path, opened: OpenedConnections) -> None:
    store = open_store(f"sqlite:///{tmp_path}/messenger.db")
    for each in [gevent.spawn(store.search, 1, "words", None, 5, 9.0) for _ in range(9)]:
        each.get(timeout=TEST_TIMEOUT)
    assert opened.still_open()
    store.close()
    assert opened.still_open() == []


def test_a_connection_that_is_in_use_while_its_readers_are_closed_is_closed_after(
    tmp_path: Path, opened: OpenedConnections
) -> None:
    begun, goes_on = Event(), get_original("threading", "Event")()

    def find(db: sqlite3.Connection) -> int:
        begun.set()
        goes_on.wait(20)
        return int(db.execute("SELECT 7").fetchone()[0])

    readers = ReaderPool(lambda: sqlite3.connect(tmp_path / "any.db", check_same_thread=False), 1)
    reading = gevent.spawn(readers.read, find)
    while not begun.is_set():
        gevent.sleep(0.001)
    closing = gevent.spawn(readers.close)
    gevent.sleep(0)
    goes_on.set()
    closing.get(timeout=TEST_TIMEOUT)
    assert reading.get(timeout=TEST_TIMEOUT) == 7
    assert opened and opened.still_open() == []
