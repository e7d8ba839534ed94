"""An IRC client: lines in, lines out, with a PING behind what it sends to know when all is answered."""

from __future__ import annotations

import base64
import socket
import ssl
from typing import Any

from gmessenger.wire.irc.lines import Line, parse_line
from tests.support.timeouts import TEST_TIMEOUT


class IrcClient:
    """A connection to the IRC port of a server; every wait has a timeout."""

    def __init__(self, port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        """Connect, with TLS where there is a context."""
        self.sock: Any = socket.create_connection((host, port), timeout=TEST_TIMEOUT)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self._received = b""
        self._pings = 0
        self.nick = ""

    def __enter__(self) -> IrcClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection without a word."""
        self.sock.close()

    def send(self, *lines: str) -> None:
        """Send lines together."""
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def receive(self) -> Line:
        """Return the next line; a PING of the server is answered and left out. Raises EOFError at the end."""
        while True:
            line = self._next_line()
            if line.command != "PING":
                return line
            self.send(f"PONG :{line.params[-1]}")

    def expect(self, command: str) -> Line:
        """Return the next line with that command, and skip those before it."""
        while True:
            line = self.receive()
            if line.command == command:
                return line

    def answer_ping(self, prefix: str) -> None:
        """Wait for a PING whose token begins so, and answer it; lines before it are lost."""
        while True:
            line = self._next_line()
            if line.command == "PING":
                self.send(f"PONG :{line.params[-1]}")
                if line.params[-1].startswith(prefix):
                    return

    def ask(self, *lines: str) -> list[Line]:
        """Send lines; return all that comes up to the answer to a PING behind them."""
        self._pings += 1
        self.send(*lines, f"PING :sync-{self._pings}")
        found: list[Line] = []
        while True:
            line = self.receive()
            if line.command == "PONG" and line.params[-1] == f"sync-{self._pings}":
                return found
            found.append(line)

    def sync(self) -> list[Line]:
        """Return what has come and was not read."""
        return self.ask()

    def read_to_end(self) -> list[Line]:
        """Return all lines until the server closes the connection."""
        found: list[Line] = []
        while True:
            try:
                found.append(self.receive())
            except EOFError:
                return found

    def log_in(self, nick: str, *caps: str, password: str | None = None, user: str = "user") -> IrcClient:
        """Register as a guest, or by SASL with a password of the account of that name, until all was said."""
        self.nick = nick
        requested = (*caps, "sasl") if password is not None else caps
        self.send("CAP LS 302")
        if requested:
            self.send(f"CAP REQ :{' '.join(requested)}")
        if password is not None:
            self.send("AUTHENTICATE PLAIN", f"AUTHENTICATE {plain(nick, password)}")
        self.send(f"NICK {nick}", f"USER {user} 0 * :The real {nick}", "CAP END")
        self.expect("001")
        self.sync()
        return self

    def _next_line(self) -> Line:
        while b"\r\n" not in self._received:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError
            self._received += data
        raw, _, self._received = self._received.partition(b"\r\n")
        return parse_line(raw.decode())


def plain(name: str, password: str) -> str:
    """Return the response of SASL PLAIN."""
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


def commands(lines: list[Line]) -> list[str]:
    """Return the commands of lines."""
    return [line.command for line in lines]


def find(lines: list[Line], command: str) -> Line:
    """Return the only line with that command."""
    (line,) = [line for line in lines if line.command == command]
    return line
