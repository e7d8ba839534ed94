"""Save what the full screen restores after a crash: drafts, and open and hidden conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import gevent
from gevent import Greenlet
from gevent.lock import BoundedSemaphore

from gmessenger.durability import replace_file
from gmessenger.terminal.state_files import NEW_SUFFIX
from gmessenger.terminal.tui.line_escapes import escape_line, unescape_line
from gmessenger.threads import run_in_thread

SAVE_DELAY: Final = 0.4
"""Seconds from a change until it is written: what was typed in between is all that a crash can cost."""
MAX_DRAFT: Final = 65_536
"""Characters of a draft that are saved."""
MAX_SAVED_CONVERSATIONS: Final = 200
"""Conversations that are saved; with more, those with a draft first."""
MAX_FILE: Final = 8 * MAX_SAVED_CONVERSATIONS * MAX_DRAFT
"""Bytes that are read: more than are ever written."""
SHOWN_KIND: Final = "shown"
HIDDEN_KIND: Final = "hidden"

ValueT = TypeVar("ValueT")


@dataclass(slots=True)
class SavedState:
    """The state of the full screen that is saved.

    shown: the drafts, most of them empty, by conversation, in order.
    hidden: the seq up to which a conversation is hidden.
    """

    shown: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)


class Drafts:
    """Write the state to a file, atomically, soon after each change.

    get_state: returns what is to be saved. on_error: called with an error of writing.
    """

    def __init__(
        self, file: Path, get_state: Callable[[], SavedState], on_error: Callable[[Exception], object]
    ) -> None:
        self._file = file
        self._get_state = get_state
        self._on_error = on_error
        self._save_timer: Greenlet[..., object] | None = None
        self._write_lock = BoundedSemaphore()
        self._written: bytes | None = None

    def load(self) -> SavedState:
        """Return the state that an earlier run saved; an empty one if there is none or it cannot be read.

        Blocks briefly.
        """
        state = SavedState()
        with suppress(OSError), self._file.open("rb") as file:
            for line in file.read(MAX_FILE).split(b"\n"):
                with suppress(ValueError):  # the file may have been edited
                    _decode_line(state, line.decode("utf-8", "surrogatepass"))
        return state

    def schedule_save(self) -> None:
        """Save in SAVE_DELAY seconds. Does not block."""
        if self._save_timer is None:
            self._save_timer = gevent.spawn_later(SAVE_DELAY, self.save)

    def save(self) -> None:
        """Save now. The greenlet waits until the state is on disk, or `on_error` was called."""
        self._save_timer = None
        try:
            with self._write_lock:
                self._write(b"".join(_encode_state(self._get_state())))
        except Exception as error:
            self._on_error(error)

    def _write(self, data: bytes) -> None:
        if data != self._written:
            run_in_thread(partial(_write_file, self._file, data))
            self._written = data


def _write_file(file: Path, data: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(file, data, file.with_suffix(NEW_SUFFIX))


def _encode_state(state: SavedState) -> Iterator[bytes]:
    """Yield the lines of the file: `shown`, name, draft; or `hidden`, name, seq; separated by tabs."""
    for name, draft in _limit(state.shown):
        yield _encode_line(SHOWN_KIND, name, draft[:MAX_DRAFT])
    for name, seq in _limit(state.hidden):
        yield _encode_line(HIDDEN_KIND, name, str(seq))


def _limit(items: Mapping[str, ValueT]) -> list[tuple[str, ValueT]]:
    """Return at most MAX_SAVED_CONVERSATIONS items, in order; if there are more, those with a value first."""
    if len(items) <= MAX_SAVED_CONVERSATIONS:
        return list(items.items())
    return sorted(items.items(), key=lambda item: not item[1])[:MAX_SAVED_CONVERSATIONS]


def _encode_line(*parts: str) -> bytes:
    return ("\t".join(map(escape_line, parts)) + "\n").encode("utf-8", "surrogatepass")


def _decode_line(state: SavedState, line: str) -> None:
    """Add a line of the file to the state. Raises ValueError if it is none."""
    kind, name, value = map(unescape_line, line.split("\t"))
    if kind == SHOWN_KIND:
        state.shown[name] = value
    elif kind == HIDDEN_KIND:
        state.hidden[name] = int(value)
