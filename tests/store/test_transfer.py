"""Transfer between backends: everything is copied, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gmessenger.chat.records import (
    Credential,
    DeviceLogin,
    FileInfo,
    NewMessage,
    PushSubscription,
    Sanction,
    StoredFile,
)
from gmessenger.chat.room_access import RoomMask
from gmessenger.chat.storage import Store
from gmessenger.errors import ConfigError, FileError, IdReused, ServerRunning, StoreLocked, WireError
from gmessenger.launcher.services import Postgres
from gmessenger.store import open_store, transfer, verify_store
from gmessenger.store.postgres import schema
from gmessenger.store.postgres import tableio as postgres_tableio
from gmessenger.store.sqlite import tableio as sqlite_tableio
from gmessenger.store.tables import TABLES, Table, TableRow
from gmessenger.store.transfer import TransferReport

OWN = {
    "sqlite": {"accounts": {"generation"}, "messages": {"rowid"}},
    "postgres": {"accounts": {"generation"}, "devices": {"entry"}, "messages": {"words"}},
}
"""Columns that only one kind of store has."""


ROWS = (
    "INSERT INTO absences SELECT account_id, conversation_id, 3, 5 FROM participants WHERE account_id = 1",
    "INSERT INTO room_sanctions SELECT id, 'ban', 'peggy', 'Peggy', 'Hank', 'noise', 9.0, 99.5 FROM conversations "
    "WHERE key = '#dev'",
    "INSERT INTO invitations SELECT id, 'dale', 'Dale', 'Hank', 9.0 FROM conversations WHERE key = '#dev'",
    "INSERT INTO room_masks SELECT id, 'ban', '*!*@203.0.113.7', 'Hank', 9.0 FROM conversations WHERE key = '#dev'",
    "INSERT INTO reactions SELECT id, 12, '👍', 1 FROM conversations WHERE key = '#dev'",
    "INSERT INTO reaction_messages SELECT id, 12, 13 FROM conversations WHERE key = '#dev'",
    "UPDATE conversations SET passing = 1 WHERE key = '#dev'",
)
"""Rows of the tables that a store's methods do not fill here."""


def append_one(store: Store, message: NewMessage) -> tuple[int, bool, WireError | None]:
    outcomes: list[tuple[int, bool, WireError | None]] = []
    store.append(message, lambda *outcome: outcomes.append(outcome))
    store.flush()
    return outcomes[0]


def populate(store: Store) -> None:
    """Add rows to every table, and delete some from each that can lose rows."""
    hank = store.create_account("hank", "Hank", "hash of hank", 1.0).id
    dale = store.create_account("dale", "Dale", "hash of dale", 1.5).id
    gone = store.create_account("gone", "Gone", "hash", 2.0).id
    phone = store.begin_session(hank, DeviceLogin("phone", "secret"), 3.0, Credential(password_hash="hash of hank"))
    store.begin_session(dale, DeviceLogin("laptop", "another"), 3.0, Credential(password_hash="hash of dale"))
    store.add_invite("one may come", 4.0)
    for key in ("#dev", "#gone"):
        store.create_room(key, key.title(), hank, 5.0)
        store.join(key, hank, 1.0)
    store.set_topic("#dev", "Ёжики и 東京都", "Ёжик", 12.5)
    store.change_profile(hank, lambda stored: '{"city":"東京"}')
    store.change_room_profile("#dev", lambda stored: '{"url":"https://example.org"}')
    for number in range(1, 21):
        text = f"число {number} in 東京都 \U0001f389"
        append_one(store, NewMessage("#dev", "Hank", "#dev", text, float(number), hank, phone.id, f"m{number}"))
    graph = FileInfo("graph", "граф.png", "image/png", 5, 640, 480)
    for file in (graph, FileInfo("waiting", "notes.txt", "text/plain", 7)):
        store.add_file(StoredFile(file, f"digest of {file.id}", dale, 30.0), 2**40, 2**40)
    append_one(store, NewMessage("dale hank", "Dale", "Hank", "between\nus", 30.0, dale, None, None, file=graph))
    append_one(store, NewMessage("hank peggy", "peggy", "Hank", "a guest", 30.0))
    append_one(store, NewMessage("gone hank", "Gone", "Hank", "to be erased", 30.0, gone))
    store.acknowledge(phone.id, "#dev", 7)
    store.mark_read(hank, "#dev", 6)
    store.add_sanction(Sanction("mute", "peggy", "Hank", "noise", 30.0, 60.0))
    store.add_sanction(Sanction("network", "203.0.113.0/24", "server", "", 31.0))
    store.block(hank, {"dale": "Dale"})
    store.set_disabled(dale, True)
    store.set_role(hank, "operator")
    store.erase_messages(gone)
    store.delete_account(gone)
    store.delete_room("#gone")
    hook = store.add_hook("grafana", "Grafana", "#dev", "a secret", 32.0, "Hank", hank).id
    store.note_alerts(hook, ["high load"], 20, 33.0)
    store.set_push_subscription(hank, phone.id, PushSubscription("https://push.example.org/1", "key", "secret"))
    store.set_certificate(hank, "phone", "ab" * 32, 34.0, is_presented=True)
    store.vapid_key("a private key")
    store.prune(10.0)
    store.flush()


