"""The folded form of each character: a table for `str.translate` that fills itself as they are met.

Case, accents and compatibility forms are folded; a character that is no part of a word becomes a space, a symbol a
word of its own.
"""

from __future__ import annotations

import unicodedata
from itertools import chain
from typing import Final

HIRAGANA: Final = range(0x3041, 0x3097)
"""Like Korean, it is not decomposed: a voiced kana would lose its mark."""
KATAKANA: Final = range(0x30A1, 0x30FF)
MAX_TABLE_CODE: Final = 0x20000
"""Code points from here on are ideographs, variation selectors or unassigned: they are not cached."""
DROPPED_MARKS: Final = frozenset(
    code
    for code in chain(
        *(range(0x0300, 0x0370), range(0x0483, 0x048A), range(0x0591, 0x05C8), range(0x0610, 0x061B)),
        *(range(0x064B, 0x0660), range(0x0670, 0x0671), range(0x06D6, 0x06EE), range(0x0711, 0x0712)),
        *(range(0x0730, 0x074B), range(0x07EB, 0x07F4), range(0x0859, 0x085C), range(0x0898, 0x0900)),
        *(range(0x135D, 0x1360), range(0x180B, 0x1810), range(0x1AB0, 0x1B00), range(0x1DC0, 0x1E00)),
        *(range(0x20D0, 0x2100), range(0x302A, 0x3030), range(0xA66F, 0xA67E), range(0xA69E, 0xA6A0)),
        *(range(0xFE00, 0xFE10), range(0xFE20, 0xFE30)),
        *(range(0x1F3FB, 0x1F400),),
    )
    if unicodedata.category(chr(code)) in ("Mn", "Me", "Sk")
)
"""Marks that are dropped, and skin tones. Other marks are vowels or consonants of their script, and stay."""
SYMBOLS: Final = frozenset(
    chain(
        *(range(0x2190, 0x2200), range(0x2300, 0x2400), range(0x25A0, 0x27C0), range(0x2900, 0x2980)),
        *(range(0x2B00, 0x2C00), range(0x1F000, 0x1FB00)),
    )
)
"""Emoji and arrows, by block: so new ones can be searched before this Python knows them."""
REGIONAL_INDICATORS: Final = range(0x1F1E6, 0x1F200)
"""Letters that make a flag in pairs."""
UNDECOMPOSED_LETTERS: Final = frozenset("йїў")
"""Letters of their own, not accented forms of others, whatever their decomposition says."""
PLAIN_LETTERS: Final = dict(zip("łøđðħŧıŋɓɗɖɛƙƴɨʉƀǥƶȼɇɉɍɏⱥⱦ", "loddhtinbddekyiubgzcejryat", strict=True)) | {
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
}
"""Letters with a stroke, a hook or a twin, which Unicode takes for others but people without them type plainly."""
COMPATIBILITY_IDEOGRAPHS: Final = range(0x2F800, 0x2FA20)
"""Ideographs that stand for others."""
IDEOGRAPHS: Final = range(0x20000, 0x40000)
TATWEEL: Final = 0x0640
"""The line that Arabic letters are drawn out with."""


class FoldTable(dict[int, "int | str"]):
    """Maps a code point to its folded form. At most `MAX_TABLE_CODE` entries, some 15 MB."""

    def __missing__(self, code: int) -> int | str:
        """Fold and cache a character that is met for the first time."""
        if code >= MAX_TABLE_CODE:
            return _fold_uncached(code)
        is_itself = 0x3400 <= code < 0xA000 or 0xAC00 <= code < 0xD7A4  # ideographs, and Korean syllables
        folded = code if is_itself else _fold(code)
        self[code] = folded
        return folded


def _fold_uncached(code: int) -> int | str:
    if code in COMPATIBILITY_IDEOGRAPHS:
        return unicodedata.normalize("NFKC", chr(code))
    if code in IDEOGRAPHS:
        return code
    return " " if code < 0xE0000 or code >= 0xE1000 else ""  # tags and variation selectors


def _fold(code: int) -> int | str:
    char = chr(code)
    if code in REGIONAL_INDICATORS or code in HIRAGANA:
        return code
    if not unicodedata.decomposition(char) and char.casefold() == char:
        return _fold_component(char)
    folded = unicodedata.normalize("NFKC", char).casefold()
    if folded in UNDECOMPOSED_LETTERS or (len(folded) == 1 and ord(folded) in KATAKANA):
        return folded
    return "".join(map(_fold_component, unicodedata.normalize("NFKD", folded)))


def _fold_component(char: str) -> str:
    """Fold one character of a decomposition: to itself, its plain letter, a space, or nothing."""
    code = ord(char)
    if code in DROPPED_MARKS or code == TATWEEL:
        return ""
    if code in SYMBOLS:
        return f" {char} "
    category = unicodedata.category(char)
    if category[0] in "LMN":
        return PLAIN_LETTERS.get(char, char)
    return "" if category == "Cf" else " "
