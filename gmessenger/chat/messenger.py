"""The messenger: composes the services of the chat, and owns the lifecycle of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from gmessenger.chat.account_data import AccountData
from gmessenger.chat.auth import Authenticator, LoginRequest, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import DeliveryService, FanOut, Spawn
from gmessenger.chat.directory import Directory
from gmessenger.chat.history import HistoryService
from gmessenger.chat.moderation import Moderation
from gmessenger.chat.outbox import CatchUpDone, Outbound, Outbox, ServerMoving
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.peers import Peers
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import CallLater, PresenceTracker, SeenNames
from gmessenger.chat.quotas import StorageQuotas
from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.results import Registration
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
from gmessenger.errors import BadRequest, NameTaken
from gmessenger.field_types import MAX_STATUS
from gmessenger.log import traced
from gmessenger.names import is_room


class Messenger:
    """The services of one server's chat, made from a store, and the lifecycle of its sessions.

    A session begins with `login` and `welcome`, may become an account's with `register`, and ends with `logout`. What
    else a session may ask for is a method of the service concerned: `message_service`, `room_service`,
    `history_service`, `directory`, `blocks`, `moderation` and `account_data` are used directly, by protocols, the
    cluster and the admin service alike. The table of requests of a protocol names the method of each.

    Methods return a result, of which the protocol makes a response; errors are raised as `WireError`; events go to the
    outboxes of sessions. What changes stored state blocks on the store; a protocol calls it by `change_runner`.
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
        self.change_runner = ChangeRunner(spawn, policy.store_timeout)
        self.session_closer = session_closer = SessionCloser(router, self.logout, clock)

        self.throttle = throttle = Throttle(self._limits, monotonic, networks_of)
        self.sanctions = sanctions = SanctionRegistry(store, clock)
        login_throttle = LoginThrottle(passwords or PasswordVerifier(), self._limits, monotonic, networks_of)
        self.authenticator = Authenticator(store, router, login_throttle, clock, sanctions.check_login, policy)
        accounts, accounts_by_id = self.authenticator.accounts, self.authenticator.accounts_by_id

        find_closure = partial(sanctions.find, "close")
        self.rooms = rooms = RoomRegistry(store, router, accounts_by_id, clock, self._limits, find_closure)
        self.blocks = blocks = BlockList(store, accounts_by_id)
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

        self.directory = directory = Directory(router, rooms, presence, blocks.is_hidden, policy)
        self.room_service = RoomService(rooms, delivery, directory, sanctions.check_not_muted)
        self.history_service = HistoryService(store, router, rooms, accounts, policy)
        self.moderation = Moderation(sanctions, router, rooms, accounts, session_closer, clock)
        self.account_data = AccountData(
            store, self.authenticator, rooms, blocks, login_throttle, session_closer, router.peers
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
    def register(
        self, session: Session, password: str, invite: str | None = None, device: str | None = None
    ) -> Registration:
        """Make a guest an account, whose first `device` this session is; it catches up once that is answered.

        Raises `NameTaken`, `BadPassword`, or why registration is refused.
        """
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
        return Registration(token=session.token)

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

    def set_status(self, session: Session, status: str) -> None:
        """Set the session's status: 1 to 32 printable characters, not `offline`. Raises `BadRequest` or `Muted`."""
        if not 0 < len(status) <= MAX_STATUS or not status.isprintable() or status == OFFLINE:
            raise BadRequest(f"A status is 1 to {MAX_STATUS} printable characters, and not {OFFLINE!r}.")
        self.sanctions.check_not_muted(session.key)
        self.presence.before_change(session.key, session.name)
        session.status, session.status_since = status, self._clock()
        self.router.peers.presence_changed(session.key)

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
