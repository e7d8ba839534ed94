"""SQLite's search index follows the acknowledgements: soon, after a kill too, and without what was erased meanwhile."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import gevent
import pytest

from gmessenger.chat.records import About
from gmessenger.store import open_store
from gmessenger.store.sqlite import indexer, search_index
from gmessenger.store.sqlite.store import SqliteStore
from gmessenger.store.sqlite.verify import verify_file
from tests.store.test_contract import StoreDriver
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    store = open_store(f"sqlite:///{file}")
    assert isinstance(store, SqliteStore)
    yield store
    store.close()


@pytest.fixture
def driver(store: SqliteStore) -> StoreDriver:
    return StoreDriver(store)


def no_step(indexer: indexer.SearchIndexer, *, messages: int, has_changes: bool) -> None:
    """Index nothing with the commit."""


def indexed_texts(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        return int(db.execute("SELECT count(*) FROM words_docsize").fetchone()[0])


def words(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'row')")
        return [str(term) for (term,) in db.execute("SELECT term FROM temp.vocabulary")]


def test_a_message_is_indexed_without_a_search_soon_after_it_was_acknowledged(
    file: Path, store: SqliteStore, driver: StoreDriver
) -> None:
    driver.append(*[driver.message(f"text {number}") for number in range(3)])
    assert store.indexer.is_lagging and indexed_texts(file) == 0
    with gevent.Timeout(TEST_TIMEOUT):
        while store.indexer.is_lagging:
            gevent.sleep(0.01)
    assert indexed_texts(file) == 3 and verify_file(file).faults == []


def test_under_steady_load_too(
    file: Path, store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "MAX_INDEX_LAG", 0.0)
    monkeypatch.setattr(indexer, "MAX_STEP_TIME", 0.0)
    for number in range(4):
        driver.append(driver.message(f"text {number}"))
    assert indexed_texts(file) >= 3


class FakeIndex:
    """A clock that goes on only where the index is written; two parts of the index take a little longer than a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, parts: int, *, threaded: bool = True) -> None:
        """`parts`: how many there are to index."""
        self.now = 1000.0
        self.parts = parts
        self.indexer = indexer.SearchIndexer(lambda: None, lambda: None, threaded=threaded)
        monkeypatch.setattr(indexer, "time", self)
        monkeypatch.setattr(indexer, "index_newest", self._index_part)

    def monotonic(self) -> float:
        return self.now

    def commit(self, messages: int) -> int:
        """Make a commit; return how many parts it indexed."""
        before = self.parts
        step = self.indexer.next_step(messages=messages, has_changes=False)
        if step is not None:
            with closing(sqlite3.connect(":memory:")) as db:
                step(db)
        self.indexer.note_commit(is_committed=True, has_messages=messages > 0)
        return before - self.parts

    def _index_part(self, db: sqlite3.Connection, deadline: float) -> bool:
        if not self.parts:
            return False
        self.now += 0.51 * indexer.MAX_STEP_TIME
        self.parts -= 1
        return True


def test_messages_that_are_sent_one_by_one_are_indexed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself a message takes twenty times as long to index."""
    index = FakeIndex(monkeypatch, parts=0)
    steps = []
    for number in range(500):
        index.now += indexer.MAX_INDEX_LAG / 100
        index.parts = 1
        if index.commit(1):
            steps.append(number)
    assert len(steps) >= 4 and all(later - step >= 100 for step, later in pairwise(steps))


@pytest.mark.parametrize(
    ("messages", "late_after", "expected"),
    [
        pytest.param(1, math.inf, [0, 2, 0, 2, 0], id="few"),
        pytest.param(1, 0.0, [0, 2, 2, 2, 2], id="few, late"),
        pytest.param(500, math.inf, [0, 4, 4, 4, 4], id="many"),
        pytest.param(10_000, math.inf, [0, 8, 8, 8, 8], id="very many"),
        pytest.param(10_000, 0.0, [0, 8, 8, 8, 8], id="very many, late"),
    ],
)
def test_a_step_is_as_long_as_its_commit_is_large(
    messages: int, late_after: float, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few messages wait for one short step, or two while the index is late; with many the index keeps up."""
    index = FakeIndex(monkeypatch, parts=1000)
    monkeypatch.setattr(indexer, "MAX_INDEX_LAG", 0.0)
    monkeypatch.setattr(indexer, "LATE_AFTER", late_after)
    assert [index.commit(messages) for _ in range(5)] == expected


def test_in_memory_a_step_holds_the_loop_for_a_short_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    index = FakeIndex(monkeypatch, parts=1000, threaded=False)
    monkeypatch.setattr(indexer, "MAX_INDEX_LAG", 0.0)
    assert [index.commit(10_000) for _ in range(3)] == [0, 2, 2]


