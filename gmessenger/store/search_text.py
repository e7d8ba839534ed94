"""Normalise texts for search: words with case and accents folded, scripts without spaces in pairs.

How much of a text is normalised, and how many words come of it, is bounded here and nowhere else: one character may
become eighteen. It is tables and regular expressions only; the worst text takes a few milliseconds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Final

from gmessenger.store.fold_table import FoldTable

FOLDING_VERSION: Final = 2  # an index made by another version is made again
MAX_NORMALIZED: Final = 16_384  # characters of a text that are normalised, and characters of the result
MAX_TOKENS: Final = 8_192  # words of a text that are indexed
MAX_TOKEN: Final = 128  # characters of a word that are indexed
MAX_QUERY: Final = 1_024  # characters of a query that are used
MAX_QUERY_WORDS: Final = 32  # different words of a query that are searched for
MAX_PHRASE_PAIRS: Final = 64  # pairs of syllables of one word of a query
NORMALIZE_CHUNK: Final = 1_024  # characters that are normalised at a time, until the result has `MAX_NORMALIZED`
MIN_PREFIX: Final = 3  # letters that the last word of a query needs to be a prefix of longer words
ASCII_COST_DIVISOR: Final = 8  # characters of ASCII that are normalised as quickly as one other
ASCII_TABLE: Final = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
"""By ASCII code, the lower-case letter or digit; a space for all else."""
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
"""Planes without characters: replaced before the fold table, which does not cache them."""
MAX_CLUSTER_MARKS: Final = 8  # combining marks of a cluster; further marks begin another one
DECOMPOSED: Final = re.compile("[\u1100-\u11ff]+|[\u3041-\u30ff]*[\u3099\u309a][\u3041-\u30ff]*")
"""Decomposed Korean letters and voiced kana, which are composed again after folding."""
DECOMPOSED_LETTERS: Final = tuple(
    (unicodedata.normalize("NFD", letter), letter) for letter in ("й", "ї", "ў", "Й", "Ї", "Ў")
)

_FOLD_TABLE: Final = FoldTable()


def _list_cluster_marks() -> str:
    """List the combining marks of the clustered scripts, for a character class."""
    pairs = re.findall(r"(.)-(.)", CLUSTERED_SCRIPTS)
    codes = [code for first, last in pairs for code in range(ord(first), ord(last) + 1)]
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")


CLUSTER: Final = re.compile(f".[{_list_cluster_marks()}]{{0,{MAX_CLUSTER_MARKS}}}")


def tokenize(text: str) -> list[str]:
    """Return the normalised words of a text in order, at most `MAX_TOKENS`: letters, digits, symbols."""
    if text.isascii():
        return _truncate(text[:MAX_NORMALIZED].encode().translate(ASCII_TABLE).decode().split())
    folded = _normalize(text)
    words = folded.split()
    if UNSPACED_RUN.search(folded) is not None:
        words = list(islice(chain.from_iterable(map(_segment, words)), MAX_TOKENS))
    return _truncate(words)


def parse_query(text: str) -> list[list[str]]:
    """Return the normalised words of a query, each once, as phrases: 東京都 is two adjacent pairs."""
    words = dict.fromkeys(_normalize(text[:MAX_QUERY]).split())
    return [_truncate(list(islice(_segment(word), MAX_PHRASE_PAIRS))) for word in islice(words, MAX_QUERY_WORDS)]


def is_prefix_query(parsed: Sequence[Sequence[str]]) -> bool:
    """Return whether the last word of a query also matches as a prefix."""
    return bool(parsed) and sum(map(len, parsed[-1])) >= MIN_PREFIX


def _normalize(text: str) -> str:
    """Fold case, accents and compatibility forms; separate words by spaces; bound the result."""
    text = UNASSIGNED_PLANES.sub(" ", text[:MAX_NORMALIZED])
    for decomposed, letter in DECOMPOSED_LETTERS:
        text = text.replace(decomposed, letter)
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
    """Yield a word as it is, or, where it is written without spaces, in overlapping pairs."""
    end = 0
    for run in UNSPACED_RUN.finditer(word):
        if end < run.start():
            yield word[end : run.start()]
        cjk, clusters, flags = run.groups()
        if cjk:
            yield from _bigrams(cjk)
        elif clusters:
            yield from _bigrams(CLUSTER.findall(clusters))
        else:
            yield from FLAG.findall(flags)
        end = run.end()
    if end < len(word):
        yield word[end:]


def _bigrams(syllables: str | list[str]) -> Iterator[str]:
    if len(syllables) == 1:
        return iter(syllables)
    return (first + second for first, second in pairwise(syllables))
