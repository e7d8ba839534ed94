"""Who is at the other end: the client itself, or, behind a balancer that is believed, whom its PROXY header names."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv6Address

import gevent
from gevent.socket import wait_read

from gmessenger.errors import BadProxyHeader
from gmessenger.options import ServerOptions
from gmessenger.server.listening import plain_address
from gmessenger.server.neighbours import host_of
from gmessenger.wire import proxy


@dataclass(frozen=True, slots=True)
class Origin:
    """The client's `address:port`. Where it is `proxied`, what it says has crossed a network, whoever it is."""

    address: str
    proxied: bool = False


def origin(sock: socket.socket, address: str, options: ServerOptions) -> Origin:
    """Who is at that `address:port`. Of a balancer's, exactly its header has been read, and no byte more.

    Raises `BadProxyHeader` when that does not come whole within `proxy_timeout`, and OSError as sockets do. Who is not
    named in `proxy_from` may say what it likes: it is not believed.
    """
    if not options.proxy_from or not _believed(address, options):
        return Origin(address)
    with gevent.Timeout(options.proxy_timeout, BadProxyHeader("it did not arrive in time")):
        said = proxy.read(_header(sock))
    if said.local:
        return Origin(address)
    host = _short(said.host) if said.host is not None else None
    if host is None or host.is_loopback:  # the balancer's own machine: its address says which that is
        return Origin(address, proxied=True)
    return Origin(plain_address((str(host), said.port)), proxied=True)


def _header(sock: socket.socket) -> bytes:
    header = b""
    while wanted := proxy.wanting(header):
        wait_read(sock.fileno())
        if not (more := sock.recv(wanted)):
            raise BadProxyHeader("the connection was closed before its end")
        header += more
    return header


def _believed(address: str, options: ServerOptions) -> bool:
    peer = _short(host_of(address))
    return any(peer in network for network in options.proxy_from)


def _short(host: proxy.Address) -> proxy.Address:
    """An IPv4 address as such, also where it came as an IPv6 one."""
    return host.ipv4_mapped or host if isinstance(host, IPv6Address) else host
