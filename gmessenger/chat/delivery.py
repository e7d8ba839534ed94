"""Delivery of what was kept: live to who has everything before it, from the store to who has not.

A session takes seq n of a conversation live only if it was sent n - 1; otherwise it turns *behind* and pages from the
store until it has reached the head, compared and switched without letting anybody in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gevent.event import Event
from msgspec import Struct

from gmessenger.chat.contract import Store
from gmessenger.chat.model import Bundle, Message, Synced
from gmessenger.chat.names import fold
from gmessenger.chat.records import Post, Remembered
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.session import Session
from gmessenger.chat.tally import Tally
from gmessenger.errors import StoreUnavailable

STORE_PAUSE: Final = 1.0
"""Seconds before a store that was not available is asked again."""

Spawn = Callable[..., object]
"""`spawn(what, function, *args)` runs a function in a greenlet whose failure is seen."""


class Kept(Struct, gc=False):
    """A post that is on disk, whose it is (`key` is the name folded, `sender` the session, if it is here), and the room
    or the name it is for. Where it was `erased` since, its text is empty.
    """

    post: Post
    seq: int
    said: str
    key: str
    sender: Session | None
    room: OpenRoom | None = None
    to: str = ""
    erased: bool = False


class Delivery:
    """Brings kept messages to sessions, and counts what it and others bring."""

    def __init__(self, store: Store, spawn: Spawn, tally: Tally) -> None:
        self._store = store
        self._spawn = spawn
        self.tally = tally

    def deliver(self, kept: Kept, sessions: Iterable[Session]) -> None:
        """A post was kept: give it to these sessions, and to the sender's own as is due to a sender."""
        parcel = as_parcel(kept)
        conversation, given = kept.post.conversation, 0
        for session in sessions:
            if session.key != kept.key:
                given += self._give(session, conversation, kept.seq, parcel)
            elif said_by(session, kept):
                self._count(session, conversation, kept.seq)
            else:
                given += self._give(session, conversation, kept.seq, as_parcel(kept, kept.post.id))
        self.tally.deliveries += given

    def give_together(self, session: Session, conversation: str, bundle: Bundle, own: Sequence[int] = ()) -> bool:
        """Hand over all of a bundle, or none of it; False where each of its messages has to be looked at.

        `own` are the seqs that are not in it because the session has said them itself.
        """
        if session.behind:
            session.missed = True
            return True
        sent = session.sent.get(conversation, 0)
        in_turn = sent == bundle.first - 1 or (session.account is None and sent < bundle.first)
        if not in_turn or not session.outbox.offer_all(bundle, len(bundle.messages)):
            return False
        session.sent[conversation] = bundle.last
        self.tally.deliveries += len(bundle.messages)
        if own:
            self._acknowledge(session, conversation, own)
        return True

    def catch_up(self, session: Session) -> None:
        """Have a session that is behind sent all that it has not acknowledged; it is told when it has it."""
        self._spawn("catching up", self._catch_up, session)

    def look(self, session: Session, conversation: str, head: int) -> None:
        """What came while the session was on its way into a conversation must not wait for the next message."""
        if session.account is not None and not session.behind and head > session.sent.get(conversation, 0):
            self.fall_behind(session)

    def _give(self, session: Session, conversation: str, seq: int, parcel: Message) -> bool:
        """Hand it over live if its turn has come; says whether it did."""
        if session.account is None:
            if seq > session.sent.get(conversation, 0):
                session.sent[conversation] = seq  # should it become an account, it is done with this
                return session.outbox.offer(parcel)
        elif session.behind:
            session.missed = True
        elif seq > session.sent.get(conversation, 0):
            if seq == session.sent.get(conversation, 0) + 1 and session.outbox.offer(parcel):
                session.sent[conversation] = seq
                return True
            self.fall_behind(session)
        return False

    def fall_behind(self, session: Session) -> None:
        """Have an account's session page from the store whatever it has not been sent."""
        session.behind = session.missed = True
        self.catch_up(session)

    def _count(self, session: Session, conversation: str, seq: int) -> None:
        """A session's own message, which it has."""
        if session.device is None:
            session.sent[conversation] = max(seq, session.sent.get(conversation, 0))
        elif session.behind:
            session.missed = True
        elif session.sent.get(conversation, 0) != seq - 1:
            self.fall_behind(session)
        else:
            session.sent[conversation] = seq
            self._acknowledge(session, conversation, (seq,))

    def _acknowledge(self, session: Session, conversation: str, own: Iterable[int]) -> None:
        """What a session said itself moves its device's cursor on, as far as it owes nothing before it."""
        if session.device is None:
            return
        acked = before = session.acked.get(conversation, 0)
        for seq in own:
            acked += seq == acked + 1
        if acked != before:
            session.acked[conversation] = acked
            self._store.acknowledge(session.device.id, conversation, acked)

    def _catch_up(self, session: Session) -> None:
        try:
            self._page(session)
        except Exception:
            session.outbox.finish()  # it would be behind for good: it comes again, and begins anew
            raise

    def _page(self, session: Session) -> None:
        while not session.outbox.closed:
            session.missed = False
            try:
                self._send_backlog(session)
            except StoreUnavailable:
                Event().wait(STORE_PAUSE)
                continue
            if not session.missed:
                session.behind = False
                session.outbox.insist(Synced())
                return

    def _send_backlog(self, session: Session) -> None:
        assert session.account is not None
        for conversation, head in sorted(self._store.backlog(session.account.id).items()):
            while session.sent.get(conversation, 0) < head and not session.outbox.closed:
                page = self._store.page(session.account.id, conversation, session.sent.get(conversation, 0))
                for remembered in page.messages:
                    self._send(session, remembered)
                if not page.more:
                    # What was pruned is owed to nobody, nor what was said in a room after one was taken out of it.
                    session.sent[conversation] = max(head, session.sent.get(conversation, 0))

    def _send(self, session: Session, remembered: Remembered) -> None:
        assert session.device is not None
        if remembered.device == session.device.id:
            session.sent[remembered.conversation] = remembered.seq
        elif session.outbox.until_room():
            session.outbox.insist(as_message(remembered, own=fold(remembered.sender) == session.key))
            self.tally.deliveries += 1
            session.sent[remembered.conversation] = remembered.seq


def said_by(session: Session, kept: Kept) -> bool:
    """Whether a session of its sender's name has said it, itself or before it was replaced on its device."""
    if session.account is None or session is kept.sender:  # a guest has one session
        return True
    return session.device is not None and session.device.id == kept.post.device


def as_parcel(kept: Kept, id: str | None = None) -> Message:
    """What was kept, on its way; with its `id` to its sender's other devices."""
    post = kept.post
    return Message(post.sender, post.to, post.text, post.time, kept.said, kept.seq, id, kept.erased)


def as_message(remembered: Remembered, *, own: bool) -> Message:
    """What was kept, as it is shown again; with its id where it is shown to its sender."""
    return Message(
        remembered.sender,
        remembered.to,
        remembered.text,
        remembered.time,
        seq=remembered.seq,
        id=remembered.id if own else None,
        erased=remembered.erased,
    )


def entry(remembered: Remembered, **more: Any) -> dict[str, Any]:
    """A message in the answer to history or search."""
    if remembered.erased:
        return {"seq": remembered.seq, "erased": True, "message": "", **more}
    return {
        "from": remembered.sender,
        "to": remembered.to,
        "time": remembered.time,
        "message": remembered.text,
        "seq": remembered.seq,
        **more,
    }
