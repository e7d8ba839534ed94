"""Limits of connections by network: how many there may be, and how fast new ones come.

An IPv4 address is a network of its own. Of IPv6, one customer has at least a /64 and may have a /48: so a /64 counts as
one address and a /48 as a few, or one machine would be 65,536 addresses. Loopback addresses count only with
`limit_loopback`, because load tests and local proxies connect from there.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Final

from gmessenger.chat.ratelimit import BucketTable, Charge, RateLimit, TokenBucket, decrement
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import TooManyConnections
from gmessenger.hosts import IPV6_SITE_PREFIX
from gmessenger.server.net.remote import is_in_networks, parse_address, unmap_ipv4

IPV6_LIMIT_PREFIXES: Final = ((IPV6_SITE_PREFIX, 1), (48, 8))
"""Prefix lengths of the networks that an IPv6 address counts for, with the multiple of the limits of one address."""
RETRY_AFTER: Final = 10.0  # seconds


def weighted_networks_of(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> WeightedNetworks:
    """Return the networks that an address counts for, narrowest first."""
    if isinstance(host, ipaddress.IPv4Address):
        return ((str(host), 1),)
    return tuple(
        (str(ipaddress.ip_network((int(host), bits), strict=False)), factor) for bits, factor in IPV6_LIMIT_PREFIXES
    )


class ConnectionLimiter:
    """Limits the connections of each network, and the rate of new ones. Never blocks."""

    def __init__(self, options: Callable[[], ServerOptions], monotonic: Callable[[], float]) -> None:
        """`options` returns the present ones."""
        self._options = options
        self._monotonic = monotonic
        self._connections_by_network: Counter[str] = Counter()
        self._connect_buckets: BucketTable[str, TokenBucket] = BucketTable(TokenBucket)

    def __len__(self) -> int:
        """Return the number of networks that have connections."""
        return len(self._connections_by_network)

    def networks_of(self, address: str) -> WeightedNetworks:
        """Return the networks that `address:port` counts for; none for loopback that is not limited."""
        host = unmap_ipv4(parse_address(address))
        return () if host.is_loopback and not self._options().limit_loopback else weighted_networks_of(host)

    def shut_out_network(self, address: str) -> str | None:
        """Return the network by which guests from `address:port` may be kept out of a room.

        None for this machine and for proxies: others than the guest come from there.
        """
        host, options = unmap_ipv4(parse_address(address)), self._options()
        if host.is_loopback or is_in_networks(address, (*options.proxy_from, *options.web_proxy_from)):
            return None
        return weighted_networks_of(host)[0][0]

    def acquire(self, address: str) -> WeightedNetworks:
        """Count a connection for its networks; return these for `release`. Raises `TooManyConnections`.

        They are looked up once, because a reload may change which of them count.
        """
        networks = self.networks_of(address)
        self._check(networks)
        for network, _ in networks:
            self._connections_by_network[network] += 1
        return networks

    def release(self, networks: WeightedNetworks) -> None:
        """Count a connection no more."""
        for network, _ in networks:
            decrement(self._connections_by_network, network)

    def _check(self, networks: WeightedNetworks) -> None:
        options, now = self._options(), self._monotonic()
        for network, factor in networks:
            if self._connections_by_network[network] >= options.max_connections_per_ip * factor:
                raise TooManyConnections(limit=options.max_connections_per_ip, retry_after=RETRY_AFTER)
        rate = RateLimit(options.connect_rate, options.connect_burst)
        with Charge() as charge:
            for network, factor in networks:
                overdraft = charge.take(self._connect_buckets.get(network, now), 1, rate.scaled(factor), now)
                if overdraft is not None:
                    raise TooManyConnections(retry_after=round(overdraft.retry_after or RETRY_AFTER, 2))
            charge.commit()