@pytest.fixture
def populated(tmp_path: Path) -> str:
    """Return the URL of a store with rows in every table."""
    url = f"sqlite:///{tmp_path}/made.db"
    store = open_store(url)
    populate(store)
    store.close()
    with closing(sqlite3.connect(tmp_path / "made.db")) as db, db:
        for statement in ROWS:
            db.execute(statement)
    return url


def columns_of_a_file(file: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(file)) as db, db:
        return {table.name: {row[1] for row in db.execute(f"PRAGMA table_info({table.name})")} for table in TABLES}


def columns_of_a_database(url: str) -> dict[str, set[str]]:
    with psycopg.connect(url) as db:
        found = db.execute("SELECT table_name, column_name FROM information_schema.columns").fetchall()
    return {table.name: {column for name, column in found if name == table.name} for table in TABLES}


def test_every_column_is_copied(populated: str, tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.database()
    transfer.transfer(populated, url)
    there = {"sqlite": columns_of_a_file(tmp_path / "made.db"), "postgres": columns_of_a_database(url)}
    for kind, tables in there.items():
        for table in TABLES:
            known = {
                "rowid" if (kind, table.name, name) == ("sqlite", "messages", "id") else name for name in table.columns
            }
            assert tables[table.name] == known | OWN[kind].get(table.name, set()), (kind, table.name)


def test_there_and_back_again(populated: str, tmp_path: Path, postgres: Postgres) -> None:
    database, another, back = postgres.database(), postgres.database(), f"sqlite:///{tmp_path}/deep/back.db"
    first = transfer.transfer(populated, database)
    assert all(total.rows for total in first.checksums.values()), first
    assert first.changed == 0
    for source, target in ((database, another), (another, back), (back, f"sqlite:///{tmp_path}/copy.db")):
        assert transfer.transfer(source, target) == first
        assert verify_store(target).faults == []
    assert not list(tmp_path.rglob("*.copying*"))


@pytest.fixture(params=["postgres", "sqlite"])
def copy(request: pytest.FixtureRequest, populated: str, tmp_path: Path) -> Callable[[], str]:
    """Return a function that copies the store `made` into a new store and returns its URL."""

    def copied() -> str:
        url = f"sqlite:///{tmp_path}/new.db"
        url = request.getfixturevalue("postgres").database() if request.param == "postgres" else url
        transfer.transfer(populated, url)
        return url

    return copied


def test_the_copy_goes_on_where_the_other_was(copy: Callable[[], str], populated: str) -> None:
    stores = [open_store(populated)]
    identity = stores[0].identity
    stores.pop().close()
    store = open_store(copy())
    try:
        assert store.identity == identity
        assert store.vapid_key("another") == "a private key"  # else no subscription could be sent to
        assert store.create_account("new", "new", "hash", 50.0).id == 5  # not the id of who was deleted
        hank = next(account.id for account in store.accounts() if account.key == "hank")
        assert [item.seq for item in store.search(hank, "число 東京", "#dev", 5, 30.0).messages] == [20, 19, 18, 17, 16]
        device, name = store.begin_session(hank, DeviceLogin("phone", "anew"), 51.0, Credential(token="secret")), "Hank"
        assert device.cursors["#dev"] == 7
        message = NewMessage("#dev", name, "#dev", "число 20 in 東京都 \U0001f389", 52.0, hank, device.id, "m20")
        assert append_one(store, message) == (20, True, None)
        for text, error in (("число 3 in 東京都 \U0001f389", None), ("another", IdReused)):
            seq, before, refused = append_one(
                store, NewMessage("#dev", name, "#dev", text, 52.0, hank, device.id, "m3")
            )
            assert (seq, before, refused and type(refused)) == (3, True, error)
        assert append_one(store, NewMessage("#dev", name, "#dev", "new", 53.0, hank, device.id, "m99")) == (
            21,
            False,
            None,
        )
        (room,) = store.rooms()
        assert (room.topic, room.head, room.first_seq, room.passing) == ("Ёжики и 東京都", 21, 10, True)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("change", "works_from"),
    [
        (lambda store, account: None, schema.MIN_PROGRAM_VERSION),
        (lambda store, account: store.leave("#dev", account), schema.FIRST_WITH_RULES),
        (lambda store, account: store.change_rules("#dev", {"hidden": True}), schema.FIRST_WITH_RULES),
        (lambda store, account: store.change_rules("#dev", {"key": "k1"}), schema.FIRST_WITH_KEYS),
        (
            lambda store, account: store.add_room_mask("#dev", RoomMask("ban", "*", "", 3.0)),
            schema.FIRST_WITH_MASKS,
        ),
        (
            lambda store, account: store.set_certificate(account, "phone", "ab" * 32, 3.0, is_presented=False),
            schema.FIRST_WITH_CERTIFICATES,
        ),
        (lambda store, account: store.change_role("#dev", account, "speaker"), schema.FIRST_WITH_RULES),
        (lambda store, account: store.set_password(account, "hash", 100.0), schema.FIRST_WITH_RULES),
        (lambda store, account: store.add_hook("ci", "ci", "#dev", "secret", 3.0, "Hank"), schema.FIRST_WITH_HOOKS),
    ],
    ids=["nothing", "left", "rule", "key", "mask", "certificate", "role", "one-time password", "hook"],
)
def test_an_older_program_refuses_a_copy_with_what_it_does_not_know(
    change: Callable[[Store, int], object], works_from: int, tmp_path: Path, postgres: Postgres
) -> None:
    source, target = f"sqlite:///{tmp_path}/made.db", postgres.database()
    store = open_store(source)
    hank, dale = (store.create_account(name, name, "hash", 1.0).id for name in ("hank", "dale"))
    store.create_room("#dev", "#dev", hank, 1.0)
    store.join("#dev", dale, 2.0)
    change(store, dale)
    store.close()
    transfer.transfer(source, target)
    with psycopg.connect(target) as db:
        assert db.execute("SELECT value FROM facts WHERE name = 'works from'").fetchone() == (str(works_from),)


