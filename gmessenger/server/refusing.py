"""Telling somebody who may not come in why."""

from __future__ import annotations

import time
from contextlib import closing, suppress

from gevent import socket

from gmessenger.errors import WireError
from gmessenger.server.lines import Line
from gmessenger.wire.encoding import encode_error


def turn_away_at_once(line: Line, error: WireError) -> None:
    """Say it, where that can be done without waiting, and close."""
    with suppress(OSError), closing(line):
        if not line.encrypted:  # a handshake would have to be waited for
            line.send(memoryview(encode_error(error, time.time())))
            line.half_close()
            line.receive(1024)


def turn_away(line: Line, error: WireError, timeout: float) -> None:
    """Say it and close, within about `timeout` seconds. Who has left already has left."""
    with suppress(OSError), closing(line):
        line.open(timeout)
        line.send(memoryview(encode_error(error, time.time())))
        line.half_close()
        socket.wait_read(line.fileno(), timeout)
        line.receive(1024)  # closing it over what it has said would take our answer along
