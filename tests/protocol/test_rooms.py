"""Rooms: who is in them, what members get and others do not, course clients in them.
Section 2 of the protocol, "Requests" and "Names and privacy", and section 3."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient, is_client_error, numbered_texts, seqs, texts
from tests.support.course_clients import Frame
from tests.support.native_clients import run_together

BAD_ROOMS = (
    "dev",
    "#",
    "",
    "#two words",
    "#" + "x" * 33,
    "##dev",
    "#all",
    "#SERVER",
    "#d\u0435v",
    "#a\u202eb",
    5,
    None,
)


def join(client: UserClient, room: str = "#dev") -> Frame:
    answer = client.request("join", room=room)
    assert answer["response"] == 200, answer
    return answer


def log_in_and_join(chat_server: ChatServer, *names: str, room: str = "#dev") -> list[UserClient]:
    """Log in accounts that have all been notified of the last join."""
    clients = [chat_server.log_in(name) for name in names]
    for number, client in enumerate(clients):
        join(client, room)
        for other in clients[:number]:
            receive_member_event(other, "join", client.name)
    return clients


def receive_member_event(client: UserClient, action: str, name: str) -> Frame:
    """Receive the event about a member; one about the client itself may come before."""
    while (frame := client.next_event(action))["user"]["account_name"] != name:
        assert frame["user"]["account_name"] == client.name, frame
    return frame


def member_names(answer: Frame) -> set[str]:
    """Return the members in a response: names or user objects."""
    assert answer["response"] == 200, answer
    entries = answer["members"] if "members" in answer else answer["users"]
    return {one if isinstance(one, str) else one["account_name"] for one in entries}


def room_names(answer: Frame) -> list[str]:
    assert answer["response"] == 200 and isinstance(answer["more"], bool), answer
    return [one if isinstance(one, str) else one.get("room", one.get("name")) for one in answer["rooms"]]


def test_an_account_makes_a_room_by_joining_it(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert is_client_error(dale.send_message("#dev", "is there a room?"))
    answer = join(hank)
    assert member_names(answer) == {"hank"} and answer["seq"] == 0 and not answer["topic"]
    hank.send_messages("#dev", *numbered_texts(3))
    answer = join(dale, "#DEV")
    assert member_names(answer) == {"hank", "dale"} and answer["seq"] == 3
    entries = hank.request("members", room="#dev")
    assert member_names(entries) == {"hank", "dale"} and entries["topic"] == ""
    assert join(dale)["seq"] == 3, "joining again changes nothing"
    assert room_names(dale.request("rooms")) == ["#dev"]


@pytest.mark.parametrize("room", BAD_ROOMS, ids=ascii)
def test_a_bad_room_is_not_made(room: Any, chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    answer = hank.request("join", room=room)
    assert answer["response"] == 400 and answer["error"] and answer["code"]
    assert room_names(hank.request("rooms")) == []


def test_members_are_told_who_joins_leaves_and_says_what_it_is_about(chat_server: ChatServer) -> None:
    hank, dale, bobby = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in("bobby")
    join(hank)
    join(dale)
    assert dale.request("topic", room="#dev", topic="привет всем")["response"] == 200
    assert dale.request("leave", room="#dev")["response"] == 200
    user = {"account_name": "dale"}
    assert [receive_member_event(hank, action, "dale") for action in ("join", "topic", "leave")] == [
        {"action": "join", "room": "#dev", "user": user},
        {"action": "topic", "room": "#dev", "topic": "привет всем", "user": user},
        {"action": "leave", "room": "#dev", "user": user},
    ]
    assert bobby.take_events("join") == bobby.take_events("topic") == []
    assert join(bobby)["topic"] == "привет всем"


def test_who_is_not_a_member_is_refused(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    hank.send_messages("#dev", "one")
    answer = dale.send_message("#dev", "let me in")
    assert (answer["response"], bool(answer["error"] and answer["code"])) == (403, True)
    for action, fields in (("topic", {"topic": "mine"}), ("leave", {}), ("history", {"with": "#dev"})):
        assert is_client_error(dale.request(action, **{"room": "#dev", **fields})), action
    assert is_client_error(dale.request("members", room="#nowhere"))
    assert hank.send_messages("#dev", "two") == [2]
    assert hank.take_events() == dale.take_events() == []


def test_a_message_reaches_every_member_and_the_senders_other_devices(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    phone, bobby = chat_server.log_in("hank", "phone"), chat_server.log_in("bobby")
    answer = hank.request("msg", id="m1", to="#Dev", message="hello")
    assert (answer["response"], answer["seq"]) == (200, 1)
    expected = {"action": "msg", "from": "hank", "to": "#dev", "message": "hello", "seq": 1}
    for client, more in ((dale, {}), (phone, {"id": "m1"})):
        frame = client.next_event("msg")
        assert isinstance(frame.pop("time"), float)
        assert frame == {**expected, **more}
    assert hank.request("msg", id="m1", to="#dev", message="hello")["seq"] == 1
    assert hank.request("msg", id="m1", to="#dev", message="bye")["code"] == "id_reused"
    assert hank.take_events() == dale.take_events() == bobby.take_events() == []


def test_members_who_speak_at_once_leave_no_hole_and_all_hear_the_same(chat_server: ChatServer) -> None:
    clients = log_in_and_join(chat_server, "hank", "dale", "bobby", "peggy")
    sent: dict[str, list[int]] = {}
    jobs = {
        one.name: lambda one=one: sent.update({one.name: seqs(one.send_pipelined("#dev", [one.name] * 100))})
        for one in clients
    }
    assert run_together(jobs) == {}
    all_frames = {seq: name for name, numbers in sent.items() for seq in numbers}
    assert sorted(all_frames) == list(range(1, 401))
    for client in clients:
        received = [(frame["seq"], frame["from"]) for frame in client.receive_messages(300)]
        assert received == [(seq, name) for seq, name in sorted(all_frames.items()) if name != client.name]


def test_a_member_who_is_away_gets_it_later_also_after_a_restart(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    hank.request("topic", room="#dev", topic="what stays")
    dale.close()
    hank.send_messages("#dev", *numbered_texts(3))
    dale = chat_server.log_in("dale")
    assert [(frame["to"], frame["message"]) for frame in dale.backlog] == [("#dev", text) for text in numbered_texts(3)]
    dale.acknowledge("#dev", 2)
    chat_server.restart()
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert seqs(dale.backlog) == [3]
    assert hank.send_messages("#dev", "four") == [4]
    assert dale.next_event("msg")["seq"] == 4
    answer = join(hank)
    assert (answer["topic"], member_names(answer)) == ("what stays", {"hank", "dale"})


def test_who_joins_sees_nothing_from_before(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    hank.send_messages("#dev", *numbered_texts(3))
    assert join(dale)["seq"] == 3
    assert dale.take_events() == [] == dale.history("#dev") == dale.search("text")
    hank.send_messages("#dev", "four")
    assert seqs(dale.receive_messages(1)) == [4]
    assert seqs(dale.history("#dev", before=5)) == seqs(dale.history("#dev", after=0)) == [4]
    assert seqs(chat_server.connect().start_session("dale", password=PASSWORD, device="tablet").backlog) == [4]
    assert seqs(hank.history("#dev")) == [1, 2, 3, 4]


def test_who_leaves_gets_no_more_and_who_returns_does_not_see_what_was_said_meanwhile(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    assert dale.request("leave", room="#dev")["response"] == 200
    hank.send_messages("#dev", "in private")
    assert dale.take_events() == []
    assert is_client_error(dale.request("history", **{"with": "#dev"}))
    assert dale.send_message("#dev", "hello?")["response"] == 403
    assert dale.search("private") == []
    assert "private" not in str(chat_server.log_in("dale", "phone").backlog)
    assert member_names(hank.request("members", room="#dev")) == {"hank"}
    join(dale)
    hank.send_messages("#dev", "together again")
    assert texts(dale.receive_messages(1)) == texts(dale.history("#dev")) == ["together again"]


def test_who_returns_reads_again_what_it_could_read_and_is_told_what_it_may_not(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    phone = chat_server.log_in("dale", "phone")
    hank.send_messages("#dev", "one", "two")
    assert texts(phone.receive_messages(2)) == texts(dale.receive_messages(2)) == ["one", "two"]
    dale.send({"action": "read", "with": "#dev", "seq": 1})
    assert dale.request("leave", room="#dev")["response"] == 200
    hank.send_messages("#dev", "three", "four")
    phone.close()
    answer = join(dale)
    assert (answer["seq"], answer["first"], answer["absent"]) == (4, 1, [[3, 4]])
    hank.send_messages("#dev", "five")
    assert texts(dale.receive_messages(1)) == ["five"]
    page = dale.request("history", **{"with": "#dev"})
    assert (texts(page["messages"]), page["first"], page["more"]) == (["one", "two", "five"], 1, False)
    assert page["absent"] == [[3, 4]]
    assert dale.search("three") == [] and dale.search("two") == ["two"]
    (listed,) = dale.request("conversations")["conversations"]
    assert (listed["seq"], listed["first"], listed["read"]) == (5, 1, 1)
    exported = dale.request("export")["messages"]
    assert texts(exported) == ["one", "two", "five"]
    assert texts(chat_server.log_in("dale", "phone").backlog) == ["five"]
    chat_server.restart()
    assert dale_reads(chat_server) == ["one", "two", "five"]


def dale_reads(chat_server: ChatServer) -> list[str]:
    return texts(chat_server.log_in("dale").history("#dev"))


def request_line(client: UserClient, **frame: Any) -> bytes:
    """Send a request with an id; return the line that answers it."""
    client.send({"id": "page", **frame})
    while (line := client.receive_line()) and json.loads(line).get("id") != "page":
        pass
    return line


def test_a_page_of_rooms_with_the_longest_topics_fits_a_frame_and_none_is_left_out(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    hank = start_chat_server(max_frame=4096).log_in("hank")
    rooms = [f"#room{number}" for number in range(6)]
    for room in rooms:
        join(hank, room)
        assert hank.request("topic", room=room, topic="東" * 400)["response"] == 200
    found: list[str] = []
    more = True
    while more:
        line = request_line(hank, action="rooms", **({"after": found[-1]} if found else {}))
        assert len(line) <= 4096
        answer = json.loads(line)
        found += room_names(answer)
        more = answer["more"]
    assert found == rooms


def test_rooms_and_members_after_a_name_go_on_behind_it(chat_server: ChatServer) -> None:
    hank, *_ = log_in_and_join(chat_server, "hank", "dale", "bobby", "peggy", room="#a")
    for room in ("#b", "#c", "#жители", "#東京"):
        join(hank, room)
    all_frames = room_names(hank.request("rooms"))
    assert len(all_frames) == 5
    for number, room in enumerate(all_frames):
        assert room_names(hank.request("rooms", after=room)) == all_frames[number + 1 :]
    seen: set[str] = set()
    for name in sorted(member_names(hank.request("members", room="#a"))):
        rest = member_names(hank.request("members", room="#a", after=name))
        assert name not in rest and len(rest) == 3 - len(seen)
        seen.add(name)


def test_a_status_is_told_to_those_in_the_same_room(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    bobby = chat_server.log_in("bobby")
    assert dale.request("status", status="away")["response"] == 200
    frame = hank.next_event("presence")
    while frame["user"]["status"] != "away":  # that Dale came may be told first
        frame = hank.next_event("presence")
    assert frame == {"action": "presence", "user": {"account_name": "dale", "status": "away"}}
    assert bobby.take_events("presence") == []
