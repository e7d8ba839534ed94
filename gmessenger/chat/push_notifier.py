"""Which devices are sent a push message: those with a subscription that are not connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from gmessenger.chat.attention import AttentionPolicy
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.records import Account
from gmessenger.chat.subscriptions import SubscriptionService


class DevicePush(Struct, frozen=True):
    """That a device is to be told of a message.

    `conversation`: its key; `shown`: its name as the account sees it. `is_online`: the account is connected elsewhere.
    """

    account: Account
    device: int
    conversation: str
    shown: str
    seq: int
    is_online: bool


class PushNotifier:
    """Finds the devices to tell of committed messages that call for their account. Never blocks.

    `connected_devices` returns the ids of the devices with which a folded name is connected, to any node. `push` is
    called for each device.
    """

    def __init__(
        self,
        attention: AttentionPolicy,
        subscriptions: SubscriptionService,
        connected_devices: Callable[[str], set[int]],
        push: Callable[[DevicePush], None],
    ) -> None:
        self._attention = attention
        self._subscriptions = subscriptions
        self._connected_devices = connected_devices
        self._push = push

    def on_committed(self, committed: Sequence[CommittedMessage]) -> None:
        """Have devices told of messages of one conversation that this node has committed."""
        for each in committed:
            for account, shown in self._attention.find(each, self._subscriptions.has_any):
                self._push_to_absent(account, shown, each)

    def _push_to_absent(self, account: Account, shown: str, committed: CommittedMessage) -> None:
        connected = self._connected_devices(account.key)
        for device in self._subscriptions.devices(account):
            if device not in connected:
                conversation = committed.message.conversation
                self._push(DevicePush(account, device, conversation, shown, committed.seq, bool(connected)))
