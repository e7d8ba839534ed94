"""Texts of database errors are logged, and never sent to clients."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from gmessenger import log
from gmessenger.chat import dispatcher
from gmessenger.chat.records import NewMessage
from gmessenger.store import failures
from gmessenger.store.failures import FailureLog
from gmessenger.store.postgres.pool import ConnectionPool
from gmessenger.store.postgres.writer import PostgresWriter
from gmessenger.store.sqlite import reader_pool
from gmessenger.store.sqlite.writer import SqliteWriter
from tests.conftest import RunningServer
from tests.protocol.test_malformed_requests import REQUESTS, UNANSWERED
from tests.support.accounts import PASSWORD, UserClient
from tests.support.native_clients import Connector

SECRET = 'relation "accounts" at 10.0.0.9 FATAL: SECRET'
MORE: dict[str, dict[str, Any]] = {
    "export": {},
    "forget": {"password": PASSWORD},
    "block": {"user": "dale"},
    "read": {"with": "#dev", "seq": 1},
    "mute": {"user": "dale"},
    "ban": {"user": "dale"},
    "close": {"room": "#dev"},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, start_server: Callable[..., RunningServer]) -> RunningServer:
    stores = {"postgresql": lambda: {"store": request.getfixturevalue("postgres").database()}, "sqlite": dict}
    return start_server(store_timeout=5.0, **stores[request.param]())


@pytest.fixture
def reasons(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Return the reasons of store failures in the log, so far."""
    monkeypatch.setattr(failures.FAILURE_LOG, "_last", {})
    log.LOGGER.propagate = True
    caplog.set_level(logging.ERROR, "gmessenger")
    yield lambda: [record.fields["reason"] for record in caplog.records if record.message == "store_failed"]  # type: ignore[attr-defined]
    log.LOGGER.propagate = False


def fails(*_: Any, **__: Any) -> Any:
    raise sqlite3.OperationalError(SECRET)


def is_broken(query: Any) -> Any:
    query._is_done = True
    fails()


def is_lost(*_: Any, **__: Any) -> Any:
    raise psycopg.OperationalError(SECRET)


def breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all queries of a store fail from now on."""
    monkeypatch.setattr(SqliteWriter, "_commit", fails)
    monkeypatch.setattr(reader_pool._Query, "run", is_broken)
    monkeypatch.setattr(PostgresWriter, "_run_with_retries", is_lost)
    monkeypatch.setattr(ConnectionPool, "connection", is_lost)


def test_no_word_of_a_database_is_ever_in_a_frame(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, reasons: Callable[[], list[str]]
) -> None:
    with closing(UserClient(server)) as hank, Connector() as connector:
        hank.start_session("hank").register()
        assert hank.request("join", room="#dev")["response"] == 200
        server.app.messenger.authenticator.accounts["hank"].role = "operator"
        assert hank.send_message("#dev", "something to read")["response"] == 200
        guest = connector.open_native(server, "guest")
        with monkeypatch.context() as patch:
            breaks(patch)
            refused = []
            for action, fields in (REQUESTS | MORE).items():
                if action not in UNANSWERED:
                    refused.append(hank.request(action, **fields))
            refused.append(hank.send_message("hank", "hello"))
            refused.append(connector.open_native(server).try_log_in("hank", password=PASSWORD))
            refused.append(guest.request("register", password=PASSWORD))
        for answer in refused:
            assert not any(word in json.dumps(answer) for word in ("SECRET", "FATAL", "10.0.0.9", "accounts")), answer
        unavailable = [answer for answer in refused if answer["response"] == 503]
        assert len(unavailable) > 8 and {answer["code"] for answer in unavailable} == {"store_unavailable"}
    assert reasons() and all("SECRET" in reason for reason in reasons())


def test_the_same_failure_is_not_logged_with_every_batch(
    reasons: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, now = FailureLog(), 100.0
    monkeypatch.setattr(failures.time, "monotonic", lambda: now)
    for _ in range(5):
        there.log("store_failed", OSError("full"))
    there.log("store_failed", OSError("gone"))
    now += failures.REPEAT_INTERVAL
    there.log("store_failed", OSError("gone"))
    assert reasons() == ["full", "gone", "gone"]


def test_what_cannot_be_kept_is_a_400_that_is_not_to_be_tried_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_bad_text(conversation: str, sender: str, to: str, text: str, *others: Any, **options: Any) -> NewMessage:
        return NewMessage(conversation, sender, to, text.replace("bad", "\ud800"), *others, **options)

    monkeypatch.setattr(dispatcher, "NewMessage", with_bad_text)
    with closing(UserClient(server)) as hank:
        hank.start_session("hank").register()
        answers = hank.send_pipelined("hank", ["one", "bad", "two"])
        assert [answer["response"] for answer in answers] == [200, 400, 200]
        assert answers[1]["code"] == "not_storable"
