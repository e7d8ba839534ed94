"""Admit or reject clients by limits, bans and free descriptors; check timeouts of connections.

Connections are counted by network. An IPv4 address is a network of its own. Of IPv6, one customer has at least a /64
and may have a /48: so a /64 counts as one address and a /48 as a few, or one machine would be 65,536 addresses.
Loopback addresses count only with `limit_loopback`, because load tests and local proxies connect from there.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from gevent import socket
from gevent.pool import Pool

from gmessenger import log
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.ratelimit import BucketTable, Charge, RateLimit, TokenBucket, decrement
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadProxyHeader, ServerFull, TooManyConnections, WireError
from gmessenger.hosts import IPV6_SITE_PREFIX
from gmessenger.server.jim.protocol import JimProtocol
from gmessenger.server.net.connection import Connection, ServerContext
from gmessenger.server.net.descriptors import is_near_limit
from gmessenger.server.net.listener import SpareDescriptor
from gmessenger.server.net.remote import RemoteAddress, identify_remote, is_in_networks, parse_address, unmap_ipv4
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport, Transport
from gmessenger.wire.encoder import encode_error

if TYPE_CHECKING:
    from gmessenger.server.web.endpoint import WebEndpoint
    from gmessenger.server.web.session import WebSession


def reject_without_waiting(transport: Transport, reply: bytes) -> None:
    """Send a reply if that is possible without waiting, and close."""
    with suppress(OSError), closing(transport):
        if not transport.needs_handshake:  # it would have to be waited for
            transport.send(reply)
            transport.shutdown_write()
            transport.recv(1024)


def reject(transport: Transport, error: WireError, timeout: float) -> None:
    """Send the error and close; ignore a client that is gone. Blocks for about `timeout` seconds."""
    with suppress(OSError), closing(transport):
        transport.handshake(timeout)
        transport.send(memoryview(encode_error(error, time.time())))
        transport.shutdown_write()
        socket.wait_read(transport.fileno(), timeout)
        transport.recv(1024)  # closing over unread bytes would reset the connection and lose the error


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


MIN_SWEEP_INTERVAL: Final = 0.02  # seconds
MAX_SWEEP_INTERVAL: Final = 1.0  # seconds
MAX_LINGERING_REJECTS: Final = 32
"""Rejected clients that are waited for at one time; others are sent what the socket takes at once."""


class AcceptedClient(NamedTuple):
    """A client that is admitted; `networks`: those to release when its connection ends."""

    transport: Transport
    remote: RemoteAddress
    networks: WeightedNetworks


class Acceptor:
    """Admits the clients of the listeners, each in a greenlet of `pool`. `accepted_count` is by transport."""

    def __init__(
        self,
        context: ServerContext,
        messenger: Messenger,
        certificate: CertificateManager | None,
        limiter: ConnectionLimiter,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._context = context
        self._messenger = messenger
        self._certificate = certificate
        self._limiter = limiter
        self._is_stopping = is_stopping
        self._open_count = 0  # connections that were admitted, and are not closed
        self.pool = Pool()  # unbounded: `_admit` limits it, by an option that may be reloaded
        self.connections: set[Connection] = set()
        self.accepted_count: Counter[str] = Counter(plain=0)
        self.spare_descriptor = SpareDescriptor()
        self.web: WebEndpoint | None = None
        """Makes the transports of the web port; None without `--web`."""

    @property
    def rejected_count(self) -> Counter[str]:
        """Connections rejected, or closed before they were usable, by reason."""
        return self._context.rejected_count

    def handle_tcp(self, sock: socket.socket, address: str) -> None:
        """Handle a client of the plain port until it is gone. Blocks: it is the body of its greenlet."""
        self._handle(sock, address, self._admit_tcp)

    def handle_tls(self, sock: socket.socket, address: str) -> None:
        """Handle a client of the TLS port, as `handle_tcp`."""
        self._handle(sock, address, self._admit_tls)

    def handle_web(self, sock: socket.socket, address: str) -> None:
        """Handle a client of the web port, as `handle_tcp`."""
        self._handle(sock, address, self._admit_web)

    def make_full_reply(self) -> bytes:
        """Count a client that is rejected for want of a descriptor; return its reply."""
        self.rejected_count[ServerFull.code] += 1
        return encode_error(ServerFull(), time.time())

    def make_full_reply_tls(self) -> bytes:
        """Count one of the TLS port, where nothing can be sent without a handshake."""
        self.rejected_count[ServerFull.code] += 1
        return b""

    def make_full_reply_web(self) -> bytes:
        """Count one of the web port; return its reply."""
        self.rejected_count[ServerFull.code] += 1
        return self.web.make_full_reply() if self.web is not None else b""

    def sweep(self, wait_stopped: Callable[[float], object]) -> None:
        """Check the timeouts of all connections, until `wait_stopped(seconds)` returns true."""
        while not wait_stopped(_sweep_interval(self._context.options)):
            self._check_timeouts()

    def _check_timeouts(self) -> None:
        # A function of its own: a variable of `sweep` would hold a closed connection until there is another one.
        now = time.monotonic()
        for connection in list(self.connections):
            try:
                connection.check_timeouts(now)
            except Exception as failure:  # the others must be checked all the same
                self._context.supervisor.report("timeouts", failure, connection.address)

    def check_address(self, address: str) -> None:
        """Raise the `WireError` of a banned client, by its `address:port`."""
        self._messenger.sanctions.check_address(address)

    def admit_address(self, address: str) -> WeightedNetworks:
        """Check the limits of `address:port` and count a connection; return the networks to release when it ends.

        Raises the `WireError` that the client is sent.
        """
        self.check_address(address)
        return self._limiter.acquire(address)

    def _handle(
        self,
        sock: socket.socket,
        address: str,
        admit: Callable[[socket.socket, RemoteAddress], AcceptedClient | None],
    ) -> None:
        """Serve the client that `admit` returns. (What it does is over then: a frame more costs each connection.)"""
        try:
            client = admit(sock, identify_remote(sock, address, self._context.options))
            if client is not None:
                self._serve(client)
        except BadProxyHeader as error:
            self.rejected_count["bad_proxy_header"] += 1
            log.log_event("connection_refused", address=address, reason=f"PROXY header: {error}")
        except OSError:
            pass  # it left at once
        except Exception as failure:
            self._context.supervisor.report("connection", failure, address)

    def _admit_tcp(self, sock: socket.socket, remote: RemoteAddress) -> AcceptedClient | None:
        return self._admit_or_reject(TcpTransport(sock), remote)

    def _admit_tls(self, sock: socket.socket, remote: RemoteAddress) -> AcceptedClient | None:
        assert self._certificate is not None
        return self._admit_or_reject(TlsTransport(sock, self._certificate.context), remote)

    def _admit_or_reject(self, transport: Transport, remote: RemoteAddress) -> AcceptedClient | None:
        """Count a connection, or reject it and return None."""
        try:
            self._check_capacity(transport.fileno())
            networks = self.admit_address(remote.address)
        except WireError as error:
            self._reject(transport, remote.address, error)
            return None
        self._open_count += 1
        return AcceptedClient(transport, remote, networks)

    def _admit_web(self, sock: socket.socket, remote: RemoteAddress) -> AcceptedClient | None:
        """Count a connection of the web port before a byte of it is read, and answer requests until it is a WebSocket.

        Its address may be a proxy's.
        """
        assert self.web is not None
        session = self.web.open(sock, remote)
        try:
            self._check_capacity(sock.fileno())
            if not session.is_behind_proxy:
                session.networks = self.admit_address(remote.address)
        except WireError as error:
            self._refuse_web(self.web, session, error)
            return None
        self._open_count += 1
        transport: Transport | None = None
        try:
            transport = self.web.negotiate(session)
        finally:
            if transport is None:
                self._release(session.networks)
                session.transport.close()
        return AcceptedClient(transport, session.remote, session.networks) if transport is not None else None

    def _refuse_web(self, web: WebEndpoint, session: WebSession, error: WireError) -> None:
        if self._count_rejected(session.remote.address, error):
            reject_without_waiting(session.transport, web.make_full_reply())
        else:
            with closing(session.transport):
                session.refuse(error)

    def _serve(self, client: AcceptedClient) -> None:
        """Serve a client. (Context managers would take 2.6 kB of each connection while it is open.)"""
        connection = None
        try:
            connection = Connection(client.transport, client.remote, self._context, self._make_protocol)
            self.connections.add(connection)
            self.accepted_count[connection.transport_label] += 1
            connection.serve()
        except Exception as failure:
            self._context.supervisor.report("connection", failure, client.remote.address)
        finally:
            if connection is not None:
                self.connections.discard(connection)
            self._release(client.networks)

    def _release(self, networks: WeightedNetworks) -> None:
        """Count a connection no more."""
        self._open_count -= 1
        self._limiter.release(networks)

    def _check_capacity(self, fd: int) -> None:
        """Raise `ServerFull` where there is no place for one connection more."""
        if self._is_stopping() or self._open_count >= self._context.options.max_connections:
            raise ServerFull
        if is_near_limit(fd):
            self.spare_descriptor.log_shortage(os.strerror(errno.EMFILE))
            raise ServerFull

    def _make_protocol(self, connection: Connection) -> JimProtocol:
        return JimProtocol(connection, self._messenger)

    def _reject(self, transport: Transport, address: str, error: WireError) -> None:
        if self._count_rejected(address, error):
            return reject_without_waiting(transport, encode_error(error, time.time()))
        return reject(transport, error, self._context.options.close_timeout)

    def _count_rejected(self, address: str, error: WireError) -> bool:
        """Count and log a rejected client; return whether so many linger that this one is not waited for."""
        self.rejected_count[error.code] += 1
        log.log_event("connection_refused", address=address, reason=error.code)
        return len(self.pool) - self._open_count > MAX_LINGERING_REJECTS


def _sweep_interval(options: ServerOptions) -> float:
    """Return the seconds between two sweeps: a quarter of the shortest timeout, within bounds."""
    timeouts = (options.login_timeout, options.probe_after, options.probe_timeout, options.close_timeout)
    return min(MAX_SWEEP_INTERVAL, max(MIN_SWEEP_INTERVAL, min(timeouts) / 4))
