"""Batches of messages in PostgreSQL: one unusual message does not affect the others."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gmessenger.errors import NotStorable
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store
from gmessenger.store.postgres import tsvector
from gmessenger.store.postgres.inserter import BatchInserter
from tests.store.test_contract import DIRECT, StoreDriver

BLESSING = "\ufdfa"
"""One letter, which is eighteen when it is folded."""


class FailureCollectingDriver(StoreDriver):
    """A store driver that collects the errors reported by the store."""

    def __init__(self, url: str) -> None:
        self.failures: list[str] = []
        super().__init__(open_store(url, lambda what, failure: self.failures.append(type(failure).__name__)))


@pytest.fixture
def opened(postgres: Postgres) -> Iterator[Callable[[], FailureCollectingDriver]]:
    stores: list[FailureCollectingDriver] = []
    url = postgres.database()

    def open_() -> FailureCollectingDriver:
        stores.append(FailureCollectingDriver(url))
        return stores[-1]

    yield open_
    for driver in stores:
        driver.store.close()


@pytest.fixture
def driver(opened: Callable[[], FailureCollectingDriver]) -> FailureCollectingDriver:
    return opened()


def letters(number: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(string.ascii_letters, k=number))


def long_texts() -> list[str]:
    """Return texts whose normalised words exceed what PostgreSQL can hold."""
    long_letter = "\U00016e60"  # four bytes, and what it is in small letters, too
    words_of = " ".join(letters(450, seed) for seed in range(3000))
    return ["\ufdf2" * 400, BLESSING * 16_384, f"ё{long_letter * 3000} end", words_of, "ё " + words_of]


@pytest.mark.parametrize("text", long_texts(), ids=range(5))
def test_a_text_may_grow_when_it_is_folded(driver: FailureCollectingDriver, text: str) -> None:
    outcomes = driver.append(driver.message("one"), driver.message(text), driver.message("two"))
    assert outcomes == [(1, False, None), (2, False, None), (3, False, None)]
    assert driver.find_texts("two") == ["two"] and driver.find_texts(text[:16]) == [text] and driver.failures == []


def test_each_word_has_its_place_and_begins_with_its_conversation() -> None:
    assert tsvector.make_tsvector(17, "один, два") == "17xодин:1 17xдва:2"
    assert tsvector.make_tsvector(17, "...") == ""


def test_an_id_that_the_database_cannot_hold_is_refused_and_few_transactions_keep_the_others(
    driver: FailureCollectingDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = driver.log_in(driver.hank, "laptop").id
    tried: list[int] = []
    keep = BatchInserter.insert
    monkeypatch.setattr(BatchInserter, "insert", lambda self, *args: (tried.append(1), keep(self, *args))[1])
    posts = [driver.message(str(number), device=device, id=f"m{number}") for number in range(64)]
    posts[40].id = letters(9000, 1)
    driver.store.acknowledge(device, DIRECT, 63)
    outcomes = driver.append(*posts)
    assert [index for index, (*_, error) in enumerate(outcomes) if isinstance(error, NotStorable)] == [40]
    assert [seq for seq, *_ in outcomes if seq] == list(range(1, 64))
    assert driver.failures == [] and len(tried) <= 16
    assert driver.log_in(driver.hank, "laptop").cursors == {DIRECT: 63}


def test_ids_that_are_one_for_the_database_are_one(driver: FailureCollectingDriver) -> None:
    device = driver.log_in(driver.hank, "laptop").id
    same = [driver.message("x", device=device, id=id) for id in ("m\0", "m\ufffd")]
    outcomes: list[Any] = driver.append(*same, driver.message("y"))
    assert outcomes == [(1, False, None), (1, True, None), (2, False, None)] and driver.failures == []


def test_a_connection_on_which_something_failed_is_not_used_again(postgres: Postgres) -> None:
    store: Any = open_store(postgres.database(), connections=1)

    def ask(db: Any, divisor: int) -> Any:
        with db.pipeline():
            db.execute("BEGIN")
            found = db.execute("SELECT 6 / %s::int", (divisor,))
            db.execute("COMMIT")
        return found.fetchone()

    for divisor in (1, 2, 3, 6, 1, 0, 2):
        if divisor:
            assert store.read(lambda db, divisor=divisor: ask(db, divisor)) == (6 // divisor,)
        else:
            with pytest.raises(NotStorable):
                store.read(lambda db: ask(db, 0))
    store.close()


def test_a_conversation_that_has_vanished_is_made_again(driver: FailureCollectingDriver, postgres: Postgres) -> None:
    assert driver.append(driver.message("one"), driver.message("two")) == [(1, False, None), (2, False, None)]
    store: Any = driver.store
    for table in ("messages", "participants", "conversations"):
        store.write(lambda db, table=table: db.execute(f"DELETE FROM {table}"))
    outcomes = driver.append(driver.message("three"), driver.message("x", "#not"), driver.message("four"))
    assert [seq for seq, *_ in outcomes] == [1, 0, 2] and driver.find_texts("three") == ["three"]
