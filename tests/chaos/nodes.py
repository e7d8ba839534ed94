"""A cluster of processes and its clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import gevent

from gmessenger.launcher.services import Postgres, Redis
from tests.chaos.accounts import populate
from tests.chaos.latency_probe import PROBE_ROOMS, PROBES, ProbeClient, ProbeLog
from tests.chaos.load import NAMES, ROOMS, ClientGroup, targets_of
from tests.chaos.network import Network
from tests.chaos.process import HOST, RestartableServer
from tests.chaos.resending_client import ResendingClient

NODES: Final = len(PROBES)
BUS_TIMEOUT: Final = 3.0
SILENCE_TIMEOUT: Final = 4.0
OPTIONS: Final = ("--bus-timeout", f"{BUS_TIMEOUT:g}", "--store-timeout", "5", "--drain-timeout", "3")
REMOTE_OPTIONS: Final = ("--plain-passwords", "yes", "--connect-rate", "10000", "--max-connections-per-ip", "10000")
"""For nodes that are dialled from elsewhere, which are watched as loopback is not."""
WITH_PHONES: Final = ("anna", "clara", "fedor")
CLIENT_OPTIONS: Final[dict[str, Any]] = {"window": 2, "pause": 0.05, "silence": SILENCE_TIMEOUT}


class ProcessCluster:
    """PostgreSQL (with fsync), Redis and server processes, each in a namespace if there is a `network`."""

    def __init__(self, folder: Path, network: Network | None) -> None:
        self.network = network
        host = network.host if network is not None else HOST
        self.postgres, self.redis = Postgres(port=0, host=host), Redis(port=0, host=host)
        self.postgres.start()
        self.redis.start()
        devices = [(name, device) for name in WITH_PHONES for device in ("default", "phone")]
        self.store = populate(self.postgres.database(), (*NAMES, *PROBES), ROOMS | PROBE_ROOMS, devices)
        self.servers = [self._server(folder, number) for number in range(NODES)]

    def _server(self, folder: Path, number: int) -> RestartableServer:
        log, bus = folder / f"node{number}.log", ("--bus", self.redis.url)
        if self.network is None:
            return RestartableServer(self.store, log, *bus, *OPTIONS)
        address, prefix = self.network.address(number), self.network.command_prefix(number)
        return RestartableServer(self.store, log, *bus, *OPTIONS, *REMOTE_OPTIONS, host=address, prefix=prefix)

    def __enter__(self) -> ProcessCluster:
        gevent.joinall([gevent.spawn(server.start) for server in self.servers], raise_error=True)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            with server:
                pass
        self.redis.close()
        self.postgres.close()

    def complaints(self) -> list[str]:
        return [line for server in self.servers for line in server.error_lines()]


class RoamingClients(ClientGroup):
    """Clients of all NAMES, some with a second device, that move between nodes; and a probe on every node."""

    def __init__(self, servers: Sequence[RestartableServer]) -> None:
        super().__init__(names=())
        self.probe_log = ProbeLog()
        devices = [(name, device) for device in ("", "phone") for name in (WITH_PHONES if device else NAMES)]
        for index, (name, device) in enumerate(devices):
            addresses = [servers[(index + step) % len(servers)] for step in range(len(servers))]
            self._add(ResendingClient(name, addresses, self.log, targets_of(name), device=device, **CLIENT_OPTIONS))
        self.probes = [
            ProbeClient(name, server, self.log, self.probe_log, SILENCE_TIMEOUT)
            for name, server in zip(PROBES, servers, strict=True)
        ]
        for probe in self.probes:
            self._add(probe)
        for room in PROBE_ROOMS:
            self.log.recipients[room] |= set(PROBES)

    def __enter__(self) -> RoamingClients:
        super().__enter__()
        self._greenlets += [gevent.spawn(probe.send_probes) for probe in self.probes]
        return self

    def finish(self) -> None:
        for client in self.clients:
            client.stop_sending()
        super().finish()
