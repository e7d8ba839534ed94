"""Web Push on a cluster: one key, one subscription of a device, and each message pushed by the node that stored it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, wait_until
from tests.server.test_push import OPTIONS
from tests.support.push import HOST, Browser, PushService
from tests.support.tls import CertificateAuthority


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    authority = CertificateAuthority(tmp_path)
    with closing(PushService(str(authority.issue("push.pem", HOST)), authority.context)) as running:
        yield running


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster], service: PushService) -> Cluster:
    return start_cluster(**OPTIONS, push_network=service.network)


def subscribe_and_leave(cluster: Cluster, name: str) -> Browser:
    client, browser = cluster.register(cluster.first, name), Browser()
    assert client.request("push", **browser.subscription())["response"] == 200
    client.send({"action": "quit"})
    client.receive_until_closed()
    for node in (cluster.first, cluster.second):
        wait_until(lambda node=node: len(node.app.messenger.subscriptions) == 1)
        wait_until(lambda node=node: name not in node.app.messenger.router)
    return browser


def counts(cluster: Cluster) -> list[dict[str, int]]:
    return [dict(node.app.messenger.stats.pushes) for node in (cluster.first, cluster.second)]


def test_the_node_that_stored_a_message_pushes_it_once(cluster: Cluster, service: PushService) -> None:
    browser = subscribe_and_leave(cluster, "dale")
    hank = cluster.register(cluster.second, "hank")
    hank.send_messages("dale", "hello")
    (post,) = service.wait_for(1)
    assert browser.read(post.body)["message"] == "hello"
    wait_until(lambda: counts(cluster) == [{}, {"sent": 1}])


def test_what_is_read_on_another_node_is_known(cluster: Cluster, service: PushService) -> None:
    browser = subscribe_and_leave(cluster, "dale")
    hank = cluster.register(cluster.second, "hank")
    (seq,) = hank.send_messages("dale", "one")
    service.wait_for(1)
    hank.send_messages("dale", "two")
    wait_until(lambda: counts(cluster)[1].get("needless") == 1)
    dale = cluster.log_in(cluster.first, "dale")
    dale.send({"action": "read", "with": "hank", "seq": seq + 1})
    assert dale.request("probe")["response"] == 200
    hank.send_messages("dale", "three")
    assert [browser.read(post.body)["message"] for post in service.wait_for(2)] == ["one", "three"]


def test_a_device_that_acknowledges_at_the_other_node_is_told_nothing(cluster: Cluster, service: PushService) -> None:
    dale = cluster.register(cluster.first, "dale")
    assert dale.request("push", **Browser().subscription())["response"] == 200
    wait_until(lambda: len(cluster.second.app.messenger.subscriptions) == 1)
    wait_until(lambda: "dale" in cluster.second.app.messenger.router)
    hank = cluster.register(cluster.second, "hank")
    hank.send_messages("dale", "you see this")
    event = dale.next_event("msg")
    dale.acknowledge("hank", event["seq"])
    wait_until(lambda: counts(cluster)[1].get("needless") == 1)
    assert (event["message"], service.posts) == ("you see this", [])


def test_all_nodes_have_one_key_and_forget_together(cluster: Cluster) -> None:
    keys = {cluster.connect(node).log_in(f"guest{n}")["vapid"] for n, node in enumerate(cluster.nodes)}
    assert len(keys) == 1
    dale = cluster.register(cluster.first, "dale")
    assert dale.request("push", **Browser().subscription())["response"] == 200
    wait_until(lambda: len(cluster.second.app.messenger.subscriptions) == 1)
    assert dale.request("push")["response"] == 200
    wait_until(lambda: len(cluster.second.app.messenger.subscriptions) == 0)
