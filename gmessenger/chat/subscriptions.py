"""Push subscriptions: which devices can be reached by push messages while they are not connected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from gmessenger.chat.records import Account, PushSubscription
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, PushRefused

CheckSubscription: TypeAlias = Callable[[PushSubscription], None]
"""Raises `BadSubscription` where push messages cannot, or must not, be sent there."""


class SubscriptionService:
    """Keeps one push subscription for each device of an account. Without `open`, requests are refused.

    In memory is which devices have one; where it is, and the keys, is read when a message is sent. What is in memory
    may be behind the store, which decides.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._check: CheckSubscription | None = None
        self._devices: dict[int, set[int]] = {}
        self.public_key = ""
        """The key, in base64url, by which browsers let only this server send to a subscription; empty: no push."""

    def open(self, public_key: str, check: CheckSubscription) -> None:
        """Begin to take subscriptions, and read those that are stored. Called once, before there are sessions."""
        self.public_key = public_key
        self._check = check
        self.load_all()

    def __len__(self) -> int:
        """The number of devices with a subscription."""
        return sum(map(len, self._devices.values()))

    def has_any(self, account: Account) -> bool:
        """Return whether a device of an account has a subscription."""
        return account.id in self._devices

    def devices(self, account: Account) -> Iterable[int]:
        """Return the ids of the devices of an account with a subscription."""
        return tuple(self._devices.get(account.id, ()))

    def subscribe(self, session: Session, endpoint: str | None, p256dh: str | None, auth: str | None) -> None:
        """Keep a subscription for the session's device; without any of the three, forget it. Blocks on the store.

        Raises `AccountsOnly`, `PushRefused`, `BadRequest`, `BadSubscription` or `NoSuchDevice`.
        """
        account = session.require_account()
        device = session.device_id
        if self._check is None or device is None:
            raise PushRefused
        if endpoint is None:
            if p256dh is not None or auth is not None:
                raise BadRequest("Give endpoint, p256dh and auth, or none of them.")
            self.drop(account.id, device)
            return
        if p256dh is None or auth is None:
            raise BadRequest("Give endpoint, p256dh and auth, or none of them.")
        subscription = PushSubscription(endpoint, p256dh, auth)
        self._check(subscription)
        if self._store.find_push_subscription(device) != subscription:
            self._store.set_push_subscription(account.id, device, subscription)
        self._add([(account.id, device)])

    def drop(self, account: int, device: int, endpoint: str | None = None) -> None:
        """Forget the subscription of a device; with `endpoint`, only if it has that one. Blocks on the store."""
        self._store.drop_push_subscription(account, device, endpoint)
        self.load(account, self._store.push_devices(account))

    def discard(self, account: int, device: int) -> None:
        """Forget that a device has a subscription: the store has none."""
        devices = self._devices.get(account, set())
        devices.discard(device)
        if not devices:
            self._devices.pop(account, None)

    def load(self, account: int, rows: Iterable[tuple[int, int]]) -> None:
        """Take over which devices of an account have a subscription, as rows of account and device."""
        self._devices.pop(account, None)
        self._add(rows)

    def load_all(self) -> None:
        """Read from the store which devices have a subscription, if any are taken. Blocks."""
        if self._check is None:
            return
        rows = self._store.push_devices()
        self._devices.clear()
        self._add(rows)

    def _add(self, rows: Iterable[tuple[int, int]]) -> None:
        for account, device in rows:
            self._devices.setdefault(account, set()).add(device)
