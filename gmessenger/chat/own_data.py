"""What a person may do with their own data: take all of it along, or have all of it erased."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gmessenger import logs
from gmessenger.chat.archive import with_of
from gmessenger.chat.blocks import Blocks
from gmessenger.chat.contract import Store
from gmessenger.chat.delivery import entry
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.elsewhere import Elsewhere
from gmessenger.chat.entrance import Entrance
from gmessenger.chat.model import Answer
from gmessenger.chat.records import Account, Placed
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.session import Session
from gmessenger.chat.trials import Trials
from gmessenger.errors import AccountDeleted, AccountsOnly, MessengerError, WrongPassword

PAGE: Final = 500


class OwnData:
    """For accounts only: of a guest nothing is kept that only the guest could ask for."""

    def __init__(
        self,
        store: Store,
        entrance: Entrance,
        rooms: Rooms,
        blocks: Blocks,
        trials: Trials,
        dismissal: Dismissal,
        elsewhere: Elsewhere,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._entrance = entrance
        self._rooms = rooms
        self._blocks = blocks
        self._trials = trials
        self._dismissal = dismissal
        self._elsewhere = elsewhere
        self._clock = clock

    def export(self, session: Session, id: str | None, after: int) -> None:
        """Answer with a page of all that the account may read, oldest first; `after` is where the next one begins."""
        account = _account(session)
        found, further = self._store.everything(max(0, after), PAGE, account.id)
        page = [_placed(session, each) for each in found]
        end = page[-1]["place"] if page else after
        session.outbox.insist(Answer(200, id, self._clock(), {"messages": page, "more": further, "after": end}))

    def forget(self, session: Session, password: str) -> None:
        """Erase what the account said and itself, also from the store's files, and end its sessions but this one.

        Raises `AccountsOnly`, `WrongPassword`, or `StoreUnavailable`: then it may be half done, and can be asked again.
        Where there are other servers, which let nobody in meanwhile, either, it may then stay disabled.
        """
        account = _account(session)
        if account.id not in self._entrance.by_id:  # asked again, when all but the files was done
            return self._store.purge()
        if not self._trials.matches(account.key, session.address, self._store.password(account.id), password):
            raise WrongPassword
        account.disabled = True  # nobody comes in while it is being erased, also not as a guest
        self._dismissal.everybody(account.key, AccountDeleted(), but=session)
        try:
            there_are_others = self._erase(account)
        except BaseException:  # whatever it was: it may be asked for again, and the owner come in
            with suppress(MessengerError):
                self._elsewhere.shut_out(account.id, out=False)
                account.disabled = False
            raise
        logs.event("forgotten", name=account.name, address=session.address)
        self._entrance.remove(account)
        self._rooms.forget_account(account)
        self._blocks.forget(account.key)
        if there_are_others:
            with suppress(MessengerError):  # there is nobody any more who could ask again
                self._erase_texts(account)
        self._store.purge()
        return None

    def _erase(self, account: Account) -> bool:
        """Whether other servers may have kept something of the account until they heard of this."""
        there_are_others = self._elsewhere.shut_out(account.id)
        self._erase_texts(account)
        self._store.purge()  # before the account goes, by whose password it can be asked for again
        self._store.delete_account(account.id)
        return there_are_others

    def _erase_texts(self, account: Account) -> None:
        """Until nothing is found: what was on its way to the disk when this began may have arrived meanwhile."""
        self._store.flush()
        while self._store.forget(account.id):
            self._store.flush()


def _placed(session: Session, each: Placed) -> dict[str, Any]:
    message = each.message
    return entry(message, **{"with": with_of(session, message.conversation, message), "place": each.place})


def _account(session: Session) -> Account:
    if session.account is None:
        raise AccountsOnly
    return session.account
