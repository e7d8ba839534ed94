"""Files for tests, and the HTTP requests that upload and fetch them."""

from __future__ import annotations

import base64
import socket
import struct
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from gevent.server import StreamServer

from tests.support.timeouts import TEST_TIMEOUT


class HttpAnswer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The id of the file that was uploaded."""
        assert self.status == 201, self
        return self.headers["Location"].split("/")[2]


def png(width: int = 3, height: int = 2) -> bytes:
    """Return a picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0" * (1 + width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def ask(port: int, method: str, target: str, headers: Mapping[str, str] | None = None, body: Any = None) -> HttpAnswer:
    """Send a request on a connection of its own; return the answer."""
    with closing(HTTPConnection("127.0.0.1", port, TEST_TIMEOUT)) as connection:
        connection.request(method, target, body, {**(headers or {})})
        response: HTTPResponse = connection.getresponse()
        return HttpAnswer(response.status, dict(response.getheaders()), response.read())


def upload(
    port: int,
    token: str,
    content: bytes | Iterable[bytes] = b"",
    name: str = "graph.png",
    type: str = "image/png",
    **headers: str,
) -> HttpAnswer:
    """Upload a file with the token of a session; return the answer."""
    more = {"Content-Type": type, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return ask(port, "POST", "/file", {**bearer(token), **more, **headers}, content or png())


def open_upload(port: int, token: str, size: int, begin: bytes = b"") -> socket.socket:
    """Begin an upload of so many bytes, and send some of them."""
    sock = socket.create_connection(("127.0.0.1", port), TEST_TIMEOUT)
    head = f"POST /file HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\n"
    sock.sendall(head.encode() + begin)
    return sock


class ScriptedUploads:
    """An HTTP server for uploads that gives prepared answers, one for each connection; the last one again and again.

    requests: what was received, head and body, as far as it was read.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/file"

    def _serve(self, sock: socket.socket, address: object) -> None:
        received = b""
        with closing(sock):
            while not (head := received.partition(b"\r\n\r\n"))[1]:
                received += sock.recv(65_536)
            size = int(head[0].lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.requests.append(received)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if b" 413 " not in answer.split(b"\r\n")[0]:  # that is known from the head
                while len(self.requests[-1].partition(b"\r\n\r\n")[2]) < size:
                    self.requests[-1] += sock.recv(65_536)
            sock.sendall(answer)
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65_536):
                    pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.stop()


def http_answer(status: str, *headers: str, body: str = "") -> bytes:
    """Return an HTTP response."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body.encode())}", "", body]
    return "\r\n".join(lines).encode()
