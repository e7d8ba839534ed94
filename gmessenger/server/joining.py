"""Joining a cluster: the bus and the node of a server whose store others share, if it has one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gmessenger.chat.contract import Store
from gmessenger.chat.presence import Later
from gmessenger.cluster.contract import is_shared
from gmessenger.errors import ConfigProblem, FileProblem, StoreUnavailable
from gmessenger.options import ServerOptions
from gmessenger.server.watch import Watch

if TYPE_CHECKING:
    from gmessenger.cluster.node import Node


def node_of(store: Store, options: ServerOptions, watch: Watch, later: Later) -> Node | None:
    """The node that a server is; None for one that is alone. Raises `ConfigProblem` for a bus that leads to nobody."""
    if not is_shared(store):
        if options.bus:
            raise ConfigProblem("--bus is for servers that share a store: it needs --store postgresql://….")
        return None
    # Only now: most servers are alone.
    from gmessenger.bus import open_bus
    from gmessenger.cluster.node import Node

    try:
        key = store.bus_key()
    except StoreUnavailable as error:
        raise FileProblem(f"The store cannot be read: {error}") from error
    bus = open_bus(options.bus, store.node, store.cluster, key, options.bus_timeout, watch.failed)
    return Node(store, bus, watch.spawn, later, time.time, time.monotonic, options.cluster_check, watch.failed)
