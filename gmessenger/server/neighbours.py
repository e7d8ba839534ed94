"""Neighbours: how many connections come from one network at one time, and how fast new ones do.

An IPv4 address is a network of its own; of IPv6 somebody has a /64 at least, so that much counts as one. This machine's
own addresses are counted only where the operator says so: whole test crowds come from there, and local proxies.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Final

from gmessenger.chat.limits import Bucket, Rate, Remembered
from gmessenger.errors import TooManyConnections, WireError
from gmessenger.options import ServerOptions

ONE_HOUSEHOLD: Final = 64
"""Bits of an IPv6 address that say which network it is in."""
COME_BACK_IN: Final = 10.0


def host_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of `address:port`."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))


class Neighbours:
    """`options` gives those that hold now."""

    def __init__(self, options: Callable[[], ServerOptions], clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._here: Counter[str] = Counter()
        self._arrivals: Remembered[str, Bucket] = Remembered(Bucket)

    def origin(self, address: str) -> str | None:
        """The network that an `address:port` counts for; None for one that is not counted."""
        host = host_of(address)
        if host.is_loopback and not self._options().limit_loopback:
            return None
        if isinstance(host, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((host, ONE_HOUSEHOLD), strict=False))
        return str(host)

    def refusal(self, address: str) -> WireError | None:
        """Why somebody from there cannot connect now."""
        origin = self.origin(address)
        if origin is None:
            return None
        options = self._options()
        if self._here[origin] >= options.max_connections_per_ip:
            return TooManyConnections(limit=options.max_connections_per_ip, retry_after=COME_BACK_IN)
        rate = Rate(options.connect_rate, options.connect_burst)
        overdraft = self._arrivals.of(origin).spend(1, rate, self._clock())
        if overdraft is None:
            return None
        return TooManyConnections(retry_after=round(overdraft.retry_after or COME_BACK_IN, 2))

    def arrived(self, address: str) -> None:
        if (origin := self.origin(address)) is not None:
            self._here[origin] += 1

    def left(self, address: str) -> None:
        """Call it as often as `arrived`."""
        if (origin := self.origin(address)) is not None:
            self._here[origin] -= 1
            if self._here[origin] <= 0:
                del self._here[origin]
