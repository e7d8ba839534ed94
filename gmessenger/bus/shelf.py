"""The shelf: what this node shows, card by card, with a number for its state; it is read by asking the node for pages.

Pages are cut when they are sent, so each card in them is as it is then, and what changes later comes after it: whoever
reads takes pages and changes in the order in which they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.bus.parcels import FIRST_PAGE, LAST_PAGE

MAX_PAGE: Final = 128 * 2**10  # bytes, but for its last card
OVERHEAD: Final = 16  # bytes for each card


class Shelf:
    """What this node shows. Nothing here blocks."""

    def __init__(self) -> None:
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

    def take_changes(self) -> Mapping[str, bytes | None]:
        """What has changed since the last call; where anything has, the number is the next one."""
        changed, self._changed = self._changed, {}
        self.number += bool(changed)
        return changed

    def start_reading(self) -> Reading:
        return Reading(self._cards)


class Reading:
    """One reader's way through the shelf."""

    def __init__(self, cards: Mapping[str, bytes]) -> None:
        self._cards = cards
        self._keys = list(cards)
        self._keys.reverse()
        self._page = FIRST_PAGE

    def next_page(self) -> tuple[dict[str, bytes], int]:
        """Return some cards and which page they are: never fewer than one page, and nothing after the last."""
        cards: dict[str, bytes] = {}
        size, page = 0, self._page
        while self._keys and size < MAX_PAGE:
            key = self._keys.pop()
            card = self._cards.get(key)
            if card is not None:  # else it was taken away since
                cards[key] = card
                size += len(key) + len(card) + OVERHEAD
        self._page = 0
        return cards, page if self._keys else page | LAST_PAGE
