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

FOLDING_VERSION: Final = 2
"""The number of this way of folding: an index made by another one is made again."""
MAX_NORMALIZED: Final = 16_384  # characters of a text that are folded, and characters that come of it
MAX_TOKENS: Final = 8_192  # words of a text that can be found
MAX_TOKEN: Final = 128  # characters of a word that are told apart
MAX_QUERY: Final = 1_024  # characters of a query that are folded
MAX_QUERY_WORDS: Final = 32  # different words of a query that have to be there
MAX_PHRASE_PAIRS: Final = 64  # pairs of a word of a query that have to stand side by side
NORMALIZE_CHUNK: Final = 1_024  # characters that are folded at a time, until `MAX_NORMALIZED` have come of them
MIN_PREFIX: Final = 3  # letters a word needs before it is taken for the beginning of longer ones
ASCII_TABLE: Final = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
"""ASCII in small letters, and a space for what is no letter or digit."""
CJK: Final = "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u318f\u31a0-\u31ff\u3400-\u9fff" + (
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Chinese, Japanese and Korean: each character is a syllable."""
CLUSTERED_SCRIPTS: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
"""Thai, Lao, Burmese, Khmer, Tai: a consonant and its marks are a syllable, more or less."""
REGIONAL_INDICATORS: Final = "\U0001f1e6-\U0001f1ff"
UNSPACED_RUN: Final = re.compile(f"([{CJK}]+)|([{CLUSTERED_SCRIPTS}]+)|([{REGIONAL_INDICATORS}]+)")
FLAG: Final = re.compile(f"[{REGIONAL_INDICATORS}]{{1,2}}")
UNASSIGNED_PLANES: Final = re.compile("[\U00040000-\U000dffff\U000e1000-\U0010ffff]+")
"""Planes without characters: the table is not asked, which does not remember them."""
MAX_CLUSTER_MARKS: Final = 8  # marks of a cluster; what is piled up beyond that begins another one
DECOMPOSED: Final = re.compile("[\u1100-\u11ff]+|[\u3041-\u30ff]*[\u3099\u309a][\u3041-\u30ff]*")
"""Korean letters and voiced kana that were taken apart. None of their marks is sorted among others."""
DECOMPOSED_LETTERS: Final = tuple(
    (unicodedata.normalize("NFD", letter), letter) for letter in ("й", "ї", "ў", "Й", "Ї", "Ў")
)

_FOLD_TABLE: Final = FoldTable()


def _list_cluster_marks() -> str:
    """Every mark of the scripts that are cut into clusters, for a character class."""
    pairs = re.findall(r"(.)-(.)", CLUSTERED_SCRIPTS)
    codes = [code for first, last in pairs for code in range(ord(first), ord(last) + 1)]
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")


CLUSTER: Final = re.compile(f".[{_list_cluster_marks()}]{{0,{MAX_CLUSTER_MARKS}}}")


def tokenize(text: str) -> list[str]:
    """The folded words of a text in their order, at most `MAX_TOKENS`: letters, digits and symbols, no spaces."""
    if text.isascii():
        return _truncate(text[:MAX_NORMALIZED].encode().translate(ASCII_TABLE).decode().split())
    folded = _normalize(text)
    words = folded.split()
    if UNSPACED_RUN.search(folded) is not None:
        words = list(islice(chain.from_iterable(map(_segment, words)), MAX_TOKENS))
    return _truncate(words)


def parse_query(text: str) -> list[list[str]]:
    """The words of a query, each once. One of several pieces is a phrase: the pairs of 東京都 stand side by side."""
    words = dict.fromkeys(_normalize(text[:MAX_QUERY]).split())
    return [_truncate(list(islice(_segment(word), MAX_PHRASE_PAIRS))) for word in islice(words, MAX_QUERY_WORDS)]


def is_prefix_query(parsed: Sequence[Sequence[str]]) -> bool:
    """Whether the last word of a query may be the beginning of longer ones."""
    return bool(parsed) and sum(map(len, parsed[-1])) >= MIN_PREFIX


def _normalize(text: str) -> str:
    text = UNASSIGNED_PLANES.sub(" ", text[:MAX_NORMALIZED])
    for apart, letter in DECOMPOSED_LETTERS:
        text = text.replace(apart, letter)
    chunks: list[str] = []
    size = 0
    for start in range(0, min(len(text), MAX_NORMALIZED), NORMALIZE_CHUNK):
        chunks.append(text[start : start + NORMALIZE_CHUNK].translate(_FOLD_TABLE))
        size += len(chunks[-1])
        if size >= MAX_NORMALIZED:
            break
    folded = "".join(chunks)[:MAX_NORMALIZED]
    if DECOMPOSED.search(folded) is None:
        return folded
    return DECOMPOSED.sub(lambda run: unicodedata.normalize("NFC", run[0]), folded)


def _truncate(words: list[str]) -> list[str]:
    words = words[:MAX_TOKENS]
    if max(map(len, words), default=0) > MAX_TOKEN:
        words = [word[:MAX_TOKEN] for word in words]
    return words


def _segment(word: str) -> Iterator[str]:
    """A word as it is, or where it is written without spaces, in overlapping pairs."""
    place = 0
    for run in UNSPACED_RUN.finditer(word):
        if place < run.start():
            yield word[place : run.start()]
        alone, clusters, flags = run.groups()
        if alone:
            yield from _bigrams(alone)
        elif clusters:
            yield from _bigrams(CLUSTER.findall(clusters))
        else:
            yield from FLAG.findall(flags)
        place = run.end()
    if place < len(word):
        yield word[place:]


def _bigrams(syllables: str | list[str]) -> Iterator[str]:
    if len(syllables) == 1:
        return iter(syllables)
    return (one + other for one, other in pairwise(syllables))
