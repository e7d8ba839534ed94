"""How a store in PostgreSQL forgets: in slices, each of which has a connection for no longer than it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import psycopg
import pytest

from gmessenger.launcher.services import Postgres
from gmessenger.store import common, open_store, verify_store
from gmessenger.store.postgres import pool, rooms
from gmessenger.store.postgres import pruning as postgres_erasing
from gmessenger.store.postgres.pruning import DELETE_CONVERSATION, Pruner, _delete_chunk, _delete_messages
from tests.store.test_contract import DIRECT, Kept

SET_ASIDE = "UPDATE conversations SET key = '!' || id WHERE key = '#dev' RETURNING id"


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def kept(url: str) -> Iterator[Kept]:
    kept = Kept(open_store(url, connections=1))
    yield kept
    kept.store.close()


def left(url: str) -> dict[str, Any]:
    """How many rows there are of what belongs to conversations."""
    with psycopg.connect(url) as db:
        tables = ("conversations", "messages", "participants", "cursors", "past_ids")
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in tables}


def test_pruning_may_take_longer_than_a_server_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SERVER_GRACE", 0.0)
    monkeypatch.setattr(common, "PRUNE_BATCH", 10)
    monkeypatch.setattr(common, "PRUNE_DELAY", 0.05)
    kept = Kept(open_store(url, timeout=1.0))
    kept.posts(*(kept.says(str(number), time=1.0) for number in range(300)))
    assert kept.store.prune(2.0) == 300
    kept.store.close()


def test_a_slice_is_bounded_by_its_text(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def count_and_drop(db: Any, rows: list[tuple[Any, ...]], ids_from: float) -> None:
        sizes.append(sum(len(row[4]) for row in rows))
        _delete_messages(db, rows, ids_from)

    monkeypatch.setattr(postgres_erasing, "MAX_PRUNE_TEXT", 100)
    monkeypatch.setattr(postgres_erasing, "_delete_messages", count_and_drop)
    names = [f"#room{number}" for number in range(3)]
    for room in names:
        kept.room(room)
        kept.posts(*(kept.says("x" * 60, room, time=1.0) for _ in range(5)), kept.says("y" * 600, room, time=1.0))
        kept.posts(kept.says("young", room, time=3.0), kept.says("old again", room, time=1.0))
    assert kept.store.prune(2.0) == 18
    assert len(sizes) >= 9 and max(sizes) <= 100 + 600
    for room in names:
        assert kept.texts(kept.store.history(room, 1, None, None, 50).messages) == ["young", "old again"]


def test_rooms_are_deleted_with_a_single_connection_and_at_the_same_time(kept: Kept, url: str) -> None:
    names = [f"#room{number}" for number in range(4)]
    for room in names:
        kept.room(room)
        kept.store.join(room, kept.dale)
        kept.posts(*(kept.says(str(number), room) for number in range(common.PRUNE_BATCH // 4)))
    gevent.joinall([gevent.spawn(kept.store.delete_room, room) for room in names], timeout=20, raise_error=True)
    assert set(left(url).values()) == {0}


def test_a_room_of_which_a_part_is_gone_is_whole_to_who_verifies(
    kept: Kept, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "PRUNE_BATCH", 5)
    kept.room("#dev")
    kept.store.join("#dev", kept.dale)
    device = kept.device(kept.dale, "laptop").id
    kept.posts(*(kept.says(str(number), "#dev", device=device, id=f"m{number}") for number in range(12)))
    kept.store.acknowledge(device, "#dev", 12)
    kept.store.flush()
    assert isinstance(kept.store, Pruner)
    ((room,),) = kept.store.write(lambda db: db.execute(SET_ASIDE).fetchall())
    for messages in (7, 2):
        assert kept.store.write(lambda db: _delete_chunk(db, room))
        assert left(url)["messages"] == messages and verify_store(url).faults == []
    kept.store.finish_deletions()
    assert set(left(url).values()) == {0}


def test_whoever_makes_a_room_that_is_being_deleted_has_a_new_one(
    kept: Kept, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.room("#dev")
    beside = psycopg.connect(url, autocommit=True)

    class Late:
        """A connection beside which a room is deleted as soon as it was found to be there."""

        def __init__(self, line: pool.PgConnection) -> None:
            self.line = line
            self.deleted = False

        def execute(self, statement: Any, parameters: Any) -> Any:
            done = self.line.execute(statement, parameters)
            if statement == rooms.INSERT_ROOM and not self.deleted:
                beside.execute(SET_ASIDE)
                self.deleted = True
            return done

    change = kept.store.change  # type: ignore[attr-defined]
    monkeypatch.setattr(kept.store, "change", lambda work: change(lambda db: work(Late(db))))
    made = kept.store.create_room("#dev", "#Dev", kept.dale, 1.0)
    beside.close()
    assert (made.name, made.creator, kept.store.rooms()) == ("#Dev", kept.dale, [made])


def test_what_belongs_to_a_conversation_is_found_without_looking_through_everything(url: str) -> None:
    open_store(url).close()
    with psycopg.connect(url) as db:
        db.execute("SET enable_seqscan = off")
        for table in ("participants", "cursors", "past_ids"):
            (statement,) = (each for each in DELETE_CONVERSATION if f" {table} " in each)
            plan = "".join(row[0] for row in db.execute(f"EXPLAIN {statement}", (1,)).fetchall())
            assert f"{table}_by_conversation" in plan


def test_what_is_old_goes_in_slices_from_many_conversations(
    kept: Kept, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "PRUNE_BATCH", 7)
    device = kept.device(kept.hank, "laptop").id
    keys = [DIRECT, *(f"hank n{number}" for number in range(9))]
    posts = [
        kept.says(f"{key} {time}", key, time=float(time), device=device, id=f"{key} {time}")
        for key in keys
        for time in (1, 1, 1, 5, 1)[len(key) % 2 :]
    ]
    posts = list({post.id: post for post in posts}.values())
    posts += [kept.says("more", DIRECT, time=1.0) for _ in range(20)]
    kept.posts(*posts)
    assert kept.store.prune(2.0) == sum(post.time == 1.0 and post.text != "more" for post in posts)
    assert verify_store(url).faults == [] and kept.store.prune(2.0) == 0
    again = [(key, kept.posts(kept.says(f"{key} 1", key, time=1.0, device=device, id=f"{key} 1"))) for key in keys]
    assert all(outcome == [(1, True, None)] for _, outcome in again)
    assert kept.store.prune(6.0) == sum(post.time == 5.0 or post.text == "more" for post in posts)
    assert left(url)["messages"] == 0
    assert left(url)["past_ids"] == sum(post.id is not None for post in posts)
