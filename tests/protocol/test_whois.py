"""What users may know of one another: `whois`."""

import time

from tests.support.accounts import ChatServer
from tests.support.course_clients import settle


def test_the_status_since_when_and_the_rooms_that_both_are_in(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client, rooms in ((hank, ("#dev", "#club", "#x")), (dale, ("#dev", "#ops", "#club"))):
        for room in rooms:
            assert client.request("join", room=room)["response"] == 200
    assert dale.request("status", status="away", note="back at three")["response"] == 200
    settle(chat_server, always=True)
    answer = hank.request("whois", user="DALE")
    assert answer["response"] == 200
    assert answer["user"] == {"account_name": "dale", "status": "away", "note": "back at three"}
    assert answer["account"] is True and abs(answer["since"] - time.time()) < 60
    assert answer["rooms"] == [{"room": "#club"}, {"room": "#dev"}]


def test_guests_and_accounts_that_are_not_here(chat_server: ChatServer) -> None:
    guest = chat_server.log_in_guest("visitor")
    settle(chat_server, always=True)
    answer = guest.request("whois", user="hank")
    assert (answer["user"], answer["account"]) == ({"account_name": "hank", "status": "offline"}, True)
    assert "since" not in answer and answer["rooms"] == []
    hank = chat_server.log_in("hank")
    answer = hank.request("whois", user="visitor")
    assert (answer["user"], answer["account"]) == ({"account_name": "visitor", "status": "online"}, False)
    assert hank.request("whois", user="nobody")["code"] == "never_seen"


def test_who_is_blocked_sees_an_account_as_offline(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    assert hank.request("block", user="dale")["response"] == 200
    dale = chat_server.log_in("dale")
    settle(chat_server, always=True)
    answer = dale.request("whois", user="hank")
    assert answer["user"]["status"] == "offline" and "since" not in answer


def test_who_is_blocked_sees_a_guest_in_common_rooms_only(chat_server: ChatServer) -> None:
    guest, dale = chat_server.log_in_guest("visitor"), chat_server.log_in("dale")
    assert guest.request("block", user="dale")["response"] == 200
    assert dale.request("whois", user="visitor")["code"] == "never_seen"
    for client in (dale, guest):
        assert client.request("join", room="#dev")["response"] == 200
    answer = dale.request("whois", user="visitor")
    assert answer["user"]["status"] == "offline" and answer["rooms"] == [{"room": "#dev"}]


def test_a_room_of_others_is_not_named(chat_server: ChatServer) -> None:
    hank, dale, guest = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in_guest("visitor")
    for client in (dale, guest):
        assert client.request("join", room="#secret")["response"] == 200
    settle(chat_server, always=True)
    assert hank.request("whois", user="dale")["rooms"] == hank.request("whois", user="visitor")["rooms"] == []
