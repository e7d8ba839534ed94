"""The verbs: what a session may do. Every front calls these and no front does anything else to the messenger.

Refusals are raised as `WireError`; what the asker and others are told is put into outboxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gmessenger.chat.archive import Archive
from gmessenger.chat.blocks import Blocks
from gmessenger.chat.carrying import Carrying
from gmessenger.chat.contract import Store
from gmessenger.chat.delivery import Delivery, Spawn
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.elsewhere import Elsewhere
from gmessenger.chat.entrance import Entrance, Login
from gmessenger.chat.limits import Bounds
from gmessenger.chat.lists import Lists
from gmessenger.chat.model import OFFLINE, Answer, Moving, Parcel, Synced
from gmessenger.chat.moderation import Moderation
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.own_data import OwnData
from gmessenger.chat.pacing import Origins, Pacing
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.policy import LONGEST_STATUS, Policy
from gmessenger.chat.posting import Posting, settle
from gmessenger.chat.presence import Later, Presence, Seen
from gmessenger.chat.quotas import Quotas
from gmessenger.chat.room_service import RoomService
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import Sanctions
from gmessenger.chat.session import Session
from gmessenger.chat.speech import Speech
from gmessenger.chat.tally import Tally
from gmessenger.chat.trials import Trials
from gmessenger.errors import AccountDeleted, BadRequest, NameTaken
from gmessenger.logs import log_calls


class Messenger:
    """The one object all fronts share. `clock` is Unix seconds; `later(seconds, call)` calls back.

    `steady` is a clock that only goes forward. `origins` says for which networks an address counts. `elsewhere` is what
    there is of other servers.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        clock: Callable[[], float],
        later: Later,
        spawn: Spawn,
        passwords: Passwords | None = None,
        steady: Callable[[], float] | None = None,
        origins: Callable[[str], Origins] = lambda address: (),
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.policy = policy
        self.router = Router(elsewhere)
        self.tally = Tally()
        self._clock = clock
        self._store = store
        trials = Trials(passwords or Passwords(), self._bounds, steady or clock, origins)
        self.pacing = Pacing(self._bounds, steady or clock, origins)
        self.sanctions = Sanctions(store, clock)
        self.entrance = Entrance(store, self.router, trials, clock, self.sanctions.check_login, policy)
        self._carry = Carrying(spawn, clock, policy.store_timeout)
        accounts = self.entrance.accounts
        self.rooms = rooms = Rooms(store, self.router, self.entrance.by_id, clock, self._bounds)
        self.archive = Archive(store, self.router, rooms, accounts, policy)
        dismissal = self.dismissal = Dismissal(self.router, self.logout, clock)
        self.moderation = Moderation(self.sanctions, self.router, rooms, accounts, dismissal, self._carry, clock)
        self.blocks = blocks = Blocks(store, self.entrance.by_id, self._carry, clock)
        self.own_data = OwnData(store, self.entrance, rooms, blocks, trials, dismissal, self.router.elsewhere, clock)
        self.delivery = Delivery(store, spawn, self.tally)
        seen = self.seen = Seen(policy)
        quotas = Quotas(store, policy, steady or clock)
        posting = Posting(
            store, self.router, rooms, self.delivery, blocks, accounts, seen.__contains__, clock, policy, quotas
        )
        self.gathering = posting.gathering
        presence = self.presence = Presence(
            self.router, later, lambda key: rooms.companions(accounts.get(key)), blocks.hide
        )
        lists = self._lists = Lists(self.router, rooms, presence, blocks.hide, policy)
        self.speech = Speech(policy, self.pacing, self.sanctions, posting, rooms, presence, self.router)
        check_voice = self.sanctions.check_voice
        self.room_service = RoomService(rooms, self.delivery, lists, self._carry, self._answer, check_voice)

    @property
    def store_identity(self) -> str:
        """Where it is another than before, seqs and cursors of before mean nothing any more."""
        return self._store.identity

    @property
    def greeting(self) -> str:
        """The operator's words, then what is kept here, and for how long."""
        said = f"{self.policy.greeting}\n" if self.policy.greeting else ""
        if not self._store.lasting:
            return f"{said}Messages of accounts and rooms are kept until the server stops, guests' messages not at all."
        kept = f"for {self.policy.retention:g} days" if self.policy.retention else "for good"
        return f"{said}Messages of accounts and rooms are kept {kept}, messages between guests not at all."

    @log_calls("login")
    def login(self, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        """Admit a session under the name it gives, and return it with what its predecessor had not been told.

        The caller puts its answer into the outbox first, then calls `welcome`. Raises `BadName`, `NameInUse`,
        `GuestsRefused`, `PasswordNeeded`, `WrongPassword`, `AccountDisabled` or `Banned`.
        """
        session, left_over = self.entrance.admit(login, outbox)
        self.pacing.begin(session)
        self.presence.changing(session.key, session.name)
        session.since = self._clock()
        self.router.add(session)
        widest = [network for network, _ in self.pacing.origins(session.address)[-1:]]
        self.seen.add(session.key, session.name, *widest)
        self.entrance.came(session)
        return session, left_over

    def welcome(self, session: Session, left_over: list[Parcel]) -> None:
        """Tell a session that was just admitted what waited for it, and that this is all."""
        if session.account is None:
            session.outbox.insist(Synced())
            for parcel in left_over:
                session.outbox.offer(parcel)
            return
        for conversation in session.sent:
            if conversation[:1] != "#":
                one, _, other = conversation.partition(" ")
                self.presence.conversed(one, other)
        self.delivery.catch_up(session)

    @log_calls("session")
    def register(self, session: Session, id: str | None, password: str, invite: str | None, device: str | None) -> None:
        """A guest takes its name for ever; answers 201. Raises `NameTaken`, `BadPassword` or why it may not."""
        self._carry.out(
            session,
            id,
            lambda: self._register(session, password, invite, device),
            201,
            then=lambda: self.delivery.catch_up(session),
        )

    def _register(self, session: Session, password: str, invite: str | None, device: str | None) -> dict[str, Any]:
        rooms = self.rooms.of_guest(session)
        self.entrance.register(session, password, [room.key for room in rooms], invite, device)
        for other in list(self.router.sessions(session.key)):
            if other.account is None:  # it has resumed the guest's session meanwhile
                self.dismissal.one(other, NameTaken("This name has become an account: log in with its password."))
        self.pacing.promote(session)
        self.rooms.adopt(session, rooms)
        self.blocks.keep(session)
        return {"account": True, "session": session.token}

    @log_calls("session")
    def logout(self, session: Session) -> bool:
        """The session is over and its name free; says whether that is news. What is in its outbox stays there."""
        self.entrance.left(session)
        if session not in self.router.sessions(session.key):
            return False
        self.presence.changing(session.key, session.name)
        self.router.remove(session)
        self.rooms.left(session)
        if session.account is None:
            self.blocks.forget(session.key)
        return True

    def forget(self, session: Session, id: str | None, password: str) -> None:
        """Erase what the account said and the account itself; answers when it is done, and ends its sessions."""
        self._carry.out(
            session,
            id,
            lambda: self.own_data.forget(session, password),
            then=lambda: self.dismissal.one(session, AccountDeleted()),
        )

    def users(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with who is present, by name, from `after` on; `more` says whether another page follows."""
        self._answer(session, id, self._lists.users(session.key, after))

    def set_status(self, session: Session, id: str | None, status: str) -> None:
        """Say how the session is: 1 to 32 printable characters, but not `offline`. Raises `BadRequest`."""
        if not 0 < len(status) <= LONGEST_STATUS or not status.isprintable() or status == OFFLINE:
            raise BadRequest(f"A status is 1 to {LONGEST_STATUS} printable characters, and not {OFFLINE!r}.")
        self.sanctions.check_voice(session.key)
        self.presence.changing(session.key, session.name)
        session.status, session.since = status, self._clock()
        self.router.elsewhere.showing(session.key)
        self._answer(session, id)

    def probe(self, session: Session, id: str | None) -> None:
        """Answer that the server is there."""
        self._answer(session, id)

    def history(
        self, session: Session, id: str | None, with_: str, before: int | None, after: int | None, limit: int | None
    ) -> None:
        more = self.archive.history(session, with_, before, after, limit)
        session.outbox.insist(Answer(200, id, self._clock(), more, cut_at_end=after is not None))

    def search(self, session: Session, id: str | None, text: str, with_: str | None, limit: int | None) -> None:
        self._answer(session, id, self.archive.search(session, text, with_, limit))

    def conversations(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with what the session takes part in, by name, behind `after`, and how it stands there."""
        self._answer(session, id, self.archive.conversations(session, after, self._lists.page))

    def names_seen(self) -> Iterator[str]:
        """Names ever seen, as far as they are remembered: those present first, then the newest."""
        yield from self.router.names.values()
        yield from (name for key, name in self.seen.newest_first() if key not in self.router)

    def announce_end(self, retry_in: Callable[[], float]) -> None:
        """Tell every session that the server stops and, drawn for each, when to come back."""
        for session in list(self.router):
            if session.told:
                session.outbox.insist(Moving(retry_in()))

    def close(self) -> None:
        """Tell every session that nothing follows."""
        for session in list(self.router):
            session.outbox.finish()

    def settle(self, session: Session) -> None:
        """Wait until what the session has acknowledged is on disk: whatever it is answered next says that it is."""
        settle(session, self._store)

    def _bounds(self) -> Bounds:
        return self.policy.bounds

    def _answer(self, session: Session, id: str | None, more: dict[str, Any] | None = None) -> None:
        session.outbox.insist(Answer(200, id, self._clock(), more))
