"""A reconnect storm: the server is killed under 2,000 live sessions, started again, and all of them come back at once.

    python -m benchmarks.reconnect_storm [--accounts 2000] [--unread 5] [--together]

Each account resumes its session with its token, in the rhythm of our client (a pause of up to a second that doubles
with each refused try), or with `--together` in one instant, as badly written clients do. A pair of guests that is there
before them sends 50 messages a second meanwhile. Loopback only; under a minute. Linux only (/proc).
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

from benchmarks.accounts import name_of, populate, token_of
from benchmarks.pair import Pair
from benchmarks.server_process import HOST, Served, many_files, source
from gmessenger.backoff import Backoff
from gmessenger.client.config import Timeouts

BOUND: Final = 60.0
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
LET_IN: Final = b'"synced"'
JITTER: Final = random.SystemRandom().uniform


@dataclass
class Member:
    """One account that wants to be back."""

    number: int
    pauses: Backoff
    sock: socket.socket | None = None
    heard: bytes = b""
    began: float = 0.0
    tries: int = 0
    took: float = field(default=0.0)

    def connect(self, port: int) -> bool:
        """Begin a try; says whether somebody listens."""
        self.tries += 1
        self.began = time.monotonic()
        self.heard = b""
        try:
            self.sock = socket.create_connection((HOST, port), BOUND, source(self.number))
        except OSError:
            return False
        card = {"account_name": name_of(self.number), "session": token_of(self.number)}
        self.sock.sendall(json.dumps({"action": "presence", "jim": 2, "user": card}).encode() + b"\n")
        return True

    def hear(self) -> bool:
        """Whether it is back, with everything that waited for it."""
        assert self.sock is not None
        data = self.sock.recv(65536)
        self.heard += data
        assert data, self.heard[-200:]
        if LET_IN not in self.heard:
            return False
        assert b'"response":200' in self.heard, self.heard[:200]
        self.took = time.monotonic() - self.began
        return True


def come_back(port: int, members: list[Member], together: bool) -> float:
    """All of them try until they are back; the moment when the last one is."""
    selector, lost = selectors.DefaultSelector(), time.monotonic()
    tries = [(lost + (0.0 if together else each.pauses.next_delay()), each.number) for each in members]
    heapq.heapify(tries)
    missing = len(members)
    while missing:
        assert time.monotonic() < lost + BOUND, f"{missing} are not back"
        while tries and tries[0][0] <= time.monotonic():
            member = members[heapq.heappop(tries)[1]]
            if member.connect(port):
                selector.register(member.sock, selectors.EVENT_READ, member)  # type: ignore[arg-type]
            else:
                heapq.heappush(tries, (time.monotonic() + member.pauses.next_delay(), member.number))
        for key, _ in selector.select(max(0.0, tries[0][0] - time.monotonic()) if tries else 1.0):
            if key.data.hear():
                selector.unregister(key.fileobj)
                missing -= 1
    return time.monotonic()


def storm(server: Served, accounts: int, together: bool) -> None:
    patience = Timeouts()
    members = [
        Member(each, Backoff(patience.initial_backoff, patience.max_backoff, JITTER)) for each in range(accounts)
    ]
    come_back(server.port, members, True)  # so that there is something to lose
    for member in members:
        assert member.sock is not None
        member.sock.close()
        member.tries = 0
    server.kill()
    server.start()
    listening, used = time.monotonic(), server.processor()
    pair = Pair(server.port, PAIR_SECONDS, RATE)
    pair.begin()
    back = come_back(server.port, members, together) - listening
    used = server.processor() - used
    beside = pair.result()
    took = sorted(member.took for member in members)
    row = ("none" if together else "as our client", accounts, f"{back:.1f}", f"{took[len(took) // 2]:.2f}")
    row += (f"{took[int(len(took) * 0.99)]:.2f}", sum(member.tries for member in members), f"{used:.1f}")
    print(ROW.format(*row, f"{beside.percentile(0.5):.1f}", f"{beside.percentile(0.99):.1f}"), flush=True)
    for member in members:
        member.sock.close()  # type: ignore[union-attr]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--unread", type=int, default=5, help="messages that wait for each, twice")
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    many_files(options.accounts + 300)
    print(ROW.format(*TITLES))
    with tempfile.TemporaryDirectory(prefix="storm.", dir=Path.cwd()) as folder:
        store = populate(Path(folder) / "people.db", options.accounts, options.unread)
        for together in (True,) if options.together else (False, True):
            with Served("--store", store) as server:
                storm(server, options.accounts, together)


if __name__ == "__main__":
    main()
