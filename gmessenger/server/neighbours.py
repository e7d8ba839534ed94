"""Neighbours: how many connections come from one network at one time, and how fast new ones do.

An IPv4 address is a network of its own; of IPv6 one customer has a /64 at least, and may have a /48: so a /64 counts as
one address, and the /48 that it is in as a few, or one machine would be 65,536 addresses. This machine's own addresses
are counted only where the operator says so: whole test crowds come from there, and local proxies.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from gmessenger.chat.charges import BucketTable, Charge, counted
from gmessenger.chat.limits import Bucket, Rate
from gmessenger.chat.pacing import Origins
from gmessenger.errors import TooManyConnections
from gmessenger.options import ServerOptions

IPV6_NETWORKS: Final = ((64, 1), (48, 8))
"""Bits of an IPv6 address that say which network it is in, and how much more than one address that may do."""
COME_BACK_IN: Final = 10.0


def host_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of `address:port`."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))


def networks_of(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Origins:
    """The networks that an address counts for, the narrowest first."""
    if isinstance(host, ipaddress.IPv4Address):
        return ((str(host), 1),)
    return tuple((str(ipaddress.ip_network((int(host), bits), strict=False)), times) for bits, times in IPV6_NETWORKS)


class Neighbours:
    """`options` gives those that hold now."""

    def __init__(self, options: Callable[[], ServerOptions], clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._here: Counter[str] = Counter()
        self._arrivals: BucketTable[str, Bucket] = BucketTable(Bucket)

    def __len__(self) -> int:
        """From how many networks connections are counted just now."""
        return len(self._here)

    def origins(self, address: str) -> Origins:
        """The networks that an `address:port` counts for; none for one that is not counted."""
        host = host_of(address)
        host = getattr(host, "ipv4_mapped", None) or host
        return () if host.is_loopback and not self._options().limit_loopback else networks_of(host)

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """A place among the connections of its networks, for as long as the block lasts. Raises `TooManyConnections`.

        The networks are those of its arrival: what is not counted may have changed by a reload when it leaves.
        """
        origins = self.origins(address)
        self._check(origins)
        with ExitStack() as places:
            for network, _ in origins:
                places.enter_context(counted(self._here, network))
            yield

    def _check(self, origins: Origins) -> None:
        options, now = self._options(), self._clock()
        for network, times in origins:
            if self._here[network] >= options.max_connections_per_ip * times:
                raise TooManyConnections(limit=options.max_connections_per_ip, retry_after=COME_BACK_IN)
        rate = Rate(options.connect_rate, options.connect_burst)
        with Charge() as charge:
            for network, times in origins:
                overdraft = charge.take(self._arrivals.of(network, now), 1, rate.times(times), now)
                if overdraft is not None:
                    raise TooManyConnections(retry_after=round(overdraft.retry_after or COME_BACK_IN, 2))
            charge.keep()
