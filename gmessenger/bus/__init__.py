"""Carries hints between the nodes of a cluster, and shows each of them who is present on the others.
It must not know the messenger, the store, or what a hint says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gmessenger.bus.keys import Pace
from gmessenger.bus.local import LocalBus
from gmessenger.cluster.contract import Bus
from gmessenger.errors import ConfigProblem, Unreachable
from gmessenger.extras import how_to_install
from gmessenger.urls import masked

TIMEOUT: Final = 15.0
SCHEMES: Final = ("redis://", "rediss://", "unix://")

__all__ = ["TIMEOUT", "open_bus", "try_bus"]


def open_bus(
    url: str,
    node: str,
    cluster: str,
    key: bytes,
    timeout: float = TIMEOUT,
    failed: Callable[[str, BaseException], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Bus:
    """The bus that a URL names: none where it is empty, else a Redis.

    `node` is who we are among those of the `cluster`; several clusters may share a Redis. `key` is 32 bytes that the
    nodes of the cluster have in common, and nobody else: without it, what is on the bus can neither be read nor forged.
    A node that has said nothing for `timeout` seconds of a steady `clock` is gone. `failed` is told of mistakes, the
    bus's own and its listener's. Whether the Redis is there is found out later. Raises `ConfigProblem` for a URL that
    names none.
    """
    if not url:
        return LocalBus()
    with _readable(url):
        from gmessenger.bus.redis import RedisBus
    return RedisBus(url, node, cluster, key, timeout, failed or (lambda what, failure: None), clock)


def try_bus(url: str, timeout: float = TIMEOUT) -> str:
    """What is there, in words. Raises `ConfigProblem` as `open_bus` does, and `Unreachable` where nothing answers."""
    if not url:
        return "none, this server is alone"
    with _readable(url):
        from gmessenger.bus.dialling import Exchange
    exchange = Exchange(url, Pace(timeout).answer)
    try:
        line = exchange.dial()
    except ConnectionError as error:
        raise Unreachable(f"The bus {masked(url)!r} cannot be used: {error}") from error
    line.close()
    return f"Redis {line.version} at {exchange.address}"


@contextmanager
def _readable(url: str) -> Iterator[None]:
    """Where the modules are imported that a URL takes. Raises `ConfigProblem` where there are none for it."""
    if not url.startswith(SCHEMES):
        raise ConfigProblem(f"The bus {masked(url)!r} is not one of {', '.join(SCHEMES)}.")
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "redis":
            raise
        raise ConfigProblem(f"The bus {masked(url)!r} takes more: {how_to_install('cluster')}.") from error
