"""What there is to see of a server at one moment: for metrics, and for an operator who asks."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gmessenger import __version__
from gmessenger.chat.contract import Store
from gmessenger.chat.service import Messenger
from gmessenger.chat.tally import Histogram
from gmessenger.errors import ExitError
from gmessenger.options import ServerOptions
from gmessenger.server.pulse import Pulse
from gmessenger.server.reception import Reception
from gmessenger.server.tls import Certificate
from gmessenger.server.watch import Watch
from gmessenger.store import MEMORY, file_of
from gmessenger.urls import masked

if TYPE_CHECKING:
    from gmessenger.cluster.node import Node


class Observed(Protocol):
    """What can be seen of a server."""

    options: ServerOptions
    port: int
    started_at: float
    stopping: bool
    watch: Watch
    pulse: Pulse
    certificate: Certificate | None
    store: Store
    node: Node | None
    messenger: Messenger
    reception: Reception


@dataclass(frozen=True, slots=True)
class Census:
    """Connections by front, kind and transport; sessions that are behind; frames in all outboxes and in the fullest."""

    connections: Counter[tuple[str, str, str]]
    behind: int
    waiting: int
    longest: int


def take(server: Observed) -> Census:
    """Count. Ten thousand connections take about 10 ms, in which nothing else runs."""
    sessions = [(session.behind, session.outbox.waiting) for session in server.messenger.router]
    depths = [depth for _, depth in sessions]
    return Census(
        Counter((*connection.front.spoken, connection.transport) for connection in server.reception.connections),
        sum(behind for behind, _ in sessions),
        sum(depths),
        max(depths, default=0),
    )


def status(server: Observed) -> dict[str, Any]:
    """What a person may want to know first, in JSON's own types; times are seconds."""
    census = take(server)
    return {
        "version": __version__,
        "pid": os.getpid(),
        "port": server.port,
        "uptime": time.time() - server.started_at,
        "draining": server.stopping,
        "connections": [[*labels, count] for labels, count in sorted(census.connections.items())],
        "most_connections": server.options.max_connections,
        "behind": census.behind,
        "waiting": census.waiting,
        "longest": census.longest,
        "store": _store(server),
        "cluster": _cluster(server.node, alone=not server.options.bus),
        "commits": _recent(server.store.tally.commits),
        "lag": _recent(server.pulse.lateness),
        "certificate": server.certificate.expires_at if server.certificate is not None else None,
        "failures": server.watch.failures,
    }


def _store(server: Observed) -> dict[str, Any]:
    url = server.options.store_url
    told = {"url": masked(url), "identity": server.store.identity, "failed": server.store.tally.failed}
    return told | {"bytes": _size(url)}


def _size(url: str) -> int | None:
    """In bytes; None where nobody says."""
    file = file_of(url)
    if file is not None:
        return sum(each.stat().st_size for each in (file, Path(f"{file}-wal")) if each.exists())
    if url == MEMORY:
        return 0
    from gmessenger.store.postgres.inspecting import inspect_database

    with suppress(ExitError):
        return inspect_database(url).size
    return None


def _cluster(node: Node | None, *, alone: bool) -> dict[str, Any] | None:
    """What this server knows of the others that share its store; None where none do. `alone`: it has no bus."""
    if node is None:
        return None
    others = node.elsewhere.shown
    return {
        "bus": None if alone else node.bus.connected,
        "bus_for": time.monotonic() - node.bus.since,
        "nodes": len(node.bus.nodes),
        "names": len(others),
        "filled": node.ordering.filled,
    }


def _recent(histogram: Histogram) -> dict[str, float]:
    return {"count": sum(histogram.counts), **{f"p{share}": histogram.recently(share / 100) for share in (50, 99)}}
