"""Search vectors and queries of PostgreSQL: each word begins with a prefix of its conversation.

So messages of other conversations do not slow a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Final

from gmessenger.store.search_text import MAX_TOKENS, is_prefix_query, tokenize

PHRASE_OPERATOR: Final = " <-> "
POSITIONS: Final = [f":{position}" for position in range(1, MAX_TOKENS + 1)]


def replace_nul(text: str) -> str:
    """Replace NUL, the one character that PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd")


def conversation_prefix(conversation: int) -> str:
    """Return the prefix of each word of a conversation, by its id."""
    return f"{conversation}x"


def make_tsvector(conversation: int, text: str) -> str:
    """Return the words of a text as a `tsvector` literal, bounded as by `tokenize`."""
    # A normalised text holds only letters, digits, symbols and spaces: nothing has to be quoted.
    words = tokenize(text)
    if not words:
        return ""
    prefix = conversation_prefix(conversation)
    return prefix + f" {prefix}".join(map(add, words, POSITIONS))


def make_tsquery(conversations: Sequence[int], parsed: Sequence[Sequence[str]]) -> str:
    """Return the `tsquery` for all phrases of a parsed query in any one of some conversations."""
    end = ":*" if is_prefix_query(parsed) else ""
    return " | ".join(
        "(" + " & ".join(_phrase_query(conversation_prefix(conversation), phrase) for phrase in parsed) + f"{end})"
        for conversation in conversations
    )


def _phrase_query(prefix: str, words: Sequence[str]) -> str:
    return PHRASE_OPERATOR.join(f"'{prefix}{word}'" for word in words)
