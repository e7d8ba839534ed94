"""A server that sends without a pause does not starve the other greenlets of a client."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from gmessenger.client.connection import ServerConnection
from tests.support.scripted_server import TIMEOUT

MANY = 50_000


class Torrent:
    """A socket that always has more to read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.times = 0
        self.is_shut = False

    def recv(self, most: int) -> bytes:
        self.times += 1
        assert self.times < MANY, "nothing else has run"
        return b"" if self.is_shut else self.data

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 7777

    def settimeout(self, seconds: float | None) -> None:
        pass

    def setsockopt(self, *option: int) -> None:
        pass


@pytest.mark.parametrize(
    "frame", [b"\n", b'{"action":"probe"}\n', b'{"action":"of a later version"}\n', b'{"response":200,"id":"other"}\n']
)
def test_a_server_that_never_pauses_lets_other_greenlets_run(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    torrent: Any = Torrent(frame * 10)
    connection = ServerConnection(torrent)
    monkeypatch.setattr(connection, "_shut_down", lambda: setattr(torrent, "is_shut", True))

    def read() -> Exception:
        try:
            while True:
                connection.read(TIMEOUT)
        except Exception as error:
            return error

    reading = gevent.spawn(read)
    gevent.sleep(0)
    fault = ConnectionError("enough")
    connection.fail(fault)
    assert reading.get(timeout=TIMEOUT) is fault
