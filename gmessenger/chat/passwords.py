"""Passwords: hashed with argon2id in threads, two at a time, so that logging in stops nobody else."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.threadpool import ThreadPool

from gmessenger.chat.charges import counted
from gmessenger.errors import BadPassword, TooFast

SHORTEST: Final = 8
LONGEST: Final = 1024
AT_ONE_TIME: Final = 2
MOST_WAITING: Final = 64
"""Passwords that may wait for their turn: a few seconds' worth. Whoever has a session's token does not wait at all."""
MAX_WAITING_PER_NETWORK: Final = 16
"""Of them, those that came from one network: nobody fills the queue alone."""
COME_BACK_IN: Final = 2.0
NICENESS: Final = 10
"""Hashing is work for a whole core; the loop's thread has the core first."""


class Passwords:
    """Blocks the greenlet that asks, never the loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPool(AT_ONE_TIME)
        self._waiting_of: Counter[str | None] = Counter()

    def prepare(self) -> None:
        """Make what a password is compared with where there is no account, before the first such name is tried.

        For who lets people log in; whoever only looks after accounts need not spend a hash and its 64 MB on it.
        """
        self._threads.spawn(_nicely, getattr, self, "_nobodys")

    @property
    def waiting(self) -> int:
        """How many passwords wait for their turn, or have it."""
        return self._waiting_of.total()

    def hash(self, password: str, network: str | None = None) -> str:
        """A hash to keep. Raises `BadPassword` for one that is too short or too long, and `TooFast` as `matches`."""
        if not SHORTEST <= len(password.encode()) <= LONGEST:
            raise BadPassword
        return str(self._apply(network, self._hasher.hash, password))

    def matches(self, hashed: str | None, password: str, network: str | None = None) -> bool:
        """Whether it is the password; takes as long where there is no hash, so that time tells nothing.

        Raises `TooFast` where so many are waiting, or many from that network, that it would take seconds.
        """
        if len(password.encode()) > LONGEST:
            return False
        return bool(self._apply(network, self._verify, hashed, password)) and bool(hashed)

    @functools.cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self._threads.kill()

    def _apply(self, network: str | None, work: Callable[..., Any], *args: Any) -> Any:
        with self._place(network):
            return self._threads.apply(_nicely, (work, *args))

    @contextmanager
    def _place(self, network: str | None) -> Iterator[None]:
        """A place among those that wait. Raises `TooFast` where there is none."""
        many = network is not None and self._waiting_of[network] >= MAX_WAITING_PER_NETWORK
        if many or self.waiting >= MOST_WAITING:
            raise TooFast("Too many users are logging in right now; try again in a moment.", retry_after=COME_BACK_IN)
        with counted(self._waiting_of, network):
            yield

    def _verify(self, hashed: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(hashed or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False


def _nicely(work: Callable[..., Any], *args: Any) -> Any:
    """Do it at the end of the system's queue. Linux keeps a niceness for each thread, others for the process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # filtered, under systemd: then it takes its turn as everything else does
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    return work(*args)
