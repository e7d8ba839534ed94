"""A session: one live connection that has logged in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, Literal

from gevent.event import Event

from gmessenger.chat.limits import Pace
from gmessenger.chat.model import ONLINE
from gmessenger.chat.names import LONGEST_NAME, fold
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.records import Account, Device

MOST_CONTACTS: Final = 200


class Session:
    """One connection that has logged in under `name`; `key` is the name folded.

    `front` names the door it came through. `told` is whether it may be told of what it did not ask for; a session that
    may not be is a course client's. An account's session has a `device`, and knows by conversation up to where it has
    been sent what is kept (`sent`) and has been acknowledged (`acked`). While it is `behind` it is sent nothing live
    but catches up from the store; `missed` tells that something came meanwhile. It is `owing` while what it has
    acknowledged may not be on disk; `unsettled` is how much of what it said is on its way there, in characters.
    `pace` is what its name has left to say, `shares` what a guest's network has, `since` when it came, or said last how
    it is.
    """

    __slots__ = (
        "_contacts",
        "_settled",
        "account",
        "acked",
        "address",
        "behind",
        "device",
        "front",
        "key",
        "missed",
        "name",
        "outbox",
        "owing",
        "pace",
        "sent",
        "shares",
        "since",
        "status",
        "token",
        "told",
        "unsettled",
    )

    def __init__(self, name: str, outbox: Outbox, *, front: str, told: bool, address: str) -> None:
        self.name = name
        self.key = fold(name)
        self.outbox = outbox
        outbox.name = name
        self.front = front
        self.told = told
        self.address = address
        self.account: Account | None = None
        self.device: Device | None = None
        self.sent: dict[str, int] = {}
        self.acked: dict[str, int] = {}
        self.behind = False
        self.missed = False
        self.owing = False
        self.unsettled = 0
        self.pace = Pace()
        self.shares: Sequence[tuple[Pace, int]] = ()
        self.since = 0.0
        self._settled: Event | None = None
        self.token = secrets.token_urlsafe(24)
        self.status = ONLINE
        self._contacts: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Session {self.name} {self.address}>"

    @property
    def kind(self) -> Literal["guest", "account"]:
        return "guest" if self.account is None else "account"

    @property
    def role(self) -> str:
        """Empty, or `operator`."""
        return self.account.role if self.account is not None else ""

    @property
    def contacts(self) -> list[str]:
        return list(self._contacts.values())

    def become(self, account: Account) -> None:
        """The session is this account's; nothing is sent to it live until it has caught up with its device."""
        self.account = account
        self.behind = self.missed = True

    def use(self, device: Device) -> None:
        """The session is on this device, which has acknowledged up to its cursors."""
        self.device = device
        self.sent = {key: max(seq, self.sent.get(key, 0)) for key, seq in device.cursors.items()}
        self.acked = dict(device.cursors)

    def settled(self, weight: int) -> None:
        """So much less is on its way to the disk."""
        self.unsettled -= weight
        if self._settled is not None:
            self._settled.set()

    def until_settled(self, most: int, timeout: float) -> bool:
        """Wait until no more than `most` is on its way to the disk; False after `timeout` seconds without progress."""
        while self.unsettled > most:
            self._settled = Event()
            if not self._settled.wait(timeout):
                return False
        self._settled = None
        return True

    def add_contact(self, name: str) -> None:
        """Remember a contact for as long as the session lasts; beyond the bound the oldest is forgotten."""
        if len(name) <= LONGEST_NAME:
            self.remove_contact(name)
            self._contacts[fold(name)] = name
            if len(self._contacts) > MOST_CONTACTS:
                del self._contacts[next(iter(self._contacts))]

    def remove_contact(self, name: str) -> None:
        self._contacts.pop(fold(name), None)