def test_each_device_has_still_to_hear_what_it_had_not_heard(populated: str, copy: Callable[[], str]) -> None:
    store = open_store(populated)
    hank = next(account.id for account in store.accounts() if account.key == "hank")
    laptop = store.begin_session(hank, DeviceLogin("laptop", "other"), 50.0, Credential(password_hash="hash of hank"))
    store.acknowledge(laptop.id, "#dev", 20)
    store.acknowledge(laptop.id, "dale hank", 1)
    store.close()
    store = open_store(copy())
    try:
        entered = [
            store.begin_session(
                hank, DeviceLogin(name, f"token of {name}"), 51.0, Credential(password_hash="hash of hank")
            ).cursors
            for name in ("phone", "laptop", "phone", "another")
        ]
        found = [(cursors["#dev"], cursors["dale hank"]) for cursors in entered]
        assert found == [(7, 0), (20, 1), (7, 0), (20, 1)]
    finally:
        store.close()


def test_one_that_is_broken_off_leaves_nothing(
    request: pytest.FixtureRequest, copy: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, identity: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(postgres_tableio.TableIO, "set_identity", broken)
        patched.setattr(sqlite_tableio.TableIO, "set_identity", broken)
        with pytest.raises(KeyboardInterrupt):
            copy()
    assert verify_store(copy()).faults == []


def test_to_copy_may_take_long(postgres: Postgres) -> None:
    for side in (postgres_tableio.open_sink, postgres_tableio.open_source):
        with side(postgres.database()) as rows:
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                assert rows._select_value(f"SHOW {limit}") == "0", (side, limit)


def test_what_differs_is_not_kept(copy: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(take: Any) -> Any:
        def all_but_one(self: Any, table: Table, rows: Any, on_bad_row: Any) -> None:
            found: list[TableRow] = list(rows)
            take(self, table, iter(found[:-1] if table.name == "messages" else found), on_bad_row)

        return all_but_one

    with monkeypatch.context() as patched:
        for side in (postgres_tableio.TableIO, sqlite_tableio.TableIO):
            patched.setattr(side, "insert_rows", torn(side.insert_rows))
        with pytest.raises(FileError, match=r"The copy differs: messages 14 \(\w+\) became 13"):
            copy()
    assert verify_store(copy()).faults == []


def test_who_has_it_open_is_not_disturbed(populated: str, tmp_path: Path, postgres: Postgres) -> None:
    database = postgres.database()
    store = open_store(populated)
    with pytest.raises(StoreLocked):
        transfer.transfer(populated, database)
    store.close()
    transfer.transfer(populated, database)
    node: Any = open_store(database)
    node.renew_leases()
    with pytest.raises(ServerRunning, match=r"Servers run on postgresql://.*: 1"):
        transfer.transfer(database, f"sqlite:///{tmp_path}/back.db")
    node.release_node()
    node.close()
    assert isinstance(transfer.transfer(database, f"sqlite:///{tmp_path}/back.db"), TransferReport)


def test_what_is_there_stays(populated: str, postgres: Postgres) -> None:
    database = postgres.database()
    transfer.transfer(populated, database)
    with pytest.raises(FileError, match="is not empty: it has accounts"):
        transfer.transfer(populated, database)
    with pytest.raises(FileError, match=r"The store .*made\.db already exists"):
        transfer.transfer(database, populated)
    with pytest.raises(ConfigError, match="in memory"):
        transfer.transfer("memory:", postgres.database())
    with pytest.raises(FileError, match=r"The store .* does not exist"):
        transfer.transfer("sqlite:////nowhere/at.all", postgres.database())


def test_a_character_that_postgresql_has_not(tmp_path: Path, postgres: Postgres) -> None:
    url = f"sqlite:///{tmp_path}/nul.db"
    store = open_store(url)
    hank = store.create_account("hank", "hank", "hash", 1.0).id
    append_one(store, NewMessage("hank hank", "hank", "hank", "nul: \0.", 2.0, hank))
    store.close()
    database = postgres.database()
    assert transfer.transfer(url, database).changed == 1
    copied = open_store(database)
    assert [item.text for item in copied.page(hank, "hank hank", 0).messages] == ["nul: \ufffd."]
    copied.close()


def test_how_far_it_is_is_told(populated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PROGRESS_INTERVAL", 10)
    told: list[tuple[str, int, int]] = []
    transfer.transfer(
        populated, f"sqlite:///{tmp_path}/copy.db", lambda table, *counts: told.append((table.name, *counts))
    )
    assert [item for item in told if item[0] == "messages"] == [
        ("messages", 0, 14),
        ("messages", 10, 14),
        ("messages", 14, 14),
    ]


LONG = "".join(chr(0x4E00 + 7919 * number % 20_000) for number in range(20_000))
"""What PostgreSQL cannot have in an index, also compressed."""


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """Return the URL of a store with a device name that is too long for PostgreSQL."""
    url = f"sqlite:///{tmp_path}/odd.db"
    store = open_store(url)
    hank = store.create_account("hank", "Hank", "hash of hank", 1.0).id
    for name in ("phone", "laptop", LONG, "tablet", "desk"):
        device = store.begin_session(
            hank, DeviceLogin(name, f"token of {name}"), 3.0, Credential(password_hash="hash of hank")
        )
        append_one(store, NewMessage("hank hank", "Hank", "Hank", f"from {name[:9]}", 4.0, hank, device.id, "m1"))
        store.acknowledge(device.id, "hank hank", 1)
    store.flush()
    store.close()
    return url


def test_a_row_that_cannot_be_copied_is_named_and_nothing_is_kept(odd: str, postgres: Postgres) -> None:
    database = postgres.database()
    with pytest.raises(FileError) as refused:
        transfer.transfer(odd, database)
    said = str(refused.value)
    assert f"devices id=3 account_id=1 name='{LONG[:5]}" in said and "(20000 characters)" in said
    assert "--skip-bad" in said and "maximum" in said and len(said) < 500
    assert transfer.transfer(odd, database, on_bad_row=lambda bad: None).skipped  # into the same, which is empty still


def test_it_may_be_left_out_with_what_belongs_to_it(odd: str, tmp_path: Path, postgres: Postgres) -> None:
    database, bad = postgres.database(), []
    copied = transfer.transfer(odd, database, on_bad_row=bad.append)
    assert [(row.table.name, row.row[0]) for row in copied.skipped] == [("devices", 3)] and copied.skipped == bad
    assert copied.orphans == 2  # its token and its cursor
    assert {name: copied.checksums[name].rows for name in ("devices", "tokens", "cursors", "messages")} == {
        "devices": 4,
        "tokens": 4,
        "cursors": 4,
        "messages": 5,
    }
    assert verify_store(database).faults == []
    back = transfer.transfer(database, f"sqlite:///{tmp_path}/back.db")
    assert back.checksums == copied.checksums and not back.skipped


def test_sqlite_goes_on_behind_a_bad_row(tmp_path: Path) -> None:
    """Here a trigger in the target refuses rows."""
    url, file = f"sqlite:///{tmp_path}/one.db", tmp_path / "two.db"
    store = open_store(url)
    for number in range(7):
        store.create_account(f"n{number}", f"n{number}", "hash", 1.0)
    store.close()
    when = "WHEN new.key IN ('n0', 'n3', 'n6') BEGIN SELECT raise(ABORT, 'no'); END"
    trigger = f"CREATE TRIGGER no BEFORE INSERT ON accounts {when}"
    bad: list[Any] = []
    with sqlite_tableio.open_sink(file) as target:
        target._db.execute(trigger)
        with sqlite_tableio.open_source(tmp_path / "one.db") as source:
            rows = source.iter_rows(TABLES[0])
            target.insert_rows(TABLES[0], rows, lambda row, reason: bad.append((row[1], reason)))
        target._db.execute("DROP TRIGGER no")
    assert bad == [("n0", "no"), ("n3", "no"), ("n6", "no")]
    left = open_store(f"sqlite:///{file}")
    assert [account.key for account in left.accounts()] == ["n1", "n2", "n4", "n5"]
    left.close()
