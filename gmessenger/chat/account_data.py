"""Export and erasure of an account's stored data, on its owner's request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from gmessenger import log
from gmessenger.chat.auth import Authenticator, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.history import target_of
from gmessenger.chat.hooks import HookService
from gmessenger.chat.peers import Peers
from gmessenger.chat.recent_changes import RecentChanges
from gmessenger.chat.records import Account, ExportedMessage
from gmessenger.chat.results import AnyMessageEntry, ExportPage, message_entry
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import AccountDeleted, MessengerError, WrongPassword

EXPORT_PAGE: Final = 500


class AccountData:
    """Exports and erases accounts. Guests have no data of their own in the store."""

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        rooms: RoomRegistry,
        blocks: BlockList,
        login_throttle: LoginThrottle,
        session_closer: SessionCloser,
        peers: Peers,
        changes: RecentChanges,
        hooks: HookService,
    ) -> None:
        self._store = store
        self._changes = changes
        self._authenticator = authenticator
        self._rooms = rooms
        self._blocks = blocks
        self._login_throttle = login_throttle
        self._session_closer = session_closer
        self._peers = peers
        self._hooks = hooks

    def export(self, session: Session, after: int) -> ExportPage:
        """Return a page of all that the account may read, oldest first, from the position `after` on.

        Blocks on the store. Raises `AccountsOnly`.
        """
        account = session.require_account()
        rows, more = self._changes.read(
            lambda: self._store.export_page(max(0, after), EXPORT_PAGE, account.id),
            lambda page: [row.message for row in page[0]],
        )
        return ExportPage([_export_entry(session, row) for row in rows], more, rows[-1].position if rows else after)

    def erase(self, session: Session, password: str) -> None:
        """Erase the account and the texts it sent, also from the store's files, and close its other sessions.

        Blocks on the store. Raises `AccountsOnly`, `WrongPassword`, or `StoreUnavailable`: then it may be half done and
        can be requested again; in a cluster the account may stay disabled until then.
        """
        account = session.require_account()
        if account.id not in self._authenticator.accounts_by_id:  # a second request: all but the files was done
            return self._store.purge()
        if not self._login_throttle.verify(
            account.key, session.address, self._store.password_hash(account.id), password
        ):
            raise WrongPassword
        account.disabled = True  # no login while it is being erased, not even as a guest
        self._session_closer.close_all(account.key, AccountDeleted(), except_session=session)
        try:
            has_peers, new_owners = self._erase_account(account)
        except BaseException:  # any error: the owner may log in and request it again
            with suppress(MessengerError):
                self._peers.lock_account(account.id, locked=False)
                account.disabled = False
            raise
        log.log_event("forgotten", name=account.name, address=session.address)
        self._authenticator.remove_account(account)
        self._rooms.remove_account(account, new_owners)
        self._blocks.discard(account.key)
        if has_peers:
            with suppress(MessengerError):  # no client is left to repeat the request
                self._erase_texts(account)
        self._store.purge()
        return None

    def _erase_account(self, account: Account) -> tuple[bool, Mapping[str, int]]:
        """Erase texts and account.

        Returns whether other nodes may have stored something of it meanwhile, and the new owners of its rooms, by key.
        """
        has_peers = self._peers.lock_account(account.id)
        self._hooks.revoke_made_by(account)
        self._erase_texts(account)
        self._store.purge()  # before the account goes: its password is needed to request it again
        return has_peers, self._store.delete_account(account.id)

    def _erase_texts(self, account: Account) -> None:
        """Erase until nothing is left: what was queued when this began may have been committed meanwhile."""
        self._store.flush()
        while self._store.erase_messages(account.id):
            self._store.flush()


def _export_entry(session: Session, row: ExportedMessage) -> AnyMessageEntry:
    message = row.message
    return message_entry(message, target=target_of(session, message.conversation, message), position=row.position)
