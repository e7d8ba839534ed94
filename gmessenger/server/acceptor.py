"""Telling somebody who may not come in why.

Neighbours: how many connections come from one network at one time, and how fast new ones do.

An IPv4 address is a network of its own; of IPv6 one customer has a /64 at least, and may have a /48: so a /64 counts as
one address, and the /48 that it is in as a few, or one machine would be 65,536 addresses. This machine's own addresses
are counted only where the operator says so: whole test crowds come from there, and local proxies.

Where clients are received: let in as connections, turned away with a word, and looked after while they are here.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Final

from gevent import socket
from gevent.pool import Pool

from gmessenger import log
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.ratelimit import BucketTable, Charge, RateLimit, TokenBucket, in_flight
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadProxyHeader, ServerFull, TooManyConnections, WireError
from gmessenger.hosts import IPV6_SITE_PREFIX
from gmessenger.server.jim.protocol import JimProtocol
from gmessenger.server.net.connection import Connection, ServerContext
from gmessenger.server.net.descriptors import is_near_limit
from gmessenger.server.net.listener import SpareDescriptor
from gmessenger.server.net.remote import RemoteAddress, identify_remote, parse_address
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.net.transport import TcpTransport, TlsTransport, Transport
from gmessenger.wire.jim import encode_error


def reject_without_waiting(transport: Transport, error: WireError) -> None:
    """Say it, where that can be done without waiting, and close."""
    with suppress(OSError), closing(transport):
        if not transport.is_encrypted:  # a handshake would have to be waited for
            transport.send(memoryview(encode_error(error, time.time())))
            transport.shutdown_write()
            transport.recv(1024)


def reject(transport: Transport, error: WireError, timeout: float) -> None:
    """Say it and close, within about `timeout` seconds. Who has left already has left."""
    with suppress(OSError), closing(transport):
        transport.handshake(timeout)
        transport.send(memoryview(encode_error(error, time.time())))
        transport.shutdown_write()
        socket.wait_read(transport.fileno(), timeout)
        transport.recv(1024)  # closing it over what it has said would take our answer along


IPV6_LIMIT_PREFIXES: Final = ((IPV6_SITE_PREFIX, 1), (48, 8))
"""Bits of an IPv6 address that say which network it is in, and how much more than one address that may do."""
RETRY_AFTER: Final = 10.0


def weighted_networks_of(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> WeightedNetworks:
    """The networks that an address counts for, the narrowest first."""
    if isinstance(host, ipaddress.IPv4Address):
        return ((str(host), 1),)
    return tuple(
        (str(ipaddress.ip_network((int(host), bits), strict=False)), times) for bits, times in IPV6_LIMIT_PREFIXES
    )


class ConnectionLimiter:
    """`options` gives those that hold now."""

    def __init__(self, options: Callable[[], ServerOptions], monotonic: Callable[[], float]) -> None:
        self._options = options
        self._monotonic = monotonic
        self._connections_by_network: Counter[str] = Counter()
        self._connect_buckets: BucketTable[str, TokenBucket] = BucketTable(TokenBucket)

    def __len__(self) -> int:
        """From how many networks connections are counted just now."""
        return len(self._connections_by_network)

    def networks_of(self, address: str) -> WeightedNetworks:
        """The networks that an `address:port` counts for; none for one that is not counted."""
        host = parse_address(address)
        host = getattr(host, "ipv4_mapped", None) or host
        return () if host.is_loopback and not self._options().limit_loopback else weighted_networks_of(host)

    @contextmanager
    def slot(self, address: str) -> Iterator[None]:
        """A place among the connections of its networks, for as long as the block lasts. Raises `TooManyConnections`.

        The networks are those of its arrival: what is not counted may have changed by a reload when it leaves.
        """
        origins = self.networks_of(address)
        self._check(origins)
        with ExitStack() as places:
            for network, _ in origins:
                places.enter_context(in_flight(self._connections_by_network, network))
            yield

    def _check(self, networks: WeightedNetworks) -> None:
        options, now = self._options(), self._monotonic()
        for network, times in networks:
            if self._connections_by_network[network] >= options.max_connections_per_ip * times:
                raise TooManyConnections(limit=options.max_connections_per_ip, retry_after=RETRY_AFTER)
        rate = RateLimit(options.connect_rate, options.connect_burst)
        with Charge() as charge:
            for network, times in networks:
                overdraft = charge.take(self._connect_buckets.get(network, now), 1, rate.scaled(times), now)
                if overdraft is not None:
                    raise TooManyConnections(retry_after=round(overdraft.retry_after or RETRY_AFTER, 2))
            charge.commit()


MAX_LINGERING_REJECTS = 32
"""Those who are told why and waited for at one time; who comes beyond them is told what can be told at once."""


class Acceptor:
    """What listens gives it sockets, each in a greenlet of `pool`. `opened` counts those let in, by transport."""

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
        self.pool = Pool()  # `accept` bounds it: a full pool would not accept, and could not follow a reload
        self.connections: set[Connection] = set()
        self.accepted_count: Counter[str] = Counter(plain=0)
        self.spare_descriptor = SpareDescriptor()

    @property
    def rejected_count(self) -> Counter[str]:
        """How many were turned away or came to nothing, by reason."""
        return self._context.rejected_count

    def handle_tcp(self, sock: socket.socket, address: str) -> None:
        """The greenlet of one client."""
        self._handle(sock, address, TcpTransport)

    def handle_tls(self, sock: socket.socket, address: str) -> None:
        """The same, of one who comes to the TLS port."""
        assert self._certificate is not None
        context = self._certificate.context
        self._handle(sock, address, lambda sock: TlsTransport(sock, context))

    def make_full_reply(self) -> bytes:
        """One cannot be let in, and not even looked at: what is told on the plain port."""
        self.rejected_count[ServerFull.code] += 1
        return encode_error(ServerFull(), time.time())

    def make_full_reply_tls(self) -> bytes:
        """The same on the TLS port, where nothing can be told without a handshake."""
        self.rejected_count[ServerFull.code] += 1
        return b""

    def sweep(self, wait_stopped: Callable[[float], object]) -> None:
        """Look after every connection, until `stopped`, which waits that many seconds, says so."""
        while not wait_stopped(_sweep_interval(self._context.options)):
            now = time.monotonic()
            for connection in list(self.connections):
                try:
                    connection.check_timeouts(now)
                except Exception as failure:  # the others are to be looked after too
                    self._context.supervisor.report("look after", failure, connection.address)

    def _handle(self, sock: socket.socket, address: str, make_transport: Callable[[socket.socket], Transport]) -> None:
        try:
            came = identify_remote(sock, address, self._context.options)
            self._serve(make_transport(sock), came)
        except BadProxyHeader as error:
            self.rejected_count["bad_proxy_header"] += 1
            log.log_event("connection_refused", address=address, reason=f"PROXY header: {error}")
        except OSError:
            pass  # it left before it was looked at
        except Exception as failure:
            self._context.supervisor.report("connection", failure, address)

    def _serve(self, transport: Transport, remote: RemoteAddress) -> None:
        where = remote.address
        with ExitStack() as place:
            try:
                self._admit(transport.fileno(), where, place)
            except WireError as refusal:
                return self._reject(transport, where, refusal)
            connection = Connection(transport, remote, self._context, self._make_protocol)
            place.enter_context(self._registered(connection))
            try:
                connection.serve()
            except Exception as failure:
                self._context.supervisor.report("connection", failure, where)
        return None

    def _admit(self, fd: int, address: str, exit_stack: ExitStack) -> None:
        """Have a place kept for a connection, until `place` is closed. Raises the `WireError` that it is told."""
        if self._is_stopping() or len(self.connections) >= self._context.options.max_connections:
            raise ServerFull
        if is_near_limit(fd):
            self.spare_descriptor.log_shortage(os.strerror(errno.EMFILE))
            raise ServerFull
        self._messenger.sanctions.check_address(address)
        exit_stack.enter_context(self._limiter.slot(address))

    @contextmanager
    def _registered(self, connection: Connection) -> Iterator[None]:
        self.connections.add(connection)
        self.accepted_count[connection.transport_label] += 1
        try:
            yield
        finally:
            self.connections.discard(connection)

    def _make_protocol(self, connection: Connection) -> JimProtocol:
        return JimProtocol(connection, self._messenger)

    def _reject(self, transport: Transport, address: str, error: WireError) -> None:
        self.rejected_count[error.code] += 1
        log.log_event("connection_refused", address=address, reason=error.code)
        if len(self.pool) - len(self.connections) > MAX_LINGERING_REJECTS:
            return reject_without_waiting(transport, error)
        return reject(transport, error, self._context.options.close_timeout)


def _sweep_interval(options: ServerOptions) -> float:
    """How long to wait between looking after connections: a part of the shortest time that matters there."""
    waits = (options.login_timeout, options.probe_after, options.probe_timeout, options.close_timeout)
    return min(1.0, max(0.02, min(waits) / 4))
