"""Rooms of an earlier release: who has created one and is still in it is its owner after the migration."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Final

import psycopg
import pytest

from gmessenger.room_rules import OPEN_ROOM
from gmessenger.store import open_store
from gmessenger.store.postgres import schema as postgres_schema
from gmessenger.store.sqlite import schema

SQLITE_STEP: Final = 5
"""The last step of the schema before rooms had owners."""
POSTGRES_STEP: Final = 3
OLD_ROWS: Final = (
    "INSERT INTO accounts (key, name, password, created) VALUES ('hank', 'Hank', 'h', 1.0), ('dale', 'Dale', 'h', 1.0)",
    "INSERT INTO conversations (key, name, creator) VALUES ('#own', '#own', 1), ('#left', '#left', 1), "
    "('#gone', '#gone', NULL), ('dale hank', 'dale hank', NULL)",
    "INSERT INTO participants (account_id, conversation_id, visible) "
    "VALUES (1, 1, 1), (2, 1, 2), (2, 2, 1), (1, 3, 5), (2, 3, 4), (1, 4, 1), (2, 4, 1)",
)


def make_old_sqlite(file: Path) -> str:
    older = chain.from_iterable(schema.MIGRATIONS[:SQLITE_STEP])
    with closing(sqlite3.connect(file)) as db, db:
        for statement in (*older, *OLD_ROWS, f"PRAGMA user_version = {SQLITE_STEP}"):
            db.execute(statement)
    return f"sqlite:///{file}"


def make_old_postgres(url: str) -> str:
    with psycopg.connect(url) as db:
        for statement in (*postgres_schema.MIGRATIONS[:POSTGRES_STEP], *OLD_ROWS):
            db.execute(statement)  # type: ignore[arg-type]
        db.execute(
            "INSERT INTO facts VALUES ('identity', 'x'), ('schema', %s), ('works from', '3')", (str(POSTGRES_STEP),)
        )
    return url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_creators_who_are_still_members_are_owners(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "sqlite":
        url = make_old_sqlite(tmp_path / "store.db")
    else:
        url = make_old_postgres(request.getfixturevalue("postgres").database())
    store = open_store(url)
    assert {room.key: room.roles for room in store.rooms()} == {"#own": {1: "owner"}, "#left": {}, "#gone": {}}
    assert {room.rules for room in store.rooms()} == {OPEN_ROOM}
    assert store.leave("#own", 1) == 2
    store.change_role("#gone", 1, "owner")
    assert store.leave("#gone", 1) == 2
    store.close()
