"""Messages of several lines as they come in (IRCv3, "Multiline messages"), one at a time for each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gmessenger.names import fold
from gmessenger.wire.irc.capabilities import MAX_MULTILINE_BYTES, MAX_MULTILINE_LINES
from gmessenger.wire.irc.lines import Line, quote_param

if TYPE_CHECKING:
    from gmessenger.server.irc.handler import IrcHandler

CONCAT_TAG: Final = "draft/multiline-concat"
LINE_COST: Final = 0.05


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


class MultilineReceiver:
    """Collects the lines of a connection's multiline message. It is bounded, and ends with the connection."""

    __slots__ = ("_batch",)

    def __init__(self) -> None:
        self._batch: MultilineBatch | None = None

    def open(self, handler: IrcHandler, batch: MultilineBatch) -> None:
        """Begin a message. One that has not ended is dropped."""
        if self._batch is not None and not self._batch.is_refused:
            self.refuse(handler)
        self._batch = batch

    def add(self, handler: IrcHandler, line: Line, text: str) -> None:
        """Add a line of the message that is open, or refuse the whole message."""
        handler.charge(LINE_COST)
        batch = self._batch
        if batch is None or line.tags["batch"] != batch.reference:
            self.refuse(handler)
        elif not batch.is_refused:
            self._add(handler, batch, line, text)

    def _add(self, handler: IrcHandler, batch: MultilineBatch, line: Line, text: str) -> None:
        target, continues = line.params[0], CONCAT_TAG in line.tags
        batch.command = batch.command or line.command
        batch.size += len(text.encode()) + (bool(batch.pieces) and not continues)
        if fold(target) != fold(batch.target):
            self.refuse(handler, "MULTILINE_INVALID_TARGET", batch.target, quote_param(target))
        elif line.command != batch.command or (continues and not text):
            self.refuse(handler)
        elif batch.size > MAX_MULTILINE_BYTES:
            self.refuse(handler, "MULTILINE_MAX_BYTES", str(MAX_MULTILINE_BYTES))
        elif len(batch.pieces) >= MAX_MULTILINE_LINES:
            self.refuse(handler, "MULTILINE_MAX_LINES", str(MAX_MULTILINE_LINES))
        else:
            batch.pieces.append((text, continues))

    def close(self, reference: str) -> MultilineBatch | None:
        """Return the message that ends; None where none with this reference is open."""
        if self._batch is None or self._batch.reference != reference:
            return None
        batch, self._batch = self._batch, None
        return batch

    def refuse(self, handler: IrcHandler, code: str = "MULTILINE_INVALID", *context: str) -> None:
        """Refuse the message that is open, if any: the rest of it is ignored up to its end."""
        if (batch := self._batch) is not None:
            batch.is_refused = True
            batch.pieces.clear()
            handler.buffer.return_label(batch.label)
            batch.label = None
        handler.fail("BATCH", code, *context, text="This is not a valid message of several lines")
