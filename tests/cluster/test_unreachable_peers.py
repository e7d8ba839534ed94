"""Actions on users of nodes that cannot be reached: no response claims more than is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.chat.records import Sanction
from gmessenger.cluster import relay
from tests.cluster.conftest import Cluster
from tests.cluster.test_two_nodes import register_operator
from tests.support.accounts import texts
from tests.support.messenger import InMemoryChat


@pytest.fixture
def busless_cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Two nodes without a bus."""
    return start_cluster(bus="", cluster_check=0.2)


def test_who_is_elsewhere_is_kicked_unseen(busless_cluster: Cluster) -> None:
    hank = register_operator(busless_cluster)
    gus, dale = (
        busless_cluster.log_in_guest(busless_cluster.second, "gus"),
        busless_cluster.register(busless_cluster.second, "dale"),
    )
    assert hank.request("kick", user="nobody")["code"] == "not_here"
    for each, known in ((gus, 1), (dale, 0)):
        assert hank.request("kick", user=each.name, reason="enough")["sessions"] == known
        assert each.receive()["code"] == "kicked"


def test_a_guest_elsewhere_cannot_be_reached_and_is_not_unknown(busless_cluster: Cluster) -> None:
    hank, joe = (
        busless_cluster.register(busless_cluster.first, "hank"),
        busless_cluster.log_in_guest(busless_cluster.first, "joe"),
    )
    busless_cluster.log_in_guest(busless_cluster.second, "gus")
    for each in (hank, joe):
        assert each.send_message("gus", "hello?")["code"] == "store_unavailable"
        assert each.send_message("nobody", "hello?")["code"] == "never_seen"


def test_what_one_guest_says_to_another_is_heard_once_though_its_answer_was_lost(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "RELAY_TIMEOUT", 0.5)
    gus, joe = cluster.log_in_guest(cluster.first, "gus"), cluster.log_in_guest(cluster.second, "joe")
    assert gus.send_message("joe", "hello")["response"] == 202
    with monkeypatch.context() as lost:
        lost.setattr(cluster.second.app.node.bus, "send", lambda data, nodes=None: None)
        assert gus.request("msg", id="again", to="joe", message="are you there?")["code"] == "store_unavailable"
    assert gus.request("msg", id="again", to="joe", message="are you there?")["response"] == 202
    assert gus.send_message("joe", "good")["response"] == 202
    assert texts(joe.receive_messages(3)) == ["hello", "are you there?", "good"]


@pytest.mark.parametrize(("by", "stays"), [("bill", True), ("server", False)])
def test_an_operator_stays_when_another_who_could_not_see_it_bans_its_network(by: str, stays: bool) -> None:
    chat = InMemoryChat()
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.register(hank, "secret enough")
    assert hank.account is not None
    chat.messenger.moderation.set_role(hank.account, "operator")
    for each in (hank, dale):
        each.address = "192.0.2.1:80"
    chat.messenger.moderation.disconnect_network(Sanction("network", "192.0.2.0/24", by, "", 1.0, None))
    assert (dale in chat.messenger.router.sessions("dale"), hank in chat.messenger.router.sessions("hank")) == (
        False,
        stays,
    )
    chat.store.close()
