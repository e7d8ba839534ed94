"""Texts that take long to fold, index or search, each of the maximum length of a message."""

from __future__ import annotations

import random
from typing import Final

MAX_TEXT: Final = 16_384
RANDOM: Final = random.Random(13)  # noqa: S311


def random_text(*ranges: range) -> str:
    codes = [code for range_ in ranges for code in range_ if not 0xD800 <= code < 0xE000]
    return "".join(map(chr, RANDOM.choices(codes, k=MAX_TEXT)))


TEXTS: Final[dict[str, str]] = {
    "ASCII": "abcd " * 3200,
    "one letter a word": "a " * 8192,
    "one word": "a" * MAX_TEXT,
    "U+FDFA": "\ufdfa" * MAX_TEXT,
    "U+3300": "\u3300" * MAX_TEXT,
    "ideographs": random_text(range(0x4E00, 0x9F00)),
    "Korean": random_text(range(0xAC00, 0xD7A0)),
    "Korean letters": random_text(range(0x1100, 0x1200)),
    "Thai": random_text(range(0x0E01, 0x0E3B), range(0x0E40, 0x0E4F)),
    "Khmer": random_text(range(0x1780, 0x17D4)),
    "accents": ("e" + "\u0301\u0323\u0302" * 5) * 1024,
    "marks": "\u0323\u0301" * 8192,
    "vowel signs": "\u0915" + "\u094d\u093c" * 8191,
    "kana in two": "\u304b\u3099" * 8192,
    "emoji": random_text(range(0x1F300, 0x1F600)),
    "every character": random_text(range(0x80, 0x110000)),
    "scripts by turns": "a\u6f22" * 8192,
    "escapes": "\x01" * 10_000,
    "quotes": '"\\' * 8192,
}
