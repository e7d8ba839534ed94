"""Metrics for Prometheus: a table of their names, descriptions, and how their values are read.

Nothing is counted here. Frequent events are counted in plain numbers where they happen (`chat/stats.py`): the locks of
a metrics library would cost more than a delivery. No label has the name of a user or room, or an address.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gmessenger import __version__
from gmessenger.chat.stats import Histogram
from gmessenger.cluster.interfaces import Bus
from gmessenger.server import snapshot
from gmessenger.server.snapshot import ServerSnapshot, ServerView

if TYPE_CHECKING:
    from gmessenger.cluster.node import ClusterNode

PREFIX: Final = "gmessenger_"
LabelNames: TypeAlias = tuple[str, ...]
MetricValue: TypeAlias = float | Histogram | Mapping[Any, float] | None
"""A number, or numbers by the value of the label or by a tuple of values; None if the metric is absent."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric. `name` is without PREFIX, and for a counter without the suffix `_total`."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    read_value: Callable[[ServerView, ServerSnapshot], MetricValue]
    labels: LabelNames = ()

    @property
    def full_name(self) -> str:
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


def _from_node(read: Callable[[ClusterNode], MetricValue]) -> Callable[[ServerView, ServerSnapshot], MetricValue]:
    """Return a reader for a metric that only nodes of a cluster have."""
    return lambda server, _: read(server.node) if server.node is not None else None


def _from_bus(read: Callable[[Bus], MetricValue]) -> Callable[[ServerView, ServerSnapshot], MetricValue]:
    """Return a reader for a metric that only nodes with a bus have."""
    return lambda server, _: read(server.node.bus) if server.node is not None and server.options.bus else None


