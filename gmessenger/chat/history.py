"""History and search for accounts; acknowledgements of devices, and read positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from gmessenger.chat.outbound import DeliveryReceipt, ReadReceipt
from gmessenger.chat.policy import Policy
from gmessenger.chat.recent_changes import RecentChanges
from gmessenger.chat.records import Account, ConversationRow, MessagePage, ReadRange, SearchResult, StoredMessage
from gmessenger.chat.results import (
    ConversationEntry,
    ConversationPage,
    ForwardHistoryPage,
    HistoryPage,
    SearchPage,
    message_entry,
)
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.constants import MAX_HISTORY_PAGE
from gmessenger.errors import AccountsOnly, BadRequest, NotFound, NotMember
from gmessenger.names import direct_key, fold, is_room

DEFAULT_PAGE: Final = 50


class HistoryService:
    """Pages and searches stored messages; records acknowledgements and read positions.

    Methods may block on the store. `accounts`, by folded name, belongs to the authenticator, which changes it.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        accounts: Mapping[str, Account],
        policy: Policy,
        changes: RecentChanges,
    ) -> None:
        self._store = store
        self._changes = changes
        self._policy = policy
        self._router = router
        self._rooms = rooms
        self._accounts = accounts

    def acknowledge(self, session: Session, target: str, seq: int) -> None:
        """Record that the session's device needs nothing up to `seq` of a conversation; notify the other end."""
        if session.device is None:
            return
        conversation = conversation_key(session, target)
        seq = session.sync.acknowledge(conversation, seq)
        if not seq:
            return
        self._store.acknowledge(session.device.id, conversation, seq)
        if not is_room(target) and fold(target) != session.key:
            delivered = DeliveryReceipt(session.name, seq)
            self._router.peers.send_receipt(fold(target), delivered)
            for other in self._router.sessions(fold(target)):
                if other.accepts_push:
                    other.outbox.offer(delivered)

    def mark_read(self, session: Session, target: str, seq: int, at: float | None = None) -> None:
        """Record that the account has read up to `seq`, and notify its other sessions. `at`: as in `ReadReceipt`."""
        if session.account is None:
            return
        # (Not bounded by what it was sent: it may be catching up.)
        seq = min(seq, self._store.mark_read(session.account.id, conversation_key(session, target), seq))
        if seq <= 0:
            return
        read = ReadReceipt(target, seq, at)
        self._router.peers.send_receipt(session.key, read)
        for other in self._router.sessions(session.key):
            if other is not session:
                other.outbox.offer(read)

    def history(
        self,
        session: Session,
        target: str,
        before: int | None,
        after: int | None,
        limit: int | None,
        *,
        amendments: bool = False,
    ) -> HistoryPage:
        """Return a page of a conversation: before a seq, after one, or the latest; with `amendments` also those.

        Raises `AccountsOnly`, `NotMember`, `NotFound`, `NoSuchRoom` or `BadRequest`.
        """
        session.require_account()
        if before is not None and after is not None:
            raise BadRequest("Give before or after, not both.")
        page = self.page(session, target, before, after, limit, amendments=amendments)
        page_type = HistoryPage if after is None else ForwardHistoryPage
        messages = [message_entry(message) for message in page.messages]
        return page_type(target, page.first_seq, messages, page.more, absences=page.absences or UNSET)

    def page(
        self,
        session: Session,
        target: str,
        before: int | None,
        after: int | None,
        limit: int | None,
        *,
        amendments: bool = False,
    ) -> MessagePage:
        """Return a page as `history` does, but of stored records. A guest may read a room from its own join on.

        Raises as `history`: `AccountsOnly` where a guest may read nothing.
        """
        conversation = conversation_key(session, target)
        readable = self._read_range(session, target)
        if readable is None:
            return MessagePage([], False)
        size = _page_size(limit)
        return self._changes.read(
            lambda: self._store.history(conversation, readable, before, after, size, amendments=amendments),
            lambda page: page.messages,
        )

    def seq_at(self, session: Session, target: str, time: float) -> int:
        """Return the first seq of a conversation that may be read and is from `time` (Unix seconds) or later.

        That of the next message if none is. Raises as `page`.
        """
        readable = self._read_range(session, target)
        if readable is None:
            return 1
        return max(readable.visible_from, self._store.seq_at(conversation_key(session, target), time))

    def read_time(self, session: Session, target: str) -> float | None:
        """Return the time of the last message that the account has read of a conversation; None if there is none."""
        if session.account is None or session.device is None:
            return None
        unread = self._store.unread(session.account.id, conversation_key(session, target), session.device.id)
        if unread is None or not unread.read_seq:
            return None
        messages = self.page(session, target, unread.read_seq + 1, None, 1, amendments=True).messages
        return messages[-1].time if messages else None

    def conversations(self, session: Session, after: str | None, limit: int) -> ConversationPage:
        """Return the conversations of a session by name, starting after `after`; of a guest, its rooms."""
        found, more = self.rows(session, after, limit)
        return ConversationPage([_conversation_entry(row) for row in found], more)

    def rows(self, session: Session, after: str | None, limit: int) -> tuple[list[ConversationRow], bool]:
        """Return what `conversations` does, as it is stored, and whether there are more."""
        start = fold(after) if after else ""
        if session.account is not None:
            return self._store.conversations(session.account.id, start, limit)
        rooms = sorted(
            (room for room in self._rooms.guest_rooms(session) if room.key > start), key=lambda room: room.key
        )
        found = [ConversationRow(room.key, room.name, 0, room.head + 1, 0, None) for room in rooms[:limit]]
        return found, len(rooms) > limit

    def search(self, session: Session, text: str, target: str | None, limit: int | None) -> SearchPage:
        """Find messages that contain all words of `text`, newest first, in one conversation or in all."""
        hits = self.find(session, text, target, limit)
        messages = [
            message_entry(message, target=target_of(session, message.conversation, message))
            for message in hits.messages
        ]
        return SearchPage(messages, hits.more, hits.incomplete or UNSET)

    def find(self, session: Session, text: str, target: str | None, limit: int | None) -> SearchResult:
        """Return what `search` does, as it is stored."""
        account = session.require_account()
        conversation = conversation_key(session, target) if target is not None else None
        if conversation is not None and self._store.read_range(account.id, conversation) is None:
            self._check_readable(session, target or "")
        size, timeout = _page_size(limit), self._policy.search_timeout
        return self._changes.read(
            lambda: self._store.search(account.id, text, conversation, size, timeout), lambda found: found.messages
        )

    def _read_range(self, session: Session, target: str) -> ReadRange | None:
        """Return what may be read of a conversation; None if it is empty. Raises as `page`."""
        if session.account is not None:
            readable = self._store.read_range(session.account.id, conversation_key(session, target))
            if readable is None:
                self._check_readable(session, target)
            return readable
        if not is_room(target):
            raise AccountsOnly
        room = self._rooms.require_member(target, session)
        start = session.sync.start_of(room.key)
        if start is None:
            raise AccountsOnly
        return ReadRange(start + 1, start + 1)

    def _check_readable(self, session: Session, target: str) -> None:
        """Raise `NotMember` or `NotFound` if there is no such conversation, or it may not be read; it may be empty."""
        if is_room(target):
            self._rooms.require_member(target, session)
            raise NotMember
        if fold(target) not in self._accounts and fold(target) not in self._router:
            raise NotFound


def conversation_key(session: Session, target: str) -> str:
    """Return the key of a conversation: a room's own, or both names in order."""
    return fold(target) if is_room(target) else direct_key(session.key, fold(target))


def target_of(session: Session, conversation: str, message: StoredMessage) -> str:
    """Return the other end of a conversation as it is shown to this session."""
    if is_room(conversation):
        return message.to
    return message.to if fold(message.sender) == session.key else message.sender


def _conversation_entry(row: ConversationRow) -> ConversationEntry:
    time = row.time if row.time is not None else UNSET
    return ConversationEntry(row.target, row.seq, row.first_seq, row.read_seq, time, row.quiet or UNSET)


def _page_size(limit: int | None) -> int:
    if limit is None:
        return DEFAULT_PAGE
    if limit < 1:
        raise BadRequest(f"A limit is a number from 1 to {MAX_HISTORY_PAGE}.")
    return min(limit, MAX_HISTORY_PAGE)
