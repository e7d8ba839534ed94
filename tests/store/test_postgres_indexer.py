"""PostgreSQL's search index follows the acknowledgements: on any node, after a kill too, and without what is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import psycopg
import pytest
from gevent import Greenlet

from gmessenger.chat.records import About
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store, verify_store
from gmessenger.store.postgres import indexer, search_index
from gmessenger.store.postgres.indexer import SearchIndexer
from gmessenger.store.postgres.store import PostgresStore
from gmessenger.store.postgres.tsvector import make_tsvector
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
ENTRIES = "SELECT count(*) FROM message_words"
WORDS = "SELECT coalesce(string_agg(words::text, ' '), '') FROM message_words"
LAST_INDEXED = "SELECT value::bigint FROM facts WHERE name = 'index to'"
INSERT = (
    "WITH into_it AS (UPDATE conversations SET head = head + 1 WHERE key = %s RETURNING id, head) "
    'INSERT INTO messages (conversation_id, seq, account_id, time, sender, "to", text) '
    "SELECT id, head, 1, 5.0, 'Hank', 'Dale', %s FROM into_it RETURNING id"
)
OLD_INSERT = INSERT.replace("text) ", "text, words) ").replace("%s FROM", "%s, to_tsvector('simple', 'x') FROM")
OLD_ERASE = "UPDATE messages SET text = '', words = NULL, erased = true WHERE text = %s"
OLD_SEARCH = (
    "SELECT m.id FROM messages m JOIN unnest(%s::bigint[], %s::bigint[]) AS scope(id, visible) "
    "ON scope.id = m.conversation_id + 0 WHERE m.words @@ %s::tsquery AND m.seq + 0 >= scope.visible AND NOT m.erased"
)
"""Statements of the release with schema 3."""


class Nodes:
    """Stores of several nodes on one database, whose indexers wait for searches."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stores: list[PostgresStore] = []
        self.failures: list[str] = []
        self.driver = StoreDriver(self.open_store())
        self.driver.append(self.driver.message("first"))

    def open_store(self) -> PostgresStore:
        store = open_store(self.url, lambda what, failure: self.failures.append(f"{what}: {failure}"))
        assert isinstance(store, PostgresStore)
        self._stores.append(store)
        return store

    def ask(self, question: Any) -> Any:
        with psycopg.connect(self.url, autocommit=True) as db:
            ((answer,),) = db.execute(question).fetchall()
        return answer

    def until(self, is_so: Callable[[], bool]) -> None:
        with gevent.Timeout(TEST_TIMEOUT):
            while not is_so():
                gevent.sleep(0.01)

    @contextmanager
    def transaction(self, statement: Any, *parameters: Any) -> Iterator[psycopg.Connection[Any]]:
        """Begin a transaction on another connection, which is committed at the end of the block."""
        with psycopg.connect(self.url) as db:
            db.execute(statement, parameters)
            yield db

    def until_search_waits(self, words: str, timeout: float = 30.0) -> Greenlet[Any, Any]:
        """Begin a search that must wait for another transaction."""
        search = gevent.spawn(self.driver.store.search, self.driver.hank, words, None, 10, timeout)
        self.until(lambda: self.ask(WAITING) > 0 or search.ready())
        assert not search.ready()
        return search

    def faults(self) -> list[str]:
        return verify_store(self.url).faults + self.failures

    def close(self) -> None:
        for store in self._stores:
            store.close()


