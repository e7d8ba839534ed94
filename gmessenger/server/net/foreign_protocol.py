"""The first bytes of a connection: those of another protocol than its listener's are rejected."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gmessenger import log
from gmessenger.server.net.connection import Connection
from gmessenger.wire.protocol_detection import EXPECTED, REJECTIONS, ProtocolDetector

UNKNOWN: Final = "unknown"
"""The protocol of an opening whose first words have no end."""


class OpeningReader:
    """Holds back the first bytes of a connection until it is known that they are not of another protocol."""

    __slots__ = ("_connection", "_detector", "_max_length")

    def __init__(self, connection: Connection, own_words: Collection[bytes], max_length: int) -> None:
        """Filter what a connection begins with.

        own_words: words, in upper case, with which the expected protocol begins; see `ProtocolDetector`.
        max_length: bytes after which an opening that is still undecided is rejected.
        """
        self._connection = connection
        self._detector = ProtocolDetector(own_words)
        self._max_length = max_length

    def feed(self, data: bytes) -> bytes | None:
        """Return everything received, once that is of the expected protocol; until then, and if it never is, None.

        A connection of another protocol is closed, after a reply in that protocol if there is one.
        """
        protocol = self._detector.feed(data)
        if protocol == EXPECTED:
            return bytes(self._detector.buffer)
        if protocol is not None or len(self._detector.buffer) > self._max_length:
            reject_foreign(self._connection, protocol or UNKNOWN)
        return None


def reject_foreign(connection: Connection, protocol: str) -> None:
    """Close a connection that speaks another protocol, after a reply in that protocol if there is one."""
    connection.context.rejected_count[protocol] += 1
    log.log_event("connection_refused", address=connection.address, reason=f"it speaks {protocol}")
    connection.writer.write(REJECTIONS.get(protocol, b""))
    connection.close_gracefully(f"it speaks {protocol}")
