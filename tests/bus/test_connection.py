"""The bus when Redis is away, does not answer, requires a password, or is another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer
from redis import Redis as Client

from gmessenger.bus import check_bus_url
from gmessenger.bus.subscriber import NO_ECHO
from gmessenger.cluster.interfaces import Bus
from gmessenger.errors import Unreachable
from gmessenger.launcher.services import LOOPBACK, Redis
from tests import ROOT
from tests.bus.conftest import SHORT, BusGroup
from tests.support.bus import RecordingListener, forward
from tests.support.ports import free_port
from tests.support.tls import CertificateAuthority

Events = Callable[[str], list[dict[str, Any]]]
StartGroup = Callable[[str], BusGroup]


@pytest.fixture
def pair(
    private_redis: Redis, start_group: StartGroup
) -> tuple[BusGroup, Bus, RecordingListener, Bus, RecordingListener]:
    """Two nodes, hank and dale, that are peers."""
    group = start_group(private_redis.url)
    hank, hank_listener = group.start_bus("hank", timeout=SHORT)
    dale, dale_listener = group.start_bus("dale", timeout=SHORT)
    hank.set_presence("hank", b"here")
    dale.set_presence("dale", b"here")
    hank_listener.wait_until(lambda: hank_listener.presences)
    dale_listener.wait_until(lambda: dale_listener.presences)
    return group, hank, hank_listener, dale, dale_listener


Pair = tuple[BusGroup, Bus, RecordingListener, Bus, RecordingListener]


def test_redis_may_come_later(start_group: StartGroup, private_redis: Redis, events: Events) -> None:
    private_redis.stop()
    group, listener = start_group(private_redis.url), RecordingListener()
    hank = group.open("hank")
    hank.set_presence("hank", b"here")
    hank.start(listener)
    listener.wait_until(lambda: events("bus_lost"))
    hank.send(b"nobody hears it")
    private_redis.start()
    listener.wait_until(lambda: listener.connect_count)
    _, late_listener = group.start_bus("dale")
    assert late_listener.presences == {"hank": {"hank": b"here"}} and late_listener.received == []
    assert (hank.stats.lost, hank.stats.sent, hank.stats.reconnects) == (1, 0, 0)
    assert (len(events("bus_lost")), len(events("bus_connected"))) == (1, 2)  # however often it was tried


def test_nobody_is_gone_when_redis_dies_and_comes_again(pair: Pair, private_redis: Redis, events: Events) -> None:
    group, hank, hank_listener, dale, dale_listener = pair
    private_redis.kill()
    hank_listener.wait_until(lambda: not hank.connected and not dale.connected)
    hank.send(b"nobody hears it")
    hank.set_presence("peggy", b"here")
    dale.set_presence("dale", None)
    gevent.sleep(SHORT)  # however long that takes
    assert (list(hank.nodes), hank_listener.presence_events) == (["dale"], [("dale", "dale", b"here")])
    private_redis.start()
    hank_listener.wait_until(lambda: min(hank_listener.connect_count, dale_listener.connect_count) > 1)
    hank_listener.wait_until(
        lambda: (
            hank_listener.presences == {"dale": {}}
            and dale_listener.presences == {"hank": {"hank": b"here", "peggy": b"here"}}
        )
    )
    hank.send(b"all is well")
    dale_listener.expect_data(b"all is well")
    assert ("dale",) not in hank_listener.presence_events and ("hank",) not in dale_listener.presence_events
    assert hank.stats.lost == 1 and min(hank.stats.reconnects, dale.stats.reconnects) > 0
    assert len(events("bus_lost")) == len(events("bus_connected"))  # however often it was tried
    assert group.failures == []


def test_a_redis_that_stands_still_is_noticed(pair: Pair, private_redis: Redis) -> None:
    group, hank, hank_listener, dale, dale_listener = pair
    private_redis.pause()
    hank_listener.wait_until(lambda: not hank.connected and not dale.connected)
    hank.set_presence("hank", b"away")
    gevent.sleep(SHORT)  # until all that was shown has expired
    private_redis.resume()
    dale_listener.wait_until(
        lambda: dale_listener.presences == {"hank": {"hank": b"away"}} and hank.connected and dale.connected
    )
    assert dale_listener.presence_events == [("hank", "hank", b"here"), ("hank", "hank", b"away")]
    dale.send(b"all is well")
    hank_listener.expect_data(b"all is well")
    assert group.failures == []


def test_who_left_while_we_were_away_is_gone_when_we_are_back(pair: Pair, private_redis: Redis) -> None:
    _, hank, hank_listener, dale, _ = pair
    with Client.from_url(private_redis.url) as client:
        (connected,) = [
            each["id"] for each in client.client_list(_type="pubsub") if each["id"] == _hank_subscriber(client)
        ]
        client.client_kill_filter(_id=connected)
        dale.close()
        hank_listener.wait_until(lambda: hank_listener.connect_count > 1 and hank.connected)
    hank_listener.wait_until(lambda: hank_listener.presence_events[-1] == ("dale",))
    assert list(hank.nodes) == []


def _hank_subscriber(client: Client) -> str:
    """Return the id of the oldest subscribing connection: hank's."""
    return str(min(client.client_list(_type="pubsub"), key=lambda each: int(each["id"]))["id"])


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_a_line_that_is_cut_is_made_anew(pair: Pair, private_redis: Redis, kind: str) -> None:
    _, hank, hank_listener, dale, dale_listener = pair
    with Client.from_url(private_redis.url) as client:
        client.client_kill_filter(_type=kind, skipme=True)
    hank_listener.wait_until(
        lambda: min(hank_listener.connect_count, dale_listener.connect_count) > 1 and hank.connected and dale.connected
    )
    hank.send(b"all is well")
    dale_listener.expect_data(b"all is well")
    assert ("dale",) not in hank_listener.presence_events and hank.stats.reconnects > 0


