"""Data that arrives at once is handled in chunks, as long as the connection is a stream."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gmessenger.server.jim.protocol import STREAM_CHUNK, JimProtocol
from gmessenger.wire.events import ClientEvent
from gmessenger.wire.request_decoder import RequestDecoder

PACKET = b'{"response":200}\n' * (65_536 // 17)


class Pieces:
    """A decoder that records its input; after `leave_after` chunks the connection is closing."""

    def __init__(self, connection: Any, leave_after: int) -> None:
        self.chunks: list[bytes] = []
        self._decoder = RequestDecoder(65_536)
        self._connection, self._leave_after = connection, leave_after

    @property
    def is_native(self) -> bool:
        return self._decoder.is_native

    def feed(self, data: bytes) -> list[ClientEvent]:
        if data:
            self.chunks.append(data)
        self._connection.is_closing = len(self.chunks) == self._leave_after
        self._decoder.feed(data)
        return []


@pytest.fixture
def connection() -> Any:
    options = SimpleNamespace(max_frame=65_536, max_bad_frames=100)
    return SimpleNamespace(
        options=options, is_closing=False, is_encrypted=False, is_proxied=False, address="192.0.2.1:1"
    )


def receive(connection: Any, data: bytes, leave_after: int = 0) -> list[bytes]:
    front: Any = JimProtocol(connection, SimpleNamespace())  # type: ignore[arg-type]
    front._decoder = pieces = Pieces(connection, leave_after)
    front.data_received(data)
    return pieces.chunks


def test_a_stream_is_read_in_pieces(connection: Any) -> None:
    chunks = receive(connection, PACKET)
    assert b"".join(chunks) == PACKET
    assert max(map(len, chunks)) <= STREAM_CHUNK < len(PACKET) / 10


def test_lines_are_read_at_once_from_the_piece_on_in_which_they_begin(connection: Any) -> None:
    presence = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'
    before = PACKET[: STREAM_CHUNK // 17 * 17]
    *pieces, rest = receive(connection, before + presence + PACKET)
    assert b"".join([*pieces, rest]) == before + presence + PACKET
    assert max(map(len, pieces)) <= STREAM_CHUNK
    assert len(rest) > len(PACKET) - STREAM_CHUNK


def test_a_connection_that_is_left_is_read_no_further(connection: Any) -> None:
    assert len(receive(connection, PACKET, leave_after=2)) == 2
