"""Preparations of the compared servers: accounts, a room, streams."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks import protocols

TOP: Final = Path(__file__).parent.parent
STORED_PAIRS: Final = 50


def make_accounts(folder: Path) -> None:
    fill_store(f"sqlite:///{folder / 'messenger.db'}")


def fill_store(store: str) -> None:
    """Create accounts with cheap hashes in the store: registering a hundred over the wire takes a minute."""
    command = [sys.executable, "-m", "benchmarks.storage", "--fill", store, "--messages", "0"]
    subprocess.run(command, cwd=TOP, check=True)  # noqa: S603


def make_room(port: int) -> None:
    """Create the room as an account, which stays a member but is not connected during measurements."""
    protocol = protocols.JimAccounts()
    run_steps(port, protocol.login("a0") + protocol.join("a0"))


def make_room_of_guest(port: int) -> None:
    """Create the room as an account that registers for it; it stays a member, but is not connected."""
    protocol = protocols.Jim()
    register = b'{"action":"register","id":"r","password":"%s"}\n' % protocols.PASSWORD.encode()
    run_steps(port, [*protocol.login("owner"), (register, b'"id":"r"'), *protocol.join("owner")])


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that signs itself; return its path and that of its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=localhost", "-days", "30", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    return certificate, key


def make_streams(port: int) -> None:
    """Create a stream in files, and a durable consumer for each reader."""
    create: dict[str, object] = {"name": "stored", "subjects": ["stored.>"], "storage": "file", "retention": "limits"}
    requests = [("$JS.API.STREAM.CREATE.stored", create)]
    for name in (f"b{number}" for number in range(STORED_PAIRS)):
        config: dict[str, object] = {
            "durable_name": name,
            "deliver_subject": f"to.{name}",
            "filter_subject": f"stored.{name}",
        }
        config |= {"ack_policy": "all", "deliver_policy": "all", "max_ack_pending": -1}
        request: dict[str, object] = {"stream_name": "stored", "config": config}
        requests.append((f"$JS.API.CONSUMER.DURABLE.CREATE.stored.{name}", request))
    steps = protocols.Nats().login("maker") + protocols.Nats().listen("made")
    for subject, body in requests:
        text = json.dumps(body).encode()
        steps.append((b"PUB %s made %d\r\n%s\r\n" % (subject.encode(), len(text), text), b'"created"'))
    run_steps(port, steps)


def run_steps(port: int, steps: protocols.Steps) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        for sent, expected in steps:
            sock.sendall(sent)
            received = b""
            while expected not in received:
                received = sock.recv(65536)
                assert received, received
                received += received
