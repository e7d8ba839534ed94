"""A session: one live connection that has logged in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, Literal

from gevent.event import Event

from gmessenger.chat.outbox import ONLINE, Outbox
from gmessenger.chat.ratelimit import SenderBuckets
from gmessenger.chat.records import Account, Device
from gmessenger.names import MAX_NAME, fold

MAX_CONTACTS: Final = 200


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
        "_progress",
        "accepts_push",
        "account",
        "ack_pending",
        "acknowledged",
        "address",
        "buckets",
        "catching_up",
        "delivered",
        "device",
        "dirty",
        "key",
        "name",
        "network_buckets",
        "outbox",
        "pending_characters",
        "protocol",
        "status",
        "status_since",
        "token",
    )

    def __init__(self, name: str, outbox: Outbox, *, protocol: str, accepts_push: bool, address: str) -> None:
        self.name = name
        self.key = fold(name)
        self.outbox = outbox
        outbox.name = name
        self.protocol = protocol
        self.accepts_push = accepts_push
        self.address = address
        self.account: Account | None = None
        self.device: Device | None = None
        self.delivered: dict[str, int] = {}
        self.acknowledged: dict[str, int] = {}
        self.catching_up = False
        self.dirty = False
        self.ack_pending = False
        self.pending_characters = 0
        self.buckets = SenderBuckets()
        self.network_buckets: Sequence[tuple[SenderBuckets, int]] = ()
        self.status_since = 0.0
        self._progress: Event | None = None
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

    def bind_account(self, account: Account) -> None:
        """The session is this account's; nothing is sent to it live until it has caught up with its device."""
        self.account = account
        self.catching_up = self.dirty = True

    def bind_device(self, device: Device) -> None:
        """The session is on this device, which has acknowledged up to its cursors."""
        self.device = device
        self.delivered = {key: max(seq, self.delivered.get(key, 0)) for key, seq in device.cursors.items()}
        self.acknowledged = dict(device.cursors)

    def release_pending(self, size: int) -> None:
        """So much less is on its way to the disk."""
        self.pending_characters -= size
        if self._progress is not None:
            self._progress.set()

    def wait_for_store(self, max_pending: int, timeout: float) -> bool:
        """Wait until no more than `most` is on its way to the disk; False after `timeout` seconds without progress."""
        while self.pending_characters > max_pending:
            self._progress = Event()
            if not self._progress.wait(timeout):
                return False
        self._progress = None
        return True

    def add_contact(self, name: str) -> None:
        """Remember a contact for as long as the session lasts; beyond the bound the oldest is forgotten."""
        if len(name) <= MAX_NAME:
            self.remove_contact(name)
            self._contacts[fold(name)] = name
            if len(self._contacts) > MAX_CONTACTS:
                del self._contacts[next(iter(self._contacts))]

    def remove_contact(self, name: str) -> None:
        self._contacts.pop(fold(name), None)
