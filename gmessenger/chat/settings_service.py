"""Settings that an account keeps on the server for all its devices."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.account_settings import (
    AccountSettings,
    SettingsChange,
    change_settings,
    decode_settings,
    encode_settings,
)
from gmessenger.chat.outbox import SettingsUpdate
from gmessenger.chat.results import SettingsResult
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store


class SettingsService:
    """Reads and changes the settings of accounts. They are not kept in memory.

    Blocks on the store. Raises `AccountsOnly` for a guest.
    """

    def __init__(self, store: Store, router: Router, clock: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        self._clock = clock

    def settings(self, session: Session, change: SettingsChange | None) -> SettingsResult:
        """Change the settings of the session's account, or only return them. Raises as `change_settings`.

        The account's other sessions are sent the new ones.
        """
        account = session.require_account()
        if change is None:
            return SettingsResult(decode_settings(self._store.settings(account.id)))
        stored = self._store.change_settings(account.id, lambda text: self._changed(text, change))
        settings = decode_settings(stored)
        self.notify(account.key, settings, except_session=session)
        return SettingsResult(settings)

    def notify(self, key: str, settings: AccountSettings, except_session: Session | None = None) -> None:
        """Send the new settings to the sessions of an account on this node."""
        for session in self._router.sessions(key):
            if session is not except_session and session.account is not None:
                session.outbox.offer(SettingsUpdate(settings))

    def _changed(self, stored: str, change: SettingsChange) -> str:
        return encode_settings(change_settings(decode_settings(stored), change, self._clock()))
