"""Who was removed from a room or banned there stays out, and who is silenced is silent.

docs/protocol.md, "Rooms".
"""

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from tests.protocol.test_rooms import join, log_in_and_join, receive_member_event
from tests.support.accounts import ChatServer, UserClient, texts
from tests.support.course_clients import CLASSIC
from tests.support.moderation import admin_service, expect_error, expect_ok, log_in_operator


def names(client: UserClient, action: str, room: str = "#dev") -> list[str]:
    """Return the names in a list of a room's sanctions."""
    return [one["user"] for one in expect_ok(client.request(action, room=room))[action]]


@pytest.mark.parametrize("restarted", [False, True])
def test_who_is_removed_stays_out_until_let_in(chat_server: ChatServer, restarted: bool) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    hank.send_messages("#dev", "before")
    expect_ok(hank.request("remove", room="#dev", user="Dale"))
    assert receive_member_event(dale, "leave", "dale")["by"] == "hank"
    if restarted:
        chat_server.restart()
        hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_error(dale.request("join", room="#dev"), "shut_out")
    expect_error(dale.send_message("#dev", "let me in"), "not_member")
    assert names(hank, "shut_outs") == ["dale"]
    expect_ok(hank.request("let_in", room="#dev", user="dale"))
    expect_error(hank.request("let_in", room="#dev", user="dale"), "never_seen", 404)
    assert join(dale)["first"] == 1
    assert texts(dale.history("#dev")) == ["before"]
    assert names(hank, "shut_outs") == []


