"""Passwords: hashed with argon2id in threads, two at a time, so that logging in stops nobody else."""

from __future__ import annotations

import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.threadpool import ThreadPool

from gmessenger.errors import BadPassword

SHORTEST: Final = 8
LONGEST: Final = 1024
AT_ONE_TIME: Final = 2


class Passwords:
    """Blocks the greenlet that asks, never the loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPool(AT_ONE_TIME)
        # What a password is compared with where there is no account; made in a thread, as it takes its time.
        self._nobodys = self._threads.spawn(self._hasher.hash, secrets.token_urlsafe(24))

    def hash(self, password: str) -> str:
        """A hash to keep. Raises `BadPassword` for one that is too short or too long."""
        if not SHORTEST <= len(password.encode()) <= LONGEST:
            raise BadPassword
        return str(self._threads.apply(self._hasher.hash, (password,)))

    def matches(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; takes as long where there is no hash, so that time tells nothing."""
        if len(password.encode()) > LONGEST:
            return False
        found = self._threads.apply(_verify, (self._hasher, hashed or self._nobodys.get(), password))
        return bool(found) and bool(hashed)

    def close(self) -> None:
        self._threads.kill()


def _verify(hasher: PasswordHasher, hashed: str, password: str) -> bool:
    try:
        return hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
