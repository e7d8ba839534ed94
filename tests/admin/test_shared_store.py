"""gmessenger-admin on a shared store: through this machine's server, or directly, in which case the servers follow."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gmessenger.launcher.services import Postgres, Redis
from gmessenger.store import open_store, transfer
from tests.conftest import RunningServer
from tests.support.admin_cli import PASSWORD, StoreDirectory

SECRET = "not-to-be-shown"


class SharedStoreDirectory(StoreDirectory):
    """A directory whose store is in PostgreSQL; the URL has a password."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url.replace("postgres@", f"postgres:{SECRET}@")

    def run(self, *arguments: str, typed: str = "") -> str:
        output = super().run(*arguments, typed=typed)
        assert SECRET not in output
        return output

    def add_user(self, name: str) -> None:
        self.run("user", "add", name, typed=PASSWORD + "\n")


@pytest.fixture
def store_dir(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedStoreDirectory]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with contextlib.closing(SharedStoreDirectory(tmp_path, postgres.database())) as store_dir:
        yield store_dir


@pytest.fixture
def node(store_dir: SharedStoreDirectory, start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(store=store_dir.url, cluster_check=0.1)


def port_of(node: RunningServer) -> tuple[str, str]:
    return "--port", str(node.port)


def test_the_bus_gets_another_key_whether_servers_run_or_not(
    store_dir: SharedStoreDirectory, postgres: Postgres
) -> None:
    database = store_dir.url.partition("@/")[2].partition("?")[0]
    running = "SELECT value FROM facts WHERE name = 'bus key'"
    with contextlib.closing(open_store(store_dir.url)) as store:
        first = store.bus_key()  # type: ignore[attr-defined]
        assert postgres.run(running, database=database) == f"{first.hex()}\n" and len(first) == 32
        assert "a new key" in store_dir.run("bus-key")
        assert store.bus_key() not in (first, b"")  # type: ignore[attr-defined]
    store_dir.run("restore")
    with contextlib.closing(open_store(store_dir.url)) as store:
        assert postgres.run(running, database=database) == ""  # another store, another key
        assert len(store.bus_key()) == 32  # type: ignore[attr-defined]


def test_one_servers_store_has_no_bus(tmp_path: Path) -> None:
    done = StoreDirectory(tmp_path).try_run("bus-key")
    assert (done.exit_code, done.stdout) == (2, "") and "has no bus" in done.stderr


def test_where_there_is_no_store_none_is_made(store_dir: SharedStoreDirectory, postgres: Postgres) -> None:
    for words in (("user", "list"), ("export",), ("verify",), ("restore",)):
        done = store_dir.try_run(*words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (73, "", 1), done
        assert "no gmessenger store" in done.stderr and SECRET not in done.stderr
    database = store_dir.url.partition("@/")[2].partition("?")[0]
    assert postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=database) == "0\n"


@pytest.mark.parametrize("running", [True, False], ids=["by the server", "beside it"])
def test_whatever_is_done_takes_effect_on_the_server(
    store_dir: SharedStoreDirectory, node: RunningServer, running: bool
) -> None:
    options = port_of(node) if running else ()
    store_dir.run("user", "add", "hank", *options, typed=PASSWORD)
    authenticator = node.app.messenger.authenticator
    hank = store_dir.connect(node.port)
    assert hank.log_in("hank", password=PASSWORD)["response"] == 200
    assert hank.receive()["action"] == "synced"
    listed = store_dir.run("user", "list", *options)
    assert re.fullmatch(rf"hank\t{'here' if running else '-'}\tlast seen 20\d\d-[\d: -]+\n", listed)
    store_dir.run("user", "grant", "hank", *options)
    peggy = store_dir.connect(node.port)
    assert peggy.log_in("peggy")["response"] == 200
    output = store_dir.run("kick", "peggy", "--reason", "calm down", *options)
    assert ("connections closed: 1" if running else "every server closes") in output
    while "code" not in (event := peggy.receive()):
        pass
    assert event["code"] == "kicked" and "calm down" in event["error"]
    assert peggy.reader.readline() == b""
    output = store_dir.run("ban", "hank", *options)
    assert ("connections closed: 1" if running else "every server closes") in output
    assert hank.receive()["code"] == "banned"
    assert authenticator.accounts["hank"].role == "operator"
    assert store_dir.run("bans", *options).startswith("hank\tbanned\tserver\t")


def test_a_socket_is_the_servers_that_answers(
    store_dir: SharedStoreDirectory, node: RunningServer, start_server: Callable[..., RunningServer]
) -> None:
    path = store_dir.folder / "state" / f"messenger-{node.port}.socket"
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o600
    beside = start_server(store=store_dir.url, ip="127.0.0.2", port=node.port)
    assert f"port {node.port}" in store_dir.run("status", *port_of(node))
    beside.stop()
    assert store_dir.run("user", "list", *port_of(node)) == "" and path.exists()
    node.stop()
    assert not path.exists()


def test_a_dead_servers_socket_is_replaced(
    store_dir: SharedStoreDirectory, start_server: Callable[..., RunningServer]
) -> None:
    first = start_server(store=store_dir.url)
    path, port = store_dir.folder / "state" / f"messenger-{first.port}.socket", first.port
    first.stop()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    second = start_server(store=store_dir.url, port=port)
    assert "up for" in store_dir.run("status", *port_of(second))


def test_a_server_of_another_store_is_not_asked(
    store_dir: SharedStoreDirectory, node: RunningServer, postgres: Postgres, tmp_path: Path
) -> None:
    other = SharedStoreDirectory(tmp_path, postgres.database())
    open_store(other.url).close()
    other.run("user", "add", "hank", *port_of(node), typed=PASSWORD)
    assert other.run("user", "list") == "hank\t-\n"
    assert store_dir.run("user", "list") == ""


def test_the_status_of_a_node(
    store_dir: SharedStoreDirectory, start_server: Callable[..., RunningServer], redis_server: Redis
) -> None:
    gone = store_dir.try_run("status")
    assert gone.exit_code == 69 and "No server runs on port 7777 of this machine with postgresql://" in gone.stderr
    hank, dale = (start_server(store=store_dir.url, bus=redis_server.url) for _ in range(2))
    store_dir.connect(dale.port).log_in("peggy")
    while "1, on which 1 names are present" not in (page := store_dir.run("status", *port_of(hank))):
        pass
    assert "postgresql://postgres:***@/" in page and " MB, identity " in page
    assert "bus          connected for 0:00:" in page
    assert "0 messages of other servers were read from the store" in page


def test_what_pg_restore_has_read_is_another_store(store_dir: SharedStoreDirectory, node: RunningServer) -> None:
    identity = node.app.store.identity
    refused = store_dir.try_run("restore")
    assert refused.exit_code == 75 and "Stop them first" in refused.stderr
    node.stop()
    refused = store_dir.try_run("restore", "/some/file")
    assert refused.exit_code == 2 and "pg_restore" in refused.stderr
    assert "has a new identity now" in store_dir.run("restore")
    store = open_store(store_dir.url)
    assert store.identity != identity
    store.close()


def test_backups_are_made_with_pg_dump(store_dir: SharedStoreDirectory, node: RunningServer) -> None:
    refused = store_dir.try_run("backup", "/tmp/x", *port_of(node))
    assert refused.exit_code == 73 and "pg_dump" in refused.stderr


def test_copy(tmp_path: Path, store_dir: SharedStoreDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_dir = StoreDirectory(tmp_path)
    sqlite_dir.add_user("hank")
    output = store_dir.run("copy", sqlite_dir.url, store_dir.url)
    assert "accounts                 1  " in output and "same row counts, same checksums" in output
    assert "***@/" in output and "is intact" in output and "messages                 0  0000000000000000" in output
    assert store_dir.run("user", "list") == "hank\t-\n"
    again = store_dir.try_run("copy", sqlite_dir.url, store_dir.url)
    assert again.exit_code == 73 and "is not empty" in again.stderr and SECRET not in again.stderr
    back = f"sqlite:///{tmp_path}/back.db"
    store_dir.run("copy", store_dir.url, back)
    assert transfer.transfer(back, f"sqlite:///{tmp_path}/third.db").checksums["accounts"].rows == 1
    for words in (("memory:", back), (back, ""), (back, "messenger.db")):
        assert store_dir.try_run("copy", *words).exit_code == 78


def test_a_copy_with_a_hole_is_told(tmp_path: Path, store_dir: SharedStoreDirectory) -> None:
    sqlite_dir = StoreDirectory(tmp_path)
    sqlite_dir.create_store()
    with closing(sqlite3.connect(sqlite_dir.file)) as db, db:
        db.execute("INSERT INTO conversations (key, name, head) VALUES ('#dev', '#dev', 2)")
    done: Any = store_dir.try_run("copy", sqlite_dir.url, store_dir.url)
    assert done.exit_code == 1 and "#dev should have messages 1 to 2 and has 0" in done.stderr


def test_a_row_that_cannot_be_copied_stops_it_or_is_left_out(tmp_path: Path, store_dir: SharedStoreDirectory) -> None:
    sqlite_dir = StoreDirectory(tmp_path)
    sqlite_dir.add_user("hank")
    name = "".join(chr(0x4E00 + 7919 * number % 20_000) for number in range(20_000))
    with closing(sqlite3.connect(sqlite_dir.file)) as db, db:
        db.execute("INSERT INTO devices (account_id, name, used) VALUES (1, ?, 1.0), (1, 'phone', 1.0)", (name,))
    stopped: Any = store_dir.try_run("copy", sqlite_dir.url, store_dir.url)
    assert (
        stopped.exit_code == 73
        and stopped.stderr.count("\n") == 1
        and "devices id=1 account_id=1 name=" in stopped.stderr
    )
    done: Any = store_dir.try_run("copy", sqlite_dir.url, store_dir.url, "--skip-bad")
    assert done.exit_code == 1 and "left out: devices id=1" in done.stderr
    assert (
        "Rows left out: 1, and 0 rows that refer to them." in done.stdout
        and "devices                  1" in done.stdout
    )
    assert store_dir.run("user", "list").startswith("hank\t-\tlast seen ")
