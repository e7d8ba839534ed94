"""Devices of an account: what each has not acknowledged, what the others sent, where a new one begins.
Section 2, "Logging in" and "Requests", of the protocol."""

from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient, numbered_texts, seqs, texts
from tests.support.course_clients import CLASSIC
from tests.support.native_clients import encode_frame, run_together

BAD_ACKS: tuple[dict[str, Any], ...] = (
    {"with": "dale", "seq": "1"},
    {"with": "dale", "seq": 1.5},
    {"with": "dale", "seq": None},
    {"with": 5, "seq": 1},
    {"with": "dale"},
    {"seq": 1},
)


def backlog_of(client: UserClient, conversation: str) -> list[int]:
    """Return the seqs of the backlog of a conversation, of both directions."""
    return seqs(frame for frame in client.backlog if conversation in (frame["from"], frame["to"]))


def quit_all(*clients: UserClient) -> None:
    for client in clients:
        client.send({"action": "quit"})
        client.receive_until_closed()


def test_what_was_sent_while_nobody_was_there_comes_oldest_first_and_then_synced(chat_server: ChatServer) -> None:
    dale, bobby = chat_server.log_in("dale"), chat_server.log_in("bobby")
    for text in numbered_texts(3):
        dale.send_messages("hank", text)
        bobby.send_messages("hank", text)
    hank = chat_server.log_in("hank")
    assert backlog_of(hank, "dale") == backlog_of(hank, "bobby") == [1, 2, 3]
    assert len(hank.backlog) == 6
    for frame in hank.backlog:
        assert isinstance(frame.pop("time"), float)
    assert {"action": "msg", "from": "dale", "to": "hank", "message": "text 1", "seq": 1} in hank.backlog
    assert not hank.take_events()


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(chat_server: ChatServer) -> None:
    dale = chat_server.log_in("dale")
    dale.send_messages("hank", *numbered_texts(5))
    for acknowledged, waiting in ((0, [1, 2, 3, 4, 5]), (2, [3, 4, 5]), (4, [5]), (3, [5]), (5, [])):
        hank = chat_server.log_in("hank")
        if acknowledged:
            hank.acknowledge("dale", acknowledged)
        hank.close()
        assert seqs(chat_server.log_in("hank").backlog) == waiting


def test_what_came_live_comes_again_until_it_is_acknowledged(chat_server: ChatServer) -> None:
    dale, hank = chat_server.log_in("dale"), chat_server.log_in("hank")
    dale.send_messages("hank", *numbered_texts(3))
    assert texts(hank.receive_messages(3)) == numbered_texts(3)
    hank.acknowledge("dale", 1)
    quit_all(hank)
    assert texts(chat_server.log_in("hank").backlog) == ["text 2", "text 3"]


@pytest.mark.parametrize("action", ["ack", "read"])
def test_a_mark_that_makes_no_sense_is_refused_and_marks_nothing(action: str, chat_server: ChatServer) -> None:
    dale, hank = chat_server.log_in("dale"), chat_server.log_in("hank")
    dale.send_messages("hank", "hello")
    hank.receive_messages(1)
    for mark in BAD_ACKS:
        hank.send({"action": action, **mark})
        hank.expect_error()
    hank.close()
    assert seqs(chat_server.log_in("hank").backlog) == [1]


def test_each_device_has_its_own_backlog(chat_server: ChatServer) -> None:
    dale, laptop = chat_server.log_in("dale"), chat_server.log_in("hank", "laptop")
    dale.send_messages("hank", *numbered_texts(3))
    laptop.acknowledge("dale", 3)
    assert texts(chat_server.log_in("hank", "phone").backlog) == numbered_texts(3)


def test_a_device_never_seen_starts_where_the_furthest_one_stands(chat_server: ChatServer) -> None:
    dale, bobby = chat_server.log_in("dale"), chat_server.log_in("bobby")
    dale.send_messages("hank", *numbered_texts(5))
    bobby.send_messages("hank", *numbered_texts(2))
    chat_server.log_in("hank", "laptop").acknowledge("dale", 2)
    chat_server.log_in("hank", "phone").acknowledge("dale", 4)
    tablet = chat_server.connect().start_session("hank", password=PASSWORD, device="tablet")
    assert (backlog_of(tablet, "dale"), backlog_of(tablet, "bobby")) == ([5], [1, 2])
    assert backlog_of(chat_server.log_in("hank", "laptop"), "dale") == [3, 4, 5]


