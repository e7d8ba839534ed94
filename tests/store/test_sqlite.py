"""SQLite only: the file, its schema version, pipelined commits, other processes."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from gmessenger.chat.records import EVERYTHING, NewMessage
from gmessenger.errors import ConfigError, ExitError, FileError, StoreUnavailable
from gmessenger.store import group_commit, open_store
from gmessenger.store.sqlite import messages, schema, usage
from gmessenger.store.sqlite.amendments import InsertedBatch
from gmessenger.store.sqlite.database import Database
from tests.store.test_contract import StoreDriver
from tests.support.timeouts import TEST_TIMEOUT

POST = NewMessage("dale hank", "Hank", "Dale", "hi", 1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "messenger.db"


def append_one(store: object) -> int:
    outcome: AsyncResult[int] = AsyncResult()
    store.append(POST, lambda seq, duplicate, error: outcome.set(seq))  # type: ignore[attr-defined]
    return outcome.get(timeout=TEST_TIMEOUT)


def test_file_and_directories_are_made_for_their_owner_only(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    append_one(store)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()}
    store.close()
    assert modes["messenger.db"] == modes["messenger.db-wal"] == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o077 == 0


def test_it_is_all_there_after_a_restart(file: Path) -> None:
    for expected in (1, 2, 3):
        store = open_store(f"sqlite:///{file}")
        assert append_one(store) == expected
        store.close()


def test_a_closed_store_leaves_nothing_in_the_log(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    append_one(store)
    store.close()
    assert not file.with_name("messenger.db-wal").exists() or not file.with_name("messenger.db-wal").stat().st_size


def test_a_schema_of_a_later_release_is_refused_and_left_alone(file: Path) -> None:
    open_store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(ConfigError, match=f"schema {schema.VERSION + 1}, made by a later release"):
        open_store(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as db, db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION + 1,)


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(b"something else entirely, and quite long" * 100)
    with pytest.raises(ExitError, match=str(file)):
        open_store(f"sqlite:///{file}")


@pytest.mark.parametrize("url", ["", "sqlite:///", "mysql://x", "sqlite://x", "/tmp/x.db"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_store(url)


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(FileError, match=r"/proc/nowhere/messenger\.db"):
        open_store("sqlite:////proc/nowhere/messenger.db")


def test_messages_that_arrive_during_a_commit_form_the_next_batch(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    outcomes: list[int] = []
    for _ in range(50):
        store.append(POST, lambda seq, duplicate, error: outcomes.append(seq))
        gevent.sleep(0)
    store.flush()
    store.close()
    assert outcomes == list(range(1, 51))


def test_a_change_sees_the_messages_of_its_batch_however_many(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    assert isinstance(store, Database)
    append_messages(store, [], 1700)
    assert store.writer.execute(lambda db: db.execute("SELECT count(*) FROM messages").fetchone()) == (1700,)
    store.close()


def test_of_a_large_batch_the_loop_inserts_only_the_rest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    connect = Database._open_writer

    def traced(store: Database) -> sqlite3.Connection:
        db = connect(store)
        db.set_trace_callback(lambda text: statements.append(text.partition(" VALUES")[0]))
        return db

    monkeypatch.setattr(Database, "_open_writer", traced)
    store = open_store(f"sqlite:///{file}")
    assert isinstance(store, Database)
    reported: list[str] = []
    append_messages(store, reported, 1700)
    with gevent.Timeout(TEST_TIMEOUT):
        while len(reported) < 1700:
            gevent.sleep(0.001)
    store.close()
    assert reported == [str(seq) for seq in range(1, 1701)]
    inserts = [text for text in statements if text.startswith("INSERT INTO messages")]
    assert len(inserts) == 3 + 200


@pytest.fixture
def pipelining(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Open a store that pipelines commits of three messages, and yields after each delivery."""
    monkeypatch.setattr(group_commit, "MIN_PIPELINED_BATCH", 3)
    monkeypatch.setattr(group_commit, "NOTIFY_SLICE", -1.0)
    store = open_store(f"sqlite:///{file}")
    assert isinstance(store, Database)
    yield store
    store.close()


def append_messages(store: Database, reported: list[str], count: int) -> None:
    for number in range(count):
        store.inserter.add(
            POST, lambda seq, _, error, number=number: reported.append(error.code if error else str(seq))
        )
    store.writer.wake()


