"""Latency between two clients: `python -m benchmarks.pair PORT SECONDS RATE [NAME PASSWORD NAME PASSWORD]`.

One writes to the other RATE times a second; the time from writing to reading is measured. A process of its own, so that
no other work delays it. It prints "ready" once both have logged in, starts when it reads a line, and ends with one line
of JSON: the times in milliseconds, and how many messages were missing.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load import LoadClient
from benchmarks.server_process import TOP

DRAIN_TIMEOUT: Final = 10.0


@dataclass(frozen=True)
class Times:
    """Milliseconds from writing to reading, sorted; `missing`: messages that were not delivered."""

    times: list[float]
    missing: int

    def percentile(self, share: float) -> float:
        return self.times[int(len(self.times) * share)] if self.times else float("inf")


class Pair:
    """Runs this module in a process: `begin`, then `result`."""

    def __init__(self, port: int, seconds: float, rate: float, *credentials: str) -> None:
        command = [sys.executable, "-m", "benchmarks.pair", str(port), str(seconds), str(rate), *credentials]
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def result(self) -> Times:
        output, _ = self._process.communicate(timeout=120)
        return Times(**json.loads(output))


def measure(port: int, seconds: float, rate: float, credentials: Sequence[str]) -> Times:
    one, first, other, second = credentials or ("calm-hank", "", "calm-dale", "")
    writer, reader = LoadClient(port, one, other, first), LoadClient(port, other, one, second)
    print("ready", flush=True)
    sys.stdin.readline()
    selector = selectors.DefaultSelector()
    for each in (reader, writer):
        selector.register(each.sock, selectors.EVENT_READ, each)
    mine = f'"from":"{one}"'.encode()  # others may broadcast
    frame = json.dumps({"action": "msg", "to": other, "message": "x" * 100}).encode() + b"\n"
    total, start = int(seconds * rate), time.monotonic()
    written: list[float] = []
    times: list[float] = []
    while len(times) < total and time.monotonic() < start + seconds + DRAIN_TIMEOUT:
        while len(written) < total and time.monotonic() >= start + len(written) / rate:
            written.append(time.monotonic())
            writer.send(frame)
        due = start + len(written) / rate - time.monotonic() if len(written) < total else 0.5
        for key, _ in selector.select(max(0.0, due)):
            now = time.monotonic()
            for _ in range(key.data.count(mine)):
                times.append((now - written[len(times)]) * 1000)
    return Times(sorted(times), total - len(times))


def main() -> None:
    port, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    result = measure(port, seconds, rate, sys.argv[4:])
    print(json.dumps({"times": [round(each, 2) for each in result.times], "missing": result.missing}))


if __name__ == "__main__":
    main()
