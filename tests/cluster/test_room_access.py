"""Invitations, removals and bans of rooms hold on every node, and races are decided in the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import psycopg
import pytest

from tests.cluster.conftest import Cluster, wait_until
from tests.protocol.test_concurrency import Gate
from tests.protocol.test_invitations import INVITED, PRIVATE
from tests.store.test_postgres_concurrency import WAITING
from tests.support.accounts import UserClient, numbered_texts, texts
from tests.support.moderation import expect_error, expect_ok
from tests.support.native_clients import encode_frame
from tests.support.timeouts import TEST_TIMEOUT

ROUNDS = 20


def test_an_invitation_goes_to_whatever_node_one_is_on(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    expect_ok(hank.request("join", room="#dev", rules=PRIVATE))
    expect_error(dale.request("join", room="#dev"), "no_such_room", 404)
    expect_ok(hank.request("invite", room="#dev", user="dale"))
    assert dale.next_event("invited") == INVITED
    assert cluster.log_in(cluster.second, "dale", "phone").next_event("invited") == INVITED
    expect_ok(dale.request("join", room="#dev"))
    assert hank.next_event("join")["user"]["account_name"] == "dale"
    expect_ok(dale.request("leave", room="#dev"))
    wait_until(lambda: hank.request("invite", room="#dev", user="dale")["response"] == 200)
    expect_ok(dale.request("leave", room="#dev"))  # declined
    wait_until(lambda: expect_ok(hank.request("invitations", room="#dev"))["invitations"] == [])


def test_invitations_to_new_rooms_are_known_on_every_node(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    for room in (f"#r{number}" for number in range(ROUNDS)):
        expect_ok(hank.request("join", room=room, rules=PRIVATE))
        expect_ok(hank.request("invite", room=room, user="dale"))
        assert dale.next_event("invited")["room"] == room
        expect_ok(dale.request("join", room=room))


def test_what_was_said_meanwhile_is_absent_on_every_node(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    phone = cluster.log_in(cluster.first, "dale", "phone")
    for each in (hank, dale):
        expect_ok(each.request("join", room="#dev"))
    hank.send_messages("#dev", *numbered_texts(2))
    assert texts(dale.receive_messages(2)) == texts(phone.receive_messages(2)) == numbered_texts(2)
    expect_ok(dale.request("leave", room="#dev"))
    assert hank.next_event("leave")["user"]["account_name"] == "dale"
    hank.send_messages("#dev", "secret")
    assert expect_ok(dale.request("join", room="#dev"))["absent"] == [[3, 3]]
    while hank.next_event("join")["user"]["account_name"] != "dale":
        pass
    hank.send_messages("#dev", "after")
    assert texts(dale.receive_messages(1)) == texts(phone.receive_messages(1)) == ["after"]
    assert texts(dale.history("#dev")) == texts(phone.history("#dev")) == [*numbered_texts(2), "after"]


def test_who_is_removed_or_silenced_on_one_node_is_so_on_all(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    for each in (hank, dale):
        expect_ok(each.request("join", room="#dev"))
    expect_ok(hank.request("silence", room="#dev", user="dale"))
    assert dale.next_event("silence")["by"] == "hank"
    expect_error(dale.send_message("#dev", "but"), "silenced")
    expect_ok(hank.request("unsilence", room="#dev", user="dale"))
    assert dale.next_event("unsilence")["by"] == "hank"
    dale.send_messages("#dev", "thanks")
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    assert dale.next_event("leave")["by"] == "hank"
    expect_error(dale.request("join", room="#dev"), "shut_out")
    expect_ok(hank.request("let_in", room="#dev", user="dale"))
    expect_ok(dale.request("join", room="#dev"))


def test_no_change_is_told_under_the_name_of_who_made_an_earlier_one(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.first, "dale")
    bobby, peggy = cluster.register(cluster.first, "bobby"), cluster.register(cluster.second, "peggy")
    for each in (hank, dale, bobby, peggy):
        expect_ok(each.request("join", room="#dev"))
    wait_until(lambda: len(names_in(peggy)) == 4)
    gate = Gate(cluster.second.app.node._follower, "_apply_change")  # until all that follows is stored
    for name in ("dale", "bobby"):
        expect_ok(hank.request("role", room="#dev", user=name, role="moderator"))
    for each in (bobby, hank):
        expect_ok(each.request("leave", room="#dev"))
    gate.open()
    assert peggy.next_event("role") == {
        "action": "role",
        "room": "#dev",
        "user": {"account_name": "dale"},
        "role": "owner",
    }
    assert "by" not in peggy.next_event("leave")


def test_a_guest_on_another_node_is_invited_and_kept_out(cluster: Cluster) -> None:
    hank, gus = cluster.register(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    expect_ok(hank.request("join", room="#dev", rules=PRIVATE))
    expect_error(gus.request("join", room="#dev"), "no_such_room", 404)
    expect_ok(hank.request("invite", room="#dev", user="gus"))
    assert gus.next_event("invited") == INVITED
    expect_ok(gus.request("join", room="#dev"))
    assert hank.next_event("join")["user"]["account_name"] == "gus"
    expect_ok(hank.request("remove", room="#dev", user="gus"))
    assert gus.next_event("leave")["by"] == "hank"
    expect_error(gus.request("join", room="#dev"), "no_such_room", 404)
    expect_ok(hank.request("rule", room="#dev", set={"invited": False}))
    expect_error(gus.request("join", room="#dev"), "shut_out")


def test_who_joins_while_it_is_removed_is_out(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    expect_ok(hank.request("join", room="#dev"))
    for _ in range(ROUNDS):
        jobs = [
            gevent.spawn(dale.request, "join", room="#dev"),
            gevent.spawn(hank.request, "shut_out", room="#dev", user="dale"),
        ]
        joined, banned = (job.get(timeout=TEST_TIMEOUT) for job in jobs)
        expect_ok(banned)
        assert joined["response"] == 200 or joined["code"] == "shut_out"
        wait_until(lambda: names_in(hank) == ["hank"])
        expect_error(dale.request("join", room="#dev"), "shut_out")
        expect_ok(hank.request("let_in", room="#dev", user="dale"))


def test_an_invitation_and_its_taking_back_at_once_leave_one_of_both(cluster: Cluster) -> None:
    hank, bobby = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "bobby")
    dale = cluster.register(cluster.second, "dale")
    expect_ok(hank.request("join", room="#dev", rules={"invited": True}))
    expect_ok(hank.request("invite", room="#dev", user="bobby"))
    expect_ok(bobby.request("join", room="#dev"))
    expect_ok(hank.request("role", room="#dev", user="bobby", role="moderator"))
    for _ in range(ROUNDS):
        jobs = [
            gevent.spawn(hank.request, "invite", room="#dev", user="dale"),
            gevent.spawn(bobby.request, "shut_out", room="#dev", user="dale"),
        ]
        for job in jobs:
            expect_ok(job.get(timeout=TEST_TIMEOUT))
        invited = bool(expect_ok(hank.request("invitations", room="#dev"))["invitations"])
        banned = bool(expect_ok(hank.request("shut_outs", room="#dev"))["shut_outs"])
        assert invited != banned
        joined = dale.request("join", room="#dev")
        assert joined["response"] == 200 if invited else joined["code"] == "shut_out"
        if invited:
            expect_ok(dale.request("leave", room="#dev"))


def names_in(client: UserClient) -> list[str]:
    users = expect_ok(client.request("members", room="#dev"))["users"]
    return [user["account_name"] for user in users]


def test_a_namesake_of_a_guest_that_has_left_another_node_has_not_its_place(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    expect_ok(hank.request("join", room="#dev"))
    room = cluster.first.app.messenger.rooms.get("#dev")
    for rules, expected in (({}, "join"), ({"invited": True}, "invited_only"), (PRIVATE, "no_such_room")):
        expect_ok(hank.request("rule", room="#dev", set=rules))
        gus = cluster.log_in_guest(cluster.first, "gus")
        room.remote_guests["gus"] = "Gus"  # as until the other node's presence is known to have ended
        answer = gus.request("join", room="#dev")
        if expected == "join":
            expect_ok(answer)
            assert hank.next_event("leave")["user"]["account_name"] == "Gus"
            assert hank.next_event("join")["user"]["account_name"] == "gus"
        else:
            assert answer["code"] == expected
        room.remote_guests.pop("gus", None)
        gus.send({"action": "quit"})
        gus.receive_until_closed()
        wait_until(lambda: "gus" not in cluster.first.app.messenger.router)


def test_a_guest_that_changes_nodes_keeps_its_place(cluster: Cluster) -> None:
    hank, gus = cluster.register(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    expect_ok(hank.request("join", room="#dev"))
    expect_ok(gus.request("join", room="#dev"))
    assert hank.next_event("join")["user"]["account_name"] == "gus"
    expect_ok(hank.request("rule", room="#dev", set=PRIVATE | {"most": 2}))
    again = cluster.connect(cluster.first).start_session("gus", session=gus.session)
    expect_ok(again.request("join", room="#dev"))


def test_the_invitation_of_a_guest_on_another_node_is_taken_back_once(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.first, "dale")
    gus, peggy = cluster.log_in_guest(cluster.second, "gus"), cluster.register(cluster.second, "peggy")
    for each in (hank, dale, peggy):
        expect_ok(each.request("join", room="#dev"))
    wait_until(lambda: len(names_in(hank)) == 3)
    expect_ok(dale.request("invite", room="#dev", user="gus"))
    wait_until(lambda: cluster.first.app.messenger.router.peers.inviter_of("#dev", "gus") == "dale")
    expect_ok(dale.request("uninvite", room="#dev", user="gus"))  # its own, though it is no moderator
    wait_until(lambda: cluster.first.app.messenger.router.peers.inviter_of("#dev", "gus") is None)
    expect_error(hank.request("uninvite", room="#dev", user="gus"), "never_seen", 404)
    expect_ok(hank.request("invite", room="#dev", user="gus"))
    expect_error(peggy.request("uninvite", room="#dev", user="gus"), "not_owner")
    expect_ok(hank.request("role", room="#dev", user="peggy", role="moderator"))
    wait_until(lambda: cluster.first.app.messenger.router.peers.inviter_of("#dev", "gus") == "hank")
    expect_ok(gus.request("leave", room="#dev"))  # declined
    wait_until(lambda: hank.request("uninvite", room="#dev", user="gus")["response"] == 404)
    expect_error(peggy.request("uninvite", room="#dev", user="gus"), "never_seen", 404)


@pytest.mark.parametrize(
    ("who", "change", "code"),
    [
        ("hank", {"action": "remove", "user": "dale"}, "not_member"),
        ("hank", {"action": "shut_out", "user": "ann"}, "not_owner"),
        ("hank", {"action": "rule", "set": {"invited": True}}, "not_owner"),
        ("ann", {"action": "block", "user": "dale"}, "blocked"),
    ],
    ids=str,
)
def test_an_invitation_knows_what_another_node_has_just_changed(
    who: str, change: dict[str, Any], code: str, start_cluster: Callable[..., Cluster]
) -> None:
    cluster = start_cluster(bus="", cluster_check=60.0)
    people = {name: cluster.register(cluster.first, name) for name in ("hank", "ann")}
    dale = cluster.register(cluster.second, "dale")
    for each in (people["hank"], dale):
        expect_ok(each.request("join", room="#dev"))
    expect_ok(people[who].request(**{"room": "#dev", **change}))
    expect_error(dale.request("invite", room="#dev", user="ann"), code)
    assert expect_ok(people["hank"].request("invitations", room="#dev"))["invitations"] == []


@pytest.mark.parametrize("rules", [{}, PRIVATE], ids=["open", "private"])
@pytest.mark.parametrize(
    "about", [{}, {"about": 1}, {"about": 1, "what": "react"}, {"about": 2, "what": "erase"}], ids=str
)
def test_who_was_removed_on_another_node_a_moment_ago_writes_no_more(
    rules: dict[str, Any], about: dict[str, Any], start_cluster: Callable[..., Cluster]
) -> None:
    cluster = start_cluster(bus="", cluster_check=60.0)
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    expect_ok(hank.request("join", room="#dev", rules=rules))
    expect_ok(hank.request("invite", room="#dev", user="dale"))
    expect_ok(dale.request("join", room="#dev"))
    expect_ok(hank.request("msg", to="#dev", message="one"))
    expect_ok(dale.request("msg", to="#dev", message="two"))
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    code, status = ("no_such_room", 404) if rules else ("not_member", 403)
    expect_error(dale.request("msg", to="#dev", message="👍", **about), code, status)
    assert texts(hank.history("#dev")) == ["one", "two"]


def test_nor_do_many_messages_at_once(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(bus="", cluster_check=60.0)
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    for each in (hank, dale):
        expect_ok(each.request("join", room="#dev"))
    dale.send_messages("#dev", *numbered_texts(2))
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    for response in dale.send_pipelined("#dev", numbered_texts(5)):
        expect_error(response, "not_member", 403)
    assert texts(hank.history("#dev")) == numbered_texts(2)


def test_what_was_sent_before_leaving_is_stored(start_cluster: Callable[..., Cluster], postgres: Any) -> None:
    """The message is queued behind one that waits for a lock in the database; the departure is stored after both."""
    url = postgres.database()
    cluster = start_cluster(store=url)
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.first, "dale")
    peggy = cluster.register(cluster.second, "peggy")
    expect_ok(hank.request("join", room="#other"))
    for each in (peggy, dale):
        expect_ok(each.request("join", room="#dev"))
    with psycopg.connect(url, autocommit=True) as monitor, psycopg.connect(url) as db:
        db.execute("SELECT FROM conversations WHERE key = '#other' FOR UPDATE")
        hank.send_bytes(encode_frame(action="msg", to="#other", message="x"))
        wait_until(lambda: monitor.execute(WAITING).fetchone() == (1,))
        dale.send_bytes(encode_frame(action="msg", id="bye", to="#dev", message="bye"))
        dale.send_bytes(encode_frame(action="leave", id="leave", room="#dev"))
        for _ in range(ROUNDS):  # (as long as it takes to leave without waiting)
            expect_ok(peggy.request("devices"))
    answers = [dale.receive(), dale.receive()]
    assert [(answer["id"], answer["response"]) for answer in answers] == [("bye", 200), ("leave", 200)]
    assert texts(peggy.history("#dev")) == ["bye"]


def test_who_was_muted_on_another_node_a_moment_ago_invites_no_more(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(bus="", cluster_check=60.0)
    cluster.register(cluster.first, "ann")
    dale = cluster.register(cluster.second, "dale")
    expect_ok(dale.request("join", room="#dev"))
    cluster.first.app.messenger.moderation.mute("server", "dale")
    expect_error(dale.request("invite", room="#dev", user="ann"), "muted")


@pytest.mark.parametrize("action", ["remove", "shut_out", "silence", "uninvite", "let_in"])
def test_who_was_a_moderator_a_moment_ago_acts_no_more_on_another_node(
    action: str, start_cluster: Callable[..., Cluster]
) -> None:
    cluster = start_cluster(bus="", cluster_check=60.0)
    hank, ann = (cluster.register(cluster.first, name) for name in ("hank", "ann"))
    bobby, dale = cluster.register(cluster.first, "bobby"), cluster.register(cluster.second, "dale")
    for each in (hank, ann, bobby, dale):
        expect_ok(each.request("join", room="#dev"))
    expect_ok(hank.request("role", room="#dev", user="dale", role="moderator"))
    expect_ok(hank.request("shut_out", room="#dev", user="bobby"))
    expect_ok(hank.request("invite", room="#dev", user=cluster.register(cluster.first, "peggy").name))
    expect_ok(dale.request("shut_outs", room="#dev"))
    expect_ok(hank.request("role", room="#dev", user="dale", role="member"))
    user = {"uninvite": "peggy", "let_in": "bobby"}.get(action, "ann")
    expect_error(dale.request(action, room="#dev", user=user), "not_owner")