METRICS: Final = (
    MetricSpec("info", "gauge", "always 1; which release runs", lambda server, _: {__version__: 1}, ("version",)),
    MetricSpec(
        "connections",
        "gauge",
        "open connections: front native, course, irc, or unknown before the login; kind guest, account, or unknown; "
        "transport plain, tls or web",
        lambda _, now: now.connections,
        ("front", "kind", "transport"),
    ),
    MetricSpec(
        "connections_opened",
        "counter",
        "connections accepted, by protocol, jim or irc, and transport",
        lambda server, _: server.acceptor.accepted_count,
        ("protocol", "transport"),
    ),
    MetricSpec(
        "connections_refused",
        "counter",
        "connections refused, or closed during the handshake",
        lambda server, _: server.acceptor.rejected_count,
        ("reason",),
    ),
    MetricSpec(
        "web_requests",
        "counter",
        "HTTP requests of --web and --irc-websocket, by the status of the answer; 101 for WebSockets",
        lambda server, _: server.endpoints.web_request_count,
        ("status",),
    ),
    MetricSpec(
        "hook_posts",
        "counter",
        "posts to hooks by outcome: stored, silent (events of which nothing is said), or the code word of the refusal",
        lambda server, _: server.messenger.stats.hook_posts,
        ("outcome",),
    ),
    MetricSpec(
        "pushes",
        "counter",
        "push messages by outcome: sent, deferred (tried again later), needless (read or erased by then, or told "
        "before), gone (the push service has forgotten the subscription), failed, or dropped (too many waited)",
        lambda server, _: server.messenger.stats.pushes,
        ("outcome",),
    ),
    MetricSpec(
        "pushes_waiting",
        "gauge",
        "push messages that wait to be sent",
        lambda server, _: server.push_sender.waiting_count if server.push_sender is not None else 0,
    ),
    MetricSpec(
        "push_subscriptions",
        "gauge",
        "devices with a push subscription",
        lambda server, _: len(server.messenger.subscriptions),
    ),
    MetricSpec(
        "files",
        "gauge",
        "files kept, as counted last",
        lambda server, _: server.files.usage.count if server.files is not None else 0,
    ),
    MetricSpec(
        "file_bytes",
        "gauge",
        "bytes of the files kept, each in blocks of 4096, as counted last",
        lambda server, _: server.files.usage.size if server.files is not None else 0,
    ),
    MetricSpec(
        "file_uploads",
        "counter",
        "uploads of files by outcome: kept, or the code word or status of the refusal",
        lambda server, _: server.file_routes.outcomes if server.file_routes is not None else {},
        ("outcome",),
    ),
    MetricSpec(
        "file_sent_bytes",
        "counter",
        "bytes of files that clients have asked for",
        lambda server, _: server.file_routes.sent_bytes if server.file_routes is not None else 0,
    ),
    MetricSpec(
        "logins",
        "counter",
        "logins by result: ok, resumed (with a session's secret), or the code word of the refusal",
        lambda server, _: server.messenger.stats.logins,
        ("result",),
    ),
    MetricSpec(
        "sessions_behind", "gauge", "sessions that are catching up from the store", lambda _, now: now.sessions_behind
    ),
    MetricSpec(
        "outbox_frames", "gauge", "frames queued for clients, in all outboxes", lambda _, now: now.outbox_frames
    ),
    MetricSpec("outbox_frames_max", "gauge", "frames in the fullest outbox", lambda _, now: now.outbox_frames_max),
    MetricSpec(
        "messages",
        "counter",
        "messages accepted, by outcome: stored, duplicate (sent again with the same id), or relayed (not stored)",
        lambda server, _: {
            "stored": server.messenger.stats.stored,
            "duplicate": server.messenger.stats.duplicates,
            "relayed": server.messenger.stats.relayed,
        },
        ("outcome",),
    ),
    MetricSpec(
        "messages_refused",
        "counter",
        "messages refused, by code word",
        lambda server, _: server.messenger.stats.refused,
        ("code",),
    ),
    MetricSpec(
        "deliveries",
        "counter",
        "messages put into outboxes, live or from the store; one for each recipient session",
        lambda server, _: server.messenger.stats.deliveries,
    ),
    MetricSpec(
        "delivery_seconds",
        "histogram",
        "from a stored message's arrival to its being in the outboxes; each counts as the slowest of its batch",
        lambda server, _: server.store.stats.append_seconds,
    ),
    MetricSpec(
        "store_commit_seconds",
        "histogram",
        "how long commits took",
        lambda server, _: server.store.stats.commit_seconds,
    ),
    MetricSpec(
        "store_batch_messages", "histogram", "messages in a commit", lambda server, _: server.store.stats.batch_sizes
    ),
    MetricSpec("store_failures", "counter", "commits that failed", lambda server, _: server.store.stats.failed_commits),
    MetricSpec(
        "bus_connected",
        "gauge",
        "1 while the bus between the servers of a cluster is connected, else 0; absent, like all metrics of the "
        "cluster, for a server without one",
        _from_bus(lambda bus: float(bus.connected)),
    ),
    MetricSpec(
        "bus_frames",
        "counter",
        "frames on the bus: sent, received, or lost because they could not be sent",
        _from_bus(lambda bus: {"sent": bus.stats.sent, "received": bus.stats.received, "lost": bus.stats.lost}),
        ("outcome",),
    ),
    MetricSpec(
        "bus_rejected",
        "counter",
        "messages on the bus that were rejected, by reason: unreadable, key (another one than the cluster's), "
        "forged, replayed, stale (recorded before), or full (too many servers)",
        _from_bus(lambda bus: bus.stats.rejected),
        ("reason",),
    ),
    MetricSpec(
        "bus_missed",
        "counter",
        "messages that other servers published and this one missed: they were suppressed, or a connection broke",
        _from_bus(lambda bus: bus.stats.missed),
    ),
    MetricSpec(
        "bus_returns",
        "counter",
        "how often the connection to the bus was restored",
        _from_bus(lambda bus: bus.stats.reconnects),
    ),
    MetricSpec(
        "other_servers",
        "gauge",
        "other servers of the cluster that are known",
        _from_bus(lambda bus: len(bus.nodes)),
    ),
    MetricSpec(
        "names_elsewhere",
        "gauge",
        "names that are online on other servers",
        _from_node(lambda node: len(node.peers.presences)),
    ),
    MetricSpec(
        "messages_filled",
        "counter",
        "messages of other servers that were read from the store, because no hint on the bus announced them in time",
        _from_node(lambda node: node.sequencer.gap_messages),
    ),
    MetricSpec(
        "loop_lag_seconds",
        "histogram",
        "how late the loop was, four times a second",
        lambda server, _: server.loop_lag.lag_seconds,
    ),
    MetricSpec(
        "failures",
        "counter",
        "internal errors of the server; each is logged",
        lambda server, _: server.supervisor.failure_count,
    ),
    MetricSpec(
        "certificate_expiry_timestamp_seconds",
        "gauge",
        "when the certificate expires, in Unix seconds; absent without TLS",
        lambda server, _: server.certificate.expires_at if server.certificate is not None else None,
    ),
)


class ServerCollector(Collector):
    """Reads the values of METRICS from a server for each scrape."""

    def __init__(self, server: ServerView) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        now = snapshot.take_snapshot(self._server)
        for spec in METRICS:
            value = spec.read_value(self._server, now)
            if value is not None:
                yield _make_family(spec, value)


class ProcessMetrics(ProcessCollector):
    """The usual `process_…` metrics, also under ProcSubset=pid of the systemd unit."""

    def _boot_time(self) -> float:
        try:
            return float(super()._boot_time())  # type: ignore[no-untyped-call]
        except OSError:
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def make_registry(server: ServerView) -> CollectorRegistry:
    """Return a registry with the server's metrics, and the library's of the process."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(server))
    for collector in (ProcessMetrics, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _make_family(spec: MetricSpec, value: float | Histogram | Mapping[Any, float]) -> Metric:
    name = PREFIX + spec.name
    if isinstance(value, Histogram):
        cumulative = itertools.accumulate(value.counts)
        bounds = [*map(str, map(float, value.bounds)), "+Inf"]
        return HistogramMetricFamily(name, spec.help, list(zip(bounds, cumulative, strict=True)), value.sum)
    family: GaugeMetricFamily | CounterMetricFamily
    family = (CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily)(name, spec.help, labels=spec.labels)
    values = value if isinstance(value, Mapping) else {(): value}
    for labels, number in values.items():
        family.add_metric((labels,) if isinstance(labels, str) else labels, number)
    return family
