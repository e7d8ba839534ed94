"""A group of clients that talk in direct conversations and rooms until they are told to finish."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import gevent
from gevent import Greenlet

from tests.chaos.checker import DeliveryLog
from tests.chaos.resending_client import ResendingClient
from tests.support.course_clients import Address

NAMES: Final = ("anna", "boris", "clara", "denis", "elena", "fedor", "greta", "hugo")
ROOMS: Final = {"#dev": NAMES[:5], "#all-hands": NAMES}
PAIRS: Final = tuple(zip(NAMES[::2], NAMES[1::2], strict=True))


def targets_of(name: str, names: Sequence[str] = NAMES) -> list[str]:
    """Return the names and rooms that a client sends to."""
    others = [other for pair in PAIRS if name in pair for other in pair if other != name and other in names]
    return others + [room for room, clients in ROOMS.items() if name in clients]


class GreenletGroup:
    """Clients that run in greenlets of their own, which end with the context."""

    def __init__(self) -> None:
        self._greenlets: list[Greenlet[..., None]] = []

    def __exit__(self, *_: object) -> None:
        gevent.killall(self._greenlets)

    def check_failures(self) -> None:
        """Raise if a client has failed."""
        for greenlet in self._greenlets:
            if greenlet.ready():
                greenlet.get()


class ClientGroup(GreenletGroup):
    """Clients of all NAMES, which are dealt to the addresses of a server. They send while the context is active."""

    def __init__(self, *addresses: Address, names: Sequence[str] = NAMES, **options: Any) -> None:
        super().__init__()
        self.log = DeliveryLog()
        self.clients: list[ResendingClient] = []
        for name, address in zip(names, itertools.cycle(addresses), strict=False):
            self._add(ResendingClient(name, address, self.log, targets_of(name, names), **options))

    def _add(self, client: ResendingClient) -> None:
        self.clients.append(client)
        for target in client.targets:
            self.log.recipients[client.conversation(target)].add(client.label)

    def __enter__(self) -> ClientGroup:
        self._greenlets = [gevent.spawn(client.run) for client in self.clients]
        return self

    def finish(self) -> None:
        """Stop sending; wait until everything is answered and received."""
        for step in (ResendingClient.finish, ResendingClient.catch_up):
            greenlets = [gevent.spawn(step, client) for client in self.clients]
            gevent.joinall([*greenlets, *self._greenlets], count=1)
            self.check_failures()
            gevent.joinall(greenlets, raise_error=True)
        self.check_failures()
