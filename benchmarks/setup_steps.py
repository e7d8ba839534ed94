"""What has to be there before a server is measured: accounts, a room, streams. Nobody is given more than it needs."""

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
    fill(f"sqlite:///{folder / 'messenger.db'}")


def fill(store: str) -> None:
    """Accounts with cheap hashes, in the store itself: registering a hundred of them over the wire takes a minute."""
    command = [sys.executable, "-m", "benchmarks.storage", "--fill", store, "--messages", "0"]
    subprocess.run(command, cwd=TOP, check=True)  # noqa: S603


def make_room(port: int) -> None:
    """Only an account may make a room; it stays a member, but is not connected while anything is measured."""
    speech = protocols.JimAccounts()
    converse(port, speech.login("a0") + speech.join("a0"))


def make_streams(port: int) -> None:
    """One stream in files, and for each reader a durable consumer of what is meant for it."""
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
    converse(port, steps)


def converse(port: int, steps: protocols.Steps) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        for sent, awaited in steps:
            sock.sendall(sent)
            heard = b""
            while awaited not in heard:
                received = sock.recv(65536)
                assert received, heard
                heard += received
