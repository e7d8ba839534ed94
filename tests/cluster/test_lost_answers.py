"""What is changed while an answer, a hint or a moment is missing."""

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
from tests.cluster.conftest import Cluster, until
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, numbered, seqs, texts
from tests.support.timeouts import PATIENCE


def members(node: RunningServer, room: str = "#dev") -> list[str]:
    found = node.app.messenger.rooms.get(room)
    return found.names if found is not None else []


def nobody_hints(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in cluster.nodes:
        monkeypatch.setattr(node.app.node.bus, "send", lambda *_: None)


def test_a_change_whose_answer_was_lost_is_known_where_it_was_made(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    dale.ask("join", room="#dev")
    store: Any = cluster.here.app.store
    write = store.write

    def loses_the_answer(*given: Any) -> Any:
        write(*given)
        raise StoreUnavailable

    monkeypatch.setattr(store, "write", loses_the_answer)
    assert hank.ask("join", room="#dev")["response"] == 503
    monkeypatch.undo()
    until(lambda: members(cluster.here) == members(cluster.there) == ["dale", "hank"])
    assert hank.sends("#dev", "am I in?") == [1]
    assert texts(dale.hears(1)) == ["am I in?"]


def test_a_guest_who_comes_into_a_room_is_not_given_what_was_said_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, gus = cluster.registers(cluster.here, "hank"), cluster.guest(cluster.there, "gus")
    hank.ask("join", room="#dev")
    hank.sends("#dev", *numbered(5))
    nobody_hints(cluster, monkeypatch)
    assert gus.ask("join", room="#dev")["seq"] == 5
    hank.sends("#dev", "welcome")
    assert texts(gus.hears(1)) == ["welcome"] and gus.unheard() == []


def test_a_guest_who_registers_has_what_was_on_its_way(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    hank, gus = cluster.registers(cluster.here, "hank"), cluster.guest(cluster.there, "gus")
    hank.sends("gus", "one")
    gus.hears(1)
    ordering = cluster.there.app.node.sequencer
    monkeypatch.setattr(ordering, "accept", lambda kept: None)
    cluster.there.app.node._hint_publisher._accept = ordering.accept
    hank.sends("gus", "two")
    monkeypatch.setattr(ordering, "on_heads", lambda heads: None)
    gus.register()
    assert texts(gus.hears(1)) == ["two"]


def test_what_is_said_in_a_room_reaches_whoever_has_just_been_made_a_member(
    start_cluster: Callable[..., Cluster],
) -> None:
    cluster = start_cluster(bus="", cluster_check=0.3)
    hank = cluster.registers(cluster.here, "hank")
    phone = cluster.comes(cluster.there, "hank", "phone")
    hank.ask("join", room="#dev")
    hank.sends("#dev", *numbered(2))  # both come with one look
    assert texts(phone.hears(2)) == numbered(2)


def test_a_room_made_while_one_of_its_name_is_being_deleted_stays(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    hank.ask("join", room="#dev")
    deleted, made = Event(), Event()
    store = cluster.here.app.store
    delete = store.delete_room

    def slowly(room: str) -> None:
        delete(room)
        deleted.set()
        assert made.wait(5)

    monkeypatch.setattr(store, "delete_room", slowly)
    administration = AdminService(cluster.here.app.messenger, store, FAST, time.time)
    deleting = gevent.spawn(administration.delete_room, "#dev")
    assert deleted.wait(5)
    until(lambda: cluster.there.app.messenger.rooms.get("#dev") is None)
    assert dale.ask("join", room="#dev")["response"] == 200
    until(lambda: members(cluster.here) == ["dale"])
    made.set()
    deleting.get(timeout=PATIENCE)
    assert members(cluster.here) == ["dale"]
    assert seqs(dale.ask("history", **{"with": "#dev"})["messages"]) == []


def test_a_guest_who_has_gone_elsewhere_is_not_called_back(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    gus = cluster.guest(cluster.here, "gus")
    following = cluster.here.app.node._follower
    monkeypatch.setattr(following, "_try_poll", lambda: None)  # it does not hear of it yet
    again = cluster.dials(cluster.there)
    assert again.present("gus", session=gus.session)["response"] == 200
    cluster.here.app.node._leases._renew()
    assert gus.recv()["code"] == "name_in_use"
    assert again.ask("probe")["response"] == 200
    assert again.until_synced() == []


def test_a_guest_who_comes_back_to_where_it_was_is_the_one_that_stays(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster.guest(cluster.here, "gus")
    following = cluster.here.app.node._follower
    with monkeypatch.context() as patch:
        patch.setattr(following, "_try_poll", lambda: None)
        second = cluster.dials(cluster.there)
        assert second.present("gus", session=first.session)["response"] == 200
        third = cluster.dials(cluster.here)
        assert third.present("gus", session=first.session)["response"] == 200
    following.sync()
    until(lambda: "gus" not in cluster.there.app.messenger.router.outboxes)
    assert third.until_synced() == [] and third.ask("probe")["response"] == 200
    assert cluster.there.app.store.name_holder("gus") == cluster.here.app.store.node


def test_a_guest_who_is_banned_while_its_name_is_claimed_does_not_get_in(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = cluster.here.app.store.claim_name

    def banned_meanwhile(*given: Any) -> Any:
        cluster.here.app.messenger.moderation.ban("server", "gus", None)
        return claim(*given)

    monkeypatch.setattr(cluster.here.app.store, "claim_name", banned_meanwhile)
    assert cluster.dials(cluster.here).present("gus")["code"] == "banned"
    until(lambda: cluster.there.app.store.name_holder("gus") is None)


def test_a_node_that_was_asleep_for_too_long_compares_everything(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    for each in (hank, dale):
        each.ask("join", room="#dev")
    following, store = cluster.there.app.node._follower, cluster.there.app.store
    with monkeypatch.context() as patch:
        patch.setattr(following, "_try_poll", lambda: None)
        patch.setattr(cluster.there.app.node._hint_publisher, "_accept", lambda kept: None)
        cluster.registers(cluster.here, "bobby").ask("join", room="#dev")
        hank.ask("topic", room="#dev", topic="asleep")
        hank.sends("#dev", "nobody hints")
        cluster.here.app.messenger.moderation.mute("server", "peggy")
    store.poll_changes()  # what it would have heard
    store.invalidate()
    following.sync()
    there = cluster.there.app.messenger
    assert sorted(members(cluster.there)) == ["bobby", "dale", "hank"]
    assert there.rooms.get("#dev").topic == "asleep" and there.sanctions.find("mute", "peggy") is not None
    assert texts([frame for frame in (*dale.events, *dale.hears(1)) if frame["action"] == "msg"]) == ["nobody hints"]


def test_a_look_that_fails_is_not_the_last(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cluster.there.app.store
    with monkeypatch.context() as patch:
        patch.setattr(store, "poll_changes", lambda: 1 / 0)
        with pytest.raises(StoreUnavailable):
            cluster.there.app.node._follower.sync()
    cluster.there.app.supervisor.failure_count = 0
    cluster.registers(cluster.here, "hank")
    assert cluster.dials(cluster.there).present("hank")["code"] == "password_needed"


def test_who_waits_for_a_connection_does_not_wait_for_ever(cluster: Cluster) -> None:
    store: Any = cluster.here.app.store
    few = pool.ConnectionPool(store.pool.settings, 1, 0.05)
    with few.connection(), pytest.raises(StoreUnavailable):
        few.run(lambda line: line)
    few.close()


def test_nobody_is_an_account_elsewhere_while_it_is_erased_and_what_came_late_is_erased_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    phone = cluster.comes(cluster.there, "hank", "phone")
    store, account = cluster.here.app.store, cluster.here.app.messenger.authenticator.accounts["hank"].id
    delete = store.delete_account

    def late(id: int) -> None:
        assert phone.recv()["code"] == "account_disabled"
        assert cluster.dials(cluster.there).present("hank", password=PASSWORD)["code"] == "account_disabled"
        cluster.there.app.store.append(NewMessage("dale hank", "hank", "dale", "late", 1.0, account), lambda *_: None)
        cluster.there.app.store.flush()
        delete(id)

    monkeypatch.setattr(store, "delete_account", late)
    assert hank.ask("forget", password=PASSWORD)["response"] == 200
    assert [(each["message"], each.get("erased")) for each in dale.history("hank")] == [("", True)]


def test_an_account_that_could_not_be_erased_is_let_in_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    hank = cluster.registers(cluster.here, "hank")

    def away(_: int) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(cluster.here.app.store, "delete_account", away)
    assert hank.ask("forget", password=PASSWORD)["response"] == 503
    assert cluster.comes(cluster.here, "hank", "phone").ask("users")["response"] == 200
    until(lambda: cluster.dials(cluster.there).present("hank", password=PASSWORD)["response"] == 200)


def test_a_guest_who_has_become_an_account_is_one_though_its_name_is_still_held(
    start_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = start_cluster(bus="")
    hank = cluster.registers(cluster.here, "hank")
    monkeypatch.setattr(cluster.there.app.node._leases, "release", lambda key: None)
    cluster.registers(cluster.there, "dale")
    assert hank.sends("dale", "an account, are you?") == [1]
