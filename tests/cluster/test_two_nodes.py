"""Clients on different nodes behave as on one."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from tests.cluster.conftest import Cluster, wait_until
from tests.support.accounts import PASSWORD, UserClient, numbered_texts, seqs, texts
from tests.support.course_clients import CLASSIC, Frame
from tests.support.timeouts import TEST_TIMEOUT


def test_an_account_made_on_one_node_is_one_on_the_other_at_once(cluster: Cluster) -> None:
    cluster.register(cluster.first, "hank")
    stranger = cluster.connect(cluster.second)
    assert stranger.try_log_in("Hank")["code"] == "password_needed"
    assert stranger.try_log_in("Hank", password=PASSWORD)["response"] == 200


def test_what_two_say_comes_in_order_and_is_numbered_once(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    assert hank.send_messages("dale", *numbered_texts(5)) == [1, 2, 3, 4, 5]
    assert seqs(dale.receive_messages(5)) == [1, 2, 3, 4, 5]
    assert dale.send_messages("hank", "thanks") == [6]
    assert hank.receive_messages(1)[0]["message"] == "thanks"


def test_both_pour_at_once_and_each_hears_the_other_without_a_hole(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    greenlets = [
        gevent.spawn(one.send_pipelined, other, numbered_texts(300)) for one, other in ((hank, "dale"), (dale, "hank"))
    ]
    sent = [seqs(each.get(timeout=TEST_TIMEOUT)) for each in greenlets]
    assert sorted(sent[0] + sent[1]) == list(range(1, 601))
    for one, own in ((hank, sent[0]), (dale, sent[1])):
        received = [frame for frame in (*one.events,) if frame["action"] == "msg"]
        one.events.clear()
        received += one.receive_messages(300 - len(received))
        assert sorted(seqs(received) + own) == list(range(1, 601)) and seqs(received) == sorted(seqs(received))
        assert texts(received) == numbered_texts(300)


def test_two_devices_of_one_account_on_two_nodes(cluster: Cluster) -> None:
    laptop, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.first, "dale")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    dale.send_messages("hank", "hello")
    assert texts(laptop.receive_messages(1)) == texts(phone.receive_messages(1)) == ["hello"]
    laptop.send_messages("dale", "hello yourself")
    assert phone.next_event("msg")["id"]
    phone.send({"action": "read", "with": "dale", "seq": 1})
    assert laptop.next_event("read")["seq"] == 1
    phone.acknowledge("dale", 1)
    assert dale.next_event("delivered") == {"action": "delivered", "with": "hank", "seq": 1}


def test_a_device_is_in_one_place(cluster: Cluster) -> None:
    old = cluster.register(cluster.first, "hank")
    old.close()
    old = cluster.log_in(cluster.first, "hank")
    cluster.log_in(cluster.second, "hank")
    assert old.receive()["code"] == "replaced"
    old.expect_closed()


def test_rooms_are_the_same_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    assert hank.request("join", room="#dev")["response"] == 200
    assert dale.request("join", room="#dev")["members"] == ["hank", "dale"]
    assert hank.next_event("join")["user"]["account_name"] == "dale"
    hank.send_messages("#dev", *numbered_texts(3))
    assert texts(dale.receive_messages(3)) == numbered_texts(3)
    dale.send_messages("#dev", "so it is")
    assert texts(hank.receive_messages(1)) == ["so it is"]
    assert dale.request("topic", room="#dev", topic="work")["response"] == 200
    assert hank.next_event("topic")["user"]["account_name"] == "dale"
    assert hank.request("members", room="#dev")["topic"] == "work"
    rooms = [node.app.messenger.rooms.find("#dev") for node in cluster.nodes]
    assert [room.topic_by for room in rooms] == ["dale", "dale"] and rooms[0].topic_at == rooms[1].topic_at
    assert dale.request("leave", room="#dev")["response"] == 200
    assert hank.next_event("leave")["user"]["account_name"] == "dale"
    assert dale.send_message("#dev", "too late")["code"] == "not_member"


def test_who_makes_a_room_removes_a_member_and_a_guest_elsewhere(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    gus = cluster.log_in_guest(cluster.second, "gus")
    hank.request("join", room="#dev")
    for each in (dale, gus):
        assert each.request("join", room="#dev")["response"] == 200
        assert hank.next_event("join")["user"]["account_name"] == each.name
    assert hank.request("members", room="#dev")["users"][-1] == {
        "account_name": "hank",
        "status": "online",
        "role": "owner",
    }
    for each in (dale, gus):
        assert hank.request("remove", room="#dev", user=each.name)["response"] == 200
        event = each.next_event("leave")
        assert (event["by"], event["user"]["account_name"]) == ("hank", each.name)
        assert each.send_message("#dev", "out")["code"] == "not_member"
        if each is dale:
            assert gus.next_event("leave")["user"]["account_name"] == "dale"


def test_rules_and_roles_reach_the_other_node_with_who_has_set_them(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.request("join", room="#dev")
    dale.request("join", room="#dev")
    rules = hank.request("rule", room="#dev", set={"moderated": True, "hidden": True})
    assert rules["response"] == 200
    event = dale.next_event("rule")
    assert (event["user"]["account_name"], event["set"]) == ("hank", {"moderated": True, "hidden": True})
    assert dale.send_message("#dev", "psst")["code"] == "only_speakers"
    assert hank.request("role", room="#dev", user="dale", role="owner")["response"] == 200
    assert dale.request("rule", room="#dev", set={"moderated": False})["response"] == 200
    event = dale.next_event("role")
    assert (event["user"]["account_name"], event["role"], event["by"]) == ("dale", "owner", "hank")
    assert hank.next_event("rule")["user"]["account_name"] == "dale"
    assert hank.request("leave", room="#dev")["response"] == 200
    assert dale.next_event("leave")["user"]["account_name"] == "hank"
    assert dale.request("role", room="#dev", user="dale", role="member")["code"] == "last_owner"


def test_the_owner_of_a_room_leaves_one_node_and_is_followed_on_the_other(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    private = {"invited": True, "hidden": True}
    hank.request("join", room="#dev")
    dale.request("join", room="#dev")
    assert hank.request("join", room="#dev", rules=private)["response"] == 200
    assert hank.request("leave", room="#dev")["response"] == 200
    event = dale.next_event("role")
    assert (event["user"]["account_name"], event["role"], "by" in event) == ("dale", "owner", False)
    assert dale.request("rule", room="#dev", set={"most": 3})["rules"] == {
        "invited": True,
        "hidden": True,
        "moderated": False,
        "topic": "all",
        "guests": True,
        "history": "joined",
        "most": 3,
    }
    for action in ("join", "members", "rule"):
        assert hank.request(action, room="#dev")["code"] == "no_such_room"


def test_guests_speak_across_and_a_name_is_one_guests(cluster: Cluster) -> None:
    gus, joe = cluster.log_in_guest(cluster.first, "gus"), cluster.log_in_guest(cluster.second, "joe")
    assert gus.send_message("joe", "hello")["response"] == 202
    assert joe.receive_message() == ("gus", "hello")
    assert joe.send_message("gus", "hello yourself")["response"] == 202
    assert cluster.connect(cluster.second).try_log_in("Gus")["code"] == "name_in_use"
    gus.close()
    wait_until(lambda: cluster.connect(cluster.second).try_log_in("Gus")["response"] == 200)


def test_a_guest_takes_the_session_along(cluster: Cluster) -> None:
    gus = cluster.log_in_guest(cluster.first, "gus")
    again = cluster.connect(cluster.second)
    answer = again.try_log_in("gus", session=gus.session)
    assert (answer["response"], answer["session"]) == (200, gus.session)
    assert gus.receive()["code"] == "replaced"


def send_until_decided(client: UserClient, to: str, messages: dict[str, str]) -> dict[str, Frame]:
    """Send messages by id, again while they are answered 503 (the bus may be lost on a busy machine)."""
    answers: dict[str, Frame] = {}
    with gevent.Timeout(TEST_TIMEOUT):
        while open_ids := [id for id in messages if id not in answers]:
            for answer in client.send_pipelined(to, [messages[id] for id in open_ids], open_ids):
                if answer.get("code") != "store_unavailable":
                    answers[answer["id"]] = answer
    return answers


def test_a_guest_elsewhere_who_cannot_take_more_is_busy_and_nothing_is_stored(
    start_cluster: Callable[..., Cluster],
) -> None:
    cluster = start_cluster(outbox_frames=50)
    hank = cluster.register(cluster.first, "hank")
    cluster.log_in_course(cluster.second, CLASSIC, "colin")  # is sent eight a second
    messages = {f"m{number}": text for number, text in enumerate(numbered_texts(400))}
    answers = send_until_decided(hank, "colin", messages)
    rejected = [answer["code"] for answer in answers.values() if answer["response"] != 200]
    assert set(rejected) == {"recipient_busy"}
    assert len(hank.history("colin", limit=500)) == len(messages) - len(rejected)


def test_a_message_to_a_guest_elsewhere_is_kept_and_given(cluster: Cluster) -> None:
    hank, gus = cluster.register(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    assert hank.send_messages("gus", *numbered_texts(3)) == [1, 2, 3]
    assert texts(gus.receive_messages(3)) == numbered_texts(3)
    assert gus.send_message("hank", "I see")["seq"] == 4
    assert texts(hank.receive_messages(1)) == ["I see"]


def test_who_has_left_is_gone_and_who_never_came_is_unknown(cluster: Cluster) -> None:
    hank, gus = cluster.log_in_guest(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "gus")
    wait_until(lambda: "gus" in cluster.first.app.messenger.router)
    gus.close()
    wait_until(lambda: "gus" not in cluster.first.app.messenger.router)
    assert hank.send_message("gus", "still there?")["response"] == 410
    assert hank.send_message("nobody", "hello?")["response"] == 404


def test_presence_crosses(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.send_messages("dale", "hello")
    dale.receive_messages(1)
    assert dale.request("status", status="away")["response"] == 200
    assert hank.next_event("presence")["user"] == {"account_name": "dale", "status": "away"}
    users = hank.request("users")["users"]
    assert users == [{"account_name": "dale", "status": "away"}, {"account_name": "hank", "status": "online"}]
    dale.close()
    assert hank.next_event("presence")["user"] == {"account_name": "dale", "status": "offline"}


def test_a_broadcast_goes_to_everybody_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.log_in_guest(cluster.first, "hank"), cluster.log_in_guest(cluster.second, "dale")
    wait_until(lambda: "dale" in cluster.first.app.messenger.router)
    assert hank.send_message("#all", "hear, hear")["response"] == 202
    assert dale.next_event("msg")["broadcast"] is True


def register_operator(cluster: Cluster, name: str = "hank") -> UserClient:
    client = cluster.register(cluster.first, name)
    account = cluster.first.app.messenger.authenticator.accounts[name]
    cluster.first.app.store.set_role(account.id, "operator")
    cluster.first.app.messenger.moderation.set_role(account, "operator")
    return client


def test_operators_reach_everybody(cluster: Cluster) -> None:
    hank = register_operator(cluster)
    for verb, code in (("kick", "kicked"), ("ban", "banned")):
        dale = cluster.log_in_guest(cluster.second, "dale")
        wait_until(lambda: "dale" in cluster.first.app.messenger.router)
        assert hank.request(verb, user="dale", reason="enough")["sessions"] == 1
        assert dale.receive()["code"] == code
        dale.expect_closed()
        wait_until(lambda: "dale" not in cluster.first.app.messenger.router)
    assert cluster.connect(cluster.second).try_log_in("dale")["code"] == "banned"
    assert hank.request("unban", user="dale")["response"] == 200
    wait_until(lambda: cluster.connect(cluster.second).try_log_in("dale")["response"] == 200)


def test_a_mute_holds_everywhere(cluster: Cluster) -> None:
    hank, gus = register_operator(cluster), cluster.log_in_guest(cluster.second, "gus")
    assert hank.request("mute", user="gus")["response"] == 200
    wait_until(lambda: gus.send_message("hank", "am I heard?").get("code") == "muted")
    assert hank.request("unmute", user="gus")["response"] == 200
    wait_until(lambda: gus.send_message("hank", "am I heard?")["response"] == 200)


def test_a_room_is_closed_and_opened_for_all(cluster: Cluster) -> None:
    hank, dale = register_operator(cluster), cluster.register(cluster.second, "dale")
    for each in (hank, dale):
        each.request("join", room="#dev")
    assert hank.request("close", room="#dev", reason="holidays")["response"] == 200
    assert dale.next_event("close")["reason"] == "holidays"
    assert dale.send_message("#dev", "hello?")["code"] == "room_closed"
    assert hank.request("open", room="#dev")["response"] == 200
    assert dale.next_event("open")["user"]["account_name"] == "hank"
    assert dale.send_messages("#dev", "hello!") == [1]


def test_whom_one_blocks_is_known_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    gus = cluster.log_in_guest(cluster.second, "gus")
    for each in (hank, gus):
        assert each.request("block", user="dale" if each is hank else "hank")["response"] == 200
    wait_until(lambda: dale.send_message("hank", "hello?").get("code") == "blocked")
    assert hank.send_message("gus", "hello?")["code"] == "blocked"


def test_an_account_that_is_erased_is_gone_everywhere(cluster: Cluster) -> None:
    hank = cluster.register(cluster.first, "hank")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    assert hank.request("forget", password=PASSWORD)["response"] == 200
    assert phone.receive()["code"] in ("account_disabled", "account_deleted")
    phone.expect_closed()
    wait_until(lambda: cluster.connect(cluster.second).try_log_in("hank")["response"] == 200)


def test_what_came_while_nobody_was_there_waits_wherever_one_comes(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    session = dale.session
    dale.close()
    hank.send_messages("dale", *numbered_texts(3))
    again = cluster.connect(cluster.first).start_session("dale", session=session)
    assert texts(again.backlog) == numbered_texts(3)


def test_without_a_bus_it_is_slower_and_nothing_is_lost(start_cluster: object) -> None:
    cluster: Cluster = start_cluster(bus="", cluster_check=0.2)  # type: ignore[operator]
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.send_messages("dale", *numbered_texts(3))
    assert texts(dale.receive_messages(3)) == numbered_texts(3)
    dale.request("join", room="#dev")
    assert hank.request("join", room="#dev")["members"] == ["dale", "hank"]
    hank.send_messages("#dev", "over here")
    assert texts(dale.receive_messages(1)) == ["over here"]
