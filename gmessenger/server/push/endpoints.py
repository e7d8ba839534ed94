"""Where push messages may be sent: URLs of hosts that the operator lists, at addresses of the public Internet.

Every account may choose an endpoint, so nothing of it may lead the server into the operator's own network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from gmessenger.errors import BadSubscription
from gmessenger.hosts import is_host_name

HTTPS_PORT: Final = 443
ALLOWED_TEXT: Final = re.compile(r"https://[A-Za-z0-9.-]+(:443)?/[!-~]*")
"""No user, no other port, no address in brackets, and nothing that one program reads otherwise than another."""
FORBIDDEN_CHARACTERS: Final = frozenset('\\#"<>')
TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""Addresses that a gateway translates to the IPv4 address in their last four bytes (RFC 6052)."""


class Endpoint(Struct, frozen=True):
    """The host and the target of a push endpoint."""

    host: str
    target: str

    @property
    def origin(self) -> str:
        """What a push service knows itself by."""
        return f"https://{self.host}"


def parse_endpoint(url: str, hosts: Iterable[str]) -> Endpoint:
    """Return the parts of an endpoint whose host is one of `hosts`, or below one.

    Raises `BadSubscription` for any other.
    """
    if ALLOWED_TEXT.fullmatch(url) is None or FORBIDDEN_CHARACTERS & set(url):
        raise BadSubscription("The endpoint of a push subscription is an https URL without a port.")
    parts = urlsplit(url)
    host = parts.netloc.partition(":")[0].lower()
    is_listed = any(host == allowed or host.endswith(f".{allowed}") for allowed in hosts)
    if not is_listed or not is_host_name(host):
        raise BadSubscription("This server does not send to that push service; see its option --push-hosts.")
    return Endpoint(host, f"{parts.path}?{parts.query}" if parts.query else parts.path)


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public Internet, and so is any that it contains."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False  # with a zone, for example
    return all(each.is_global and not each.is_multicast for each in _contained(parsed))


def _contained(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return an address, and the IPv4 addresses that it leads to by translation or a tunnel."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner: list[IPv4Address | None] = [address.sixtofour, *(address.teredo or ())]
    if address in TRANSLATED:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(each for each in inner if each is not None)]
