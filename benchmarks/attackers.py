"""What strangers do to a server, each in a process of its own: `python -m benchmarks.attackers NAME PORT`.

It says "going" when it is under way and goes on until it is killed; every attack is bounded in connections and in
rate. Those called a flood have up to `WINDOW` requests unanswered and are as fast as the server lets them be.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.accounts import PASSWORD, name_of, token_of
from benchmarks.server_process import HOST, many_files, source
from benchmarks.texts import TEXTS

WINDOW: Final = 100
PATIENCE: Final = 30.0
NUMBERS: Final = itertools.count()
ODD: Final = (
    b'{"action":"msg","to":"\xff\xfe","message":"x"}',
    b'{"action":"msg","to":"x","message":"\\ud800"}',
    b'{"action":"msg","to":"x","message":"\\u0000"}',
    b'{"action":"status","status":"\x01\x02"}',
    b'{"action":"join","room":"#\\u202egnp.exe"}',
    os.urandom(500).replace(b"\n", b""),
)
ALIKE: Final = (
    "h\u0430nk",
    "\u202ehank",
    "ha\u200bnk",
    "HANK",
    "h\u0251nk",
    "\uff48ank",
    "ha\u0301\u0301\u0301nk",
    "han\u212a",
)


def going() -> None:
    print("going", flush=True)


def paced(rate: float) -> Iterator[int]:
    """Numbers, so many a second."""
    began = time.monotonic()
    for number in itertools.count():
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        yield number


def frame(action: str, **fields: Any) -> bytes:
    return json.dumps({"action": action, **fields}).encode() + b"\n"


def dial(port: int, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.bind(source(next(NUMBERS)))
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect((HOST, port))
    return sock


def native(port: int, name: str, receive_buffer: int = 0, **user: str) -> socket.socket:
    """A native connection that is logged in."""
    sock = dial(port, receive_buffer)
    sock.sendall(frame("presence", jim=2, user={"account_name": name, **user}))
    until(sock, b'"response"')
    return sock


def account(port: int, number: int, **user: str) -> socket.socket:
    return native(port, name_of(number), session=token_of(number), **user)


def course(port: int, name: str) -> socket.socket:
    sock = dial(port)
    sock.sendall(frame("presence", user={"account_name": name}))
    until(sock, b'"response"')
    return sock


def until(sock: socket.socket, sign: bytes) -> bool:
    """Read until this has come; False where the server hung up."""
    heard = b""
    while sign not in heard:
        try:
            data = sock.recv(1 << 18)
        except ConnectionError:
            return False
        if not data:
            return False
        heard = heard[-len(sign) :] + data
    return True


def forget(socks: list[socket.socket]) -> None:
    """Throw away what has come, so that nobody is a slow reader."""
    for sock in socks:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            while sock.recv(1 << 18):
                pass
        sock.settimeout(PATIENCE)


def flood(sock: socket.socket, request: Callable[[int], bytes], others: list[socket.socket] | None = None) -> None:
    """Requests as fast as they are answered, a window of them at a time."""
    going()
    for start in itertools.count(0, WINDOW):
        sock.sendall(b"".join(request(number) for number in range(start, start + WINDOW)))
        sock.sendall(frame("probe", id=f"window-{start}"))
        until(sock, f'"window-{start}"'.encode())
        forget(others or [])


def throw(port: int, rate: float, data: Callable[[int], bytes], log_in: bool) -> None:
    """Bytes at that rate, on a new connection whenever the old one is hung up on."""
    sock: socket.socket | None = None
    going()
    for number in paced(rate):
        if sock is None:
            sock = native(port, f"thrower-{number}") if log_in else dial(port)
        try:
            sock.sendall(data(number))
            forget([sock])
        except OSError:
            sock = sock.close()


def slow_senders(port: int) -> None:
    socks = [dial(port) for _ in range(500)]
    presence = frame("presence", jim=2, user={"account_name": "x" * 2000})
    going()
    for number in paced(500):
        socks[number % 500].send(presence[number // 500 : number // 500 + 1])


def slow_readers(port: int) -> None:
    deaf = [native(port, f"deaf-{number}", 4096) for number in range(50)]
    flood(native(port, "shouter"), lambda number: frame("msg", to=f"deaf-{number % len(deaf)}", message="x" * 15000))


def half_open(port: int) -> None:
    socks = [dial(port) for _ in range(1000)]
    going()
    for number in paced(50):  # each is dropped some day and comes again
        socks[number % 1000].close()
        socks[number % 1000] = dial(port)


def connections(port: int) -> None:
    going()
    for _ in paced(200):
        dial(port).close()


def wrong_passwords(port: int) -> None:
    socks: list[socket.socket] = []
    going()
    for number in paced(100):  # on a new connection each: one that has failed ten times has to wait
        socks.append(dial(port))
        card = {"account_name": name_of(number % 100), "password": "is it this one?"}
        socks[-1].sendall(frame("presence", jim=2, user=card))
        for sock in socks[:-200]:
            sock.close()
        del socks[:-200]


def registrations(port: int) -> None:
    going()
    for number in paced(50):
        sock = native(port, f"new-{number}")
        sock.sendall(frame("register", password=PASSWORD))


def presences(port: int) -> None:
    going()
    for number in paced(300):
        native(port, f"passer-by-{number}").close()


def rooms(port: int) -> None:
    flood(account(port, 0), lambda number: frame("join", room=f"#room-{number}"))


def everybody(port: int) -> None:
    listeners = [native(port, f"listener-{number}") for number in range(200)]
    flood(native(port, "shouter"), lambda number: frame("msg", to="#all", message="x" * 100), listeners)


def lists(action: str, **fields: Any) -> Callable[[int], None]:
    def attack(port: int) -> None:
        present = [native(port, f"present-{number}") for number in range(1000)]
        asker = account(port, 0)
        for number in range(500):  # something to be found
            asker.sendall(frame("join", room=f"#room-{number % 50}"))
            asker.sendall(frame("msg", to=name_of(1), message=f"hello world number {number} " + "x" * 1000))
        flood(asker, lambda number: frame(action, id="x", **fields), present[:0])

    return attack


def names_seen(port: int) -> None:
    _ = [native(port, f"present-{number}") for number in range(1000)]
    asker, answered = course(port, "asker"), 0
    going()
    while True:
        asker.sendall(frame("get_users", user={"account_name": "asker"}) * WINDOW)
        while answered < WINDOW:
            answered += asker.recv(1 << 18).count(b"\n")
        answered -= WINDOW


def devices(port: int) -> None:
    kept = [account(port, 0, device="first")]
    going()
    for number in paced(200):
        kept.append(account(port, 0, device=f"device-{number}"))
        for sock in kept[:-500]:
            sock.close()


def comings_and_goings(port: int) -> None:
    members = [account(port, number) for number in range(1, 91)]
    for sock in members:
        sock.sendall(frame("join", room="#hall"))
        until(sock, b'"seq"')
    flood(account(port, 0), lambda number: frame(("join", "leave")[number % 2], room="#hall"), members)


def guest_messages(port: int) -> None:
    reader = native(port, "reader")
    flood(native(port, "writer"), lambda number: frame("msg", to="reader", message="x" * 100), [reader])


def account_messages(port: int) -> None:
    reader = account(port, 1)
    flood(account(port, 0), lambda number: frame("msg", to=name_of(1), message="x" * 100), [reader])


def worst_texts(port: int) -> None:
    """A stranger writes to an account what takes longest to be found again."""
    texts = [text[:16_000] for text in TEXTS.values()]
    flood(native(port, "writer"), lambda number: frame("msg", to=name_of(1), message=texts[number % len(texts)]))


def worst_searches(port: int) -> None:
    texts = list(TEXTS.values())
    flood(account(port, 0), lambda number: frame("search", id="x", text=texts[number % len(texts)][:4000]))


def common_words(port: int) -> None:
    """Search, as members of a large room, for a word that is in every message, and for a prefix of it."""
    writers = [account(port, number) for number in range(8)]
    for sock in writers:
        sock.sendall(frame("join", room="#hall"))
        until(sock, b'"seq"')
    for sock in writers:
        for number in range(900):
            sock.sendall(frame("msg", to="#hall", message=f"hello world {number} " + "some words that all have " * 8))
    time.sleep(1.0)
    forget(writers)
    flood(writers[0], lambda number: frame("search", id="x", text=f"{'abcdefghij'[number % 10]} hello wor", limit=500))


def room_messages(port: int) -> None:
    members = [account(port, number) for number in range(90)]
    for sock in members:
        sock.sendall(frame("join", room="#hall"))
        until(sock, b'"seq"')
    flood(members[0], lambda number: frame("msg", to="#hall", message="x" * 100), members[1:])


def course_messages(port: int) -> None:
    reader, writer = course(port, "reader"), course(port, "writer")
    said = b"".join(frame("msg", **{"to": "reader", "from": "writer", "message": "x" * 100}) for _ in range(WINDOW))
    going()
    for _ in paced(100):
        writer.sendall(said)
        forget([reader, writer])


def deep(number: int) -> bytes:
    return b'{"action":"msg","to":' + b'{"a":[' * 5000 + b"\n"


ATTACKS: Final[dict[str, Callable[[int], None]]] = {
    "slow senders": slow_senders,
    "slow readers": slow_readers,
    "half-open": half_open,
    "connections": connections,
    "wrong passwords": wrong_passwords,
    "registrations": registrations,
    "presences": presences,
    "frames of 64 kB": lambda port: throw(port, 100, lambda _: frame("msg", to="x", message="x" * 64000), True),
    "oversize frames": lambda port: throw(port, 50, lambda _: b"x" * (1 << 18), True),
    "deep JSON": lambda port: throw(port, 200, deep, True),
    "deep JSON, course": lambda port: throw(port, 200, deep, False),
    "odd bytes": lambda port: throw(port, 500, lambda number: ODD[number % len(ODD)] + b"\n", True),
    "look-alike names": lambda port: throw(
        port, 300, lambda number: frame("presence", jim=2, user={"account_name": ALIKE[number % len(ALIKE)]}), False
    ),
    "rooms made, flood": rooms,
    "#all, flood": everybody,
    "users, flood": lists("users"),
    "rooms, flood": lists("rooms"),
    "history, flood": lists("history", **{"with": name_of(1), "limit": 500}),
    "search, flood": lists("search", text="hello", limit=500),
    "worst texts, flood": worst_texts,
    "worst searches, flood": worst_searches,
    "common words, flood": common_words,
    "frames of nothing": lambda port: throw(port, 50, lambda _: b"{}\n" * 20_000, True),
    "get_users, flood": names_seen,
    "devices": devices,
    "join and leave, flood": comings_and_goings,
    "guest messages, flood": guest_messages,
    "kept messages, flood": account_messages,
    "room messages, flood": room_messages,
    "course messages, flood": course_messages,
}


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Repeat `work` in `count` threads; one whose connection was closed begins again."""

    def again(number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                work(number)

    for number in range(count):
        threading.Thread(target=again, args=(number,), daemon=True).start()
    going()
    threading.Event().wait()


def renaming(port: int) -> None:
    """One address, and a new guest for each thousand messages."""
    reader = account(port, 1)
    threading.Thread(target=lambda: until(reader, b"never"), daemon=True).start()
    said = b"".join(frame("msg", to=name_of(1), message="x" * 100) for _ in range(1000))

    def once(number: int) -> None:
        with socket.create_connection((HOST, port), PATIENCE, source_address=("127.0.2.1", 0)) as sock:
            card = {"account_name": f"new-{number}-{next(NUMBERS)}"}
            sock.sendall(frame("presence", jim=2, user=card))
            until(sock, b'"response"')
            sock.sendall(said + frame("probe", id="end"))
            until(sock, b'"end"')

    at_once(8, once)


def long_texts(port: int) -> None:
    reader = account(port, 1)
    flood(account(port, 0), lambda number: frame("msg", to=name_of(1), message="x" * 16_000), [reader])


def hashing(port: int) -> None:
    """More passwords than can be hashed, each on a connection that waits for its answer: their queue is always full."""
    socks: list[socket.socket] = []
    going()
    for number in paced(200):
        socks.append(dial(port))
        card = {"account_name": f"nobody-{number}", "password": "is it this one?"}
        socks[-1].sendall(frame("presence", jim=2, user=card))
        if len(socks) > 400:
            socks.pop(0).close()


ATTACKS["renaming guest, flood"] = renaming
ATTACKS["long texts, flood"] = long_texts
ATTACKS["hashing, flood"] = hashing
OPTIONS: Final = {"renaming guest, flood": ("--limit-loopback", "yes")}
"""What the server is told besides, for attacks whose limit is one by address: those of this machine are not counted."""


if __name__ == "__main__":
    many_files(12_000)
    ATTACKS[sys.argv[1]](int(sys.argv[2]))
