"""PostgreSQL only: a server that stops and returns, passwords, a schema that other releases use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import psycopg
import pytest
from gevent.event import AsyncResult

from gmessenger.errors import (
    ConfigError,
    ExitError,
    FileError,
    IdReused,
    NotStorable,
    StoreUnavailable,
    WireError,
)
from gmessenger.launcher.services import Postgres, missing
from gmessenger.store import open_store, verify_store
from gmessenger.store.common import VerifyReport
from gmessenger.store.postgres import pool, schema, verify
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.inserter import INSERT_BATCH
from gmessenger.store.postgres.pool import to_store_unavailable
from gmessenger.store.postgres.verify import inspect_database, verify_database
from gmessenger.store.postgres.writer import INDEX_ONLY_SETTINGS
from tests import ROOT
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture(scope="module")
def fragile() -> Iterator[Postgres]:
    """A database server that tests may stop; the others share one that they may not."""
    if "PostgreSQL" in missing():
        pytest.skip("PostgreSQL is not installed")
    with Postgres(settings={"fsync": "off"}) as server:  # the server is killed, never the machine
        yield server


@pytest.fixture
def open_(fragile: Postgres) -> Iterator[Callable[..., StoreDriver]]:
    stores: list[Any] = []
    fragile.start()
    url = fragile.database()

    def open_(**options: Any) -> StoreDriver:
        stores.append(open_store(url, **options))
        return StoreDriver(stores[-1])

    yield open_
    for store in stores:
        store.close()


def send_until_stored(driver: StoreDriver, device: int, number: int) -> tuple[int, int]:
    """Send a message until it is stored, as clients do; return its seq and the number of refusals."""
    refused = 0
    while True:
        ((seq, _, error),) = driver.append(driver.message(str(number), device=device, id=f"m{number}"))
        if error is None:
            return seq, refused
        assert isinstance(error, StoreUnavailable), error
        refused += 1
        gevent.sleep(0.01)


def test_a_server_that_is_too_old_is_refused(
    open_: Callable[..., StoreDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MIN_SERVER_VERSION", 99_00_00)
    with pytest.raises(ConfigError, match="needs PostgreSQL of at least version 99"):
        open_()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_nothing_is_lost_or_doubled_where_the_server_ends_and_comes_back(
    fragile: Postgres, open_: Callable[..., StoreDriver], end: str
) -> None:
    driver = open_()
    device = driver.log_in(driver.hank, "laptop").id

    def say() -> list[tuple[int, int]]:
        return [send_until_stored(driver, device, number) for number in range(150)]

    sending = gevent.spawn(say)
    while not driver.page():
        gevent.sleep(0.01)
    getattr(fragile, end)()
    with pytest.raises(StoreUnavailable):
        driver.store.check_writable()
    fragile.start()
    sent = sending.get(timeout=TEST_TIMEOUT)
    assert [seq for seq, _ in sent] == list(range(1, 151)) and sum(refused for _, refused in sent) > 0
    driver.store.check_writable()
    texts = [placed.message.text for placed in driver.store.export_page(0, 999)[0]]
    assert texts == [str(number) for number in range(150)]


def test_a_server_that_stands_still_is_waited_for_no_longer_than_one_is_told(
    fragile: Postgres, open_: Callable[..., StoreDriver]
) -> None:
    driver = open_(timeout=0.2)
    device = driver.log_in(driver.hank, "laptop").id
    send_until_stored(driver, device, 1)
    fragile.pause()
    try:
        ((_, _, error),) = driver.append(driver.message("2", device=device, id="m2"))
        assert isinstance(error, StoreUnavailable)
        with pytest.raises(StoreUnavailable):
            driver.store.accounts()
    finally:
        fragile.resume()
    assert send_until_stored(driver, device, 2)[0] == 2
    assert len(driver.store.accounts()) == 2


def test_whoever_gives_up_in_the_middle_leaves_nothing_to_the_next(postgres: Postgres) -> None:
    store: Any = open_store(postgres.database(), connections=1)
    with gevent.Timeout(0.1, False):
        store.read(lambda db: db.execute("SELECT pg_sleep(30)"))
    giving_up = gevent.spawn(store.write, lambda db: db.execute("SELECT pg_sleep(30)"))
    gevent.sleep(0.1)
    giving_up.kill()
    assert store.accounts() == [] and store.create_account("hank", "Hank", "hash", 1.0).id == 1
    store.close()


def test_a_message_that_the_database_cannot_hold_is_refused_and_no_other(postgres: Postgres) -> None:
    failures: list[str] = []
    driver = StoreDriver(open_store(postgres.database(), lambda what, failure: failures.append(what)))
    device = driver.log_in(driver.hank, "laptop").id
    messages = [driver.message(text, device=device, id=text) for text in ("a", "c", "\ud800", "d")]
    driver.store.acknowledge(device, DIRECT, 2)
    outcomes = driver.append(*messages)
    kinds: list[type[WireError | None]] = [type(error) for *_, error in outcomes]
    assert kinds == [type(None), type(None), NotStorable, type(None)]
    assert [seq for seq, *_ in outcomes] == [1, 2, 0, 3] and failures == []
    assert driver.log_in(driver.hank, "laptop").cursors == {DIRECT: 2}
    driver.store.close()


def test_a_character_that_the_database_cannot_hold_is_replaced(postgres: Postgres) -> None:
    driver = StoreDriver(open_store(postgres.database()))
    device = driver.log_in(driver.hank, "lap\0top").id
    message = driver.message(r"a\u0000 b" + "\0", device=device, id="m\0")
    assert driver.append(message, message) == [(1, False, None), (1, True, None)]
    assert driver.append(message) == [(1, True, None)] and driver.store.find_by_message_id(driver.hank, "m\0") == [
        (DIRECT, 1)
    ]
    assert driver.texts(driver.page()) == [r"a\u0000 b" + "\ufffd"] == driver.find_texts("a")
    driver.store.prune(99.0)
    assert driver.append(message) == [(1, True, None)]
    driver.store.close()


def test_what_is_said_twice_in_one_breath_is_kept_once(postgres: Postgres) -> None:
    driver = StoreDriver(open_store(postgres.database()))
    device = driver.log_in(driver.hank, "laptop").id
    said = [("x", "m1"), ("y", "m1"), ("x", "m1"), ("z", "m2")]
    outcomes = driver.append(*[driver.message(text, device=device, id=id) for text, id in said])
    assert [(seq, again, type(error)) for seq, again, error in outcomes] == [
        (1, False, type(None)),
        (1, True, IdReused),
        (1, True, type(None)),
        (2, False, type(None)),
    ]
    outcomes = driver.append(*[driver.message("x", "#not", device=device, id="m1")] * 2)
    assert [seq for seq, *_ in outcomes] == [0, 0] and all(error for *_, error in outcomes)
    driver.store.close()


@pytest.mark.parametrize(
    ("url", "problem", "says"),
    [
        ("postgresql://u:se%cret@h/d", ConfigError, "in its password, write"),
        ("postgresql://u:secret@h/d?port=x&what=7", ConfigError, "what"),
        ("postgresql://u:secret@/d?host=/nowhere", FileError, "No such file"),
        ("postgresql://u:secret@127.0.0.1:1/d", FileError, "Connection refused"),
        ("postgresql://u:secret@no.such.host.invalid/d", FileError, "no.such.host.invalid"),
        ("postgresql://127.0.0.1:1/d?password=secret", FileError, "Connection refused"),
    ],
)
def test_a_store_that_cannot_be_opened_is_named_without_its_password(
    url: str, problem: type[ExitError], says: str
) -> None:
    with pytest.raises(problem, match=says) as raised:
        open_store(url)
    assert "secret" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_wrong_password_and_a_database_that_is_not_there_are_told(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'guarded'"):
        postgres.run("CREATE ROLE guarded LOGIN SUPERUSER")
    postgres.run("ALTER ROLE guarded PASSWORD 'open sesame'")
    database = postgres.database()
    for url in (
        database.replace("//postgres@", "//guarded:open%20barley@"),
        database.replace("//postgres@", "//guarded@"),
        postgres.url("not_there"),
    ):
        with pytest.raises(ConfigError, match=r"password|not_there") as raised:
            open_store(url)
        assert "barley" not in str(raised.value)
    open_store(database.replace("//postgres@", "//guarded:open%20sesame@")).close()
    monkeypatch.setenv("PGPASSWORD", "open sesame")
    open_store(database.replace("postgresql://postgres@", "postgres://guarded@")).close()


def test_a_schema_of_a_later_release_is_used_if_it_says_so_and_else_refused(postgres: Postgres) -> None:
    url = postgres.database()
    open_store(url).close()
    for fact, value in (("schema", schema.VERSION + 1), ("works from", schema.VERSION + 1)):
        if fact == "works from":
            open_store(url).close()
        with psycopg.connect(url) as db:
            db.execute("UPDATE facts SET value = %s WHERE name = %s", (str(value), fact))
    with pytest.raises(ConfigError, match=f"schema {schema.VERSION + 1}, made by a later release"):
        open_store(url)


def test_a_dump_that_was_read_into_another_database_is_another_store(postgres: Postgres) -> None:
    url = postgres.database()
    first = open_store(url)
    first.close()
    with psycopg.connect(url) as db:
        db.execute("UPDATE facts SET value = 'elsewhere 1' WHERE name = 'place'")
        db.execute(
            "INSERT INTO changes (tx, node, kind, subject, details) VALUES ('9999999', 'x', 'kick', '[1]', '{}')"
        )
    again: Any = open_store(url)
    assert again.identity not in ("", first.identity) and again.poll_changes().changes == []
    again.close()
    last = open_store(url)
    assert last.identity == again.identity
    last.close()


def test_without_the_library_one_is_told_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; from gmessenger.store import open_store, verify_store\n"
        "for use in (open_store, verify_store):\n"
        "    try: use('postgresql://nowhere/x')\n"
        "    except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("ConfigError") and "[cluster]" in line for line in lines), done


def test_nothing_is_answered_before_it_is_on_disk_whatever_the_server_was_told(postgres: Postgres) -> None:
    url = postgres.database()
    with psycopg.connect(url) as db:
        db.execute(f"ALTER DATABASE {db.info.dbname} SET synchronous_commit = off")
    store = open_store(url)
    assert isinstance(store, Database)
    assert store.read(lambda db: db.execute("SHOW synchronous_commit").fetchone()) == ("on",)
    store.close()


def test_it_is_backed_up_by_the_databases_own_means(postgres: Postgres, tmp_path: Path) -> None:
    store = open_store(postgres.database())
    with pytest.raises(FileError, match="pg_dump"):
        store.backup(str(tmp_path / "backup"))
    store.close()


def test_closing_keeps_what_waits(postgres: Postgres) -> None:
    url = postgres.database()
    driver = StoreDriver(open_store(url))
    outcomes: AsyncResult[int] = AsyncResult()
    driver.store.append(driver.message(), lambda seq, *_: outcomes.set(seq))
    driver.store.close()
    assert outcomes.get(timeout=1) == 1
    with pytest.raises(StoreUnavailable):
        driver.store.accounts()


FAULTS = [
    ("DELETE FROM messages WHERE seq = 3", "dale hank should have messages 1 to 5 and has 4, from 1 to 5"),
    ("UPDATE conversations SET head = 9", "should have messages 1 to 9 and has 5, from 1 to 5"),
    ("DELETE FROM message_words WHERE seq = 1", "4 messages can be found by their words, but there are 5"),
    ("INSERT INTO message_words VALUES (99, 1, 99, '')", "1 entries of the search index belong to no message"),
    ("UPDATE messages SET conversation_id = 99 WHERE seq = 5", "1 messages belong to no conversation"),
    ("UPDATE usage SET bytes = bytes + 1", "the stored byte counts are wrong (accounts: 1)"),
    ("DELETE FROM usage", "the stored byte counts are wrong (accounts: 1)"),
    ("DELETE FROM accounts WHERE key = 'dale'", "1 members are not accounts"),
    ("UPDATE cursors SET seq = 6", "1 read positions are beyond the last message"),
]


def test_a_database_is_verified_while_a_node_has_it(postgres: Postgres) -> None:
    url = postgres.database()
    with pytest.raises(FileError, match="gmessenger store"):
        verify_database(url)
    driver = StoreDriver(open_store(url))
    device = driver.log_in(driver.hank, "laptop").id
    driver.append(*[driver.message()] * 5)
    driver.store.acknowledge(device, DIRECT, 5)
    driver.store.flush()
    assert len(driver.find_texts("hi")) == 5  # all of them are indexed
    found = verify_store(url)
    assert found.faults == [] and (found.counts["messages"], found.counts["accounts"]) == (5, 2)
    with psycopg.connect(url) as db:
        for damage, says in FAULTS:
            with db.transaction(force_rollback=True):
                db.execute(damage)
                assert says in " ".join(faults(db)), damage
    driver.store.close()


def faults(db: psycopg.Connection[Any]) -> list[str]:
    """Return the faults that verification finds within an open transaction."""
    found = VerifyReport()
    verify.verify_transaction(db, found)
    return found.faults


def test_a_database_is_looked_at_before_a_start(postgres: Postgres) -> None:
    url = postgres.database()
    assert inspect_database(url).schema is None
    store: Any = open_store(url)
    store.renew_leases()
    status = inspect_database(url)
    assert (status.schema, status.nodes, status.server.partition(".")[0].isdigit()) == (
        schema.VERSION,
        1,
        True,
    )
    store.close()
    with psycopg.connect(url) as db:
        db.execute(f"ALTER DATABASE {db.info.dbname} SET default_transaction_read_only = on")
    with pytest.raises(FileError, match="read-only"):
        inspect_database(url)


def test_whether_a_message_was_kept_before_is_looked_for_by_its_id_alone(
    fragile: Postgres, open_: Callable[..., StoreDriver]
) -> None:
    driver = open_()
    device = driver.log_in(driver.hank, "laptop").id
    driver.append(*(driver.message(str(number), device=device, id=f"m{number}") for number in range(200)))
    assert isinstance(driver.store, Database)
    with driver.store.pool.settings.connect() as db:
        db.execute(INDEX_ONLY_SETTINGS)
        plan = "\n".join(row[0] for row in db.execute("EXPLAIN " + INSERT_BATCH, ("[]",)).fetchall())
    # Else it may read the whole conversation for each message, as the planner likes where it knows little of it.
    assert "using messages_by_client_id" in plan
    assert "using messages_pkey" not in plan


def test_what_the_database_says_of_roles_and_passwords_is_no_strangers_business() -> None:
    there = 'connection failed: connection to server at "10.0.0.9" failed: '
    said = f'{there}FATAL:  password authentication failed for user "gm"'
    assert str(to_store_unavailable(psycopg.OperationalError(said))) == StoreUnavailable.message
    refused = to_store_unavailable(psycopg.OperationalError(f"{there}Connection refused"))
    assert str(refused) == StoreUnavailable.message
    assert refused.detail == "Connection refused"
