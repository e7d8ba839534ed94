"""The messenger: composes the services of the chat, and owns the lifecycle of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from gmessenger import log
from gmessenger.chat.account_data import AccountData
from gmessenger.chat.auth import Authenticator, LoginRequest, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.certificates import CertificateService
from gmessenger.chat.credentials import CredentialService
from gmessenger.chat.delivery import DeliveryService, FanOut, Spawn
from gmessenger.chat.device_use import DeviceUseRecorder
from gmessenger.chat.dispatcher import MessageDispatcher, flush_acknowledgements
from gmessenger.chat.erasures import MessageEraser
from gmessenger.chat.files import FileService
from gmessenger.chat.guest_relay import GuestRelay
from gmessenger.chat.guest_renamer import GuestRenamer
from gmessenger.chat.history import HistoryService
from gmessenger.chat.hook_posts import HookPoster
from gmessenger.chat.hooks import HookService
from gmessenger.chat.invitations import Invitations
from gmessenger.chat.listings import ListingService
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.moderation import Moderation
from gmessenger.chat.outbound import CatchUpDone, Outbound, ServerMoving, frame_count
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.passing_rooms import PassingRooms
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.peers import Peers
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import CallLater, PresenceTracker, RecentNames
from gmessenger.chat.profile_service import ProfileService
from gmessenger.chat.quotas import StorageQuotas
from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.registration import RegistrationService
from gmessenger.chat.results import Registration
from gmessenger.chat.room import MaskMatcher, match_none
from gmessenger.chat.room_masks import RoomMasks
from gmessenger.chat.room_quotas import RoomQuotas
from gmessenger.chat.room_rights import RoomRights
from gmessenger.chat.room_sanctions import RoomSanctions
from gmessenger.chat.room_service import RoomService
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.sending import MessageService
from gmessenger.chat.session import Session
from gmessenger.chat.settings_service import SettingsService
from gmessenger.chat.signals import SignalService
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.chat.subscriptions import SubscriptionService
from gmessenger.chat.tasks import ChangeRunner
from gmessenger.chat.throttle import Throttle, WeightedNetworks
from gmessenger.chat.whois import WhoisService
from gmessenger.constants import OFFLINE
from gmessenger.errors import BadRequest, NameTaken
from gmessenger.field_types import MAX_NOTE, MAX_STATUS
from gmessenger.log import traced
from gmessenger.names import is_room

NEWCOMERS_MAY_READ: Final = {
    "all": "An account that joins a room may read all that is kept of it, unless the room's rules say otherwise.",
    "joined": "An account that joins a room may read what is said from then on, unless the room's rules say otherwise.",
}
"""What the greeting says, by the rule `history` of new rooms."""


class Messenger:
    """The services of one server's chat, made from a store, and the lifecycle of its sessions.

    A session begins with `login` and `start_delivery`, may become an account's with `register`, and ends with `logout`.
    What else a session may ask for is a method of the service concerned: `message_service`, `room_service`,
    `history_service`, `listings`, `blocks`, `moderation`, `credentials`, `certificates` and `account_data` are used
    directly, by protocols, the cluster and the admin service alike. The table of requests of a protocol names the
    method of each.

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
        shut_out_network: Callable[[str], str | None] = lambda address: None,
        web_url: Callable[[], str | None] = lambda: None,
        mask_matcher: MaskMatcher = match_none,
    ) -> None:
        """Read accounts, rooms, sanctions and blocks from the store, and deliver what is appended to it from now on.

        Args:
            clock: the time, in Unix seconds.
            call_later: calls a function in so many seconds.
            spawn: runs a function in a greenlet, and reports its failure.
            monotonic: seconds on a clock that never goes back; `clock` where it is left out.
            networks_of: the networks whose rate limits an address shares.
            peers: the other nodes of the cluster.
            shut_out_network: the network of an address by which guests may be kept out of a room, if any.
            web_url: the beginning of URLs at which this server is reached by HTTP; None if it is not.
            mask_matcher: whether a mask of a room matches a session.
        """
        monotonic = monotonic or clock
        self.policy = policy
        self._clock = clock
        self._store = store
        self.stats = stats = MessengerStats()
        self.registration_watchers: list[Callable[[str, str], object]] = []
        """Called with the folded and the shown name of a guest that has become an account. They must not block."""
        self.router = router = Router(peers)
        self.change_runner = ChangeRunner(spawn, policy.store_timeout)
        self.session_closer = session_closer = SessionCloser(router, self.logout, clock)

        self.throttle = throttle = Throttle(self._limits, monotonic, networks_of)
        self.sanctions = sanctions = SanctionRegistry(store, clock)
        login_throttle = LoginThrottle(passwords or PasswordVerifier(), self._limits, monotonic, networks_of)
        self.authenticator = Authenticator(
            store, router, login_throttle, session_closer, clock, sanctions.check_login, policy
        )
        self.registration = RegistrationService(
            store, router, self.authenticator, login_throttle, clock, sanctions.check_login, policy
        )
        accounts, accounts_by_id = self.authenticator.accounts, self.authenticator.accounts_by_id

        find_closure = partial(sanctions.find, "close")
        self.rooms = rooms = RoomRegistry(store, router, accounts_by_id, find_closure, mask_matcher)
        self.room_rights = room_rights = RoomRights(store, router, rooms, clock)
        room_quotas = RoomQuotas()
        self.passing_rooms = PassingRooms(store, rooms, room_quotas, policy, clock, spawn, networks_of)
        self.membership = membership = RoomMembership(
            store, router, rooms, clock, room_rights, policy, room_quotas, self.passing_rooms, shut_out_network
        )
        self.blocks = blocks = BlockList(store, accounts_by_id)
        self.recent_names = RecentNames(policy)
        self.presence = presence = PresenceTracker(
            router, call_later, lambda key: rooms.roommates(accounts.get(key)), blocks.is_hidden
        )

        self.delivery = delivery = DeliveryService(store, spawn, stats)
        self.fan_out = FanOut(rooms, router, delivery)
        store.set_batch_listener(self.fan_out.flush)
        quotas = StorageQuotas(store, policy, monotonic)
        is_recent = self.recent_names.__contains__
        dispatcher = MessageDispatcher(
            store, router, rooms, self.fan_out, blocks, accounts, is_recent, clock, policy, quotas, stats
        )
        self.files = FileService(
            store, self.authenticator, login_throttle, sanctions.check_login, policy, clock, monotonic, networks_of
        )
        self.message_service = MessageService(
            policy, throttle, sanctions, dispatcher, rooms, membership, presence, router, self.files, clock
        )

        self.guest_relay = GuestRelay(router, blocks, accounts, sanctions, presence, clock, policy, stats)

        self.invitations = invitations = Invitations(
            store, router, rooms, room_rights, blocks, accounts, is_recent, sanctions.check_not_muted, clock
        )
        self.room_sanctions = room_sanctions = RoomSanctions(
            store,
            router,
            rooms,
            room_rights,
            membership,
            accounts,
            self.recent_names.shown,
            shut_out_network,
            policy,
            clock,
        )

        self.room_masks = RoomMasks(store, rooms, room_rights, clock)
        self.listings = listings = ListingService(router, rooms, presence, blocks.is_hidden, policy)
        self.whois_service = WhoisService(router, rooms, presence, accounts, blocks.is_hidden, policy)
        self.room_service = RoomService(
            rooms, membership, room_rights, invitations, room_sanctions, delivery, listings, sanctions.check_not_muted
        )
        self.history_service = HistoryService(store, router, rooms, accounts, policy, delivery.changes)
        self.signals = SignalService(throttle, sanctions, router, rooms, blocks, accounts, clock)
        self.moderation = Moderation(sanctions, router, rooms, accounts, session_closer, clock)
        self.device_use = DeviceUseRecorder(store, router, clock)
        self.credentials = CredentialService(store, self.authenticator, router, login_throttle, session_closer)
        self.certificates = CertificateService(store, self.authenticator, clock)
        self.settings_service = SettingsService(store, router, clock)
        self.profiles = ProfileService(
            store,
            router,
            rooms,
            room_rights,
            self.whois_service,
            accounts,
            blocks.is_hidden,
            sanctions.check_not_muted,
        )
        self.subscriptions = SubscriptionService(store)
        self.hooks = HookService(
            store,
            router,
            self.authenticator,
            login_throttle,
            rooms,
            room_rights,
            membership,
            blocks,
            session_closer,
            sanctions.check_not_muted,
            policy,
            clock,
            web_url,
        )
        self.hook_poster = HookPoster(
            store,
            router,
            rooms,
            accounts_by_id,
            self.message_service,
            throttle,
            sanctions,
            self.device_use.add,
            policy,
            clock,
            monotonic,
            networks_of,
        )
        self.account_data = AccountData(
            store,
            self.authenticator,
            rooms,
            blocks,
            login_throttle,
            session_closer,
            router.peers,
            delivery.changes,
            self.hooks,
        )
        self._guest_renamer = GuestRenamer(
            router, rooms, self.authenticator, sanctions, throttle, presence, self.recent_names, blocks, clock
        )
        self.eraser = MessageEraser(store, rooms, self.fan_out, clock, policy)

    @property
    def store_identity(self) -> str:
        """The identity of the store: where it changes, a client's seqs and cursors mean nothing any more."""
        return self._store.identity

    @property
    def greeting(self) -> str:
        """The operator's greeting, then which messages are stored, for how long, and what a newcomer may read."""
        intro = f"{self.policy.greeting}\n" if self.policy.greeting else ""
        readable = NEWCOMERS_MAY_READ[self.policy.new_room_rules.history]
        if not self._store.is_persistent:
            kept = "Messages of accounts and rooms are kept until the server stops, guests' messages not at all."
            return f"{intro}{kept}\n{readable}"
        duration = f"for {self.policy.announced_retention:g} days" if self.policy.announced_retention else "for good"
        kept = f"Messages of accounts and rooms are kept {duration}, messages between guests not at all."
        return f"{intro}{kept}\n{readable}"

    @traced("login")
    def login(self, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        """Log a session in. The caller puts its response into the outbox first, then calls `start_delivery`. Blocks.

        Returns:
            The session, and the messages that the guest's session which it resumes was not sent.

        Raises:
            BadName, NameConfusable, NameInUse, GuestsDisabled, PasswordRequired, WrongPassword, AccountDisabled,
            Banned, LoginThrottled, RateLimited, StoreUnavailable
        """
        session, undelivered = self.authenticator.log_in(login, outbox)
        self.add_session(session)
        return session, undelivered

    def add_session(self, session: Session) -> None:
        """Add a session that has logged in or registered: from now on it gets messages to its name. Does not block."""
        self.throttle.attach(session)
        self.presence.before_change(session.key, session.name)
        session.status_since = session.active_at = self._clock()
        self.router.add(session)
        widest_network = [network for network, _ in self.throttle.networks_of(session.address)[-1:]]
        self.recent_names.add(session.key, session.name, *widest_network)
        self.authenticator.guests.add(session)

    def start_delivery(self, session: Session, undelivered: list[Outbound], most: int | None = None) -> None:
        """Send a session that has just logged in what it was not sent, then `CatchUpDone`, and its invitations.

        `most`: of each conversation only so many of the newest messages; what is left out is acknowledged for its
        device, and `BacklogSkipped` says how many, unless `most` is 0.

        An account's session catches up in a greenlet of its own. A guest has only what its predecessor was not sent.
        """
        if session.account is None:
            session.outbox.push(CatchUpDone())
            for event in undelivered:
                session.outbox.push(event, frame_count(event))  # all of it has fitted into an outbox before
            self.invitations.announce(session)
            return
        for conversation in session.sync:
            if not is_room(conversation):
                one, _, other = conversation.partition(" ")
                self.presence.link(one, other)
        self.delivery.start_catch_up(session, self.invitations.announce, most)

    @traced("session")
    def register(
        self, session: Session, password: str, invite: str | None = None, device: str | None = None
    ) -> Registration:
        """Make a guest an account, whose first `device` this session is. It must catch up after the response.

        Raises `NameTaken`, `BadPassword`, or why registration is refused.
        """
        rooms = self.rooms.guest_rooms(session)
        self.registration.register_guest(session, password, [room.key for room in rooms], invite, device)
        self._close_guests(session.key)  # one that has resumed the guest's session meanwhile
        self.throttle.keep_pace(session)
        self.membership.promote_guest(session, rooms)
        self.blocks.persist(session)
        self.invitations.promote_guest(session)
        self.profiles.promote_guest(session)
        self.announce_registration(session.key, session.name)
        return Registration(token=session.token)

    def announce_registration(self, key: str, name: str) -> None:
        """Tell the watchers of a guest that has become an account, on any node. Does not block."""
        for watcher in self.registration_watchers:
            watcher(key, name)

    @traced("login")
    def register_stranger(self, login: LoginRequest, invite: str | None, outbox: Outbox) -> Session:
        """Make a name an account without a guest before it. `add_session` lets the session in that is returned.

        Raises as `RegistrationService.register_stranger`.
        """
        session = self.registration.register_stranger(login, invite, outbox)
        self._close_guests(session.key)  # one that has logged in while the password was hashed
        return session

    def _close_guests(self, key: str) -> None:
        """End the sessions of guests whose name has become an account's."""
        for other in list(self.router.sessions(key)):
            if other.account is None:
                self.session_closer.close(
                    other, NameTaken("This name has become an account: log in with its password.")
                )

    @traced("session")
    def logout(self, session: Session, reason: str = "") -> bool:
        """End a session and free its name. Returns True if it was logged in. Its outbox is left as it is.

        `reason`: what a guest says about it, at most `MAX_REASON` characters; rooms that it was in are told.
        """
        self.authenticator.guests.remove(session)
        self.profiles.stop_telling(session)
        if session not in self.router.sessions(session.key):
            return False
        self.presence.before_change(session.key, session.name)
        self.router.remove(session)
        self.device_use.add(session)
        self.membership.remove_session(session, reason)
        if session.account is None:
            self.blocks.discard(session.key)
        return True

    @traced("session")
    def rename(self, session: Session, new_name: str) -> str:
        """Give a guest another name. Returns it as shown. Raises as `GuestRenamer.rename`."""
        return self._guest_renamer.rename(session, new_name)

    def set_status(self, session: Session, status: str, note: str = "", *, is_unattended: bool = False) -> None:
        """Set the session's status, and the note on it. Raises `BadRequest` or `Muted`.

        A status is 1 to 32 printable characters, not `offline`; a note at most 200. `is_unattended`: as of `Session`.
        """
        if not 0 < len(status) <= MAX_STATUS or not status.isprintable() or status == OFFLINE:
            raise BadRequest(f"A status is 1 to {MAX_STATUS} printable characters, and not {OFFLINE!r}.")
        if len(note) > MAX_NOTE or not note.isprintable():
            raise BadRequest(f"A note is at most {MAX_NOTE} printable characters.")
        self.sanctions.check_not_muted(session.key)
        self.presence.before_change(session.key, session.name)
        session.status, session.note, session.status_since = status, note, self._clock()
        session.is_unattended = is_unattended
        self.presence.announce_status(session.key)
        self.router.peers.presence_changed(session.key)

    def act_as(self, session: Session, name: str, password: str) -> None:
        """Have a session, also a guest's, act with the rights of an operator's account, whose password it knows.

        That ends with the session, or when the account gets another role or password, is disabled, banned or deleted,
        or its sessions are closed. Raises as `Authenticator.verify_operator`. Blocks.
        """
        account = self.authenticator.verify_operator(name, session.address, password)
        if session in self.router.sessions(session.key):  # else it has ended meanwhile
            self.router.act_as(session, account)
            log.log_event("moderated", by=account.name, method="act", what=session.key, reason=None)

    def stop_acting(self, session: Session) -> None:
        """Have a session act with its own rights again. Does not block."""
        self.router.end_acting(session)

    def known_names(self) -> Iterator[str]:
        """Iterate over the names that are online, then those that were lately, the latest login first."""
        yield from self.router.names.values()
        yield from (name for key, name in self.recent_names.newest_first() if key not in self.router)

    def announce_shutdown(self, make_retry_delay: Callable[[], float]) -> None:
        """Tell each session that the server stops, and after how many seconds to reconnect."""
        for session in list(self.router):
            if session.accepts_push:
                session.outbox.push(ServerMoving(make_retry_delay()))

    def close(self) -> None:
        """Close all sessions once their outboxes are written."""
        for session in list(self.router):
            session.outbox.close_after_drain()

    def flush_acknowledgements(self, session: Session) -> None:
        """Block until what the session acknowledged and sent is on disk: its next response promises that it is."""
        flush_acknowledgements(session, self._store)

    def _limits(self) -> Limits:
        return self.policy.limits
