"""A reconnect storm: the server is killed with 2,000 sessions and restarted, and all clients reconnect.

    python -m benchmarks.reconnect_storm [--accounts 2000] [--unread 5] [--together]

Each account reconnects with its token and the backoff of the client library (a random delay of up to a second, which
doubles after each failure), or with `--together` at the same instant, as badly written clients do. Meanwhile two guests
exchange 50 messages a second. Loopback only; under a minute. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import selectors
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.accounts import account_name, account_token, populate
from benchmarks.pair import Pair
from benchmarks.server_process import HOST, ServerProcess, raise_file_limit, source_address
from gmessenger.backoff import Backoff
from gmessenger.client.config import Timeouts

TIMEOUT: Final = 60.0
RATE: Final = 50.0
PAIR_SECONDS: Final = 8.0
ROW: Final = "{:<14} {:>9} {:>10} {:>12} {:>12} {:>9} {:>10} {:>10} {:>10}"
TITLES: Final = (
    "pauses",
    "accounts",
    "all back s",
    "login p50 s",
    "login p99 s",
    "tries",
    "server CPU",
    "pair p50",
    "p99 ms",
)
LOGIN_SIGN: Final = b'"synced"'
JITTER: Final = random.SystemRandom().uniform


@dataclass
class ReconnectingClient:
    """The client of one account."""

    number: int
    backoff: Backoff
    sock: socket.socket | None = None
    received: bytes = b""
    started: float = 0.0
    attempts: int = 0
    duration: float = field(default=0.0)

    def connect(self, port: int) -> bool:
        """Connect and send the login; return False if the server does not listen."""
        self.attempts += 1
        self.started = time.monotonic()
        self.received = b""
        try:
            self.sock = socket.create_connection((HOST, port), TIMEOUT, source_address(self.number))
        except OSError:
            return False
        user = {"account_name": account_name(self.number), "session": account_token(self.number)}
        self.sock.sendall(json.dumps({"action": "presence", "jim": 2, "user": user}).encode() + b"\n")
        return True

    def read(self) -> bool:
        """Read; return True once it has logged in and caught up."""
        assert self.sock is not None
        data = self.sock.recv(65536)
        self.received += data
        assert data, self.received[-200:]
        if LOGIN_SIGN not in self.received:
            return False
        assert b'"response":200' in self.received, self.received[:200]
        self.duration = time.monotonic() - self.started
        return True


def reconnect_all(port: int, clients: list[ReconnectingClient], at_once: bool) -> float:
    """Reconnect all clients; return the time at which the last one has caught up."""
    selector, lost = selectors.DefaultSelector(), time.monotonic()
    attempts = [(lost + (0.0 if at_once else each.backoff.next_delay()), each.number) for each in clients]
    heapq.heapify(attempts)
    missing = len(clients)
    while missing:
        assert time.monotonic() < lost + TIMEOUT, f"{missing} are not back"
        while attempts and attempts[0][0] <= time.monotonic():
            client = clients[heapq.heappop(attempts)[1]]
            if client.connect(port):
                selector.register(client.sock, selectors.EVENT_READ, client)  # type: ignore[arg-type]
            else:
                heapq.heappush(attempts, (time.monotonic() + client.backoff.next_delay(), client.number))
        for key, _ in selector.select(max(0.0, attempts[0][0] - time.monotonic()) if attempts else 1.0):
            if key.data.read():
                selector.unregister(key.fileobj)
                missing -= 1
    return time.monotonic()


def measure(server: ServerProcess, accounts: int, at_once: bool) -> None:
    timeouts = Timeouts()
    clients = [
        ReconnectingClient(each, Backoff(timeouts.initial_backoff, timeouts.max_backoff, JITTER))
        for each in range(accounts)
    ]
    reconnect_all(server.port, clients, True)  # the first login, before the kill
    for client in clients:
        assert client.sock is not None
        client.sock.close()
        client.attempts = 0
    server.kill()
    server.start()
    listening, used = time.monotonic(), server.cpu_seconds()
    pair = Pair(server.port, PAIR_SECONDS, RATE)
    pair.begin()
    recovery = reconnect_all(server.port, clients, at_once) - listening
    used = server.cpu_seconds() - used
    latencies = pair.result()
    duration = sorted(client.duration for client in clients)
    row = ("none" if at_once else "as our client", accounts, f"{recovery:.1f}", f"{duration[len(duration) // 2]:.2f}")
    row += (f"{duration[int(len(duration) * 0.99)]:.2f}", sum(client.attempts for client in clients), f"{used:.1f}")
    print(ROW.format(*row, f"{latencies.percentile(0.5):.1f}", f"{latencies.percentile(0.99):.1f}"), flush=True)
    for client in clients:
        client.sock.close()  # type: ignore[union-attr]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--unread", type=int, default=5, help="messages that wait for each, twice")
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    raise_file_limit(options.accounts + 300)
    print(ROW.format(*TITLES))
    with tempfile.TemporaryDirectory(prefix="storm.", dir=Path.cwd()) as folder:
        store = populate(Path(folder) / "people.db", options.accounts, options.unread)
        for at_once in (True,) if options.together else (False, True):
            with ServerProcess("--store", store) as server:
                measure(server, options.accounts, at_once)


if __name__ == "__main__":
    main()
