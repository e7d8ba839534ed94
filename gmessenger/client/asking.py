"""What the owner of a link can ask the server, and have it do, apart from sending messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from gmessenger.client.frames import frame_of
from gmessenger.client.operating import Operating
from gmessenger.client.pages import Found, Results, Standing, deliveries, standings, whole_list
from gmessenger.client.positions import fold
from gmessenger.wire.encoding import encode
from gmessenger.wire.events import (
    Answer,
    Block,
    Blocks,
    Card,
    Conversations,
    Delivery,
    Export,
    Forget,
    History,
    Join,
    Leave,
    Members,
    Read,
    Remove,
    Rooms,
    Search,
    Status,
    Topic,
    Unblock,
    Users,
)

LARGEST_PAGE: Final = 500


class Asking(Operating):
    """Every question raises the `WireError` that the server refuses with, and `Unreachable` where no answer came in
    time. It waits for a line that is down.
    """

    def __init__(self) -> None:
        self.registration: str | None = None
        """Whether a guest may `register`: `open`, `closed`, or with an `invite`; None for who may not from here."""
        self.account = False
        """Whether the name is an account."""
        self._said_of_oneself: dict[str, bytes] = {}  # status and rooms, which a guest's new session does not know

    @abstractmethod
    def _tell(self, what: str, frame: bytes) -> None:
        """Say something that has no answer; of several of the same `what` that wait only the last is said."""

    def users(self) -> list[Card]:
        """Who is present, with their status."""
        return self._cards(Users())

    def members(self, room: str) -> list[Card]:
        """Who is in a room one is in, with their status."""
        return self._cards(Members(room=room))

    def topic(self, room: str) -> str:
        """What a room one is in is about."""
        return self._ask(Members(room=room)).topic or ""

    def rooms(self) -> list[dict[str, Any]]:
        """The rooms there are: `room`, `topic`, and how many `members`."""
        return whole_list(self._ask, Rooms(), lambda page: page.rooms or [], lambda room: room.get("room"))

    def conversations(self) -> list[Standing]:
        """What one takes part in, the newest first: a guest the rooms it is in, an account also whom it talked with.

        A server that knows no such request raises `UnknownAction`.
        """
        request = Conversations()
        listed = whole_list(self._ask, request, lambda page: page.conversations or [], lambda each: each.get("with"))
        return sorted(standings(listed), key=lambda each: each.time or 0.0, reverse=True)

    def read(self, with_: str, seq: int) -> None:
        """One has read up to `seq` there; one's other devices are told by a `ReadElsewhere`. Of no use to guests."""
        what, frame = f"read {fold(with_)}", frame_of(Read(with_=with_, seq=seq))
        self._said_of_oneself[what] = frame
        self._tell(what, frame)

    def status(self, status: str) -> None:
        """Say how one is; said again after every loss of the line."""
        self._ask(Status(status=status))
        self._said_of_oneself["status"] = frame_of(Status(status=status))

    def join(self, room: str) -> Answer:
        """Enter a room, now and after every loss of the line; the answer has its `topic` and `members`."""
        answer = self._ask(Join(room=room))
        self._said_of_oneself[f"join {fold(room)}"] = frame_of(Join(room=room))
        return answer

    def leave(self, room: str) -> None:
        """Be in a room no more."""
        self._ask(Leave(room=room))
        self._said_of_oneself.pop(f"join {fold(room)}", None)

    def set_topic(self, room: str, topic: str) -> None:
        """Say what a room is about."""
        self._ask(Topic(room=room, topic=topic))

    def history(self, with_: str, count: int, before: int | None = None) -> list[Delivery]:
        """The last so many messages with somebody or in a room, or those before a number; the oldest first."""
        found: list[Delivery] = []
        more = True
        while more and len(found) < count:
            answer = self._ask(History(with_=with_, before=before, limit=min(count - len(found), LARGEST_PAGE)))
            page = [delivery for _, delivery in deliveries(answer, with_)]
            found = page + found
            before = page[0].seq or None if page else None
            more = bool(answer.more) and before is not None
        return found

    def search(self, text: str, with_: str | None = None, count: int = 50) -> Results:
        """Messages that hold all these words, in one conversation or in all of one's own; the newest first.

        The list's `incomplete` says whether there may be more because the server's time for it was over.
        """
        answer = self._ask(Search(text=text, with_=with_, limit=min(count, LARGEST_PAGE)))
        found = Results(Found(str(entry.get("with", "")), delivery) for entry, delivery in deliveries(answer))
        found.incomplete = bool(answer.incomplete)
        return found

    def remove(self, room: str, name: str) -> None:
        """Take somebody out of a room that one has made."""
        self._ask(Remove(room=room, user=name))

    def block(self, name: str) -> None:
        """Hear no more from somebody; what they say in rooms comes all the same."""
        self._ask(Block(user=name))

    def unblock(self, name: str) -> None:
        """Hear from them again."""
        self._ask(Unblock(user=name))

    def blocks(self) -> list[Card]:
        """Whom one does not want to hear from."""
        return self._cards(Blocks())

    def export(self) -> Iterator[bytes]:
        """All that one may read, of every conversation, oldest first: each message as a line of JSON."""
        place, more = 0, True
        while more:
            answer = self._ask(Export(after=place))
            yield from (encode(entry) for entry in answer.messages or ())
            more = bool(answer.more) and answer.after is not None and answer.after > place
            place = answer.after or place

    def forget(self, password: str) -> None:
        """Have everything one has said erased, and the account with it. There is no way back, and the line ends."""
        self._ask(Forget(password=password))

    def _to_say_again(self, *, anew: bool) -> dict[str, bytes]:
        """An account is still in its rooms, unless somebody took it out meanwhile; a guest has read nothing, nor has
        anybody where the numbers begin `anew`.
        """
        if anew:
            self._leave_unsaid("read ")
        known = "join " if self.account else "read "
        return {what: frame for what, frame in self._said_of_oneself.items() if not what.startswith(known)}

    def _leave_unsaid(self, kind: str) -> None:
        self._said_of_oneself = {
            what: frame for what, frame in self._said_of_oneself.items() if not what.startswith(kind)
        }

    def _cards(self, request: Users | Members | Blocks) -> list[Card]:
        return whole_list(self._ask, request, lambda page: page.users or [], lambda card: card.account_name)
