"""The server: creates its parts, starts them, and drains and stops them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import gevent
from gevent import Greenlet
from gevent.event import Event

from gmessenger import __version__, log
from gmessenger.chat.admin import AdminService
from gmessenger.chat.attention import AttentionPolicy
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.notifier import AbsenceNotifier
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.presence import CallLater
from gmessenger.chat.push_notifier import PushNotifier
from gmessenger.chat.storage import Store
from gmessenger.cluster.interfaces import is_shared
from gmessenger.config.options import ServerOptions
from gmessenger.constants import IRC_PATH, LEASE_TTL
from gmessenger.errors import ConfigError, FileError, StoreUnavailable
from gmessenger.paths import control_socket
from gmessenger.server.acceptor import Acceptor
from gmessenger.server.connection_limiter import ConnectionLimiter
from gmessenger.server.control import ControlServer
from gmessenger.server.endpoint_table import EndpointTable
from gmessenger.server.endpoints import ClientEndpoint
from gmessenger.server.files import FileKeeper
from gmessenger.server.maintenance import check_store_files, prune_regularly, reindex, watch_store_files
from gmessenger.server.net.connection import ServerContext
from gmessenger.server.net.listener import ClientListener
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.tls import certificate_from_options
from gmessenger.server.net.writer import FlushScheduler
from gmessenger.server.notify_command import WORKERS as NOTIFY_WORKERS
from gmessenger.server.notify_command import NotifyCommand
from gmessenger.server.ports import BoundPort, ServerPorts, number_of
from gmessenger.server.settings import (
    check_irc,
    files_folder,
    keeps_files,
    policy_from_options,
    push_subject,
)
from gmessenger.server.snapshot import LoopLagMonitor, status_report
from gmessenger.server.web_address import public_url
from gmessenger.store import file_from_url, open_store

if TYPE_CHECKING:
    from gmessenger.cluster.node import ClusterNode
    from gmessenger.cluster.peers import ClusterPeers
    from gmessenger.server.health import HealthServer
    from gmessenger.server.irc.users import UserRegistry
    from gmessenger.server.push.client import PushNetwork
    from gmessenger.server.push.sender import PushSender
    from gmessenger.server.web.files import FileRoutes
    from gmessenger.server.web.routes import Route


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


MIN_RETRY_AFTER: Final = 2.0  # seconds
"""The least delay after which clients are told to reconnect when the server stops."""
RECONNECTS_PER_SECOND: Final = 500
"""Rate of reconnections that the delays are spread for."""
KILL_TIMEOUT: Final = 1.0  # seconds
"""Time for connections to end that have not been drained in time."""
uniform = SystemRandom().uniform


class Server:
    """A server: `start`, then `wait`; `stop` drains it. All methods are called in greenlets of one hub."""

    def __init__(
        self,
        options: ServerOptions,
        password_verifier: PasswordVerifier | None = None,
        push_network: PushNetwork | None = None,
    ) -> None:
        """Bind the ports, open the store, and create all parts; no connection is accepted before `start`.

        `push_network`: how push services are reached; None for the Internet.

        Raises `ListenError`, `ConfigError`, `FileError` or `StoreLocked`; then ports and store are closed again.
        """
        push_subject(options)
        check_irc(options)
        self.options = options
        self.supervisor = Supervisor()
        self.certificate = certificate_from_options(options)
        self.loop_lag = LoopLagMonitor()
        self.started_at = time.time()
        self.stopping = False
        self.file_routes: FileRoutes | None = None
        self._irc_users: UserRegistry | None = None
        self._stopped = Event()
        self._listeners: list[ClientListener] = []
        self._retention_greenlet: Greenlet[..., object] | None = None
        self._reindex_greenlet: Greenlet[..., object] | None = None
        with ExitStack() as on_failure:
            # Ports first: of two servers started alike, the second should report the port, not the store.
            self.ports = ServerPorts(options, has_certificate=self.certificate is not None)
            on_failure.callback(self.ports.close)
            self.store = open_store(
                options.store_url, self.supervisor.report, options.store_timeout, options.store_connections
            )
            on_failure.callback(self.store.close)
            self.store.erase_within = options.erase_within
            self.files = FileKeeper(self.store, files_folder(options)) if keeps_files(options) else None
            if self.files is not None:
                on_failure.callback(self.files.close)
            self._create_services(password_verifier or PasswordVerifier(), push_network)
            on_failure.pop_all()

    def _create_services(self, password_verifier: PasswordVerifier, push_network: PushNetwork | None) -> None:
        password_verifier.warm_up()
        password_verifier.min_bytes = self.options.min_password
        self._password_verifier = password_verifier
        options = self.options
        limiter = ConnectionLimiter(lambda: self.options, time.monotonic)
        peers = create_peers(self.store, options, self.supervisor)
        self.messenger = Messenger(
            policy_from_options(options, self.public_url),
            self.store,
            time.time,
            self._call_later,
            self.supervisor.spawn,
            password_verifier,
            time.monotonic,
            limiter.networks_of,
            peers,
            limiter.shut_out_network,
            lambda: self.options.web_url or (self.web_url if self.web_port else None),
            lambda mask, session: self._get_irc_users().matches(mask, session),
        )
        self.node = (
            create_node(peers, self.messenger, options, self.supervisor, self._call_later)
            if peers is not None
            else None
        )
        self._attention = AttentionPolicy(
            self.messenger.authenticator.accounts, self.messenger.blocks.is_hidden, time.time
        )
        self.notify_command = self._create_notify_command()
        self.push_sender = self._create_push_sender(push_network) if options.push else None
        self._context = self._create_context()
        self.acceptor = Acceptor(self._context, self.messenger.sanctions.check_address, limiter, lambda: self.stopping)
        self.endpoints = EndpointTable(
            self.ports,
            self._context,
            self.acceptor,
            self.messenger,
            self.certificate,
            self.started_at,
            lambda: self.stopping,
            self._create_file_routes(),
            self._get_irc_users,
        )
        self._control = self._create_control(password_verifier)
        self.health = self._create_health() if options.health else None

    def _get_irc_users(self) -> UserRegistry:
        """Return how users are shown on IRC: rooms have masks of it, which hold for all users."""
        # Imported late: most servers speak no IRC, and have rooms without masks.
        from gmessenger.server.irc.users import UserRegistry

        if self._irc_users is None:
            self._irc_users = UserRegistry(self.messenger)
        return self._irc_users

    def _create_notify_command(self) -> NotifyCommand | None:
        if self.options.notify_command is None:
            return None
        messenger = self.messenger
        command = NotifyCommand(self.options.notify_command, self.options.notify_timeout)
        notifier = AbsenceNotifier(self._attention, messenger.router.__contains__, command.put, time.monotonic)
        messenger.fan_out.listeners.append(notifier.on_committed)
        return command

    def _create_push_sender(self, network: PushNetwork | None) -> PushSender:
        # Imported late: their libraries take long, and most servers send no push messages.
        from gmessenger.server.push.client import PushClient, public_network
        from gmessenger.server.push.message import PushSealer, check_subscription, make_vapid_key
        from gmessenger.server.push.sender import PushSender

        messenger = self.messenger
        key = self.store.vapid_key(make_vapid_key())
        sealer = PushSealer(key, lambda: push_subject(self.options))
        client = PushClient(network or public_network(), lambda: self.options.push_timeout)
        sender = PushSender(messenger, self.store, client, sealer, lambda: self.options, self.supervisor.spawn)
        messenger.subscriptions.open(
            sealer.public_key, lambda subscription: check_subscription(subscription, self.options.push_hosts)
        )
        notifier = PushNotifier(self._attention, messenger.subscriptions, messenger.router.devices, sender.offer)
        messenger.fan_out.listeners.append(notifier.on_committed)
        return sender

    def _create_context(self) -> ServerContext:
        hub = gevent.get_hub()
        flusher = FlushScheduler(hub, self.supervisor, lambda: self.options.write_timeout)
        return ServerContext(self.options, hub, flusher, self.supervisor)

    def _create_control(self, password_verifier: PasswordVerifier) -> ControlServer | None:
        if not self.store.is_persistent:
            return None
        service = AdminService(self.messenger, self.store, password_verifier, time.time, lambda: status_report(self))
        file = file_from_url(self.options.store_url)
        return ControlServer(
            control_socket(file, self.port),
            service,
            self.supervisor,
            self.acceptor.spare_descriptor,
            is_exclusive=file is not None,
        )

    def _create_file_routes(self) -> Sequence[Route]:
        if self.files is None:
            return ()
        from gmessenger.server.web.files import FileRoutes

        self.file_routes = FileRoutes(
            self.messenger.files, self.files.folder, self.store.files_id, lambda: self.options
        )
        return self.file_routes.routes

    def _create_health(self) -> HealthServer:
        # Imported late: its libraries take longest of all, and most servers have no health server.
        from gmessenger.server.health import HealthServer

        return HealthServer(self)

    def start(self) -> None:
        """Accept connections, and start the background tasks. Raises `ListenError`."""
        if self.node is not None:
            self.node.start()
        self.acceptor.spare_descriptor.open()
        for port, endpoint in self.endpoints:
            self._start_listeners(port, endpoint)
        if self._control is not None:
            self._control.start()
        if self.health is not None:
            self.health.start()
        self._start_tasks()
        address = self.options.ip or "every interface"
        log.log_event(
            "server_started",
            version=__version__,
            address=address,
            port=self.port,
            tls_port=self.tls_port,
            web_port=self.web_port,
            irc_port=number_of(self.ports.irc),
            irc_tls_port=number_of(self.ports.irc_tls),
            irc_websocket=self.irc_websocket_url or None,
        )

    def _start_listeners(self, port: BoundPort, endpoint: ClientEndpoint) -> None:
        acceptor = self.acceptor
        for sock in port.sockets:
            listener = ClientListener(
                sock, endpoint.handle, acceptor.pool, acceptor.spare_descriptor, endpoint.make_full_reply
            )
            listener.start()
            self._listeners.append(listener)

    def _start_tasks(self) -> None:
        spawn, wait_stopped = self.supervisor.spawn, self._stopped.wait
        self._restart_retention()
        if self.certificate is not None:
            spawn("certificate", self.certificate.watch, self.options.tls_check, wait_stopped)
        spawn("timeouts", self.acceptor.sweep, wait_stopped)
        spawn("deletions", self._finish_deletions)
        presence_delay = LEASE_TTL if self.node is not None else 0.0
        spawn("deserted rooms", self.messenger.passing_rooms.delete_leftovers, wait_stopped, presence_delay)
        spawn("device use", self.messenger.device_use.run, wait_stopped)
        self._reindex_greenlet = spawn("reindex", reindex, self.store, wait_stopped)
        spawn("store files", watch_store_files, self.store, wait_stopped)
        if self.files is not None:
            spawn("files", self.files.run, wait_stopped)
        if self.notify_command is not None:
            for _ in range(NOTIFY_WORKERS):
                spawn("notifications", self.notify_command.run, wait_stopped)
        if self.push_sender is not None:
            spawn("push messages", self.push_sender.run, wait_stopped)
        spawn("loop lag", self.loop_lag.run, wait_stopped)

    def apply_options(self, options: ServerOptions) -> None:
        """Replace those options that do not need a restart, also for open connections.

        Raises `ConfigError` if the certificate cannot be used, or options contradict each other; then nothing has
        changed.
        """
        push_subject(options)
        check_irc(options)
        if self.certificate is not None and not self.certificate.reload():
            raise ConfigError("The certificate cannot be used.")
        before, self.options, self._context.options = self.options, options, options
        self.messenger.policy.update_from(policy_from_options(options, self.public_url))
        self.store.erase_within = options.erase_within
        self._password_verifier.min_bytes = options.min_password
        if options.retention_days != before.retention_days:
            self._restart_retention()

    @property
    def port(self) -> int:
        """The port of JIM without TLS."""
        return self.ports.jim.number or 0

    @property
    def tls_port(self) -> int | None:
        """The port of JIM over TLS; None without a certificate."""
        return number_of(self.ports.jim_tls)

    @property
    def web_port(self) -> int | None:
        """The port for browsers; None for a Unix socket, and for none."""
        return number_of(self.ports.web)

    @property
    def web_url(self) -> str | None:
        """Where browsers find the server, as far as it knows; None without a web port."""
        web = self.endpoints.web
        return self.options.web_url or web.address(self.web_port) if web is not None else None

    @property
    def public_url(self) -> str:
        """The beginning of URLs by which people find what is on the web port, as far as it is known; empty if not."""
        names = self.certificate.names if self.certificate is not None else None
        return public_url(self.options, names, self.web_port)

    @property
    def irc_websocket_url(self) -> str:
        """Where IRC is spoken over WebSocket, as far as the server knows; empty where it is not."""
        if self.endpoints.irc_websocket is not None:
            url = self.endpoints.irc_websocket.address(number_of(self.ports.irc_websocket))
        else:
            url = f"{self.web_url}{IRC_PATH}" if self.web_url is not None and self.options.offers_irc else ""
        return f"ws{url.removeprefix('http')}" if url.startswith("http") else url

    @property
    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self.acceptor.connections)

    def wait_stopped(self, seconds: float) -> bool:
        """Block for so long, or until the server has stopped; return whether it has."""
        return self._stopped.wait(seconds)

    def wait(self) -> int:
        """Block until the server has stopped; return its exit code: 1 after an internal error, else 0."""
        self._stopped.wait()
        return 1 if self.supervisor.failure_count else 0

    def stop(self, reason: str = "asked to") -> None:
        """Stop accepting, notify clients, and close when all is delivered, or after `drain_timeout`. Blocks."""
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
            if self.health is not None:  # last: until then it reports that the server is stopping
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
        timeout = self.options.drain_timeout
        self._stop_accepting()
        self.messenger.announce_shutdown(self._make_retry_delay)
        with contextlib.suppress(StoreUnavailable, gevent.Timeout), gevent.Timeout(timeout):
            self.store.flush()  # what is not committed by then has no response either
        self.messenger.close()
        undelivered = self._close_connections(max(0.0, timeout - (time.monotonic() - started)))
        with contextlib.suppress(StoreUnavailable, gevent.Timeout), gevent.Timeout(KILL_TIMEOUT):
            self.messenger.device_use.write()
        if self.node is not None:
            self.node.stop()
        check_store_files(self.store, "")
        if self.files is not None:
            self.files.close()
        self.store.close()
        log.log_event(
            "server_stopped",
            seconds=round(time.monotonic() - started, 3),
            undelivered=undelivered,
            exit_code=int(self.supervisor.failure_count > 0),
        )

    def _stop_accepting(self) -> None:
        if self._control is not None:
            self._control.stop()
        for greenlet in (self._retention_greenlet, self._reindex_greenlet):
            if greenlet is not None:
                greenlet.kill()
        for listener in self._listeners:
            listener.stop_accepting()
            listener.close()
        self.ports.remove_files()

    def _close_connections(self, timeout: float) -> int:
        """Block until all connections are closed, or kill them; return how many frames were not delivered."""
        self.endpoints.stop_web()
        for connection in list(self.acceptor.connections):
            if connection.protocol.user_name is None:
                connection.turn_away("the server stops")
        self.acceptor.pool.join(timeout)
        undelivered = sum(connection.protocol.pending_frames for connection in self.acceptor.connections)
        self.acceptor.pool.kill(timeout=KILL_TIMEOUT)
        return undelivered

    def _make_retry_delay(self) -> float:
        """Draw a delay for one client, in seconds: clients should not all reconnect at once."""
        spread = max(MIN_RETRY_AFTER, self.connection_count / RECONNECTS_PER_SECOND)
        return round(MIN_RETRY_AFTER + uniform(0.0, spread), 2)

    def _finish_deletions(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # tried again at the next start
            self.store.finish_deletions()

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        gevent.spawn_later(seconds, self.supervisor.guard("timer", callback))
