"""What a text is searched by: case, accents and ё folded, and Chinese, Japanese and Korean in pairs of characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

WITHOUT_SPACES: Final = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u318f\u31a0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)
WORD: Final = re.compile(r"\w+")
SHORTEST_BEGUN: Final = 3
"""Letters a word needs before it is taken for the beginning of longer ones."""
KEPT: Final = frozenset("йїў")
"""Letters of their own, not accented forms of others, whatever their decomposition says."""


def fold(text: str) -> str:
    """The words of a text as the index knows them, separated by spaces."""
    # Plain ASCII stays as it is: the index finds its words, in whatever case, by itself.
    return text if text.isascii() else " ".join(words(text))


def words(text: str) -> list[str]:
    """The folded words of a text; runs of characters that are written without spaces become overlapping pairs."""
    return [piece for word in WORD.findall(_plain(text)) for piece in _split(word)]


def query(text: str) -> str:
    """An FTS5 query for messages that hold every word of `text`, the last of them perhaps only begun."""
    found = [" ".join(phrase) for phrase in phrases(text)]
    begun = "*" if found and len(found[-1]) >= SHORTEST_BEGUN else ""
    return " ".join(f'"{phrase}"' for phrase in found) + begun


def phrases(text: str) -> list[list[str]]:
    """The words of a query. One of several pieces is a phrase: the pairs of 東京都 have to stand side by side."""
    return [_split(word) for word in WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char if char in KEPT else _without_marks(char) for char in folded)


def _without_marks(char: str) -> str:
    if char == "ё":
        return "е"
    if unicodedata.category(char) == "Mn" and not 0x0900 <= ord(char) <= 0x0DFF:  # vowel signs of India are letters
        return ""
    return unicodedata.normalize("NFC", "".join(part for part in unicodedata.normalize("NFD", char) if _stays(part)))


def _stays(part: str) -> bool:
    return not 0x0300 <= ord(part) <= 0x036F


def _split(word: str) -> list[str]:
    if word.isascii():
        return [word]
    pieces: list[str] = []
    place = 0
    for run in WITHOUT_SPACES.finditer(word):
        pieces += [word[place : run.start()], *_pairs(run[0])]
        place = run.end()
    return [piece for piece in (*pieces, word[place:]) if piece]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]
