"""Makes text safe to print at a terminal: the one place where every program of the package has that done.

Nothing that comes from elsewhere (a peer, a server, a file, the command line) may steer the terminal or hide in it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TextIO

# Unicode 16, in which more is printable than older Pythons know; from 3.14 on Python has it itself.
if sys.version_info >= (3, 14):
    import unicodedata as unicode16
else:
    import unicodedataplus as unicode16

TAB: Final = "    "
JOINERS: Final = "\u200c\u200d"  # scripts and emoji are written with them
SPACES: Final = "\t\r\n"  # the only controls that JSON has between its tokens
DIRECTIONS: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def visible(text: str) -> str:
    """Return the text on one line: controls as `^X`, C1 and directions as `<9b>`, non-characters as their number.

    Tabs and line separators become spaces; format characters that show nothing are dropped, except joiners.
    """
    # Printable in Unicode's sense means that nothing of this is in it.
    return text if text.isprintable() else "".join(map(_visible, text))


def visible_lines(text: str) -> str:
    """The same of each line of a text that may have several."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))


def visible_json(text: str, encoding: str = "utf-8") -> str:
    r"""Make a JSON text safe: the same value on one line, with `\uXXXX` for what `visible` does not show as it is.

    Also escaped is what `encoding` (a terminal's) cannot say.
    """
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        return text if text.isprintable() else "".join(map(_escaped, text))
    return "".join(_escaped(char) if _is_said(char, encoding) else _unicode_escape(char) for char in text)


def print_line(line: str, *, flush: bool = False) -> None:
    """Print one line on the output, made safe. A newline within it ends no line.

    What the encoding cannot say is written as an escape. Raises OSError. Blocks as `print` does.
    """
    _print(visible(line), sys.stdout, flush=flush)


def print_error(sentence: str) -> None:
    """The same on stderr, if the process has one."""
    _print(visible(sentence), sys.stderr)


def print_row(*fields: str) -> None:
    """Print one line of a table: the fields, each made safe, with tabs between. Raises OSError."""
    _print("\t".join(map(visible, fields)), sys.stdout)


class SafeErrors(io.TextIOBase):
    """A stream whose lines go to stderr, made safe: for who prints what an exception says, as gevent's hub does."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            sys.stderr.write(visible_lines(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()


def is_terminal(file: TextIO | None) -> bool:
    """Return whether a stream is written to a terminal."""
    try:
        return file is not None and file.isatty()
    except ValueError:  # it is closed
        return False


def _print(safe: str, file: TextIO | None, *, flush: bool = False) -> None:
    if file is not None:
        encoding = getattr(file, "encoding", None) or "utf-8"
        print(safe.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=flush)


@lru_cache(maxsize=4096)
def _visible(char: str) -> str:
    if char == "\t":
        return TAB
    if char in JOINERS:
        return char
    if char in DIRECTIONS:
        return _number(char)
    show = SHOWN.get(unicode16.category(char))
    return char if show is None else show(char)


def _escaped(char: str) -> str:
    if char in SPACES:
        return " "
    return char if _visible(char) == char else _unicode_escape(char)


def _unicode_escape(char: str) -> str:
    """The character in JSON's escapes: two where UTF-16 takes two."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _is_said(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _control(char: str) -> str:
    """C0 and DEL as a terminal echoes them; C1 has no such custom."""
    return "^" + chr(ord(char) ^ 0x40) if ord(char) < 0x80 else _number(char)


def _number(char: str) -> str:
    return f"<{ord(char):02x}>"


SHOWN: Final[dict[str, Callable[[str], str]]] = {
    "Cc": _control,
    "Cf": lambda char: "",
    "Cs": _number,
    "Co": _number,
    "Cn": _number,
    "Zl": lambda char: " ",
    "Zp": lambda char: " ",
}
"""What becomes of the categories that are not shown as they are."""
