"""Dialer: connect to the first of a host's addresses that answers (happy eyeballs, RFC 8305)."""

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
"""Seconds until the next address is tried beside one that has not answered (RFC 8305, 8: 250 ms)."""
MAX_ADDRESSES: Final = 16
"""Addresses of a host that are tried; a name server may say any number."""


class ResolvedAddress(NamedTuple):
    """One address of a host: what `socket` and `connect` take."""

    family: int
    kind: int
    protocol: int
    sockaddr: Any


AttemptResult: TypeAlias = "socket.socket | OSError"


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to a host within `timeout` seconds, to whichever of its addresses answers first.

    Blocks the calling greenlet; each attempt runs in one of its own, and none is left when this returns. Raises OSError
    with a reason fit to be shown.
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
            found = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    except ValueError as error:
        raise OSError(Text("this is not a host name")) from error
    return [ResolvedAddress(family, kind, protocol, place) for family, kind, protocol, _, place in found]


def is_unknown_host(error: BaseException | None) -> bool:
    """Say whether `dial` failed because there is no such host, or no such name of one: trying again is of no use."""
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return type(error) is OSError and error.errno is None


def is_resolution_error(error: BaseException | None) -> bool:
    """Say whether `dial` failed because the host's address could not be looked up, for good or just now."""
    return isinstance(error, socket.gaierror) or is_unknown_host(error)


def interleave_families(addresses: Sequence[ResolvedAddress]) -> list[ResolvedAddress]:
    """Order addresses so that families take turns, beginning with that of the first (RFC 8305, 4)."""
    families: dict[int, list[ResolvedAddress]] = {}
    for each in addresses:
        families.setdefault(each.family, []).append(each)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return list(islice((each for each in turns if each is not None), MAX_ADDRESSES))


class _ConnectionRace:
    """Attempts on several addresses, each begun a moment after the one before it, or as soon as that one failed."""

    def __init__(self, addresses: Sequence[ResolvedAddress]) -> None:
        self._untried = deque(addresses)
        self._attempts: list[Greenlet[..., object]] = []
        self._outcomes: SimpleQueue[AttemptResult] = SimpleQueue()

    def run(self, deadline: float) -> socket.socket:
        """Return the first socket that is connected. Raises the first failure when all failed, or TimeoutError."""
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
        """End all attempts and close the sockets of those that came too late."""
        gevent.killall(self._attempts)
        with suppress(Empty):
            while True:
                outcome = self._outcomes.get_nowait()
                if isinstance(outcome, socket.socket):
                    outcome.close()

    def _next_outcome(self, deadline: float) -> AttemptResult | None:
        """Wait for an attempt to end; None when it is time for the next one. Raises TimeoutError at the deadline."""
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
