"""The list of one's conversations: which are in it, what of them is new, and in what pages it comes.
Section "Requests" of the protocol."""

from collections.abc import Callable
from typing import Any

from gmessenger.chat import listings
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import Frame


def list_conversations(client: UserClient, **fields: Any) -> list[Frame]:
    answer = client.request("conversations", **fields)
    assert (answer["response"], answer["more"]) == (200, False), answer
    return answer["conversations"]  # type: ignore[no-any-return]


def positions(client: UserClient) -> list[tuple[str, int, int, int]]:
    return [(each["with"], each["seq"], each["first"], each["read"]) for each in list_conversations(client)]


def test_direct_ones_and_rooms_are_listed_by_name_with_what_was_read(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert list_conversations(hank) == []
    assert hank.request("join", room="#Dev")["response"] == 200
    hank.send_messages("#Dev", "one")
    assert dale.request("join", room="#dev")["response"] == 200
    assert positions(dale) == [("#Dev", 0, 2, 0)] and "time" not in list_conversations(dale)[0]
    hank.send_messages("dale", "one", "two", "three")
    dale.receive_messages(3)
    dale.send({"action": "read", "with": "hank", "seq": 2})
    assert positions(dale) == [("#Dev", 0, 2, 0), ("hank", 3, 1, 2)]
    assert positions(hank) == [("#Dev", 1, 1, 0), ("dale", 3, 1, 0)]
    newest = hank.history("dale")[-1]
    assert [each["time"] for each in list_conversations(hank, after="#dev")] == [newest["time"]]
    chat_server.restart()
    assert positions(chat_server.log_in("dale")) == [("#Dev", 0, 2, 0), ("hank", 3, 1, 2)]


def test_who_was_taken_out_or_has_left_is_not_in_it(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
    assert hank.request("remove", room="#dev", user="dale")["response"] == 200
    assert hank.request("leave", room="#dev")["response"] == 200
    assert positions(hank) == positions(dale) == []


def test_a_guest_is_told_of_its_rooms_only_and_has_nothing_to_read(chat_server: ChatServer) -> None:
    hank, gus = chat_server.log_in("hank"), chat_server.log_in_guest("gus")
    for room in ("#ops", "#dev"):
        assert hank.request("join", room=room)["response"] == 200
        hank.send_messages(room, "one")
        assert gus.request("join", room=room)["response"] == 200
    hank.send_messages("gus", "one")
    assert positions(gus) == [("#dev", 0, 2, 0), ("#ops", 0, 2, 0)]
    assert positions(hank) == [("#dev", 1, 1, 0), ("#ops", 1, 1, 0), ("gus", 1, 1, 0)]
    assert [each["with"] for each in list_conversations(gus, after="#DEV")] == ["#ops"]


def test_pages_fit_the_frame(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(max_frame=listings.MAX_ENTRY_BYTES * 4)
    names = [f"#{letter * 10}{'ж' * 22}" for letter in "жзийклмнпр"]
    for client in (chat_server.log_in("hank"), chat_server.log_in_guest("gus")):
        for name in names:
            chat_server.log_in("dale").request("join", room=name)
            assert client.request("join", room=name)["response"] == 200
        seen: list[str] = []
        more = True
        while more:
            answer = client.request("conversations", after=seen[-1] if seen else "")
            assert len(answer["conversations"]) <= 4
            seen += [each["with"] for each in answer["conversations"]]
            more = answer["more"]
        assert seen == names
