"""What `--web` costs: a login over the WebSocket upgrade beside one over TCP, and memory of a server at rest.

    python -m benchmarks.web_costs [--rounds 9] [--logins 500] [--real-time] [--write]

Each round takes every measurement once. `--real-time` runs the servers at a real-time priority, beside other work (as
root). `--write` puts the table into docs/benchmarks.md. Linux only (/proc); loopback only; a minute.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from benchmarks.report import PAGE, machine
from benchmarks.server_process import HOST, ServerProcess

BEGIN: Final = "<!-- written by `python -m benchmarks.web_costs --write` -->"
END: Final = "<!-- end of what `python -m benchmarks.web_costs` writes -->"
TIMEOUT: Final = 30.0
SETTLE_TIME: Final = 1.0  # seconds
WARM_UP: Final = 50  # logins before the first measurement
REAL_TIME: Final = ("chrt", "-r", "1")
LOGIN_RATIO: Final = 2.0
"""How many times the processor time of a plain login one over the upgrade may take."""
MAX_MEMORY: Final = 4.0
"""MB that a server at rest may take more with `--web`."""
UNLIMITED: Final = ("--message-rate", "0", "--request-rate", "0", "--connect-rate", "0")
MASK: Final = b"\0\0\0\0"  # frames of clients are masked; this one changes nothing
Measurements = dict[str, list[float]]


def presence(number: int) -> bytes:
    return json.dumps({"action": "presence", "jim": 2, "user": {"account_name": f"guest-{number}"}}).encode()


def log_in_plain(port: int, number: int) -> None:
    with closing(socket.create_connection((HOST, port), TIMEOUT)) as sock:
        sock.sendall(presence(number) + b"\n")
        read_until(sock, b'"synced"')


def log_in_web(port: int, number: int) -> None:
    with closing(socket.create_connection((HOST, port), TIMEOUT)) as sock:
        sock.sendall(
            b"GET /jim HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        read_until(sock, b"\r\n\r\n")
        frame = presence(number)
        assert len(frame) < 126, "the length needs another form"
        sock.sendall(bytes((0x81, 0x80 | len(frame))) + MASK + frame)
        read_until(sock, b'"synced"')


def read_until(sock: socket.socket, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        data = sock.recv(65_536)
        assert data, received
        received += data


def cost_of_logins(server: ServerProcess, port: int, log_in: Callable[[int, int], None], count: int) -> float:
    """Return the microseconds of the server's processor for one login and its end."""
    server.wait_until_idle()
    used = server.run_time()
    for number in range(count):
        log_in(port, number)
    server.wait_until_idle()
    return (server.run_time() - used) / count * 1e6


def measure_logins(prefix: tuple[str, ...], rounds: int, count: int) -> Measurements:
    taken: Measurements = {"plain": [], "web": []}
    web_port = free_port()
    options = ("--store", "memory:", *UNLIMITED, "--web", f"{HOST}:{web_port}")
    with ServerProcess(*options, prefix=prefix) as server:
        kinds = {"plain": (server.port, log_in_plain), "web": (web_port, log_in_web)}
        for port, log_in in kinds.values():
            cost_of_logins(server, port, log_in, WARM_UP)
        for _ in range(rounds):
            for kind, (port, log_in) in kinds.items():
                taken[kind].append(cost_of_logins(server, port, log_in, count))
    return taken


def measure_memory(prefix: tuple[str, ...], rounds: int) -> Measurements:
    """Return the MB of servers at rest: without `--web` and with it, at the start and after the first login."""
    taken: Measurements = {"without": [], "web": [], "without, used": [], "web, used": []}
    for _ in range(rounds):
        with ServerProcess("--store", "memory:", prefix=prefix) as server:
            time.sleep(SETTLE_TIME)
            taken["without"].append(server.memory_kb() / 1024)
            log_in_plain(server.port, 1)
            time.sleep(SETTLE_TIME)
            taken["without, used"].append(server.memory_kb() / 1024)
        web_port = free_port()
        with ServerProcess("--store", "memory:", "--web", f"{HOST}:{web_port}", prefix=prefix) as server:
            time.sleep(SETTLE_TIME)
            taken["web"].append(server.memory_kb() / 1024)
            log_in_web(web_port, 1)
            with closing(socket.create_connection((HOST, web_port), TIMEOUT)) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                read_until(sock, b"</html>")
            time.sleep(SETTLE_TIME)
            taken["web, used"].append(server.memory_kb() / 1024)
    return taken


def free_port() -> int:
    with closing(socket.create_server((HOST, 0))) as sock:
        return int(sock.getsockname()[1])


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def table(logins: Measurements, memory: Measurements) -> list[str]:
    ratio = statistics.median(web / plain for plain, web in zip(logins["plain"], logins["web"], strict=True))
    more = statistics.median(memory["web"]) - statistics.median(memory["without"])
    more_used = statistics.median(memory["web, used"]) - statistics.median(memory["without, used"])
    return [
        "| | limit | median (least to most) | |",
        "|---|--:|--:|--:|",
        f"| login of a guest over TCP, µs | | {spread(logins['plain'])} | |",
        f"| over the upgrade to a WebSocket, µs | {LOGIN_RATIO:.1f} × | {spread(logins['web'])} | {ratio:.2f} × |",
        f"| server at rest without `--web`, MB | | {spread(memory['without'], 1)} | |",
        f"| with `--web`, MB | + {MAX_MEMORY:.0f} | {spread(memory['web'], 1)} | + {more:.1f} |",
        f"| without `--web`, after a login, MB | | {spread(memory['without, used'], 1)} | |",
        f"| with `--web`, after the page and a login by it, MB | | {spread(memory['web, used'], 1)} "
        f"| + {more_used:.1f} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--logins", type=int, default=500, help="in a round, of each kind")
    parser.add_argument("--real-time", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    prefix = REAL_TIME if options.real_time else ()
    rows = table(measure_logins(prefix, options.rounds, options.logins), measure_memory(prefix, options.rounds))
    note = "; at a real-time priority, beside other work" if options.real_time else ""
    lines = [f"Medians of {options.rounds} rounds of {options.logins} logins. {machine()}{note}.", "", *rows]
    if not options.write:
        print("\n".join(lines))
        return
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text("\n".join([head + BEGIN, "", *lines, "", END + tail]), "utf-8")


if __name__ == "__main__":
    main()
