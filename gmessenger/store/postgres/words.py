"""How PostgreSQL finds words: lexemes with their places, made here by the same folding that SQLite's index is given."""

from __future__ import annotations

from operator import add
from typing import Final

from gmessenger.store import folding

MOST_WORDS: Final = 16_000
"""Words of a message that are found: PostgreSQL tells no places apart beyond that."""
LONGEST_WORD: Final = 500
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
    lexemes = _split(folding.fold(text))
    if len(text) > LONGEST_WORD:
        lexemes = [lexeme[:LONGEST_WORD] for lexeme in lexemes]
    return "".join(map(add, lexemes, PLACES))


def query(text: str) -> str:
    """What finds every word of `text`, the last of them perhaps only begun, as a `tsquery`; empty for no words."""
    phrases = [" ".join(phrase) for phrase in folding.phrases(text)]
    found = [f" {FOLLOWED} ".join(map(_quoted, _split(phrase))) for phrase in phrases]
    begun = ":*" if found and found[-1] and len(phrases[-1]) >= folding.SHORTEST_BEGUN else ""
    return " & ".join(filter(None, found)) + begun


def _split(folded: str) -> list[str]:
    return folded.encode().translate(PLAIN).decode().split()


def _quoted(lexeme: str) -> str:
    return f"'{lexeme[:LONGEST_WORD]}'"
