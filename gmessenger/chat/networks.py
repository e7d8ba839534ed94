"""IP networks: parsing what an operator types, and finding the networks of a set that contain an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, TypeAlias

from gmessenger.errors import BadRequest
from gmessenger.hosts import IPV6_SITE_PREFIX

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
PrefixKey: TypeAlias = tuple[int, int, int]
IPV4_MAPPED_PREFIX: Final = 96
"""Bits of an IPv6 address that mark it as an IPv4 address."""


def parse_network(text: str) -> IpNetwork:
    """Parse an address, or a network in CIDR notation. A single IPv6 address is taken as its /64.

    Raises `BadRequest` for what is neither.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"{text!r} is neither an IP address nor a network like 203.0.113.0/24.") from None
    if isinstance(network, ipaddress.IPv4Network):
        return network
    if network.prefixlen >= IPV4_MAPPED_PREFIX and (mapped := network.network_address.ipv4_mapped) is not None:
        return ipaddress.IPv4Network((mapped, network.prefixlen - IPV4_MAPPED_PREFIX))
    if "/" in text or network.is_loopback:
        return network
    return network.supernet(new_prefix=IPV6_SITE_PREFIX)


def looks_like_address(text: str) -> bool:
    """Return whether a text can be parsed as an address or a network, though it may be a name."""
    try:
        parse_network(text)
    except BadRequest:
        return False
    return True


def contains_loopback(network: IpNetwork) -> bool:
    """Return whether loopback addresses are in the network."""
    loopback = "127.0.0.0/8" if network.version == 4 else "::1"
    return network.overlaps(ipaddress.ip_network(loopback))


def is_single_address(network: IpNetwork) -> bool:
    return network.prefixlen == network.max_prefixlen


class NetworkSet:
    """A set of networks. A search takes one lookup for each prefix length in it, however many networks there are."""

    def __init__(self) -> None:
        self._networks: dict[PrefixKey, str] = {}
        self._prefix_lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def add(self, text: str) -> None:
        """Add a network, in CIDR notation."""
        network = ipaddress.ip_network(text)
        self._networks[_prefix_key(network.network_address, network.prefixlen)] = text
        self._prefix_lengths[network.version].add(network.prefixlen)

    def discard(self, text: str) -> None:
        """Remove a network, if it is there."""
        network = ipaddress.ip_network(text)
        self._networks.pop(_prefix_key(network.network_address, network.prefixlen), None)
        self._prefix_lengths[network.version] = {
            length for version, length, _ in self._networks if version == network.version
        }

    def containing(self, address: str) -> Iterator[str]:
        """Iterate over the networks that contain an `address:port`, the narrowest first."""
        if self._networks and (host := _host_of(address)) is not None:
            for length in sorted(self._prefix_lengths[host.version], reverse=True):
                if (found := self._networks.get(_prefix_key(host, length))) is not None:
                    yield found


def _prefix_key(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> PrefixKey:
    return address.version, length, int(address) >> (address.max_prefixlen - length)


def _host_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        host = ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:  # no IP address, as that of a Unix socket
        return None
    return host.ipv4_mapped or host if isinstance(host, ipaddress.IPv6Address) else host
