"""The shelf: a hash in Redis with what a node shows, and the number of that state.

    number  17
    left    1            only where the node has said goodbye
    :hank   the card of hank

It is read by those who are new or have missed something. Whoever changes what it shows counts the number up there and
sees by the answer whether the shelf is still what it was: it expires where its node has slept for too long, and with
Redis everything goes. Then it is written anew as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gmessenger.bus.dialling import Command
from gmessenger.bus.keys import Keys

NUMBER: Final = b"number"
LEFT: Final = b"left"
CARD: Final = b":"
MOST_DIGITS: Final = 18
REMEMBERED: Final = 4
"""How many timeouts long it is known of a node that it has said goodbye, for those who did not hear it."""


class Shelf:
    """What this node shows, and the commands that put it there."""

    def __init__(self, keys: Keys, timeout: float) -> None:
        self._keys = keys
        self._key = keys.shown(keys.own)
        self._expiry = max(1, int(timeout * 1000))
        self._cards: dict[str, bytes] = {}
        self._changed: dict[str, bytes | None] = {}
        self.number = 0

    @property
    def changed(self) -> bool:
        return bool(self._changed)

    def show(self, key: str, card: bytes | None) -> bool:
        """Whether that is something new."""
        if self._cards.get(key) == card:
            return False
        if card is None:
            del self._cards[key]
        else:
            self._cards[key] = card
        self._changed[key] = card
        return True

    def whole(self) -> list[Command]:
        """Write all of it, in one transaction."""
        if self._changed:
            self._changed = {}
            self.number += 1
        return [
            ("MULTI",),
            ("DEL", self._key),
            ("HSET", self._key, NUMBER, self.number, *_fields(self._cards)),
            ("PEXPIRE", self._key, self._expiry),
            ("HSET", self._keys.nodes, self._keys.own, ""),
            ("EXEC",),
        ]

    def changes(self) -> tuple[list[Command], Mapping[str, bytes | None]]:
        """Write what is new, and that. The last of the commands is answered with the number of the shelf."""
        changed, self._changed = self._changed, {}
        if not changed:
            return [], changed
        self.number += 1
        commands: list[Command] = []
        if written := {key: card for key, card in changed.items() if card is not None}:
            commands.append(("HSET", self._key, *_fields(written)))
        if removed := [CARD + key.encode() for key, card in changed.items() if card is None]:
            commands.append(("HDEL", self._key, *removed))
        return [*commands, ("HINCRBY", self._key, NUMBER, 1)], changed

    def renewal(self) -> list[Command]:
        """Keep it from expiring. The last of the commands is answered with the number of the shelf."""
        return [
            ("HSET", self._keys.nodes, self._keys.own, ""),
            ("PEXPIRE", self._key, self._expiry),
            ("HGET", self._key, NUMBER),
        ]

    def goodbye(self) -> list[Command]:
        """Show nothing any more."""
        return [
            ("MULTI",),
            ("DEL", self._key),
            ("HSET", self._key, LEFT, 1),
            ("PEXPIRE", self._key, REMEMBERED * self._expiry),
            ("EXEC",),
        ]


def _fields(cards: Mapping[str, bytes]) -> list[str | bytes | int]:
    return [word for key, card in cards.items() for word in (CARD + key.encode(), card)]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found on a shelf; the `number` is None where there is none, because the node has ended or is writing."""

    number: int | None
    cards: Mapping[str, bytes]
    left: bool


def contents(fields: Mapping[bytes, bytes]) -> Contents:
    """What somebody's shelf holds."""
    number = fields.get(NUMBER, b"")[:MOST_DIGITS]
    cards = {key[1:].decode(errors="replace"): card for key, card in fields.items() if key[:1] == CARD}
    return Contents(int(number) if number.isdigit() else None, cards, LEFT in fields)
