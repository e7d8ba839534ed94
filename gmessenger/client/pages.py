"""What the server finds again, in its answers to history, search and conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from gmessenger.wire.events import Answer, Bans, Blocks, Conversations, Delivery, Members, Mutes, Rooms, Seq, Users

Entry = TypeVar("Entry")
Listing: TypeAlias = Users | Members | Rooms | Conversations | Blocks | Bans | Mutes
LONGEST_LIST: Final = 100_000
"""Entries after which a list is taken for endless."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that search found, and the conversation it is from."""

    with_: str
    delivery: Delivery


class Results(list[Found]):
    """What a search found, the newest first. `incomplete` where the server did not look through everything."""

    incomplete = False


class Standing(Struct, frozen=True):
    """A conversation one takes part in: the newest message there is `seq`, of that `time` (None where it is not known).

    `first` is the oldest one may read, `read` how far one has read, on whichever device.
    """

    with_: str = field(name="with")
    seq: Seq = 0
    first: Seq = 1
    read: Seq = 0
    time: float | None = None

    @property
    def unread(self) -> int:
        """How many messages are new; one's own count, where one has not said `read` of them."""
        return max(0, self.seq - max(self.read, self.first - 1))


def whole_list(
    ask: Callable[[Listing], Answer],
    request: Listing,
    entries: Callable[[Answer], Sequence[Entry]],
    name: Callable[[Entry], object],
) -> list[Entry]:
    """All pages of a list, each asked for behind the name that the last one ends with."""
    found: list[Entry] = []
    while len(found) < LONGEST_LIST:
        answer = ask(request)
        found += entries(answer)
        after = str(name(found[-1]) or "") if found else ""
        if not answer.more or after in ("", request.after):
            break
        request.after = after
    return found


def standings(entries: Sequence[dict[str, Any]]) -> Iterator[Standing]:
    """The conversations that were listed."""
    for entry in entries:
        try:
            yield msgspec.convert(entry, Standing)
        except msgspec.ValidationError:
            continue  # of a later version


def deliveries(answer: Answer, with_: str = "") -> Iterator[tuple[dict[str, Any], Delivery]]:
    """What an answer holds, each as it came and as the message it was.

    Of an erased message only its place is left: it is from nobody, at no time.
    """
    for entry in answer.messages or ():
        whole = {"action": "msg", "from": "", "to": with_, "time": 0.0, "message": "", **entry}
        try:
            yield whole, msgspec.convert(whole, Delivery)
        except msgspec.ValidationError:
            continue  # of a later version