@pytest.fixture
def nodes(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setattr(indexer, "INDEX_DELAY", 3600.0)
    nodes = Nodes(postgres.database())
    yield nodes
    nodes.close()


@pytest.fixture
def driver(nodes: Nodes) -> StoreDriver:
    return nodes.driver


def test_a_message_is_indexed_without_a_search_soon_after_it_was_acknowledged(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.append(*[driver.message(f"text {number}") for number in range(3)])
    assert nodes.ask(ENTRIES) == 0 and nodes.faults() == []
    monkeypatch.undo()
    other = StoreDriver.__new__(StoreDriver)
    other.store = nodes.open_store()
    nodes.until(lambda: bool(nodes.ask(ENTRIES) == 4))
    other.store.append(driver.message("one more"), lambda *_: None)
    nodes.until(lambda: bool(nodes.ask(ENTRIES) == 5))
    assert nodes.faults() == []


def test_a_search_on_any_node_finds_what_was_acknowledged_before_it(nodes: Nodes, driver: StoreDriver) -> None:
    other = nodes.open_store()
    for number in range(20):
        driver.append(driver.message(f"needle{number}"))
        found = other.search(driver.hank, f"needle{number}", None, 10, 30.0)
        assert driver.texts(found.messages) == [f"needle{number}"] and not found.incomplete
    assert nodes.ask(LAST_INDEXED) == 21 and nodes.faults() == []


def test_messages_that_are_committed_in_another_order_than_they_were_numbered_are_all_found(
    nodes: Nodes, driver: StoreDriver
) -> None:
    driver.append(driver.message("begun", "bill hank"))
    with nodes.transaction(INSERT, "bill hank", "needle early") as early:
        driver.append(driver.message("needle late"))
        with nodes.transaction(INSERT, DIRECT, "needle later") as later:
            assert driver.find_texts("needle") == ["needle late"]
            later.commit()
        found = driver.search("needle")
        assert driver.texts(found.messages) == ["needle later", "needle late"] and not found.incomplete
        assert nodes.ask(ENTRIES) == 4 and nodes.ask(LAST_INDEXED) < 3
        early.commit()
    assert driver.find_texts("needle") == ["needle later", "needle late", "needle early"]
    assert nodes.ask(LAST_INDEXED) == 5 and nodes.faults() == []


def test_another_node_goes_on_from_there(nodes: Nodes, driver: StoreDriver) -> None:
    driver.append(driver.message("begun", "bill hank"))
    other = nodes.open_store()
    with nodes.transaction(INSERT, "bill hank", "needle early") as early:
        driver.append(driver.message("needle late"))
        assert driver.find_texts("needle") == ["needle late"]
        assert driver.texts(other.search(driver.hank, "needle", None, 10, 30.0).messages) == ["needle late"]
        early.commit()
    found = other.search(driver.hank, "needle", None, 10, 30.0)
    assert driver.texts(found.messages) == ["needle late", "needle early"] and nodes.faults() == []


def test_numbers_of_messages_that_were_never_committed_hold_nothing_up(nodes: Nodes, driver: StoreDriver) -> None:
    with nodes.transaction(INSERT, DIRECT, "no needle") as refused:
        refused.rollback()
    driver.append(driver.message("needle"))
    assert driver.find_texts("needle") == ["needle"] and nodes.ask(LAST_INDEXED) == 3


def test_nor_do_transactions_that_write_no_messages(nodes: Nodes, driver: StoreDriver) -> None:
    with nodes.transaction("INSERT INTO facts VALUES ('long', 'transaction')"):
        driver.append(driver.message("needle"))
        assert driver.find_texts("needle") == ["needle"] and nodes.ask(LAST_INDEXED) == 2


def test_a_search_that_the_index_keeps_waiting_says_that_it_is_incomplete(nodes: Nodes, driver: StoreDriver) -> None:
    driver.append(driver.message("needle one"))
    assert driver.find_texts("needle") == ["needle one"]
    driver.append(driver.message("needle two"))
    with nodes.transaction(search_index.TAKE_INDEX_LOCK):
        found = driver.store.search(driver.hank, "needle", None, 10, 1.0)
    assert driver.texts(found.messages) == ["needle one"] and found.incomplete
    assert driver.find_texts("needle") == ["needle two", "needle one"]


def erase(driver: StoreDriver) -> None:
    driver.append(driver.message("", about=About(2, "erase")))


def edit(driver: StoreDriver) -> None:
    driver.append(driver.message("public", about=About(2, "edit", edit_for=60.0)))


def forget(driver: StoreDriver) -> None:
    assert driver.store.erase_messages(driver.hank) == 2


def prune(driver: StoreDriver) -> None:
    assert driver.store.prune(6.0) == 2


def delete(driver: StoreDriver) -> None:
    store: Any = driver.store
    store.write(lambda db: db.execute("UPDATE conversations SET key = '!' || id WHERE key = %s", (DIRECT,)))
    store.finish_deletions()


REMOVALS = [erase, edit, forget, prune, delete]


@pytest.mark.parametrize("remove", REMOVALS)
def test_what_is_gone_before_it_is_indexed_never_gets_an_entry(
    remove: Callable[[StoreDriver], None], nodes: Nodes, driver: StoreDriver
) -> None:
    driver.append(driver.message("secret"))
    driver.append(driver.message("other", "bill hank", account=driver.dale, time=9.0))
    remove(driver)
    assert driver.find_texts("secret") == [] and driver.find_texts("other") == ["other"]
    assert driver.find_texts("public") == (["public"] if remove is edit else [])
    assert "secret" not in nodes.ask(WORDS) and nodes.faults() == []


@pytest.mark.parametrize("remove", REMOVALS)
def test_nor_what_goes_while_its_words_are_made(
    remove: Callable[[StoreDriver], None], nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make_slowly(conversation: int, text: str) -> str:
        made.append(text)
        if text == "secret":
            remove(driver)
        return make_tsvector(conversation, text)

    monkeypatch.setattr(search_index, "make_tsvector", make_slowly)
    driver.append(driver.message("secret"))
    driver.append(driver.message("other", "bill hank", account=driver.dale, time=9.0))
    assert driver.find_texts("other") == ["other"] and "secret" in made
    assert driver.find_texts("secret") == []
    assert driver.find_texts("public") == (["public"] if remove is edit else [])
    assert "secret" not in nodes.ask(WORDS) and nodes.faults() == []


@pytest.mark.parametrize("remove", REMOVALS)
def test_what_goes_after_it_was_indexed_takes_its_entry_along(
    remove: Callable[[StoreDriver], None], nodes: Nodes, driver: StoreDriver
) -> None:
    driver.append(driver.message("secret"))
    assert driver.find_texts("secret") == ["secret"]
    remove(driver)
    assert "secret" not in nodes.ask(WORDS) and driver.find_texts("secret") == [] and nodes.faults() == []


@pytest.mark.parametrize("statement", [OLD_ERASE, "DELETE FROM messages WHERE text = %s"])
def test_an_indexer_waits_for_those_who_are_removing_a_text(statement: str, nodes: Nodes, driver: StoreDriver) -> None:
    driver.append(driver.message("secret"), driver.message("needle"))
    with nodes.transaction(statement, "secret") as removing:
        search = nodes.until_search_waits("needle")
        removing.commit()
    assert driver.texts(search.get(timeout=TEST_TIMEOUT).messages) == ["needle"]
    assert "secret" not in nodes.ask(WORDS) and nodes.ask(ENTRIES) == 2


@pytest.mark.parametrize("statement", [OLD_ERASE, "DELETE FROM messages WHERE text = %s"])
def test_and_those_for_an_indexer(statement: Any, nodes: Nodes, driver: StoreDriver) -> None:
    driver.append(driver.message("secret"))
    store: Any = driver.store

    def remove() -> None:
        store.write(lambda db: db.execute(statement, ("secret",)))

    with nodes.transaction(search_index.TAKE_TEXTS_LOCK) as indexing:
        removing = gevent.spawn(remove)
        nodes.until(lambda: bool(nodes.ask(WAITING)))
        vectors = [make_tsvector(1, "secret")]
        indexing.execute(search_index.ADD_ENTRIES, ("[2]", f'["{vectors[0]}"]'))
        indexing.commit()
    removing.get(timeout=TEST_TIMEOUT)
    assert nodes.ask(ENTRIES) == 0


def test_a_text_whose_removal_takes_long_delays_the_index_but_does_not_stop_it(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "RETRY_DELAY", 0.01)
    monkeypatch.setattr(search_index, "SET_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '10ms'")
    driver.append(driver.message("secret"), driver.message("needle"))
    with nodes.transaction(OLD_ERASE, "secret"):
        found = driver.search("needle")
        assert found.messages == [] and found.incomplete
    nodes.until(lambda: bool(nodes.ask(ENTRIES) == 2))
    assert driver.find_texts("needle") == ["needle"] and nodes.faults() == []


def test_what_a_killed_node_has_left_is_indexed_by_another_that_hears_of_it(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = nodes.open_store()
    monkeypatch.setattr(indexer, "INDEX_DELAY", 0.0)
    monkeypatch.setattr(SearchIndexer, "note_messages", lambda indexer: None)
    driver.append(driver.message("needle"), driver.message("secret"))
    erase_third = driver.message("", about=About(3, "erase"))
    driver.append(erase_third)
    monkeypatch.undo()
    other.indexer._is_due = False  # as at rest: what it was to do at its start is done
    monkeypatch.setattr(indexer, "INDEX_DELAY", 0.0)
    other.poll_changes()
    nodes.until(lambda: bool(nodes.ask(ENTRIES) == 3))
    assert "needle" in nodes.ask(WORDS) and "secret" not in nodes.ask(WORDS) and nodes.faults() == []


def test_and_otherwise_at_the_next_start(nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.append(*[driver.message(f"needle{number}") for number in range(300)])
    driver.append(driver.message("", about=About(7, "erase")))
    store: Any = driver.store
    store.indexer._greenlet.kill()
    store.close()
    assert nodes.ask(ENTRIES) == 0 and nodes.faults() == []
    monkeypatch.setattr(indexer, "INDEX_DELAY", 0.0)
    nodes.open_store()
    nodes.until(lambda: bool(nodes.ask(LAST_INDEXED) == 302))
    assert nodes.ask(ENTRIES) == 301 and "needle5:" not in nodes.ask(WORDS) and nodes.faults() == []


def test_closing_indexes_what_waits(nodes: Nodes, driver: StoreDriver) -> None:
    driver.append(driver.message("needle"))
    driver.store.close()
    assert nodes.ask(ENTRIES) == 2


def test_nodes_that_index_at_the_same_time_add_each_entry_once(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        search_index, "make_tsvector", lambda key, text: (made.append(text), make_tsvector(key, text))[1]
    )
    monkeypatch.setattr(search_index, "MAX_INDEX_ROWS", 7)
    monkeypatch.setattr(indexer, "MAX_INDEX_ROWS", 7)
    stores = [driver.store, nodes.open_store(), nodes.open_store()]
    driver.append(*[driver.message(f"needle {number}") for number in range(100)])
    searches = [gevent.spawn(store.search, driver.hank, "needle", None, 200, 30.0) for store in stores]
    for search in searches:
        found = search.get(timeout=TEST_TIMEOUT)
        assert len(found.messages) == 100 and not found.incomplete
    assert len(made) == 101 and nodes.faults() == []


def test_one_step_indexes_a_bounded_number_and_size(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert driver.find_texts("first") == ["first"]
    monkeypatch.setattr(indexer, "MAX_INDEX_ROWS", 3)
    monkeypatch.setattr(search_index, "MAX_INDEX_BYTES", 20)
    chunks: list[int] = []
    add_entries = search_index.add_entries
    monkeypatch.setattr(
        search_index,
        "add_entries",
        lambda db, rows, vectors: (chunks.append(len(rows)), add_entries(db, rows, vectors)),
    )
    store: Any = driver.store
    store.indexer._max_rows = 3
    driver.append(*[driver.message(text) for text in ["short"] * 4 + ["x" * 500] * 2 + ["short", ""]])
    assert driver.find_texts("short") == ["short"] * 5
    assert chunks == [3, 2, 1, 2] and nodes.ask(ENTRIES) == 9 and nodes.faults() == []


def test_words_that_the_database_cannot_hold_leave_all_others_found(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        search_index,
        "make_tsvector",
        lambda key, text: make_tsvector(key, text) if text != "bad 5" else f"{'x' * 9000}:1",
    )
    driver.append(*[driver.message(f"bad {number}") for number in range(12)])
    found = driver.search("bad", limit=20)
    assert len(found.messages) == 11 and not found.incomplete
    assert nodes.ask(ENTRIES) == 13 and nodes.faults() == []


def test_a_failure_of_the_database_only_delays_the_index(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(indexer, "RETRY_DELAY", 0.0)
    monkeypatch.setattr(indexer, "index_newest", fail)
    driver.append(driver.message("needle"))
    found = driver.search("needle")
    assert found.messages == [] and found.incomplete
    monkeypatch.undo()
    nodes.until(lambda: bool(nodes.ask(ENTRIES) == 2))
    assert driver.find_texts("needle") == ["needle"] and nodes.faults() == []


def test_a_mistake_of_ours_is_reported_and_does_not_end_the_indexer(
    nodes: Nodes, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(indexer, "index_newest", lambda *_: 1 // 0)
        assert driver.search("first").incomplete
    assert nodes.failures == ["search index: integer division or modulo by zero"]
    assert driver.find_texts("first") == ["first"]


def test_a_node_of_the_release_before_may_run_meanwhile(nodes: Nodes, driver: StoreDriver) -> None:
    for text in ("needle one", "needle two"):
        with nodes.transaction(OLD_INSERT, DIRECT, text):
            pass
    assert driver.find_texts("needle") == ["needle two", "needle one"]
    with nodes.transaction(OLD_SEARCH, [1], [1], "x") as db:
        assert len(db.execute(OLD_SEARCH, ([1], [1], "x")).fetchall()) == 2
    with nodes.transaction(OLD_ERASE, "needle one"):
        pass
    assert driver.find_texts("needle") == ["needle two"] and "one" not in nodes.ask(WORDS)
    assert nodes.ask("SELECT count(words) FROM messages") == 1
    driver.append(driver.message("secret", about=About(3, "edit", edit_for=60.0)))
    assert nodes.ask("SELECT count(words) FROM messages") == 0, "words of the text before"
    assert nodes.faults() == []
