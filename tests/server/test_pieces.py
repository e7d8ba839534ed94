"""What comes on a connection at once is read in pieces, for as long as it is a stream and no lines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gmessenger.server.fronts.jim import PIECE, JimFront
from gmessenger.wire.events import Event
from gmessenger.wire.jim import Hearing

PACKET = b'{"response":200}\n' * (65_536 // 17)


class Pieces:
    """A hearing that remembers what it was given; after `leave_after` pieces the connection is left."""

    def __init__(self, connection: Any, leave_after: int) -> None:
        self.given: list[bytes] = []
        self._hearing = Hearing(65_536)
        self._connection, self._leave_after = connection, leave_after

    @property
    def native(self) -> bool:
        return self._hearing.native

    def hear(self, data: bytes) -> list[Event]:
        if data:
            self.given.append(data)
        self._connection.leaving = len(self.given) == self._leave_after
        self._hearing.hear(data)
        return []


@pytest.fixture
def connection() -> Any:
    options = SimpleNamespace(max_frame=65_536, max_bad_frames=100)
    return SimpleNamespace(options=options, leaving=False, encrypted=False, private=False, address="192.0.2.1:1")


def heard(connection: Any, data: bytes, leave_after: int = 0) -> list[bytes]:
    front: Any = JimFront(connection, SimpleNamespace())  # type: ignore[arg-type]
    front._hearing = pieces = Pieces(connection, leave_after)
    front.hear(data)
    return pieces.given


def test_a_stream_is_read_in_pieces(connection: Any) -> None:
    given = heard(connection, PACKET)
    assert b"".join(given) == PACKET
    assert max(map(len, given)) <= PIECE < len(PACKET) / 10


def test_lines_are_read_at_once_from_the_piece_on_in_which_they_begin(connection: Any) -> None:
    presence = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'
    before = PACKET[: PIECE // 17 * 17]
    *pieces, rest = heard(connection, before + presence + PACKET)
    assert b"".join([*pieces, rest]) == before + presence + PACKET
    assert max(map(len, pieces)) <= PIECE
    assert len(rest) > len(PACKET) - PIECE


def test_a_connection_that_is_left_is_read_no_further(connection: Any) -> None:
    assert len(heard(connection, PACKET, leave_after=2)) == 2
