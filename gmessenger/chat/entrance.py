"""The entrance: who may come in under which name, as a guest or as an account, and how accounts come to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gmessenger import logs
from gmessenger.chat.contract import Store
from gmessenger.chat.invites import invite_shown
from gmessenger.chat.lookalikes import LookAlikes
from gmessenger.chat.model import Bundle, Message, Parcel, Replaced
from gmessenger.chat.names import check_name, fold
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import Account, Entry, Proof
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.trials import Trials
from gmessenger.errors import (
    AccountDisabled,
    GuestsRefused,
    InviteRefused,
    NameInUse,
    NameTaken,
    PasswordNeeded,
    RegistrationClosed,
    WrongPassword,
)

DEFAULT_DEVICE: Final = "default"


@dataclass(slots=True)
class Login:
    """Who wants in, through which door. `told` as in `Session`."""

    name: str
    front: str
    told: bool
    address: str
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    device: str | None = None


class Entrance:
    """Admits sessions. What it does may wait for the store and for a password's hash."""

    def __init__(
        self,
        store: Store,
        router: Router,
        trials: Trials,
        clock: Callable[[], float],
        check: Callable[[str, str], None],
        policy: Policy,
    ) -> None:
        """`check` raises what keeps a folded name, at an address, from coming in."""
        self._store = store
        self._router = router
        self._trials = trials
        self._clock = clock
        self._policy = policy
        self._check = check
        self._tokens: dict[str, Session] = {}
        self.accounts: dict[str, Account] = {account.key: account for account in store.accounts()}
        self.by_id: dict[int, Account] = {account.id: account for account in self.accounts.values()}
        self._alike = LookAlikes(account.name for account in self.accounts.values())
        self._alike_guests = LookAlikes()

    def admit(self, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        """A session, not yet in the router, and what its predecessor had not been told. Raises as `Messenger.login`."""
        account = self.accounts.get(fold(login.name))  # whose name may have been taken when more was allowed
        name = account.name if account is not None else check_name(login.name)
        self._check(fold(name), login.address)
        if account is None and self._router.elsewhere.freshen():
            account = self.accounts.get(fold(name))
        if account is None:
            return self._admit_guest(name, login, outbox)
        if not login.told:
            raise PasswordNeeded("This name belongs to an account.")
        return self._admit_account(account, login, outbox)

    def register(
        self, session: Session, password: str, rooms: Sequence[str], invite: str | None, device: str | None
    ) -> None:
        """Make a guest's name an account, a member of these rooms, and its session that account's, on a device."""
        if session.account is not None:
            raise NameTaken
        if self._policy.registration == "closed":
            raise RegistrationClosed
        if self._policy.registration == "invite" and invite is None:
            raise InviteRefused
        entry = Entry(device or DEFAULT_DEVICE, session.token)
        with self._trials.registering(session.address, password) as hashed:
            self.check_unlike(session.name)  # after the hash, which takes a while
            now = self._clock()
            account, found = self._store.register(session.key, session.name, hashed, now, entry, rooms, invite)
        shown = invite_shown(invite) if invite is not None else None
        logs.event("registered", name=account.name, address=session.address, invite=shown)
        self._alike_guests.discard(session.name)
        self.add(account)
        self._router.elsewhere.owe(session, found.cursors)
        session.become(account)
        session.use(found)
        self._router.elsewhere.release(session.key)
        self._router.elsewhere.showing(session.key)

    def check_unlike(self, name: str) -> None:
        """Raises `NameConfusable` for a name that could be mistaken for an account's or a present guest's."""
        self.check_unlike_accounts(name)
        self._alike_guests.check(name)

    def check_unlike_accounts(self, name: str) -> None:
        """The same, of accounts alone."""
        self._alike.check(name)

    def add(self, account: Account) -> None:
        self.accounts[account.key] = account
        self.by_id[account.id] = account
        self._alike.add(account.name)

    def remove(self, account: Account) -> None:
        if self.accounts.get(account.key) is account:  # else the name is another's by now
            del self.accounts[account.key]
            self._alike.discard(account.name)
        self.by_id.pop(account.id, None)

    def came(self, session: Session) -> None:
        """A guest can be resumed while it is here; an account's token is in the store."""
        if session.account is None:
            self._tokens[session.token] = session
            self._alike_guests.add(session.name)

    def left(self, session: Session) -> None:
        if self._tokens.get(session.token) is session:  # its successor has the same token
            del self._tokens[session.token]
            self._alike_guests.discard(session.name)
        if session.account is None:
            self._router.elsewhere.release(session.key)

    def _admit_guest(self, name: str, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        predecessor = self._guest_resumed(login.token, fold(name))
        if login.password is not None and predecessor is None:
            self._trials.matches(fold(name), login.address, None, login.password)
            raise WrongPassword
        if not self._policy.guests:
            raise GuestsRefused
        if predecessor is None and self._router.sessions(fold(name)):
            raise NameInUse
        if predecessor is None:
            self.check_unlike(name)
        session = Session(name, outbox, front=login.front, told=login.told, address=login.address)
        left_over: list[Parcel] = []
        if predecessor is not None:
            # The same token: if this answer is lost too, the next attempt must still be able to resume.
            session.token = predecessor.token
        self._router.elsewhere.claim(session, login.token)
        self._check(session.key, login.address)  # it may have been banned, or have become an account's, meanwhile
        if session.key in self.accounts:
            raise PasswordNeeded("This name belongs to an account.")
        if predecessor is not None:
            session.sent |= predecessor.sent
            left_over = [each for each in predecessor.outbox.take_all() if isinstance(each, Message | Bundle)]
            self.replace(predecessor)
        return session, left_over

    def _admit_account(self, account: Account, login: Login, outbox: Outbox) -> tuple[Session, list[Parcel]]:
        generation = account.generation
        session = Session(account.name, outbox, front=login.front, told=login.told, address=login.address)
        session.become(account)
        device, proof = self._authenticate(account, login, session)
        if account.disabled:
            raise AccountDisabled
        live = [other.device.id for other in self._router.sessions(account.key) if other.device is not None]
        live += self._router.elsewhere.devices(account.key)
        found = self._store.enter(account.id, Entry(device, session.token, live), self._clock(), proof)
        if account.disabled:  # since it gave its password
            raise AccountDisabled
        if account.generation != generation:
            raise PasswordNeeded
        self._check(account.key, login.address)
        session.use(found)
        for other in list(self._router.sessions(account.key)):
            if other.device is not None and other.device.id in (found.id, *found.dropped):
                self.replace(other)
        return session, []

    def _authenticate(self, account: Account, login: Login, session: Session) -> tuple[str, Proof]:
        """The name of the device that may come in, and what it has shown; a token is the session's again."""
        known = self._store.token(login.token) if login.token else None
        if known is not None and known[0] == account.id:
            device = login.device or known[1]
            if device == known[1] and login.token is not None:
                session.token = login.token
            return device, Proof(token=login.token)
        if login.password is None:
            raise PasswordNeeded
        hashed = self._store.password(account.id)
        if not self._trials.matches(account.key, login.address, hashed, login.password):
            raise WrongPassword
        return login.device or DEFAULT_DEVICE, Proof(password=hashed)

    def replace(self, session: Session) -> None:
        """Send a session away because another has taken its place."""
        self._router.remove(session)
        self.left(session)
        session.outbox.insist(Replaced(self._clock()))
        session.outbox.finish()

    def _guest_resumed(self, token: str | None, key: str) -> Session | None:
        session = self._tokens.get(token) if token else None
        return session if session is not None and session.key == key else None
