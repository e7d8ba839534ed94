"""Bringing messages to names, rooms and everybody: what is kept is stored first, answered and delivered after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.chat.archive import direct_key
from gmessenger.chat.blocks import Blocks
from gmessenger.chat.contract import Store
from gmessenger.chat.delivery import Delivery, Kept
from gmessenger.chat.gathering import Gathering
from gmessenger.chat.model import AROUND_A_TEXT, EVERYBODY, Answer, Breath, Message
from gmessenger.chat.policy import Policy
from gmessenger.chat.promises import Promised
from gmessenger.chat.quotas import Quotas, QuotaUse
from gmessenger.chat.records import Account, Post
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.errors import NeverSeen, NotHere, RecipientBusy, WireError

Ids = Sequence[str | None]
"""The id of each of several messages, in their order."""
OVERHEAD: Final = 256
"""What a message on its way weighs besides its text."""


class Posting:
    """Sends on behalf of sessions. `accounts` is shared with the entrance, which changes it.

    `seen` says of a folded name whether somebody of it has been here.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: Rooms,
        delivery: Delivery,
        blocks: Blocks,
        accounts: dict[str, Account],
        seen: Callable[[str], bool],
        clock: Callable[[], float],
        policy: Policy,
        quotas: Quotas,
    ) -> None:
        self._store = store
        self._router = router
        self._delivery = delivery
        self._rooms = rooms
        self.gathering = Gathering(rooms, router, delivery)
        store.settled_some = self.gathering.bring
        self._blocks = blocks
        self._accounts = accounts
        self._seen = seen
        self._clock = clock
        self._policy = policy
        self._quotas = quotas
        self._tally = delivery.tally

    def to_name(self, session: Session, key: str, to: str, text: str, id: str | None, said: str) -> None:
        """A message to a name; kept if either end is an account, else handed over."""
        if key in self._blocks.lists:
            self._blocks.check(session.key, key)
        try:
            self._to_name(session, key, to, text, id, said)
        except (NeverSeen, NotHere):  # it may have come, or become an account, on another server a moment ago
            if not self._router.elsewhere.freshen(key) or (key not in self._accounts and key not in self._router):
                raise
            self._to_name(session, key, to, text, id, said)

    def _to_name(self, session: Session, key: str, to: str, text: str, id: str | None, said: str) -> None:
        account = self._accounts.get(key)
        shown = account.name if account is not None else self._guest(key, to)
        if account is None and session.account is None:
            return self._hand_over(session, key, Message(session.name, shown, text, self._clock(), said), id)
        post = self._post(session, direct_key(session.key, key), shown, text, id)
        if account is not None:
            return self._keep(Sending(self, session, post, said, key))
        with Promised(len(text) + OVERHEAD) as promised:
            self._promise(promised, session, key)
            return self._keep(Sending(self, session, post, said, key, promised=promised))

    def _promise(self, promised: Promised, session: Session, key: str) -> None:
        """Have room kept where the guest is: nothing is stored that a guest would not be given."""
        if key not in self._router.outboxes:
            promised.room += self._router.elsewhere.promise(session.key, key, promised.weight)
            return
        for outbox in self._router.outboxes[key]:
            promised.ask(outbox)
        if not promised.room:
            raise RecipientBusy(retry_after=self._policy.busy_pause)

    def _guest(self, key: str, to: str) -> str:
        """The name of a guest who is present, as it is shown."""
        outboxes = self._router.outboxes.get(key)
        if outboxes is not None:
            return outboxes[0].name
        shown = self._router.elsewhere.newest(key)
        if shown is None:
            raise NotHere(f"{to} has left, and messages to guests are not stored.") if self._seen(key) else NeverSeen
        return shown.name

    def to_room(self, session: Session, room: OpenRoom, text: str, id: str | None, said: str) -> None:
        """A message to a room the session is in."""
        if room.closed is not None:
            room.check_open()
        post = self._post(session, room.key, room.name, text, id)
        self._keep(Sending(self, session, post, said, room=room))

    def to_everybody(self, session: Session, text: str, id: str | None, said: str) -> None:
        """A message to everybody present but the sender, kept nowhere."""
        parcel = Message(session.name, EVERYBODY, text, self._clock(), said)
        hide = self._blocks.hide
        others = [each for each in self._router if each is not session and not hide(each.key, session.key)]
        self._router.elsewhere.tell_everybody(parcel)
        self._taken(session, id, parcel.time, sum(other.outbox.offer(parcel) for other in others))

    def _hand_over(self, session: Session, key: str, parcel: Message, id: str | None) -> None:
        """From guest to guest: what a live session takes, and nothing is kept."""
        taken = others = 0
        for outbox in self._router.outboxes.get(key, ()):
            if outbox is not session.outbox:
                others += 1
                taken += outbox.offer(parcel)
        if others and not taken:
            raise RecipientBusy(retry_after=self._policy.busy_pause)
        if key not in self._router.outboxes:
            taken = self._router.elsewhere.hand_over(session, key, parcel, id)
        self._taken(session, id, parcel.time, taken)

    def in_one_breath(self, session: Session, key: str, texts: list[str], ids: Ids, said: str) -> bool:
        """Texts to one name or room together; False, and nothing has happened, where each is to be looked at by itself.

        Takes the looks once that each message costs otherwise: in rooms they were a quarter of all the work.
        """
        if key[:1] == "#":
            room = self._rooms.open_to(key, session)
            return room is not None and self._keep_all(session, key, room.name, texts, ids, said, room=room)
        if key in self._blocks.lists:
            return False
        account = self._accounts.get(key)
        if account is not None:
            return self._keep_all(session, direct_key(session.key, key), account.name, texts, ids, said, to=key)
        return session.account is None and key != session.key and self._hand_over_all(session, key, texts, ids)

    def _hand_over_all(self, session: Session, key: str, texts: list[str], ids: Ids) -> bool:
        """From guest to guest, as one parcel; False where it does not fit."""
        outboxes = self._router.outboxes.get(key)
        if outboxes is None or (session.owing and any(ids)):
            return False
        weight = sum(map(len, texts)) + AROUND_A_TEXT * len(texts)
        if not all(outbox.has_room_for(len(texts), weight) for outbox in outboxes):
            return False
        breath = Breath(session.name, outboxes[0].name, texts, self._clock(), weight)
        taken = sum(outbox.insist_on(breath, len(texts)) for outbox in outboxes)
        self._tally.handed_over += len(texts)
        self._tally.deliveries += taken * len(texts)
        for id in filter(None, ids):
            session.outbox.insist(Answer(202, id, breath.time))
        return True

    def _keep_all(
        self,
        session: Session,
        conversation: str,
        shown: str,
        texts: list[str],
        ids: Ids,
        said: str,
        to: str = "",
        room: OpenRoom | None = None,
    ) -> bool:
        """Have all of them stored; False where the sender or the store has too much on the way."""
        weight = sum(map(len, texts)) + OVERHEAD * len(texts)
        if session.unsettled + weight > self._policy.unsettled or self._quotas.limit(session):
            return False
        posts = [self._post(session, conversation, shown, text, id) for text, id in zip(texts, ids, strict=True)]
        try:
            self._store.append_all([(post, Sending(self, session, post, said, to, room)) for post in posts])
        except WireError:
            return False
        session.owing = True
        session.unsettled += weight
        return True

    def _taken(self, session: Session, id: str | None, time: float, deliveries: int) -> None:
        self._tally.handed_over += 1
        self._tally.deliveries += deliveries
        if id is not None:
            settle(session, self._store)
            session.outbox.insist(Answer(202, id, time))

    def _post(self, session: Session, conversation: str, to: str, text: str, id: str | None) -> Post:
        account = session.account.id if session.account is not None else None
        device = session.device.id if session.device is not None else None
        return Post(conversation, session.name, to, text, self._clock(), account, device, id)

    def _keep(self, sending: Sending) -> None:
        """Have a message stored; when it is on disk, answer and deliver."""
        if self._quotas.limit(sending.session):
            with self._quotas.take(sending.session, sending.post.text) as sending.quota:
                self._store.append(sending.post, sending)
        else:
            self._store.append(sending.post, sending)
        sending.session.owing = True
        sending.session.unsettled += len(sending.post.text) + OVERHEAD

    def kept(self, sending: Sending, seq: int, duplicate: bool, error: WireError | None) -> None:
        """What became of it: answer, and bring it to those whose turn it is now."""
        session, post, room = sending.session, sending.post, sending.room
        session.settled(len(post.text) + OVERHEAD)
        if sending.promised is not None:
            sending.promised.redeem()
        if sending.quota is not None:
            sending.quota.settle(is_kept=error is None and not duplicate)
        if error is not None:
            self._tally.refused[error.word] += 1
            session.outbox.insist(Answer(error.code, post.id, self._clock(), dict(error.described())))
            return
        if post.id is not None:
            session.outbox.insist(Answer(200, post.id, self._clock(), seq=seq))
        if room is not None:
            room.head = max(room.head, seq)
        if duplicate:
            self._tally.duplicates += 1
            return
        self._tally.stored += 1
        self.gathering.add(Kept(post, seq, sending.said, session.key, session, room, sending.to))


class Sending(Struct, gc=False):
    """A message on its way to the disk, and who is to be told when it is there: what the store calls when it is done.

    One object and no closures, which the collector would look through a hundred thousand times a second.
    """

    posting: Posting
    session: Session
    post: Post
    said: str
    to: str = ""
    room: OpenRoom | None = None
    promised: Promised | None = None
    quota: QuotaUse | None = None

    def __call__(self, seq: int, duplicate: bool, error: WireError | None) -> None:
        self.posting.kept(self, seq, duplicate, error)


def settle(session: Session, store: Store) -> None:
    """Wait until what the session has acknowledged is on disk: whatever it is answered next says that it is."""
    if session.owing:
        store.flush()
        session.owing = False
