"""Text files that people write: read as UTF-8, without the byte order mark that some editors put first."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from gmessenger.errors import FileError
from gmessenger.text import Text

BYTE_ORDER_MARK: Final = "\ufeff"
MAX_PASSWORD_LINE: Final = 4096  # characters; no server takes as long a password


def open_text(file: str | Path) -> IO[str]:
    """Open a text file to be read. Raises OSError; reading raises UnicodeDecodeError where it is not UTF-8."""
    return Path(file).open(encoding="utf-8-sig")


def strip_bom(text: str) -> str:
    """Return the beginning of a text without its byte order mark."""
    return text.removeprefix(BYTE_ORDER_MARK)


def read_password_file(file: str) -> str:
    """Return the first line of a file, without its end. Raises `FileError` where there is none, or it is empty."""
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
