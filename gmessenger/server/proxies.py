"""Who is at the other end: the client itself, or, behind a balancer that is believed, whom its PROXY header names."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import gevent
from gevent.socket import wait_read

from gmessenger.errors import BadProxyHeader
from gmessenger.options import ServerOptions
from gmessenger.server.listening import plain_address
from gmessenger.wire import proxy


@dataclass(frozen=True, slots=True)
class Origin:
    """The client's `address:port`. Where it is `proxied`, what it says has crossed a network, whoever it is."""

    address: str
    proxied: bool = False


def origin(sock: socket.socket, address: tuple[str, int], options: ServerOptions) -> Origin:
    """Where a connection comes from. Of a balancer's, exactly its header has been read afterwards, and no byte more.

    Raises `BadProxyHeader` when that does not come whole within `proxy_timeout`, and OSError as sockets do. Who is not
    named in `proxy_from` may say what it likes: it is not believed.
    """
    if not options.proxy_from or not _believed(address[0], options):
        return Origin(plain_address(address))
    with gevent.Timeout(options.proxy_timeout, BadProxyHeader("it did not come in time")):
        said = proxy.read(_header(sock))
    if said.local:
        return Origin(plain_address(address))
    host = _short(said.host) if said.host is not None else None
    if host is None or host.is_loopback:  # the balancer's own machine: its address says which that is
        return Origin(plain_address(address), proxied=True)
    return Origin(plain_address((str(host), said.port)), proxied=True)


def _header(sock: socket.socket) -> bytes:
    header = b""
    while wanted := proxy.wanting(header):
        wait_read(sock.fileno())
        if not (more := sock.recv(wanted)):
            raise BadProxyHeader("the connection was closed within it")
        header += more
    return header


def _believed(host: str, options: ServerOptions) -> bool:
    peer = _short(ip_address(host.partition("%")[0]))
    return any(peer in network for network in options.proxy_from)


def _short(host: proxy.Address) -> proxy.Address:
    """An IPv4 address as such, also where it came as an IPv6 one."""
    return host.ipv4_mapped or host if isinstance(host, IPv6Address) else host
