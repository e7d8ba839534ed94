"""Notify systemd that the server is ready, reloading, stopping and alive (the protocol of sd_notify)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from gevent import socket

STATUS_INTERVAL: Final = 10.0  # seconds
NOTIFY_TIMEOUT: Final = 1.0  # seconds
"""Time for systemd's socket to take a notification."""


class SystemdNotifier:
    """Notifies systemd if it has started this process and listens; otherwise does nothing."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # The abstract namespace is written with an @ in the environment.
        self._address = f"\0{address[1:]}" if address[:1] == "@" else address
        mine = environ.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
        limit = environ.get("WATCHDOG_USEC", "")
        self._watchdog_timeout = int(limit) / 1_000_000 if mine and limit.isascii() and limit.isdigit() else 0.0
        self._fault = ""

    @property
    def enabled(self) -> bool:
        """Whether systemd listens."""
        return self._address[:1] in ("/", "\0")

    def ready(self, connections: int, fault: str | None = None) -> None:
        """Notify that the server is running; after a reload, with what was wrong with it, if anything."""
        self._fault = f"; the last reload was refused: {fault}" if fault else ""
        self._notify(READY=1, STATUS=self._status(connections))

    def reloading(self) -> None:
        """Notify that a reload begins; `ready` ends it."""
        self._notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000, STATUS="Reloading")

    def stopping(self, connections: int) -> None:
        """Notify that the server has begun to stop."""
        self._fault = "; stopping"
        self._notify(STOPPING=1, STATUS=self._status(connections))

    def run_watchdog(self, connections: Callable[[], int], wait_stopped: Callable[[float], bool]) -> None:
        """Report connections, and life to the watchdog, until `wait_stopped(seconds)` is true."""
        alive = {"WATCHDOG": 1} if self._watchdog_timeout else {}
        pause = min(STATUS_INTERVAL, self._watchdog_timeout / 2 or STATUS_INTERVAL)
        while self.enabled and not wait_stopped(pause):
            self._notify(**alive, STATUS=self._status(connections()))

    def _status(self, connections: int) -> str:
        return f"{connections} connections{self._fault}"

    def _notify(self, **assignments: int | str) -> None:
        if not self.enabled:
            return
        # Not an error of the server: systemd notices by its watchdog.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(NOTIFY_TIMEOUT)
            sock.connect(self._address)
            sock.sendall("\n".join(f"{word}={value}" for word, value in assignments.items()).encode())
