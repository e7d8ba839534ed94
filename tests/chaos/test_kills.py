"""`kill -9` of the server, and of clients between a message and its acknowledgement; half of them by WebSocket."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import gevent

from tests.chaos.checker import RunStats
from tests.chaos.load import ClientGroup
from tests.chaos.process import RestartableServer, WebAddress
from tests.chaos.scale import SCALE, SEED

Tabulate = Callable[[RunStats], None]


def verify(group: ClientGroup, path: Path) -> None:
    group.log.verify_received()
    group.log.verify_order()
    group.log.verify_file(path)


def test_killed_at_random_moments_the_server_loses_and_doubles_nothing(
    start: Callable[..., RestartableServer], tabulate: Tabulate, tmp_path: Path
) -> None:
    web = WebAddress.free()
    server, rng = start("--web", str(web)), random.Random(SEED)
    server.start()
    with ClientGroup(server, web) as group:
        for _ in range(SCALE.kills):
            gevent.sleep(rng.uniform(0.02, SCALE.max_lifetime))
            server.kill()
            group.check_failures()
            server.launch()
            if rng.random() < 0.15:  # before it listens, perhaps while it repairs its store
                gevent.sleep(rng.uniform(0.0, 0.6))
                server.kill()
                server.launch()
            server.wait_until_listening()
        group.finish()
        server.kill()
    tabulate(group.log.stats("server killed", server_kills=server.kills))
    assert group.log.repeated, "nothing was on its way at any kill"
    verify(group, tmp_path / "chat.db")


def test_clients_killed_between_receipt_and_acknowledgement_are_sent_it_again(
    start: Callable[..., RestartableServer], tabulate: Tabulate, tmp_path: Path
) -> None:
    web = WebAddress.free()
    server, rng = start("--web", str(web)), random.Random(SEED)
    server.start()
    with ClientGroup(server, web, stride=50) as group:
        for client in group.clients[::2]:
            client.drops_unacknowledged = True
        kills = 0
        while kills < SCALE.client_kills:
            gevent.sleep(rng.uniform(0.0, 0.04))
            client = rng.choice(group.clients)
            if client.synced.is_set():
                kills += 1
                client.synced.clear()
                client.disconnect(gently=rng.random() < 0.5)
                group.check_failures()
        group.finish()
        server.kill()
    tabulate(group.log.stats("clients killed", client_kills=kills, server_kills=server.kills))
    assert group.log.repeated, "nobody vanished before an acknowledgement"
    verify(group, tmp_path / "chat.db")
