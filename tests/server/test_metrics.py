"""Metrics: they count, have no names of users, and belong to one server each."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gmessenger.launcher.services import Postgres, Redis
from gmessenger.server import snapshot
from gmessenger.server.metrics import METRICS, make_registry
from tests.conftest import RunningServer
from tests.server.test_health import get_page, health_address
from tests.support.native_clients import Connector
from tests.support.tls import CertificateAuthority, TlsAddress

Start = Callable[..., RunningServer]
COURSE = b'{"action":"presence","user":{"account_name":"%s"}}'
SECRET = "correct horse"
OF_A_CLUSTER = [
    row.full_name for row in METRICS if row.name.startswith(("bus_", "other_", "names_", "messages_filled"))
]


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connector:
        yield connector


class Watched:
    """A server, and its metrics as the health server returns them."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server

    def shown(self) -> dict[tuple[Any, ...], float]:
        """Return the values by name and label values."""
        status, text = get_page(health_address(self.server), "/metrics")
        assert status == 200
        families = text_string_to_metric_families(text)
        return {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    def grown(self, before: dict[tuple[Any, ...], float]) -> dict[tuple[Any, ...], float]:
        """Return by how much own metrics have grown since then; of histograms only the counts."""
        changed = {key: value - before.get(key, 0.0) for key, value in self.shown().items()}
        ours = {key: by for key, by in changed.items() if by and key[0].startswith("gmessenger_")}
        return {key: by for key, by in ours.items() if not key[0].endswith(("_bucket", "_sum", "lag_seconds_count"))}


@pytest.fixture
def watched(start_server: Start) -> Watched:
    return Watched(start_server(health="127.0.0.1:0", max_text=100, max_connections=5))


def test_connections_and_logins_are_counted_by_what_they_are(watched: Watched, connector: Connector) -> None:
    before, server = watched.shown(), watched.server
    hank = connector.open_native(server, "hank")
    assert hank.request("register", password=SECRET)["response"] == 201
    token = connector.open_native(server, "bill").request("register", password=SECRET)["session"]
    client = connector.open_raw(server)
    client.send_bytes(COURSE % b"dale")
    assert client.receive()["response"] == 200
    assert connector.open_native(server).try_log_in("hank", password="wrong horse")["response"] == 402
    again = connector.open_native(server)
    assert again.try_log_in("bill", session=token)["response"] == 200
    assert connector.open_raw(server).receive()["response"] == 503
    grown = watched.grown(before)
    assert grown["gmessenger_connections", "native", "account", "plain"] in (2, 3)  # who was replaced may be leaving
    assert grown["gmessenger_connections", "course", "guest", "plain"] == 1
    assert grown["gmessenger_connections", "unknown", "unknown", "plain"] == 1
    assert grown["gmessenger_connections_opened_total", "jim", "plain"] == 5
    assert grown["gmessenger_connections_refused_total", "server_full"] == 1
    assert grown["gmessenger_logins_total", "ok"] == 3
    assert grown["gmessenger_logins_total", "resumed"] == grown["gmessenger_logins_total", "wrong_password"] == 1


def test_messages_are_counted_by_what_became_of_them(watched: Watched, connector: Connector) -> None:
    hank, guest, other = (connector.open_native(watched.server, name) for name in ("hank", "guest", "other"))
    hank.request("register", password=SECRET)
    assert hank.next_event()["action"] == "synced"
    before = watched.shown()
    for _ in range(2):
        assert hank.request("msg", id="m1", to="guest", message="hi")["seq"] == 1
    assert hank.request("msg", id="m1", to="guest", message="other")["code"] == "id_reused"
    assert guest.request("msg", to="other", message="hi")["response"] == 202
    assert guest.request("msg", to="#all", message="hi")["response"] == 202
    assert hank.request("msg", to="nobody", message="hi")["response"] == 404
    assert hank.request("msg", to="guest", message="x" * 101)["response"] == 413
    other.receive_message()
    grown = watched.grown(before)
    commits = grown.pop(("gmessenger_store_commit_seconds_count",))
    assert commits >= grown["gmessenger_store_batch_messages_count",] >= 1
    del grown["gmessenger_store_batch_messages_count",]
    grown.pop(("gmessenger_outbox_frames",), None)
    grown.pop(("gmessenger_outbox_frames_max",), None)
    assert grown == {
        ("gmessenger_messages_total", "stored"): 1,
        ("gmessenger_messages_total", "duplicate"): 1,
        ("gmessenger_messages_total", "relayed"): 2,
        ("gmessenger_messages_refused_total", "id_reused"): 1,
        ("gmessenger_messages_refused_total", "never_seen"): 1,
        ("gmessenger_messages_refused_total", "too_long"): 1,
        ("gmessenger_deliveries_total",): 4,
        ("gmessenger_delivery_seconds_count",): 3,
    }


def test_nobody_is_named(watched: Watched, connector: Connector) -> None:
    hank = connector.open_native(watched.server, "henrietta")
    hank.request("register", password=SECRET)
    hank.request("join", room="#secretive")
    hank.request("msg", to="#secretive", message="nobody-is-told-this")
    status, text = get_page(health_address(watched.server), "/metrics")
    assert status == 200 and not any(word in text for word in ("henrietta", "secretive", "nobody-is", "127.0.0.1"))
    assert f"# TYPE {METRICS[0].full_name} gauge" in text


def test_programs_that_speak_openmetrics_are_answered_in_it(watched: Watched) -> None:
    text = get_page(health_address(watched.server), "/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
    assert text.endswith("# EOF")


def test_each_server_has_its_own(watched: Watched, start_server: Start, connector: Connector) -> None:
    other = Watched(start_server(health="127.0.0.1:0", store="memory:"))
    connector.open_native(other.server, "hank")
    assert watched.shown()["gmessenger_logins_total", "ok"] == 0
    assert other.shown()["gmessenger_logins_total", "ok"] == 1


def test_histograms_add_up(watched: Watched, connector: Connector) -> None:
    hank = connector.open_native(watched.server, "hank")
    hank.request("register", password=SECRET)
    hank.request("msg", to="hank", message="hi")
    shown = watched.shown()
    for row in METRICS:
        if row.kind == "histogram":
            buckets = [value for key, value in shown.items() if key[0] == f"{row.full_name}_bucket"]
            assert buckets == sorted(buckets) and buckets[-1] == shown[f"{row.full_name}_count",]
    assert shown["gmessenger_store_batch_messages_sum",] == 1


def test_encrypted_connections_are_told_apart_and_the_certificates_end_is_shown(
    start_server: Start, connector: Connector, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(health="127.0.0.1:0", tls_certificate=str(authority.issue()), tls_port=0)
    watched = Watched(server)
    assert server.app.tls_port and server.app.certificate
    connector.open_native(TlsAddress(server, authority), "hank")
    shown = watched.shown()
    assert shown["gmessenger_connections", "native", "guest", "tls"] == 1
    assert shown["gmessenger_connections_opened_total", "jim", "tls"] == 1
    assert shown["gmessenger_certificate_expiry_timestamp_seconds",] == server.app.certificate.expires_at
    with socket.create_connection((server.host, server.app.tls_port), timeout=10) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1024) == b""
    assert watched.shown()["gmessenger_connections_refused_total", "handshake_failed"] == 1


def test_every_metric_is_shown_and_none_twice(server: RunningServer) -> None:
    server.app.certificate = SimpleNamespace(expires_at=1.8e9)  # type: ignore[assignment]
    families = list(text_string_to_metric_families(generate_latest(make_registry(server.app)).decode()))
    ours = [family.name for family in families if family.name.startswith("gmessenger_")]
    assert ours == [row.full_name.removesuffix("_total") for row in METRICS if row.full_name not in OF_A_CLUSTER]


def test_the_pulse_notices_who_keeps_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 0.25, 0.25, 0.9, 0.9))
    monkeypatch.setattr(snapshot, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    heart, beats = snapshot.LoopLagMonitor(), iter((False, False, True))
    heart.run(lambda seconds: next(beats))
    assert list(heart.lag_seconds.recent) == pytest.approx([0.0, 0.4])


def test_the_pulse_beats_while_the_server_runs(watched: Watched) -> None:
    deadline = time.monotonic() + 10
    while not watched.shown()["gmessenger_loop_lag_seconds_count",]:
        assert time.monotonic() < deadline


def test_a_server_that_is_alone_tells_nothing_of_others(watched: Watched) -> None:
    assert len(OF_A_CLUSTER) == 8
    assert not {key[0] for key in watched.shown()} & set(OF_A_CLUSTER)


def test_what_a_server_tells_of_the_others(
    start_server: Start, connector: Connector, postgres: Postgres, redis_server: Redis
) -> None:
    shared = {"store": postgres.database(), "bus": redis_server.url}
    watched, other_server = Watched(start_server(health="127.0.0.1:0", **shared)), start_server(**shared)
    connector.open_native(other_server, "peggy")
    with gevent.Timeout(10):
        while (shown := watched.shown()).get(("gmessenger_names_elsewhere",)) != 1:
            pass
    assert {key[0] for key in shown} >= set(OF_A_CLUSTER)
    assert shown["gmessenger_bus_connected",] == shown["gmessenger_other_servers",] == 1
    assert {key[1] for key in shown if key[0] == "gmessenger_bus_frames_total"} == {"sent", "received", "lost"}
    assert shown["gmessenger_messages_filled_total",] == shown["gmessenger_bus_returns_total",] == 0
