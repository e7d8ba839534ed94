"""The archive: what was said before, for accounts only, and what each device and account is done with."""

from __future__ import annotations

from typing import Any, Final

from gmessenger.chat.contract import Store
from gmessenger.chat.delivery import entry
from gmessenger.chat.model import Delivered, ReadUpTo
from gmessenger.chat.names import fold
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import Account, Standing
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.errors import AccountsOnly, BadRequest, NeverSeen, NotMember

PAGE: Final = 50
LARGEST_PAGE: Final = 500


class Archive:
    """Reads, and marks as read. `accounts` is shared with the entrance, which changes it."""

    def __init__(
        self, store: Store, router: Router, rooms: Rooms, accounts: dict[str, Account], policy: Policy
    ) -> None:
        self._store = store
        self._policy = policy
        self._router = router
        self._rooms = rooms
        self._accounts = accounts

    def acknowledge(self, session: Session, with_: str, seq: int) -> None:
        """This session's device needs nothing any more up to `seq` of that conversation."""
        if session.device is None:
            return
        conversation = key_of(session, with_)
        seq = min(seq, session.sent.get(conversation, 0))
        if seq <= session.acked.get(conversation, 0):
            return
        session.acked[conversation] = seq
        session.owing = True
        self._store.acknowledge(session.device.id, conversation, seq)
        if with_[:1] != "#" and fold(with_) != session.key:
            delivered = Delivered(session.name, seq)
            self._router.elsewhere.tell(fold(with_), delivered)
            for other in self._router.sessions(fold(with_)):
                if other.told:
                    other.outbox.offer(delivered)

    def mark_read(self, session: Session, with_: str, seq: int) -> None:
        """The account has read everything up to `seq`; its other devices are told."""
        if session.account is None:
            return
        # (Not bounded by what it was sent: it may be catching up.)
        seq = min(seq, self._store.mark_read(session.account.id, key_of(session, with_), seq))
        if seq <= 0:
            return
        read = ReadUpTo(with_, seq)
        self._router.elsewhere.tell(session.key, read)
        for other in self._router.sessions(session.key):
            if other is not session:
                other.outbox.offer(read)

    def history(
        self, session: Session, with_: str, before: int | None, after: int | None, limit: int | None
    ) -> dict[str, Any]:
        """A page of a conversation. Raises `AccountsOnly`, `NotMember`, `NeverSeen`, `NoSuchRoom` or `BadRequest`."""
        account = self._account(session)
        if before is not None and after is not None:
            raise BadRequest("Give before or after, not both.")
        conversation = key_of(session, with_)
        visible = self._store.visible_from(account.id, conversation)
        if visible is None:
            self._refuse(with_)
            return {"with": with_, "first": 1, "messages": [], "more": False}
        page = self._store.history(conversation, visible, before, after, _page(limit))
        messages = [entry(message) for message in page.messages]
        return {"with": with_, "first": page.first, "messages": messages, "more": page.more}

    def conversations(self, session: Session, after: str | None, most: int) -> dict[str, Any]:
        """What the session takes part in, by name, behind `after`; of a guest, who can read nothing, the rooms."""
        start = fold(after) if after else ""
        if session.account is not None:
            found, more = self._store.conversations(session.account.id, start, most)
        else:
            rooms = sorted(
                (room for room in self._rooms.of_guest(session) if room.key > start), key=lambda room: room.key
            )
            found = [Standing(room.key, room.name, 0, room.head + 1, 0, None) for room in rooms[:most]]
            more = len(rooms) > most
        return {"conversations": [_listed(each) for each in found], "more": more}

    def search(self, session: Session, text: str, with_: str | None, limit: int | None) -> dict[str, Any]:
        """Find messages that hold all words of `text`, newest first; `incomplete` where not all was looked through."""
        account = self._account(session)
        conversation = key_of(session, with_) if with_ is not None else None
        if conversation is not None and self._store.visible_from(account.id, conversation) is None:
            self._refuse(with_ or "")
        hits = self._store.search(account.id, text, conversation, _page(limit), self._policy.search_timeout)
        messages = [entry(each, **{"with": with_of(session, each.conversation, each)}) for each in hits.messages]
        lacking = {"incomplete": True} if hits.incomplete else {}
        return {"messages": messages, "more": hits.more, **lacking}

    def _refuse(self, with_: str) -> None:
        """Say why there is nothing to read, unless there just is nothing yet."""
        if with_[:1] == "#":
            self._rooms.find(with_)
            raise NotMember
        if fold(with_) not in self._accounts and fold(with_) not in self._router:
            raise NeverSeen

    def _account(self, session: Session) -> Account:
        if session.account is None:
            raise AccountsOnly
        return session.account


def key_of(session: Session, with_: str) -> str:
    """The conversation's key: a room's own, or both names in order."""
    return fold(with_) if with_[:1] == "#" else direct_key(session.key, fold(with_))


def direct_key(one: str, other: str) -> str:
    return f"{one} {other}" if one < other else f"{other} {one}"


def with_of(session: Session, conversation: str, message: Any) -> str:
    """The other end of a conversation, as it is shown to this session."""
    if conversation[:1] == "#":
        return str(message.to)
    return str(message.to if fold(message.sender) == session.key else message.sender)


def _listed(standing: Standing) -> dict[str, Any]:
    time = {"time": standing.time} if standing.time is not None else {}
    return {"with": standing.with_, "seq": standing.seq, "first": standing.first, "read": standing.read, **time}


def _page(limit: int | None) -> int:
    if limit is None:
        return PAGE
    if limit < 1:
        raise BadRequest(f"A limit is a number from 1 to {LARGEST_PAGE}.")
    return min(limit, LARGEST_PAGE)
