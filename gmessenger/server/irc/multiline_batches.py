"""Messages of several lines as they come in (IRCv3, "Multiline messages"), one at a time for each connection."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gmessenger.names import fold
from gmessenger.wire.irc.capabilities import MAX_MULTILINE_BYTES, MAX_MULTILINE_LINES
from gmessenger.wire.irc.lines import Line, quote_param

CONCAT_TAG: Final = "draft/multiline-concat"
LINE_COST: Final = 0.05
"""What a line costs that is collected, in requests; the message costs what it costs besides."""


class MultilineBatch(Struct):
    """A multiline message that is being received. `pieces`: texts, each with whether it continues the one before.

    `command`: of its lines; empty before the first. `size`: in bytes, with the line ends between the pieces.
    `is_refused`: what else comes of it is ignored.
    """

    reference: str
    target: str
    label: str | None
    tags: dict[str, str]
    pieces: list[tuple[str, bool]]
    command: str = ""
    size: int = 0
    is_refused: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether it says nothing."""
        return not any(piece for piece, _ in self.pieces)

    def join(self) -> tuple[str, list[int]]:
        """Return the text, and where its sender has cut lines of it, in characters."""
        text, cuts = "", []
        for number, (piece, continues) in enumerate(self.pieces):
            if number and continues:
                cuts.append(len(text))
            text += piece if continues or not number else f"\n{piece}"
        return text, cuts


class MultilineRefusal(Struct, frozen=True):
    """Why a message of several lines is none. `code`, `context`: of the standard reply; `label`: of what began it."""

    code: str = "MULTILINE_INVALID"
    context: tuple[str, ...] = ()
    label: str | None = None


class MultilineReceiver:
    """Collects the lines of a connection's multiline message; what it keeps is bounded, and ends with that."""

    __slots__ = ("_batch",)

    def __init__(self) -> None:
        self._batch: MultilineBatch | None = None

    def open(self, batch: MultilineBatch) -> MultilineRefusal | None:
        """Begin a message. One that has not ended is dropped: returns its refusal."""
        dropped = self._batch is not None and not self._batch.is_refused
        refusal = self.refuse() if dropped else None
        self._batch = batch
        return refusal

    def add(self, line: Line, text: str) -> MultilineRefusal | None:
        """Add a line to the message that is open; or return why the whole message is refused."""
        batch = self._batch
        if batch is None or line.tags["batch"] != batch.reference:
            return self.refuse()
        return None if batch.is_refused else self._add(batch, line, text)

    def _add(self, batch: MultilineBatch, line: Line, text: str) -> MultilineRefusal | None:
        target, continues = line.params[0], CONCAT_TAG in line.tags
        batch.command = batch.command or line.command
        batch.size += len(text.encode()) + (bool(batch.pieces) and not continues)
        if fold(target) != fold(batch.target):
            return self.refuse("MULTILINE_INVALID_TARGET", batch.target, quote_param(target))
        if line.command != batch.command or (continues and not text):
            return self.refuse()
        if batch.size > MAX_MULTILINE_BYTES:
            return self.refuse("MULTILINE_MAX_BYTES", str(MAX_MULTILINE_BYTES))
        if len(batch.pieces) >= MAX_MULTILINE_LINES:
            return self.refuse("MULTILINE_MAX_LINES", str(MAX_MULTILINE_LINES))
        batch.pieces.append((text, continues))
        return None

    def close(self, reference: str) -> MultilineBatch | None:
        """Return the message that ends; None where none with this reference is open."""
        if self._batch is None or self._batch.reference != reference:
            return None
        batch, self._batch = self._batch, None
        return batch

    def refuse(self, code: str = "MULTILINE_INVALID", *context: str) -> MultilineRefusal:
        """Refuse the message that is open, if any: the rest of it is ignored up to its end."""
        label = None
        if (batch := self._batch) is not None:
            label, batch.label, batch.is_refused = batch.label, None, True
            batch.pieces.clear()
        return MultilineRefusal(code, context, label)
