"""What a client has negotiated, as bits: those that change what a line looks like are the key of its cached forms."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag
from typing import Final


class Capability(IntFlag):
    """The capabilities that change what a client is sent. Their names are in `FLAGS`."""

    NONE = 0
    SERVER_TIME = 1 << 0
    MESSAGE_TAGS = 1 << 1
    ACCOUNT_TAG = 1 << 2
    BATCH = 1 << 3
    MULTILINE = 1 << 4
    REDACTION = 1 << 5
    ECHO_MESSAGE = 1 << 6
    LABELED_RESPONSE = 1 << 7
    STANDARD_REPLIES = 1 << 8
    MULTI_PREFIX = 1 << 9
    USERHOST_IN_NAMES = 1 << 10
    EXTENDED_JOIN = 1 << 11
    ACCOUNT_NOTIFY = 1 << 12
    AWAY_NOTIFY = 1 << 13
    INVITE_NOTIFY = 1 << 14
    SETNAME = 1 << 15
    CHATHISTORY = 1 << 16
    READ_MARKER = 1 << 17
    EXTENDED_MONITOR = 1 << 18
    NO_IMPLICIT_NAMES = 1 << 19
    PRE_AWAY = 1 << 20
    CAP_NOTIFY = 1 << 21
    CHGHOST = 1 << 22
    SASL = 1 << 23
    ACCOUNT_REGISTRATION = 1 << 24
    SEARCH = 1 << 25
    SELF_MESSAGE = 1 << 26
    METADATA = 1 << 27


FLAGS: Final[dict[str, Capability]] = {
    "account-notify": Capability.ACCOUNT_NOTIFY,
    "account-tag": Capability.ACCOUNT_TAG,
    "away-notify": Capability.AWAY_NOTIFY,
    "batch": Capability.BATCH,
    "cap-notify": Capability.CAP_NOTIFY,
    "chghost": Capability.CHGHOST,
    "draft/account-registration": Capability.ACCOUNT_REGISTRATION,
    "draft/chathistory": Capability.CHATHISTORY,
    "draft/message-redaction": Capability.REDACTION,
    "draft/metadata-3": Capability.METADATA,
    "draft/multiline": Capability.MULTILINE,
    "draft/pre-away": Capability.PRE_AWAY,
    "draft/read-marker": Capability.READ_MARKER,
    "echo-message": Capability.ECHO_MESSAGE,
    "extended-join": Capability.EXTENDED_JOIN,
    "extended-monitor": Capability.EXTENDED_MONITOR,
    "invite-notify": Capability.INVITE_NOTIFY,
    "labeled-response": Capability.LABELED_RESPONSE,
    "message-tags": Capability.MESSAGE_TAGS,
    "multi-prefix": Capability.MULTI_PREFIX,
    "no-implicit-names": Capability.NO_IMPLICIT_NAMES,
    "sasl": Capability.SASL,
    "server-time": Capability.SERVER_TIME,
    "setname": Capability.SETNAME,
    "soju.im/search": Capability.SEARCH,
    "standard-replies": Capability.STANDARD_REPLIES,
    "userhost-in-names": Capability.USERHOST_IN_NAMES,
    "znc.in/self-message": Capability.SELF_MESSAGE,
}
"""The bits of the capabilities, by their names on the wire."""
MESSAGE_FORM: Final = (
    Capability.SERVER_TIME | Capability.MESSAGE_TAGS | Capability.ACCOUNT_TAG | Capability.MULTILINE | Capability.BATCH
)
"""The capabilities that change how a message is written."""


def flags_of(names: Iterable[str]) -> Capability:
    """Return the bits of capabilities by their names."""
    found = Capability.NONE
    for name in names:
        found |= FLAGS[name]
    return found


def names_of(flags: Capability) -> list[str]:
    """Return the names of capabilities."""
    return [name for name, flag in FLAGS.items() if flag in flags]