def test_devices_see_what_the_others_send_with_its_id_and_nobody_else_sees_the_id(chat_server: ChatServer) -> None:
    laptop, phone, dale = (
        chat_server.log_in("hank", "laptop"),
        chat_server.log_in("hank", "phone"),
        chat_server.log_in("dale"),
    )
    assert laptop.request("msg", id="unique", to="dale", message="hello")["seq"] == 1
    frame = phone.next_event("msg")
    assert isinstance(frame.pop("time"), float)
    expected = {"action": "msg", "from": "hank", "to": "dale", "message": "hello", "seq": 1}
    assert frame == {**expected, "id": "unique"}
    (received,) = dale.receive_messages(1)
    assert received == {**expected, "time": received["time"]}
    assert laptop.take_events() == []


def test_a_device_that_was_away_gets_what_the_others_sent(chat_server: ChatServer) -> None:
    laptop = chat_server.log_in("hank", "laptop")
    chat_server.log_in("dale")
    laptop.send_messages("dale", *numbered_texts(3))
    phone = chat_server.log_in("hank", "phone")
    assert [(frame["from"], frame["to"]) for frame in phone.backlog] == [("hank", "dale")] * 3
    assert texts(phone.backlog) == numbered_texts(3)


def test_what_a_device_sent_is_not_replayed_to_it(chat_server: ChatServer) -> None:
    laptop, dale = chat_server.log_in("hank", "laptop"), chat_server.log_in("dale")
    laptop.send_messages("dale", *numbered_texts(3))
    dale.send_messages("hank", "four")
    laptop.send_messages("dale", "five")
    laptop.close()
    assert seqs(chat_server.log_in("hank", "laptop").backlog) == [4]


def test_what_a_device_sends_moves_its_cursor_on_when_nothing_before_is_unacknowledged(chat_server: ChatServer) -> None:
    laptop = chat_server.log_in("hank", "laptop")
    laptop.send_messages("dale", *numbered_texts(3))
    assert chat_server.connect().start_session("hank", password=PASSWORD, device="first").backlog == []
    dale = chat_server.log_in("dale")
    dale.send_messages("hank", "four")
    laptop.send_messages("dale", "five")
    assert seqs(chat_server.connect().start_session("hank", password=PASSWORD, device="second").backlog) == [4, 5]
    laptop.acknowledge("dale", 4)
    laptop.close()
    assert chat_server.log_in("hank", "laptop").backlog == []


def test_a_login_replaces_the_live_session_of_that_device_and_no_other(chat_server: ChatServer) -> None:
    laptop, phone, dale = (
        chat_server.log_in("hank", "laptop"),
        chat_server.log_in("hank", "phone"),
        chat_server.log_in("dale"),
    )
    dale.send_messages("hank", "hello")
    assert laptop.next_event("msg")["seq"] == phone.next_event("msg")["seq"] == 1
    again = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    (notice,) = [frame for frame in laptop.receive_until_closed() if "response" in frame]
    assert (notice["response"], notice["code"]) == (409, "replaced")
    assert seqs(again.backlog) == [1]
    dale.send_messages("hank", "again")
    assert again.next_event("msg")["seq"] == phone.next_event("msg")["seq"] == 2


def test_no_device_is_the_device_default(chat_server: ChatServer) -> None:
    nameless, laptop = (
        chat_server.connect().start_session("hank", password=PASSWORD),
        chat_server.log_in("hank", "laptop"),
    )
    chat_server.connect().start_session("hank", password=PASSWORD, device="default")
    assert nameless.receive_until_closed()[-1]["code"] == "replaced"
    chat_server.connect().start_session("hank", password=PASSWORD)
    assert laptop.take_events() == []


