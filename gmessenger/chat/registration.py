"""How accounts are registered: by a guest for its name, or by a client that logs in at the same time."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from gmessenger import log
from gmessenger.chat.auth import DEFAULT_DEVICE, Authenticator, LoginRequest, LoginThrottle
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import Account, Device, DeviceLogin
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import InvalidInvite, NameInUse, NameTaken, RegistrationClosed
from gmessenger.names import check_name

INVITE_BYTES: Final = 18  # bytes
INVITE_FINGERPRINT_SIZE: Final = 8  # characters


def make_invite() -> str:
    """Make a secret with which one person may register, once. On a command line it cannot be taken for an option."""
    return secrets.token_urlsafe(INVITE_BYTES).replace("-", "_")


def invite_fingerprint(invite: str) -> str:
    """Return what names an invite in the log when it is made and when it is used. It is of no use for registering."""
    return hashlib.sha256(invite.encode()).hexdigest()[:INVITE_FINGERPRINT_SIZE]


class RegistrationService:
    """Registers accounts, as far as the policy allows. Methods block on the store, and on hashing."""

    def __init__(
        self,
        store: Store,
        router: Router,
        authenticator: Authenticator,
        login_throttle: LoginThrottle,
        clock: Callable[[], float],
        check_login: Callable[[str, str], None],
        policy: Policy,
    ) -> None:
        """`check_login` raises why a folded name may not log in from an address."""
        self._store = store
        self._router = router
        self._authenticator = authenticator
        self._login_throttle = login_throttle
        self._clock = clock
        self._check_login = check_login
        self._policy = policy

    def register_guest(
        self, session: Session, password: str, rooms: Sequence[str], invite: str | None, device: str | None
    ) -> None:
        """Make a guest's name an account, a member of these rooms, and its session the account's.

        Raises `NameTaken`, `NameConfusable`, `RegistrationClosed`, `InvalidInvite`, and as
        `LoginThrottle.hash_for_registration`.
        """
        if session.account is not None:
            raise NameTaken
        self._check_open(invite)
        account, found = self._create_account(session, password, rooms, invite, device)
        peers = self._router.peers
        self._authenticator.guests.promote(session)
        self._authenticator.add_account(account)
        peers.deliver_owed(session, found.cursors)
        session.bind_account(account)
        session.bind_device(found)
        peers.release(session.key)
        peers.presence_changed(session.key)

    def register_stranger(self, login: LoginRequest, invite: str | None, outbox: Outbox) -> Session:
        """Make a free name an account, also where guests are refused. Returns its first session.

        The session is not in the router yet. Raises as `register_guest`, `BadName`, `NameInUse` by a guest, `Banned`
        or `StoreUnavailable`.
        """
        self._check_open(invite)
        name = check_name(login.name)
        session = Session(name, outbox, protocol=login.protocol, accepts_push=login.accepts_push, address=login.address)
        self._check_login(session.key, login.address)
        if session.key not in self._authenticator.accounts:
            self._router.peers.sync(session.key)
        if session.key in self._authenticator.accounts:
            raise NameTaken
        if session.key in self._router:
            raise NameInUse
        self._authenticator.check_not_confusable(name)
        account, found = self._create_account(session, login.password or "", (), invite, login.device)
        self._authenticator.add_account(account)
        self._check_login(session.key, login.address)  # it may have been banned meanwhile
        session.bind_account(account)
        session.bind_device(found)
        return session

    def _check_open(self, invite: str | None) -> None:
        """Raise `RegistrationClosed`, or `InvalidInvite` where one is needed and none was given."""
        if self._policy.registration == "closed":
            raise RegistrationClosed
        if self._policy.registration == "invite" and invite is None:
            raise InvalidInvite

    def _create_account(
        self, session: Session, password: str, rooms: Sequence[str], invite: str | None, device: str | None
    ) -> tuple[Account, Device]:
        device_login = DeviceLogin(device or DEFAULT_DEVICE, session.token)
        with self._login_throttle.hash_for_registration(session.address, password) as password_hash:
            self._check_login(session.key, session.address)  # after the hash, which takes a while
            self._authenticator.check_not_confusable(session.name)
            account, found = self._store.register(
                session.key, session.name, password_hash, self._clock(), device_login, rooms, invite
            )
        fingerprint = invite_fingerprint(invite) if invite is not None else None
        log.log_event("registered", name=account.name, address=session.address, invite=fingerprint)
        return account, found
