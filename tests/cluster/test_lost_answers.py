"""Changes whose response or hint is lost, or that meet others at a bad moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from gmessenger.chat.admin import AdminService
from gmessenger.chat.records import NewMessage
from gmessenger.errors import StoreUnavailable
from gmessenger.store.postgres import pool
from tests.cluster.conftest import Cluster, wait_until
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, numbered_texts, seqs, texts
from tests.support.timeouts import TEST_TIMEOUT


def members(node: RunningServer, room: str = "#dev") -> list[str]:
    found = node.app.messenger.rooms.get(room)
    return found.names if found is not None else []


def drop_hints(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in cluster.nodes:
        monkeypatch.setattr(node.app.node.bus, "send", lambda *_: None)


def test_a_change_whose_answer_was_lost_is_known_where_it_was_made(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    dale.request("join", room="#dev")
    store: Any = cluster.first.app.store
    write = store.write

    def write_and_fail(*options: Any) -> Any:
        write(*options)
        raise StoreUnavailable

    monkeypatch.setattr(store, "write", write_and_fail)
    assert hank.request("join", room="#dev")["response"] == 503
    monkeypatch.undo()
    wait_until(lambda: members(cluster.first) == members(cluster.second) == ["dale", "hank"])
    assert hank.send_messages("#dev", "am I in?") == [1]
    assert texts(dale.receive_messages(1)) == ["am I in?"]


def test_a_guest_who_comes_into_a_room_is_not_given_what_was_said_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, gus = cluster.register(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    hank.request("join", room="#dev")
    hank.send_messages("#dev", *numbered_texts(5))
    drop_hints(cluster, monkeypatch)
    assert gus.request("join", room="#dev")["seq"] == 5
    hank.send_messages("#dev", "welcome")
    assert texts(gus.receive_messages(1)) == ["welcome"] and gus.take_events() == []


def test_a_guest_who_registers_has_what_was_on_its_way(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    hank, gus = cluster.register(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    hank.send_messages("gus", "one")
    gus.receive_messages(1)
    sequencer = cluster.second.app.node.sequencer
    monkeypatch.setattr(sequencer, "accept", lambda stored: None)
    cluster.second.app.node._hint_exchange._accept = sequencer.accept
    hank.send_messages("gus", "two")
    monkeypatch.setattr(sequencer, "on_heads", lambda heads: None)
    gus.register()
    assert texts(gus.receive_messages(1)) == ["two"]


def test_what_is_said_in_a_room_reaches_whoever_has_just_been_made_a_member(
    start_cluster: Callable[..., Cluster],
) -> None:
    cluster = start_cluster(bus="", cluster_check=0.3)
    hank = cluster.register(cluster.first, "hank")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    hank.request("join", room="#dev")
    hank.send_messages("#dev", *numbered_texts(2))  # both come with one look
    assert texts(phone.receive_messages(2)) == numbered_texts(2)


def test_a_room_made_while_one_of_its_name_is_being_deleted_stays(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.request("join", room="#dev")
    deleted, made = Event(), Event()
    store = cluster.first.app.store
    delete = store.delete_room

    def delete_slowly(room: str) -> None:
        delete(room)
        deleted.set()
        assert made.wait(5)

    monkeypatch.setattr(store, "delete_room", delete_slowly)
    administration = AdminService(cluster.first.app.messenger, store, FAST, time.time)
    deleting = gevent.spawn(administration.delete_room, "#dev")
    assert deleted.wait(5)
    wait_until(lambda: cluster.second.app.messenger.rooms.get("#dev") is None)
    assert dale.request("join", room="#dev")["response"] == 200
    wait_until(lambda: members(cluster.first) == ["dale"])
    made.set()
    deleting.get(timeout=TEST_TIMEOUT)
    assert members(cluster.first) == ["dale"]
    assert seqs(dale.request("history", **{"with": "#dev"})["messages"]) == []


def test_a_guest_who_has_gone_elsewhere_is_not_called_back(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    gus = cluster.log_in_guest(cluster.first, "gus")
    follower = cluster.first.app.node._follower
    monkeypatch.setattr(follower, "_try_poll", lambda: None)  # it does not learn of it yet
    again = cluster.connect(cluster.second)
    assert again.try_log_in("gus", session=gus.session)["response"] == 200
    cluster.first.app.node._leases._renew()
    assert gus.receive()["code"] == "name_in_use"
    assert again.request("probe")["response"] == 200
    assert again.receive_until_synced() == []


def test_a_guest_who_comes_back_to_where_it_was_is_the_one_that_stays(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster.log_in_guest(cluster.first, "gus")
    follower = cluster.first.app.node._follower
    with monkeypatch.context() as patch:
        patch.setattr(follower, "_try_poll", lambda: None)
        second = cluster.connect(cluster.second)
        assert second.try_log_in("gus", session=first.session)["response"] == 200
        third = cluster.connect(cluster.first)
        assert third.try_log_in("gus", session=first.session)["response"] == 200
    follower.sync()
    wait_until(lambda: "gus" not in cluster.second.app.messenger.router.outboxes)
    assert third.receive_until_synced() == [] and third.request("probe")["response"] == 200
    assert cluster.second.app.store.name_holder("gus") == cluster.first.app.store.node


def test_a_guest_who_is_banned_while_its_name_is_claimed_does_not_get_in(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = cluster.first.app.store.claim_name

    def banned_meanwhile(*options: Any) -> Any:
        cluster.first.app.messenger.moderation.ban("server", "gus", None)
        return claim(*options)

    monkeypatch.setattr(cluster.first.app.store, "claim_name", banned_meanwhile)
    assert cluster.connect(cluster.first).try_log_in("gus")["code"] == "banned"
    wait_until(lambda: cluster.second.app.store.name_holder("gus") is None)


def test_a_node_that_was_asleep_for_too_long_compares_everything(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    for each in (hank, dale):
        each.request("join", room="#dev")
    follower, store = cluster.second.app.node._follower, cluster.second.app.store
    with monkeypatch.context() as patch:
        patch.setattr(follower, "_try_poll", lambda: None)
        patch.setattr(cluster.second.app.node._hint_exchange, "_accept", lambda stored: None)
        cluster.register(cluster.first, "bobby").request("join", room="#dev")
        hank.request("topic", room="#dev", topic="asleep")
        hank.send_messages("#dev", "nobody hints")
        cluster.first.app.messenger.moderation.mute("server", "peggy")
    store.poll_changes()  # what it would have applied
    store.invalidate()
    follower.sync()
    second = cluster.second.app.messenger
    assert sorted(members(cluster.second)) == ["bobby", "dale", "hank"]
    assert second.rooms.get("#dev").topic == "asleep" and second.sanctions.find("mute", "peggy") is not None
    assert texts([frame for frame in (*dale.events, *dale.receive_messages(1)) if frame["action"] == "msg"]) == [
        "nobody hints"
    ]


def test_a_look_that_fails_is_not_the_last(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cluster.second.app.store
    with monkeypatch.context() as patch:
        patch.setattr(store, "poll_changes", lambda: 1 / 0)
        with pytest.raises(StoreUnavailable):
            cluster.second.app.node._follower.sync()
    cluster.second.app.supervisor.failure_count = 0
    cluster.register(cluster.first, "hank")
    assert cluster.connect(cluster.second).try_log_in("hank")["code"] == "password_needed"


def test_who_waits_for_a_connection_does_not_wait_for_ever(cluster: Cluster) -> None:
    store: Any = cluster.first.app.store
    few = pool.ConnectionPool(store.pool.settings, 1, 0.05)
    with few.connection(), pytest.raises(StoreUnavailable):
        few.run(lambda line: line)
    few.close()


def test_nobody_is_an_account_elsewhere_while_it_is_erased_and_what_came_late_is_erased_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    store, account = cluster.first.app.store, cluster.first.app.messenger.authenticator.accounts["hank"].id
    delete = store.delete_account

    def delete_after_message(id: int) -> Any:
        assert phone.receive()["code"] == "account_disabled"
        assert cluster.connect(cluster.second).try_log_in("hank", password=PASSWORD)["code"] == "account_disabled"
        cluster.second.app.store.append(NewMessage("dale hank", "hank", "dale", "late", 1.0, account), lambda *_: None)
        cluster.second.app.store.flush()
        return delete(id)

    monkeypatch.setattr(store, "delete_account", delete_after_message)
    assert hank.request("forget", password=PASSWORD)["response"] == 200
    assert [(each["message"], each.get("erased")) for each in dale.history("hank")] == [("", True)]


def test_an_account_that_could_not_be_erased_is_let_in_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    hank = cluster.register(cluster.first, "hank")

    def unavailable(_: int) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(cluster.first.app.store, "delete_account", unavailable)
    assert hank.request("forget", password=PASSWORD)["response"] == 503
    assert cluster.log_in(cluster.first, "hank", "phone").request("users")["response"] == 200
    wait_until(lambda: cluster.connect(cluster.second).try_log_in("hank", password=PASSWORD)["response"] == 200)


def test_a_guest_who_has_become_an_account_is_one_though_its_name_is_still_held(
    start_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = start_cluster(bus="")
    hank = cluster.register(cluster.first, "hank")
    monkeypatch.setattr(cluster.second.app.node._leases, "release", lambda key: None)
    cluster.register(cluster.second, "dale")
    assert hank.send_messages("dale", "an account, are you?") == [1]
