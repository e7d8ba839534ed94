"""Hinting: other nodes are told what this one has kept, those of them where somebody is who is to hear it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gmessenger.chat.delivery import Kept
from gmessenger.chat.elsewhere import Elsewhere
from gmessenger.chat.presence import Presence
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import LARGEST_SHARED, Rooms
from gmessenger.cluster.contract import Bus
from gmessenger.cluster.frames import Hint, Hints, encode
from gmessenger.cluster.ordering import kept_of


class Hinting:
    """`take` is what this node does with posts in their order: its own, and other nodes'."""

    def __init__(
        self,
        bus: Bus,
        elsewhere: Elsewhere,
        rooms: Rooms,
        presence: Presence,
        take: Callable[[list[Kept]], None],
    ) -> None:
        self._bus = bus
        self._elsewhere = elsewhere
        self._rooms = rooms
        self._presence = presence
        self._take = take

    def kept(self, kept: list[Kept]) -> None:
        """This node has kept posts of one conversation."""
        nodes = self._concerned(kept[0])
        if nodes:
            hints = [_hint(each) for each in kept]
            self._bus.send(encode(Hints(hints)), nodes)
        self._take(kept)

    def heard(self, hints: Hints) -> None:
        """Another node has."""
        if not hints.hints:
            return
        kept = [kept_of(each.post(), each.seq, each.said, self._rooms) for each in hints.hints]
        room, first = kept[0].room, kept[0]
        if room is not None and room.id != hints.hints[0].room:
            return  # the room of that name is another, here or there: what is kept is found by its head
        if room is not None:
            room.head = max(room.head, kept[-1].seq)
        elif first.post.conversation[:1] != "#":
            self._presence.conversed(first.key, first.to)
        self._take(kept)

    def _concerned(self, kept: Kept) -> set[str]:
        """The nodes where somebody is who hears it."""
        shown = self._elsewhere.shown
        if not shown:
            return set()
        if kept.room is None:
            return {node for key in (kept.key, kept.to) for node in shown.get(key, ())}
        if kept.room.size > LARGEST_SHARED:  # looking at all its members would cost more than telling everybody
            return set(self._bus.nodes)
        return {node for key in _keys(kept.room) for node in shown.get(key, ())}


def _keys(room: OpenRoom) -> Iterable[str]:
    yield from (account.key for account in room.members.values())
    yield from room.elsewhere


def _hint(kept: Kept) -> Hint:
    post = kept.post
    return Hint(
        post.conversation,
        kept.seq,
        post.sender,
        post.to,
        post.text,
        post.time,
        kept.said,
        post.device,
        post.id,
        kept.room.id if kept.room is not None else 0,
    )
