"""The client behind a proxy that speaks HTTP: what it says in `X-Forwarded-For` and `X-Forwarded-Proto`.

Only the last entry of each counts: a proxy appends what it has seen, and all before that is the client's word.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from gmessenger.server.net.remote import RemoteAddress, unmap_ipv4
from gmessenger.server.net.sockets import format_address
from gmessenger.wire.http import HttpRequest


class HttpClient(NamedTuple):
    """Who has sent a request: the address, and whether its end of the connection is encrypted."""

    remote: RemoteAddress
    is_encrypted: bool


def identify_client(request: HttpRequest, proxy: RemoteAddress) -> HttpClient:
    """Return the client by the headers of a trusted proxy; the proxy itself where they say nothing."""
    remote = RemoteAddress(proxy.address, is_proxied=True)
    host = _parse_host(_last_entry(request, "x-forwarded-for"))
    if host is not None and not host.is_loopback:  # a client on the proxy's machine: its address says no more
        remote = RemoteAddress(format_address((str(host), 0)), is_proxied=True)
    return HttpClient(remote, _last_entry(request, "x-forwarded-proto").lower() == "https")


def _last_entry(request: HttpRequest, name: str) -> str:
    return request.header(name).rpartition(",")[2].strip()


def _parse_host(entry: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1` or `[2001:db8::1]:80`; None if there is none."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return unmap_ipv4(ipaddress.ip_address(entry))
    except ValueError:
        return None
