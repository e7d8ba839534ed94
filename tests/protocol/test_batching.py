"""Many messages to one name or room in one write: each is answered and limited as a single one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import ChatServer, numbered_texts, seqs, texts
from tests.support.course_clients import CLASSIC
from tests.support.native_clients import Connector, NativeClient, encode_frame


def encode_messages(to: str, count: int, start: int = 1, **more: str) -> bytes:
    return b"".join(
        encode_frame(action="msg", to=to, message=str(number), **more) for number in range(start, start + count)
    )


def receive_texts(native: NativeClient, count: int) -> list[str]:
    return texts([native.next_event("msg") for _ in range(count)])


@pytest.fixture
def hank(server: object, connector: Connector) -> NativeClient:
    return connector.open_native(server, "hank")


@pytest.fixture
def dale(server: object, connector: Connector) -> NativeClient:
    return connector.open_native(server, "dale")


def test_everything_arrives_in_order_and_is_answered_in_order(hank: NativeClient, dale: NativeClient) -> None:
    requested = [encode_frame(action="msg", id=f"m{number}", to="DALE", message=f"{number} ж") for number in range(100)]
    hank.send_bytes(b"".join(requested))
    events = [dale.next_event("msg") for _ in range(100)]
    assert texts(events) == [f"{number} ж" for number in range(100)]
    assert all((event["from"], event["to"]) == ("hank", "dale") and "seq" not in event for event in events)
    answers = [hank.receive() for _ in range(100)]
    assert [(answer["response"], answer["id"]) for answer in answers] == [(202, f"m{n}") for n in range(100)]


def test_what_is_refused_in_the_midst_takes_nothing_with_it(hank: NativeClient, dale: NativeClient) -> None:
    long = encode_frame(action="msg", to="dale", id="long", message="x" * 20_000)
    hank.send_bytes(
        encode_messages("dale", 10)
        + long
        + encode_messages("dale", 10, 11)
        + encode_messages("nobody", 3, id="n")
        + b"nonsense\n"
    )
    assert receive_texts(dale, 20) == [str(number) for number in range(1, 21)]
    assert [hank.receive()["code"] for _ in range(5)] == ["too_long", *["never_seen"] * 3, "bad_frame"]


def test_to_several_names_in_turn_it_arrives_as_it_was_said(
    server: object, connector: Connector, hank: NativeClient
) -> None:
    others = [connector.open_native(server, name) for name in ("dale", "bobby")]
    hank.send_bytes(b"".join(encode_messages("dale", 3, n) + encode_messages("bobby", 2, n) for n in range(0, 100, 10)))
    for other, each in zip(others, (3, 2), strict=True):
        assert receive_texts(other, 10 * each) == [str(n + more) for n in range(0, 100, 10) for more in range(each)]


def test_to_many_names_and_a_room_in_turn_each_gets_its_own_in_order(
    server: object, connector: Connector, hank: NativeClient
) -> None:
    others = [connector.open_native(server, name) for name in ("dale", "bobby", "bill")]
    sent = [("dale", "bobby", "nobody", "bill")[number % 4] for number in range(200)]
    frames = [encode_frame(action="msg", id=f"m{n}", to=to, message=str(n)) for n, to in enumerate(sent)]
    hank.send_bytes(b"".join(frames))
    for other, first in zip(others, (0, 1, 3), strict=True):
        assert receive_texts(other, 50) == [str(n) for n in range(first, 200, 4)]
    answers = {answer["id"]: answer["response"] for answer in (hank.receive() for _ in range(200))}
    assert answers == {f"m{n}": 404 if to == "nobody" else 202 for n, to in enumerate(sent)}


def test_to_one_name_in_two_spellings_in_turn_it_keeps_its_order(hank: NativeClient, dale: NativeClient) -> None:
    hank.send_bytes(b"".join(encode_messages(("dale", "DALE")[number % 2], 1, number) for number in range(100)))
    assert receive_texts(dale, 100) == [str(number) for number in range(100)]


def test_what_is_asked_between_two_messages_is_done_between_them(chat_server: ChatServer, connector: Connector) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    frames = [
        encode_frame(action="msg", id="1", to="#dev", message="too early"),
        encode_frame(action="msg", id="2", to="dale", message="first"),
        encode_frame(action="join", id="3", room="#dev"),
        encode_frame(action="msg", id="4", to="#dev", message="in time"),
        encode_frame(action="msg", id="5", to="dale", message="second"),
    ]
    hank.send_bytes(b"".join(frames))
    answers = {}
    while len(answers) < 5:
        frame = hank.receive()
        if "response" in frame:
            answers[frame["id"]] = frame["response"]
    assert answers == {"1": 404, "2": 200, "3": 200, "4": 200, "5": 200}
    assert texts(dale.receive_messages(2)) == ["first", "second"]


def test_to_oneself_and_to_whom_one_is_blocked_by(hank: NativeClient, dale: NativeClient) -> None:
    hank.send_bytes(encode_messages("hank", 3, id="own"))
    assert [hank.receive()["response"] for _ in range(3)] == [202] * 3
    assert dale.request("block", user="hank")["response"] == 200
    hank.send_bytes(encode_messages("dale", 3, id="no"))
    assert [hank.receive()["code"] for _ in range(3)] == ["blocked"] * 3


def test_a_course_client_gets_each_as_a_frame_of_its_own(
    server: object, connector: Connector, hank: NativeClient
) -> None:
    course = connector.log_in_course(server, CLASSIC, "dale")
    hank.send_bytes(encode_messages("dale", 3))
    assert [course.receive_message()[1] for _ in range(3)] == ["1", "2", "3"]


def test_who_goes_on_one_at_a_time_without_reading_answers_is_no_longer_listened_to(
    start_server: Callable[..., Any], connector: Connector
) -> None:
    server = start_server(outbox_frames=20, outbox_bytes=1024)
    server.limit_send_buffers(4096)
    hank, dale = connector.open_native(server, "hank", receive_buffer=4096), connector.open_native(server, "dale")
    dale.sock.settimeout(0.5)

    def check_open() -> None:
        for number in range(100_000):
            hank.send({"action": "msg", "id": "i" * 64, "to": "dale", "message": f"{number}"})
            assert dale.next_event("msg")["message"] == f"{number}"

    with pytest.raises(TimeoutError):
        check_open()


def test_what_is_kept_is_numbered_in_the_order_it_was_said_and_once_for_each_id(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    answers = hank.send_pipelined("dale", numbered_texts(60))
    assert [(answer["response"], answer["seq"]) for answer in answers] == [(200, seq) for seq in range(1, 61)]
    frames = dale.receive_messages(60)
    assert (seqs(frames), texts(frames)) == (list(range(1, 61)), numbered_texts(60))
    lines = [
        encode_frame(action="msg", id=id, to="dale", message=text) for id, text in (("x", "1"), ("x", "1"), ("x", "2"))
    ]
    hank.send_bytes(b"".join(lines))
    answers = [hank.receive() for _ in lines]
    assert [answer["response"] for answer in answers] == [200, 200, 409]
    assert [answer.get("seq") for answer in answers] == [61, 61, None]
    assert seqs(dale.receive_messages(1)) == [61] and dale.take_events() == []


def test_in_a_room_it_is_kept_in_order_too_and_what_is_refused_takes_nothing_with_it(chat_server: ChatServer) -> None:
    hank, dale, peggy = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in("peggy")
    assert [client.request("join", room="#dev")["response"] for client in (hank, dale)] == [200, 200]
    long = encode_frame(action="msg", to="#dev", id="long", message="x" * 20_000)
    hank.send_bytes(encode_messages("#Dev", 5) + long + encode_messages("#dev", 5, 6))
    assert next(frame for frame in iter(hank.receive, None) if frame.get("id") == "long")["code"] == "too_long"
    frames = dale.receive_messages(10)
    assert (seqs(frames), texts(frames)) == (list(range(1, 11)), [str(number) for number in range(1, 11)])
    peggy.send_bytes(encode_messages("#dev", 3, id="p"))
    assert [peggy.receive()["code"] for _ in range(3)] == ["not_member"] * 3
    assert dale.take_events() == []
