"""How PostgreSQL finds words: lexemes with their places, made here by the same folding that SQLite's index is given."""

from __future__ import annotations

from typing import Final

from gmessenger.store import folding

MOST_WORDS: Final = 16_000
"""Words of a message that are found: PostgreSQL tells no places apart beyond that."""
LONGEST_WORD: Final = 500
FOLLOWED: Final = "<->"
SEPARATORS: Final = {code: " " for code in range(128) if not chr(code).isalnum()}
"""What is no letter or digit in ASCII."""


def storable(text: str) -> str:
    """What the database can hold of a text: everything but one character, which stands for nothing anyway."""
    return text.replace("\0", "\ufffd")


def vector(text: str) -> str:
    """The words of a text, as a `tsvector`."""
    # Folded, a text holds nothing but letters, digits, `_` and spaces: nothing has to be quoted.
    lexemes = (text.lower() if text.isascii() else folding.fold(text)).translate(SEPARATORS).split()
    if len(text) > LONGEST_WORD:
        lexemes = [lexeme[:LONGEST_WORD] for lexeme in lexemes[:MOST_WORDS]]
    return " ".join([f"{lexeme}:{place}" for place, lexeme in enumerate(lexemes, 1)])


def query(text: str) -> str:
    """What finds every word of `text`, the last of them perhaps only begun, as a `tsquery`; empty for no words."""
    phrases = [" ".join(phrase) for phrase in folding.phrases(text)]
    found = [f" {FOLLOWED} ".join(map(_quoted, phrase.translate(SEPARATORS).split())) for phrase in phrases]
    begun = ":*" if found and found[-1] and len(phrases[-1]) >= folding.SHORTEST_BEGUN else ""
    return " & ".join(filter(None, found)) + begun


def _quoted(lexeme: str) -> str:
    return f"'{lexeme[:LONGEST_WORD]}'"
