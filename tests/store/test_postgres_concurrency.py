"""Requests to PostgreSQL while another transaction has changed something and not committed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import psycopg
import pytest
from gevent import Greenlet

from gmessenger.chat.records import DeviceLogin, ReadRange
from gmessenger.errors import AccountDeleted, WireError
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store
from gmessenger.store.postgres import pool
from gmessenger.store.postgres.accounts import DELETE_ACCOUNT, LOCK_NAME
from gmessenger.store.postgres.amendments import ADD_REACTION, FIND_AMENDED
from gmessenger.store.postgres.devices import NOTE_USE
from gmessenger.store.postgres.inserter import LOCK_NAMES
from gmessenger.store.postgres.leases import HEARTBEAT_NODE, TAKE_OVER_LEASE
from gmessenger.store.postgres.rooms import MARK_DELETED
from gmessenger.store.postgres.schema import VERSION
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
STRAY = (
    "SELECT count(*) FROM participants WHERE account_id NOT IN (SELECT id FROM accounts) "
    "OR conversation_id NOT IN (SELECT id FROM conversations WHERE key !~ '^!')",
    "SELECT count(*) FROM blocks WHERE account_id NOT IN (SELECT id FROM accounts)",
)


class ConcurrentTransaction:
    """A store, and another connection with a transaction of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.driver = StoreDriver(open_store(url))
        self.driver.create_room("#dev")

    def rows(self, query: Any) -> list[Any]:
        with psycopg.connect(self._url, autocommit=True) as db:
            return db.execute(query).fetchall()

    def asks(self, question: Any) -> Any:
        ((found,),) = self.rows(question)
        return found

    @contextmanager
    def change(self, *statements: tuple[Any, tuple[Any, ...]]) -> Iterator[psycopg.Connection[Any]]:
        """Run statements in the other transaction, which is committed at the end of the block."""
        with psycopg.connect(self._url) as db:
            for statement, parameters in statements:
                db.execute(statement, parameters)
            yield db

    def until_it_waits(self, call: Callable[..., Any], *arguments: Any) -> Greenlet[Any, Any]:
        """Start a request that must wait for the other transaction."""
        asked: Greenlet[Any, Any] = gevent.spawn(_outcome, call, *arguments)
        with gevent.Timeout(10):
            while not self.asks(WAITING):
                assert not asked.ready(), asked.value
                gevent.sleep(0.005)
        return asked


def _outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except WireError as error:
        return type(error)


@pytest.fixture
def concurrent(postgres: Postgres) -> Iterator[ConcurrentTransaction]:
    concurrent = ConcurrentTransaction(postgres.database())
    yield concurrent
    concurrent.driver.store.close()


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda driver: driver.store.join("#dev", driver.hank, 1.0), AccountDeleted),
        (lambda driver: driver.store.block(driver.hank, {"dale": "Dale"}), None),
    ],
)
def test_nothing_comes_to_stay_of_an_account_that_is_deleted_meanwhile(
    concurrent: ConcurrentTransaction, ask: Callable[[StoreDriver], Any], answer: Any
) -> None:
    with concurrent.change(*[(statement, (concurrent.driver.hank,)) for statement in DELETE_ACCOUNT]):
        asked = concurrent.until_it_waits(ask, concurrent.driver)
    assert asked.get(timeout=TEST_TIMEOUT) == answer
    assert [concurrent.asks(question) for question in STRAY] == [0, 0]


def test_who_registers_does_not_come_into_a_room_that_is_deleted_meanwhile(concurrent: ConcurrentTransaction) -> None:
    with concurrent.change((MARK_DELETED, ("#dev",))):
        asked = concurrent.until_it_waits(
            concurrent.driver.store.register, "bill", "Bill", "hash", 1.0, DeviceLogin("laptop", "token"), ["#dev"]
        )
    account, device = asked.get(timeout=TEST_TIMEOUT)
    assert account.key == "bill" and device.cursors == {}
    assert [concurrent.asks(question) for question in STRAY] == [0, 0]


def test_a_conversation_that_is_begun_is_not_with_an_account_that_is_deleted(concurrent: ConcurrentTransaction) -> None:
    with concurrent.change((LOCK_NAMES, (["hank"],))):  # as who begins one
        asked = concurrent.until_it_waits(concurrent.driver.store.delete_account, concurrent.driver.hank)
    assert asked.get(timeout=TEST_TIMEOUT) == {}
    with concurrent.change((LOCK_NAME, ("hank",))):  # as who deletes one
        asked = concurrent.until_it_waits(
            concurrent.driver.append, concurrent.driver.message(account=concurrent.driver.dale)
        )
    assert asked.get(timeout=TEST_TIMEOUT) == [(1, False, None)]
    assert concurrent.driver.store.read_range(concurrent.driver.dale, DIRECT) == ReadRange(1, 1)
    assert [concurrent.asks(question) for question in STRAY] == [0, 0]


def test_a_guest_who_leaves_a_node_before_it_is_buried_keeps_its_name(concurrent: ConcurrentTransaction) -> None:
    store: Any = concurrent.driver.store
    with concurrent.change(
        ("INSERT INTO nodes VALUES ('dead', now() - interval '1 hour')", ()),
        ("INSERT INTO guests VALUES ('bill', 'dead', ''), ('joe', 'dead', '')", ()),
    ):
        pass
    with concurrent.change((HEARTBEAT_NODE, ("other", VERSION)), (TAKE_OVER_LEASE, ("other", "bill"))):
        asked = concurrent.until_it_waits(store.renew_leases)
    assert asked.get(timeout=TEST_TIMEOUT) == []
    assert (store.name_holder("bill"), store.name_holder("joe")) == ("other", None)


def test_no_reaction_stays_to_what_is_erased_meanwhile(concurrent: ConcurrentTransaction) -> None:
    driver = concurrent.driver
    driver.append(driver.message("one", account=driver.hank))
    ((conversation, _),) = concurrent.rows("SELECT conversation_id, seq FROM messages")
    place = (conversation, 1)
    with concurrent.change((FIND_AMENDED, place), (ADD_REACTION, (*place, "+", driver.dale))):  # as who reacts
        asked = concurrent.until_it_waits(driver.store.erase_messages, driver.hank)
    assert asked.get(timeout=TEST_TIMEOUT) == 1
    assert concurrent.rows("SELECT seq, text FROM reactions") == []


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda driver: driver.store.drop_tokens(driver.hank), [1]),
        (lambda driver: driver.store.delete_account(driver.hank), {}),
    ],
    ids=["drop", "delete"],
)
def test_the_use_of_a_device_is_noted_while_its_token_is_dropped(
    concurrent: ConcurrentTransaction,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[StoreDriver], Any],
    answer: Any,
) -> None:
    monkeypatch.setattr(pool, "MAX_ATTEMPTS", 1)  # else a deadlock costs a second, and is not noticed
    used: Any = {"device": concurrent.driver.log_in(concurrent.driver.hank, "phone").id, "time": 9.0}
    with concurrent.change((NOTE_USE[0], used)) as other:
        asked = concurrent.until_it_waits(ask, concurrent.driver)
        other.execute(NOTE_USE[1], used)
    assert asked.get(timeout=TEST_TIMEOUT) == answer