def test_a_private_room_is_none_for_who_was_removed(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_ok(hank.request("join", room="#dev", rules={"invited": True, "hidden": True}))
    expect_ok(hank.request("invite", room="#dev", user="dale"))
    join(dale)
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    for action, fields in (
        ("join", {}),
        ("leave", {}),
        ("members", {}),
        ("topic", {"topic": "x"}),
        ("invite", {"user": "bobby"}),
        ("uninvite", {"user": "bobby"}),
        ("invitations", {}),
        ("remove", {"user": "hank"}),
        ("shut_out", {"user": "hank"}),
        ("let_in", {"user": "hank"}),
        ("shut_outs", {}),
        ("silence", {"user": "hank"}),
        ("unsilence", {"user": "hank"}),
        ("silences", {}),
    ):
        expect_error(dale.request(action, room="#dev", **fields), "no_such_room", 404)
    expect_error(dale.request("history", **{"with": "#dev"}), "no_such_room", 404)
    expect_error(dale.send_message("#dev", "hello?"), "no_such_room", 404)


def test_a_name_is_banned_from_a_room_for_a_time_with_a_reason(chat_server: ChatServer) -> None:
    hank, dale, bobby = log_in_and_join(chat_server, "hank", "dale", "bobby")
    expect_ok(hank.request("shut_out", room="#dev", user="dale", reason="noise", **{"for": 600}))
    event = bobby.next_event("shut_out")
    assert (event["user"], event["by"], event["reason"]) == ({"account_name": "dale"}, "hank", "noise")
    assert event["until"] > event.get("since", 0)
    assert receive_member_event(bobby, "leave", "dale")["by"] == "hank"
    answer = expect_error(dale.request("join", room="#dev"), "shut_out")
    assert "noise" in answer["error"] and 0 < answer["retry_after"] <= 600
    (entry,) = expect_ok(hank.request("shut_outs", room="#dev"))["shut_outs"]
    assert (entry["user"], entry["by"], entry["reason"]) == ("dale", "hank", "noise") and entry["until"]
    expect_ok(hank.request("shut_out", room="#dev", user="peggy"))  # who is not there yet
    expect_error(chat_server.log_in("peggy").request("join", room="#dev"), "shut_out")
    expect_error(hank.request("shut_out", room="#dev", user="nobody"), "never_seen", 404)
    expect_error(hank.request("shut_out", room="#dev", user="hank"), "bad_request", 400)


def test_who_is_silenced_reads_and_does_not_write(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    expect_ok(hank.request("silence", room="#dev", user="dale", reason="too much", **{"for": 600}))
    assert dale.next_event("silence")["by"] == "hank"
    answer = expect_error(dale.send_message("#dev", "but"), "silenced")
    assert "too much" in answer["error"] and answer["retry_after"] > 0
    answers = dale.send_pipelined("#dev", ["but"] * 20)
    assert {one["code"] for one in answers} == {"silenced"}
    expect_error(dale.request("topic", room="#dev", topic="but"), "silenced")
    hank.send_messages("#dev", "quiet")
    assert texts(dale.receive_messages(1)) == ["quiet"]
    assert names(hank, "silences") == ["dale"]
    expect_ok(hank.request("unsilence", room="#dev", user="dale"))
    assert dale.next_event("unsilence")["by"] == "hank"
    assert dale.send_messages("#dev", "thanks") == [2]


def test_one_acts_on_lower_roles_and_operators_on_all(chat_server: ChatServer) -> None:
    hank, dale, bobby = log_in_and_join(chat_server, "hank", "dale", "bobby")
    expect_error(bobby.request("shut_out", room="#dev", user="dale"), "not_owner")
    expect_error(bobby.request("shut_outs", room="#dev"), "not_owner")
    expect_ok(hank.request("role", room="#dev", user="dale", role="moderator"))
    for action in ("remove", "shut_out", "silence"):
        expect_error(dale.request(action, room="#dev", user="hank"), "not_owner")
    peggy = log_in_operator(chat_server, "peggy")
    expect_ok(peggy.request("silence", room="#dev", user="hank"))
    expect_ok(peggy.request("remove", room="#dev", user="hank"))
    assert receive_member_event(bobby, "leave", "hank")["by"] == "peggy"
    assert names(peggy, "shut_outs") == ["hank"]
    expect_error(peggy.request("history", **{"with": "#dev"}), "not_member")
    expect_ok(peggy.request("let_in", room="#dev", user="hank"))
    assert bobby.next_event("let_in") == {
        "action": "let_in",
        "room": "#dev",
        "user": {"account_name": "hank"},
        "by": "peggy",
    }


def test_a_guest_that_is_removed_is_kept_out_by_name_and_by_network_but_never_this_machine(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    server = start_chat_server(limit_loopback=True)
    (hank,) = log_in_and_join(server, "hank")
    guest, course = server.log_in_guest("guest"), server.log_in_course(CLASSIC, "cathy")
    join(guest)
    expect_ok(hank.request("remove", room="#dev", user="guest"))
    expect_error(guest.request("join", room="#dev"), "shut_out")
    join(server.log_in_guest("other"))
    expect_ok(hank.request("shut_out", room="#dev", user="cathy"))
    course.send_message("#dev", "hello")
    course.send_message("hank", "done")
    assert hank.next_event("msg")["message"] == "done"
    assert names(hank, "shut_outs") == ["cathy", "guest"]


def proxied(server: ChatServer, name: str, address: str) -> UserClient:
    """Log in a guest that comes through a proxy from an address."""
    client = server.connect()
    client.send_bytes(f"PROXY TCP4 {address} 198.51.100.1 4711 7777\r\n".encode())
    return client.start_session(name)


def test_a_guest_that_is_removed_takes_its_network_along(start_chat_server: Callable[..., ChatServer]) -> None:
    server = start_chat_server(proxy_from=(ip_network("127.0.0.0/8"),))
    connected = server.connect()
    connected.send_bytes(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 7777\r\n")
    hank = connected.start_session("hank", session=server.populated_store.sessions["hank", "laptop"])
    join(hank)
    guest = proxied(server, "guest", "203.0.113.7")
    join(guest)
    expect_ok(hank.request("remove", room="#dev", user="guest"))
    again, elsewhere = proxied(server, "again", "203.0.113.7"), proxied(server, "elsewhere", "203.0.113.8")
    expect_error(again.request("join", room="#dev"), "shut_out")
    join(elsewhere)
    listed = expect_ok(hank.request("shut_outs", room="#dev"))["shut_outs"]
    assert [one["user"] for one in listed] == ["guest"] and "203" not in str(listed)
    expect_ok(hank.request("let_in", room="#dev", user="guest"))
    join(again)


def test_the_owner_of_the_server_keeps_names_out_and_lets_them_in(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    service = admin_service(chat_server)
    service.shut_out("#dev", "dale", reason="noise")
    assert hank.next_event("shut_out")["by"] == "server"
    assert receive_member_event(dale, "leave", "dale")["by"] == "server"
    expect_error(dale.request("join", room="#dev"), "shut_out")
    (entry,) = service.room("#dev").shut_outs
    assert (entry.user, entry.by, entry.reason) == ("dale", "server", "noise")
    service.let_in("#dev", "dale")
    assert hank.next_event("let_in")["by"] == "server"
    join(dale)
