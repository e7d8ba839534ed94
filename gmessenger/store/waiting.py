"""Messages that wait for the next commit: how many it takes, and how many may wait."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from gmessenger.chat.contract import Done
from gmessenger.chat.records import Post
from gmessenger.errors import StoreUnavailable

MOST_AT_ONCE: Final = 10_000
"""Messages that one commit takes; the rest are the next one's."""
MOST_CHARACTERS: Final = 1_000_000
"""Characters that one commit takes, unless they are all one message's: their words take a while to be made."""
WORTH_A_COMMIT: Final = 500
"""Messages that share the price of a commit well enough."""
MOST_WAITING: Final = 67_108_864
"""Characters that may wait for a disk that has stopped; what comes then is refused."""

Asked: TypeAlias = tuple[Post, Done]


class Waiting:
    """Messages in the order in which they were given."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._weight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, post: Post, done: Done) -> None:
        """Have a message inserted with the next batch. Raises `StoreUnavailable` where too much waits already."""
        self._check()
        self._weight += len(post.text)
        self._waiting.append((post, done))

    def add_all(self, posts: Sequence[Asked]) -> None:
        """`add` all of them, or none."""
        self._check()
        self._weight += sum(len(post.text) for post, _ in posts)
        self._waiting += posts

    def take(self) -> list[Asked]:
        """The next batch."""
        number = self._next()
        taken, self._waiting = self._waiting[:number], self._waiting[number:]
        self._weight -= sum(len(post.text) for post, _ in taken)
        return taken

    def take_all(self) -> list[Asked]:
        """Everything there is."""
        taken, self._waiting = self._waiting, []
        self._weight = 0
        return taken

    def more(self) -> bool:
        """Whether more waits than a batch takes."""
        return len(self._waiting) > self._next()

    def much(self) -> bool:
        """Whether enough waits for a commit of its own to be worth while."""
        return len(self._waiting) >= WORTH_A_COMMIT

    def _next(self) -> int:
        """How many messages the next batch may take."""
        if self._weight > MOST_CHARACTERS:
            weights = accumulate(len(post.text) for post, _ in self._waiting[:MOST_AT_ONCE])
            return max(1, sum(weight <= MOST_CHARACTERS for weight in weights))
        return MOST_AT_ONCE

    def _check(self) -> None:
        if self._weight > MOST_WAITING:
            raise StoreUnavailable(
                "The disk has not written anything for a while, and too many requests are waiting for it."
            )
