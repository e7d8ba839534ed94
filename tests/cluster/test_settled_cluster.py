"""The settled cluster of tests/protocol: messages reach every node before the next request."""

from __future__ import annotations

from gmessenger.launcher.services import Postgres, Redis
from tests.support.accounts import UserClient
from tests.support.cluster import RunningCluster
from tests.support.native_clients import Connector


def test_each_message_has_reached_both_nodes_before_the_next_request(postgres: Postgres, redis_server: Redis) -> None:
    cluster = RunningCluster(is_settled=True, store=postgres.database(), bus=redis_server.url)
    with Connector() as connector:
        hank, dale = (UserClient(cluster).start_session(name) for name in ("hank", "dale"))
        connector.connections += [hank, dale]
        hank.register()
        for number in range(1, 6):
            assert hank.send_messages("dale", f"text {number}") == [number]
            assert [frame["seq"] for frame in dale.take_events()] == [number]
            assert dale.request("users")["users"] == hank.request("users")["users"]
    cluster.stop()
    assert cluster.failures == 0
