"""`kill -9` of the server at random moments, and clients that vanish between a receipt and its acknowledgement."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import gevent

from tests.chaos.checker import Figures
from tests.chaos.load import Crowd
from tests.chaos.process import Server
from tests.chaos.scale import SCALE, SEED

Tabulate = Callable[[Figures], None]


def verify(crowd: Crowd, path: Path) -> None:
    crowd.ledger.verify_heard()
    crowd.ledger.verify_order()
    crowd.ledger.verify_file(path)


def test_killed_at_random_moments_the_server_loses_and_doubles_nothing(
    start: Callable[..., Server], tabulate: Tabulate, tmp_path: Path
) -> None:
    server, chance = start(), random.Random(SEED)
    server.start()
    with Crowd(server) as crowd:
        for _ in range(SCALE.kills):
            gevent.sleep(chance.uniform(0.02, SCALE.longest_life))
            server.kill()
            crowd.check()
            server.launch()
            if chance.random() < 0.15:  # before it listens, perhaps while it repairs its store
                gevent.sleep(chance.uniform(0.0, 0.6))
                server.kill()
                server.launch()
            server.listens()
        crowd.settle()
        server.kill()
    tabulate(crowd.ledger.figures("server killed", server_kills=server.kills))
    assert crowd.ledger.again, "nothing was on its way at any kill"
    verify(crowd, tmp_path / "chat.db")


def test_clients_killed_between_receipt_and_acknowledgement_are_sent_it_again(
    start: Callable[..., Server], tabulate: Tabulate, tmp_path: Path
) -> None:
    server, chance = start(), random.Random(SEED)
    server.start()
    with Crowd(server, stride=50) as crowd:
        for member in crowd.members[::2]:
            member.forgetful = True
        kills = 0
        while kills < SCALE.client_kills:
            gevent.sleep(chance.uniform(0.0, 0.04))
            member = chance.choice(crowd.members)
            if member.synced.is_set():
                kills += 1
                member.synced.clear()
                member.hang_up(gently=chance.random() < 0.5)
                crowd.check()
        crowd.settle()
        server.kill()
    tabulate(crowd.ledger.figures("clients killed", client_kills=kills, server_kills=server.kills))
    assert crowd.ledger.again, "nobody vanished before an acknowledgement"
    verify(crowd, tmp_path / "chat.db")
