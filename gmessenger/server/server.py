"""The server: creates listeners, connections, messenger and cluster node, starts them, and drains on stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING

import gevent
from gevent import Greenlet, socket
from gevent.event import Event

from gmessenger import __version__, log
from gmessenger.chat.admin import AdminService
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.presence import CallLater
from gmessenger.chat.storage import Store
from gmessenger.cluster.interfaces import is_shared
from gmessenger.config.options import ServerOptions
from gmessenger.errors import (
    ConfigError,
    ExitError,
    FileError,
    StoreUnavailable,
)
from gmessenger.paths import control_socket
from gmessenger.server.acceptor import Acceptor, ConnectionLimiter
from gmessenger.server.control import ControlServer
from gmessenger.server.maintenance import check_store_files, prune_regularly, reindex, watch_store_files
from gmessenger.server.net.connection import ServerContext
from gmessenger.server.net.listener import ClientListener
from gmessenger.server.net.sockets import listen_tcp
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.tls import certificate_from_options
from gmessenger.server.net.writer import FlushScheduler
from gmessenger.server.settings import policy_from_options
from gmessenger.server.snapshot import LoopLagMonitor, status_report
from gmessenger.store import file_from_url, open_store

if TYPE_CHECKING:
    from gmessenger.cluster.node import ClusterNode
    from gmessenger.cluster.peers import ClusterPeers
    from gmessenger.server.health import HealthServer


def create_peers(store: Store, options: ServerOptions, supervisor: Supervisor) -> ClusterPeers | None:
    """Create the peers of a server whose store is shared; None for a server outside a cluster.

    Raises:
        ConfigError: the bus's URL is invalid, or the store cannot be shared.
        FileError: the bus's key cannot be read from the store.
    """
    if not is_shared(store):
        if options.bus:
            raise ConfigError("--bus is for servers that share a store: it needs --store postgresql://….")
        return None
    # Imported only here: most servers are not in a cluster.
    from gmessenger.bus import open_bus
    from gmessenger.cluster.peers import ClusterPeers

    try:
        key = store.bus_key()
    except StoreUnavailable as error:
        raise FileError(f"The store cannot be read: {error}") from error
    bus = open_bus(options.bus, store.node, store.cluster, key, options.bus_timeout, supervisor.report)
    return ClusterPeers(store, bus)


def create_node(
    peers: ClusterPeers, messenger: Messenger, options: ServerOptions, supervisor: Supervisor, call_later: CallLater
) -> ClusterNode:
    """Create the cluster node that connects a messenger to its peers."""
    from gmessenger.cluster.node import ClusterNode

    return ClusterNode(
        peers,
        messenger,
        supervisor.spawn,
        call_later,
        time.time,
        time.monotonic,
        options.cluster_check,
        supervisor.report,
    )


MIN_RETRY_AFTER = 2.0
"""Seconds after which the first clients are told to try again when the server stops."""
RECONNECTS_PER_SECOND = 500
uniform = SystemRandom().uniform


class Server:
    """One server. `start`, then `wait`; `stop` drains. All in the greenlets of one hub."""

    def __init__(self, options: ServerOptions, password_verifier: PasswordVerifier | None = None) -> None:
        """Takes the ports, then the store. Raises `ListenError`, `ConfigError`, `FileError` or `StoreLocked`."""
        self.options = options
        self.supervisor = Supervisor()
        self.certificate = certificate_from_options(options)
        self.loop_lag = LoopLagMonitor()
        self.started_at = time.time()
        # The port first: of two servers started alike, the second should hear of the port, not of the store.
        self._open_sockets()
        hub = gevent.get_hub()
        self._context = ServerContext(
            options, hub, FlushScheduler(hub, self.supervisor, options.write_timeout), self.supervisor
        )
        self._listeners: list[ClientListener] = []
        self.stopping = False
        self._stopped = Event()
        self.store = self._open_store()
        try:
            peers = create_peers(self.store, options, self.supervisor)
        except ExitError:
            self._release()
            raise
        password_verifier = password_verifier or PasswordVerifier()
        password_verifier.warm_up()
        near = ConnectionLimiter(lambda: self.options, time.monotonic)
        policy, spawn = policy_from_options(options), self.supervisor.spawn
        self.messenger = Messenger(
            policy,
            self.store,
            time.time,
            self._call_later,
            spawn,
            password_verifier,
            time.monotonic,
            near.networks_of,
            peers,
        )
        self.node = (
            create_node(peers, self.messenger, options, self.supervisor, self._call_later)
            if peers is not None
            else None
        )
        self.acceptor = Acceptor(self._context, self.messenger, self.certificate, near, lambda: self.stopping)
        administration = AdminService(
            self.messenger, self.store, password_verifier, time.time, lambda: status_report(self)
        )
        self._control = self._create_control(administration)
        self._retention_greenlet: Greenlet[..., object] | None = None
        self._reindex_greenlet: Greenlet[..., object] | None = None
        self.health = self._open_health() if options.health else None

    def _open_sockets(self) -> None:
        self._sockets = listen_tcp(self.options.ip, self.options.port)
        self._tls_sockets: list[socket.socket] = []
        try:
            if self.certificate is not None:
                self._tls_sockets = listen_tcp(self.options.ip, self.options.tls_port)
        except ExitError:
            self._close_sockets()
            raise
        self.port = self._sockets[0].getsockname()[1]
        self.tls_port = self._tls_sockets[0].getsockname()[1] if self._tls_sockets else None

    def _close_sockets(self) -> None:
        for each in (*self._sockets, *self._tls_sockets):
            each.close()

    def _open_store(self) -> Store:
        try:
            options = self.options
            return open_store(
                options.store_url, self.supervisor.report, options.store_timeout, options.store_connections
            )
        except ExitError:
            self._close_sockets()
            raise

    def _open_health(self) -> HealthServer:
        # Only now: hardly anything is imported for as long as what shows metrics, and most servers show none.
        from gmessenger.server.health import HealthServer

        try:
            return HealthServer(self)
        except ExitError:
            self._release()
            raise

    def _create_control(self, administration: AdminService) -> ControlServer | None:
        file = file_from_url(self.options.store_url)
        if not self.store.is_persistent:
            return None
        return ControlServer(
            control_socket(file, self.port), administration, self.supervisor, is_exclusive=file is not None
        )

    def _release(self) -> None:
        self.store.close()
        self._close_sockets()

    def start(self) -> None:
        """Serve those who connect."""
        if self.node is not None:
            self.node.start()
        self.acceptor.spare_descriptor.open()
        plain = (self._sockets, self.acceptor.handle_tcp, self.acceptor.make_full_reply)
        encrypted = (self._tls_sockets, self.acceptor.handle_tls, self.acceptor.make_full_reply_tls)
        for sockets, accept, full in (plain, encrypted):
            for each in sockets:
                server = ClientListener(each, accept, self.acceptor.pool, self.acceptor.spare_descriptor, full)
                server.start()
                self._listeners.append(server)
        if self._control is not None:
            self._control.start(self.acceptor.spare_descriptor)
        if self.health is not None:
            self.health.start(self.acceptor.spare_descriptor)
        self._restart_retention()
        if self.certificate is not None:
            every = self.options.tls_check
            self.supervisor.spawn("look after the certificate", self.certificate.watch, every, self._stopped.wait)
        self.supervisor.spawn("look after connections", self.acceptor.sweep, self._stopped.wait)
        self.supervisor.spawn("tidy", self._finish_deletions)
        self._reindex_greenlet = self.supervisor.spawn("reindex", reindex, self.store, self._stopped.wait)
        self.supervisor.spawn("look after the store", watch_store_files, self.store, self._stopped.wait)
        self.supervisor.spawn("pulse", self.loop_lag.run, self._stopped.wait)
        address = self.options.ip or "every interface"
        log.log_event("server_started", version=__version__, address=address, port=self.port, tls_port=self.tls_port)

    def apply_options(self, options: ServerOptions) -> None:
        """Go on by other options, with those who are connected too; what they may differ in is marked in the table.

        Raises an `ExitError` where it cannot, and then nothing has changed.
        """
        if self.certificate is not None and not self.certificate.reload():
            raise ConfigError("The certificate cannot be used.")
        before, self.options, self._context.options = self.options, options, options
        self._context.flusher.write_timeout = options.write_timeout
        self.messenger.policy.update_from(policy_from_options(options))
        if options.retention_days != before.retention_days:
            self._restart_retention()

    @property
    def connection_count(self) -> int:
        """How many there are."""
        return len(self.acceptor.connections)

    def wait_stopped(self, seconds: float) -> bool:
        """Wait so long; says whether the server has stopped."""
        return self._stopped.wait(seconds)

    def wait(self) -> int:
        """Wait until the server has stopped; its exit code is 1 if anything failed unexpectedly, else 0."""
        self._stopped.wait()
        return 1 if self.supervisor.failure_count else 0

    def stop(self, reason: str = "asked to") -> None:
        """Accept nobody any more, tell the clients, deliver what was accepted within `drain_timeout`, and close."""
        if self.stopping:
            self._stopped.wait()
            return
        self.stopping = True
        log.log_event("server_stopping", reason=reason, connections=self.connection_count)
        try:
            self._drain()
        except Exception as failure:
            self.supervisor.report("stop", failure)
        finally:
            if self.health is not None:  # last: until then it says that the server is stopping
                self.health.stop()
            self.acceptor.spare_descriptor.close()
            self._stopped.set()

    def _restart_retention(self) -> None:
        if self._retention_greenlet is not None:
            self._retention_greenlet.kill()
        if days := self.options.retention_days:
            self._retention_greenlet = self.supervisor.spawn(
                "prune", prune_regularly, self.store, days, self._stopped.wait, self.supervisor.report
            )

    def _drain(self) -> None:
        started = time.monotonic()
        patience = self.options.drain_timeout
        if self._control is not None:
            self._control.stop()
        for upkeep in (self._retention_greenlet, self._reindex_greenlet):
            if upkeep is not None:
                upkeep.kill()
        for server in self._listeners:
            server.stop_accepting()
            server.close()
        self.messenger.announce_shutdown(self._make_retry_delay)
        with contextlib.suppress(StoreUnavailable, gevent.Timeout), gevent.Timeout(patience):
            self.store.flush()  # what is not on disk by then was not answered either
        self.messenger.close()
        for connection in list(self.acceptor.connections):
            if connection.protocol.user_name is None:
                connection.close_gracefully("the server stops")
        self.acceptor.pool.join(max(0.0, patience - (time.monotonic() - started)))
        undelivered = sum(connection.protocol.pending_frames for connection in self.acceptor.connections)
        self.acceptor.pool.kill(timeout=1.0)
        if self.node is not None:
            self.node.stop()
        check_store_files(self.store, "")
        self.store.close()
        seconds = round(time.monotonic() - started, 3)
        log.log_event(
            "server_stopped", seconds=seconds, undelivered=undelivered, exit_code=int(self.supervisor.failure_count > 0)
        )

    def _make_retry_delay(self) -> float:
        """Drawn anew for each: those who were here together should not come back together."""
        return round(
            MIN_RETRY_AFTER + uniform(0.0, max(MIN_RETRY_AFTER, self.connection_count / RECONNECTS_PER_SECOND)), 2
        )

    def _finish_deletions(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # it is tried again with the next start
            self.store.finish_deletions()

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        gevent.spawn_later(seconds, self.supervisor.guard("later", callback))
