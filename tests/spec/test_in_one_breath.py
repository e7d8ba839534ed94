"""Many messages to one guest in one write: each is answered, bounded and refused as if it had come by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.course_clients import CLASSIC
from tests.spec.people import texts
from tests.spec.wires import Dial, Native, dumped


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
