"""Sanitizing text for terminals and logs; all programs of the package use this module.

Text from outside (of a peer, a server, a file, the command line) must not control the terminal or be invisible in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final

# Unicode 16, where more characters are printable than older Pythons know; Python has it since 3.14.
if sys.version_info >= (3, 14):
    import unicodedata as unicode16
else:
    import unicodedataplus as unicode16

TAB_SPACES: Final = "    "
JOINERS: Final = "\u200c\u200d"  # needed to write some scripts and emoji
JSON_WHITESPACE: Final = "\t\r\n"  # the control characters that JSON allows between tokens
BIDI_CONTROLS: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def sanitize(text: str) -> str:
    """Return a text in one line with control characters as `^X`, and C1, bidi controls and non-characters as `<9b>`.

    Tabs and line separators become spaces; invisible format characters are removed, except joiners.
    """
    # A printable text contains nothing that is replaced below.
    return text if text.isprintable() else "".join(map(_sanitize_char, text))


def sanitize_lines(text: str) -> str:
    """Return a text with each of its lines sanitized."""
    return "\n".join(sanitize(line) for line in text.replace("\r\n", "\n").split("\n"))


def sanitize_json(text: str, encoding: str = "utf-8") -> str:
    r"""Return the same JSON value in one line, with `\uXXXX` for all that `sanitize` would replace.

    Characters that `encoding` (the terminal's) cannot represent are escaped, too.
    """
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        return text if text.isprintable() else "".join(map(_escape_json_char, text))
    return "".join(_escape_json_char(char) if is_encodable(char, encoding) else _unicode_escape(char) for char in text)


@lru_cache(maxsize=4096)
def _sanitize_char(char: str) -> str:
    if char == "\t":
        return TAB_SPACES
    if char in JOINERS:
        return char
    if char in BIDI_CONTROLS:
        return _hex_notation(char)
    replace = REPLACEMENTS.get(unicode16.category(char))
    return char if replace is None else replace(char)


def _escape_json_char(char: str) -> str:
    if char in JSON_WHITESPACE:
        return " "
    return char if _sanitize_char(char) == char else _unicode_escape(char)


def _unicode_escape(char: str) -> str:
    """Return a character in JSON's notation: one escape for each of its UTF-16 code units."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2))


def is_encodable(text: str, encoding: str) -> bool:
    """Return whether an encoding has all characters of a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _caret_notation(char: str) -> str:
    """Write C0 controls and DEL as terminals echo them (`^C`); there is no such notation for C1."""
    return "^" + chr(ord(char) ^ 0x40) if ord(char) < 0x80 else _hex_notation(char)


def _hex_notation(char: str) -> str:
    return f"<{ord(char):02x}>"


REPLACEMENTS: Final[dict[str, Callable[[str], str]]] = {
    "Cc": _caret_notation,
    "Cf": lambda char: "",
    "Cs": _hex_notation,
    "Co": _hex_notation,
    "Cn": _hex_notation,
    "Zl": lambda char: " ",
    "Zp": lambda char: " ",
}
"""How characters are replaced, by Unicode category; those of other categories are kept."""
