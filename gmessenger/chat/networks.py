"""Networks: which addresses somebody means, and in which of many networks an address lies, found in a few looks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, TypeAlias

from gmessenger.errors import BadRequest

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Key: TypeAlias = tuple[int, int, int]
HOUSEHOLD: Final = 64
"""The part of an IPv6 address that its owner does not choose: who has one address has all that begin like it."""
MAPPED: Final = 96
"""The part of an IPv6 address that says that it is an IPv4 address."""


def network_of(text: str) -> Network:
    """What an address or a network in CIDR notation means; an IPv6 address means its /64.

    Raises `BadRequest` for what is neither.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"{text!r} is neither an IP address nor a network like 203.0.113.0/24.") from None
    if isinstance(network, ipaddress.IPv4Network):
        return network
    if network.prefixlen >= MAPPED and (mapped := network.network_address.ipv4_mapped) is not None:
        return ipaddress.IPv4Network((mapped, network.prefixlen - MAPPED))
    if "/" in text or network.is_loopback:
        return network
    return network.supernet(new_prefix=HOUSEHOLD)


def is_no_name(text: str) -> bool:
    """Whether this can only be an address or a network: names have neither `:` nor `/`, but may be `203.0.113.7`."""
    return ":" in text or "/" in text


def looks_like_address(text: str) -> bool:
    """Whether this reads as an address, though it may be a name."""
    try:
        network_of(text)
    except BadRequest:
        return False
    return True


def holds_loopback(network: Network) -> bool:
    """Whether this machine itself is among the addresses."""
    loopback = "127.0.0.0/8" if network.version == 4 else "::1"
    return network.overlaps(ipaddress.ip_network(loopback))


def is_one_address(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


class Networks:
    """A set of networks. Looking up takes one look for each length of prefix among them, however many they are."""

    def __init__(self) -> None:
        self._networks: dict[Key, str] = {}
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def add(self, text: str) -> None:
        """Put a network in, by its usual spelling."""
        network = ipaddress.ip_network(text)
        self._networks[_key(network.network_address, network.prefixlen)] = text
        self._lengths[network.version].add(network.prefixlen)

    def discard(self, text: str) -> None:
        """Take a network out."""
        network = ipaddress.ip_network(text)
        self._networks.pop(_key(network.network_address, network.prefixlen), None)
        self._lengths[network.version] = {length for version, length, _ in self._networks if version == network.version}

    def around(self, address: str) -> Iterator[str]:
        """The networks that an `address:port` lies in, the narrowest first."""
        if self._networks and (host := _host(address)) is not None:
            for length in sorted(self._lengths[host.version], reverse=True):
                if (found := self._networks.get(_key(host, length))) is not None:
                    yield found


def _key(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> Key:
    return address.version, length, int(address) >> (address.max_prefixlen - length)


def _host(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        host = ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:  # not everybody comes from the internet
        return None
    return host.ipv4_mapped or host if isinstance(host, ipaddress.IPv6Address) else host
