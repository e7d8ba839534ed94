"""What proves an account at its logins, in its owner's hands: the password, and the tokens of its devices."""

from __future__ import annotations

from msgspec import UNSET

from gmessenger import log
from gmessenger.chat.auth import Authenticator, LoginThrottle
from gmessenger.chat.records import Account
from gmessenger.chat.results import DeviceEntry, DeviceList
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadPassword, BadRequest, NoSuchDevice, WrongPassword


class CredentialService:
    """Changes the password of the account that asks, and logs its devices out. Methods block on store and hashing."""

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        router: Router,
        login_throttle: LoginThrottle,
        session_closer: SessionCloser,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._router = router
        self._login_throttle = login_throttle
        self._session_closer = session_closer

    def change_password(self, session: Session, old: str, new: str) -> None:
        """Change the password, and end every other session and token of the account, on all nodes.

        A client that has lost the answer asks again, by its token: what it has made already is not refused then.
        Raises `AccountsOnly`, `BadPassword`, `WrongPassword`, `LoginThrottled` or `RateLimited`.
        """
        account = session.require_account()
        self._login_throttle.check_length(new)
        if session.must_change_password and new == old:
            raise BadPassword("The new password is the one-time password; choose another.")
        try:
            generation = self._replace_password(session, account, old, new)
        except WrongPassword:
            if not self._is_made(session, account, new):
                raise
            return
        self._authenticator.note_password_change(account, generation)
        log.log_event("password_changed", name=account.name, address=session.address)

    def _replace_password(self, session: Session, account: Account, old: str, new: str) -> int:
        """Replace the password in the store. Returns the account's generation. Raises as `change_password`."""
        old_hash = self._store.password_hash(account.id)
        if not self._login_throttle.verify(account.key, session.address, old_hash, old) or old_hash is None:
            raise WrongPassword
        new_hash = self._login_throttle.hash(session.address, new)
        return self._store.change_password(account.id, old_hash, new_hash, session.token)

    def _is_made(self, session: Session, account: Account, new: str) -> bool:
        """Return whether the session, or one before it with its token, has made `new` the password of the account."""
        if not session.token or not self._store.is_password_set_by(account.id, session.token):
            return False
        return self._login_throttle.verify(account.key, session.address, self._store.password_hash(account.id), new)

    def devices(self, session: Session) -> DeviceList:
        """Return the account's devices that are logged in, or may log in by a certificate. Raises `AccountsOnly`."""
        account = session.require_account()
        devices = self._store.devices(account.id, self._authenticator.token_horizon())
        own = session.device_id
        here = self._router.devices(account.key)
        return DeviceList(
            [
                DeviceEntry(each.name, each.used, each.id in here, each.id == own or UNSET, each.certificate or UNSET)
                for each in devices
            ]
        )

    def drop(self, session: Session, device: str | None, is_all: bool) -> None:
        """Log a device out, or all but this one: token and certificate are void, and its session ended, on all nodes.

        Where it is this one, `end_if_dropped` ends the session after the response. Raises `AccountsOnly`, `BadRequest`,
        or `NoSuchDevice`.
        """
        account = session.require_account()
        if (device is None) is not is_all:
            raise BadRequest("Give device, or all.")
        own = session.device_id
        dropped = self._store.drop_tokens(account.id, device, own if is_all else None)
        if not dropped and not is_all:
            raise NoSuchDevice
        self._authenticator.doubt_logins()
        for other in list(self._router.sessions(account.key)):
            # (It may have logged in anew, with the password.)
            if (
                other.device is not None
                and other.device.id in dropped
                and not self._authenticator.is_token_valid(other)
            ):
                other.token = ""
                if other is not session:
                    self.end_if_dropped(other)
        log.log_event("device_dropped", name=account.name, address=session.address, count=len(dropped))

    def end_if_dropped(self, session: Session) -> None:
        """End a session whose token was revoked. Does not block."""
        if not session.token:
            self._session_closer.close_dropped(session)
