"""Migrations of SQLite: released ones never change, or existing stores would differ from new ones."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from gmessenger.store import open_store
from gmessenger.store.sqlite import schema

RELEASED = [tuple(step) for step in json.loads(Path(__file__).with_name("released_schema.json").read_text("utf-8"))]
"""Statements of every released step. A new step is appended here when it is released; none is ever changed."""


def test_no_released_step_of_the_schema_is_ever_changed() -> None:
    assert list(schema.MIGRATIONS[: len(RELEASED)]) == RELEASED


def test_a_new_store_is_made_by_the_steps_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    open_store(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as db, closing(sqlite3.connect(":memory:")) as other:
        for step in RELEASED:
            for statement in step:
                other.execute(statement)
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        assert db.execute(query).fetchall() == other.execute(query).fetchall()
        assert db.execute("PRAGMA user_version").fetchone() == (len(RELEASED),)
