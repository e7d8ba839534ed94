"""IRC on one connection."""

from __future__ import annotations

from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.foreign_protocol import OpeningReader

OPENING_WORDS = frozenset({b"CAP", b"NICK", b"PASS", b"USER", b"AUTHENTICATE", b"PING", b"PONG", b"QUIT"})


class IrcProtocol:
    """A connection that is answered with an error."""

    user_name = None
    labels = ("irc", "unknown")
    pending_frames = 0

    def __init__(self, connection: Connection, network: IrcNetwork) -> None:
        self._connection = connection
        self._opening: OpeningReader | None = OpeningReader(connection, OPENING_WORDS, 8704)

    def receive_in_loop(self, data: bytes) -> bytes:
        """Return all of it."""
        return data

    def data_received(self, data: bytes) -> None:
        """Answer anything with an error."""
        if self._opening is not None:
            passed = self._opening.feed(data)
            if passed is None:
                return
            self._opening, data = None, passed
        for line in data.split(b"\n"):
            if len(line) > 512:
                self._connection.writer.write(b":irc.local 417 * :Input line was too long\r\n")
            elif line.startswith(b"CAP LS"):
                self._connection.writer.write(b":irc.local CAP * LS :\r\n")
            elif line.strip():
                self._connection.writer.write(b"ERROR :not yet\r\n")

    def sweep(self, now: float) -> None:
        """Do nothing."""

    def send_probe(self) -> bool:
        """Return that there is none."""
        return False

    def eof_received(self) -> None:
        """Close."""
        self._connection.close_gracefully("left")

    def end_session(self, reason: str) -> None:
        """Do nothing."""

    def connection_closed(self) -> None:
        """Do nothing."""