def during_the_commit(store: Database, monkeypatch: pytest.MonkeyPatch, reported: list[str], then: Any) -> None:
    """After the insert of the first batch append three messages; run `then` when they are inserted."""
    insert = store.inserter.insert

    def first(db: sqlite3.Connection, *, may_defer: bool) -> InsertedBatch | None:
        row = insert(db, may_defer=may_defer)
        append_messages(store, reported, 3)
        monkeypatch.setattr(store.inserter, "insert", second)
        return row

    def second(db: sqlite3.Connection, *, may_defer: bool) -> InsertedBatch | None:
        monkeypatch.setattr(store.inserter, "insert", insert)
        then()
        return insert(db, may_defer=may_defer)

    monkeypatch.setattr(store.inserter, "insert", first)


def test_where_much_waits_it_is_inserted_while_the_last_batch_is_delivered_and_delivered_after_it(
    pipelining: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    during_the_commit(pipelining, monkeypatch, reported, lambda: reported.append("inserted"))
    append_messages(pipelining, reported, 5)
    pipelining.flush()
    pipelining.flush()
    assert reported.index("inserted") < 5
    reported.remove("inserted")
    assert reported == [str(seq) for seq in range(1, 9)]


def test_a_batch_that_fails_beside_the_last_ones_delivery_is_refused_after_it(
    pipelining: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []

    def fail() -> None:
        assert len(reported) < 5
        raise sqlite3.OperationalError("disk I/O error")

    during_the_commit(pipelining, monkeypatch, reported, fail)
    append_messages(pipelining, reported, 5)
    pipelining.flush()
    pipelining.flush()
    assert reported == ["1", "2", "3", "4", "5", *["store_unavailable"] * 3]
    append_messages(pipelining, reported, 1)
    pipelining.flush()
    assert reported[-1] == "6"


def test_closing_waits_for_what_is_delivered_beside_the_next_batch(
    pipelining: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    during_the_commit(pipelining, monkeypatch, reported, lambda: None)
    append_messages(pipelining, reported, 5)
    pipelining.close()
    assert reported == [str(seq) for seq in range(1, 9)]


def test_reading_goes_on_while_another_process_holds_the_lock_for_writing(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    append_one(store)
    with closing(sqlite3.connect(file, isolation_level=None)) as other, other:
        other.execute("BEGIN IMMEDIATE")
        assert len(store.history("dale hank", EVERYTHING, None, None, 9).messages) == 1
        waiting = gevent.spawn(append_one, store)
        gevent.sleep(0.05)
        assert not waiting.ready()
        other.execute("ROLLBACK")
    assert waiting.get(timeout=TEST_TIMEOUT) == 2
    store.close()


def test_a_disk_that_has_stopped_is_said_to_be_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, goes_on = os.pipe()  # what no patching makes cooperative: it is waited for in the commit's thread
    store = open_store(f"sqlite:///{tmp_path}/store.db", timeout=0.3)
    monkeypatch.setattr(group_commit, "MAX_QUEUED_TEXT", 10)
    append_one = StoreDriver(store)
    add_usage = usage.add_usage
    monkeypatch.setattr(usage, "add_usage", lambda db, first: os.read(stopped, 1) and add_usage(db, first))
    outcomes: list[int] = []
    store.append(append_one.message("in the commit"), lambda seq, *_: outcomes.append(seq))
    gevent.sleep(0)
    with pytest.raises(StoreUnavailable, match=r"has not answered for 0\.3 s"):
        store.flush()
    store.append(append_one.message("waiting, and long"), lambda seq, *_: outcomes.append(seq))
    with pytest.raises(StoreUnavailable, match="too many requests are waiting"):
        store.append(append_one.message("one too many"), lambda seq, *_: outcomes.append(seq))
    os.write(goes_on, b"go")
    store.flush()
    assert outcomes == [1, 2]
    monkeypatch.undo()
    assert append_one.append(append_one.message("after"))[0][0] == 3
    store.close()


def test_a_page_is_found_where_it_begins_however_much_comes_before(file: Path) -> None:
    """Every page is found through the index, so later pages are not slower."""
    store = open_store(f"sqlite:///{file}")
    plan: list[str] = []

    def explained(db: sqlite3.Connection) -> None:
        query = f"EXPLAIN QUERY PLAN {messages.AFTER}"
        given = ("a", 5, 9)
        plan.extend(row[3] for row in db.execute(query, given))

    store.read(explained)  # type: ignore[attr-defined]
    store.close()
    assert any(step.endswith("(conversation_id=? AND seq>?)") for step in plan), plan