def test_it_is_closed_at_once_where_nobody_answers(start_group: StartGroup, private_redis: Redis) -> None:
    private_redis.pause()
    bus = start_group(private_redis.url).open("hank")
    bus.start(RecordingListener())
    gevent.sleep(0)
    bus.close()
    private_redis.resume()
    assert not bus.connected


@pytest.mark.usefixtures("redis_installed")
def test_a_password_is_shown_to_redis_and_to_nobody_else(start_group: StartGroup, events: Events) -> None:
    with Redis(settings={"requirepass": "hunter2"}) as server:
        server.start()
        channel_name = server.url.removeprefix("redis://")
        group = start_group(f"redis://:hunter2@{channel_name}/3")
        hank, _ = group.start_bus("hank")
        hank.set_presence("hank", b"here")
        listener = RecordingListener()
        wrong = group.open("dale", url=f"redis://:hunter3@{channel_name}")
        wrong.start(listener)
        listener.wait_until(lambda: events("bus_lost"))
        with Client.from_url(f"{group.url}") as client:
            listener.wait_until(lambda: hank.connected)
            version = client.info("server")["redis_version"]
        hank.close()
        with pytest.raises(Unreachable, match="invalid username-password") as refused:
            check_bus_url(f"redis://:hunter3@{channel_name}")
        assert check_bus_url(group.url) == f"Redis {version} at {channel_name}"
    assert "invalid username-password" in events("bus_lost")[-1]["reason"]
    assert "hunter" not in str(refused.value)
    assert "hunter" not in str(events("bus_lost") + events("bus_connected"))
    assert not wrong.connected


def test_a_user_needs_no_more_rights_than_documented(private_redis: Redis, start_group: StartGroup) -> None:
    text = (ROOT / "docs" / "operations" / "cluster.md").read_text("utf-8")
    (rights,) = re.findall(r"`(resetkeys &gmessenger:[^`]*)`", text)
    with Client.from_url(private_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "chat", "on", ">hunter2", *rights.split())
    group = start_group(f"redis://chat:hunter2@{private_redis.host}:{private_redis.port}")
    (hank, listener), (dale, dale_listener) = group.start_bus("hank"), group.start_bus("dale")
    hank.set_presence("hank", b"here")
    dale_listener.wait_until(lambda: dale_listener.presences)
    hank.set_presence("hank", None)
    dale_listener.wait_until(lambda: dale_listener.presence_events[-1] == ("hank", "hank", None))
    _, late_listener = group.start_bus("bill")
    listener.wait_until(lambda: len(hank.nodes) == 2)
    with Client.from_url(private_redis.url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    listener.wait_until(lambda: min(listener.connect_count, late_listener.connect_count) > 1)
    dale.close()
    listener.wait_until(lambda: ("dale",) in listener.presence_events)


@pytest.mark.usefixtures("redis_installed")
def test_a_redis_may_speak_tls(start_group: StartGroup, authority: CertificateAuthority, events: Events) -> None:
    certificate = str(authority.issue())
    tls = {"tls-cert-file": certificate, "tls-key-file": certificate, "tls-ca-cert-file": str(authority.file)}
    with Redis(settings=tls | {"tls-auth-clients": "no", "port": "0", "tls-port": str(free_port())}) as server:
        server.start()
        url = f"rediss://localhost:{server.settings['tls-port']}"
        group, listener = start_group(f"{url}?ssl_ca_certs={authority.file}"), RecordingListener()
        (hank, _), (_, dale_listener) = group.start_bus("hank"), group.start_bus("dale")
        hank.send(b"x" * 300_000)
        dale_listener.expect_data(b"x" * 300_000)
        group.open("bill", url=url).start(listener)
        listener.wait_until(lambda: events("bus_lost"))
        group.close()
    assert "CERTIFICATE_VERIFY_FAILED" in events("bus_lost")[0]["reason"]


@pytest.fixture
def authority(tmp_path: Any) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def balancer(redis_server: Redis, private_redis: Redis) -> Iterator[str]:
    """A load balancer in front of two unrelated Redis servers."""
    turns = [redis_server, private_redis] * 100

    def serve(client_socket: socket.socket, _: Any) -> None:
        server = turns.pop()
        with socket.create_connection((LOOPBACK, server.port)) as server_socket:
            greenlets = [
                gevent.spawn(forward, client_socket, server_socket),
                gevent.spawn(forward, server_socket, client_socket),
            ]
            gevent.joinall(greenlets)

    server = StreamServer((LOOPBACK, 0), serve)
    server.start()
    yield f"redis://{LOOPBACK}:{server.server_port}"
    server.stop()


def test_what_does_not_come_back_is_no_link(balancer: str, start_group: StartGroup, events: Events) -> None:
    group, listener = start_group(balancer), RecordingListener()
    hank = group.open("hank", timeout=SHORT)
    hank.start(listener)
    listener.wait_until(lambda: events("bus_lost"))
    assert events("bus_lost")[0]["reason"] == NO_ECHO
    assert (listener.connect_count, hank.connected) == (0, False)
    hank.close()
