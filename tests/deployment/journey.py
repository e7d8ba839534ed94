"""A sandboxed server, and everything that an operator and a user do with one."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from gmessenger.paths import short_socket_path
from tests.deployment import sandbox
from tests.support.admin_cli import PASSWORD, AdminTestClient, CommandResult, StoreDirectory
from tests.support.server import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority

SERVER: Final = [sys.executable, "-m", "gmessenger", "server"]
STORE_INSIDE: Final = f"sqlite:///{sandbox.STATE}/messenger.db"
OPTIONS: Final = ["--port", "0", "--tls-port", "0", "--drain-timeout", "2", "--log-file", "-"]
ENVIRON: Final = {"PATH": "/usr/bin:/bin", "HOME": str(sandbox.STATE), "PYTHONPATH": str(sandbox.ROOT)}


def require_sandbox(**spec: Any) -> None:
    """Skip the test if the kernel refuses to create such a sandbox."""
    pytest.importorskip("pyseccomp", reason="libseccomp is not here", exc_type=Exception)
    with sandbox.start(["/bin/true"], **spec) as probe:
        _, err = probe.communicate(timeout=TEST_TIMEOUT)
    if probe.returncode != 0:
        pytest.skip(err.strip().rpartition("\n")[2])


class SandboxedServer:
    """A server in a sandbox, with store, certificate and configuration in `folder`/state."""

    def __init__(self, folder: Path, *arguments: str, **spec: Any) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.state_inside = sandbox.STATE if "state" in spec else self.state
        self.authority = CertificateAuthority(self.state)
        self.authority.issue()
        self.store_dir = StoreDirectory(self.state)
        self._ini = self.state / "server.ini"
        self.configure("max-text = 1000")
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.settimeout(TEST_TIMEOUT)
        with short_socket_path(self.state / "notify") as address:
            self._systemd.bind(address)
        options = [
            *OPTIONS,
            "-c",
            f"{self.state_inside}/server.ini",
            "--tls-certificate",
            f"{self.state_inside}/server.pem",
        ]
        store = [
            "--store",
            f"sqlite:///{self.state_inside}/messenger.db",
            "--health",
            f"unix:{self.state_inside}/health",
        ]
        environ = ENVIRON | {"STATE_DIRECTORY": str(self.state_inside), "NOTIFY_SOCKET": f"{self.state_inside}/notify"}
        self.process = sandbox.start([*SERVER, *options, *store, *arguments], environ=environ, **spec)

    def __enter__(self) -> SandboxedServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.store_dir.close()
        self._systemd.close()
        self.process.kill()
        self.process.communicate()

    def configure(self, *lines: str) -> None:
        """Write the configuration, to be read at the next start or reload."""
        self._ini.write_text("\n".join(["[server]", *lines, ""]), "utf-8")

    def wait_for(self, word: str) -> None:
        """Wait until systemd is notified with that line."""
        while word not in self._systemd.recv(4096).decode().splitlines():
            pass

    def admin(self, *arguments: str, typed: str = "") -> CommandResult:
        """Run an admin command outside of the sandbox; it has to succeed."""
        done = self.store_dir.try_run(*arguments, typed=typed)
        assert done.exit_code == 0, done.stderr
        return done

    def metrics(self) -> str:
        """Return the metrics from the health socket."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(TEST_TIMEOUT)
            with short_socket_path(self.state / "health") as address:
                asking.connect(address)
            asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return asking.makefile("rb").read().decode()

    def stop(self) -> str:
        """Stop the server; return its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=TEST_TIMEOUT)
        assert self.process.returncode == 0, log
        return log


def ports(line: str) -> tuple[int, int]:
    """Return the plain and the TLS port from the line that a server prints at its start."""
    options = line.replace(",", "").split()
    result = [int(options[at + 1]) for at, word in enumerate(options) if word == "port"]
    assert len(result) == 2, line
    return result[0], result[1]


def log_in_by_tls(port: int, context: ssl.SSLContext, name: str) -> int:
    """Log in with the password; return the status."""
    with (
        socket.create_connection(("127.0.0.1", port), TEST_TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        user = {"account_name": name, "password": PASSWORD, "device": "encrypted"}
        line.sendall(json.dumps({"action": "presence", "jim": 2, "user": user}).encode() + b"\n")
        return int(json.loads(line.makefile("rb").readline())["response"])


def exercise(server: SandboxedServer, outside_dir: Path) -> str:
    """Use all functions of a server; return its log.

    Args:
        outside_dir: a folder that the server cannot see.
    """
    assert server.process.stdout is not None
    line = server.process.stdout.readline()
    if not line:
        pytest.fail(server.process.communicate(timeout=TEST_TIMEOUT)[1])
    plain, encrypted = ports(line)
    server.wait_for("READY=1")
    hank = _exchange_messages(server, plain)
    assert log_in_by_tls(encrypted, server.authority.context, "hank") == 200
    _administer(server, outside_dir)
    metrics = server.metrics()
    assert "gmessenger_failures_total 0.0" in metrics and "process_resident_memory_bytes" in metrics
    server.configure("max-text = 500")
    server.authority.issue()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("READY=1")
    refused = hank.request(action="msg", id="l", to="hank", message="l" * 501)
    assert refused.get("code") == "too_long", refused
    assert log_in_by_tls(encrypted, server.authority.context, "hank") == 200
    return server.stop()


def _exchange_messages(server: SandboxedServer, port: int) -> AdminTestClient:
    hank = server.store_dir.connect(port)
    assert hank.log_in("hank")["response"] == 200
    assert hank.request(action="register", id="r", password=PASSWORD)["response"] == 201
    assert hank.request(action="msg", id="m", to="hank", message="kept for good")["response"] == 200
    assert server.store_dir.connect(port).log_in("hank", password="wrong words")["response"] == 402
    assert server.store_dir.connect(port).log_in("hank", password=PASSWORD, device="other")["response"] == 200
    return hank


def _administer(server: SandboxedServer, outside_dir: Path) -> None:
    server.admin("user", "add", "dale", typed=PASSWORD)
    server.admin("export", str(outside_dir / "export"))
    assert "kept for good" in (outside_dir / "export").read_text("utf-8")
    assert "from hank" in server.admin("trace", "hank", "hank", "1").stdout
    server.admin("prune", "--older-than", "3d")
    server.admin("backup", str(outside_dir / "backup.db"))
    assert "messages 1" in server.admin("verify", str(outside_dir / "backup.db")).stdout
    assert "process " in server.admin("status").stdout
