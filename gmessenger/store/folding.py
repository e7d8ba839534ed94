"""What a text is searched by: words with case and accents folded, and of what is written without spaces pairs.

How much of a text is folded, and how many words come of it, is bounded here and nowhere else: a character may stand for
eighteen others. All of it is tables and regular expressions, a few milliseconds for the worst text there is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Final

from gmessenger.store.fold_table import FoldTable

FOLDING: Final = 2
"""The number of this way of folding: an index made by another one is made again."""
MAX_FOLDED: Final = 16_384  # characters of a text that are folded, and characters that come of it
MAX_TOKENS: Final = 8_192  # words of a text that can be found
MAX_TOKEN: Final = 128  # characters of a word that are told apart
MAX_QUERY: Final = 1_024  # characters of a query that are folded
MAX_QUERY_WORDS: Final = 32  # different words of a query that have to be there
MAX_PHRASE: Final = 64  # pairs of a word of a query that have to stand side by side
CHUNK: Final = 1_024  # characters that are folded at a time, until `MAX_FOLDED` have come of them
MIN_BEGUN: Final = 3  # letters a word needs before it is taken for the beginning of longer ones
PLAIN: Final = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
"""ASCII in small letters, and a space for what is no letter or digit."""
ALONE: Final = "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u318f\u31a0-\u31ff\u3400-\u9fff" + (
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Chinese, Japanese and Korean: each character is a syllable."""
IN_CLUSTERS: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
"""Thai, Lao, Burmese, Khmer, Tai: a consonant and its marks are a syllable, more or less."""
FLAGS: Final = "\U0001f1e6-\U0001f1ff"
WITHOUT_SPACES: Final = re.compile(f"([{ALONE}]+)|([{IN_CLUSTERS}]+)|([{FLAGS}]+)")
FLAG: Final = re.compile(f"[{FLAGS}]{{1,2}}")
NEVER_IN_WORDS: Final = re.compile("[\U00040000-\U000dffff\U000e1000-\U0010ffff]+")
"""Planes without characters: the table is not asked, which does not remember them."""
MAX_MARKS: Final = 8  # marks of a cluster; what is piled up beyond that begins another one
TO_COMPOSE: Final = re.compile("[\u1100-\u11ff]+|[\u3041-\u30ff]*[\u3099\u309a][\u3041-\u30ff]*")
"""Korean letters and voiced kana that were taken apart. None of their marks is sorted among others."""
TAKEN_APART: Final = tuple((unicodedata.normalize("NFD", letter), letter) for letter in ("й", "ї", "ў", "Й", "Ї", "Ў"))

_TABLE: Final = FoldTable()


def _marks() -> str:
    """Every mark of the scripts that are cut into clusters, for a character class."""
    pairs = re.findall(r"(.)-(.)", IN_CLUSTERS)
    codes = [code for first, last in pairs for code in range(ord(first), ord(last) + 1)]
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")


CLUSTER: Final = re.compile(f".[{_marks()}]{{0,{MAX_MARKS}}}")


def tokens(text: str) -> list[str]:
    """The folded words of a text in their order, at most `MAX_TOKENS`: letters, digits and symbols, no spaces."""
    if text.isascii():
        return _bounded(text[:MAX_FOLDED].encode().translate(PLAIN).decode().split())
    folded = _fold(text)
    words = folded.split()
    if WITHOUT_SPACES.search(folded) is not None:
        words = list(islice(chain.from_iterable(map(_pieces, words)), MAX_TOKENS))
    return _bounded(words)


def phrases(text: str) -> list[list[str]]:
    """The words of a query, each once. One of several pieces is a phrase: the pairs of 東京都 stand side by side."""
    words = dict.fromkeys(_fold(text[:MAX_QUERY]).split())
    return [_bounded(list(islice(_pieces(word), MAX_PHRASE))) for word in islice(words, MAX_QUERY_WORDS)]


def is_begun(phrases: Sequence[Sequence[str]]) -> bool:
    """Whether the last word of a query may be the beginning of longer ones."""
    return bool(phrases) and sum(map(len, phrases[-1])) >= MIN_BEGUN


def _fold(text: str) -> str:
    text = NEVER_IN_WORDS.sub(" ", text[:MAX_FOLDED])
    for apart, letter in TAKEN_APART:
        text = text.replace(apart, letter)
    chunks: list[str] = []
    size = 0
    for start in range(0, min(len(text), MAX_FOLDED), CHUNK):
        chunks.append(text[start : start + CHUNK].translate(_TABLE))
        size += len(chunks[-1])
        if size >= MAX_FOLDED:
            break
    folded = "".join(chunks)[:MAX_FOLDED]
    if TO_COMPOSE.search(folded) is None:
        return folded
    return TO_COMPOSE.sub(lambda run: unicodedata.normalize("NFC", run[0]), folded)


def _bounded(words: list[str]) -> list[str]:
    words = words[:MAX_TOKENS]
    if max(map(len, words), default=0) > MAX_TOKEN:
        words = [word[:MAX_TOKEN] for word in words]
    return words


def _pieces(word: str) -> Iterator[str]:
    """A word as it is, or where it is written without spaces, in overlapping pairs."""
    place = 0
    for run in WITHOUT_SPACES.finditer(word):
        if place < run.start():
            yield word[place : run.start()]
        alone, clusters, flags = run.groups()
        if alone:
            yield from _pairs(alone)
        elif clusters:
            yield from _pairs(CLUSTER.findall(clusters))
        else:
            yield from FLAG.findall(flags)
        place = run.end()
    if place < len(word):
        yield word[place:]


def _pairs(syllables: str | list[str]) -> Iterator[str]:
    if len(syllables) == 1:
        return iter(syllables)
    return (one + other for one, other in pairwise(syllables))
