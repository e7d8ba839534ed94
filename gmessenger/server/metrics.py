"""Metrics as a table: what each is called, what it means, and where its numbers are read when somebody asks.

Nothing is counted here. What happens often is counted in plain numbers where it happens (`chat/tally.py`): the locks of
a metrics library would cost more than a delivery. No label ever holds a name, a room or an address.
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
from gmessenger.chat.tally import Histogram
from gmessenger.cluster.contract import Bus
from gmessenger.server import census
from gmessenger.server.census import Census, Observed

if TYPE_CHECKING:
    from gmessenger.cluster.node import Node

PREFIX: Final = "gmessenger_"
Labels: TypeAlias = tuple[str, ...]
Reading: TypeAlias = float | Histogram | Mapping[Any, float] | None
"""A number, or numbers by the value of the label, or by a tuple of them; None where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. `name` is without the prefix, and for a counter without the `_total` that is shown behind it."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    about: str
    read: Callable[[Observed, Census], Reading]
    labels: Labels = ()

    @property
    def shown(self) -> str:
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


def _of_node(read: Callable[[Node], Reading]) -> Callable[[Observed, Census], Reading]:
    """What a server tells that has others beside it."""
    return lambda server, _: read(server.node) if server.node is not None else None


def _of_bus(read: Callable[[Bus], Reading]) -> Callable[[Observed, Census], Reading]:
    """What a server tells that has a bus to them."""
    return lambda server, _: read(server.node.bus) if server.node is not None and server.options.bus else None


METRICS: Final = (
    Row("info", "gauge", "always 1; which release runs", lambda server, _: {__version__: 1}, ("version",)),
    Row(
        "connections",
        "gauge",
        "open connections: front native, course, or unknown before the login; kind guest, account, or unknown; "
        "transport plain or tls",
        lambda _, now: now.connections,
        ("front", "kind", "transport"),
    ),
    Row(
        "connections_opened",
        "counter",
        "connections accepted",
        lambda server, _: server.reception.opened,
        ("transport",),
    ),
    Row(
        "connections_refused",
        "counter",
        "connections refused, or closed during the handshake",
        lambda server, _: server.reception.refused,
        ("reason",),
    ),
    Row(
        "logins",
        "counter",
        "logins by result: ok, resumed (with a session's secret), or the code word of the refusal",
        lambda server, _: server.messenger.tally.logins,
        ("result",),
    ),
    Row("sessions_behind", "gauge", "sessions that are catching up from the store", lambda _, now: now.behind),
    Row("outbox_frames", "gauge", "frames queued for clients, in all outboxes", lambda _, now: now.waiting),
    Row("outbox_frames_max", "gauge", "frames in the fullest outbox", lambda _, now: now.longest),
    Row(
        "messages",
        "counter",
        "messages accepted, by outcome: stored, duplicate (sent again with the same id), or handed_over (not stored)",
        lambda server, _: {
            "stored": server.messenger.tally.stored,
            "duplicate": server.messenger.tally.duplicates,
            "handed_over": server.messenger.tally.handed_over,
        },
        ("outcome",),
    ),
    Row(
        "messages_refused",
        "counter",
        "messages refused, by code word",
        lambda server, _: server.messenger.tally.refused,
        ("code",),
    ),
    Row(
        "deliveries",
        "counter",
        "messages put into outboxes, live or from the store; one for each recipient session",
        lambda server, _: server.messenger.tally.deliveries,
    ),
    Row(
        "delivery_seconds",
        "histogram",
        "from a stored message's arrival to its being in the outboxes; each counts as the slowest of its batch",
        lambda server, _: server.store.tally.settling,
    ),
    Row("store_commit_seconds", "histogram", "how long commits took", lambda server, _: server.store.tally.commits),
    Row("store_batch_messages", "histogram", "messages in a commit", lambda server, _: server.store.tally.batches),
    Row("store_failures", "counter", "commits that failed", lambda server, _: server.store.tally.failed),
    Row(
        "bus_connected",
        "gauge",
        "1 while the bus between the servers of a cluster is connected, else 0; absent, like all metrics of the "
        "cluster, for a server without one",
        _of_bus(lambda bus: float(bus.connected)),
    ),
    Row(
        "bus_hints",
        "counter",
        "notices on the bus: sent, received, or lost because they could not be sent",
        _of_bus(lambda bus: {"sent": bus.tally.sent, "received": bus.tally.received, "lost": bus.tally.lost}),
        ("outcome",),
    ),
    Row(
        "bus_rejected",
        "counter",
        "messages on the bus that were rejected, by reason: unreadable, key (another one than the cluster's), "
        "forged, replayed, stale (recorded before), or full (too many servers)",
        _of_bus(lambda bus: bus.tally.rejected),
        ("reason",),
    ),
    Row(
        "bus_missed",
        "counter",
        "messages that other servers published and this one missed: they were suppressed, or a connection broke",
        _of_bus(lambda bus: bus.tally.missed),
    ),
    Row(
        "bus_returns",
        "counter",
        "how often the connection to the bus was restored",
        _of_bus(lambda bus: bus.tally.returns),
    ),
    Row(
        "other_servers",
        "gauge",
        "other servers of the cluster that are known",
        _of_bus(lambda bus: len(bus.nodes)),
    ),
    Row(
        "names_elsewhere",
        "gauge",
        "names that are online on other servers",
        _of_node(lambda node: len(node.elsewhere.shown)),
    ),
    Row(
        "messages_filled",
        "counter",
        "messages of other servers that were read from the store, because no notice on the bus announced them in time",
        _of_node(lambda node: node.ordering.filled),
    ),
    Row(
        "loop_lag_seconds",
        "histogram",
        "how late the loop was, four times a second",
        lambda server, _: server.pulse.lateness,
    ),
    Row(
        "failures",
        "counter",
        "internal errors of the server; each is logged",
        lambda server, _: server.watch.failures,
    ),
    Row(
        "certificate_expiry_timestamp_seconds",
        "gauge",
        "when the certificate expires, in Unix seconds; absent without TLS",
        lambda server, _: server.certificate.expires_at if server.certificate is not None else None,
    ),
)


class Watched(Collector):
    """Reads the table's numbers off a server whenever they are asked for."""

    def __init__(self, server: Observed) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        now = census.take(self._server)
        for row in METRICS:
            reading = row.read(self._server, now)
            if reading is not None:
                yield _family(row, reading)


class ProcessMetrics(ProcessCollector):
    """The usual `process_…`, where /proc holds nothing but processes, too (ProcSubset=pid of our unit)."""

    def _boot_time(self) -> float:
        try:
            return float(super()._boot_time())  # type: ignore[no-untyped-call]
        except OSError:
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def registry_of(server: Observed) -> CollectorRegistry:
    """A registry of this server's own, with what the library knows of any process."""
    registry = CollectorRegistry()
    registry.register(Watched(server))
    for collector in (ProcessMetrics, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _family(row: Row, reading: float | Histogram | Mapping[Any, float]) -> Metric:
    name = PREFIX + row.name
    if isinstance(reading, Histogram):
        counted = itertools.accumulate(reading.counts)
        bounds = [*map(str, map(float, reading.bounds)), "+Inf"]
        return HistogramMetricFamily(name, row.about, list(zip(bounds, counted, strict=True)), reading.sum)
    family: GaugeMetricFamily | CounterMetricFamily
    family = (CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily)(name, row.about, labels=row.labels)
    numbers = reading if isinstance(reading, Mapping) else {(): reading}
    for labels, number in numbers.items():
        family.add_metric((labels,) if isinstance(labels, str) else labels, number)
    return family
