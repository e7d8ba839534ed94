"""The address of a client: of its socket or, behind a trusted balancer, of its PROXY header."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network

import gevent
from gevent.socket import wait_read

from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadProxyHeader
from gmessenger.server.net.sockets import format_address
from gmessenger.wire import proxy_protocol


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """A client's `address:port`. `is_proxied`: its bytes come through a balancer, over a network."""

    address: str
    is_proxied: bool = False


def identify_remote(sock: socket.socket, address: str, options: ServerOptions) -> RemoteAddress:
    """Return the client's address; from a balancer of `proxy_from`, read exactly its PROXY header first.

    Blocks for at most `proxy_timeout`. Raises `BadProxyHeader` if the header is not complete by then, and OSError.
    """
    if not options.proxy_from or not is_in_networks(address, options.proxy_from):
        return RemoteAddress(address)
    with gevent.Timeout(options.proxy_timeout, BadProxyHeader("it did not arrive in time")):
        header = proxy_protocol.parse(_read_header(sock))
    if header.is_local:
        return RemoteAddress(address)
    host = unmap_ipv4(header.host) if header.host is not None else None
    if host is None or host.is_loopback:  # a client on the balancer's machine: the balancer's address identifies it
        return RemoteAddress(address, is_proxied=True)
    return RemoteAddress(format_address((str(host), header.port)), is_proxied=True)


def _read_header(sock: socket.socket) -> bytes:
    header = b""
    while wanted := proxy_protocol.bytes_needed(header):
        wait_read(sock.fileno())
        if not (more := sock.recv(wanted)):
            raise BadProxyHeader("the connection was closed before its end")
        header += more
    return header


def is_in_networks(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether `address:port` is in one of the networks."""
    host = unmap_ipv4(parse_address(address))
    return any(host in network for network in networks)


def unmap_ipv4(host: proxy_protocol.IpAddress) -> proxy_protocol.IpAddress:
    """Return an IPv4 address for one that is mapped into IPv6."""
    return host.ipv4_mapped or host if isinstance(host, IPv6Address) else host


def parse_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address in `address:port`."""
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))


def is_loopback(address: str) -> bool:
    """Return whether `address:port` is of this machine's loopback interface."""
    return parse_address(address).is_loopback
