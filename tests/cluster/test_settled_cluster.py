"""The settled cluster of tests/protocol: each message has reached every node before the next request is sent."""

from __future__ import annotations

from gmessenger.launcher.services import Postgres, Redis
from tests.support.accounts import Person
from tests.support.cluster import RunningCluster
from tests.support.native_clients import Dial


def test_calm_people_on_two_nodes_know_of_all_that_was_said(postgres: Postgres, redis_server: Redis) -> None:
    cluster = RunningCluster(True, store=postgres.database(), bus=redis_server.url)
    with Dial() as dial:
        hank, dale = (Person(cluster).enter(name) for name in ("hank", "dale"))
        dial.open += [hank, dale]
        hank.register()
        for number in range(1, 6):
            assert hank.sends("dale", f"text {number}") == [number]
            assert [frame["seq"] for frame in dale.unheard()] == [number]
            assert dale.ask("users")["users"] == hank.ask("users")["users"]
    cluster.stop()
    assert cluster.failures == 0
