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

from gmessenger.chat.ratelimit import in_flight
from gmessenger.errors import BadPassword, RateLimited

MIN_PASSWORD_BYTES: Final = 8
MAX_PASSWORD_BYTES: Final = 1024
HASH_THREADS: Final = 2
MAX_PENDING: Final = 64
"""Passwords that may wait for their turn: a few seconds' worth. Whoever has a session's token does not wait at all."""
MAX_PENDING_PER_NETWORK: Final = 16
"""Of them, those that came from one network: nobody fills the queue alone."""
RETRY_AFTER: Final = 2.0
NICENESS: Final = 10
"""Hashing is work for a whole core; the loop's thread has the core first."""


class PasswordVerifier:
    """Blocks the greenlet that asks, never the loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPool(HASH_THREADS)
        self._pending_by_network: Counter[str | None] = Counter()

    def warm_up(self) -> None:
        """Make what a password is compared with where there is no account, before the first such name is tried.

        For who lets people log in; whoever only looks after accounts need not spend a hash and its 64 MB on it.
        """
        self._pool.spawn(_run_niced, getattr, self, "_dummy_hash")

    @property
    def pending_count(self) -> int:
        """How many passwords wait for their turn, or have it."""
        return self._pending_by_network.total()

    def hash(self, password: str, network: str | None = None) -> str:
        """Return a hash to store. Raises `BadPassword` for a length out of bounds, and `RateLimited` as `verify`."""
        if not MIN_PASSWORD_BYTES <= len(password.encode()) <= MAX_PASSWORD_BYTES:
            raise BadPassword
        return str(self._run_in_pool(network, self._hasher.hash, password))

    def verify(self, password_hash: str | None, password: str, network: str | None = None) -> bool:
        """Whether it is the password; takes as long where there is no hash, so that time tells nothing.

        Raises `RateLimited` where so many are waiting, or many from that network, that it would take seconds.
        """
        if len(password.encode()) > MAX_PASSWORD_BYTES:
            return False
        return bool(self._run_in_pool(network, self._verify_hash, password_hash, password)) and bool(password_hash)

    @functools.cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self._pool.kill()

    def _run_in_pool(self, network: str | None, function: Callable[..., Any], *args: Any) -> Any:
        with self._queue_slot(network):
            return self._pool.apply(_run_niced, (function, *args))

    @contextmanager
    def _queue_slot(self, network: str | None) -> Iterator[None]:
        """A place among those that wait. Raises `RateLimited` where there is none."""
        many = network is not None and self._pending_by_network[network] >= MAX_PENDING_PER_NETWORK
        if many or self.pending_count >= MAX_PENDING:
            raise RateLimited(
                "Too many users are logging in right now; try again in a moment.", retry_after=RETRY_AFTER
            )
        with in_flight(self._pending_by_network, network):
            yield

    def _verify_hash(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._dummy_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _run_niced(function: Callable[..., Any], *args: Any) -> Any:
    """Do it at the end of the system's queue. Linux keeps a niceness for each thread, others for the process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # filtered, under systemd: then it takes its turn as everything else does
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    return function(*args)
