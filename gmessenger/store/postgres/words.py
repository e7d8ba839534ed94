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

from gmessenger.store.folding import MAX_TOKENS, is_begun, tokens

PREFIXES_KNOWN: Final = 50_000
FOLLOWED: Final = " <-> "
PLACES: Final = [f":{place}" for place in range(1, MAX_TOKENS + 1)]


def storable(text: str) -> str:
    """What the database can hold of a text: everything but one character, which stands for nothing anyway."""
    return text.replace("\0", "\ufffd")


@lru_cache(PREFIXES_KNOWN)
def prefix(conversation: str) -> str:
    """Return what each word in a conversation begins with: eight small letters and digits."""
    digest = blake2b(conversation.encode(), digest_size=5).digest()
    return base64.b32encode(digest).decode().lower()


def vector(conversation: str, text: str) -> str:
    """Return the words of a text as a `tsvector`, bounded as `folding.tokens` are."""
    # Folded, a text holds nothing but letters, digits, symbols and spaces: nothing has to be quoted.
    words = tokens(text)
    if not words:
        return ""
    begin = prefix(conversation)
    return begin + f" {begin}".join(map(add, words, PLACES))


def query(conversations: Sequence[str], phrases: Sequence[Sequence[str]]) -> str:
    """Return the `tsquery` for all phrases in one of these conversations, the last phrase perhaps only begun."""
    begun = ":*" if is_begun(phrases) else ""
    return " | ".join(
        "(" + " & ".join(_phrase(prefix(conversation), phrase) for phrase in phrases) + f"{begun})"
        for conversation in conversations
    )


def _phrase(begin: str, pieces: Sequence[str]) -> str:
    return FOLLOWED.join(f"'{begin}{piece}'" for piece in pieces)
