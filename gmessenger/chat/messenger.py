"""The messenger: composes the services of the chat, and owns the lifecycle of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gmessenger.chat.account_data import AccountData
from gmessenger.chat.auth import Authenticator, LoginRequest, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import DeliveryService, FanOut, Spawn
from gmessenger.chat.directory import Directory
from gmessenger.chat.history import HistoryService
from gmessenger.chat.moderation import Moderation
from gmessenger.chat.outbox import CatchUpDone, Outbound, Outbox, Response, ServerMoving
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.peers import Peers
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import CallLater, PresenceTracker, SeenNames
from gmessenger.chat.quotas import StorageQuotas
from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.room_service import RoomService
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.sending import Dispatcher, MessageService, flush_acknowledgements
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.chat.tasks import ChangeRunner
from gmessenger.chat.throttle import Throttle, WeightedNetworks
from gmessenger.constants import OFFLINE
from gmessenger.errors import AccountDeleted, BadRequest, NameTaken
from gmessenger.field_types import MAX_STATUS
from gmessenger.log import traced
from gmessenger.names import is_room


class Messenger:
    """The services of one server's chat, made from a store, and the lifecycle of its sessions.

    A session begins with `login` and `welcome`, may become an account's with `register`, and ends with `logout`, or
    with `erase_account`. What else a session may ask for is a method of the service concerned: `message_service`,
    `room_service`, `history_service`, `blocks`, `moderation` and `account_data` are used directly, by protocols, the
    cluster and the admin service alike. The table of requests of a protocol names the method of each. The requests
    below (`users`, `set_status`, `history` …) are here only to send the response for a service that returns its result.

    Errors are raised as `WireError`; responses and events go to the outboxes of sessions. A method may block as the
    store does, unless it says otherwise.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        clock: Callable[[], float],
        call_later: CallLater,
        spawn: Spawn,
        passwords: PasswordVerifier | None = None,
        monotonic: Callable[[], float] | None = None,
        networks_of: Callable[[str], WeightedNetworks] = lambda address: (),
        peers: Peers | None = None,
    ) -> None:
        """Read accounts, rooms, sanctions and blocks from the store, and deliver what is appended to it from now on.

        Args:
            clock: the time, in Unix seconds.
            call_later: calls a function in so many seconds.
            spawn: runs a function in a greenlet, and reports its failure.
            monotonic: seconds on a clock that never goes back; `clock` where it is left out.
            networks_of: the networks whose rate limits an address shares.
            peers: the other nodes of the cluster.
        """
        monotonic = monotonic or clock
        self.policy = policy
        self._clock = clock
        self._store = store
        self.stats = stats = MessengerStats()
        self.router = router = Router(peers)
        self._change_runner = change_runner = ChangeRunner(spawn, clock, policy.store_timeout)
        self.session_closer = session_closer = SessionCloser(router, self.logout, clock)

        self.throttle = throttle = Throttle(self._limits, monotonic, networks_of)
        self.sanctions = sanctions = SanctionRegistry(store, clock)
        login_throttle = LoginThrottle(passwords or PasswordVerifier(), self._limits, monotonic, networks_of)
        self.authenticator = Authenticator(store, router, login_throttle, clock, sanctions.check_login, policy)
        accounts, accounts_by_id = self.authenticator.accounts, self.authenticator.accounts_by_id

        find_closure = partial(sanctions.find, "close")
        self.rooms = rooms = RoomRegistry(store, router, accounts_by_id, clock, self._limits, find_closure)
        self.blocks = blocks = BlockList(store, accounts_by_id, change_runner, clock)
        self.seen_names = SeenNames(policy)
        self.presence = presence = PresenceTracker(
            router, call_later, lambda key: rooms.roommates(accounts.get(key)), blocks.is_hidden
        )

        self.delivery = delivery = DeliveryService(store, spawn, stats)
        self.fan_out = FanOut(rooms, router, delivery)
        store.set_batch_listener(self.fan_out.flush)
        quotas = StorageQuotas(store, policy, monotonic)
        was_seen = self.seen_names.__contains__
        dispatcher = Dispatcher(
            store, router, rooms, self.fan_out, blocks, accounts, was_seen, clock, policy, quotas, stats
        )
        self.message_service = MessageService(policy, throttle, sanctions, dispatcher, rooms, presence, router)

        self._directory = directory = Directory(router, rooms, presence, blocks.is_hidden, policy)
        self.room_service = RoomService(
            rooms, delivery, directory, change_runner, self._respond, sanctions.check_not_muted
        )
        self.history_service = HistoryService(store, router, rooms, accounts, policy)
        self.moderation = Moderation(sanctions, router, rooms, accounts, session_closer, change_runner, clock)
        self.account_data = AccountData(
            store, self.authenticator, rooms, blocks, login_throttle, session_closer, router.peers, clock
        )

    @property
    def store_identity(self) -> str:
        """Where it is another than before, seqs and cursors of before mean nothing any more."""
        return self._store.identity

    @property
    def greeting(self) -> str:
        """The operator's words, then what is kept here, and for how long."""
        said = f"{self.policy.greeting}\n" if self.policy.greeting else ""
        if not self._store.is_persistent:
            return f"{said}Messages of accounts and rooms are kept until the server stops, guests' messages not at all."
        kept = f"for {self.policy.retention:g} days" if self.policy.retention else "for good"
        return f"{said}Messages of accounts and rooms are kept {kept}, messages between guests not at all."

    @traced("login")
    def login(self, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        """Admit a session under the name it gives, and return it with what its predecessor had not been told.

        The caller puts its answer into the outbox first, then calls `welcome`. Raises `BadName`, `NameInUse`,
        `GuestsDisabled`, `PasswordRequired`, `WrongPassword`, `AccountDisabled` or `Banned`.
        """
        session, left_over = self.authenticator.log_in(login, outbox)
        self.throttle.attach(session)
        self.presence.before_change(session.key, session.name)
        session.status_since = self._clock()
        self.router.add(session)
        widest = [network for network, _ in self.throttle.networks_of(session.address)[-1:]]
        self.seen_names.add(session.key, session.name, *widest)
        self.authenticator.add_guest(session)
        return session, left_over

    def welcome(self, session: Session, undelivered: list[Outbound]) -> None:
        """Tell a session that was just admitted what waited for it, and that this is all."""
        if session.account is None:
            session.outbox.push(CatchUpDone())
            for parcel in undelivered:
                session.outbox.offer(parcel)
            return
        for conversation in session.sync:
            if not is_room(conversation):
                one, _, other = conversation.partition(" ")
                self.presence.link(one, other)
        self.delivery.start_catch_up(session)

    @traced("session")
    def register(self, session: Session, id: str | None, password: str, invite: str | None, device: str | None) -> None:
        """A guest takes its name for ever; answers 201. Raises `NameTaken`, `BadPassword` or why it may not."""
        self._change_runner.run(
            session,
            id,
            lambda: self._register(session, password, invite, device),
            201,
            then=lambda: self.delivery.start_catch_up(session),
        )

    def _register(self, session: Session, password: str, invite: str | None, device: str | None) -> dict[str, Any]:
        rooms = self.rooms.guest_rooms(session)
        self.authenticator.register(session, password, [room.key for room in rooms], invite, device)
        for other in list(self.router.sessions(session.key)):
            if other.account is None:  # it has resumed the guest's session meanwhile
                self.session_closer.close(
                    other, NameTaken("This name has become an account: log in with its password.")
                )
        self.throttle.promote_guest(session)
        self.rooms.promote_guest(session, rooms)
        self.blocks.persist(session)
        return {"account": True, "session": session.token}

    @traced("session")
    def logout(self, session: Session) -> bool:
        """The session is over and its name free; says whether that is news. What is in its outbox stays there."""
        self.authenticator.remove_guest(session)
        if session not in self.router.sessions(session.key):
            return False
        self.presence.before_change(session.key, session.name)
        self.router.remove(session)
        self.rooms.remove_session(session)
        if session.account is None:
            self.blocks.discard(session.key)
        return True

    def erase_account(self, session: Session, id: str | None, password: str) -> None:
        """Erase what the account said and the account itself; answers when it is done, and ends its sessions."""
        self._change_runner.run(
            session,
            id,
            lambda: self.account_data.erase(session, password),
            then=lambda: self.session_closer.close(session, AccountDeleted()),
        )

    def users(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with who is present, by name, from `after` on; `more` says whether another page follows."""
        self._respond(session, id, self._directory.users(session.key, after))

    def set_status(self, session: Session, id: str | None, status: str) -> None:
        """Say how the session is: 1 to 32 printable characters, but not `offline`. Raises `BadRequest`."""
        if not 0 < len(status) <= MAX_STATUS or not status.isprintable() or status == OFFLINE:
            raise BadRequest(f"A status is 1 to {MAX_STATUS} printable characters, and not {OFFLINE!r}.")
        self.sanctions.check_not_muted(session.key)
        self.presence.before_change(session.key, session.name)
        session.status, session.status_since = status, self._clock()
        self.router.peers.presence_changed(session.key)
        self._respond(session, id)

    def probe(self, session: Session, id: str | None) -> None:
        """Answer that the server is there."""
        self._respond(session, id)

    def history(
        self, session: Session, id: str | None, target: str, before: int | None, after: int | None, limit: int | None
    ) -> None:
        more = self.history_service.history(session, target, before, after, limit)
        session.outbox.push(Response(200, id, self._clock(), more, truncate_at_end=after is not None))

    def search(self, session: Session, id: str | None, text: str, target: str | None, limit: int | None) -> None:
        self._respond(session, id, self.history_service.search(session, text, target, limit))

    def conversations(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with what the session takes part in, by name, behind `after`, and how it stands there."""
        self._respond(session, id, self.history_service.conversations(session, after, self._directory.page_size))

    def known_names(self) -> Iterator[str]:
        """Names ever seen, as far as they are remembered: those present first, then the newest."""
        yield from self.router.names.values()
        yield from (name for key, name in self.seen_names.newest_first() if key not in self.router)

    def announce_shutdown(self, make_retry_delay: Callable[[], float]) -> None:
        """Tell every session that the server stops and, drawn for each, when to come back."""
        for session in list(self.router):
            if session.accepts_push:
                session.outbox.push(ServerMoving(make_retry_delay()))

    def close(self) -> None:
        """Tell every session that nothing follows."""
        for session in list(self.router):
            session.outbox.close_after_drain()

    def flush_acknowledgements(self, session: Session) -> None:
        """Wait until what the session has acknowledged is on disk: whatever it is answered next says that it is."""
        flush_acknowledgements(session, self._store)

    def _limits(self) -> Limits:
        return self.policy.limits

    def _respond(self, session: Session, id: str | None, fields: dict[str, Any] | None = None) -> None:
        session.outbox.push(Response(200, id, self._clock(), fields))
