"""Capabilities: what a client may switch on by CAP (IRCv3, "Capability Negotiation"), and the lists of its commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gmessenger.profiles import MAX_PROFILE_KEYS, MAX_PROFILE_VALUE
from gmessenger.wire.irc.text import pack_words

VALUES_VERSION: Final = 302
"""The version of CAP LS from which values are listed, in several lines, and `cap-notify` is on."""
MAX_VERSION_DIGITS: Final = 9
MAX_MULTILINE_BYTES: Final = 16_384
"""Bytes of the text of a batch of several lines."""
MAX_MULTILINE_LINES: Final = 100
MAX_SUBSCRIPTIONS: Final = 50
"""Keys of profiles of whose changes one client may be told."""


class CapabilityEntry(Struct, frozen=True):
    """A capability that the server has. `value`: what CAP LS 302 lists with it. `implies`: what works once it is on.

    `secret`: it is for passwords, and listed only where the connection may carry them.
    """

    name: str
    value: str = ""
    implies: frozenset[str] = frozenset()
    secret: bool = False

    @property
    def listed(self) -> str:
        """The entry of it for a client that reads values."""
        return f"{self.name}={self.value}" if self.value else self.name


CAPABILITIES: Final = {
    capability.name: capability
    for capability in (
        CapabilityEntry("account-notify"),
        CapabilityEntry("account-tag"),
        CapabilityEntry("away-notify"),
        CapabilityEntry("batch"),
        CapabilityEntry("cap-notify"),
        CapabilityEntry("chghost"),
        CapabilityEntry("draft/account-registration"),
        CapabilityEntry("draft/chathistory"),
        CapabilityEntry("draft/message-redaction", implies=frozenset({"message-tags"})),
        CapabilityEntry(
            "draft/metadata-3",
            f"before-connect,max-subs={MAX_SUBSCRIPTIONS},max-keys={MAX_PROFILE_KEYS},"
            f"max-value-bytes={MAX_PROFILE_VALUE}",
            frozenset({"batch", "standard-replies"}),
        ),
        CapabilityEntry(
            "draft/multiline",
            f"max-bytes={MAX_MULTILINE_BYTES},max-lines={MAX_MULTILINE_LINES}",
            frozenset({"batch", "message-tags", "standard-replies"}),
        ),
        CapabilityEntry("draft/pre-away"),
        CapabilityEntry("draft/read-marker"),
        CapabilityEntry("echo-message"),
        CapabilityEntry("extended-join"),
        CapabilityEntry("extended-monitor"),
        CapabilityEntry("invite-notify"),
        CapabilityEntry("labeled-response", implies=frozenset({"batch"})),
        CapabilityEntry("message-tags"),
        CapabilityEntry("multi-prefix"),
        CapabilityEntry("no-implicit-names"),
        CapabilityEntry("sasl", "PLAIN", secret=True),
        CapabilityEntry("server-time"),
        CapabilityEntry("setname"),
        CapabilityEntry("soju.im/search", implies=frozenset({"batch"})),
        CapabilityEntry("standard-replies"),
        CapabilityEntry("userhost-in-names"),
        CapabilityEntry("znc.in/self-message"),
    )
}
"""All capabilities, by name, in the order of their listing."""


def add_implied(names: Iterable[str]) -> frozenset[str]:
    """Return the names of capabilities and of what they imply."""
    wanted = frozenset(names)
    return wanted.union(*(CAPABILITIES[name].implies for name in wanted if name in CAPABILITIES))


def format_cap_list(names: Iterable[str], room: int) -> list[str]:
    """Return the last parameters of CAP LS, LIST, ACK or NEW: the names in as few lines of `room` bytes as they need.

    There is at least one line, which may be empty. A name that is longer than `room` has a line of its own.
    """
    return list(pack_words(names, room)) or [""]


def parse_cap_request(text: str) -> list[tuple[str, bool]]:
    """Return the names in the last parameter of CAP REQ, in their order, and whether each is to be switched on."""
    words = (word for word in text.split(" ") if word.strip("-"))
    return [(word.removeprefix("-"), not word.startswith("-")) for word in words]


def parse_cap_version(text: str) -> int:
    """Return the version in CAP LS; 0 where it is not a number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_VERSION_DIGITS else 0
