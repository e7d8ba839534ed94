"""What the full screen knows again when it comes back, also from a crash: drafts, and what was open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import gevent
from gevent import Greenlet, get_hub
from gevent.lock import BoundedSemaphore

from gmessenger.durability import sync_file

PAUSE: Final = 0.4
"""Seconds from a change to the disk: what was typed in between is all that a crash can cost."""
LONGEST_DRAFT: Final = 65_536
MOST: Final = 200
"""Conversations of which is known that they were there."""
LARGEST: Final = 8 * MOST * LONGEST_DRAFT
"""Bytes that are read: more than are ever written."""
SHOWN: Final = "shown"
HIDDEN: Final = "hidden"
ESCAPES: Final = (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"))

Value = TypeVar("Value")


@dataclass(slots=True)
class Kept:
    """`shown` are drafts, mostly empty, by the names of conversations, in their order; `hidden` says up to which number
    somebody wanted to see nothing of one.
    """

    shown: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)


class Drafts:
    """Writes what `now` says after each `touch`, whole or not at all; `failed` is told where that cannot be done."""

    def __init__(self, file: Path, now: Callable[[], Kept], failed: Callable[[Exception], object]) -> None:
        self._file = file
        self._now = now
        self._failed = failed
        self._due: Greenlet[..., object] | None = None
        self._writing = BoundedSemaphore()
        self._written: bytes | None = None

    def load(self) -> Kept:
        """What an earlier run left; nothing where it left none, or none that can be read."""
        kept = Kept()
        with suppress(OSError), self._file.open("rb") as file:
            for line in file.read(LARGEST).split(b"\n"):
                with suppress(ValueError):  # somebody has been at it with an editor
                    _take(kept, line.decode("utf-8", "surrogatepass"))
        return kept

    def touch(self) -> None:
        """Something has changed. Takes no time."""
        if self._due is None:
            self._due = gevent.spawn_later(PAUSE, self.save)

    def save(self) -> None:
        """Write what there is now; when this returns it is on disk, if it can be."""
        self._due = None
        try:
            with self._writing:
                self._write(b"".join(_lines(self._now())))
        except Exception as error:
            self._failed(error)

    def _write(self, data: bytes) -> None:
        if data == self._written:
            return
        if (error := get_hub().threadpool.apply(_replace, (self._file, data))) is not None:
            raise error
        self._written = data


def _replace(file: Path, data: bytes) -> OSError | None:
    # Returned, not raised: an error in the pool's thread would be printed with its traceback.
    new = file.with_suffix(".new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(data)
            opened.flush()
            sync_file(opened.fileno())
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        return error
    return None


def _lines(kept: Kept) -> Iterator[bytes]:
    """`shown`, its name, its draft; or `hidden`, its name, its number: with tabs between."""
    for name, draft in _first(kept.shown):
        yield _line(SHOWN, name, draft[:LONGEST_DRAFT])
    for name, seq in _first(kept.hidden):
        yield _line(HIDDEN, name, str(seq))


def _first(items: Mapping[str, Value]) -> list[tuple[str, Value]]:
    """As many as may be, in order; where there are more, those with something in them."""
    if len(items) <= MOST:
        return list(items.items())
    return sorted(items.items(), key=lambda item: not item[1])[:MOST]


def _line(*parts: str) -> bytes:
    return ("\t".join(map(_escaped, parts)) + "\n").encode("utf-8", "surrogatepass")


def _take(kept: Kept, line: str) -> None:
    """Raises ValueError for what is no such line."""
    kind, name, value = map(_unescaped, line.split("\t"))
    if kind == SHOWN:
        kept.shown[name] = value
    elif kind == HIDDEN:
        kept.hidden[name] = int(value)


def _escaped(text: str) -> str:
    for char, escape in ESCAPES:
        text = text.replace(char, escape)
    return text


def _unescaped(text: str) -> str:
    parts = text.split("\\\\")
    for char, escape in ESCAPES[1:]:
        parts = [part.replace(escape, char) for part in parts]
    return "\\".join(parts)
