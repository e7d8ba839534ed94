"""The bus between the nodes of a cluster: hints and presence over Redis, or nothing for a server that is alone."""

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


DEFAULT_NODE_TIMEOUT: Final = 15.0
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
    """The bus that a URL names: none where it is empty, else a Redis.

    `node` is who we are among those of the `cluster`; several clusters may share a Redis. `key` is 32 bytes that the
    nodes of the cluster have in common, and nobody else: without it, what is on the bus can neither be read nor forged.
    A node that has said nothing for `timeout` seconds of a steady `clock` is gone. `failed` is told of mistakes, the
    bus's own and its listener's. Whether the Redis is there is found out later. Raises `ConfigError` for a URL that
    names none.
    """
    if not url:
        return NullBus()
    with _importing_backend(url):
        from gmessenger.bus.redis import RedisBus
    return RedisBus(url, node, cluster, key, timeout, on_error or (lambda what, failure: None), monotonic)


def check_bus_url(url: str, timeout: float = DEFAULT_NODE_TIMEOUT) -> str:
    """What is there, in words. Raises `ConfigError` as `open_bus` does, and `Unreachable` where nothing answers."""
    if not url:
        return "none, this server is alone"
    with _importing_backend(url):
        from gmessenger.bus.connection import RedisEndpoint
    exchange = RedisEndpoint(url, Intervals(timeout).reply_timeout)
    try:
        line = exchange.connect()
    except ConnectionError as error:
        raise Unreachable(f"The bus {redact_url(url)!r} cannot be used: {error}") from error
    line.close()
    return f"Redis {line.version} at {exchange.address}"


@contextmanager
def _importing_backend(url: str) -> Iterator[None]:
    """Where the modules are imported that a URL takes. Raises `ConfigError` where there are none for it."""
    if not url.startswith(SCHEMES):
        raise ConfigError(f"The bus {redact_url(url)!r} is not one of {', '.join(SCHEMES)}.")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "redis":
            raise
        raise ConfigError(f"The bus {redact_url(url)!r} takes more: {install_command('cluster')}.") from error
