"""Absences of the members of a room, and the seqs that may be read between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from gmessenger.chat.records import Absence, ReadRange, StoredMessage

SeqRange: TypeAlias = tuple[int, int]
"""The first and the last seq of some messages without a gap."""
MAX_ABSENCES: Final = 100  # of an account in a room
MAX_PART: Final = 10_000  # seqs that are looked at together where few of them are wanted


def add_absence(absences: Sequence[Absence], first: int, last: int) -> list[Absence]:
    """Return the absences with a later one, which may adjoin the last. None is added where `first` is after `last`.

    Beyond `MAX_ABSENCES`, the two with the fewest messages between them become one: so few cannot be read any more.
    """
    merged = list(absences)
    if first > last:
        return merged
    if merged and merged[-1][1] >= first - 1:
        merged[-1] = (merged[-1][0], last)
    else:
        merged.append((first, last))
    if len(merged) > MAX_ABSENCES:
        index = min(range(len(merged) - 1), key=lambda index: merged[index + 1][0] - merged[index][1])
        merged[index : index + 2] = [(merged[index][0], merged[index + 1][1])]
    return merged


def first_readable(readable: ReadRange, first: int) -> int:
    """Return the first seq that may be read of a conversation that is stored from `first` on; there may be none yet."""
    start = max(readable.visible_from, first)
    for absent_from, absent_to in readable.absences:
        if absent_from <= start <= absent_to:
            start = absent_to + 1
    return start


def is_readable(readable: ReadRange, seq: int) -> bool:
    """Return whether an account may read a message, as far as it is stored."""
    return seq >= readable.visible_from and not any(first <= seq <= last for first, last in readable.absences)


def edits_of_unreadable(messages: Iterable[StoredMessage], readable: ReadRange) -> list[int]:
    """Return the seqs of those that edits among these messages are about, and that may not be read themselves."""
    seqs = {message.about for message in messages if message.what == "edit" and message.about is not None}
    return sorted(seq for seq in seqs if not is_readable(readable, seq))


def blank_outdated_edits(messages: Iterable[StoredMessage], edited: Mapping[int, float | None]) -> None:
    """Remove the texts of edits that were followed by others, which may be from an absence.

    Args:
        edited: the time of the last edit of each message that may not be read, by seq.
    """
    for message in messages:
        if message.what == "edit" and edited.get(message.about or 0, message.time) != message.time:
            message.text = ""


def absences_after(readable: ReadRange, first: int) -> list[Absence]:
    """Return the absences from messages that are still stored, which begin with `first`."""
    start = max(readable.visible_from, first)
    return [absence for absence in readable.absences if absence[1] >= start]


def readable_ranges(readable: ReadRange, first: int, head: int) -> list[SeqRange]:
    """Return what may be read of a conversation that is stored from `first` to `head`, ascending."""
    start = max(readable.visible_from, first)
    ranges = []
    for absent_from, absent_to in readable.absences:
        ranges.append((start, absent_from - 1))
        start = max(start, absent_to + 1)
    ranges.append((start, head))
    return [(start, end) for start, end in ranges if start <= end]


def ranges_after(ranges: Iterable[SeqRange], after: int, limit: int) -> tuple[list[SeqRange], bool]:
    """Return the ranges of the first `limit` seqs after one, and whether there are more."""
    taken: list[SeqRange] = []
    for start, end in ((max(start, after + 1), end) for start, end in ranges if end > after):
        if limit == 0:
            return taken, True
        last = min(end, start + limit - 1)
        taken.append((start, last))
        limit -= last - start + 1
        if last < end:
            return taken, True
    return taken, False


def growing_ranges(
    ranges: Sequence[SeqRange], position: int, size: int, *, is_forward: bool
) -> Iterator[list[SeqRange]]:
    """Yield what follows a seq, or comes before it, in parts of more and more seqs, beginning with `size`.

    For a reader that wants few of them, and stops when it has enough.
    """
    more = True
    while more:
        taken, more = ranges_after(ranges, position, size) if is_forward else ranges_before(ranges, position, size)
        if not taken:
            return
        yield taken
        position = taken[-1][1] if is_forward else taken[-1][0]
        size = min(2 * size, max(size, MAX_PART))


def ranges_before(ranges: Iterable[SeqRange], before: int, limit: int) -> tuple[list[SeqRange], bool]:
    """Return the ranges of the last `limit` seqs before one, the last range first, and whether there are more."""
    mirrored = [(-end, -start) for start, end in ranges]
    taken, more = ranges_after(reversed(mirrored), -before, limit)
    return [(-end, -start) for start, end in taken], more
