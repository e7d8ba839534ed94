"""Who is at the other end: the client itself, or, behind a balancer that is believed, whom its PROXY header names."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address

import gevent
from gevent.socket import wait_read

from gmessenger.config.options import ServerOptions
from gmessenger.errors import (
    BadProxyHeader,
)
from gmessenger.server.net.sockets import format_address
from gmessenger.wire import proxy_protocol


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """The client's `address:port`. Where it is `proxied`, what it says has crossed a network, whoever it is."""

    address: str
    is_proxied: bool = False


def identify_remote(sock: socket.socket, address: str, options: ServerOptions) -> RemoteAddress:
    """Who is at that `address:port`. Of a balancer's, exactly its header has been read, and no byte more.

    Raises `BadProxyHeader` when that does not come whole within `proxy_timeout`, and OSError as sockets do. Who is not
    named in `proxy_from` may say what it likes: it is not believed.
    """
    if not options.proxy_from or not _is_trusted_proxy(address, options):
        return RemoteAddress(address)
    with gevent.Timeout(options.proxy_timeout, BadProxyHeader("it did not arrive in time")):
        said = proxy_protocol.parse(_read_header(sock))
    if said.is_local:
        return RemoteAddress(address)
    host = _unmap_ipv4(said.host) if said.host is not None else None
    if host is None or host.is_loopback:  # the balancer's own machine: its address says which that is
        return RemoteAddress(address, is_proxied=True)
    return RemoteAddress(format_address((str(host), said.port)), is_proxied=True)


def _read_header(sock: socket.socket) -> bytes:
    header = b""
    while wanted := proxy_protocol.bytes_needed(header):
        wait_read(sock.fileno())
        if not (more := sock.recv(wanted)):
            raise BadProxyHeader("the connection was closed before its end")
        header += more
    return header


def _is_trusted_proxy(address: str, options: ServerOptions) -> bool:
    peer = _unmap_ipv4(parse_address(address))
    return any(peer in network for network in options.proxy_from)


def _unmap_ipv4(host: proxy_protocol.IpAddress) -> proxy_protocol.IpAddress:
    """An IPv4 address as such, also where it came as an IPv6 one."""
    return host.ipv4_mapped or host if isinstance(host, IPv6Address) else host


def parse_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of `address:port`."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))


def is_loopback(address: str) -> bool:
    """Whether `address:port` is this machine itself."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback
