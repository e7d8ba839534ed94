"""What becomes of the bus when Redis is not there, does not answer, wants a password, or is somebody else."""

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
from tests.support.bus import RecordingListener
from tests.support.tls import CertificateAuthority

Events = Callable[[str], list[dict[str, Any]]]
StartGroup = Callable[[str], BusGroup]


@pytest.fixture
def two(
    redis_of_its_own: Redis, start_party: StartGroup
) -> tuple[BusGroup, Bus, RecordingListener, Bus, RecordingListener]:
    """Hank and Dale, who see each other."""
    party = start_party(redis_of_its_own.url)
    hank, to_hank = party.start_bus("hank", timeout=SHORT)
    dale, to_dale = party.start_bus("dale", timeout=SHORT)
    hank.set_presence("hank", b"here")
    dale.set_presence("dale", b"here")
    to_hank.wait_until(lambda: to_hank.presences)
    to_dale.wait_until(lambda: to_dale.presences)
    return party, hank, to_hank, dale, to_dale


Pair = tuple[BusGroup, Bus, RecordingListener, Bus, RecordingListener]


def test_redis_may_come_later(start_party: StartGroup, redis_of_its_own: Redis, events: Events) -> None:
    redis_of_its_own.stop()
    party, ear = start_party(redis_of_its_own.url), RecordingListener()
    hank = party.open("hank")
    hank.set_presence("hank", b"here")
    hank.start(ear)
    ear.wait_until(lambda: events("bus_lost"))
    hank.send(b"nobody hears it")
    redis_of_its_own.start()
    ear.wait_until(lambda: ear.connect_count)
    _, late = party.start_bus("dale")
    assert late.presences == {"hank": {"hank": b"here"}} and late.received == []
    assert (hank.stats.lost, hank.stats.sent, hank.stats.reconnects) == (1, 0, 0)
    assert (len(events("bus_lost")), len(events("bus_connected"))) == (1, 2)  # however often it was tried


def test_nobody_is_gone_when_redis_dies_and_comes_again(two: Pair, redis_of_its_own: Redis, events: Events) -> None:
    party, hank, to_hank, dale, to_dale = two
    redis_of_its_own.kill()
    to_hank.wait_until(lambda: not hank.connected and not dale.connected)
    hank.send(b"nobody hears it")
    hank.set_presence("peggy", b"here")
    dale.set_presence("dale", None)
    gevent.sleep(SHORT)  # however long that takes
    assert (list(hank.nodes), to_hank.presence_events) == (["dale"], [("dale", "dale", b"here")])
    redis_of_its_own.start()
    to_hank.wait_until(lambda: min(to_hank.connect_count, to_dale.connect_count) > 1)
    to_hank.wait_until(
        lambda: to_hank.presences == {"dale": {}} and to_dale.presences == {"hank": {"hank": b"here", "peggy": b"here"}}
    )
    hank.send(b"all is well")
    to_dale.expect_data(b"all is well")
    assert ("dale",) not in to_hank.presence_events and ("hank",) not in to_dale.presence_events
    assert hank.stats.lost == 1 and min(hank.stats.reconnects, dale.stats.reconnects) > 0
    assert len(events("bus_lost")) == len(events("bus_connected"))  # however often it was tried
    assert party.failures == []


def test_a_redis_that_stands_still_is_noticed(two: Pair, redis_of_its_own: Redis) -> None:
    party, hank, to_hank, dale, to_dale = two
    redis_of_its_own.pause()
    to_hank.wait_until(lambda: not hank.connected and not dale.connected)
    hank.set_presence("hank", b"away")
    gevent.sleep(SHORT)  # until all that was shown has expired
    redis_of_its_own.go_on()
    to_dale.wait_until(lambda: to_dale.presences == {"hank": {"hank": b"away"}} and hank.connected and dale.connected)
    assert to_dale.presence_events == [("hank", "hank", b"here"), ("hank", "hank", b"away")]
    dale.send(b"all is well")
    to_hank.expect_data(b"all is well")
    assert party.failures == []


def test_who_left_while_we_were_away_is_gone_when_we_are_back(two: Pair, redis_of_its_own: Redis) -> None:
    _, hank, to_hank, dale, _ = two
    with Client.from_url(redis_of_its_own.url) as client:
        (line,) = [each["id"] for each in client.client_list(_type="pubsub") if each["id"] == _hank_subscriber(client)]
        client.client_kill_filter(_id=line)
        dale.close()
        to_hank.wait_until(lambda: to_hank.connect_count > 1 and hank.connected)
    to_hank.wait_until(lambda: to_hank.presence_events[-1] == ("dale",))
    assert list(hank.nodes) == []


def _hank_subscriber(client: Client) -> str:
    """The oldest line that listens: Hank's."""
    return str(min(client.client_list(_type="pubsub"), key=lambda each: int(each["id"]))["id"])


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_a_line_that_is_cut_is_made_anew(two: Pair, redis_of_its_own: Redis, kind: str) -> None:
    _, hank, to_hank, dale, to_dale = two
    with Client.from_url(redis_of_its_own.url) as client:
        client.client_kill_filter(_type=kind, skipme=True)
    to_hank.wait_until(
        lambda: min(to_hank.connect_count, to_dale.connect_count) > 1 and hank.connected and dale.connected
    )
    hank.send(b"all is well")
    to_dale.expect_data(b"all is well")
    assert ("dale",) not in to_hank.presence_events and hank.stats.reconnects > 0