def test_with_more_than_twenty_devices_the_longest_unused_is_forgotten(chat_server: ChatServer) -> None:
    """Peggy's laptop and phone are known already: eighteen more are allowed."""
    quit_all(
        chat_server.connect().start_session("peggy", password=PASSWORD, device="laptop")
    )  # so that she is not taken for a guesser
    chat_server.log_in("dale").send_messages("peggy", "hello")
    for device in ("laptop", "phone"):
        client = chat_server.log_in("peggy", device)
        assert seqs(client.backlog) == [1]
        quit_all(client)
    waiting: dict[str, list[int]] = {}

    def log_in(device: str) -> None:
        client = chat_server.connect().start_session("peggy", password=PASSWORD, device=device)
        waiting[device] = seqs(client.backlog)
        quit_all(client)

    devices = [f"device {number}" for number in range(18)]
    assert run_together({device: lambda device=device: log_in(device) for device in devices}) == {}
    assert waiting == {device: [1] for device in devices}
    laptop = chat_server.log_in("peggy", "laptop")
    assert seqs(laptop.backlog) == [1], "twenty devices are not too many"
    laptop.acknowledge("dale", 1)
    quit_all(laptop)
    for device in ("one too many", "phone"):
        log_in(device)
        assert waiting[device] == [], f"{device} is not known (any more) and starts at the furthest cursor"


def test_the_sender_is_told_what_was_delivered(chat_server: ChatServer) -> None:
    laptop, phone, dale = (
        chat_server.log_in("hank", "laptop"),
        chat_server.log_in("hank", "phone"),
        chat_server.log_in("dale"),
    )
    laptop.send_messages("dale", *numbered_texts(5))
    dale.receive_messages(5)
    for seq in (2, 5):
        dale.send({"action": "ack", "with": "hank", "seq": seq})
        for device in (laptop, phone):
            assert device.next_event("delivered") == {"action": "delivered", "with": "dale", "seq": seq}
    assert dale.take_events("delivered") == []


def test_a_guest_is_told_what_was_delivered_and_a_course_client_is_not(chat_server: ChatServer) -> None:
    dale, guest = chat_server.log_in("dale"), chat_server.log_in_guest("guest")
    cathy = chat_server.log_in_course(CLASSIC, "cathy")
    assert guest.send_messages("dale", "hello") == [1]
    cathy.send_message("dale", "hello")
    assert len(dale.receive_messages(2)) == 2
    for name in ("cathy", "guest"):
        dale.acknowledge(name, 1)
    assert guest.next_event("delivered") == {"action": "delivered", "with": "dale", "seq": 1}
    dale.send_messages("cathy", "nothing but this")
    assert cathy.receive_message() == ("dale", "nothing but this")


def test_what_is_acknowledged_in_a_room_is_told_to_nobody(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
    hank.send_messages("#dev", "hello all")
    hank.send_messages("dale", "hello dale")
    dale.acknowledge("#dev", 1)
    dale.acknowledge("hank", 1)
    assert hank.next_event("delivered")["with"] == "dale"


def test_a_read_mark_goes_to_the_other_devices_only(chat_server: ChatServer) -> None:
    laptop, phone, dale = (
        chat_server.log_in("hank", "laptop"),
        chat_server.log_in("hank", "phone"),
        chat_server.log_in("dale"),
    )
    dale.send_messages("hank", *numbered_texts(3))
    for client in (laptop, phone):
        client.receive_messages(3)
    mark = {"action": "read", "with": "dale", "seq": 2}
    laptop.send(mark)
    assert phone.next_event() == mark
    assert laptop.take_events("read") == dale.take_events("read") == []
    phone.close()
    assert len(chat_server.log_in("hank", "phone").backlog) == 3, "read is not acknowledged"


def test_a_read_mark_counts_though_its_session_is_still_catching_up(chat_server: ChatServer) -> None:
    laptop, dale = chat_server.log_in("hank", "laptop"), chat_server.log_in("dale")
    dale.send_messages("hank", *numbered_texts(3))
    laptop.receive_messages(3)
    phone = chat_server.connect()
    user = {"account_name": "hank", "password": PASSWORD, "device": "phone"}
    marks = [encode_frame(action="read", **{"with": "dale", "seq": seq}) for seq in (2, 99)]
    phone.send_bytes(b"".join([encode_frame(action="presence", jim=2, user=user), *marks]))
    assert [laptop.next_event("read") for _ in marks] == [
        {"action": "read", "with": "dale", "seq": seq} for seq in (2, 3)
    ]
