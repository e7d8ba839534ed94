"""Admit or reject clients by limits, bans and free descriptors; check timeouts of connections."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final, NamedTuple

from gevent import socket
from gevent.pool import Pool

from gmessenger import log
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadProxyHeader, ServerFull, WireError
from gmessenger.server.connection_limiter import ConnectionLimiter
from gmessenger.server.net.connection import Connection, ServerContext
from gmessenger.server.net.descriptors import is_near_limit
from gmessenger.server.net.frontend import Frontend
from gmessenger.server.net.listener import SpareDescriptor
from gmessenger.server.net.remote import RemoteAddress, identify_remote
from gmessenger.server.net.transport import Transport


def reject_without_waiting(transport: Transport, reply: bytes) -> None:
    """Send a reply if that is possible without waiting, and close."""
    with suppress(OSError), closing(transport):
        if not transport.needs_handshake:  # it would have to be waited for
            transport.send(reply)
            transport.shutdown_write()
            transport.recv(1024)


def reject(transport: Transport, reply: bytes, timeout: float) -> None:
    """Send a reply and close; ignore a client that is gone. Blocks for about `timeout` seconds."""
    with suppress(OSError), closing(transport):
        transport.handshake(timeout)
        transport.send(memoryview(reply))
        transport.shutdown_write()
        socket.wait_read(transport.fileno(), timeout)
        transport.recv(1024)  # closing over unread bytes would reset the connection and lose the error


MIN_SWEEP_INTERVAL: Final = 0.02  # seconds
MAX_SWEEP_INTERVAL: Final = 1.0  # seconds
MAX_LINGERING_REJECTS: Final = 32
"""Rejected clients that are waited for at one time; others are sent what the socket takes at once."""


class AcceptedClient(NamedTuple):
    """A client that is admitted; `networks`: those to release when its connection ends."""

    transport: Transport
    remote: RemoteAddress
    networks: WeightedNetworks
    frontend: Frontend


class Acceptor:
    """Admits the clients of all endpoints, each in a greenlet of `pool`."""

    def __init__(
        self,
        context: ServerContext,
        check_address: Callable[[str], None],
        limiter: ConnectionLimiter,
        is_stopping: Callable[[], bool],
    ) -> None:
        """`check_address` raises the `WireError` of a client that is banned, by its `address:port`."""
        self._context = context
        self.check_address = check_address
        self._limiter = limiter
        self._is_stopping = is_stopping
        self._open_count = 0  # connections that were admitted, and are not closed
        self.pool = Pool()  # unbounded: `check_capacity` limits it, by an option that may be reloaded
        self.connections: set[Connection] = set()
        self.accepted_count: Counter[tuple[str, str]] = Counter({("jim", "plain"): 0})
        """Connections that were served, by protocol and transport."""
        self.spare_descriptor = SpareDescriptor()

    @property
    def rejected_count(self) -> Counter[str]:
        """Connections rejected, or closed before they were usable, by reason."""
        return self._context.rejected_count

    def handle(
        self,
        sock: socket.socket,
        address: str,
        admit: Callable[[socket.socket, RemoteAddress], AcceptedClient | None],
    ) -> None:
        """Serve the client that `admit` returns, until it is gone. Blocks, in the greenlet of the connection.

        (What `admit` does is over then: a frame more costs each connection.)
        """
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

    def count_full(self) -> None:
        """Count a client that is rejected for want of a descriptor."""
        self.rejected_count[ServerFull.code] += 1

    def check_capacity(self, fd: int) -> None:
        """Raise `ServerFull` where there is no place for one connection more."""
        if self._is_stopping() or self._open_count >= self._context.options.max_connections:
            raise ServerFull
        if is_near_limit(fd):
            self.spare_descriptor.log_shortage(os.strerror(errno.EMFILE))
            raise ServerFull

    def admit_address(self, address: str) -> WeightedNetworks:
        """Check the limits of `address:port` and count a connection; return the networks to release when it ends.

        Raises the `WireError` that the client is sent.
        """
        self.check_address(address)
        return self._limiter.acquire(address)

    def count_open(self) -> None:
        """Count a connection that is admitted, until `release`."""
        self._open_count += 1

    def release(self, networks: WeightedNetworks) -> None:
        """Count a connection no more."""
        self._open_count -= 1
        self._limiter.release(networks)

    def reject(self, transport: Transport, address: str, error: WireError, reply: bytes) -> None:
        """Reject a client with a reply, and close. Blocks for about `close_timeout`."""
        if self.count_rejected(address, error):
            return reject_without_waiting(transport, reply)
        return reject(transport, reply, self._context.options.close_timeout)

    def count_rejected(self, address: str, error: WireError) -> bool:
        """Count and log a rejected client; return whether so many linger that this one is not waited for."""
        self.rejected_count[error.code] += 1
        log.log_event("connection_refused", address=address, reason=error.code)
        return len(self.pool) - self._open_count > MAX_LINGERING_REJECTS

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

    def _serve(self, client: AcceptedClient) -> None:
        """Serve a client. (Context managers would take 2.6 kB of each connection while it is open.)"""
        connection = None
        try:
            connection = Connection(client.transport, client.remote, self._context, client.frontend.make_protocol)
            self.connections.add(connection)
            self.accepted_count[client.frontend.name, connection.transport_label] += 1
            connection.serve()
        except Exception as failure:
            self._context.supervisor.report("connection", failure, client.remote.address)
        finally:
            if connection is not None:
                self.connections.discard(connection)
            self.release(client.networks)


def _sweep_interval(options: ServerOptions) -> float:
    """Return the seconds between two sweeps: a quarter of the shortest timeout, within bounds."""
    timeouts = (options.login_timeout, options.probe_after, options.probe_timeout, options.close_timeout)
    return min(MAX_SWEEP_INTERVAL, max(MIN_SWEEP_INTERVAL, min(timeouts) / 4))
