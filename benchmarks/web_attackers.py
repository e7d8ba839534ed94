"""Attacks on the web endpoint, as those of `attackers`: `python -m benchmarks.web_attackers NAME PORT-OF-WEB`."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
from collections.abc import Callable
from typing import Final

from websockets.frames import Frame, Opcode

from benchmarks.attackers import at_rate, connect, discard_input, frame, read_until, report_start
from benchmarks.server_process import raise_file_limit

HEAD: Final = b"GET /jim HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE: Final = (
    HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
GET: Final = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED: Final = b"POST /jim HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
MAX_OPEN: Final = 500


def message(data: bytes) -> bytes:
    return Frame(Opcode.TEXT, data).serialize(mask=True)


def connect_web(port: int, name: str = "") -> socket.socket:
    """Return a WebSocket; with a name, one that has logged in."""
    sock = connect(port)
    sock.sendall(UPGRADE)
    read_until(sock, b"\r\n\r\n")
    if name:
        sock.sendall(message(frame("presence", jim=2, user={"account_name": name})))
        read_until(sock, b'"response"')
    return sock


def slow_heads(port: int) -> None:
    """Send heads byte by byte on many connections, each replaced when the server has had enough of it."""
    socks = [connect(port) for _ in range(MAX_OPEN)]
    report_start()
    for number in at_rate(500):
        index = number % MAX_OPEN
        try:
            socks[index].send(HEAD[number // MAX_OPEN % len(HEAD)].to_bytes(1, "big"))
        except OSError:
            socks[index].close()
            socks[index] = connect(port)


def silent_connections(port: int) -> None:
    socks = [connect(port) for _ in range(2 * MAX_OPEN)]
    report_start()
    for number in at_rate(50):
        socks[number % len(socks)].close()
        socks[number % len(socks)] = connect(port)


def requests(port: int) -> None:
    """Send a hundred requests at once, as often as they are answered."""
    report_start()
    while True:
        with contextlib.closing(connect(port)) as sock, contextlib.suppress(OSError):
            sock.sendall(GET * 100)
            while sock.recv(1 << 18):
                pass


def send_on_new_connections(data: bytes, rate: float) -> Callable[[int], None]:
    """Return an attack that sends bytes at a rate, each time on a new connection that is read and closed later."""

    def attack(port: int) -> None:
        socks: list[socket.socket] = []
        report_start()
        for _ in at_rate(rate):
            socks.append(connect(port))
            with contextlib.suppress(OSError):
                socks[-1].sendall(data)
            for sock in socks[:-100]:
                sock.close()
            del socks[:-100]

    return attack


def send_frames(frames: Callable[[int], bytes], rate: float) -> Callable[[int], None]:
    """Return an attack that sends frames at a rate, on a new WebSocket whenever the server has closed the old one."""

    def attack(port: int) -> None:
        names = itertools.count()
        sock = connect_web(port, f"web-{next(names)}")
        report_start()
        for number in at_rate(rate):
            try:
                sock.sendall(frames(number))
                discard_input([sock])
            except OSError:
                sock.close()
                sock = connect_web(port, f"web-{next(names)}")

    return attack


def fragments(number: int) -> bytes:
    """Return a thousand fragments of one byte of a message that does not end."""
    opcode = Opcode.TEXT if number == 0 else Opcode.CONT
    first = Frame(opcode, b"x", fin=False).serialize(mask=True)
    return first + Frame(Opcode.CONT, b"x", fin=False).serialize(mask=True) * 999


PINGS: Final = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000
EMPTY_MESSAGES: Final = message(b"") * 10_000

WEB_ATTACKS: Final[dict[str, Callable[[int], None]]] = {
    "web: slow heads": slow_heads,
    "web: silent": silent_connections,
    "web: requests, flood": requests,
    "web: heads of 16 kB": send_on_new_connections(HEAD + b"a: b\r\n" * 3000, 100),
    "web: bodies nobody reads": send_on_new_connections(CHUNKED + b"1000\r\n" + b"x" * 4096 + b"\r\n", 200),
    "web: upgrades": send_on_new_connections(UPGRADE, 200),
    "web: pings": send_frames(lambda _: PINGS, 50),
    "web: fragments": send_frames(fragments, 50),
    "web: empty messages": send_frames(lambda _: EMPTY_MESSAGES, 20),
    "web: oversize messages": send_frames(lambda _: message(b"x" * (1 << 18)), 50),
}


if __name__ == "__main__":
    raise_file_limit(12_000)
    WEB_ATTACKS[sys.argv[1]](int(sys.argv[2]))
