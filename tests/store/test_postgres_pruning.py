"""Pruning in PostgreSQL: in batches, each of which uses a connection only for as long as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import psycopg
import pytest

from gmessenger.chat.records import EVERYTHING
from gmessenger.launcher.services import Postgres
from gmessenger.store import common, open_store, verify_store
from gmessenger.store.postgres import pool, rooms
from gmessenger.store.postgres import pruning as postgres_erasing
from gmessenger.store.postgres.pruning import DELETE_CONVERSATION, Pruner, _delete_chunk, _delete_messages
from tests.store.test_contract import DIRECT, StoreDriver

MARK_DELETED = "UPDATE conversations SET key = '!' || id WHERE key = '#dev' RETURNING id"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def driver(url: str) -> Iterator[StoreDriver]:
    driver = StoreDriver(open_store(url, connections=1))
    yield driver
    driver.store.close()


def left(url: str) -> dict[str, Any]:
    """Count the rows that belong to conversations."""
    with psycopg.connect(url) as db:
        tables = ("conversations", "messages", "participants", "cursors", "past_ids")
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in tables}


def test_pruning_may_take_longer_than_a_server_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SERVER_GRACE", 0.0)
    monkeypatch.setattr(common, "PRUNE_BATCH", 10)
    monkeypatch.setattr(common, "PRUNE_DELAY", 0.05)
    driver = StoreDriver(open_store(url, timeout=1.0))
    driver.append(*(driver.message(str(number), time=1.0) for number in range(300)))
    assert driver.store.prune(2.0) == 300
    driver.store.close()


def test_a_slice_is_bounded_by_its_text(driver: StoreDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def count_and_drop(db: Any, rows: list[tuple[Any, ...]], ids_from: float, digest_key: bytes) -> None:
        sizes.append(sum(len(row[4]) for row in rows))
        _delete_messages(db, rows, ids_from, digest_key)

    monkeypatch.setattr(postgres_erasing, "MAX_PRUNE_TEXT", 100)
    monkeypatch.setattr(postgres_erasing, "_delete_messages", count_and_drop)
    names = [f"#room{number}" for number in range(3)]
    for room in names:
        driver.create_room(room)
        driver.append(
            *(driver.message("x" * 60, room, time=1.0) for _ in range(5)), driver.message("y" * 600, room, time=1.0)
        )
        driver.append(driver.message("young", room, time=3.0), driver.message("old again", room, time=1.0))
    assert driver.store.prune(2.0) == 18
    assert len(sizes) >= 9 and max(sizes) <= 100 + 600
    for room in names:
        assert driver.texts(driver.store.history(room, EVERYTHING, None, None, 50).messages) == ["young", "old again"]


def test_rooms_are_deleted_with_a_single_connection_and_at_the_same_time(driver: StoreDriver, url: str) -> None:
    names = [f"#room{number}" for number in range(4)]
    for room in names:
        driver.create_room(room)
        driver.store.join(room, driver.dale, 1.0)
        driver.append(*(driver.message(str(number), room) for number in range(common.PRUNE_BATCH // 4)))
    gevent.joinall([gevent.spawn(driver.store.delete_room, room) for room in names], timeout=20, raise_error=True)
    assert set(left(url).values()) == {0}


def test_a_room_of_which_a_part_is_gone_is_whole_to_who_verifies(
    driver: StoreDriver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "PRUNE_BATCH", 5)
    driver.create_room("#dev")
    driver.store.join("#dev", driver.dale, 1.0)
    device = driver.log_in(driver.dale, "laptop").id
    driver.append(*(driver.message(str(number), "#dev", device=device, id=f"m{number}") for number in range(12)))
    driver.store.acknowledge(device, "#dev", 12)
    driver.store.flush()
    assert isinstance(driver.store, Pruner)
    ((room,),) = driver.store.write(lambda db: db.execute(MARK_DELETED).fetchall())
    for messages in (7, 2):
        assert driver.store.write(lambda db: _delete_chunk(room, db))
        assert left(url)["messages"] == messages and verify_store(url).faults == []
    driver.store.finish_deletions()
    assert set(left(url).values()) == {0}


def test_whoever_makes_a_room_that_is_being_deleted_has_a_new_one(
    driver: StoreDriver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.create_room("#dev")
    other = psycopg.connect(url, autocommit=True)

    class Late:
        """A connection that deletes a room as soon as a query has found it."""

        def __init__(self, connection: pool.PgConnection) -> None:
            self.connection = connection
            self.deleted = False

        def execute(self, statement: Any, parameters: Any) -> Any:
            done = self.connection.execute(statement, parameters)
            if statement == rooms.INSERT_ROOM and not self.deleted:
                other.execute(MARK_DELETED)
                self.deleted = True
            return done

    change = driver.store.change  # type: ignore[attr-defined]
    monkeypatch.setattr(driver.store, "change", lambda work: change(lambda db: work(Late(db))))
    made = driver.store.create_room("#dev", "#Dev", driver.dale, 1.0)
    other.close()
    assert (made.name, made.creator, driver.store.rooms()) == ("#Dev", driver.dale, [made])


def test_what_belongs_to_a_conversation_is_found_without_looking_through_everything(url: str) -> None:
    open_store(url).close()
    with psycopg.connect(url) as db:
        db.execute("SET enable_seqscan = off")
        for table in ("participants", "cursors", "past_ids"):
            (statement,) = (item for item in DELETE_CONVERSATION if f" {table} " in item)
            plan = "".join(row[0] for row in db.execute(f"EXPLAIN {statement}", (1,)).fetchall())
            assert f"{table}_by_conversation" in plan


def test_what_is_old_goes_in_slices_from_many_conversations(
    driver: StoreDriver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "PRUNE_BATCH", 7)
    device = driver.log_in(driver.hank, "laptop").id
    keys = [DIRECT, *(f"hank n{number}" for number in range(9))]
    messages = [
        driver.message(f"{key} {time}", key, time=float(time), device=device, id=f"{key} {time}")
        for key in keys
        for time in (1, 1, 1, 5, 1)[len(key) % 2 :]
    ]
    messages = list({message.id: message for message in messages}.values())
    messages += [driver.message("more", DIRECT, time=1.0) for _ in range(20)]
    driver.append(*messages)
    assert driver.store.prune(2.0) == sum(message.time == 1.0 and message.text != "more" for message in messages)
    assert verify_store(url).faults == [] and driver.store.prune(2.0) == 0
    again = [
        (key, driver.append(driver.message(f"{key} 1", key, time=1.0, device=device, id=f"{key} 1"))) for key in keys
    ]
    assert all(outcome == [(1, True, None)] for _, outcome in again)
    assert driver.store.prune(6.0) == sum(message.time == 5.0 or message.text == "more" for message in messages)
    assert left(url)["messages"] == 0
    assert left(url)["past_ids"] == sum(message.id is not None for message in messages)
