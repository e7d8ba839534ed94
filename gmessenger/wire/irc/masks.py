"""Masks of `nick!user@host`, with `*` for any characters and `?` for one (modern.ircdocs.horse, "Wildcards")."""

from __future__ import annotations

import re
import string
from typing import Final

ANYTHING: Final = "*"
ONE: Final = "?"
STARS: Final = re.compile(r"\*+")
LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def is_mask(text: str) -> bool:
    """Return whether a text has a wildcard, so that it stands for more than one name."""
    return ANYTHING in text or ONE in text


def normalize_mask(text: str) -> str:
    """Return a mask with all its three parts: `hank` is `hank!*@*`, and `user@host` is `*!user@host`."""
    nick, user, host = split_source(text)
    if "@" in text and "!" not in text:
        nick, user = "", nick
    return STARS.sub(ANYTHING, f"{nick or ANYTHING}!{user or ANYTHING}@{host or ANYTHING}")


def split_source(source: str) -> tuple[str, str, str]:
    """Return the nick, the user and the host of a source; those that it does not have are empty."""
    rest, _, host = source.partition("@")
    nick, _, user = rest.partition("!")
    return nick, user, host


def match_mask(mask: str, target: str) -> bool:
    """Return whether a mask stands for a target; ASCII letters match in either case.

    All ways to match are followed at once, as the bits of a number, so that the time is that of the target's length
    times that of the mask's, and a 30th of it for each step: bit `n` says that the first `n` parts of the mask, not
    counting `*`, match what has been read.
    """
    stars, ones, letters, size = _compile(mask.translate(LOWER))
    states = 1
    for char in target.translate(LOWER):
        states = (states & (letters.get(char, 0) | ones)) << 1 | states & stars
        if not states:
            return False
    return bool(states >> size)


def _compile(mask: str) -> tuple[int, int, dict[str, int], int]:
    """Return where the mask has a `*` before a part, where a `?`, where each letter, and how many parts it has."""
    stars = ones = size = 0
    letters: dict[str, int] = {}
    for char in mask:
        bit = 1 << size
        if char == ANYTHING:
            stars |= bit
            continue
        if char == ONE:
            ones |= bit
        else:
            letters[char] = letters.get(char, 0) | bit
        size += 1
    return stars, ones, letters, size
