"""What was committed together in a room, or between two, is brought together to everybody there.

A room of a thousand that hears a hundred messages is a thousand parcels, and not a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gmessenger.chat.delivery import Delivery, Kept, as_parcel, said_by
from gmessenger.chat.model import Bundle
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session


class Gathering:
    """`bring` has to be called after the last `add`, before anybody else has a turn: the store does.

    What was gathered of a conversation goes through `order`, which is `give`: where several servers keep messages, it
    waits there for those between. `giving` is told of what is given, before it is.
    """

    def __init__(self, rooms: Rooms, router: Router, delivery: Delivery) -> None:
        self._rooms = rooms
        self._router = router
        self._delivery = delivery
        self._kept: dict[str, list[Kept]] = {}
        self.order: Callable[[list[Kept]], None] = self.give
        self.giving: Callable[[list[Kept]], object] = lambda kept: None

    def add(self, kept: Kept) -> None:
        """A post was kept; posts to a conversation come in the order of their seqs."""
        self._kept.setdefault(kept.post.conversation, []).append(kept)

    def bring(self) -> None:
        """Give what was gathered to those who are there. Where that raises, call it again for what is left."""
        while self._kept:
            self.order(self._kept.pop(next(iter(self._kept))))

    def give(self, kept: list[Kept], sessions: Sequence[Session] | None = None) -> None:
        """Bring posts of one conversation, in the order of their seqs, to those who are here, or to these sessions."""
        self.giving(kept)
        sessions = self.sessions(kept[0]) if sessions is None else sessions
        if len(kept) > 1 and kept[-1].seq - kept[0].seq + 1 == len(kept):
            self._bring_together(kept, sessions)
        else:
            self._bring_each(kept, sessions)

    def sessions(self, kept: Kept) -> Sequence[Session]:
        """Everybody here who is in the room, or at either end."""
        if kept.room is not None:
            return self._rooms.sessions(kept.room)
        return self.ends(kept.to, kept.key)

    def ends(self, one: str, other: str) -> Sequence[Session]:
        """The sessions here of two names, which may be the same."""
        sessions = self._router.sessions(one)
        return sessions + self._router.sessions(other) if one != other else list(sessions)

    def _bring_together(self, kept: list[Kept], sessions: Sequence[Session]) -> None:
        messages = [as_parcel(each) for each in kept]
        bundle = Bundle(messages, kept[0].seq, kept[-1].seq, sum(message.weight for message in messages))
        spoken: dict[str, list[int]] = {}  # who has said some of it, and at which places
        for place, each in enumerate(kept):
            spoken.setdefault(each.key, []).append(place)
        give, conversation = self._delivery.give_together, kept[0].post.conversation
        for session in sessions:
            if session.key in spoken:
                given = give(session, conversation, *_for_a_speaker(session, kept, bundle, spoken[session.key]))
            else:
                given = give(session, conversation, bundle)
            if not given:
                self._bring_each(kept, (session,))

    def _bring_each(self, kept: list[Kept], sessions: Sequence[Session]) -> None:
        for each in kept:
            self._delivery.deliver(each, sessions)


def _for_a_speaker(session: Session, kept: list[Kept], bundle: Bundle, places: list[int]) -> tuple[Bundle, list[int]]:
    """What is due to a session of somebody who said what is at these places, and the seqs of what it said itself.

    The rest it shares with everybody: in a room of a hundred where ten speak, to bring these ten what was said one by
    one was a fifth of all the work.
    """
    due, own, weight = bundle.messages.copy(), [], bundle.weight
    for place in reversed(places):
        each = kept[place]
        if said_by(session, each):
            own.append(each.seq)
            weight -= due.pop(place).weight
        else:
            due[place] = as_parcel(each, each.post.id)
    return Bundle(due, bundle.first, bundle.last, weight), own[::-1]
