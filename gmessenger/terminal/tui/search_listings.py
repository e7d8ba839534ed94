"""Listings of search hits on the screen: what is edited or erased later changes there, too. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec.structs import replace

from gmessenger.client import HistoryMessage, SearchHit, SearchResults, fold
from gmessenger.terminal import format_results
from gmessenger.terminal.tui.conversation import Entry

MAX_LISTINGS: Final = 100
"""Listings that are kept up to date; of an older one only the head stays on the screen."""


class SearchListings:
    """The entries that list search hits, with their hits."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name
        self._listings: deque[tuple[Entry, SearchResults]] = deque()

    def add(self, entry: Entry, results: SearchResults) -> None:
        """Keep an entry up to date that lists these hits."""
        self._listings.append((entry, results))
        if len(self._listings) > MAX_LISTINGS:
            old, _ = self._listings.popleft()
            _set_text(old, old.text.partition("\n")[0])

    def amend(self, conversation: str, seq: int, what: str, text: str, by: str) -> None:
        """Change the listings that have a message which was edited, or erased by a name; `text` is not sanitized."""
        if what not in ("edit", "erase"):
            return
        for entry, results in self._listings:
            places = [number for number, hit in enumerate(results) if _is_hit(hit, conversation, seq)]
            for number in places:
                hit = results[number]
                results[number] = SearchHit(hit.conversation, _amended(hit.delivery, what, text, by))
            if places:
                _set_text(entry, notice_text(format_results.search(results, self._own_name)))


def notice_text(text: str) -> str:
    """Return the text of a notice without what marks its lines where they are printed."""
    return text.removeprefix("-- ").replace("\n-- ", "\n")


def _is_hit(hit: SearchHit, conversation: str, seq: int) -> bool:
    return hit.delivery.seq == seq and fold(hit.conversation) == fold(conversation)


def _amended(delivery: HistoryMessage, what: str, text: str, by: str) -> HistoryMessage:
    if what == "erase":
        return replace(delivery, message="", erased=True, by=by)
    return replace(delivery, message=text, edited=delivery.edited or delivery.time)


def _set_text(entry: Entry, text: str) -> None:
    entry.text = text
    entry.version += 1
