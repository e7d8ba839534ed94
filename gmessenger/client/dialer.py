"""Dialer: connect to the first of a host's addresses that responds (happy eyeballs, RFC 8305)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, islice, zip_longest
from typing import Any, Final, NamedTuple, TypeAlias

import gevent
from gevent import Greenlet, Timeout, socket
from gevent.queue import Empty, SimpleQueue

from gmessenger.hosts import ascii_host
from gmessenger.text import Text

ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next address is tried in parallel (RFC 8305, 8: 250 ms)."""
MAX_ADDRESSES: Final = 16
"""Addresses of a host that are tried; a name server may return any number."""


class ResolvedAddress(NamedTuple):
    """One address of a host: the arguments of `socket` and `connect`."""

    family: int
    kind: int
    protocol: int
    sockaddr: Any


AttemptResult: TypeAlias = "socket.socket | OSError"


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to the address of a host that responds first, within `timeout` seconds.

    Blocks the calling greenlet. Each attempt runs in a greenlet of its own, and all have ended when this returns.
    Raises OSError; `describe_error` makes a reason of it that can be shown.
    """
    deadline = time.monotonic() + timeout
    addresses = interleave_families(resolve(host, port, timeout))
    if not addresses:
        raise OSError(Text("the host name has no address"))
    race = _ConnectionRace(addresses)
    try:
        return race.run(deadline)
    except TimeoutError:
        raise TimeoutError(Text("no answer within {seconds:g} s", seconds=timeout)) from None
    finally:
        race.stop()


def resolve(host: str, port: int, timeout: float) -> list[ResolvedAddress]:
    """Look up the addresses of a host, best first. Raises OSError, within `timeout` seconds."""
    try:
        name = ascii_host(host)
        with Timeout(timeout, TimeoutError(Text("the host name could not be resolved in time"))):
            rows = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    except ValueError as error:
        raise OSError(Text("this is not a host name")) from error
    return [ResolvedAddress(family, kind, protocol, sockaddr) for family, kind, protocol, _, sockaddr in rows]


def is_unknown_host(error: BaseException | None) -> bool:
    """Return whether `dial` failed because the host does not exist or its name is invalid: a retry cannot help."""
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return type(error) is OSError and error.errno is None


def is_resolution_error(error: BaseException | None) -> bool:
    """Return whether `dial` failed because the host could not be resolved, permanently or temporarily."""
    return isinstance(error, socket.gaierror) or is_unknown_host(error)


def interleave_families(addresses: Sequence[ResolvedAddress]) -> list[ResolvedAddress]:
    """Order addresses so that families alternate, beginning with that of the first (RFC 8305, 4)."""
    families: dict[int, list[ResolvedAddress]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    alternating = chain.from_iterable(zip_longest(*families.values()))
    return list(islice((address for address in alternating if address is not None), MAX_ADDRESSES))


class _ConnectionRace:
    """Attempts to connect to several addresses, each `ATTEMPT_DELAY` after the one before, or when that failed."""

    def __init__(self, addresses: Sequence[ResolvedAddress]) -> None:
        self._untried = deque(addresses)
        self._attempts: list[Greenlet[..., object]] = []
        self._outcomes: SimpleQueue[AttemptResult] = SimpleQueue()

    def run(self, deadline: float) -> socket.socket:
        """Return the first connected socket. Raises the first error if all attempts fail, and TimeoutError."""
        failure: OSError | None = None
        running = 0
        while self._untried or running:
            if self._untried:
                self._attempts.append(gevent.spawn(self._attempt, self._untried.popleft()))
                running += 1
            outcome = self._next_outcome(deadline)
            if isinstance(outcome, socket.socket):
                return outcome
            if outcome is not None:
                failure = failure or outcome
                running -= 1
        assert failure is not None
        raise failure

    def stop(self) -> None:
        """End all attempts, and close the sockets of those that connected too late."""
        gevent.killall(self._attempts)
        with suppress(Empty):
            while True:
                outcome = self._outcomes.get_nowait()
                if isinstance(outcome, socket.socket):
                    outcome.close()

    def _next_outcome(self, deadline: float) -> AttemptResult | None:
        """Wait for an attempt to end; return None when the next one is due. Raises TimeoutError at the deadline."""
        left = deadline - time.monotonic()
        try:
            return self._outcomes.get(timeout=max(min(left, ATTEMPT_DELAY) if self._untried else left, 0.0))
        except Empty:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            return None

    def _attempt(self, address: ResolvedAddress) -> None:
        try:
            self._outcomes.put(_connect(address))
        except OSError as error:
            self._outcomes.put(error)


def _connect(address: ResolvedAddress) -> socket.socket:
    sock = socket.socket(address.family, address.kind, address.protocol)
    try:
        sock.settimeout(None)  # the race has the deadline
        sock.connect(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock
