"""Who was here and has left: what WHOWAS tells."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from gmessenger.names import fold
from gmessenger.server.irc.users import UserRegistry
from gmessenger.wire.irc.masks import split_source

MAX_DEPARTURES: Final = 200
"""Of all names, because they are free to choose."""


class Departure(Struct, frozen=True):
    """A name that has gone offline. `time`: Unix seconds."""

    name: str
    user: str
    host: str
    realname: str
    time: float


class DepartureLog:
    """Remembers the latest names that went offline. No method blocks."""

    def __init__(self, users: UserRegistry, clock: Callable[[], float]) -> None:
        self._users = users
        self._clock = clock
        self._departures: deque[Departure] = deque(maxlen=MAX_DEPARTURES)

    def note_presence(self, key: str, name: str, is_online: bool) -> None:
        """Take note that a name has come or gone."""
        if not is_online:
            _, user, host = split_source(self._users.source(name))
            self._departures.append(Departure(name, user, host, self._users.realname(name), self._clock()))

    def find(self, name: str) -> Iterator[Departure]:
        """Iterate over the departures of a name, the latest first."""
        key = fold(name)
        return (departure for departure in reversed(self._departures) if fold(departure.name) == key)
