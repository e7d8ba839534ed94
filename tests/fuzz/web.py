"""The fuzz target of the web endpoint: any bytes on a connection, as HTTP or as frames of a WebSocket."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

import gevent
from gevent import socket
from websockets.frames import Frame, Opcode

from gmessenger.server.server import Server
from tests.fuzz.draws import Draw

TIMEOUT: Final = 20.0
"""Seconds in which a connection must have ended after its client has sent everything."""
MAX_CPU: Final = 2.0  # seconds of the whole process, for one input
MAX_RESPONSE: Final = 1_000_000  # bytes
PIECES: Final = (1, 3, 40, 5000)
"""Lengths of the pieces that an input is sent in."""
UPGRADE: Final = (
    b"GET /jim HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PRESENCE: Final = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}'
AS_HTTP, AS_FRAMES = range(2)


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", *headers, "", ""]).encode()


REQUESTS: Final = (
    UPGRADE,
    UPGRADE + b"\x81\x80abcd",
    head("GET / HTTP/1.1") * 5,
    head("GET /jim HTTP/1.0"),
    head("HEAD /jim HTTP/1.1", "Connection: close"),
    head("POST /jim HTTP/1.1", "Content-Length: 4") + b"abcd" + head("GET / HTTP/1.1"),
    head("POST /jim HTTP/1.1", "Content-Length: 4", "Content-Length: 5") + b"abcde",
    head("POST /jim HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head("POST /jim HTTP/1.1", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\nx: y\r\n\r\n",
    head("POST /jim HTTP/1.1", "Transfer-Encoding: chunked") + b"ffffffffffffffffff\r\n",
    head("POST /jim HTTP/1.1", "Expect: 100-continue", "Content-Length: 1"),
    head("GET http://localhost/jim HTTP/1.1", "Origin: null", "X-Forwarded-For: ::1, x"),
    head("GET /jim HTTP/1.1\r\n folded: x"),
    head("GET /jim?" + "x" * 3000 + " HTTP/1.1"),
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 400,
)
FRAMES: Final = (
    Frame(Opcode.TEXT, PRESENCE),
    Frame(Opcode.TEXT, PRESENCE + b"\n" + b'{"action":"quit"}'),
    Frame(Opcode.TEXT, b'{"action":"msg","to":"hank",', fin=False),
    Frame(Opcode.CONT, b'"message":"x"}'),
    Frame(Opcode.PING, b"x" * 125),
    Frame(Opcode.PONG, b""),
    Frame(Opcode.BINARY, b"\0"),
    Frame(Opcode.CLOSE, b"\x03\xe8bye"),
    Frame(Opcode.TEXT, b"x" * 70_000),
    Frame(Opcode.TEXT, b"\xff\xfe"),
)
ODD_FRAMES: Final = (b"\xc1\x80abcd", b"\x81\x02ab", b"\x83\x80abcd", b"\x81\xff" + b"\x7f" * 12)
"""A reserved bit, no mask, an unknown opcode, and a length of 2^63."""


def seeds() -> Iterator[bytes]:
    """Yield inputs: the first byte says what the others are, the second how they are cut."""
    for cut in range(len(PIECES)):
        for request in REQUESTS:
            yield bytes([AS_HTTP, cut]) + request
    serialized = [*(frame.serialize(mask=True) for frame in FRAMES), *ODD_FRAMES]
    for start in range(len(serialized)):
        yield bytes([AS_FRAMES, start]) + b"".join(serialized[start:] + serialized[:start])[:4000]


def exchange(port: int, data: bytes) -> bytes:
    """Send an input to the server; return all that it answers until it has closed the connection."""
    draw = Draw(data)
    kind, size = draw.byte() % 2, draw.choice(PIECES)
    received = bytearray()
    # (The server may close before it has read everything.)
    with gevent.Timeout(TIMEOUT), socket.create_connection(("127.0.0.1", port)) as sock, suppress(OSError):
        if kind == AS_FRAMES:
            sock.sendall(UPGRADE)
            assert sock.recv(12) == b"HTTP/1.1 101", "a WebSocket was refused"
        for start in range(2, len(data), size):
            sock.sendall(data[start : start + size])
        sock.shutdown(socket.SHUT_WR)
        while more := sock.recv(65536):
            received += more
    return bytes(received)


@contextmanager
def web_endpoint(start: Callable[[], AbstractContextManager[Server]]) -> Iterator[Callable[[bytes], None]]:
    """Yield what sends an input to a server and checks that it costs little and that nothing is left of it."""
    with start() as app:
        assert app.web_port is not None
        port = app.web_port

        def attempt(data: bytes) -> None:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            received = exchange(port, data)
            assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < MAX_CPU, "it took too long"
            assert len(received) <= MAX_RESPONSE, "it was answered with too much"
            if data[:1] and data[0] % 2 == AS_HTTP and received:
                assert received.startswith(b"HTTP/1.1 "), received[:100]
            assert app.supervisor.failure_count == 0, "something failed"
            assert app.acceptor.pool.join(TIMEOUT) and app.acceptor._open_count == 0, "a connection was left"

        yield attempt
