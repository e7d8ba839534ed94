"""Who may log in under which name, as guest or account.

Failed logins are limited by network and by name. Strangers who guess passwords cannot lock an owner out: from a network
from which the account logged in lately, only the network's own failures count, and a login by token is no guess. A
login that is refused by the limit costs no hash, and one that was not checked (the server was busy, or the client has
gone) does not count."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.device_selector import DeviceSelector
from gmessenger.chat.guests import GuestSessions
from gmessenger.chat.outbound import TEXTS, Outbound, SessionReplaced
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.policy import Policy
from gmessenger.chat.ratelimit import BucketTable, Charge, Limits, TokenBucket
from gmessenger.chat.records import Account, Credential, Device, DeviceLogin, DeviceTaken
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import WeightedNetworks, charge_networks, charge_or_refuse
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import (
    AccountDisabled,
    GuestsDisabled,
    InvalidInvite,
    LoginThrottled,
    NameInUse,
    OperatorsOnly,
    PasswordChangeRequired,
    PasswordRequired,
    RegistrationThrottled,
    StoreUnavailable,
    WrongPassword,
)
from gmessenger.lru_map import LruMap
from gmessenger.names import check_name, fold, normalize_name

MAX_TRUSTED_NETWORKS: Final = 16  # of an account
MAX_TRUSTED_ACCOUNTS: Final = 10_000

BucketsByKey: TypeAlias = "BucketTable[str, TokenBucket]"


class TrustedNetworks:
    """The networks from which accounts logged in lately: a few of each account, of a bounded number of accounts."""

    def __init__(self) -> None:
        self._networks_by_account: LruMap[str, LruMap[str | None, None]] = LruMap(MAX_TRUSTED_ACCOUNTS)

    def __contains__(self, account_and_network: tuple[str, str | None]) -> bool:
        key, network = account_and_network
        return network in (self._networks_by_account.peek(key) or ())

    def add(self, key: str, network: str | None) -> None:
        """Record that an account logged in from a network."""
        networks = self._networks_by_account.get(key) or LruMap(MAX_TRUSTED_NETWORKS)
        networks[network] = None
        self._networks_by_account[key] = networks


class LoginThrottle:
    """Verifies and hashes passwords, no more often than the limits allow. Blocks as `PasswordVerifier` does.

    `networks_of` returns the networks that an address counts for; none where nothing is counted.
    """

    def __init__(
        self,
        passwords: PasswordVerifier,
        limits: Callable[[], Limits],
        clock: Callable[[], float],
        networks_of: Callable[[str], WeightedNetworks],
    ) -> None:
        self._passwords = passwords
        self._limits = limits
        self._clock = clock
        self._networks_of = networks_of
        self._failures_by_network: BucketsByKey = BucketTable(TokenBucket)
        self._failures_by_name: BucketsByKey = BucketTable(TokenBucket)
        self._registrations_by_network: BucketsByKey = BucketTable(TokenBucket)
        self._trusted = TrustedNetworks()

    def verify(self, key: str, address: str, password_hash: str | None, password: str) -> bool:
        """Return whether it is the password of a name. Raises `LoginThrottled` or `RateLimited`.

        `password_hash` is None where there is no such account; that takes as long. Each attempt counts as a failure
        until it has succeeded, or many could be made at once.
        """
        return self._attempt(key, address, lambda network: self._passwords.verify(password_hash, password, network))

    def count_certificate(self, key: str, address: str, is_right: bool) -> None:
        """Count a login by a certificate, as one by a password. Raises `WrongPassword` for one that is not right."""
        if not self._attempt(key, address, lambda _: is_right):
            raise WrongPassword(WRONG_CERTIFICATE)

    def _attempt(self, key: str, address: str, verify: Callable[[str | None], bool]) -> bool:
        networks, limits, now = self._networks_of(address), self._limits(), self._clock()
        network = networks[0][0] if networks else None
        with Charge() as charge:
            charge_networks(
                charge, self._failures_by_network, networks, limits.login_failures_per_address, now, LoginThrottled
            )
            if (key, network) not in self._trusted:
                charge_or_refuse(
                    charge, self._failures_by_name.get(key, now), limits.login_failures_per_name, now, LoginThrottled
                )
            is_correct = verify(network)
            if is_correct:
                self._trusted.add(key, network)
            else:
                charge.commit()
        return is_correct

    def verify_shared(self, address: str, expected: str, password: str) -> bool:
        """Return whether it is a password that all share, in constant time. Raises `LoginThrottled`. Does not block."""
        with Charge() as charge:
            charge_networks(
                charge,
                self._failures_by_network,
                self._networks_of(address),
                self._limits().login_failures_per_address,
                self._clock(),
                LoginThrottled,
            )
            is_correct = hmac.compare_digest(expected.encode(), password.encode())
            if not is_correct:
                charge.commit()
        return is_correct

    def check_length(self, password: str) -> None:
        """Raise `BadPassword` if a new password is too short or too long."""
        self._passwords.check_length(password)

    def trust(self, key: str, address: str) -> None:
        """Record that an account logged in from an address, by a token."""
        networks = self._networks_of(address)
        self._trusted.add(key, networks[0][0] if networks else None)

    def hash(self, address: str, password: str) -> str:
        """Return the hash of an account's new password. Raises `BadPassword` or `RateLimited`."""
        networks = self._networks_of(address)
        return self._passwords.hash(password, networks[0][0] if networks else None)

    @contextmanager
    def hash_for_registration(self, address: str, password: str) -> Iterator[str]:
        """Yield the hash of a new account's password. The block creates the account, which counts unless it raises.

        Raises `RegistrationThrottled`, `BadPassword` or `RateLimited`.
        """
        with self.registration(address):
            yield self.hash(address, password)

    @contextmanager
    def registration(self, address: str) -> Iterator[None]:
        """Count a new account, which the block creates, unless that raises. Raises `RegistrationThrottled`.

        An invite that is refused counts as well: it may have been guessed.
        """
        networks, rate = self._networks_of(address), self._limits().registrations
        with Charge() as charge:
            charge_networks(
                charge, self._registrations_by_network, networks, rate, self._clock(), RegistrationThrottled
            )
            try:
                yield
            except InvalidInvite:
                charge.commit()
                raise
            charge.commit()


