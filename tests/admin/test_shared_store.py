"""gmessenger-admin on a store that servers share: by the server of this machine, or beside it, and they follow."""

from __future__ import annotations

import contextlib
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
from tests.support.admin_cli import PASSWORD, Place

SECRET = "not-to-be-shown"


class SharedPlace(Place):
    """A place whose store is in PostgreSQL; the URL has a password in it."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url.replace("postgres@", f"postgres:{SECRET}@")

    def does(self, *arguments: str, typed: str = "") -> str:
        said = super().does(*arguments, typed=typed)
        assert SECRET not in said
        return said

    def adds(self, name: str) -> None:
        self.does("user", "add", name, typed=PASSWORD + "\n")


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedPlace]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with contextlib.closing(SharedPlace(tmp_path, postgres.database())) as place:
        yield place


@pytest.fixture
def node(place: SharedPlace, start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(store=place.url, cluster_check=0.1)


def port_of(node: RunningServer) -> tuple[str, str]:
    return "--port", str(node.port)


def test_the_bus_gets_another_key_whether_servers_run_or_not(place: SharedPlace, postgres: Postgres) -> None:
    database = place.url.partition("@/")[2].partition("?")[0]
    asked = "SELECT value FROM facts WHERE name = 'bus key'"
    with contextlib.closing(open_store(place.url)) as store:
        first = store.bus_key()  # type: ignore[attr-defined]
        assert postgres.run(asked, database=database) == f"{first.hex()}\n" and len(first) == 32
        assert "a new key" in place.does("bus-key")
        assert store.bus_key() not in (first, b"")  # type: ignore[attr-defined]
    place.does("restore")
    with contextlib.closing(open_store(place.url)) as store:
        assert postgres.run(asked, database=database) == ""  # another store, another key
        assert len(store.bus_key()) == 32  # type: ignore[attr-defined]


def test_one_servers_store_has_no_bus(tmp_path: Path) -> None:
    done = Place(tmp_path).admin("bus-key")
    assert (done.code, done.out) == (2, "") and "has no bus" in done.err


def test_where_there_is_no_store_none_is_made(place: SharedPlace, postgres: Postgres) -> None:
    for words in (("user", "list"), ("export",), ("verify",), ("restore",)):
        done = place.admin(*words)
        assert (done.code, done.out, done.err.count("\n")) == (73, "", 1), done
        assert "no gmessenger store" in done.err and SECRET not in done.err
    database = place.url.partition("@/")[2].partition("?")[0]
    assert postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=database) == "0\n"


@pytest.mark.parametrize("asked", [True, False], ids=["by the server", "beside it"])
def test_whatever_is_done_takes_effect_on_the_server(place: SharedPlace, node: RunningServer, asked: bool) -> None:
    where = port_of(node) if asked else ()
    place.does("user", "add", "hank", *where, typed=PASSWORD)
    entrance = node.app.messenger.authenticator
    hank = place.dials(node.port)
    assert hank.enters("hank", password=PASSWORD)["response"] == 200
    assert hank.hears()["action"] == "synced"
    assert place.does("user", "list", *where) == f"hank\t{'here' if asked else '-'}\n"
    place.does("user", "grant", "hank", *where)
    peggy = place.dials(node.port)
    assert peggy.enters("peggy")["response"] == 200
    said = place.does("kick", "peggy", "--reason", "calm down", *where)
    assert ("connections closed: 1" if asked else "every server closes") in said
    while "code" not in (told := peggy.hears()):
        pass
    assert told["code"] == "kicked" and "calm down" in told["error"]
    assert peggy.lines.readline() == b""
    said = place.does("ban", "hank", *where)
    assert ("connections closed: 1" if asked else "every server closes") in said
    assert hank.hears()["code"] == "banned"
    assert entrance.accounts["hank"].role == "operator"
    assert place.does("bans", *where).startswith("hank\tbanned\tserver\t")


def test_a_socket_is_the_servers_that_answers(
    place: SharedPlace, node: RunningServer, start_server: Callable[..., RunningServer]
) -> None:
    path = place.folder / "state" / f"messenger-{node.port}.socket"
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o600
    beside = start_server(store=place.url, ip="127.0.0.2", port=node.port)
    assert f"port {node.port}" in place.does("status", *port_of(node))
    beside.stop()
    assert place.does("user", "list", *port_of(node)) == "" and path.exists()
    node.stop()
    assert not path.exists()


def test_a_dead_servers_socket_is_replaced(place: SharedPlace, start_server: Callable[..., RunningServer]) -> None:
    first = start_server(store=place.url)
    path, port = place.folder / "state" / f"messenger-{first.port}.socket", first.port
    first.stop()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    second = start_server(store=place.url, port=port)
    assert "up for" in place.does("status", *port_of(second))


def test_a_server_of_another_store_is_not_asked(
    place: SharedPlace, node: RunningServer, postgres: Postgres, tmp_path: Path
) -> None:
    other = SharedPlace(tmp_path, postgres.database())
    open_store(other.url).close()
    other.does("user", "add", "hank", *port_of(node), typed=PASSWORD)
    assert other.does("user", "list") == "hank\t-\n"
    assert place.does("user", "list") == ""


def test_the_status_of_a_node(
    place: SharedPlace, start_server: Callable[..., RunningServer], redis_server: Redis
) -> None:
    gone = place.admin("status")
    assert gone.code == 69 and "No server runs on port 7777 of this machine with postgresql://" in gone.err
    hank, dale = (start_server(store=place.url, bus=redis_server.url) for _ in range(2))
    place.dials(dale.port).enters("peggy")
    while "1, on which 1 names are present" not in (page := place.does("status", *port_of(hank))):
        pass
    assert "postgresql://postgres:***@/" in page and " MB, identity " in page
    assert "bus          connected for 0:00:" in page
    assert "0 messages of other servers were read from the store" in page


def test_what_pg_restore_has_read_is_another_store(place: SharedPlace, node: RunningServer) -> None:
    identity = node.app.store.identity
    refused = place.admin("restore")
    assert refused.code == 75 and "Stop them first" in refused.err
    node.stop()
    refused = place.admin("restore", "/some/file")
    assert refused.code == 2 and "pg_restore" in refused.err
    assert "has a new identity now" in place.does("restore")
    store = open_store(place.url)
    assert store.identity != identity
    store.close()


def test_backups_are_made_with_pg_dump(place: SharedPlace, node: RunningServer) -> None:
    refused = place.admin("backup", "/tmp/x", *port_of(node))
    assert refused.code == 73 and "pg_dump" in refused.err


def test_copy(tmp_path: Path, place: SharedPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Place(tmp_path)
    alone.adds("hank")
    said = place.does("copy", alone.url, place.url)
    assert "accounts                 1  " in said and "same row counts, same checksums" in said
    assert "***@/" in said and "is intact" in said and "messages                 0  0000000000000000" in said
    assert place.does("user", "list") == "hank\t-\n"
    again = place.admin("copy", alone.url, place.url)
    assert again.code == 73 and "is not empty" in again.err and SECRET not in again.err
    back = f"sqlite:///{tmp_path}/back.db"
    place.does("copy", place.url, back)
    assert transfer.transfer(back, f"sqlite:///{tmp_path}/third.db").checksums["accounts"].rows == 1
    for words in (("memory:", back), (back, ""), (back, "messenger.db")):
        assert place.admin("copy", *words).code == 78


def test_a_copy_with_a_hole_is_told(tmp_path: Path, place: SharedPlace) -> None:
    alone = Place(tmp_path)
    alone.makes()
    with closing(sqlite3.connect(alone.file)) as db, db:
        db.execute("INSERT INTO conversations (key, name, head) VALUES ('#dev', '#dev', 2)")
    done: Any = place.admin("copy", alone.url, place.url)
    assert done.code == 1 and "#dev should have messages 1 to 2 and has 0" in done.err


def test_a_row_that_cannot_be_copied_stops_it_or_is_left_out(tmp_path: Path, place: SharedPlace) -> None:
    alone = Place(tmp_path)
    alone.adds("hank")
    name = "".join(chr(0x4E00 + 7919 * number % 20_000) for number in range(20_000))
    with closing(sqlite3.connect(alone.file)) as db, db:
        db.execute("INSERT INTO devices (account_id, name, used) VALUES (1, ?, 1.0), (1, 'phone', 1.0)", (name,))
    stopped: Any = place.admin("copy", alone.url, place.url)
    assert stopped.code == 73 and stopped.err.count("\n") == 1 and "devices id=1 account_id=1 name=" in stopped.err
    done: Any = place.admin("copy", alone.url, place.url, "--skip-bad")
    assert done.code == 1 and "left out: devices id=1" in done.err
    assert "Rows left out: 1, and 0 rows that refer to them." in done.out and "devices                  1" in done.out
    assert place.does("user", "list") == "hank\t-\n"
