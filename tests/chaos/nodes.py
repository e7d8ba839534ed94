"""A cluster of processes with a crowd on it: what is done to it, and who talks meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gevent

from gmessenger.launcher.services import Postgres, Redis
from tests.chaos.accounts import populate
from tests.chaos.latency_probe import BEACONS, SEAS, Beacon, Crossings
from tests.chaos.load import NAMES, ROOMS, Crowd, targets_of
from tests.chaos.network import Network
from tests.chaos.process import HOST, Server
from tests.chaos.resending_client import Member

NODES: Final = len(BEACONS)
BUS_TIMEOUT: Final = 3.0
SILENCE: Final = 4.0
OPTIONS: Final = ("--bus-timeout", f"{BUS_TIMEOUT:g}", "--store-timeout", "5", "--drain-timeout", "3")
REMOTE: Final = ("--plain-passwords", "yes", "--connect-rate", "10000", "--max-connections-per-ip", "10000")
"""For nodes that are dialled from elsewhere, which are watched as loopback is not."""
WITH_PHONES: Final = ("anna", "clara", "fedor")
HABITS: Final[dict[str, Any]] = {"window": 2, "pause": 0.05, "silence": SILENCE}


class Nodes:
    """PostgreSQL, which waits for the disk, Redis, and servers on both; each in a network of its own, where there is a
    `network`.
    """

    def __init__(self, folder: Path, network: Network | None) -> None:
        self.network = network
        host = network.host if network is not None else HOST
        self.postgres, self.redis = Postgres(port=0, host=host), Redis(port=0, host=host)
        self.postgres.start()
        self.redis.start()
        devices = [(name, device) for name in WITH_PHONES for device in ("default", "phone")]
        self.store = populate(self.postgres.database(), (*NAMES, *BEACONS), ROOMS | SEAS, devices)
        self.servers = [self._server(folder, number) for number in range(NODES)]

    def _server(self, folder: Path, number: int) -> Server:
        log, bus = folder / f"node{number}.log", ("--bus", self.redis.url)
        if self.network is None:
            return Server(self.store, log, *bus, *OPTIONS)
        address, inside = self.network.address(number), self.network.inside(number)
        return Server(self.store, log, *bus, *OPTIONS, *REMOTE, host=address, inside=inside)

    def __enter__(self) -> Nodes:
        gevent.joinall([gevent.spawn(server.start) for server in self.servers], raise_error=True)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            with server:
                pass
        self.redis.close()
        self.postgres.close()

    def complaints(self) -> list[str]:
        return [line for server in self.servers for line in server.complaints()]


class Travellers(Crowd):
    """Everybody of NAMES, some with a phone besides, each on any node; and a beacon on every node."""

    def __init__(self, servers: Sequence[Server]) -> None:
        super().__init__(servers[0], ())
        self.crossings = Crossings()
        devices = [(name, device) for device in ("", "phone") for name in (WITH_PHONES if device else NAMES)]
        for place, (name, device) in enumerate(devices):
            doors = [servers[(place + step) % len(servers)] for step in range(len(servers))]
            self._add(Member(name, doors, self.ledger, targets_of(name), device=device, **HABITS))
        self.beacons = [
            Beacon(name, server, self.ledger, self.crossings, SILENCE)
            for name, server in zip(BEACONS, servers, strict=True)
        ]
        for beacon in self.beacons:
            self._add(beacon)
        for sea in SEAS:
            self.ledger.audience[sea] |= set(BEACONS)

    def __enter__(self) -> Travellers:
        super().__enter__()
        self._greenlets += [gevent.spawn(beacon.beat) for beacon in self.beacons]
        return self

    def settle(self) -> None:
        for member in self.members:
            member.stop_sending()
        super().settle()
