"""Profiles on two nodes: the store has them, and each node tells its clients of changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.test_irc_nodes import open_irc
from tests.support.accounts import PASSWORD, UserClient


def ask_for_events(client: UserClient) -> None:
    answer = client.request("presence", jim=2, user={"account_name": client.name}, profiles=True)
    assert answer["response"] == 200


def test_a_change_is_told_on_the_other_node_by_both_protocols(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(irc_port=0, irc_name="irc.example")
    hank = cluster.register(cluster.first, "hank")
    phone, dale = cluster.log_in(cluster.second, "hank", "phone"), cluster.register(cluster.second, "dale")
    hank.request("join", room="#dev")
    dale.request("join", room="#dev")
    for client in (phone, dale):
        ask_for_events(client)
    with closing(open_irc(cluster.second)) as gast:
        gast.log_in("gast", "draft/metadata-3")
        gast.ask("METADATA * SUB city url", "JOIN #dev")
        wait_until(lambda: cluster.first.app.messenger.rooms.get("#dev").size == 3)  # type: ignore[union-attr]
        assert hank.request("profile", set={"city": "Arlen", "age": "40"})["response"] == 200
        for client in (phone, dale):
            assert client.next_event("profile")["set"] == {"city": "Arlen", "age": "40"}
        assert gast.expect("761").params == ["gast", "hank", "city", "*", "Arlen"]
        assert hank.request("profile", room="#dev", set={"url": "x"})["response"] == 200
        assert dale.next_event("profile")["room"] == "#dev"
        assert gast.expect("761").params == ["gast", "#dev", "url", "*", "x"]


def test_what_one_node_has_stored_the_other_reads_and_changes(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    hank.request("join", room="#dev")
    hank.request("profile", set={"city": "Arlen"})
    hank.request("profile", room="#dev", set={"url": "x"})
    phone = cluster.log_in(cluster.second, "hank", "phone", password=PASSWORD)
    assert phone.request("profile")["profile"] == {"city": "Arlen"}
    assert phone.request("profile", set={"age": "40"})["profile"] == {"city": "Arlen", "age": "40"}
    assert phone.request("profile", room="#dev", set={"url": None})["profile"] == {}
    assert hank.request("profile")["profile"] == {"city": "Arlen", "age": "40"}
    assert hank.request("profile", room="#dev")["profile"] == {}


def test_a_guest_of_another_node_shows_no_profile(cluster: Cluster) -> None:
    guest, hank = cluster.log_in_guest(cluster.first, "gast"), cluster.register(cluster.second, "hank")
    wait_until(lambda: "gast" in cluster.second.app.messenger.router)
    assert guest.request("profile", set={"city": "Arlen"})["profile"] == {"city": "Arlen"}
    assert hank.request("profile", user="gast")["profile"] == {}
