"""Which devices may be sent a push message: those with a subscription."""

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
    `is_connected`: this device is, so it has to be told only if it does not acknowledge the message.
    """

    account: Account
    device: int
    conversation: str
    shown: str
    seq: int
    is_online: bool
    is_connected: bool


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
                self._push_to_devices(account, shown, each)

    def _push_to_devices(self, account: Account, shown: str, committed: CommittedMessage) -> None:
        connected, conversation = self._connected_devices(account.key), committed.message.conversation
        for device in self._subscriptions.devices(account):
            is_online, is_connected = bool(connected - {device}), device in connected
            self._push(DevicePush(account, device, conversation, shown, committed.seq, is_online, is_connected))
