"""What a person may do with their own data: take all of it along, or have all of it erased."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gmessenger import log
from gmessenger.chat.auth import Authenticator, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import history_entry
from gmessenger.chat.history import target_of
from gmessenger.chat.outbox import Response
from gmessenger.chat.peers import Peers
from gmessenger.chat.records import Account, ExportedMessage
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import AccountDeleted, AccountsOnly, MessengerError, WrongPassword

EXPORT_PAGE: Final = 500


class AccountData:
    """For accounts only: of a guest nothing is kept that only the guest could ask for."""

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        rooms: RoomRegistry,
        blocks: BlockList,
        login_throttle: LoginThrottle,
        session_closer: SessionCloser,
        peers: Peers,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._rooms = rooms
        self._blocks = blocks
        self._login_throttle = login_throttle
        self._session_closer = session_closer
        self._peers = peers
        self._clock = clock

    def export(self, session: Session, id: str | None, after: int) -> None:
        """Answer with a page of all that the account may read, oldest first; `after` is where the next one begins."""
        account = _require_account(session)
        found, further = self._store.export_page(max(0, after), EXPORT_PAGE, account.id)
        page = [_export_entry(session, each) for each in found]
        end = page[-1]["place"] if page else after
        session.outbox.push(Response(200, id, self._clock(), {"messages": page, "more": further, "after": end}))

    def erase(self, session: Session, password: str) -> None:
        """Erase what the account said and itself, also from the store's files, and end its sessions but this one.

        Raises `AccountsOnly`, `WrongPassword`, or `StoreUnavailable`: then it may be half done, and can be asked again.
        Where there are other servers, which let nobody in meanwhile, either, it may then stay disabled.
        """
        account = _require_account(session)
        if account.id not in self._authenticator.accounts_by_id:  # asked again, when all but the files was done
            return self._store.purge()
        if not self._login_throttle.verify(
            account.key, session.address, self._store.password_hash(account.id), password
        ):
            raise WrongPassword
        account.disabled = True  # nobody comes in while it is being erased, also not as a guest
        self._session_closer.close_all(account.key, AccountDeleted(), except_session=session)
        try:
            there_are_others = self._erase_account(account)
        except BaseException:  # whatever it was: it may be asked for again, and the owner come in
            with suppress(MessengerError):
                self._peers.lock_account(account.id, locked=False)
                account.disabled = False
            raise
        log.log_event("forgotten", name=account.name, address=session.address)
        self._authenticator.remove_account(account)
        self._rooms.remove_account(account)
        self._blocks.discard(account.key)
        if there_are_others:
            with suppress(MessengerError):  # there is nobody any more who could ask again
                self._erase_texts(account)
        self._store.purge()
        return None

    def _erase_account(self, account: Account) -> bool:
        """Whether other servers may have kept something of the account until they heard of this."""
        there_are_others = self._peers.lock_account(account.id)
        self._erase_texts(account)
        self._store.purge()  # before the account goes, by whose password it can be asked for again
        self._store.delete_account(account.id)
        return there_are_others

    def _erase_texts(self, account: Account) -> None:
        """Until nothing is found: what was on its way to the disk when this began may have arrived meanwhile."""
        self._store.flush()
        while self._store.erase_messages(account.id):
            self._store.flush()


def _export_entry(session: Session, each: ExportedMessage) -> dict[str, Any]:
    message = each.message
    return history_entry(message, **{"with": target_of(session, message.conversation, message), "place": each.position})


def _require_account(session: Session) -> Account:
    if session.account is None:
        raise AccountsOnly
    return session.account
