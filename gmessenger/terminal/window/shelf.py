"""Where the conversations are: in order, found by name, and no more of them than anybody can look through."""

from __future__ import annotations

from typing import Final

from gmessenger.client import fold
from gmessenger.terminal.window.conversation import Conversation

MOST_CONVERSATIONS: Final = 1000
"""So many are here; of an account's, the server has the rest."""


class Shelf:
    """All conversations. `first` is always there."""

    def __init__(self, first: Conversation) -> None:
        self.in_order = [first]
        self._by_key = {first.key: first}

    def find(self, name: str) -> Conversation | None:
        return self._by_key.get(fold(name))

    def open(self, name: str, in_sight: Conversation) -> Conversation:
        """The conversation of that name. Where it is one too many, another one goes, but not the one `in_sight`."""
        found = self.find(name)
        if found is None:
            if len(self.in_order) >= MOST_CONVERSATIONS:
                self._make_room(in_sight)
            found = self._by_key[fold(name)] = Conversation(name)
            self.in_order.append(found)
        return found

    def close(self, conversation: Conversation) -> None:
        """Does no harm twice."""
        if self._by_key.get(conversation.key) is conversation:
            self.in_order.remove(conversation)
            del self._by_key[conversation.key]

    def _make_room(self, in_sight: Conversation) -> None:
        """The oldest with somebody goes in which nothing is new; where there is none, the oldest with somebody."""
        others = [each for each in self.in_order[1:] if each is not in_sight and _may_go(each)]
        if others:
            self.close(next((each for each in others if not each.unread), others[0]))


def _may_go(conversation: Conversation) -> bool:
    return not (conversation.is_room or conversation.draft or conversation.last_refused() is not None)
