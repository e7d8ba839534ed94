"""Passwords, hashed with argon2id in threads, two at a time, so that logins block nothing else."""

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
from gmessenger.constants import MIN_PASSWORD_BYTES
from gmessenger.errors import BadPassword, RateLimited

MAX_PASSWORD_BYTES: Final = 1024
HASH_THREADS: Final = 2
MAX_PENDING: Final = 64  # passwords in the queue: a few seconds' worth. A login by token does not wait
MAX_PENDING_PER_NETWORK: Final = 16  # so that one network cannot fill the queue
RETRY_AFTER: Final = 2.0  # seconds
NICENESS: Final = 10  # of the hashing threads, each of which can use a core; the loop's thread goes first


class PasswordVerifier:
    """Hashes and verifies passwords in threads. Blocks the calling greenlet, never the loop.

    `min_bytes`: what a new password has at least.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPool(HASH_THREADS)
        self._pending_by_network: Counter[str | None] = Counter()
        self.min_bytes = MIN_PASSWORD_BYTES

    def warm_up(self) -> None:
        """Make the hash that stands for unknown names before the first login, in a thread.

        For servers. `gmessenger-admin` verifies no passwords, and saves the hash and its 64 MB.
        """
        self._pool.spawn(_run_niced, getattr, self, "_dummy_hash")

    @property
    def pending_count(self) -> int:
        """The number of passwords that are in the queue or being hashed."""
        return self._pending_by_network.total()

    def hash(self, password: str, network: str | None = None) -> str:
        """Return a hash to store. Raises `BadPassword` for a length out of bounds, and `RateLimited` as `verify`."""
        self.check_length(password)
        return str(self._run_in_pool(network, self._hasher.hash, password))

    def check_length(self, password: str) -> None:
        """Raise `BadPassword` if a new password is too short or too long."""
        if not self.min_bytes <= len(password.encode()) <= MAX_PASSWORD_BYTES:
            raise BadPassword(f"A password is {self.min_bytes} to {MAX_PASSWORD_BYTES} bytes.")

    def verify(self, password_hash: str | None, password: str, network: str | None = None) -> bool:
        """Return whether it is the password. Takes as long without a hash, so that the time tells nothing.

        Raises `RateLimited` if too many passwords wait, in all or of that network: it would take seconds.
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
        """Take a place in the queue within the block. Raises `RateLimited` if there is none."""
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
    """Run a function in a thread of low priority. (Linux has a niceness for each thread, others for the process.)"""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # systemd may forbid the call: then it runs at ordinary priority
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    return function(*args)
