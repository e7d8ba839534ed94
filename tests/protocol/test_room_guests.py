"""Guests and course clients in rooms: they send and receive, create no rooms and get no backlog.

docs/protocol.md, section 2, "Names and privacy", and section 3.
"""

import gevent

from tests.protocol.test_rooms import join, log_in_and_join, member_names, room_names
from tests.support.accounts import ChatServer, is_client_error, seqs
from tests.support.course_clients import CLASSIC, DIALECTS, CourseClient
from tests.support.native_clients import run_together


def receive_until(client: CourseClient, last: tuple[str, str]) -> None:
    """Receive up to a message; all before it must be of the room, by others."""
    while (received := client.receive_message()) != last:
        assert received[0] != client.name and received[1].startswith("[#dev] "), received


def test_a_course_client_is_a_member_once_it_has_spoken_to_the_room(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    clients = chat_server.connector.log_in_courses(chat_server, {one.name: one for one in DIALECTS})
    hank.send_messages("#dev", "nobody of them hears this")
    for number, client in enumerate(clients):
        client.send_message("#dev", f"{client.name} is here")
        for person in (hank, dale):
            frame = person.next_event("msg")
            while frame["from"] == "hank":
                frame = person.next_event("msg")
            expected = (client.name, "#dev", f"{client.name} is here", number + 2)
            assert (frame["from"], frame["to"], frame["message"], frame["seq"]) == expected
    assert member_names(hank.request("members", room="#dev")) == {"hank", "dale"} | {client.name for client in clients}
    hank.send_messages("#dev", "welcome")
    failures = run_together(
        {one.name: lambda one=one: receive_until(one, ("hank", "[#dev] welcome")) for one in clients}
    )
    assert failures == {}


def test_a_course_client_who_left_is_no_member_when_it_returns(chat_server: ChatServer) -> None:
    (hank,) = log_in_and_join(chat_server, "hank")
    cathy = chat_server.log_in_course(CLASSIC, "cathy")
    cathy.send_message("#dev", "hello")
    assert hank.next_event("msg")["from"] == "cathy"
    hank.send_messages("#dev", "welcome")
    assert cathy.receive_message() == ("hank", "[#dev] welcome")
    cathy.quit()
    with gevent.Timeout(5):
        while member_names(hank.request("members", room="#dev")) != {"hank"}:
            pass
    cathy = chat_server.log_in_course(CLASSIC, "cathy")
    hank.send_messages("#dev", "not for you")
    hank.send_messages("cathy", "for you")
    assert cathy.receive_message() == ("hank", "for you")


def test_a_course_client_makes_no_room(chat_server: ChatServer) -> None:
    hank, cathy = chat_server.log_in("hank"), chat_server.log_in_course(CLASSIC, "cathy")
    cathy.send_message("#dev", "is there anybody?")
    cathy.send_message("hank", "hello")
    assert hank.next_event("msg")["message"] == "hello"
    assert room_names(hank.request("rooms")) == []


def test_a_guest_joins_a_room_but_makes_none(chat_server: ChatServer) -> None:
    guest, hank = chat_server.log_in_guest("guest"), chat_server.log_in("hank")
    assert is_client_error(guest.request("join", room="#dev"))
    assert room_names(hank.request("rooms")) == []
    join(hank)
    assert member_names(join(guest)) == {"hank", "guest"}
    assert guest.send_messages("#dev", "hello") == [1] and hank.send_messages("#dev", "welcome") == [2]
    for client in (guest, hank):
        assert seqs(client.receive_messages(1)) == [2 if client is guest else 1]


def test_a_guest_gets_no_replay_of_a_room(chat_server: ChatServer) -> None:
    (hank,), guest = log_in_and_join(chat_server, "hank"), chat_server.log_in_guest("guest")
    join(guest)
    guest.send({"action": "quit"})
    guest.receive_until_closed()
    hank.send_messages("#dev", "while you were away")
    guest = chat_server.log_in_guest("guest")
    assert guest.take_events() == []
    join(guest)
    hank.send_messages("#dev", "now")
    assert [(frame["seq"], frame["message"]) for frame in guest.receive_messages(1)] == [(2, "now")]


def test_a_resumed_guest_that_does_not_join_again_leaves_its_room_when_it_goes(chat_server: ChatServer) -> None:
    (hank,), guest = log_in_and_join(chat_server, "hank"), chat_server.log_in_guest("guest")
    join(guest)
    assert hank.next_event("join")["user"]["account_name"] == "guest"
    resumed = chat_server.connect()
    resumed.start_session("guest", session=guest.session)
    guest.receive_until_closed()
    resumed.send({"action": "quit"})
    resumed.receive_until_closed()
    assert hank.next_event("leave")["user"]["account_name"] == "guest"
    assert member_names(hank.request("members", room="#dev")) == {"hank"}


def test_a_guest_that_resumes_comes_into_its_room_again_that_is_full(chat_server: ChatServer) -> None:
    (hank,), guest = log_in_and_join(chat_server, "hank"), chat_server.log_in_guest("guest")
    join(guest)
    assert hank.request("rule", room="#dev", set={"most": 2})["response"] == 200
    again = chat_server.connect().start_session("guest", session=guest.session)
    assert member_names(join(again)) == {"hank", "guest"}
    assert chat_server.log_in("dale").request("join", room="#dev")["code"] == "room_full"
