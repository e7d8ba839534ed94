"""A snapshot of the server for metrics and status, and the monitor of event loop lag."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from gmessenger import __version__
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.stats import LATENCY_BOUNDS, Histogram
from gmessenger.chat.storage import Store
from gmessenger.config.options import ServerOptions
from gmessenger.constants import MEMORY_URL
from gmessenger.errors import ExitError
from gmessenger.server.acceptor import Acceptor
from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.tls import CertificateManager
from gmessenger.store import file_from_url
from gmessenger.urls import redact_url

if TYPE_CHECKING:
    from gmessenger.cluster.node import ClusterNode

LAG_INTERVAL: Final = 0.25
"""Seconds between two beats."""


class LoopLagMonitor:
    """Measures while `beat` runs. Who keeps the loop to himself for longer than a beat is always noticed."""

    def __init__(self) -> None:
        self.lag_seconds = Histogram(LATENCY_BOUNDS)

    def run(self, wait_stopped: Callable[[float], object]) -> None:
        """Measure until `stopped`, which waits that many seconds, says so."""
        due = time.monotonic() + LAG_INTERVAL
        while not wait_stopped(LAG_INTERVAL):
            # (The loop's timers look at the clock once a turn, and so may be early.)
            self.lag_seconds.add(max(0.0, time.monotonic() - due))
            due = time.monotonic() + LAG_INTERVAL


class ServerView(Protocol):
    """What can be seen of a server."""

    options: ServerOptions
    port: int
    started_at: float
    stopping: bool
    supervisor: Supervisor
    loop_lag: LoopLagMonitor
    certificate: CertificateManager | None
    store: Store
    node: ClusterNode | None
    messenger: Messenger
    acceptor: Acceptor


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """Connections by front, kind and transport; sessions that are behind; frames in all outboxes and in the fullest."""

    connections: Counter[tuple[str, str, str]]
    sessions_behind: int
    outbox_frames: int
    outbox_frames_max: int


def take_snapshot(server: ServerView) -> ServerSnapshot:
    """Count. Ten thousand connections take about 10 ms, in which nothing else runs."""
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


def status_report(server: ServerView) -> dict[str, Any]:
    """What a person may want to know first, in JSON's own types; times are seconds."""
    census = take_snapshot(server)
    return {
        "version": __version__,
        "pid": os.getpid(),
        "port": server.port,
        "uptime": time.time() - server.started_at,
        "draining": server.stopping,
        "connections": [[*labels, count] for labels, count in sorted(census.connections.items())],
        "most_connections": server.options.max_connections,
        "behind": census.sessions_behind,
        "waiting": census.outbox_frames,
        "longest": census.outbox_frames_max,
        "store": _store_status(server),
        "cluster": _cluster_status(server.node, alone=not server.options.bus),
        "commits": _recent_quantiles(server.store.stats.commit_seconds),
        "lag": _recent_quantiles(server.loop_lag.lag_seconds),
        "certificate": server.certificate.expires_at if server.certificate is not None else None,
        "failures": server.supervisor.failure_count,
    }


def _store_status(server: ServerView) -> dict[str, Any]:
    url = server.options.store_url
    told = {"url": redact_url(url), "identity": server.store.identity, "failed": server.store.stats.failed_commits}
    return told | {"bytes": _store_size(url)}


def _store_size(url: str) -> int | None:
    """In bytes; None where nobody says."""
    file = file_from_url(url)
    if file is not None:
        return sum(each.stat().st_size for each in (file, Path(f"{file}-wal")) if each.exists())
    if url == MEMORY_URL:
        return 0
    from gmessenger.store.postgres.verify import inspect_database

    with suppress(ExitError):
        return inspect_database(url).size
    return None


def _cluster_status(node: ClusterNode | None, *, alone: bool) -> dict[str, Any] | None:
    """What this server knows of the others that share its store; None where none do. `alone`: it has no bus."""
    if node is None:
        return None
    others = node.peers.presences
    return {
        "bus": None if alone else node.bus.connected,
        "bus_for": time.monotonic() - node.bus.state_since,
        "nodes": len(node.bus.nodes),
        "names": len(others),
        "filled": node.sequencer.gap_messages,
    }


def _recent_quantiles(histogram: Histogram) -> dict[str, float]:
    return {"count": sum(histogram.counts), **{f"p{share}": histogram.quantile(share / 100) for share in (50, 99)}}
