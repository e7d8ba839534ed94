"""Connections to the server's ports for IRC: lines over TCP, TLS and WebSocket."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, Self

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from tests.support.timeouts import TEST_TIMEOUT
from tests.support.web import read_head, request_head

LOOPBACK = "127.0.0.1"


class IrcConnection:
    """Lines over a socket, which is closed at the end of a block."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self._lines = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.sock.close()

    def send(self, *lines: bytes) -> None:
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def receive(self) -> bytes:
        """Return the next line, without its end; empty at the end of the stream."""
        with suppress(ConnectionResetError):
            line: bytes = self._lines.readline()
            assert not line or line.endswith(b"\r\n"), line
            return line.removesuffix(b"\r\n")
        return b""

    def receive_until(self, word: bytes) -> bytes:
        """Return the next line that has a word."""
        while line := self.receive():
            if word in line.split():
                return line
        raise EOFError(word)

    def is_served(self) -> bool:
        """Return whether the server answers as one of IRC."""
        self.send(b"CAP LS 302")
        return b" CAP * LS " in self.receive_until(b"CAP")


def open_irc(port: int | None) -> IrcConnection:
    """Connect to a port."""
    assert port is not None
    return IrcConnection(socket.create_connection((LOOPBACK, port), TEST_TIMEOUT))


def open_irc_tls(port: int | None, context: Any) -> IrcConnection:
    """Connect to a port with TLS."""
    assert port is not None
    sock = socket.create_connection((LOOPBACK, port), TEST_TIMEOUT)
    return IrcConnection(context.wrap_socket(sock, server_hostname="localhost"))


class IrcWebSocket:
    """Messages over a WebSocket, each a line."""

    def __init__(self, sock: Any, host: str, *headers: str, target: str = "/webirc") -> None:
        """Do the handshake, with more headers."""
        self.sock = sock
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        sock.sendall(request_head(host, *headers, target=target))
        self.head, rest = read_head(sock)
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head
        self._frames: list[Frame] = []
        self._feed(rest)

    def send(self, data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> None:
        self.sock.sendall(Frame(opcode, data, fin).serialize(mask=True))

    def receive(self) -> Frame:
        """Return the next frame."""
        while not self._frames:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError
            self._feed(data)
        return self._frames.pop(0)

    def receive_until(self, word: bytes) -> Frame:
        """Return the next message that has a word."""
        while word not in (frame := self.receive()).data.split():
            pass
        return frame

    def _feed(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
            received: Any = self._protocol.events_received()
            self._frames += received
            with suppress(OSError):
                for reply in self._protocol.data_to_send():
                    if reply:
                        self.sock.sendall(reply)


def open_irc_websocket(port: int | None, *headers: str, target: str = "/webirc") -> IrcWebSocket:
    """Connect to a port by WebSocket."""
    assert port is not None
    return IrcWebSocket(socket.create_connection((LOOPBACK, port), TEST_TIMEOUT), LOOPBACK, *headers, target=target)
