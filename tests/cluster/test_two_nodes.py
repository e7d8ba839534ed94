"""Two people on different nodes cannot tell."""

from __future__ import annotations

import gevent

from tests.cluster.conftest import Cluster, until
from tests.support.accounts import PASSWORD, Person, numbered, seqs, texts
from tests.support.course_clients import CLASSIC
from tests.support.timeouts import PATIENCE


def test_an_account_made_on_one_node_is_one_on_the_other_at_once(cluster: Cluster) -> None:
    cluster.registers(cluster.here, "hank")
    stranger = cluster.dials(cluster.there)
    assert stranger.present("Hank")["code"] == "password_needed"
    assert stranger.present("Hank", password=PASSWORD)["response"] == 200


def test_what_two_say_comes_in_order_and_is_numbered_once(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    assert hank.sends("dale", *numbered(5)) == [1, 2, 3, 4, 5]
    assert seqs(dale.hears(5)) == [1, 2, 3, 4, 5]
    assert dale.sends("hank", "thanks") == [6]
    assert hank.hears(1)[0]["message"] == "thanks"


def test_both_pour_at_once_and_each_hears_the_other_without_a_hole(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    pouring = [gevent.spawn(one.pours, other, numbered(300)) for one, other in ((hank, "dale"), (dale, "hank"))]
    sent = [seqs(each.get(timeout=PATIENCE)) for each in pouring]
    assert sorted(sent[0] + sent[1]) == list(range(1, 601))
    for one, own in ((hank, sent[0]), (dale, sent[1])):
        heard = [frame for frame in (*one.events,) if frame["action"] == "msg"]
        one.events.clear()
        heard += one.hears(300 - len(heard))
        assert sorted(seqs(heard) + own) == list(range(1, 601)) and seqs(heard) == sorted(seqs(heard))
        assert texts(heard) == numbered(300)


def test_two_devices_of_one_account_on_two_nodes(cluster: Cluster) -> None:
    laptop, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.here, "dale")
    phone = cluster.comes(cluster.there, "hank", "phone")
    dale.sends("hank", "hello")
    assert texts(laptop.hears(1)) == texts(phone.hears(1)) == ["hello"]
    laptop.sends("dale", "hello yourself")
    assert phone.event("msg")["id"]
    phone.send({"action": "read", "with": "dale", "seq": 1})
    assert laptop.event("read")["seq"] == 1
    phone.acknowledges("dale", 1)
    assert dale.event("delivered") == {"action": "delivered", "with": "hank", "seq": 1}


def test_a_device_is_in_one_place(cluster: Cluster) -> None:
    old = cluster.registers(cluster.here, "hank")
    old.close()
    old = cluster.comes(cluster.here, "hank")
    cluster.comes(cluster.there, "hank")
    assert old.recv()["code"] == "replaced"
    old.expect_closed()


def test_rooms_are_the_same_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    assert hank.ask("join", room="#dev")["response"] == 200
    assert dale.ask("join", room="#dev")["members"] == ["hank", "dale"]
    assert hank.event("join")["user"]["account_name"] == "dale"
    hank.sends("#dev", *numbered(3))
    assert texts(dale.hears(3)) == numbered(3)
    dale.sends("#dev", "so it is")
    assert texts(hank.hears(1)) == ["so it is"]
    assert dale.ask("topic", room="#dev", topic="work")["response"] == 200
    assert hank.event("topic")["user"]["account_name"] == "dale"
    assert hank.ask("members", room="#dev")["topic"] == "work"
    assert dale.ask("leave", room="#dev")["response"] == 200
    assert hank.event("leave")["user"]["account_name"] == "dale"
    assert dale.say("#dev", "too late")["code"] == "not_member"


def test_who_makes_a_room_removes_a_member_and_a_guest_elsewhere(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    gus = cluster.guest(cluster.there, "gus")
    hank.ask("join", room="#dev")
    for each in (dale, gus):
        assert each.ask("join", room="#dev")["response"] == 200
        assert hank.event("join")["user"]["account_name"] == each.name
    assert hank.ask("members", room="#dev")["users"][-1] == {"account_name": "hank", "status": "online"}
    for each in (dale, gus):
        assert hank.ask("remove", room="#dev", user=each.name)["response"] == 200
        told = each.event("leave")
        assert (told["by"], told["user"]["account_name"]) == ("hank", each.name)
        assert each.say("#dev", "out")["code"] == "not_member"
        if each is dale:
            assert gus.event("leave")["user"]["account_name"] == "dale"


def test_guests_speak_across_and_a_name_is_one_guests(cluster: Cluster) -> None:
    gus, joe = cluster.guest(cluster.here, "gus"), cluster.guest(cluster.there, "joe")
    assert gus.say("joe", "hello")["response"] == 202
    assert joe.hear() == ("gus", "hello")
    assert joe.say("gus", "hello yourself")["response"] == 202
    assert cluster.dials(cluster.there).present("Gus")["code"] == "name_in_use"
    gus.close()
    until(lambda: cluster.dials(cluster.there).present("Gus")["response"] == 200)


def test_a_guest_takes_the_session_along(cluster: Cluster) -> None:
    gus = cluster.guest(cluster.here, "gus")
    again = cluster.dials(cluster.there)
    answer = again.present("gus", session=gus.session)
    assert (answer["response"], answer["session"]) == (200, gus.session)
    assert gus.recv()["code"] == "replaced"


def test_a_guest_elsewhere_who_cannot_take_more_is_busy_and_nothing_is_stored(cluster: Cluster) -> None:
    hank = cluster.registers(cluster.here, "hank")
    cluster.course(cluster.there, CLASSIC, "colin")
    answers = hank.pours("colin", numbered(1100))
    refused = [answer["code"] for answer in answers if answer["response"] != 200]
    assert set(refused) == {"recipient_busy"}
    assert len(hank.history("colin", limit=500)) == min(500, 1100 - len(refused))


def test_a_message_to_a_guest_elsewhere_is_kept_and_given(cluster: Cluster) -> None:
    hank, gus = cluster.registers(cluster.here, "hank"), cluster.guest(cluster.there, "gus")
    assert hank.sends("gus", *numbered(3)) == [1, 2, 3]
    assert texts(gus.hears(3)) == numbered(3)
    assert gus.say("hank", "I see")["seq"] == 4
    assert texts(hank.hears(1)) == ["I see"]


def test_who_has_left_is_gone_and_who_never_came_is_unknown(cluster: Cluster) -> None:
    hank, gus = cluster.guest(cluster.here, "hank"), cluster.guest(cluster.there, "gus")
    until(lambda: "gus" in cluster.here.app.messenger.router)
    gus.close()
    until(lambda: "gus" not in cluster.here.app.messenger.router)
    assert hank.say("gus", "still there?")["response"] == 410
    assert hank.say("nobody", "hello?")["response"] == 404


def test_presence_crosses(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    hank.sends("dale", "hello")
    dale.hears(1)
    assert dale.ask("status", status="away")["response"] == 200
    assert hank.event("presence")["user"] == {"account_name": "dale", "status": "away"}
    shown = hank.ask("users")["users"]
    assert shown == [{"account_name": "dale", "status": "away"}, {"account_name": "hank", "status": "online"}]
    dale.close()
    assert hank.event("presence")["user"] == {"account_name": "dale", "status": "offline"}


def test_a_broadcast_goes_to_everybody_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.guest(cluster.here, "hank"), cluster.guest(cluster.there, "dale")
    until(lambda: "dale" in cluster.here.app.messenger.router)
    assert hank.say("#all", "hear, hear")["response"] == 202
    assert dale.event("msg")["broadcast"] is True


def operator(cluster: Cluster, name: str = "hank") -> Person:
    person = cluster.registers(cluster.here, name)
    account = cluster.here.app.messenger.authenticator.accounts[name]
    cluster.here.app.store.set_role(account.id, "operator")
    cluster.here.app.messenger.moderation.set_role(account, "operator")
    return person


def test_operators_reach_everybody(cluster: Cluster) -> None:
    hank = operator(cluster)
    for verb, code in (("kick", "kicked"), ("ban", "banned")):
        dale = cluster.guest(cluster.there, "dale")
        until(lambda: "dale" in cluster.here.app.messenger.router)
        assert hank.ask(verb, user="dale", reason="enough")["sessions"] == 1
        assert dale.recv()["code"] == code
        dale.expect_closed()
        until(lambda: "dale" not in cluster.here.app.messenger.router)
    assert cluster.dials(cluster.there).present("dale")["code"] == "banned"
    assert hank.ask("unban", user="dale")["response"] == 200
    until(lambda: cluster.dials(cluster.there).present("dale")["response"] == 200)


def test_a_mute_holds_everywhere(cluster: Cluster) -> None:
    hank, gus = operator(cluster), cluster.guest(cluster.there, "gus")
    assert hank.ask("mute", user="gus")["response"] == 200
    until(lambda: gus.say("hank", "am I heard?").get("code") == "muted")
    assert hank.ask("unmute", user="gus")["response"] == 200
    until(lambda: gus.say("hank", "am I heard?")["response"] == 200)


def test_a_room_is_closed_and_opened_for_all(cluster: Cluster) -> None:
    hank, dale = operator(cluster), cluster.registers(cluster.there, "dale")
    for each in (hank, dale):
        each.ask("join", room="#dev")
    assert hank.ask("close", room="#dev", reason="holidays")["response"] == 200
    assert dale.event("close")["reason"] == "holidays"
    assert dale.say("#dev", "hello?")["code"] == "room_closed"
    assert hank.ask("open", room="#dev")["response"] == 200
    assert dale.event("open")["user"]["account_name"] == "hank"
    assert dale.sends("#dev", "hello!") == [1]


def test_whom_one_blocks_is_known_everywhere(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    gus = cluster.guest(cluster.there, "gus")
    for each in (hank, gus):
        assert each.ask("block", user="dale" if each is hank else "hank")["response"] == 200
    until(lambda: dale.say("hank", "hello?").get("code") == "blocked")
    assert hank.say("gus", "hello?")["code"] == "blocked"


def test_an_account_that_is_erased_is_gone_everywhere(cluster: Cluster) -> None:
    hank = cluster.registers(cluster.here, "hank")
    phone = cluster.comes(cluster.there, "hank", "phone")
    assert hank.ask("forget", password=PASSWORD)["response"] == 200
    assert phone.recv()["code"] in ("account_disabled", "account_deleted")
    phone.expect_closed()
    until(lambda: cluster.dials(cluster.there).present("hank")["response"] == 200)


def test_what_came_while_nobody_was_there_waits_wherever_one_comes(cluster: Cluster) -> None:
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    session = dale.session
    dale.close()
    hank.sends("dale", *numbered(3))
    again = cluster.dials(cluster.here).enter("dale", session=session)
    assert texts(again.backlog) == numbered(3)


def test_without_a_bus_it_is_slower_and_nothing_is_lost(start_cluster: object) -> None:
    cluster: Cluster = start_cluster(bus="", cluster_check=0.2)  # type: ignore[operator]
    hank, dale = cluster.registers(cluster.here, "hank"), cluster.registers(cluster.there, "dale")
    hank.sends("dale", *numbered(3))
    assert texts(dale.hears(3)) == numbered(3)
    dale.ask("join", room="#dev")
    assert hank.ask("join", room="#dev")["members"] == ["dale", "hank"]
    hank.sends("#dev", "over here")
    assert texts(dale.hears(1)) == ["over here"]
