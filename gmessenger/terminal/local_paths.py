"""Paths as they are typed: with spaces as they are, or quoted as in a shell; and what a folder has to complete them."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

QUOTES: Final = ("'", '"')
ESCAPE: Final = "\\"
SPECIAL: Final = re.compile(r"[\s'\"\\]")
"""Characters that have a meaning, or end a word, in an unquoted word of a shell."""
HOME: Final = "~"
HIDDEN_PREFIX: Final = "."
MAX_SCANNED: Final = 100_000  # names of a folder that are looked at


def parse_path(typed: str) -> Path:
    """Return the path that was typed; `~` stands for the home folder."""
    return Path(_expand(unquote_path(typed)))


def _expand(path: str) -> str:
    """Return a path with the home folder for `~`; one of a user who does not exist stays, and is not found."""
    return os.path.expanduser(path)  # noqa: PTH111 - that of Path raises, and knows no end in a slash


def unquote_path(typed: str) -> str:
    """Return the path that was typed: with spaces as it is, or quoted as in a shell, as terminals paste it."""
    typed = typed.strip()
    if not typed.startswith(QUOTES) and ESCAPE not in typed:
        return typed
    try:
        words = shlex.split(typed)
    except ValueError:
        return typed
    return words[0] if len(words) == 1 else typed


class PathDraft(NamedTuple):
    """The beginning of a path.

    folder: up to the last slash, which it includes; empty for the working directory.
    prefix: the beginning of the name in that folder.
    quote: how it is quoted: by a quote, which is not closed, by ESCAPE before special characters, or not at all.
    """

    folder: str
    prefix: str
    quote: str

    @property
    def path(self) -> str:
        return self.folder + self.prefix


def parse_beginning(typed: str) -> PathDraft | None:
    """Return the path that is being typed; None where its quote was closed already."""
    typed, quote = typed.lstrip(), ""
    if typed.startswith(QUOTES):
        quote = typed[0]
        unquoted = _unquote(typed[1:], quote)
        if unquoted is None:
            return None
        path = unquoted
    elif ESCAPE in typed:
        quote = ESCAPE
        path = re.sub(r"\\(.?)", r"\1", typed, flags=re.DOTALL)
    else:
        path = typed
    folder, slash, prefix = path.rpartition("/")
    return PathDraft(folder + slash, prefix, quote)


def _unquote(text: str, quote: str) -> str | None:
    """Return a text behind an opening quote; None if the quote is closed in it."""
    if quote == "'":
        return None if quote in text else text
    parts = re.split(r'\\([\\"])', text)  # every second part is a character that was escaped
    return None if any(quote in part for part in parts[::2]) else "".join(parts)


def quote_path(path: str, quote: str = "", *, is_whole: bool = True) -> str:
    """Return a path as one types it, quoted in that way where it can be: `unquote_path` returns the path again.

    Unless it `is_whole`, an opened quote is left open, for the rest.
    """
    if quote in ("", ESCAPE) and path == path.strip():
        escaped = SPECIAL.sub(r"\\\g<0>", path)
        if quote == ESCAPE:
            return escaped
        if ESCAPE not in path and not path.startswith(QUOTES):
            return path
    if quote != "'" or "'" in path:
        quote = '"'
        path = path.replace(ESCAPE, ESCAPE * 2).replace(quote, ESCAPE + quote)
    return f"{quote}{path}{quote if is_whole else ''}"


class FoundName(NamedTuple):
    """A name in a folder that begins as it was typed."""

    name: str
    is_folder: bool


def find_names(beginning: PathDraft, limit: int, deadline: float) -> list[FoundName]:
    """Return the first files and folders, by name, that a typed beginning of a path stands for.

    Blocks, at most until the monotonic time `deadline` unless the file system hangs; of a folder that is too large to
    be read by then, what was read. Hidden names are returned if the prefix is hidden. Returns nothing if the folder
    cannot be read.
    """
    folder = _expand(beginning.folder) or os.curdir
    try:
        with os.scandir(folder) as entries:
            matching = (entry for entry in _within(entries, deadline) if _matches(entry.name, beginning.prefix))
            found = nsmallest(limit, matching, key=lambda entry: (entry.name.casefold(), entry.name))
        return [FoundName(entry.name, entry.is_dir()) for entry in found if entry.is_dir() or entry.is_file()]
    except (OSError, ValueError):  # ValueError: no path has a NUL
        return []


def _within(entries: Iterator[os.DirEntry[str]], deadline: float) -> Iterator[os.DirEntry[str]]:
    for entry in islice(entries, MAX_SCANNED):
        if time.monotonic() > deadline:
            return
        yield entry


def _matches(name: str, prefix: str) -> bool:
    """Return whether a name begins so, whatever its case; a hidden one only if the prefix is hidden."""
    if name.startswith(HIDDEN_PREFIX) and not prefix.startswith(HIDDEN_PREFIX):
        return False
    return name.casefold().startswith(prefix.casefold()) and _is_text(name)


def _is_text(name: str) -> bool:
    """Return whether a name can be typed and sent: one that is not UTF-8 cannot."""
    return name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name)
