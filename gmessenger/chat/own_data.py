"""What a person may do with their own data: take all of it along, or have all of it erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger.chat.archive import with_of
from gmessenger.chat.blocks import Blocks
from gmessenger.chat.contract import Account, Placed, Store
from gmessenger.chat.delivery import entry
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.entrance import Entrance
from gmessenger.chat.model import Answer
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.session import Session
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
        passwords: Passwords,
        dismissal: Dismissal,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._entrance = entrance
        self._rooms = rooms
        self._blocks = blocks
        self._passwords = passwords
        self._dismissal = dismissal
        self._clock = clock

    def export(self, session: Session, id: str | None, after: int) -> None:
        """Answer with a page of all that the account may read, oldest first; `after` is where the next one begins."""
        account = _account(session)
        found = self._store.everything(after, PAGE + 1, account.id)
        page = [_placed(session, each) for each in found[:PAGE]]
        end = page[-1]["place"] if page else after
        more = {"messages": page, "more": len(found) > PAGE, "after": end}
        session.outbox.insist(Answer(200, id, self._clock(), more))

    def forget(self, session: Session, id: str | None, password: str) -> None:
        """Erase what the account said and the account itself; answers 200 when it is done, and ends its sessions.

        Raises `AccountsOnly`, `WrongPassword`, or `StoreUnavailable`: then it may be half done, and can be asked again.
        """
        account = _account(session)
        if not self._passwords.matches(self._store.password(account.id), password):
            raise WrongPassword
        account.disabled = True  # nobody comes in while it is being erased
        self._dismissal.everybody(account.key, AccountDeleted(), but=session)
        self._entrance.remove(account)
        try:
            self._erase(account)
        except MessengerError:
            account.disabled = False
            self._entrance.add(account)
            raise
        session.outbox.insist(Answer(200, id, self._clock()))
        self._dismissal.one(session, AccountDeleted())

    def _erase(self, account: Account) -> None:
        self._store.flush()  # what was said a moment ago, too
        self._store.forget(account.id)
        self._store.delete_account(account.id)
        self._rooms.forget_account(account)
        self._blocks.forget(account.key)


def _placed(session: Session, each: Placed) -> dict[str, Any]:
    message = each.message
    return entry(message, **{"with": with_of(session, message.conversation, message), "place": each.place})


def _account(session: Session) -> Account:
    if session.account is None:
        raise AccountsOnly
    return session.account
