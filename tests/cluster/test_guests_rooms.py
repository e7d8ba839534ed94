"""Rooms that guests make, and guests who take another name, on a cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.errors import NameInUse
from tests.cluster.conftest import Cluster, wait_until
from tests.protocol.test_rooms import room_names
from tests.support.moderation import expect_ok


@pytest.fixture
def open_to_guests(start_cluster: Callable[..., Cluster]) -> Cluster:
    return start_cluster(irc_guest_rooms=True)


def test_a_room_is_deleted_when_nobody_is_in_it_on_any_node(open_to_guests: Cluster) -> None:
    cluster = open_to_guests
    guest, visitor = cluster.log_in_guest(cluster.first, "guest"), cluster.log_in_guest(cluster.second, "visitor")
    hank = cluster.register(cluster.second, "hank")
    expect_ok(guest.request("join", room="#tea"))
    wait_until(lambda: visitor.request("join", room="#tea")["response"] == 200)
    assert guest.next_event("join")["user"]["account_name"] == "visitor"
    expect_ok(guest.request("leave", room="#tea"))
    assert visitor.next_event("leave")["user"]["account_name"] == "guest"
    assert room_names(hank.request("rooms")) == ["#tea"]
    expect_ok(hank.request("join", room="#tea"))
    visitor.close()
    assert hank.next_event("leave")["user"]["account_name"] == "visitor"
    # The first node may have asked the store to delete it, which knows that hank is in it.
    wait_until(lambda: room_names(guest.request("rooms")) == ["#tea"])
    expect_ok(hank.request("leave", room="#tea"))
    wait_until(lambda: room_names(guest.request("rooms")) == room_names(hank.request("rooms")) == [])


def test_another_name_is_one_guests_in_the_cluster_and_its_room_stays(open_to_guests: Cluster) -> None:
    cluster = open_to_guests
    guest, hank = cluster.log_in_guest(cluster.first, "guest"), cluster.register(cluster.second, "hank")
    other = cluster.log_in_guest(cluster.second, "other")
    expect_ok(guest.request("join", room="#tea"))
    expect_ok(hank.request("join", room="#dev"))
    expect_ok(guest.request("join", room="#dev"))
    assert hank.next_event("join")["user"]["account_name"] == "guest"
    messenger = cluster.first.app.messenger
    (session,) = messenger.router.sessions("guest")
    with pytest.raises(NameInUse):
        messenger.rename(session, "other")
    messenger.rename(session, "pilgrim")
    assert hank.next_event("join")["user"]["account_name"] == "pilgrim"
    assert hank.next_event("leave")["user"]["account_name"] == "guest"
    assert guest.send_messages("#tea", "it is there") == [1]
    wait_until(lambda: "pilgrim" in cluster.second.app.messenger.router)
    assert other.request("msg", to="pilgrim", message="hi", id="m1")["response"] == 202
    assert guest.next_event("msg")["to"] == "pilgrim"
    wait_until(lambda: cluster.second.app.store.name_holder("guest") is None)  # type: ignore[attr-defined]
    cluster.log_in_guest(cluster.second, "guest")
