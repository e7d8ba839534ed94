"""How PostgreSQL finds words: lexemes with their places, folded as for SQLite, each beginning with its conversation.

So what others may read costs nothing to who searches. A conversation is known here by a digest of its key, since its
number is given by the database when a message is already on its way.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import add
from typing import Final

from gmessenger.store.search_text import MAX_TOKENS, is_prefix_query, tokenize

MAX_CACHED_PREFIXES: Final = 50_000
PHRASE_OPERATOR: Final = " <-> "
POSITIONS: Final = [f":{place}" for place in range(1, MAX_TOKENS + 1)]


def replace_nul(text: str) -> str:
    """What the database can hold of a text: everything but one character, which stands for nothing anyway."""
    return text.replace("\0", "\ufffd")


@lru_cache(MAX_CACHED_PREFIXES)
def conversation_prefix(conversation: str) -> str:
    """Return what each word in a conversation begins with: eight small letters and digits."""
    digest = blake2b(conversation.encode(), digest_size=5).digest()
    return base64.b32encode(digest).decode().lower()


def make_tsvector(conversation: str, text: str) -> str:
    """Return the words of a text as a `tsvector`, bounded as `folding.tokens` are."""
    # Folded, a text holds nothing but letters, digits, symbols and spaces: nothing has to be quoted.
    words = tokenize(text)
    if not words:
        return ""
    begin = conversation_prefix(conversation)
    return begin + f" {begin}".join(map(add, words, POSITIONS))


def make_tsquery(conversations: Sequence[str], parsed: Sequence[Sequence[str]]) -> str:
    """Return the `tsquery` for all phrases in one of these conversations, the last phrase perhaps only begun."""
    begun = ":*" if is_prefix_query(parsed) else ""
    return " | ".join(
        "(" + " & ".join(_phrase_query(conversation_prefix(conversation), phrase) for phrase in parsed) + f"{begun})"
        for conversation in conversations
    )


def _phrase_query(begin: str, pieces: Sequence[str]) -> str:
    return PHRASE_OPERATOR.join(f"'{begin}{piece}'" for piece in pieces)
