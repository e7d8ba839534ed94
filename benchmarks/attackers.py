"""Attacks on a server, each run in a process of its own: `python -m benchmarks.attackers NAME PORT`.

An attack prints "going" once it has started and runs until it is killed; connections and rates are bounded. A "flood"
keeps MAX_IN_FLIGHT requests unanswered, so it is as fast as the server lets it be.
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

from benchmarks.accounts import PASSWORD, account_name, account_token
from benchmarks.server_process import HOST, raise_file_limit, source_address
from benchmarks.texts import TEXTS

MAX_IN_FLIGHT: Final = 100
TIMEOUT: Final = 30.0
NUMBERS: Final = itertools.count()
ODD_FRAMES: Final = (
    b'{"action":"msg","to":"\xff\xfe","message":"x"}',
    b'{"action":"msg","to":"x","message":"\\ud800"}',
    b'{"action":"msg","to":"x","message":"\\u0000"}',
    b'{"action":"status","status":"\x01\x02"}',
    b'{"action":"join","room":"#\\u202egnp.exe"}',
    os.urandom(500).replace(b"\n", b""),
)
CONFUSABLE_NAMES: Final = (
    "h\u0430nk",
    "\u202ehank",
    "ha\u200bnk",
    "HANK",
    "h\u0251nk",
    "\uff48ank",
    "ha\u0301\u0301\u0301nk",
    "han\u212a",
)


def report_start() -> None:
    print("going", flush=True)


def at_rate(rate: float) -> Iterator[int]:
    """Yield numbers at a rate per second."""
    start = time.monotonic()
    for number in itertools.count():
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        yield number


def frame(action: str, **fields: Any) -> bytes:
    return json.dumps({"action": action, **fields}).encode() + b"\n"


def connect(port: int, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.bind(source_address(next(NUMBERS)))
    sock.settimeout(TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect((HOST, port))
    return sock


def connect_native(port: int, name: str, receive_buffer: int = 0, **user: str) -> socket.socket:
    """Return a native connection that has logged in. Raises RuntimeError if the login was refused."""
    sock = try_login(port, name, receive_buffer, **user)
    if sock is None:
        raise RuntimeError(f"the login of {name} was refused")
    return sock


def try_login(port: int, name: str, receive_buffer: int = 0, **user: str) -> socket.socket | None:
    """Return a native connection that has logged in, or None if the login was refused, as in attacks by logins."""
    sock = connect(port, receive_buffer)
    sock.sendall(frame("presence", jim=2, user={"account_name": name, **user}))
    answer = sock.recv(1 << 16)
    if answer.startswith(b'{"response":200'):
        return sock
    return sock.close()


def connect_account(port: int, number: int, **user: str) -> socket.socket:
    return connect_native(port, account_name(number), session=account_token(number), **user)


def connect_course(port: int, name: str) -> socket.socket:
    sock = connect(port)
    sock.sendall(frame("presence", user={"account_name": name}))
    read_until(sock, b'"response"')
    return sock


def read_until(sock: socket.socket, sign: bytes) -> bool:
    """Read until `sign` has come; return False if the server closes the connection."""
    received = b""
    while sign not in received:
        try:
            data = sock.recv(1 << 18)
        except ConnectionError:
            return False
        if not data:
            return False
        received = received[-len(sign) :] + data
    return True


def discard_input(socks: list[socket.socket]) -> None:
    """Receive and discard all pending bytes, so that no connection counts as a slow reader."""
    for sock in socks:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            while sock.recv(1 << 18):
                pass
        sock.settimeout(TIMEOUT)


def flood(sock: socket.socket, request: Callable[[int], bytes], others: list[socket.socket] | None = None) -> None:
    """Send requests in batches of MAX_IN_FLIGHT, the next one when the last is answered."""
    report_start()
    for start in itertools.count(0, MAX_IN_FLIGHT):
        sock.sendall(b"".join(request(number) for number in range(start, start + MAX_IN_FLIGHT)))
        sock.sendall(frame("probe", id=f"window-{start}"))
        read_until(sock, f'"window-{start}"'.encode())
        discard_input(others or [])


def send_at_rate(port: int, rate: float, data: Callable[[int], bytes], log_in: bool) -> None:
    """Send data at a rate, on a new connection whenever the server has closed the old one."""
    sock: socket.socket | None = None
    report_start()
    for number in at_rate(rate):
        if sock is None:
            sock = try_login(port, f"guest-{number}") if log_in else connect(port)
        if sock is None:
            continue
        try:
            sock.sendall(data(number))
            discard_input([sock])
        except OSError:
            sock = sock.close()


def slow_senders(port: int) -> None:
    socks = [connect(port) for _ in range(500)]
    presence = frame("presence", jim=2, user={"account_name": "x" * 2000})
    report_start()
    for number in at_rate(500):
        socks[number % 500].send(presence[number // 500 : number // 500 + 1])


def slow_readers(port: int) -> None:
    readers = [connect_native(port, f"slow-{number}", 4096) for number in range(50)]
    sender = connect_native(port, "sender")
    flood(sender, lambda number: frame("msg", to=f"slow-{number % len(readers)}", message="x" * 15000))


def half_open(port: int) -> None:
    socks = [connect(port) for _ in range(1000)]
    report_start()
    for number in at_rate(50):  # each connection is replaced after 20 s
        socks[number % 1000].close()
        socks[number % 1000] = connect(port)


def connections(port: int) -> None:
    report_start()
    for _ in at_rate(200):
        connect(port).close()


def wrong_passwords(port: int) -> None:
    socks: list[socket.socket] = []
    report_start()
    for number in at_rate(100):  # on a new connection each: after ten failures one is delayed
        socks.append(connect(port))
        user = {"account_name": account_name(number % 100), "password": "is it this one?"}
        socks[-1].sendall(frame("presence", jim=2, user=user))
        for sock in socks[:-200]:
            sock.close()
        del socks[:-200]


def registrations(port: int) -> None:
    report_start()
    for number in at_rate(50):
        if sock := try_login(port, f"new-{number}"):
            sock.sendall(frame("register", password=PASSWORD))


def presences(port: int) -> None:
    report_start()
    for number in at_rate(300):
        if sock := try_login(port, f"passer-by-{number}"):
            sock.close()


def rooms(port: int) -> None:
    flood(connect_account(port, 0), lambda number: frame("join", room=f"#room-{number}"))


def broadcasts(port: int) -> None:
    listeners = [connect_native(port, f"listener-{number}") for number in range(200)]
    flood(connect_native(port, "sender"), lambda number: frame("msg", to="#all", message="x" * 100), listeners)


def lists(action: str, **fields: Any) -> Callable[[int], None]:
    def attack(port: int) -> None:
        present = [connect_native(port, f"present-{number}") for number in range(1000)]
        asker = connect_account(port, 0)
        for number in range(500):  # messages to find
            asker.sendall(frame("join", room=f"#room-{number % 50}"))
            asker.sendall(frame("msg", to=account_name(1), message=f"hello world number {number} " + "x" * 1000))
        flood(asker, lambda number: frame(action, id="x", **fields), present[:0])

    return attack


def course_user_lists(port: int) -> None:
    _ = [connect_native(port, f"present-{number}") for number in range(1000)]
    asker, answered = connect_course(port, "asker"), 0
    report_start()
    while True:
        asker.sendall(frame("get_users", user={"account_name": "asker"}) * MAX_IN_FLIGHT)
        while answered < MAX_IN_FLIGHT:
            answered += asker.recv(1 << 18).count(b"\n")
        answered -= MAX_IN_FLIGHT


def devices(port: int) -> None:
    """Log in to one account from ever new devices, which takes its password each time."""
    sessions: list[socket.socket] = []
    report_start()
    for number in at_rate(200):
        if sock := try_login(port, account_name(0), password=PASSWORD, device=f"device-{number}"):
            sessions.append(sock)
        for sock in sessions[:-500]:
            sock.close()


def joins_and_leaves(port: int) -> None:
    members = [connect_account(port, number) for number in range(1, 91)]
    for sock in members:
        sock.sendall(frame("join", room="#hall"))
        read_until(sock, b'"seq"')
    flood(connect_account(port, 0), lambda number: frame(("join", "leave")[number % 2], room="#hall"), members)


def guest_messages(port: int) -> None:
    reader = connect_native(port, "reader")
    flood(connect_native(port, "writer"), lambda number: frame("msg", to="reader", message="x" * 100), [reader])


def account_messages(port: int) -> None:
    reader = connect_account(port, 1)
    flood(connect_account(port, 0), lambda number: frame("msg", to=account_name(1), message="x" * 100), [reader])


def worst_texts(port: int) -> None:
    """Send an account the texts that take longest to index."""
    texts = [text[:16_000] for text in TEXTS.values()]
    writer = connect_native(port, "writer")
    flood(writer, lambda number: frame("msg", to=account_name(1), message=texts[number % len(texts)]))


def worst_searches(port: int) -> None:
    texts = list(TEXTS.values())
    flood(connect_account(port, 0), lambda number: frame("search", id="x", text=texts[number % len(texts)][:4000]))


def common_words(port: int) -> None:
    """Search for a word that every message of a room has, and for a prefix of it."""
    writers = [connect_account(port, number) for number in range(8)]
    for sock in writers:
        sock.sendall(frame("join", room="#hall"))
        read_until(sock, b'"seq"')
    for sock in writers:
        for number in range(900):
            sock.sendall(frame("msg", to="#hall", message=f"hello world {number} " + "some words that all have " * 8))
    time.sleep(1.0)
    discard_input(writers)
    flood(writers[0], lambda number: frame("search", id="x", text=f"{'abcdefghij'[number % 10]} hello wor", limit=500))


def room_messages(port: int) -> None:
    members = [connect_account(port, number) for number in range(90)]
    for sock in members:
        sock.sendall(frame("join", room="#hall"))
        read_until(sock, b'"seq"')
    flood(members[0], lambda number: frame("msg", to="#hall", message="x" * 100), members[1:])


def course_messages(port: int) -> None:
    reader, writer = connect_course(port, "reader"), connect_course(port, "writer")
    data = frame("msg", **{"to": "reader", "from": "writer", "message": "x" * 100}) * MAX_IN_FLIGHT
    report_start()
    for _ in at_rate(100):
        writer.sendall(data)
        discard_input([reader, writer])


def odd_frame(number: int) -> bytes:
    return ODD_FRAMES[number % len(ODD_FRAMES)] + b"\n"


def confusable_login(number: int) -> bytes:
    return frame("presence", jim=2, user={"account_name": CONFUSABLE_NAMES[number % len(CONFUSABLE_NAMES)]})


def nested_frame(number: int) -> bytes:
    return b'{"action":"msg","to":' + b'{"a":[' * 5000 + b"\n"


ATTACKS: Final[dict[str, Callable[[int], None]]] = {
    "slow senders": slow_senders,
    "slow readers": slow_readers,
    "half-open": half_open,
    "connections": connections,
    "wrong passwords": wrong_passwords,
    "registrations": registrations,
    "presences": presences,
    "frames of 64 kB": lambda port: send_at_rate(port, 100, lambda _: frame("msg", to="x", message="x" * 64000), True),
    "oversize frames": lambda port: send_at_rate(port, 50, lambda _: b"x" * (1 << 18), True),
    "deep JSON": lambda port: send_at_rate(port, 200, nested_frame, True),
    "deep JSON, course": lambda port: send_at_rate(port, 200, nested_frame, False),
    "odd bytes": lambda port: send_at_rate(port, 500, odd_frame, True),
    "look-alike names": lambda port: send_at_rate(port, 300, confusable_login, False),
    "rooms made, flood": rooms,
    "#all, flood": broadcasts,
    "users, flood": lists("users"),
    "rooms, flood": lists("rooms"),
    "history, flood": lists("history", **{"with": account_name(1), "limit": 500}),
    "search, flood": lists("search", text="hello", limit=500),
    "worst texts, flood": worst_texts,
    "worst searches, flood": worst_searches,
    "common words, flood": common_words,
    "frames of nothing": lambda port: send_at_rate(port, 50, lambda _: b"{}\n" * 20_000, True),
    "get_users, flood": course_user_lists,
    "devices": devices,
    "join and leave, flood": joins_and_leaves,
    "guest messages, flood": guest_messages,
    "kept messages, flood": account_messages,
    "room messages, flood": room_messages,
    "course messages, flood": course_messages,
}


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Repeat `work` in `count` threads, also after its connection was closed."""

    def again(number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                work(number)

    for number in range(count):
        threading.Thread(target=again, args=(number,), daemon=True).start()
    report_start()
    threading.Event().wait()


def renaming(port: int) -> None:
    """Log in as a new guest for each thousand messages, from one address."""
    reader = connect_account(port, 1)
    threading.Thread(target=lambda: read_until(reader, b"never"), daemon=True).start()
    messages = frame("msg", to=account_name(1), message="x" * 100) * 1000

    def once(number: int) -> None:
        with socket.create_connection((HOST, port), TIMEOUT, source_address=("127.0.2.1", 0)) as sock:
            user = {"account_name": f"new-{number}-{next(NUMBERS)}"}
            sock.sendall(frame("presence", jim=2, user=user))
            read_until(sock, b'"response"')
            sock.sendall(messages + frame("probe", id="end"))
            read_until(sock, b'"end"')

    in_threads(8, once)


def long_texts(port: int) -> None:
    reader = connect_account(port, 1)
    flood(connect_account(port, 0), lambda number: frame("msg", to=account_name(1), message="x" * 16_000), [reader])


def password_hashes(port: int) -> None:
    """Send more passwords than the server can hash, each on its own connection."""
    socks: list[socket.socket] = []
    report_start()
    for number in at_rate(200):
        socks.append(connect(port))
        user = {"account_name": f"nobody-{number}", "password": "is it this one?"}
        socks[-1].sendall(frame("presence", jim=2, user=user))
        if len(socks) > 400:
            socks.pop(0).close()


ATTACKS["renaming guest, flood"] = renaming
ATTACKS["long texts, flood"] = long_texts
ATTACKS["hashing, flood"] = password_hashes
OPTIONS: Final = {"renaming guest, flood": ("--limit-loopback", "yes")}
"""Options of the server for an attack. Limits by address do not count connections from this machine by default."""


if __name__ == "__main__":
    raise_file_limit(12_000)
    ATTACKS[sys.argv[1]](int(sys.argv[2]))
