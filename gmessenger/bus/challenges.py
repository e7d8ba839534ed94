"""Challenges: random bytes that prove, when they are sealed and returned, that the envelope is not a replay."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

CHALLENGE_BYTES: Final = 16
MAX_ASKED: Final = 1000


class Challenges:
    """Those of this process: one for all peers, changed every `lifetime` seconds; the one before it counts, too.

    `now` is given by the caller, from a clock that only goes forward.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._made_at = float("-inf")
        self._current = self._previous = secrets.token_bytes(CHALLENGE_BYTES)
        self._asked: dict[bytes, tuple[float, float]] = {}

    def make(self, now: float) -> bytes:
        """Return the bytes that a peer has to return."""
        if now - self._made_at >= self._lifetime:
            self._previous, self._current = self._current, secrets.token_bytes(CHALLENGE_BYTES)
            self._made_at = now
        return self._current

    def is_met(self, proof: bytes) -> bool:
        """Whether these are the bytes, compared in constant time."""
        return hmac.compare_digest(proof, self._current) or hmac.compare_digest(proof, self._previous)

    def is_due(self, boot: bytes, now: float, pause: float) -> bool:
        """Whether a process that has proved nothing is to be asked, or again after a `pause`; that counts as asking."""
        first, last = self._asked.get(boot, (now, float("-inf")))
        if now - last < pause:
            return False
        if boot not in self._asked and len(self._asked) >= MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[boot] = first, now
        return True

    def waited(self, boot: bytes, now: float) -> float:
        """Return for how many seconds a process has owed us an answer."""
        return now - self._asked.get(boot, (now, now))[0]

    def forget(self, boot: bytes) -> None:
        """It has answered."""
        self._asked.pop(boot, None)
