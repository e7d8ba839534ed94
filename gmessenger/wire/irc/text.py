"""Texts of any length in the lines of IRC: pieces that fit, cut between words and never within a character.

Every step looks at no more than the bytes of one piece, so the time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from gmessenger.wire.irc.lines import clip_text

CTCP: Final = "\x01"
"""Begins and ends what is for a client, and not its user."""
MIN_ROOM: Final = 4
"""Bytes of the longest character in UTF-8."""
MAX_CLUSTER: Final = 32
"""Characters of a grapheme cluster that is kept together; the longest emoji, with tags and skin tones, have fewer."""
MAX_SPACES: Final = 8
"""Spaces that are tried where a combining mark follows them."""
LINE_END: Final = re.compile(r"\r\n?|\n")
EXTENDING: Final = frozenset({"Mn", "Mc", "Me"})
"""Categories of characters that combine with the one before them, variation selectors among them."""
JOINER: Final = "\u200d"
QUOTED_WORD: Final = re.compile(r'"((?:[^"]|"")*)"(?![^ ])')
"""A word in double quotes; one that is part of it is doubled."""


def is_plain(text: str) -> bool:
    """Return whether a text can stand in a line as it is: True for nearly all.

    False for one with a line end, NUL or the mark of CTCP, and for one that has to be looked at more closely.
    """
    if text.isascii():  # (then four searches take a tenth of the time)
        return not ("\n" in text or "\r" in text or "\0" in text or CTCP in text)
    return text.isprintable()


def split_text(text: str, room: int) -> list[str]:
    """Return a text in pieces of at most `room` bytes, each of one line; empty lines are left out.

    A text that has only line ends has no pieces. Raises ValueError if `room` is less than `MIN_ROOM`.
    """
    return [piece for line in LINE_END.split(text) if line for piece in _split_line(line, room)]


def split_pieces(text: str, room: int) -> list[tuple[str, bool]]:
    """Return all lines of a text in pieces of at most `room` bytes, each with whether it continues the one before it.

    Blank lines are kept: what a `draft/multiline` batch says, joined again, is the text with LF as its line ends.
    Raises ValueError if `room` is less than `MIN_ROOM`.
    """
    return [(piece, at > 0) for line in LINE_END.split(text) for at, piece in enumerate(_split_line(line, room))]


def _split_line(line: str, room: int) -> list[str]:
    if room < MIN_ROOM:
        raise ValueError(f"no room for a character: {room} bytes")
    pieces: list[str] = []
    start = 0
    while len(reach := clip_text(line[start : start + room], room)) < len(line) - start:
        end = _find_cut(line, start, start + len(reach))
        pieces.append(line[start:end])
        start = end
    return [*pieces, reach]


def _find_cut(line: str, start: int, end: int) -> int:
    """Return where a piece ends that may reach up to `end`: behind its last space, or else between two clusters."""
    at = end
    for _ in range(MAX_SPACES):
        at = line.rfind(" ", start, at)
        if at < 0 or line[start:at].isspace() or at == start:
            break
        if _is_boundary(line, at + 1):
            return at + 1
    for at in range(end, max(start, end - MAX_CLUSTER), -1):
        if _is_boundary(line, at):
            return at
    return end


def _is_boundary(line: str, at: int) -> bool:
    """Return whether a grapheme cluster begins at `at`, as far as `MAX_CLUSTER` characters before it tell."""
    before, after = line[at - 1], line[at]
    if after.isascii():
        return True
    if after == JOINER or before == JOINER or _extends(after):
        return False
    return not (_is_flag_letter(before) and _is_flag_letter(after)) or _count_flag_letters(line, at) % 2 == 0


def _extends(char: str) -> bool:
    """Return whether a character belongs to the one before it: marks, skin tones, tags, vowels and finals of Hangul."""
    return (
        unicodedata.category(char) in EXTENDING
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or "\u1160" <= char <= "\u11ff"
        or "\ud7b0" <= char <= "\ud7ff"
        or char == "\u200c"
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _count_flag_letters(line: str, at: int) -> int:
    """Return how many regional indicators stand in a row before `at`: two of them are a flag."""
    count = 0
    while count < 2 * MAX_CLUSTER and at > count and _is_flag_letter(line[at - count - 1]):
        count += 1
    return count


def split_words(text: str, most: int) -> list[str]:
    """Return the words of a text, at most so many: the last of them is the rest of it, with its spaces.

    A word with spaces that is not the last is in double quotes, as any word may be.
    """
    words: list[str] = []
    rest = text.strip(" ")
    while rest:
        quoted = QUOTED_WORD.match(rest)
        if len(words) == most - 1 and (quoted is None or quoted.end() < len(rest)):
            return [*words, rest]
        word = rest.partition(" ")[0] if quoted is None else quoted[1].replace('""', '"')
        rest = rest[len(word) if quoted is None else quoted.end() :].lstrip(" ")
        words.append(word)
    return words


def pack_words(words: Iterable[str], room: int, separator: str = " ") -> Iterator[str]:
    """Yield words with a separator between them, as many at a time as fit `room` bytes. A longer word stands alone."""
    line, size = "", 0
    for word in words:
        length = len(word.encode()) + len(separator)
        if line and size + length - len(separator) > room:
            yield line
            line, size = "", 0
        line += f"{separator}{word}" if line else word
        size += length
    if line:
        yield line