def test_it_is_closed_at_once_where_nobody_answers(start_party: StartGroup, redis_of_its_own: Redis) -> None:
    redis_of_its_own.pause()
    bus = start_party(redis_of_its_own.url).open("hank")
    bus.start(RecordingListener())
    gevent.sleep(0)
    bus.close()
    redis_of_its_own.go_on()
    assert not bus.connected


@pytest.mark.usefixtures("redis_installed")
def test_a_password_is_shown_to_redis_and_to_nobody_else(start_party: StartGroup, events: Events) -> None:
    with Redis(settings={"requirepass": "hunter2"}) as server:
        server.start()
        place = server.url.removeprefix("redis://")
        party = start_party(f"redis://:hunter2@{place}/3")
        hank, _ = party.start_bus("hank")
        hank.set_presence("hank", b"here")
        ear = RecordingListener()
        wrong = party.open("dale", url=f"redis://:hunter3@{place}")
        wrong.start(ear)
        ear.wait_until(lambda: events("bus_lost"))
        with Client.from_url(f"{party.url}") as client:
            ear.wait_until(lambda: hank.connected)
            version = client.info("server")["redis_version"]
        hank.close()
        with pytest.raises(Unreachable, match="invalid username-password") as refused:
            check_bus_url(f"redis://:hunter3@{place}")
        assert check_bus_url(party.url) == f"Redis {version} at {place}"
    assert "invalid username-password" in events("bus_lost")[-1]["reason"]
    assert "hunter" not in str(refused.value)
    assert "hunter" not in str(events("bus_lost") + events("bus_connected"))
    assert not wrong.connected


def test_a_user_needs_no_more_rights_than_documented(redis_of_its_own: Redis, start_party: StartGroup) -> None:
    text = (ROOT / "docs" / "operations" / "cluster.md").read_text("utf-8")
    (rights,) = re.findall(r"`(resetkeys &gmessenger:[^`]*)`", text)
    with Client.from_url(redis_of_its_own.url) as client:
        client.execute_command("ACL", "SETUSER", "chat", "on", ">hunter2", *rights.split())
    party = start_party(f"redis://chat:hunter2@{redis_of_its_own.host}:{redis_of_its_own.port}")
    (hank, ear), (dale, to_dale) = party.start_bus("hank"), party.start_bus("dale")
    hank.set_presence("hank", b"here")
    to_dale.wait_until(lambda: to_dale.presences)
    hank.set_presence("hank", None)
    to_dale.wait_until(lambda: to_dale.presence_events[-1] == ("hank", "hank", None))
    _, late = party.start_bus("bill")
    ear.wait_until(lambda: len(hank.nodes) == 2)
    with Client.from_url(redis_of_its_own.url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    ear.wait_until(lambda: min(ear.connect_count, late.connect_count) > 1)
    dale.close()
    ear.wait_until(lambda: ("dale",) in ear.presence_events)


@pytest.mark.usefixtures("redis_installed")
def test_a_redis_may_speak_tls(start_party: StartGroup, authority: CertificateAuthority, events: Events) -> None:
    certificate = str(authority.issue())
    tls = {"tls-cert-file": certificate, "tls-key-file": certificate, "tls-ca-cert-file": str(authority.file)}
    with Redis(settings=tls | {"tls-auth-clients": "no", "port": "0", "tls-port": str(_free_port())}) as server:
        server.start()
        url = f"rediss://localhost:{server.settings['tls-port']}"
        party, ear = start_party(f"{url}?ssl_ca_certs={authority.file}"), RecordingListener()
        (hank, _), (_, to_dale) = party.start_bus("hank"), party.start_bus("dale")
        hank.send(b"x" * 300_000)
        to_dale.expect_data(b"x" * 300_000)
        party.open("bill", url=url).start(ear)
        ear.wait_until(lambda: events("bus_lost"))
        party.close()
    assert "CERTIFICATE_VERIFY_FAILED" in events("bus_lost")[0]["reason"]


@pytest.fixture
def authority(tmp_path: Any) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def _free_port() -> int:
    with socket.socket() as line:
        line.bind((LOOPBACK, 0))
        return int(line.getsockname()[1])


@pytest.fixture
def two_faced(redis_server: Redis, redis_of_its_own: Redis) -> Iterator[str]:
    """A balancer in front of two Redis that know nothing of each other."""
    turns = [redis_server, redis_of_its_own] * 100

    def pass_on(near: socket.socket, _: Any) -> None:
        server = turns.pop()
        with socket.create_connection((LOOPBACK, server.port)) as far:
            ways = [gevent.spawn(_forward, near, far), gevent.spawn(_forward, far, near)]
            gevent.joinall(ways)

    server = StreamServer((LOOPBACK, 0), pass_on)
    server.start()
    yield f"redis://{LOOPBACK}:{server.server_port}"
    server.stop()


def _forward(out_of: socket.socket, into: socket.socket) -> None:
    try:
        while data := out_of.recv(65_536):
            into.sendall(data)
        into.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them has hung up


def test_what_does_not_come_back_is_no_link(two_faced: str, start_party: StartGroup, events: Events) -> None:
    party, ear = start_party(two_faced), RecordingListener()
    hank = party.open("hank", timeout=SHORT)
    hank.start(ear)
    ear.wait_until(lambda: events("bus_lost"))
    assert events("bus_lost")[0]["reason"] == NO_ECHO
    assert (ear.connect_count, hank.connected) == (0, False)
    hank.close()
