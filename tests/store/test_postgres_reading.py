"""Reading from PostgreSQL: a page costs what it holds, and no late message is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import psycopg
import pytest

from gmessenger.chat.records import EVERYTHING, ReadRange
from gmessenger.errors import StoreUnavailable
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store
from gmessenger.store.postgres import messages
from gmessenger.store.postgres.tsvector import make_tsquery
from gmessenger.store.search_text import parse_query
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def driver(url: str) -> Iterator[StoreDriver]:
    driver = StoreDriver(open_store(url))
    yield driver
    driver.store.close()


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
    driver: StoreDriver, url: str, statement: str, where: dict[str, int]
) -> None:
    driver.append(*(driver.message(str(number)) for number in range(600)))
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as db:
        db.execute("ANALYZE")
        parameters = where | {"conversation": DIRECT, "limit": 10}
        # As it was read; how many rows each node of the plan gave, and how many it threw away.
        explained: Any = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchall()  # type: ignore[arg-type]
    assert _most(explained[0][0][0]["Plan"]) == 10


def _most(node: dict[str, Any]) -> int:
    rows = int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0))
    return max([rows, *(_most(inner) for inner in node.get("Plans", ()))])


def test_pages_of_a_conversation_whose_beginning_is_gone_are_full(driver: StoreDriver) -> None:
    driver.append(*(driver.message(str(number), time=1.0 if number < 50 else 5.0) for number in range(100)))
    assert driver.store.prune(2.0) == 50
    store = driver.store
    assert [item.seq for item in store.history(DIRECT, EVERYTHING, None, 0, 3).messages] == [51, 52, 53]
    assert [item.seq for item in store.history(DIRECT, EVERYTHING, 53, None, 5).messages] == [51, 52]
    assert [item.seq for item in store.history(DIRECT, ReadRange(98, 98), 2**62, None, 5).messages] == [98, 99, 100]
    assert store.history(DIRECT, EVERYTHING, None, 2**63 - 1, 5).messages == []
    assert [item.seq for item in driver.page(0)] == list(range(51, 101))


SAY = (
    'INSERT INTO messages (conversation_id, seq, time, sender, "to", text, words) '
    "SELECT id, 1, 1, 'x', 'y', 'late', to_tsvector('simple', 'late') FROM conversations WHERE key = 'x y'"
)


def test_an_export_waits_for_what_was_given_a_place_and_is_not_yet_there(driver: StoreDriver, url: str) -> None:
    with psycopg.connect(url) as slow:
        slow.execute("INSERT INTO conversations (key, name, head) VALUES ('x y', 'x', 1)")
        slow.execute(SAY)
        driver.append(driver.message("early"))
        export = gevent.spawn(driver.store.export_page, 0, 9)
        export.join(0.3)
        assert not export.ready()
        slow.commit()
        found, more = export.get(timeout=TEST_TIMEOUT)
    assert [placed.message.text for placed in found] == ["late", "early"] and not more


def test_an_export_does_not_wait_for_ever(url: str) -> None:
    driver = StoreDriver(open_store(url, timeout=0.3))
    with psycopg.connect(url) as slow:
        slow.execute("UPDATE messages SET time = time")
        with pytest.raises(StoreUnavailable, match="too long"):
            driver.store.export_page(0, 9)
    driver.store.close()


def test_an_export_goes_on_where_there_is_nothing_for_long(
    driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "EXPORT_CHUNK", 3)
    said = [driver.message(str(number), DIRECT if number % 20 in (7, 8, 19) else "bill joe") for number in range(60)]
    driver.append(*said)
    after, more, texts = 0, True, []
    while more:
        page, more = driver.store.export_page(after, 2, driver.dale)
        after = page[-1].position
        texts += [placed.message.text for placed in page]
    assert texts == [message.text for message in said if message.conversation == DIRECT]
    assert driver.store.export_page(after, 2, driver.dale) == ([], False)


@pytest.mark.parametrize("statement", [messages.SEARCH, messages.SEARCH_BETWEEN_ABSENCES])
def test_a_search_reads_nothing_but_entries_of_the_index_that_match(
    driver: StoreDriver, url: str, statement: str
) -> None:
    driver.append(*(driver.message("needle" if number % 20 == 0 else "hay") for number in range(600)))
    assert len(driver.find_texts("needle")) == 10
    words = make_tsquery([1], parse_query("needle"))
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as db:
        db.execute("ANALYZE")
        db.execute(messages.SEARCH_SETTINGS, ("9s",))
        parameters = {"ids": [1], "visible": [1], "words": words, "account": driver.hank, "limit": 10}
        explained: Any = db.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchall()  # type: ignore[arg-type]
    plan = str(explained)
    assert "message_words_by_word" in plan and "'messages" not in plan and "message_words_pkey" not in plan
    assert _most(explained[0][0][0]["Plan"]) == 30


def test_a_search_that_takes_too_long_ends_with_what_it_has_found(
    driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "SEARCH_BATCH", 1)
    driver.append(driver.message("hello there", "bill hank"), driver.message("hello"))
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
    hits = driver.store.search(driver.hank, "hello", None, 10, 0.3)
    assert (driver.texts(hits.messages), hits.incomplete) == (["hello"], True)
    assert driver.store.backlog(driver.hank) == {"bill hank": 1, DIRECT: 1}
