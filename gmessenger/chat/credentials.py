"""What proves an account at its logins, in its owner's hands: the password, and the tokens of its devices."""

from __future__ import annotations

from gmessenger import log
from gmessenger.chat.auth import LoginThrottle
from gmessenger.chat.passwords import check_length
from gmessenger.chat.router import SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import WrongPassword


class CredentialService:
    """Changes the password of the account that asks. Methods block on the store, and on hashing."""

    def __init__(self, store: Store, login_throttle: LoginThrottle, session_closer: SessionCloser) -> None:
        self._store = store
        self._login_throttle = login_throttle
        self._session_closer = session_closer

    def change_password(self, session: Session, old: str, new: str) -> None:
        """Change the password, and end every other session and token of the account, on all nodes.

        Raises `AccountsOnly`, `BadPassword`, `WrongPassword`, `LoginThrottled` or `RateLimited`.
        """
        account = session.require_account()
        check_length(new)
        old_hash = self._store.password_hash(account.id)
        if not self._login_throttle.verify(account.key, session.address, old_hash, old) or old_hash is None:
            raise WrongPassword
        new_hash = self._login_throttle.hash(session.address, new)
        generation = self._store.change_password(account.id, old_hash, new_hash, session.token)
        account.generation = generation
        if session.device is not None:
            session.device.generation = generation
        self._session_closer.close_outdated(account)
        log.log_event("password_changed", name=account.name, address=session.address)
