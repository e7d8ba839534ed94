"""`--check`: what it reports, and that it changes no file and disturbs no running server."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from gmessenger.launcher.services import Postgres, Redis
from gmessenger.server import check as checking
from gmessenger.store import open_store
from gmessenger.store.postgres import schema
from tests.support.server import ServerProcess, open_connection
from tests.support.tls import CertificateAuthority


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = checking.check(["--port", "0", "--log-file", "-", *words])
    output = capsys.readouterr()
    return code, output.out, output.err


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deep/messenger.db"


def test_all_is_well_and_nothing_is_made(capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"
    code, out, err = check(capsys, "--store", store, "--log-file", str(log))
    assert (code, err) == (0, "")
    assert "messenger.db would be made" in out and "no TLS" in out
    assert re.search(r"^--store +sqlite:\S+ +command line$", out, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_a_running_server_is_named_and_goes_on(capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path) -> None:
    with ServerProcess("--store", store) as server:
        port, process = server.wait_for_port(), server.process.pid
        before = sorted(path.name for path in (tmp_path / "deep").iterdir())
        code, out, err = check(capsys, "--store", store, "--port", str(port))
        assert (code, err) == (0, "")
        assert f"in use by process {process}" in out
        assert f"{port}, which process {process}, the running server of this store, listens on" in out
        assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == before
        with open_connection(port) as hank:
            hank.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
            assert b"200" in hank.recv(1024)
        assert server.stop(signal.SIGTERM)[0] == 0
    code, out, _ = check(capsys, "--store", store, "--port", str(port))
    assert code == 0 and "which is free" in out and "schema" in out and "in use" not in out


def test_every_fault_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("It was a dark and stormy night. " * 100)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = check(
            capsys,
            *("--ip", "127.0.0.1", "--port", str(port), "--store", f"sqlite:///{tmp_path}/novel.txt"),
            *(
                "--max-connections",
                "1000000000",
                "--tls-certificate",
                f"{tmp_path}/none.pem",
                "--log-file",
                str(tmp_path),
            ),
        )
    lines = err.splitlines()
    assert code == 78 and len(lines) == 5
    assert all(line.startswith("gmessenger-server: ") for line in lines)
    for line, fault in zip(lines, ["gmessenger store", "in use", "none.pem", "log file", "open"], strict=True):
        assert fault in line
    assert "store: " in out and "files: " in out


@pytest.mark.parametrize(
    ("url", "fault"), [("redis://x", "is not one of"), ("sqlite:////dev/null/x", "is not a directory")]
)
def test_a_store_that_cannot_be(capsys: pytest.CaptureFixture[str], url: str, fault: str) -> None:
    code, _, err = check(capsys, "--store", url)
    assert code == 78 and fault in err


def test_a_full_disk_is_a_fault(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MIN_FREE_DISK", 2**60)
    code, _, err = check(capsys, "--store", store)
    assert code == 78 and "is full" in err


def test_what_servers_share_is_looked_at_and_nothing_is_made(
    capsys: pytest.CaptureFixture[str], postgres: Postgres, redis_server: Redis
) -> None:
    url = postgres.database()
    name, shown = url.partition("@/")[2].partition("?")[0], url.replace("postgres@", "postgres:***@")
    arguments = ("--store", url.replace("postgres@", "postgres:not-to-be-shown@"), "--bus", redis_server.url)
    code, out, err = check(capsys, *arguments)
    assert (code, err) == (0, "")
    assert f"store: {shown}, PostgreSQL " in out and "where the tables would be created" in out
    assert "WARNING: it does not wait for disk writes (fsync)" in out
    assert "bus: Redis " in out and "not-to-be-shown" not in out
    assert postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=name) == "0\n"
    node: Any = open_store(url)
    node.renew_leases()
    code, out, err = check(capsys, *arguments)
    assert (code, err) == (0, "") and f"schema {schema.VERSION}, " in out and "servers that use it now: 1" in out
    code, _, err = check(capsys, *arguments, "--store-connections", "98")
    assert code == 78 and "2 servers with --store-connections 98 take 206" in err
    node.release_node()
    node.close()


def test_a_running_server_of_a_shared_store_has_its_port(
    capsys: pytest.CaptureFixture[str], postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    url = postgres.database()
    with ServerProcess("--store", url, STATE_DIRECTORY=str(tmp_path)) as server:
        port, process = server.wait_for_port(), server.process.pid
        code, out, err = check(capsys, "--store", url, "--port", str(port))
    assert (code, err) == (0, "")
    assert f"{port}, which process {process}, the running server of this store, listens on" in out


@pytest.mark.parametrize(
    ("store", "bus", "fault"),
    [
        ("memory:", "redis://127.0.0.1:1", "--bus is for servers that share a store"),
        ("postgresql://hank@127.0.0.1:1/x", "", "Cannot open the store postgresql://hank@127.0.0.1:1/x"),
        ("postgresql://hank@127.0.0.1:1/x", "redis://127.0.0.1:1", "The bus 'redis://127.0.0.1:1' cannot be used"),
        ("postgresql://hank@127.0.0.1:1/x", "carrier pigeon", "is not one of redis://"),
    ],
)
def test_what_servers_share_and_cannot_be_had(
    capsys: pytest.CaptureFixture[str], store: str, bus: str, fault: str
) -> None:
    code, _, err = check(capsys, "--store", store, "--bus", bus)
    assert code == 78 and fault in err


def test_the_places_for_irc_are_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shipped = ("--store", "memory:", "--ip", "127.0.0.1")
    assert "IRC: nowhere\n" in check(capsys, *shipped)[1]
    authority = CertificateAuthority(tmp_path)
    tls = ("--tls-certificate", str(authority.issue()), "--tls-port", "0")
    places = ("--irc-port", "0", "--irc-tls-port", "0", "--irc-websocket", f"unix:{tmp_path}/irc", "--web", "[::1]:0")
    code, out, err = check(capsys, *shipped, *tls, *places, "--irc-name", "chat.example.org")
    assert f"over WebSocket at unix:{tmp_path}/irc; over WebSocket at /webirc of --web; as chat.example.org\n" in out
    assert "IRC: port a free one; with TLS port a free one; " in out
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for name in ("--irc-port", "--irc-tls-port"):
            code, _, err = check(capsys, *shipped, *tls, "--irc-tls-port", "0", name, port)
            assert code == 78 and f"Cannot listen on port {port}" in err
        code, _, err = check(capsys, *shipped, "--irc-websocket", f"127.0.0.1:{port}")
        assert code == 78 and f"Cannot listen on port {port}" in err
    file = tmp_path / "irc-password"
    file.write_text("open sesame\n")
    code, out, _ = check(capsys, *shipped, "--irc-port", "0", "--irc-password-file", str(file))
    assert code == 0 and ", with a password\n" in out and "sesame" not in out
    code, _, err = check(capsys, *shipped, "--irc-port", "0", "--irc-password-file", str(tmp_path / "none"))
    assert code == 78 and "Cannot read the password file" in err
    code, _, err = check(capsys, *shipped, "--irc-tls-port", "0")
    assert code == 78 and "--irc-tls-port needs a certificate" in err


@pytest.mark.parametrize("option", ["--web", "--health", "--irc-websocket"])
def test_a_socket_file_needs_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str) -> None:
    code, out, _ = check(capsys, "--store", "memory:", option, f"unix:{tmp_path}/socket")
    assert code == 0 and f"unix:{tmp_path}/socket" in out
    code, _, err = check(capsys, "--store", "memory:", option, f"unix:{tmp_path}/none/socket")
    assert code == 78 and "is not writable" in err


def test_it_is_an_option_of_the_command(tmp_path: Path) -> None:
    server: Any = ServerProcess("--check", "--store", "memory:")
    with server:
        out, err = server.process.communicate()
        assert (server.process.returncode, err) == (0, "") and "in memory" in out
