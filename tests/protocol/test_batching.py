"""Many messages to one name or room in one write: each is answered, bounded and refused as if it had come by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import Town, numbered, seqs, texts
from tests.support.course_clients import CLASSIC
from tests.support.native_clients import Dial, Native, dumped


def breath(to: str, count: int, start: int = 1, **more: str) -> bytes:
    return b"".join(dumped(action="msg", to=to, message=str(number), **more) for number in range(start, start + count))


def heard(native: Native, count: int) -> list[str]:
    return texts([native.event("msg") for _ in range(count)])


@pytest.fixture
def hank(server: object, dial: Dial) -> Native:
    return dial.native(server, "hank")


@pytest.fixture
def dale(server: object, dial: Dial) -> Native:
    return dial.native(server, "dale")


def test_everything_arrives_in_order_and_is_answered_in_order(hank: Native, dale: Native) -> None:
    asked = [dumped(action="msg", id=f"m{number}", to="DALE", message=f"{number} ж") for number in range(100)]
    hank.send_bytes(b"".join(asked))
    events = [dale.event("msg") for _ in range(100)]
    assert texts(events) == [f"{number} ж" for number in range(100)]
    assert all((event["from"], event["to"]) == ("hank", "dale") and "seq" not in event for event in events)
    answers = [hank.recv() for _ in range(100)]
    assert [(answer["response"], answer["id"]) for answer in answers] == [(202, f"m{n}") for n in range(100)]


def test_what_is_refused_in_the_midst_takes_nothing_with_it(hank: Native, dale: Native) -> None:
    long = dumped(action="msg", to="dale", id="long", message="x" * 20_000)
    hank.send_bytes(breath("dale", 10) + long + breath("dale", 10, 11) + breath("nobody", 3, id="n") + b"nonsense\n")
    assert heard(dale, 20) == [str(number) for number in range(1, 21)]
    assert [hank.recv()["code"] for _ in range(5)] == ["too_long", *["never_seen"] * 3, "bad_frame"]


def test_to_several_names_in_turn_it_arrives_as_it_was_said(server: object, dial: Dial, hank: Native) -> None:
    others = [dial.native(server, name) for name in ("dale", "bobby")]
    hank.send_bytes(b"".join(breath("dale", 3, n) + breath("bobby", 2, n) for n in range(0, 100, 10)))
    for other, each in zip(others, (3, 2), strict=True):
        assert heard(other, 10 * each) == [str(n + more) for n in range(0, 100, 10) for more in range(each)]


def test_to_oneself_and_to_whom_one_is_blocked_by(hank: Native, dale: Native) -> None:
    hank.send_bytes(breath("hank", 3, id="own"))
    assert [hank.recv()["response"] for _ in range(3)] == [202] * 3
    assert dale.ask("block", user="hank")["response"] == 200
    hank.send_bytes(breath("dale", 3, id="no"))
    assert [hank.recv()["code"] for _ in range(3)] == ["blocked"] * 3


def test_a_course_client_gets_each_as_a_frame_of_its_own(server: object, dial: Dial, hank: Native) -> None:
    course = dial.course(server, CLASSIC, "dale")
    hank.send_bytes(breath("dale", 3))
    assert [course.hear()[1] for _ in range(3)] == ["1", "2", "3"]


def test_who_goes_on_one_at_a_time_without_reading_answers_is_no_longer_listened_to(
    start_server: Callable[..., Any], dial: Dial
) -> None:
    server = start_server(outbox_frames=20, outbox_bytes=1024)
    hank, dale = dial.native(server, "hank", receive_buffer=4096), dial.native(server, "dale")
    dale.sock.settimeout(0.5)

    def goes_on() -> None:
        for number in range(100_000):
            hank.send({"action": "msg", "id": "i" * 64, "to": "dale", "message": f"{number}"})
            assert dale.event("msg")["message"] == f"{number}"

    with pytest.raises(TimeoutError):
        goes_on()


def test_what_is_kept_is_numbered_in_the_order_it_was_said_and_once_for_each_id(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    answers = hank.pours("dale", numbered(60))
    assert [(answer["response"], answer["seq"]) for answer in answers] == [(200, seq) for seq in range(1, 61)]
    came = dale.hears(60)
    assert (seqs(came), texts(came)) == (list(range(1, 61)), numbered(60))
    lines = [dumped(action="msg", id=id, to="dale", message=text) for id, text in (("x", "1"), ("x", "1"), ("x", "2"))]
    hank.send_bytes(b"".join(lines))
    answers = [hank.recv() for _ in lines]
    assert [answer["response"] for answer in answers] == [200, 200, 409]
    assert [answer.get("seq") for answer in answers] == [61, 61, None]
    assert seqs(dale.hears(1)) == [61] and dale.unheard() == []


def test_in_a_room_it_is_kept_in_order_too_and_what_is_refused_takes_nothing_with_it(town: Town) -> None:
    hank, dale, peggy = town.comes("hank"), town.comes("dale"), town.comes("peggy")
    assert [person.ask("join", room="#dev")["response"] for person in (hank, dale)] == [200, 200]
    long = dumped(action="msg", to="#dev", id="long", message="x" * 20_000)
    hank.send_bytes(breath("#Dev", 5) + long + breath("#dev", 5, 6))
    assert next(frame for frame in iter(hank.recv, None) if frame.get("id") == "long")["code"] == "too_long"
    came = dale.hears(10)
    assert (seqs(came), texts(came)) == (list(range(1, 11)), [str(number) for number in range(1, 11)])
    peggy.send_bytes(breath("#dev", 3, id="p"))
    assert [peggy.recv()["code"] for _ in range(3)] == ["not_member"] * 3
    assert dale.unheard() == []