DEFAULT_DEVICE: Final = "default"
WRONG_CERTIFICATE: Final = "No device of the account has this certificate."
SECONDS_PER_DAY: Final = 86_400.0


@dataclass(slots=True)
class LoginRequest:
    """A login: the name, how the client proves that it may use it, and where it comes from. Fields as in `Session`.

    `first_free_device`: an account that logs in with its password and names no device gets the first of this one, the
    same with `-2`, and so on up to `MAX_DEVICES`, that has no session on any node; else the one unused the longest.
    `certificate`: the fingerprint of a certificate of which the client has the key; its device is the one to log in.
    `is_name_certain`: without it, an account of another name may be the one that has the certificate; the name may be
    empty then.
    """

    name: str
    protocol: str
    accepts_push: bool
    address: str
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    device: str | None = None
    first_free_device: str | None = None
    certificate: str | None = None
    is_name_certain: bool = True


class Authenticator:
    """Checks logins and registrations, and holds all accounts. Blocks as the store and `PasswordVerifier` do.

    `accounts` and `accounts_by_id` are read by other services; only this class changes them. `guests` has the
    sessions without an account.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        login_throttle: LoginThrottle,
        session_closer: SessionCloser,
        clock: Callable[[], float],
        check_login: Callable[[str, str], None],
        policy: Policy,
    ) -> None:
        """Read the accounts. `check_login` raises why a folded name may not log in from an address."""
        self._store = store
        self._router = router
        self._login_throttle = login_throttle
        self._session_closer = session_closer
        self._clock = clock
        self._policy = policy
        self._check_login = check_login
        self.guests = GuestSessions(router.peers)
        self.accounts: dict[str, Account] = {account.key: account for account in store.accounts()}
        self.accounts_by_id: dict[int, Account] = {account.id: account for account in self.accounts.values()}
        self._logins_under_way: set[Session] = set()
        self._doubted_logins: set[Session] = set()
        self._device_selector = DeviceSelector(store, router)
        self._account_names = ConfusableIndex(account.name for account in self.accounts.values())

    def log_in(self, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        """Check a login, and make its session, which is not in the router yet. Raises as `Messenger.login`.

        Returns:
            The session, and the messages that the guest's session which it resumes was not sent.
        """
        if login.certificate is not None:
            return self._log_in_by_certificate(login, login.certificate, outbox), []
        account = self.accounts.get(fold(login.name))  # its name may not be allowed any more
        name = account.name if account is not None else check_name(login.name)
        self._check_login(fold(name), login.address)
        if account is None and self._router.peers.sync():
            account = self.accounts.get(fold(name))
        if account is None:
            return self._log_in_guest(name, login, outbox)
        if not login.accepts_push:
            raise PasswordRequired("This name belongs to an account.")
        return self._log_in_account(account, login, outbox)

    def _log_in_by_certificate(self, login: LoginRequest, certificate: str, outbox: Outbox) -> Session:
        key = fold(login.name)
        account = self.accounts.get(key)
        if account is None and self._router.peers.sync():
            account = self.accounts.get(key)
        horizon = self.token_horizon()
        is_own = account is not None and self._store.find_certificate(account.id, certificate, horizon) is not None
        if not is_own and not login.is_name_certain:
            account = self._find_by_certificate(certificate, horizon, has_name=bool(login.name))
        key = account.key if account is not None else key
        self._check_login(key, login.address)
        if account is None:
            self._login_throttle.count_certificate(key, login.address, is_right=False)
            raise WrongPassword(WRONG_CERTIFICATE)
        return self._log_in_account(account, login, outbox)[0]

    def _find_by_certificate(self, certificate: str, horizon: float, *, has_name: bool) -> Account | None:
        """Return the only account that has presented a certificate.

        Without any name, it may be one that was given the fingerprint only, if no other was: others may have added it
        to an account of theirs.
        """
        found = self._store.accounts_with_certificate(certificate, horizon)
        presented = [account for account, is_presented in found if is_presented]
        ids = presented if presented or has_name else [account for account, _ in found]
        return self.accounts_by_id.get(ids[0]) if len(ids) == 1 else None

    def verify_operator(self, name: str, address: str, password: str) -> Account:
        """Return the operator's account of a name, if that is its password. Blocks; not after the last check.

        Raises `BadName`, `WrongPassword`, `LoginThrottled`, `RateLimited`, `AccountDisabled`, `Banned`, `OperatorsOnly`
        if it is no operator's, or `PasswordChangeRequired` if it is a one-time password.
        """
        account = self.accounts.get(fold(name))
        if account is None and self._router.peers.sync():
            account = self.accounts.get(fold(name))
        key = account.key if account is not None else fold(normalize_name(name))
        generation = account.generation if account is not None else 0
        password_hash = self._store.password_hash(account.id) if account is not None and not account.is_bot else None
        if not self._login_throttle.verify(key, address, password_hash, password) or account is None:
            raise WrongPassword
        if self._store.has_one_time_password(account.id):
            raise PasswordChangeRequired
        self._check_login(key, address)
        if account.disabled:
            raise AccountDisabled
        if account.generation != generation:  # it has had another password since
            raise WrongPassword
        if account.role != OPERATOR_ROLE:
            raise OperatorsOnly
        return account

    def check_shared_password(self, address: str, expected: str, password: str) -> None:
        """Check a password that all share, before a login. Failures count for the network, as those of logins do.

        Raises `WrongPassword` or `LoginThrottled`.
        """
        if not self._login_throttle.verify_shared(address, expected, password):
            raise WrongPassword("This is not the password of the server.")

    def token_horizon(self) -> float:
        """Return the time, in Unix seconds, since when a token must have been used to be valid."""
        days = self._policy.token_days
        return self._clock() - days * SECONDS_PER_DAY if days else 0.0

    def check_not_confusable(self, name: str) -> None:
        """Raise `NameConfusable` if a name can be mistaken for an account's or an online guest's."""
        self.check_not_confusable_with_accounts(name)
        self.guests.check_not_confusable(name)

    def check_not_confusable_with_accounts(self, name: str) -> None:
        """Raise `NameConfusable` if a name can be mistaken for an account's."""
        self._account_names.check(name)

    def add_account(self, account: Account) -> None:
        """Add an account that the store has."""
        self.accounts[account.key] = account
        self.accounts_by_id[account.id] = account
        self._account_names.add(account.name)

    def remove_account(self, account: Account) -> None:
        """Remove an account that was deleted."""
        if self.accounts.get(account.key) is account:  # else the name is another account's by now
            del self.accounts[account.key]
            self._account_names.discard(account.name)
        self.accounts_by_id.pop(account.id, None)

    def _log_in_guest(self, name: str, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        predecessor = self.guests.find(login.token, fold(name))
        if login.password is not None and predecessor is None:
            self._login_throttle.verify(fold(name), login.address, None, login.password)
            raise WrongPassword
        if not self._policy.guests:
            raise GuestsDisabled(registration=self._policy.registration)
        if predecessor is None and self._router.sessions(fold(name)):
            raise NameInUse
        if predecessor is None:
            self.check_not_confusable(name)
        session = Session(name, outbox, protocol=login.protocol, accepts_push=login.accepts_push, address=login.address)
        undelivered: list[Outbound] = []
        if predecessor is not None:
            # The same token: if this response is lost too, the next attempt must still be able to resume.
            session.token = predecessor.token
        self._router.peers.claim(session, login.token)
        self._check_login(session.key, login.address)  # it may have been banned, or have become an account's, meanwhile
        if session.key in self.accounts:
            raise PasswordRequired("This name belongs to an account.")
        if predecessor is not None:
            session.sync.resume(predecessor.sync)
            session.said, session.profile = predecessor.said, predecessor.profile
            undelivered = [event for event in predecessor.outbox.drain() if isinstance(event, TEXTS)]
            self.replace_session(predecessor)
        return session, undelivered

    def _log_in_account(self, account: Account, login: LoginRequest, outbox: Outbox) -> tuple[Session, list[Outbound]]:
        session = Session(
            account.name, outbox, protocol=login.protocol, accepts_push=login.accepts_push, address=login.address
        )
        session.bind_account(account)
        device_name, credential = self._authenticate(account, login, session)
        if account.disabled:
            raise AccountDisabled
        base, refused = login.first_free_device or DEFAULT_DEVICE, set[str]()
        while True:
            with self._device_selector.select(account, device_name, base, refused) as (name, free_at):
                try:
                    self._begin_on_device(session, account, name, free_at, credential)
                    return session, []
                except DeviceTaken:
                    refused.add(name)

    def _begin_on_device(
        self, session: Session, account: Account, name: str, free_at: int | None, credential: Credential
    ) -> None:
        """Begin the session of a login on a device, in place of the session there is on that.

        The caller adds the session to the router before anything else runs. Raises `DeviceTaken`.
        """
        device_login = DeviceLogin(name, session.token, self.devices_with_sessions(account), free_at)
        device = self._begin_session(session, account, device_login, credential)
        if account.disabled:  # since it gave its password
            raise AccountDisabled
        self._check_login(account.key, session.address)
        session.bind_device(device)
        if device.generation < account.generation:  # the password was changed since, but the token is valid
            session.outlive_password_change(account.generation)
        self.end_evicted(account, (device.id, *device.evicted))

    def note_password_change(self, account: Account, generation: int) -> None:
        """End the local sessions, and logins under way, of an account from before its password was changed.

        One whose token is still valid goes on: the client that has made the change may be connected again by now.
        Blocks on the store.
        """
        account.generation = generation = max(account.generation, generation)
        self._router.stop_acting(account.key)
        self.doubt_logins()
        error = PasswordRequired("The password has been changed: log in again.")
        for session in list(self._router.sessions(account.key)):
            if session.generation < generation:
                if self.is_token_valid(session):
                    session.outlive_password_change(generation)
                elif session in self._router.sessions(account.key):
                    self._session_closer.close(session, error)

    def is_token_valid(self, session: Session) -> bool:
        """Return whether the store has a session's token; False where that cannot be read."""
        try:
            return self._store.find_token(session.token) is not None
        except StoreUnavailable:
            return False

    def doubt_logins(self) -> None:
        """Have logins that are under way look again whether their tokens are valid: some were revoked."""
        self._doubted_logins.update(self._logins_under_way)

    def _begin_session(self, session: Session, account: Account, login: DeviceLogin, credential: Credential) -> Device:
        """Begin a session in the store. Raises `PasswordRequired` if its token was revoked at the same time."""
        self._logins_under_way.add(session)
        try:
            device = self._store.begin_session(account.id, login, self._clock(), credential)
            while session in self._doubted_logins:
                self._doubted_logins.discard(session)
                if self._store.find_token(session.token) is None:
                    raise PasswordRequired
            return device
        finally:
            self._logins_under_way.discard(session)
            self._doubted_logins.discard(session)

    def _authenticate(self, account: Account, login: LoginRequest, session: Session) -> tuple[str | None, Credential]:
        """Check a login's token, certificate or password. Returns the device's name, and what proved it.

        A valid token is kept. The name is None where the first free device is to be selected.

        Raises `PasswordRequired`, `WrongPassword`, and as `LoginThrottle.verify`.
        """
        used_after = self.token_horizon()
        if login.certificate is not None:
            device = self._store.find_certificate(account.id, login.certificate, used_after)
            is_right = device is not None and not account.is_bot and login.device in (None, device)
            self._login_throttle.count_certificate(account.key, login.address, is_right)
            return device, Credential(certificate=login.certificate, used_after=used_after)
        known = self._store.find_token(login.token, used_after) if login.token and not account.is_bot else None
        if known is not None and known[0] == account.id and login.device in (None, "", known[1]):
            assert login.token is not None
            session.token = login.token
            self._login_throttle.trust(account.key, login.address)
            return known[1], Credential(token=login.token, used_after=used_after)
        if login.password is None:
            raise PasswordRequired
        password_hash = self._store.password_hash(account.id) if not account.is_bot else None
        if not self._login_throttle.verify(account.key, login.address, password_hash, login.password):
            raise WrongPassword
        device = login.device or (DEFAULT_DEVICE if login.first_free_device is None else None)
        return device, Credential(password_hash=password_hash)

    def devices_with_sessions(self, account: Account) -> list[int]:
        """Return the ids of an account's devices that have a session, on any node."""
        live = [other.device.id for other in self._router.sessions(account.key) if other.device is not None]
        return live + list(self._router.peers.devices_of(account.key))

    def end_evicted(self, account: Account, devices: Collection[int]) -> None:
        """End the local sessions of an account on devices that another has taken the place of. Does not block."""
        for other in list(self._router.sessions(account.key)):
            if other.device is not None and other.device.id in devices:
                self.replace_session(other)

    def replace_session(self, session: Session) -> None:
        """End a session because another replaces it, which is added to the router before anything else runs."""
        self._router.remove(session, is_replaced=True)
        self.guests.remove(session)
        session.outbox.push(SessionReplaced(self._clock()))
        session.outbox.close_after_drain()
