"""A snapshot of the server for metrics and status, and the monitor of event loop lag."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from gmessenger import __version__
from gmessenger.chat.admin_results import ClusterReport, FilesReport, Quantiles, StatusReport, StoreReport
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.stats import LATENCY_BOUNDS, Histogram
from gmessenger.chat.storage import Store
from gmessenger.config.options import ServerOptions
from gmessenger.constants import MEMORY_URL
from gmessenger.errors import ExitError
from gmessenger.server.acceptor import Acceptor
from gmessenger.server.endpoint_table import EndpointTable
from gmessenger.server.files import FileKeeper
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.ports import ServerPorts, number_of
from gmessenger.store import file_from_url
from gmessenger.urls import redact_url

if TYPE_CHECKING:
    from gmessenger.cluster.node import ClusterNode
    from gmessenger.server.push.sender import PushSender
    from gmessenger.server.web.files import FileRoutes

LAG_INTERVAL: Final = 0.25  # seconds between two measurements


class LoopLagMonitor:
    """Measures how late the loop is. A block longer than LAG_INTERVAL is always measured."""

    def __init__(self) -> None:
        self.lag_seconds = Histogram(LATENCY_BOUNDS)

    def run(self, wait_stopped: Callable[[float], object]) -> None:
        """Measure until `wait_stopped(seconds)` returns true. Runs in its own greenlet."""
        due = time.monotonic() + LAG_INTERVAL
        while not wait_stopped(LAG_INTERVAL):
            # (Timers use the clock of the beginning of the turn, and so may be early.)
            self.lag_seconds.add(max(0.0, time.monotonic() - due))
            due = time.monotonic() + LAG_INTERVAL


class ServerView(Protocol):
    """What metrics and status read of a server."""

    options: ServerOptions
    ports: ServerPorts
    endpoints: EndpointTable
    started_at: float
    stopping: bool
    supervisor: Supervisor
    loop_lag: LoopLagMonitor
    certificate: CertificateManager | None
    files: FileKeeper | None
    file_routes: FileRoutes | None
    push_sender: PushSender | None
    store: Store
    node: ClusterNode | None
    messenger: Messenger
    acceptor: Acceptor

    @property
    def port(self) -> int: ...

    @property
    def tls_port(self) -> int | None: ...

    @property
    def public_url(self) -> str: ...

    @property
    def irc_websocket_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """Counts at one moment. `connections` is by protocol, kind of session, and transport."""

    connections: Counter[tuple[str, str, str]]
    sessions_behind: int
    outbox_frames: int
    outbox_frames_max: int


def take_snapshot(server: ServerView) -> ServerSnapshot:
    """Count connections, sessions and queued frames. Takes 10 ms for 10,000 connections; never yields."""
    sessions = [(session.sync.catching_up, session.outbox.pending_frames) for session in server.messenger.router]
    depths = [depth for _, depth in sessions]
    return ServerSnapshot(
        Counter(
            (*connection.protocol.labels, connection.transport_label) for connection in server.acceptor.connections
        ),
        sum(behind for behind, _ in sessions),
        sum(depths),
        max(depths, default=0),
    )


def status_report(server: ServerView) -> StatusReport:
    """Return the state of a server for `gmessenger-admin status`. Durations are in seconds."""
    now = take_snapshot(server)
    return StatusReport(
        version=__version__,
        pid=os.getpid(),
        port=server.port,
        uptime=time.time() - server.started_at,
        draining=server.stopping,
        connections=[[*labels, count] for labels, count in sorted(now.connections.items())],
        most_connections=server.options.max_connections,
        behind=now.sessions_behind,
        waiting=now.outbox_frames,
        longest=now.outbox_frames_max,
        store=_store_report(server),
        cluster=_cluster_report(server.node, alone=not server.options.bus),
        commits=_recent_quantiles(server.store.stats.commit_seconds),
        lag=_recent_quantiles(server.loop_lag.lag_seconds),
        certificate=server.certificate.expires_at if server.certificate is not None else None,
        failures=server.supervisor.failure_count,
        registration=server.options.registration,
        guests=server.options.guests,
        plain_passwords=server.options.plain_passwords,
        tls_port=server.tls_port,
        host=server.certificate.host if server.certificate is not None else "",
        pin=server.certificate.pin if server.certificate is not None else "",
        files=_files_report(server),
        web_url=server.public_url,
        irc_port=number_of(server.ports.irc),
        irc_tls_port=number_of(server.ports.irc_tls),
        irc_websocket=server.irc_websocket_url,
    )


def _files_report(server: ServerView) -> FilesReport | None:
    if server.files is None:
        return None
    usage = server.store.file_usage()
    folder, uploads = str(server.files.folder.path), server.messenger.files.upload_count
    return FilesReport(folder, usage.count, usage.size, server.options.files_of_all, uploads)


def _store_report(server: ServerView) -> StoreReport:
    url = server.options.store_url
    return StoreReport(
        redact_url(url), server.store.identity, failed=server.store.stats.failed_commits, bytes=_store_size(url)
    )


def _store_size(url: str) -> int | None:
    """Return the size of a store in bytes; None if it is unknown. Blocks for a query, if it is a database."""
    file = file_from_url(url)
    if file is not None:
        return sum(path.stat().st_size for path in (file, Path(f"{file}-wal")) if path.exists())
    if url == MEMORY_URL:
        return 0
    from gmessenger.store.postgres.verify import inspect_database

    with suppress(ExitError):
        return inspect_database(url).size
    return None


def _cluster_report(node: ClusterNode | None, *, alone: bool) -> ClusterReport | None:
    """Return the state of the cluster; None outside one. `alone`: this node has no bus."""
    if node is None:
        return None
    return ClusterReport(
        bus=None if alone else node.bus.connected,
        bus_for=time.monotonic() - node.bus.state_since,
        nodes=len(node.bus.nodes),
        names=len(node.peers.presences),
        filled=node.sequencer.gap_messages,
    )


def _recent_quantiles(histogram: Histogram) -> Quantiles:
    return Quantiles(sum(histogram.counts), histogram.quantile(0.5), histogram.quantile(0.99))
