"""The search index: what making and searching it costs, and indexes of earlier releases."""

from __future__ import annotations

import random
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import gevent
import psycopg
import pytest
from gevent.event import Event

from gmessenger.chat.records import About, NewMessage
from gmessenger.chat.storage import Store
from gmessenger.launcher.services import Postgres
from gmessenger.store import common, fold_table, open_store, search_text
from gmessenger.store.postgres import reindex
from gmessenger.store.postgres import schema as postgres_schema
from gmessenger.store.postgres import search_index as postgres_index
from gmessenger.store.postgres.tsvector import make_tsvector
from gmessenger.store.search_text import MAX_NORMALIZED, MAX_QUERY, MAX_TOKEN, MAX_TOKENS, parse_query, tokenize
from gmessenger.store.sqlite import messages, pruning, schema, search_index, usage
from gmessenger.store.sqlite.verify import verify_file
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT

LONGEST = 16_384
_random = random.Random(13)


def random_text(*ranges: range) -> str:
    """Return random characters of these ranges, as many as a text may have."""
    codes = [code for each in ranges for code in each if not 0xD800 <= code < 0xE000]
    return "".join(chr(_random.choice(codes)) for _ in range(LONGEST))


WORST: dict[str, str] = {
    "eighteen letters of one": "\ufdfa" * LONGEST,
    "ideographs": random_text(range(0x4E00, 0x9F00)),
    "rare ideographs": random_text(range(0x20000, 0x2A000)),
    "Korean syllables": random_text(range(0xAC00, 0xD7A0)),
    "Korean letters": random_text(range(0x1100, 0x1200)),
    "stacked accents": ("e" + "\u0301\u0323\u0302" * 5) * 1024,
    "marks in the wrong order": "\u0323\u0301" * (LONGEST // 2),
    "marks that are vowels, in the wrong order": "\u0915" + "\u094d\u093c" * (LONGEST // 2),
    "marks of Tibetan": "\u0f71\u0f72\u0f74\u0f39" * (LONGEST // 4),
    "a syllable with a thousand tones": "\u0e01" + "\u0e38\u0e48" * (LONGEST // 2),
    "Thai": random_text(range(0x0E01, 0x0E3B), range(0x0E40, 0x0E4F)),
    "Khmer": random_text(range(0x1780, 0x17D4)),
    "voiced kana taken apart": "か\u3099" * (LONGEST // 2),
    "sounds without kana": "\u3099\u309a" * (LONGEST // 2),
    "narrow kana": "ｶﾞ" * (LONGEST // 2),
    "emoji": random_text(range(0x1F300, 0x1F600)),
    "families": "👨‍👩‍👧‍👦" * (LONGEST // 7),
    "flags": "🇷🇺" * (LONGEST // 2),
    "one letter a word": "a " * (LONGEST // 2),
    "one word": "a" * LONGEST,
    "one word that is not ASCII": "ж" * LONGEST,
    "scripts by turns": "a漢" * (LONGEST // 2),
    "squares that are words": "㌀" * LONGEST,
    "every character": random_text(range(0x80, 0x110000)),
    "characters seen for the first time": "".join(_random.sample([*map(chr, range(0x80, 0x3000))], 11_000)),
}


class CountingTable(fold_table.FoldTable):
    """A fold table that counts the characters that were folded."""

    def __init__(self) -> None:
        self.folded = 0

    def __getitem__(self, code: int) -> int | str:
        self.folded += 1
        return super().__getitem__(code)


class CountingUnicodeData:
    """A `unicodedata` that counts normalised characters, and fails where a long run of marks is sorted."""

    def __init__(self) -> None:
        self.characters = 0

    def normalize(self, form: str, text: str) -> str:
        self.characters += len(text)
        classes = {unicodedata.combining(char) for char in text} - {0}
        assert len(classes) <= 1 or len(text) <= 18, "sorting marks takes a time that grows with their square"
        return unicodedata.normalize(form, text)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(unicodedata, name)


@pytest.mark.parametrize("kind", WORST)
def test_what_is_folded_of_a_text_and_the_words_made_of_it_are_bounded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, normalized = CountingTable(), CountingUnicodeData()
    monkeypatch.setattr(search_text, "_FOLD_TABLE", table)
    for module in (search_text, fold_table):
        monkeypatch.setattr(module, "unicodedata", normalized)
    for text in (WORST[kind], WORST[kind] * 10):
        table.folded = normalized.characters = 0
        words = tokenize(text)
        assert len(words) <= MAX_TOKENS and all(0 < len(word) <= MAX_TOKEN for word in words)
        assert sum(map(len, words)) <= 2 * MAX_NORMALIZED
        assert table.folded <= MAX_NORMALIZED and normalized.characters <= 4 * MAX_NORMALIZED
    tokenize(WORST[kind])
    assert normalized.characters <= 6 * MAX_NORMALIZED and len(table) <= fold_table.MAX_TABLE_CODE


@pytest.mark.parametrize("kind", WORST)
def test_a_query_is_cut_before_it_is_folded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = CountingTable()
    monkeypatch.setattr(search_text, "_FOLD_TABLE", table)
    found = parse_query(WORST[kind])
    assert table.folded <= MAX_QUERY
    assert len(found) <= search_text.MAX_QUERY_WORDS and all(
        0 < len(phrase) <= search_text.MAX_PHRASE_PAIRS for phrase in found
    )


def test_the_table_of_characters_does_not_grow_without_end() -> None:
    table = fold_table.FoldTable()
    "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)])).translate(table)
    assert len(table) <= fold_table.MAX_TABLE_CODE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, file: Path) -> Iterator[Callable[[], StoreDriver]]:
    url = f"sqlite:///{file}" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    stores: list[Store] = []

    def open_() -> StoreDriver:
        stores.append(open_store(url))
        return StoreDriver(stores[-1])

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def driver(opened: Callable[[], StoreDriver]) -> StoreDriver:
    return opened()


def long_texts(driver: StoreDriver) -> list[Any]:
    return [driver.message(f"needle{number} " + "\ufdfa" * (LONGEST - 20)) for number in range(6)]


def test_the_loop_folds_no_more_at_a_time_than_a_message_or_two(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite:///{file}")
    driver = StoreDriver(store)
    chunks: list[int] = []
    index_words_of = search_index.index_words
    monkeypatch.setattr(
        search_index, "index_words", lambda texts: (chunks.append(sum(map(len, texts))), index_words_of(texts))[1]
    )
    batches: list[int] = []
    stage_stale = pruning._stage_stale
    monkeypatch.setattr(
        pruning,
        "_stage_stale",
        lambda db, rows: (batches.append(sum(len(row[2]) for row in rows)), stage_stale(db, rows))[1],
    )
    driver.append(*long_texts(driver), *[driver.message(f"short {number}") for number in range(600)])
    assert driver.find_texts("needle3") and max(chunks) <= search_index.MAX_INDEX_COST + LONGEST and len(chunks) >= 4
    assert driver.store.erase_messages(driver.hank) == 606
    assert max(batches) <= pruning.MAX_PRUNE_TEXT + LONGEST and len(batches) >= 4
    driver.append(*long_texts(driver))
    batches.clear()
    assert driver.store.prune(99.0) == 612
    assert max(batches) <= pruning.MAX_PRUNE_TEXT + LONGEST and len(batches) >= 3
    assert verify_file(file).faults == []
    store.close()


def count_steps(driver: StoreDriver, file: Path) -> int:
    """Count the instructions of SQLite's virtual machine that a search takes."""
    taken = [0]

    def count() -> int:
        taken[0] += 1
        return 0

    with sqlite3.connect(file) as db:
        places = db.execute(messages.SELECT_SCOPES, {"account": driver.dale, "conversation": None}).fetchall()
        db.set_progress_handler(count, 1)
        match = search_index.fts_query([place[0] for place in places], parse_query("hello wor"))
        db.execute(messages.SEARCH, {"words": match, "account": driver.dale, "limit": 10}).fetchall()
    db.close()
    return taken[0]


def test_what_one_may_not_read_costs_nothing(file: Path) -> None:
    store = open_store(f"sqlite:///{file}")
    driver = StoreDriver(store)
    bill = store.create_account("bill", "Bill", "hash", 1.0).id
    driver.append(*[driver.message(f"hello world {number}") for number in range(20)])
    driver.find_texts("hello")  # waits until all are in the index
    before = count_steps(driver, file)
    driver.append(*[driver.message(f"hello world {number}", "bill hank") for number in range(5000)])
    driver.append(*[driver.message(f"worm{number} hello", "bill hank") for number in range(5000)])
    driver.find_texts("hello")
    assert count_steps(driver, file) <= 3 * before
    assert len(driver.find_texts("hello wor", bill)) == 10 and len(driver.find_texts("hello wor", driver.dale)) == 10
    store.close()


def test_in_many_conversations_what_is_newest_is_found_whatever_may_not_be_read(driver: StoreDriver) -> None:
    to_append = [driver.message(f"hello {number}", f"g{number % 45} hank") for number in range(450)]
    driver.append(*to_append)
    hits = driver.search("hello", limit=60)
    assert driver.texts(hits.messages) == [f"hello {number}" for number in range(449, 389, -1)] and hits.more
    assert driver.find_texts("hello 107") == ["hello 107"]
    late = driver.store.create_account("g7", "G7", "hash", 2.0).id
    driver.append(driver.message("hello late", "g7 hank"))
    assert driver.find_texts("hello", late) == ["hello late"]
    long_query = " ".join(f"word{number}" for number in range(300)) + " " + "漢字" * 400
    assert driver.find_texts(long_query) == []


def test_a_search_without_time_says_that_it_is_incomplete(driver: StoreDriver) -> None:
    driver.append(driver.message("hello"))
    hits = driver.store.search(driver.hank, "hello", None, 10, -1.0)
    assert (hits.messages, hits.more, hits.incomplete) == ([], False, True)
    assert not driver.search("hello").incomplete and not driver.search("nothing").incomplete


ENDLESS = (
    "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) "
    "SELECT n FROM number WHERE n < 0 AND :words IS NOT NULL AND :account + :limit IS NOT NULL"
)


def test_a_search_is_interrupted_and_nobody_who_reads_waits_for_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"sqlite:///{file}")
    driver = StoreDriver(store)
    driver.append(driver.message("hello", "bill hank"), driver.message("hello"))
    monkeypatch.setattr(messages, "SEARCH", ENDLESS)
    searches = [gevent.spawn(store.search, driver.hank, "hello", None, 10, 0.5) for _ in range(4)]
    gevent.sleep(0)
    for _ in range(20):
        assert store.backlog(driver.hank) == {"bill hank": 1, DIRECT: 1}
    assert not any(search.ready() for search in searches)
    gevent.joinall(searches, raise_error=True, timeout=30)
    assert [(search.value.messages, search.value.incomplete) for search in searches] == [([], True)] * 4
    monkeypatch.undo()
    assert len(driver.find_texts("hello")) == 2
    store.close()


def test_in_memory_a_search_holds_the_loop_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("memory:")
    driver = StoreDriver(store)
    driver.append(driver.message("hello"))
    monkeypatch.setattr(messages, "SEARCH", ENDLESS)
    assert store.search(driver.hank, "hello", None, 10, 3600.0).incomplete
    monkeypatch.undo()
    assert driver.find_texts("hello") == ["hello"]
    store.close()


OLD_ROWS = (
    "INSERT INTO accounts (key, name, password, created) VALUES ('hank', 'Hank', 'h', 1.0), ('dale', 'Dale', 'h', 1.0)",
    "INSERT INTO conversations (key, name, head) VALUES ('dale hank', 'dale hank', 50)",
    "INSERT INTO participants (account_id, conversation_id, visible) VALUES (1, 1, 1), (2, 1, 1)",
)


class OldStoreDriver(StoreDriver):
    """A store of an earlier release: fifty messages, indexed without the prefix of their conversation."""

    def __init__(self, url: str, file: Path) -> None:
        self.url, self.hank, self.dale = url, 1, 2
        if url.startswith("sqlite"):
            _old_sqlite(file)
        else:
            _old_postgres(url)
        self.store = open_store(url)


def _old_sqlite(file: Path) -> None:
    step = schema.MIGRATIONS.index(schema.REPLACE_INDEX)
    with sqlite3.connect(file) as db:
        for statement in (*chain.from_iterable(schema.MIGRATIONS[:step]), *OLD_ROWS, f"PRAGMA user_version = {step}"):
            db.execute(statement)
        for number in range(1, 51):
            db.execute(
                'INSERT INTO messages (conversation_id, seq, sender, "to", text, time, account_id) '
                "VALUES (1, ?, 'Hank', 'Dale', ?, ?, 1)",
                (number, f"old number{number}", float(number)),
            )
        db.execute("INSERT INTO words (rowid, folded) SELECT rowid, text FROM messages")
        usage.add_usage(db, 1)
    db.close()


def _old_postgres(url: str) -> None:
    step = postgres_schema.MIGRATIONS.index(postgres_schema.MARK_ALL_UNINDEXED)
    with psycopg.connect(url) as db:
        for statement in (*postgres_schema.MIGRATIONS[:step], *OLD_ROWS):
            db.execute(statement)  # type: ignore[arg-type]
        db.execute("INSERT INTO facts VALUES ('identity', 'x'), ('schema', %s), ('works from', '1')", (str(step),))
        db.execute(
            'INSERT INTO messages (conversation_id, seq, account_id, time, sender, "to", text, words) '
            "SELECT 1, n, 1, n, 'Hank', 'Dale', 'old number' || n, to_tsvector('simple', 'old number' || n) "
            "FROM generate_series(1, 50) AS n ORDER BY n"
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OldStoreDriver]:
    monkeypatch.setattr(common, "REINDEX_BATCH", 10)
    url = f"sqlite:///{file}" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    found = OldStoreDriver(url, file)
    yield found
    found.store.close()


def newest(number: int) -> list[str]:
    return [f"old number{each}" for each in range(50, 50 - number, -1)]


def test_a_store_of_an_earlier_release_is_searched_while_its_index_is_made_again(
    old: OldStoreDriver, file: Path
) -> None:
    assert old.find_texts("old") == [] and old.search("old").incomplete
    old.append(old.message("new"))
    hits = old.search("new")
    assert (old.texts(hits.messages), hits.incomplete) == (["new"], True)
    found: list[list[str]] = []
    remaining: list[int] = []

    def progress(left: int) -> None:
        remaining.append(left)
        found.append(old.texts(old.search("old", limit=100).messages))

    assert old.store.reindex(progress) == 51
    assert found[:2] == [[], newest(10)] and len(found) >= 5 and remaining == sorted(remaining, reverse=True)
    hits = old.search("old", limit=100)
    assert (old.texts(hits.messages), hits.incomplete) == (newest(50), False)
    assert old.store.reindex() == 0
    assert old.store.erase_messages(old.hank) == 51 and old.find_texts("old") == []
    old.store.close()
    if old.url.startswith("sqlite"):
        assert verify_file(file).faults == [] and b"number17" not in file.read_bytes()


def test_what_goes_before_it_is_in_the_new_index_leaves_it_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "REINDEX_BATCH", 10)
    old = OldStoreDriver(f"sqlite:///{file}", file)
    assert verify_file(file).faults == []
    assert old.store.prune(3.0) == 2
    assert verify_file(file).faults == []
    old.store._reindex_batch()  # type: ignore[attr-defined]
    assert verify_file(file).faults == []
    assert old.store.prune(6.0) == 3 and old.store.prune(46.0) == 40
    assert verify_file(file).faults == []
    old.store.reindex()
    assert old.find_texts("old") == newest(5)
    old.store.close()
    assert verify_file(file).faults == []


def test_rows_are_not_given_again_where_the_new_index_has_not_come_to(file: Path) -> None:
    old = OldStoreDriver(f"sqlite:///{file}", file)
    assert old.store.prune(99.0) == 50
    old.append(old.message("new"))
    old.store.reindex()
    assert old.find_texts("new") == ["new"] and old.store.erase_messages(old.hank) == 1
    old.store.close()
    assert verify_file(file).faults == []


def test_an_index_that_another_unicode_has_made_is_made_again(file: Path) -> None:
    url = f"sqlite:///{file}"
    driver = StoreDriver(open_store(url))
    driver.append(driver.message("old"))
    driver.store.close()
    with sqlite3.connect(file) as db:
        db.execute("UPDATE facts SET value = '2 5.2.0' WHERE name = 'folding'")
    db.close()
    driver.store = open_store(url)
    assert driver.search("old").incomplete
    assert driver.store.reindex() > 0 and driver.find_texts("old") == ["old"] and not driver.search("old").incomplete
    driver.store.close()
    driver.store = open_store(url)
    assert driver.store.reindex() == 0 and driver.find_texts("old") == ["old"]
    driver.store.close()


def test_a_batch_is_folded_as_each_of_its_texts_is() -> None:
    texts = ["a,b  c", " x ", "", "!!", "Hello_World. ", "tab\tand\nline", "x" * 200, "\0", "nul\0 in it", "ё", "z"]
    for some in (texts, texts[:6], texts[7:9], [""], ["", ""], []):
        assert [line.split() for line in search_index.index_words(some)] == [tokenize(text) for text in some]


def test_two_nodes_make_the_words_again_once(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "REINDEX_BATCH", 5)
    monkeypatch.setattr(reindex, "PEER_CHECK_INTERVAL", 0.01)
    old = OldStoreDriver(url := postgres.database(), Path())
    other = open_store(url)
    gevent.joinall([gevent.spawn(node.reindex) for node in (old.store, other)], raise_error=True, timeout=60)
    hits = old.search("old", limit=100)
    assert (old.texts(hits.messages), hits.incomplete) == (newest(50), False)
    old.store.close()
    other.close()


def test_words_of_a_text_that_is_edited_while_they_are_made_are_not_stored(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = OldStoreDriver(url := postgres.database(), Path())
    other = open_store(url)
    texts: list[str] = []

    def edit_meanwhile(conversation: int, text: str) -> str:
        texts.append(text)
        if len(texts) == 1:
            about = About(50, "edit", edit_for=1000.0)
            other.append(NewMessage(DIRECT, "Hank", "Dale", "changed", 60.0, 1, about=about), lambda *_: None)
            other.flush()
        return make_tsvector(conversation, text)

    monkeypatch.setattr(postgres_index, "make_tsvector", edit_meanwhile)
    old.store.reindex()
    assert texts[0] == "old number50"
    assert old.find_texts("number50") == [] and old.find_texts("changed") == ["changed"]
    old.store.close()
    other.close()


def test_a_node_goes_on_where_another_ends_before_the_words_are_made_again(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "PEER_CHECK_INTERVAL", 0.01)
    looks: list[int] = []
    again = Event()

    def progress(left: int) -> None:
        looks.append(left)
        if len(looks) > 1:
            again.set()

    old = OldStoreDriver(url := postgres.database(), Path())
    with psycopg.connect(url) as another:
        another.execute("SELECT pg_advisory_xact_lock(%s)", (reindex.REINDEX_LOCK,))
        reindexing = gevent.spawn(old.store.reindex, progress)
        assert again.wait(TEST_TIMEOUT) and not reindexing.ready() and old.search("old").incomplete
    reindexing.get(timeout=TEST_TIMEOUT)
    hits = old.search("old", limit=100)
    assert (old.texts(hits.messages), hits.incomplete) == (newest(50), False)
    old.store.close()
