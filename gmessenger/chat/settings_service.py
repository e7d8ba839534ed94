"""Settings that an account keeps on the server for all its devices."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.account_settings import (
    SettingsChange,
    change_settings,
    decode_settings,
    encode_settings,
)
from gmessenger.chat.outbound import SettingsUpdate
from gmessenger.chat.records import Account
from gmessenger.chat.results import SettingsResult
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store


class SettingsService:
    """Reads and changes the settings of accounts. Only a change blocks, on the store."""

    def __init__(self, store: Store, router: Router, clock: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        self._clock = clock

    def settings(self, session: Session, change: SettingsChange | None) -> SettingsResult:
        """Change the settings of the session's account, or only return them; its other sessions are sent new ones.

        Raises `AccountsOnly` for a guest, and as `change_settings`.
        """
        account = session.require_account()
        if change is not None:
            stored = self._store.change_settings(account.id, lambda text: self._changed(text, change))
            self.update(account, stored, except_session=session)
        return SettingsResult(decode_settings(account.settings))

    def update(self, account: Account, stored: str, except_session: Session | None = None) -> None:
        """Note the settings that the store has, and send them to the sessions of the account on this node."""
        account.settings = stored
        settings = decode_settings(stored)
        for session in self._router.sessions(account.key):
            if session is not except_session and session.account is not None:
                session.outbox.offer(SettingsUpdate(settings))

    def _changed(self, stored: str, change: SettingsChange) -> str:
        return encode_settings(change_settings(decode_settings(stored), change, self._clock()))
