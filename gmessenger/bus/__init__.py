"""Bus between the nodes of a cluster: frames and presence over Redis; `NullBus` for a single server."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from gmessenger.bus.protocol import Intervals
from gmessenger.cluster.interfaces import Bus, BusListener, BusStats
from gmessenger.errors import ConfigError, Unreachable
from gmessenger.extras import install_command
from gmessenger.urls import redact_url


class NullBus:
    """The bus of a server without a cluster: it is never connected and has no peers."""

    connected = False
    state_since = 0.0
    nodes: Collection[str] = ()

    def __init__(self) -> None:
        self.stats = BusStats()

    def start(self, listener: BusListener) -> None:
        """Do nothing: no frames arrive."""

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        """Discard the data. It is not counted as lost, since there is no node to receive it."""

    def set_presence(self, key: str, entry: bytes | None) -> None:
        """Discard the presence entry."""

    def replace_key(self, key: bytes) -> None:
        """Do nothing: no packets are encrypted."""

    def close(self) -> None:
        """Do nothing: no connection is open."""


DEFAULT_NODE_TIMEOUT: Final = 15.0  # seconds
SCHEMES: Final = ("redis://", "rediss://", "unix://")

__all__ = ["DEFAULT_NODE_TIMEOUT", "check_bus_url", "open_bus"]


def open_bus(
    url: str,
    node: str,
    cluster: str,
    key: bytes,
    timeout: float = DEFAULT_NODE_TIMEOUT,
    on_error: Callable[[str, BaseException], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Bus:
    """Create the bus for a URL: a `RedisBus`, or a `NullBus` if the URL is empty. It does not connect yet.

    Args:
        url: see `SCHEMES`.
        node: id of this node in its cluster.
        cluster: id of the cluster; several clusters may share a Redis.
        key: 32 secret bytes shared by the nodes: without them, packets can neither be read nor forged.
        timeout: seconds of silence after which a node is considered gone.
        on_error: called with a location and an exception for unexpected failures of the bus or its listener.

    Raises:
        ConfigError: the URL is invalid, or redis-py is not installed.
    """
    if not url:
        return NullBus()
    with _importing_backend(url):
        from gmessenger.bus.redis import RedisBus
    return RedisBus(url, node, cluster, key, timeout, on_error or (lambda what, failure: None), monotonic)


def check_bus_url(url: str, timeout: float = DEFAULT_NODE_TIMEOUT) -> str:
    """Connect to the Redis of a URL once, and describe it for `--check`.

    Raises:
        ConfigError: as `open_bus`.
        Unreachable: Redis cannot be reached, or refuses the connection.
    """
    if not url:
        return "none, this server is alone"
    with _importing_backend(url):
        from gmessenger.bus.connection import RedisEndpoint
    endpoint = RedisEndpoint(url, Intervals(timeout).reply_timeout)
    try:
        connection = endpoint.connect()
    except ConnectionError as error:
        raise Unreachable(f"The bus {redact_url(url)!r} cannot be used: {error}") from error
    connection.close()
    return f"Redis {connection.version} at {endpoint.address}"


@contextmanager
def _importing_backend(url: str) -> Iterator[None]:
    """Turn an unknown scheme or a missing redis-py into a `ConfigError`."""
    if not url.startswith(SCHEMES):
        raise ConfigError(f"The bus {redact_url(url)!r} is not one of {', '.join(SCHEMES)}.")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "redis":
            raise
        raise ConfigError(f"The bus {redact_url(url)!r} takes more: {install_command('cluster')}.") from error
