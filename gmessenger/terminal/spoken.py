"""Sentences that come from below, from errors, the link and the server, in the language of who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil
from typing import Final

from gmessenger.errors import (
    WIRE_ERRORS,
    BadRequest,
    Forbidden,
    FrameTooLong,
    RoomFull,
    TooFast,
    TooLong,
    TooManyConnections,
    TooManyFailures,
)
from gmessenger.sentences import Refusal, Sentence, Unended
from gmessenger.terminal.refusals import known_again
from gmessenger.terminal.words import N_, _, counted, is_foreign

VAGUE: Final = frozenset({BadRequest.word, Forbidden.word})
"""Words that say too little without the server's own sentence."""
BY_LIMIT: Final[dict[str, Callable[[int], str]]] = {
    TooLong.word: lambda limit: counted(
        "A message has at most {count} character.", "A message has at most {count} characters.", limit
    ),
    FrameTooLong.word: lambda limit: counted(
        "A message may have at most {count} byte.", "A message may have at most {count} bytes.", limit
    ),
    RoomFull.word: lambda limit: counted(
        "The room is full: it can have {count} member.", "The room is full: it can have {count} members.", limit
    ),
}
IN_SECONDS: Final[dict[str, Callable[[int], str]]] = {
    TooFast.word: lambda seconds: counted(
        "Too many requests; wait {count} second.", "Too many requests; wait {count} seconds.", seconds
    ),
    TooManyFailures.word: lambda seconds: counted(
        "Too many wrong passwords; try again in {count} second.",
        "Too many wrong passwords; try again in {count} seconds.",
        seconds,
    ),
    TooManyConnections.word: lambda seconds: counted(
        "There are too many connections from your network; try again in {count} second.",
        "There are too many connections from your network; try again in {count} seconds.",
        seconds,
    ),
}
"""What can be said more exactly than by the error's own sentence."""


FOR_GOOD: Final = N_("Messages of accounts and rooms are kept for good, messages between guests not at all.")
FOR_NOW: Final = N_("Messages of accounts and rooms are kept until the server stops, guests' messages not at all.")
FOR_DAYS: Final = re.compile(
    r"Messages of accounts and rooms are kept for (\d+) days, messages between guests not at all\."
)
"""What a server says of itself to everybody who comes in, behind its owner's own words."""


def greeted(line: str) -> str:
    """A line of a server's greeting: what is kept in it in the reader's language, its owner's words as they are."""
    if line in (FOR_GOOD, FOR_NOW):
        return _(line)
    if (days := FOR_DAYS.fullmatch(line)) is None or not is_foreign():
        return line
    return counted(
        "Messages of accounts and rooms are kept for {count} day, messages between guests not at all.",
        "Messages of accounts and rooms are kept for {count} days, messages between guests not at all.",
        int(days[1]),
    )


def spoken(said: str | Exception) -> str:
    """The sentence, or that of an error. What is no sentence of ours stays as it is."""
    sentence = str(said)
    if isinstance(sentence, Refusal):
        return _refusal(sentence) if is_foreign() else sentence
    if isinstance(sentence, Unended):
        return spoken(str(sentence.values["sentence"])).rstrip(".")
    if isinstance(sentence, Sentence) and sentence.values:
        return _(sentence.template, **{name: _part(value) for name, value in sentence.values.items()})
    return _(sentence)


def _part(value: object) -> object:
    return spoken(value) if isinstance(value, Sentence) else value


def _refusal(refusal: Refusal) -> str:
    """What the server says, by its word; in its own words where there is no other way."""
    own, kind = _(refusal.template), WIRE_ERRORS.get(refusal.word)
    if (exact := _exact(refusal) or known_again(refusal.template)) is not None:
        return exact
    if kind is None or own != refusal.template:
        return own
    if refusal.word in VAGUE:
        return _("{sentence} The server says: {own}", sentence=_(kind.sentence), own=own)
    return _(kind.sentence)


def _exact(refusal: Refusal) -> str | None:
    if refusal.limit is not None and refusal.word in BY_LIMIT:
        return BY_LIMIT[refusal.word](refusal.limit)
    if refusal.retry_after is not None and refusal.word in IN_SECONDS:
        return IN_SECONDS[refusal.word](max(1, ceil(refusal.retry_after)))
    return None
