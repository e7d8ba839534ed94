"""`kill -9` of the server at random moments, and clients that vanish between a receipt and its acknowledgement."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import gevent

from tests.chaos.checker import RunStats
from tests.chaos.load import ClientGroup
from tests.chaos.process import RestartableServer
from tests.chaos.scale import SCALE, SEED

Tabulate = Callable[[RunStats], None]


def verify(crowd: ClientGroup, path: Path) -> None:
    crowd.log.verify_received()
    crowd.log.verify_order()
    crowd.log.verify_file(path)


def test_killed_at_random_moments_the_server_loses_and_doubles_nothing(
    start: Callable[..., RestartableServer], tabulate: Tabulate, tmp_path: Path
) -> None:
    server, chance = start(), random.Random(SEED)
    server.start()
    with ClientGroup(server) as crowd:
        for _ in range(SCALE.kills):
            gevent.sleep(chance.uniform(0.02, SCALE.max_lifetime))
            server.kill()
            crowd.check_failures()
            server.launch()
            if chance.random() < 0.15:  # before it listens, perhaps while it repairs its store
                gevent.sleep(chance.uniform(0.0, 0.6))
                server.kill()
                server.launch()
            server.wait_until_listening()
        crowd.finish()
        server.kill()
    tabulate(crowd.log.stats("server killed", server_kills=server.kills))
    assert crowd.log.repeated, "nothing was on its way at any kill"
    verify(crowd, tmp_path / "chat.db")


def test_clients_killed_between_receipt_and_acknowledgement_are_sent_it_again(
    start: Callable[..., RestartableServer], tabulate: Tabulate, tmp_path: Path
) -> None:
    server, chance = start(), random.Random(SEED)
    server.start()
    with ClientGroup(server, stride=50) as crowd:
        for member in crowd.clients[::2]:
            member.drops_unacknowledged = True
        kills = 0
        while kills < SCALE.client_kills:
            gevent.sleep(chance.uniform(0.0, 0.04))
            member = chance.choice(crowd.clients)
            if member.synced.is_set():
                kills += 1
                member.synced.clear()
                member.disconnect(gently=chance.random() < 0.5)
                crowd.check_failures()
        crowd.finish()
        server.kill()
    tabulate(crowd.log.stats("clients killed", client_kills=kills, server_kills=server.kills))
    assert crowd.log.repeated, "nobody vanished before an acknowledgement"
    verify(crowd, tmp_path / "chat.db")
