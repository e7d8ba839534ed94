"""Sockets that speak WebSocket, for clients and servers that know lines only: the third wire of the tests."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
from contextlib import suppress
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.utils import accept_key

HEAD_END = b"\r\n\r\n"


def request_head(host: str, *headers: str, target: str = "/jim", key: str = "", method: str = "GET") -> bytes:
    """Return the head of a request for a WebSocket, with more headers."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key or make_key()}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def make_key() -> str:
    return base64.b64encode(os.urandom(16)).decode()


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what came behind it."""
    received = b""
    while HEAD_END not in received:
        data = sock.recv(65536)
        if not data:
            raise EOFError(received)
        received += data
    head, _, rest = received.partition(HEAD_END)
    return head, rest


def read_response(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of an answer, and its body."""
    head, body = read_head(sock)
    return head, read_rest(sock, head, body)


def read_rest(sock: socket.socket, head: bytes, body: bytes) -> bytes:
    """Return the body of an answer, of which some has been read."""
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    length = int(found[1]) if found else 0
    while len(body) < length:
        data = sock.recv(65536)
        if not data:
            raise EOFError(head, body)
        body += data
    return body


class LineSocket:
    """A WebSocket with the methods of a socket: lines in and out; a partial line becomes a fragment of a message."""

    def __init__(self, sock: socket.socket, protocol: Protocol, *, is_masked: bool) -> None:
        self._sock = sock
        self._protocol = protocol
        self._is_masked = is_masked
        self._message = bytearray()
        self._is_continued = False
        self._received = bytearray()
        self.pongs: list[bytes] = []
        """The payloads of pongs that were received."""

    def sendall(self, data: bytes) -> None:
        """Send each line, or whole JSON object, as one message, and a partial one as a fragment."""
        for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
            self._send_fragment(line)

    def _send_fragment(self, data: bytes) -> None:
        self._message += data
        is_complete = data.endswith(b"\n") or _is_object(self._message)
        opcode = Opcode.CONT if self._is_continued else Opcode.TEXT
        self._is_continued = not is_complete
        if is_complete:
            self._message.clear()
        self._sock.sendall(Frame(opcode, data, is_complete).serialize(mask=self._is_masked))

    def recv(self, size: int) -> bytes:
        """Return bytes of one message and its newline; none at the end."""
        while not self._received:
            data = self._sock.recv(65536)
            if not data:
                return b""
            self._feed(data)
            if self._protocol.close_rcvd is not None and not self._received:
                return b""
        end = min(self._received.find(b"\n") + 1, size)
        taken = bytes(self._received[:end])
        del self._received[:end]
        return taken

    @property
    def close_code(self) -> int | None:
        """The code of the Close that the server has sent."""
        return self._protocol.close_rcvd.code if self._protocol.close_rcvd is not None else None

    def shutdown(self, how: int) -> None:
        if how == socket.SHUT_WR and self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
        else:
            self._sock.shutdown(how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _feed(self, data: bytes) -> None:
        if not data:
            return
        self._protocol.receive_data(data)
        for frame in self._protocol.events_received():
            if frame.opcode is Opcode.TEXT:
                assert frame.fin and b"\n" not in frame.data, "each frame is one message, whole"
                self._received += frame.data + b"\n"
            elif frame.opcode is Opcode.PONG:
                self.pongs.append(bytes(frame.data))
        assert self._protocol.parser_exc is None, "what was received is a WebSocket"
        self._flush()

    def _flush(self) -> None:
        with suppress(OSError):  # the peer may have closed already
            for sent in self._protocol.data_to_send():
                if sent:
                    self._sock.sendall(sent)


class WebSocketSocket(LineSocket):
    """The client's end."""

    def __init__(self, sock: socket.socket, host: str, *headers: str) -> None:
        """Do the handshake, with more headers. Blocks as the socket does."""
        super().__init__(sock, Protocol(Side.CLIENT, state=State.OPEN, max_size=None), is_masked=True)
        key = make_key()
        sock.sendall(request_head(host, *headers, key=key))
        head, rest = read_head(sock)
        if head.startswith(b"HTTP/1.1 101 "):
            assert f"sec-websocket-accept: {accept_key(key)}".encode().lower() in head.lower(), head
            self._feed(rest)
        else:
            self._received += refusal_frame(head, read_rest(sock, head, rest))


def refusal_frame(head: bytes, body: bytes) -> bytes:
    """Return the frame by which TCP says what HTTP says by a refusal."""
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    frame = {"response": int(head.split()[1]), "error": body.decode().strip(), "code": headers["gmessenger-code"]}
    if "retry-after" in headers:
        frame["retry_after"] = int(headers["retry-after"])
    return json.dumps(frame).encode() + b"\n"


class AcceptedWebSocket(LineSocket):
    """The server's end, by the server of `websockets`."""

    def __init__(self, sock: socket.socket) -> None:
        """Do the handshake. Blocks as the socket does."""
        protocol = ServerProtocol(subprotocols=["jim.2"], max_size=None)  # type: ignore[list-item]
        super().__init__(sock, protocol, is_masked=False)
        requests: list[Any] = []
        while not requests:
            protocol.receive_data(sock.recv(65536))
            requests = protocol.events_received()
        response = protocol.accept(requests[0])
        assert response.status_code == 101, response
        protocol.send_response(response)
        self._flush()


def _is_object(data: bytearray) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False
