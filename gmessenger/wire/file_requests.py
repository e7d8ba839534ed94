"""What HTTP says about a file: its name in a header and in a URL, and the part of it that is asked for."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from gmessenger.sanitize import sanitize

MAX_FILE_NAME: Final = 100  # characters
FALLBACK_NAME: Final = "file"
MAX_HEADER: Final = 2_000  # characters of a header that are looked at
EXTENDED_NAME: Final = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
PLAIN_NAME: Final = re.compile(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.IGNORECASE)
RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
SEPARATORS: Final = re.compile(r"[/\\]")
UNSAFE: Final = re.compile(r'[<>:"|?*]')
"""Characters that no name of a file has on Windows."""


class FileRange(NamedTuple):
    """A part of a file, from `start` to before `end`."""

    start: int
    end: int


def clean_file_name(name: str) -> str:
    """Return the name of a file as it is kept: what follows the last `/` or `\\`, visible, and not too long.

    Its extension stays where it has to be cut.
    """
    last = SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    visible = "".join(char for char in last if unicodedata.category(char)[0] not in "CZ" or char == " ")
    visible = UNSAFE.sub("_", " ".join(sanitize(visible).split())).strip(". ")
    if len(visible) <= MAX_FILE_NAME:
        return visible or FALLBACK_NAME
    stem, dot, extension = visible.rpartition(".")
    if not dot or len(extension) > MAX_FILE_NAME // 4:
        return visible[:MAX_FILE_NAME].rstrip()
    return f"{stem[: MAX_FILE_NAME - 1 - len(extension)].rstrip()}.{extension}"


def name_from_disposition(header: str) -> str:
    """Return the cleaned name that a `Content-Disposition` gives (RFC 6266); `FALLBACK_NAME` where there is none."""
    header = header[:MAX_HEADER]
    if match := EXTENDED_NAME.search(header):
        return clean_file_name(unquote(match[1], errors="replace"))
    if match := PLAIN_NAME.search(header):
        name = re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2]
        return clean_file_name(_decode(name))
    return FALLBACK_NAME


def disposition(name: str, *, is_shown: bool) -> str:
    """Return the `Content-Disposition` of a file: shown in the browser, or saved under its name."""
    plain = "".join(char if char.isascii() and char not in '"\\%' else "_" for char in name)
    return f"{'inline' if is_shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def parse_range(header: str, size: int) -> FileRange | None:
    """Return the part of a file that a `Range` asks for (RFC 9110, section 14.1.2).

    None where all is to be sent: for no header, one that is not understood, or more than one range. Raises ValueError
    where the range is not in the file.
    """
    match = RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        start, end = size - length, size
    else:
        start = int(match[1])
        last = int(match[2]) if match[2] else max(start, size)
        if last < start:
            return None  # such a header is invalid, and ignored
        end = min(last + 1, size)
    if start >= end:
        raise ValueError("The range is not in the file.")
    return FileRange(start, end)


def _decode(text: str) -> str:
    """Return what a header means whose bytes were read as Latin-1: UTF-8, if they are that."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
