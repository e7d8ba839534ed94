"""Replies: what a command of a client is answered, with labels and batches (IRCv3 labeled-response)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from gmessenger.errors import WireError
from gmessenger.wire.irc.lines import clip_text, format_line

Tags = dict[str, str | None]
UNKNOWN_NICK: Final = "*"
MAX_CUT_PARAM: Final = 60
"""Bytes of each parameter of a numeric whose parameters do not fit."""
FLUSH_SIZE: Final = 32_768
"""Bytes of replies after which they are sent although the command goes on."""


class Reply(Struct):
    """One line to a client. `is_text`: the last parameter is a text, which is always written with a colon."""

    source: str
    command: str
    params: Sequence[str] = ()
    is_text: bool = False
    tags: Tags = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the line."""
        return format_line(self.source, self.command, self.params, self.tags or None, trailing=self.is_text)


class ReplyBuffer:
    """Collects the replies of one command, and puts the client's label on them.

    One reply carries the label itself; several are a batch that carries it; where there is none, the answer is `ACK`.
    """

    __slots__ = ("_batch", "_label", "_replies", "_server", "_size", "is_answered")

    def __init__(self, server: str, label: str | None, batch: str) -> None:
        """`batch` is the reference of the batch, should there be one; without a label there is none."""
        self._server = server
        self._label = label
        self._batch = batch
        self._replies: list[Reply] = []
        self._size = 0
        self.is_answered = label is None
        """Whether the label was sent, or there is none."""

    @property
    def label(self) -> str | None:
        """The label, until it is taken."""
        return self._label

    @property
    def size(self) -> int:
        """Bytes that wait, about."""
        return self._size

    def take_label(self) -> str | None:
        """Return the label for a reply that comes later, and end with no answer of this buffer.

        None if the label was sent with a part of the answer: the rest of it goes on here.
        """
        if self.is_answered:
            return None
        label, self._label = self._label, None
        self.is_answered = True
        return label

    def return_label(self, label: str | None) -> None:
        """Take a label back: what was to come later was refused."""
        if label is not None:
            self._label, self.is_answered = label, False

    def add(self, reply: Reply) -> None:
        """Add a reply."""
        self._replies.append(reply)
        self._size += 64 + sum(map(len, reply.params))

    def flush(self) -> bytes:
        """Return what was collected, while the command goes on."""
        if not self._replies:
            return b""
        self._open_batch()
        return self._take()

    def finish(self) -> bytes:
        """Return the rest; a label that was not sent is sent now."""
        if self._label is None:
            return self._take()
        if self.is_answered:  # the batch is open
            return self._take() + Reply(self._server, "BATCH", (f"-{self._batch}",)).encode()
        if not self._replies:
            self.add(Reply(self._server, "ACK"))
        if len(self._replies) > 1:
            self._open_batch()
            return self._take() + Reply(self._server, "BATCH", (f"-{self._batch}",)).encode()
        self._replies[0].tags["label"] = self._label
        self.is_answered = True
        return self._take()

    def _open_batch(self) -> None:
        if self._label is not None and not self.is_answered:
            tags: Tags = {"label": self._label}
            start = Reply(self._server, "BATCH", (f"+{self._batch}", "labeled-response"), tags=tags)
            self._replies.insert(0, start)
            self.is_answered = True

    def _take(self) -> bytes:
        replies, self._replies, self._size = self._replies, [], 0
        if self._label is not None and self.is_answered:
            for reply in replies:
                if "label" not in reply.tags:
                    reply.tags.setdefault("batch", self._batch)
        return b"".join([reply.encode() for reply in replies])


def fit_params(nick: str, params: Sequence[str], room: int) -> tuple[str, ...]:
    """Return the parameters of a numeric so that they take at most `room` bytes: nearly always as they are.

    Where names have many bytes, the client's own nick is left out, which it knows; if need be, all are cut.
    """
    if _size((nick, *params)) <= room:
        return (nick, *params)
    if _size((UNKNOWN_NICK, *params)) <= room:
        return (UNKNOWN_NICK, *params)
    return (UNKNOWN_NICK, *(clip_text(param, MAX_CUT_PARAM) for param in params))


def _size(params: Sequence[str]) -> int:
    """Return how many bytes parameters take, with the spaces before them."""
    return len(" ".join(params).encode()) + 1


def closing_link(reason: str) -> Reply:
    """Return the last line to a client: why its connection is closed."""
    return Reply("", "ERROR", (f"Closing link: {reason}",), is_text=True)


def encode_refusal(error: WireError) -> bytes:
    """Return the line for a client that is turned away before it has said anything."""
    return closing_link(str(error)).encode()
