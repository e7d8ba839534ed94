"""How a store in PostgreSQL is read: a page costs what it holds, and nothing is left out for coming late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from gmessenger.store import open_store
from gmessenger.store.postgres import messages
from tests.services import Postgres
from tests.store.test_contract import DIRECT, Kept


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def kept(url: str) -> Iterator[Kept]:
    kept = Kept(open_store(url))
    yield kept
    kept.store.close()


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        (messages.AFTER, {"after": 100}),
        (messages.AFTER, {"after": 2}),
        (messages.BEFORE, {"before": 2**62, "visible": 1}),
        (messages.BEFORE, {"before": 200, "visible": 1}),
    ],
)
def test_a_page_reads_no_more_messages_than_it_holds(
    kept: Kept, url: str, statement: str, where: dict[str, int]
) -> None:
    kept.posts(*(kept.says(str(number)) for number in range(600)))
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as db:
        db.execute("ANALYZE")
        parameters = where | {"conversation": DIRECT, "limit": 10}
        # As it was read; how many rows each node of the plan gave, and how many it threw away.
        explained: Any = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchall()  # type: ignore[arg-type]
    assert _most(explained[0][0][0]["Plan"]) == 10


def _most(node: dict[str, Any]) -> int:
    rows = int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0))
    return max([rows, *(_most(inner) for inner in node.get("Plans", ()))])


def test_pages_of_a_conversation_whose_beginning_is_gone_are_full(kept: Kept) -> None:
    kept.posts(*(kept.says(str(number), time=1.0 if number < 50 else 5.0) for number in range(100)))
    assert kept.store.prune(2.0) == 50
    store = kept.store
    assert [each.seq for each in store.history(DIRECT, 1, None, 0, 3).messages] == [51, 52, 53]
    assert [each.seq for each in store.history(DIRECT, 1, 53, None, 5).messages] == [51, 52]
    assert [each.seq for each in store.history(DIRECT, 98, 2**62, None, 5).messages] == [98, 99, 100]
    assert store.history(DIRECT, 1, None, 2**63 - 1, 5).messages == []
    assert [each.seq for each in kept.page(0)] == list(range(51, 101))
