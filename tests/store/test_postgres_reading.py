"""How a store in PostgreSQL is read: a page costs what it holds, and nothing is left out for coming late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import psycopg
import pytest

from gmessenger.errors import StoreUnavailable
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store
from gmessenger.store.postgres import messages
from tests.store.test_contract import DIRECT, Kept
from tests.support.timeouts import TEST_TIMEOUT


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
        (messages.SELECT_AFTER, {"after": 100}),
        (messages.SELECT_AFTER, {"after": 2}),
        (messages.SELECT_BEFORE, {"before": 2**62, "visible": 1}),
        (messages.SELECT_BEFORE, {"before": 200, "visible": 1}),
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


SAY = (
    'INSERT INTO messages (conversation_id, seq, time, sender, "to", text, words) '
    "SELECT id, 1, 1, 'x', 'y', 'late', to_tsvector('simple', 'late') FROM conversations WHERE key = 'x y'"
)


def test_an_export_waits_for_what_was_given_a_place_and_is_not_yet_there(kept: Kept, url: str) -> None:
    with psycopg.connect(url) as slow:
        slow.execute("INSERT INTO conversations (key, name, head) VALUES ('x y', 'x', 1)")
        slow.execute(SAY)
        kept.posts(kept.says("early"))
        export = gevent.spawn(kept.store.export_page, 0, 9)
        export.join(0.3)
        assert not export.ready()
        slow.commit()
        found, more = export.get(timeout=TEST_TIMEOUT)
    assert [placed.message.text for placed in found] == ["late", "early"] and not more


def test_an_export_does_not_wait_for_ever(url: str) -> None:
    kept = Kept(open_store(url, timeout=0.3))
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE messages SET time = time")
        with pytest.raises(StoreUnavailable, match="too long"):
            kept.store.export_page(0, 9)
    kept.store.close()


def test_an_export_goes_on_where_there_is_nothing_for_long(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "EXPORT_CHUNK", 3)
    said = [kept.says(str(number), DIRECT if number % 20 in (7, 8, 19) else "bill joe") for number in range(60)]
    kept.posts(*said)
    after, more, texts = 0, True, []
    while more:
        page, more = kept.store.export_page(after, 2, kept.dale)
        after = page[-1].position
        texts += [placed.message.text for placed in page]
    assert texts == [post.text for post in said if post.conversation == DIRECT]
    assert kept.store.export_page(after, 2, kept.dale) == ([], False)


def test_a_search_that_takes_too_long_ends_with_what_it_has_found(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SEARCH_BATCH", 1)
    kept.posts(kept.says("hello there", "bill hank"), kept.says("hello"))
    found = messages._search_ids
    asked: list[object] = []

    def ids(db: object, parameters: dict[str, object], until: float) -> list[int]:
        asked.append(parameters)
        if len(asked) > 1:
            monkeypatch.setattr(
                messages, "SEARCH", messages.SEARCH.replace("WHERE", "WHERE pg_sleep(30) IS NOT NULL AND")
            )
        return found(db, parameters, until)  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "_search_ids", ids)
    hits = kept.store.search(kept.hank, "hello", None, 10, 0.3)
    assert (kept.texts(hits.messages), hits.incomplete) == (["hello"], True)
    assert kept.store.backlog(kept.hank) == {"bill hank": 1, DIRECT: 1}
