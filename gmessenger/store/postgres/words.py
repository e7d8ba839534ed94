"""How PostgreSQL finds words: lexemes with their places, made here by the same folding that SQLite's index is given."""

from __future__ import annotations

from itertools import accumulate
from operator import add
from typing import Final

from gmessenger.store import folding

MOST_WORDS: Final = 16_000
"""Words of a message that are found: PostgreSQL tells no places apart beyond that."""
LONGEST_WORD: Final = 500
"""Letters of a word that are looked at: PostgreSQL takes 2046 bytes."""
MOST_BYTES: Final = 900_000
"""Of all words of a message together: PostgreSQL takes a megabyte, places included."""
LONGEST_LETTER: Final = 4
"""Bytes."""
FOLLOWED: Final = "<->"
PLAIN: Final = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(
    range(128, 256)
)
"""ASCII in small letters, and a space for what is no letter or digit; of UTF-8, everything else as it is."""
PLACES: Final = [f":{place} " for place in range(1, MOST_WORDS + 1)]


def storable(text: str) -> str:
    """What the database can hold of a text: everything but one character, which stands for nothing anyway."""
    return text.replace("\0", "\ufffd")


def vector(text: str) -> str:
    """The words of a text, as a `tsvector`."""
    # Folded, a text holds nothing but letters, digits, `_` and spaces: nothing has to be quoted.
    folded = folding.fold(text)  # which may be many times as long: one letter stands for a whole blessing
    lexemes = _split(folded)
    if len(folded) > LONGEST_WORD:
        lexemes = [lexeme[:LONGEST_WORD] for lexeme in lexemes]
    if len(folded) * LONGEST_LETTER > MOST_BYTES:
        lexemes = _fitting(lexemes)
    return "".join(map(add, lexemes, PLACES))


def query(text: str) -> str:
    """What finds every word of `text`, the last of them perhaps only begun, as a `tsquery`; empty for no words."""
    phrases = [" ".join(phrase) for phrase in folding.phrases(text)]
    found = [f" {FOLLOWED} ".join(map(_quoted, _split(phrase))) for phrase in phrases]
    begun = ":*" if found and found[-1] and len(phrases[-1]) >= folding.SHORTEST_BEGUN else ""
    return " & ".join(filter(None, found)) + begun


def _split(folded: str) -> list[str]:
    return folded.encode().translate(PLAIN).decode().split()


def _fitting(lexemes: list[str]) -> list[str]:
    """As many of them, from the first, as are found at all."""
    ends = accumulate(len(lexeme.encode()) for lexeme in lexemes)
    return [lexeme for lexeme, end in zip(lexemes, ends, strict=True) if end <= MOST_BYTES]


def _quoted(lexeme: str) -> str:
    return f"'{lexeme[:LONGEST_WORD]}'"
