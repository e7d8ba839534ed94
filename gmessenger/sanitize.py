"""Makes text safe to print at a terminal: the one place where every program of the package has that done.

Nothing that comes from elsewhere (a peer, a server, a file, the command line) may steer the terminal or hide in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final

# Unicode 16, in which more is printable than older Pythons know; from 3.14 on Python has it itself.
if sys.version_info >= (3, 14):
    import unicodedata as unicode16
else:
    import unicodedataplus as unicode16

TAB_SPACES: Final = "    "
JOINERS: Final = "\u200c\u200d"  # scripts and emoji are written with them
JSON_WHITESPACE: Final = "\t\r\n"  # the only controls that JSON has between its tokens
BIDI_CONTROLS: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def sanitize(text: str) -> str:
    """Return the text on one line: controls as `^X`, C1 and directions as `<9b>`, non-characters as their number.

    Tabs and line separators become spaces; format characters that show nothing are dropped, except joiners.
    """
    # Printable in Unicode's sense means that nothing of this is in it.
    return text if text.isprintable() else "".join(map(_sanitize_char, text))


def sanitize_lines(text: str) -> str:
    """The same of each line of a text that may have several."""
    return "\n".join(sanitize(line) for line in text.replace("\r\n", "\n").split("\n"))


def sanitize_json(text: str, encoding: str = "utf-8") -> str:
    r"""Make a JSON text safe: the same value on one line, with `\uXXXX` for what `visible` does not show as it is.

    Also escaped is what `encoding` (a terminal's) cannot say.
    """
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        return text if text.isprintable() else "".join(map(_escape_json_char, text))
    return "".join(_escape_json_char(char) if _is_encodable(char, encoding) else _unicode_escape(char) for char in text)


@lru_cache(maxsize=4096)
def _sanitize_char(char: str) -> str:
    if char == "\t":
        return TAB_SPACES
    if char in JOINERS:
        return char
    if char in BIDI_CONTROLS:
        return _hex_notation(char)
    show = REPLACEMENTS.get(unicode16.category(char))
    return char if show is None else show(char)


def _escape_json_char(char: str) -> str:
    if char in JSON_WHITESPACE:
        return " "
    return char if _sanitize_char(char) == char else _unicode_escape(char)


def _unicode_escape(char: str) -> str:
    """The character in JSON's escapes: two where UTF-16 takes two."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _is_encodable(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _caret_notation(char: str) -> str:
    """C0 and DEL as a terminal echoes them; C1 has no such custom."""
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
"""What becomes of the categories that are not shown as they are."""