def test_the_store_counts_the_messages_of_a_commit(
    store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.writer.execute(lambda db: None)
    counts: list[int] = []
    next_step = store.indexer.next_step

    def count(*, messages: int, has_changes: bool) -> Callable[[sqlite3.Connection], None] | None:
        counts.append(messages)
        return next_step(messages=messages, has_changes=has_changes)

    monkeypatch.setattr(store.indexer, "next_step", count)
    driver.append(*[driver.message(f"text {number}") for number in range(300)])
    assert counts[0] == 300


def test_a_commit_for_which_nobody_waits_indexes_for_a_short_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message may come meanwhile."""
    index = FakeIndex(monkeypatch, parts=1000)
    monkeypatch.setattr(indexer, "LATE_AFTER", 0.0)
    assert [index.commit(messages) for messages in (1, 0, 0)] == [0, 2, 2]


def test_a_message_that_takes_long_to_index_waits_for_the_next_step(
    store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.SearchIndexer, "next_step", no_step)
    monkeypatch.setattr(search_index, "SECONDS_PER_COST", math.inf)
    driver.append(*[driver.message(text) for text in ("x" * 80, "текст " * 1000, "y" * 80)])
    indexed = store.writer.execute(
        lambda db: [
            search_index.index_newest(db, math.inf) and search_index.find_indexed_range(db).last for _ in range(3)
        ]
    )
    assert indexed == [1, 2, 3]


def test_merges_of_the_index_are_spread_over_commits(store: SqliteStore) -> None:
    """With FTS5's own large merges a commit takes the longer the larger the index is."""
    found = store.writer.execute(lambda db: db.execute("SELECT v FROM words_config WHERE k = 'automerge'").fetchone())
    assert found == (8,)


def test_a_change_does_not_wait_for_the_index_of_messages_before_it(
    file: Path, store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "MAX_INDEX_LAG", math.inf)
    driver.append(driver.message("text"))
    store.writer.execute(lambda db: None)
    assert store.indexer.is_lagging and indexed_texts(file) == 0


def test_a_search_finds_what_was_acknowledged_before_it(driver: StoreDriver) -> None:
    for number in range(20):
        driver.append(driver.message(f"needle{number}"))
        found = driver.search(f"needle{number}")
        assert driver.texts(found.messages) == [f"needle{number}"] and not found.incomplete


def test_a_search_that_the_disk_keeps_waiting_says_that_it_is_incomplete(
    store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.append(driver.message("needle one"))
    assert driver.find_texts("needle") == ["needle one"]
    driver.append(driver.message("needle two"))
    stopped, goes_on = os.pipe()
    index_newest = search_index.index_newest
    monkeypatch.setattr(indexer, "index_newest", lambda db, end: os.read(stopped, 1) and index_newest(db, end))
    found = store.search(driver.hank, "needle", None, 10, 1.0)
    monkeypatch.undo()
    os.write(goes_on, b"go")
    assert driver.texts(found.messages) == ["needle one"] and found.incomplete
    assert driver.find_texts("needle") == ["needle two", "needle one"]


@pytest.mark.parametrize("what", ["erase", "edit"])
def test_what_is_erased_or_edited_before_it_is_indexed_never_gets_an_entry(
    what: str, file: Path, store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.SearchIndexer, "next_step", no_step)
    driver.append(driver.message("secret one", id="a"), driver.message("other two", id="b"))
    driver.append(driver.message("" if what == "erase" else "public one", about=About(1, what, edit_for=60.0), id="c"))
    monkeypatch.undo()
    assert driver.find_texts("secret") == []
    assert driver.find_texts("one") == ([] if what == "erase" else ["public one"])
    assert driver.find_texts("other") == ["other two"]
    assert not [term for term in words(file) if "secret" in term] and verify_file(file).faults == []


def test_nor_does_what_is_forgotten_before(
    file: Path, store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.SearchIndexer, "next_step", no_step)
    driver.append(driver.message("secret one"), driver.message("other two", account=driver.dale))
    assert store.erase_messages(driver.hank) == 1
    monkeypatch.undo()
    assert driver.find_texts("secret") == [] and driver.find_texts("other") == ["other two"]
    assert not [term for term in words(file) if "secret" in term] and verify_file(file).faults == []


def test_after_a_kill_the_next_start_indexes_what_was_not(
    file: Path, store: SqliteStore, driver: StoreDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.SearchIndexer, "next_step", no_step)
    driver.append(*[driver.message(f"needle{number} text") for number in range(300)])
    driver.append(driver.message("", about=About(7, "erase")))
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in file.parent.glob("store.db*"):
        (copies / path.name).write_bytes(path.read_bytes())
    monkeypatch.undo()
    assert verify_file(copies / "store.db").faults == []
    again = open_store(f"sqlite:///{copies}/store.db")
    assert isinstance(again, SqliteStore)
    with gevent.Timeout(TEST_TIMEOUT):
        while again.indexer.is_lagging:
            gevent.sleep(0.01)
    assert [item.text for item in again.search(driver.hank, "needle299", None, 10, 30.0).messages] == ["needle299 text"]
    assert again.search(driver.hank, "needle6 text", None, 10, 30.0).messages == []
    again.close()
    assert verify_file(copies / "store.db").faults == [] and indexed_texts(copies / "store.db") == 300


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        pytest.param(math.inf, [3, 2, 1, 1, 1, 1, 1], id="in time"),
        pytest.param(-math.inf, [3, 2, 1, 1, 1, 2], id="time is over"),
    ],
)
def test_one_step_indexes_a_bounded_number_and_cost(
    deadline: float, expected: list[int], store: SqliteStore, driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.SearchIndexer, "next_step", no_step)
    monkeypatch.setattr(search_index, "MAX_INDEX_ROWS", 3)
    monkeypatch.setattr(search_index, "MAX_INDEX_COST", 20)
    chunks: list[int] = []
    index_words = search_index.index_words
    monkeypatch.setattr(search_index, "index_words", lambda texts: (chunks.append(len(texts)), index_words(texts))[1])
    texts = ["short"] * 4 + ["текст на русском"] * 2 + ["x" * 500] * 2 + ["short", ""]
    driver.append(*[driver.message(text) for text in texts])

    def index_all(db: sqlite3.Connection) -> None:
        while search_index.index_newest(db, deadline):
            pass

    store.writer.execute(index_all)
    assert chunks == expected
