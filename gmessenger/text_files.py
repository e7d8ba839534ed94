"""Text files that people write: UTF-8, with or without the byte order mark that some editors add."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from gmessenger.errors import FileError
from gmessenger.text import Text

BYTE_ORDER_MARK: Final = "\ufeff"
MAX_PASSWORD_LINE: Final = 4096  # characters; longer than any password may be


def open_text(file: str | Path) -> IO[str]:
    """Open a text file for reading. Raises OSError; reading raises UnicodeDecodeError if it is not UTF-8."""
    return Path(file).open(encoding="utf-8-sig")


def strip_bom(text: str) -> str:
    """Return a text without the byte order mark it may begin with."""
    return text.removeprefix(BYTE_ORDER_MARK)


def read_password_file(file: str) -> str:
    """Return the first line of a file without its line break. Blocks.

    Raises:
        FileError: the file cannot be read, is not UTF-8, or its first line is empty.
    """
    try:
        with open_text(file) as opened:
            line = opened.readline(MAX_PASSWORD_LINE).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FileError(Text("Cannot read the password file {file}: it is not UTF-8.", file=file)) from error
    except (OSError, ValueError) as error:
        reason = Text(getattr(error, "strerror", None) or str(error))
        raise FileError(Text("Cannot read the password file {file}: {reason}.", file=file, reason=reason)) from error
    if not line:
        raise FileError(Text("The first line of the password file {file} is empty.", file=file))
    return line
