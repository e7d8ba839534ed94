"""What is said in a room while the disk is busy is kept together, and brought to everybody there together.

A room of a thousand that hears a hundred messages is a thousand parcels, and not a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gmessenger.chat.delivery import Delivery, as_parcel, said_by
from gmessenger.chat.model import Bundle
from gmessenger.chat.records import Post
from gmessenger.chat.rooms import OpenRoom, Rooms
from gmessenger.chat.session import Session


class Kept(Struct, gc=False):
    """A post to a room that is on disk, and whose it is."""

    post: Post
    seq: int
    said: str
    sender: Session


class Gathering:
    """`bring` has to be called after the last `add`, before anybody else has a turn: the store does."""

    def __init__(self, rooms: Rooms, delivery: Delivery) -> None:
        self._rooms = rooms
        self._delivery = delivery
        self._kept: dict[str, tuple[OpenRoom, list[Kept]]] = {}

    def add(self, room: OpenRoom, kept: Kept) -> None:
        """A post was kept; posts to a room come in the order of their seqs."""
        self._kept.setdefault(room.key, (room, []))[1].append(kept)

    def bring(self) -> None:
        """Give what was gathered to those who are in its rooms."""
        gathered, self._kept = self._kept, {}
        for room, kept in gathered.values():
            if len(kept) > 1 and kept[-1].seq - kept[0].seq + 1 == len(kept):
                self._bring_together(room, kept)
            else:
                self._bring_each(kept, self._rooms.sessions(room))

    def _bring_together(self, room: OpenRoom, kept: list[Kept]) -> None:
        messages = [as_parcel(each.post, each.seq, each.said) for each in kept]
        bundle = Bundle(messages, kept[0].seq, kept[-1].seq, sum(message.weight for message in messages))
        spoken: dict[str, list[int]] = {}  # who has said some of it, and at which places
        for place, each in enumerate(kept):
            spoken.setdefault(each.sender.key, []).append(place)
        give = self._delivery.give_together
        for session in self._rooms.sessions(room):
            if not session.told:  # a course client hears one thing at a time
                given = False
            elif session.key in spoken:
                given = give(session, room.key, *_for_a_speaker(session, kept, bundle, spoken[session.key]))
            else:
                given = give(session, room.key, bundle)
            if not given:
                self._bring_each(kept, (session,))

    def _bring_each(self, kept: list[Kept], sessions: Sequence[Session]) -> None:
        for each in kept:
            self._delivery.deliver(each.post, each.seq, each.said, each.sender, sessions)


def _for_a_speaker(session: Session, kept: list[Kept], bundle: Bundle, places: list[int]) -> tuple[Bundle, list[int]]:
    """What is due to a session of somebody who said what is at these places, and the seqs of what it said itself.

    The rest it shares with everybody: in a room of a hundred where ten speak, to bring these ten what was said one by
    one was a fifth of all the work.
    """
    due, own, weight = bundle.messages.copy(), [], bundle.weight
    for place in reversed(places):
        each = kept[place]
        if said_by(session, each.post, each.sender):
            own.append(each.seq)
            weight -= due.pop(place).weight
        else:
            due[place] = as_parcel(each.post, each.seq, each.said, each.post.id)
    return Bundle(due, bundle.first, bundle.last, weight), own[::-1]
