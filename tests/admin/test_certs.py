"""Self-signed certificates: creation, display, and a connection with one."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import RunningServer
from tests.support.admin_cli import StoreDirectory
from tests.support.pty_client import TIMEOUT, environment
from tests.support.tls import CertificateAuthority, pin_in


@pytest.fixture
def store_dir(tmp_path: Path) -> StoreDirectory:
    return StoreDirectory(tmp_path)


def test_a_certificate_is_made_with_its_key_for_its_owner_only(store_dir: StoreDirectory) -> None:
    file = store_dir.folder / "server.pem"
    output = store_dir.run("cert", "self-signed", "--host", "chat.lan", "--host", "192.0.2.7", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"tls-certificate = {file}\n" in output
    assert f"gmessenger-client chat.lan --tls --pin {pin_in(file)}\n" in output
    output = store_dir.run("cert", "show", str(file))
    assert "names: chat.lan, 192.0.2.7\n" in output and pin_in(file) in output
    assert "(825 days left)" in output


def test_it_is_made_out_to_this_machine_unless_told_otherwise(store_dir: StoreDirectory) -> None:
    output = store_dir.run("cert", "self-signed", "--days", "30", str(store_dir.folder / "server.pem"))
    assert "localhost, 127.0.0.1, ::1, until " in output
    assert "(30 days left)" in store_dir.run("cert", "show", str(store_dir.folder / "server.pem"))


def test_nothing_is_overwritten(store_dir: StoreDirectory) -> None:
    file = store_dir.folder / "server.pem"
    file.write_text("precious")
    result = store_dir.try_run("cert", "self-signed", str(file))
    assert (result.exit_code, result.stderr) == (73, f"gmessenger-admin: Cannot write {file}: File exists.\n")
    assert file.read_text() == "precious"


@pytest.mark.parametrize("host", ["", "a..b", "x" * 80])
def test_what_is_no_host_is_refused(host: str, store_dir: StoreDirectory) -> None:
    result = store_dir.try_run("cert", "self-signed", "--host", host, str(store_dir.folder / "server.pem"))
    assert result.exit_code == 2 and "cannot be issued for" in result.stderr
    assert not (store_dir.folder / "server.pem").exists()


def test_the_servers_certificate_is_found_in_its_config(store_dir: StoreDirectory) -> None:
    certificate = CertificateAuthority(store_dir.folder).issue()
    (store_dir.folder / "server.ini").write_text(f"[server]\ntls-certificate = {certificate}\n")
    assert pin_in(certificate) in store_dir.run("-c", str(store_dir.folder / "server.ini"), "cert", "show")


def test_what_is_no_certificate_is_said(store_dir: StoreDirectory) -> None:
    (store_dir.folder / "rubbish").write_text("rubbish")
    assert store_dir.try_run("cert", "show", str(store_dir.folder / "rubbish")).exit_code == 73
    assert store_dir.try_run("cert", "show", str(store_dir.folder / "missing")).exit_code == 73
    assert store_dir.try_run("cert", "show").exit_code == 2


def test_from_making_it_to_being_reached_with_it(
    store_dir: StoreDirectory, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """As on a LAN: a server and a client need nothing but what the command prints."""
    file = tmp_path / "server.pem"
    output = store_dir.run("cert", "self-signed", "--host", "127.0.0.1", str(file))
    server = start_server(tls_certificate=str(file), tls_port=0)
    command = output.split("clients:\n")[1].split()
    assert command[:3] == ["gmessenger-client", "127.0.0.1", "--tls"]
    sent = client(server, tmp_path, *command[3:])
    assert (sent.returncode, sent.stderr) == (0, b"")
    assert client(server, tmp_path, "--ca", str(file)).returncode == 0
    wrong = client(server, tmp_path, "--pin", "sha256:" + "0" * 64)
    assert wrong.returncode == 77 and pin_in(file).encode() in wrong.stderr
    unknown = client(server, tmp_path)
    assert (unknown.returncode, unknown.stderr.count(b"\n")) == (77, 1)
    assert (
        b"Cannot trust 127.0.0.1: self-signed certificate. (To trust this server, use --ca FILE or --pin"
        in unknown.stderr
    )


def client(server: RunningServer, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a client that sends a message to itself."""
    where = ["127.0.0.1", str(server.app.tls_port), "--tls", "--name", "hank", "--to", "hank"]
    argv = [sys.executable, "-m", "gmessenger", "client", *where, *arguments]
    env = environment(folder / "client.log")
    return subprocess.run(argv, input=b"hi\n", capture_output=True, cwd=ROOT, env=env, timeout=TIMEOUT * 2)
