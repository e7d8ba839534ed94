"""Free ports for programs that have to be told one: most servers of tests take port 0, and say which they got."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import ExitStack, suppress
from typing import Final

HOST: Final = "127.0.0.1"
FIRST_PORT: Final = 11_710
PORTS_OF_WORKER: Final = 1_000
"""Ports of one of the processes in which the tests run. All ports are below those that systems give to connections."""
STRIDE: Final = 2_200
"""From the ports of a process to those of the next: in between is what a launcher takes for IRC: 1110 below."""
MAX_WORKERS: Final = 10


def free_port(count: int = 1) -> int:
    """Return a free port, the first of `count` adjacent ones.

    Neither a connection nor another process of the tests gets one of them before the program, or while it restarts.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MAX_WORKERS
    while True:
        port = FIRST_PORT + worker * STRIDE + secrets.randbelow(PORTS_OF_WORKER - count)
        with ExitStack() as sockets, suppress(OSError):
            for each in range(port, port + count):
                sockets.enter_context(socket.create_server((HOST, each)))
            return port
