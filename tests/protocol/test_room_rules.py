"""Rules of rooms and roles of their members: who sets them, who is told, and what they allow.

docs/protocol.md, "Rules and roles of a room".
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.test_rooms import join, log_in_and_join, member_names, room_names
from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.course_clients import CLASSIC, Frame
from tests.support.moderation import admin_service, expect_error, expect_ok, log_in_operator

OPEN = {
    "invited": False,
    "hidden": False,
    "moderated": False,
    "topic": "all",
    "guests": True,
    "history": "joined",
    "most": 0,
}


def set_rules(client: UserClient, room: str = "#dev", **rules: Any) -> Frame:
    return expect_ok(client.request("rule", room=room, set=rules))["rules"]


def give(client: UserClient, user: str, role: str, room: str = "#dev") -> None:
    expect_ok(client.request("role", room=room, user=user, role=role))


def roles(client: UserClient, room: str = "#dev") -> dict[str, str]:
    users = expect_ok(client.request("members", room=room))["users"]
    return {user["account_name"]: user["role"] for user in users if "role" in user}


def test_who_makes_a_room_owns_it_and_sets_its_rules(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    assert expect_ok(dale.request("rule", room="#dev"))["rules"] == OPEN
    assert roles(dale) == {"hank": "owner"}
    assert set_rules(hank, history="all", most=3) == OPEN | {"history": "all", "most": 3}
    told = {"action": "rule", "room": "#dev", "user": {"account_name": "hank"}, "set": {"history": "all", "most": 3}}
    assert dale.next_event("rule") == told
    assert expect_ok(dale.request("rule", room="#DEV"))["rules"] == OPEN | {"history": "all", "most": 3}
    expect_error(dale.request("rule", room="#dev", set={"most": 0}), "not_owner")
    stranger = chat_server.log_in_guest("joe")
    expect_error(stranger.request("rule", room="#dev", set={"most": 0}), "not_owner")
    assert expect_ok(stranger.request("rule", room="#dev"))["rules"]["most"] == 3
    set_rules(hank, most=3)
    assert dale.take_events("rule") == [], "nothing was changed"


BAD_RULES: tuple[Any, ...] = (
    {"colour": "red"},
    {"invited": "yes"},
    {"invited": 1},
    {"topic": "nobody"},
    {"most": -1},
    {"most": 10**9},
    {"history": None},
    {"history": []},
    {"x" * 100: True},
    {str(number): True for number in range(100)},
    [],
    "invited",
)


@pytest.mark.parametrize("bad", BAD_RULES, ids=lambda bad: str(bad)[:30])
def test_an_unknown_rule_or_value_changes_nothing(chat_server: ChatServer, bad: Any) -> None:
    hank = chat_server.log_in("hank")
    join(hank)
    rules = {"hidden": True} | bad if isinstance(bad, dict) else bad
    for answer in (hank.request("rule", room="#dev", set=rules), hank.request("join", room="#dev", rules=rules)):
        assert answer["response"] == 400, answer
    assert expect_ok(hank.request("rule", room="#dev"))["rules"] == OPEN
    assert hank.request("join", room="#new", rules=rules)["response"] == 400
    assert room_names(hank.request("rooms")) == ["#dev"]


def test_a_room_is_made_with_rules_and_its_owner_sets_them_by_joining(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    made = expect_ok(hank.request("join", room="#dev", rules={"moderated": True}))
    assert (made["rules"], made["role"]) == (OPEN | {"moderated": True}, "owner")
    expect_error(dale.request("join", room="#dev", rules={"moderated": False}), "not_owner")
    assert member_names(hank.request("members", room="#dev")) == {"hank"}
    joined = expect_ok(dale.request("join", room="#dev"))
    assert joined["rules"]["moderated"] and "role" not in joined
    assert expect_ok(hank.request("join", room="#dev", rules={"moderated": False}))["rules"] == OPEN
    assert dale.next_event("rule")["set"] == {"moderated": False}
    guest = chat_server.log_in_guest("joe")
    expect_error(guest.request("join", room="#new", rules={"hidden": True}), "no_such_room", 404)


def test_new_rooms_have_the_rules_of_the_server(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(new_room_rules="invited hidden guests=no")
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert expect_ok(hank.request("join", room="#dev"))["rules"] == OPEN | {
        "invited": True,
        "hidden": True,
        "guests": False,
    }
    expect_error(dale.request("join", room="#dev"), "no_such_room", 404)
    rules = expect_ok(dale.request("join", room="#open", rules={"invited": False, "hidden": False}))["rules"]
    assert rules == OPEN | {"guests": False}


def test_rules_and_roles_last(chat_server: ChatServer) -> None:
    hank, _ = log_in_and_join(chat_server, "hank", "dale")
    set_rules(hank, moderated=True)
    give(hank, "dale", "speaker")
    chat_server.restart()
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert roles(dale) == {"hank": "owner", "dale": "speaker"}
    assert expect_ok(hank.request("rule", room="#dev"))["rules"] == OPEN | {"moderated": True}
    dale.send_messages("#dev", "hello")


def test_in_a_moderated_room_speakers_and_above_write(chat_server: ChatServer) -> None:
    hank, dale, bobby = log_in_and_join(chat_server, "hank", "dale", "bobby")
    guest, course = chat_server.log_in_guest("joe"), chat_server.log_in_course(CLASSIC, "bill")
    join(guest)
    set_rules(hank, moderated=True)
    for client in (dale, bobby, guest):
        client.next_event("rule")
        expect_error(client.send_message("#dev", "psst"), "only_speakers")
    assert {answer["code"] for answer in bobby.send_pipelined("#dev", ["one", "two", "three"])} == {"only_speakers"}
    course.send_message("#dev", "psst")
    give(hank, "dale", "speaker")
    give(hank, "bobby", "moderator")
    for client in (hank, dale, bobby):
        client.send_messages("#dev", f"I am {client.name}")
    give(bobby, "dale", "member")
    while dale.next_event("role")["role"] != "member":
        pass
    expect_error(dale.send_message("#dev", "psst"), "only_speakers")
    set_rules(hank, moderated=False)
    dale.next_event("rule")
    dale.send_messages("#dev", "at last")
    assert [frame["message"] for frame in hank.history("#dev")] == [
        "I am hank",
        "I am dale",
        "I am bobby",
        "at last",
    ]


def test_the_topic_can_be_for_moderators(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    set_rules(hank, topic="moderators")
    dale.next_event("rule")
    expect_error(dale.request("topic", room="#dev", topic="mine"), "not_owner")
    give(hank, "dale", "moderator")
    expect_ok(dale.request("topic", room="#dev", topic="mine"))
    assert hank.next_event("topic")["topic"] == "mine"
    assert expect_ok(hank.request("members", room="#dev"))["topic"] == "mine"


def test_a_room_can_be_for_accounts_only(chat_server: ChatServer) -> None:
    (hank,) = log_in_and_join(chat_server, "hank")
    guest, course = chat_server.log_in_guest("joe"), chat_server.log_in_course(CLASSIC, "bill")
    join(guest)
    set_rules(hank, guests=False)
    course.send_message("#dev", "hello")
    expect_error(chat_server.log_in_guest("jim").request("join", room="#dev"), "accounts_only")
    join(chat_server.log_in("dale"))
    assert member_names(hank.request("members", room="#dev")) == {"hank", "dale", "joe"}, "who is in stays"


def test_a_room_can_be_for_the_invited_only(chat_server: ChatServer) -> None:
    (hank,) = log_in_and_join(chat_server, "hank")
    dale, guest = chat_server.log_in("dale"), chat_server.log_in_guest("joe")
    set_rules(hank, invited=True)
    for client in (dale, guest):
        expect_error(client.request("join", room="#dev"), "invited_only")
        assert expect_ok(client.request("rule", room="#dev"))["rules"]["invited"]
    assert room_names(dale.request("rooms")) == ["#dev"]
    join(hank)


def test_a_room_can_have_fewer_members_than_the_server_allows(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    set_rules(hank, most=2)
    refused = expect_error(chat_server.log_in("bobby").request("join", room="#dev"), "room_full")
    assert refused["limit"] == 2
    set_rules(hank, most=1)
    join(dale)
    set_rules(hank, most=0)
    join(chat_server.log_in("bobby"))


def test_what_was_said_before_can_be_for_those_who_join_too(chat_server: ChatServer) -> None:
    (hank,) = log_in_and_join(chat_server, "hank")
    hank.send_messages("#dev", "first")
    dale, bobby = chat_server.log_in("dale"), chat_server.log_in("bobby")
    join(dale)
    set_rules(hank, history="all")
    hank.send_messages("#dev", "second")
    assert join(bobby)["seq"] == 2
    hank.send_messages("#dev", "third")
    assert [frame["message"] for frame in bobby.receive_messages(1)] == ["third"], "nobody is sent the whole room"
    assert [frame["message"] for frame in bobby.history("#dev")] == ["first", "second", "third"]
    assert [frame["message"] for frame in dale.history("#dev")] == ["second", "third"]
    assert chat_server.log_in("bobby", "phone").take_events() == []
    set_rules(hank, history="joined")
    assert [frame["message"] for frame in bobby.history("#dev")] == ["first", "second", "third"]


def test_a_hidden_room_is_not_listed_and_its_name_lets_one_in(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_ok(hank.request("join", room="#dev", rules={"hidden": True}))
    assert (room_names(hank.request("rooms")), room_names(dale.request("rooms"))) == (["#dev"], [])
    join(dale)
    assert room_names(dale.request("rooms")) == ["#dev"]
    assert room_names(chat_server.log_in_guest("joe").request("rooms")) == []


def test_one_acts_on_lower_roles_only(chat_server: ChatServer) -> None:
    hank, dale, bobby, peggy = log_in_and_join(chat_server, "hank", "dale", "bobby", "peggy")
    give(hank, "dale", "moderator")
    told = {"action": "role", "room": "#dev", "user": {"account_name": "dale"}, "role": "moderator", "by": "hank"}
    assert dale.next_event("role") == bobby.next_event("role") == told
    give(dale, "bobby", "speaker")
    for client, user, role in (
        (dale, "bobby", "moderator"),
        (dale, "peggy", "owner"),
        (dale, "hank", "member"),
        (bobby, "peggy", "speaker"),
        (bobby, "bobby", "moderator"),
        (peggy, "peggy", "speaker"),
        (peggy, "bobby", "member"),
    ):
        expect_error(client.request("role", room="#dev", user=user, role=role), "not_owner")
    for client, user in ((dale, "hank"), (bobby, "peggy"), (peggy, "bobby")):
        expect_error(client.request("remove", room="#dev", user=user), "not_owner")
    expect_error(dale.request("rule", room="#dev", set={"hidden": True}), "not_owner")
    give(dale, "dale", "member")
    while hank.next_event("role")["user"] != {"account_name": "dale"}:
        pass
    expect_ok(hank.request("remove", room="#dev", user="bobby"))
    assert roles(hank) == {"hank": "owner"}


def test_a_room_keeps_an_owner(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    expect_error(hank.request("role", room="#dev", user="hank", role="member"), "last_owner", 409)
    give(hank, "dale", "owner")
    expect_error(dale.request("role", room="#dev", user="hank", role="member"), "not_owner")
    give(hank, "hank", "member")
    assert roles(hank) == {"dale": "owner"}
    expect_error(hank.request("rule", room="#dev", set={"hidden": True}), "not_owner")


def test_roles_are_for_accounts_that_are_in_the_room(chat_server: ChatServer) -> None:
    hank, _ = log_in_and_join(chat_server, "hank", "dale")
    join(chat_server.log_in_guest("joe"))
    chat_server.log_in("bobby")
    expect_error(hank.request("role", room="#dev", user="joe", role="speaker"), "accounts_only")
    expect_error(hank.request("role", room="#dev", user="bobby", role="speaker"), "never_seen", 404)
    assert hank.request("role", room="#dev", user="dale", role="king")["response"] == 400
    expect_error(hank.request("role", room="#not", user="dale", role="speaker"), "no_such_room", 404)
    assert roles(hank) == {"hank": "owner"}


@pytest.mark.parametrize("way", ["leave", "forget", "deleted"])
def test_who_follows_the_last_owner_is_told_to_all(chat_server: ChatServer, way: str) -> None:
    hank, dale, bobby, peggy = log_in_and_join(chat_server, "hank", "dale", "bobby", "peggy")
    give(hank, "bobby", "moderator")
    if way == "leave":
        expect_ok(hank.request("leave", room="#dev"))
    elif way == "forget":
        expect_ok(hank.request("forget", password=PASSWORD))
    else:
        admin_service(chat_server).delete_account("hank")
    told = {"action": "role", "room": "#dev", "user": {"account_name": "bobby"}, "role": "owner"}
    for client in (dale, bobby, peggy):
        while (event := client.next_event("role"))["role"] != "owner":
            pass
        assert event == told
    assert set_rules(bobby, hidden=True)["hidden"]
    expect_ok(bobby.request("leave", room="#dev"))
    assert peggy.next_event("role") == told | {"user": {"account_name": "dale"}}
    assert roles(peggy) == {"dale": "owner"}
    assert [(row.creator, row.owners) for row in admin_service(chat_server).rooms()] in (
        [("dale", ["dale"])],
        [("hank", ["dale"])],
    )


def test_an_operator_rules_a_room_that_is_not_its_own_and_reads_nothing_by_it(chat_server: ChatServer) -> None:
    hank, dale, bobby = log_in_operator(chat_server), chat_server.log_in("dale"), chat_server.log_in("bobby")
    expect_ok(dale.request("join", room="#dev", rules={"hidden": True}))
    join(bobby)
    expect_ok(dale.request("rule", room="#dev", set={"invited": True}))
    assert set_rules(hank, most=5)["most"] == 5
    assert bobby.next_event("rule")["user"] == {"account_name": "dale"}
    assert bobby.next_event("rule") == {
        "action": "rule",
        "room": "#dev",
        "user": {"account_name": "hank"},
        "set": {"most": 5},
    }
    give(hank, "bobby", "owner")
    assert dale.next_event("role")["by"] == "hank"
    give(hank, "dale", "member")
    expect_error(hank.request("role", room="#dev", user="bobby", role="member"), "last_owner", 409)
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    assert dale.next_event("leave") | {"by": "hank"} == bobby.next_event("leave")
    for action, fields in (("members", {"room": "#dev"}), ("join", {"room": "#dev"}), ("history", {"with": "#dev"})):
        expect_error(hank.request(action, **fields), "no_such_room", 404)
    assert room_names(hank.request("rooms")) == []
