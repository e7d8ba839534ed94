"""A room as everybody who speaks there finds it: who is in it, and whether it is open."""

from __future__ import annotations

from dataclasses import dataclass, field

from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.sanctions import because
from gmessenger.chat.session import Session
from gmessenger.errors import RoomClosed


@dataclass(slots=True)
class OpenRoom:
    """A room as it is now: `members` by account id, `guests` by the key of their name, while they are here; `elsewhere`
    are the names of guests on other servers.

    While it is `closed` its members can read what was said, and nobody says anything or comes in.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int = 0
    members: dict[int, Account] = field(default_factory=dict)
    guests: dict[str, Session] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    ending: bool = False  # it is being deleted: nobody speaks or comes in
    closed: Sanction | None = None
    id: int = 0  # of this room, among those that had its name

    def holds(self, session: Session) -> bool:
        if session.account is not None:
            return session.account.id in self.members
        return self.guests.get(session.key) is session

    def check_open(self) -> None:
        """Raises `RoomClosed`."""
        if self.closed is not None:
            raise because(RoomClosed, self.closed.reason)

    @property
    def size(self) -> int:
        return len(self.members) + len(self.guests) + len(self.elsewhere)

    @property
    def names(self) -> list[str]:
        here = [account.name for account in self.members.values()] + [guest.name for guest in self.guests.values()]
        return here + list(self.elsewhere.values())
