"""Logins, joins and registrations while messages are sent: no gap, no duplicate, no leak."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from tests.support.accounts import ChatServer, UserClient, numbered_texts, seqs, texts
from tests.support.course_clients import TIMEOUT
from tests.support.timeouts import TEST_TIMEOUT

COUNT = 1500


@contextmanager
def sending_meanwhile(sender: UserClient, to: str, count: int = COUNT) -> Iterator[Event]:
    """Send messages in the background, each answered 200; the event is set after a third of them."""
    started = Event()

    def send_all() -> None:
        messages = numbered_texts(count)
        for start in range(0, count, 50):
            answers = sender.send_pipelined(to, messages[start : start + 50])
            assert {answer["response"] for answer in answers} == {200}
            if start >= count // 3:
                started.set()

    greenlet = gevent.spawn(send_all)
    assert started.wait(TIMEOUT)
    yield started
    greenlet.get(timeout=TEST_TIMEOUT)


def receive_until(client: UserClient, last: int) -> list[int]:
    """Return the seqs of the backlog and of what follows, up to `last`."""
    frames = seqs(client.backlog)
    while not frames or frames[-1] < last:
        frames.append(client.next_event("msg")["seq"])
    return frames


@pytest.mark.parametrize("options", [{}, {"outbox_frames": 20}], ids=["wide", "narrow"])
def test_who_logs_in_meanwhile_gets_everything_once(
    start_chat_server: Callable[..., ChatServer], options: dict[str, int]
) -> None:
    chat_server = start_chat_server(**options)
    hank = chat_server.log_in("hank")
    with sending_meanwhile(hank, "dale"):
        for _ in range(5):
            laptop, phone = chat_server.log_in("dale", "laptop"), chat_server.log_in("dale", "phone")
    for client in (laptop, phone):
        assert receive_until(client, COUNT) == list(range(1, COUNT + 1))
        assert client.take_events() == []


def test_who_comes_and_goes_and_acknowledges_what_it_has_gets_everything_once(chat_server: ChatServer) -> None:
    hank, received = chat_server.log_in("hank"), []
    with sending_meanwhile(hank, "dale"):
        for _ in range(8):
            dale = chat_server.log_in("dale")
            assert seqs(dale.backlog)[:1] in ([], [len(received) + 1]), "what was acknowledged came again"
            received += dale.backlog
            received += dale.receive_messages(min(40, COUNT - len(received)))
            dale.acknowledge("hank", received[-1]["seq"])
            dale.close()
    dale = chat_server.log_in("dale")
    received += dale.backlog + dale.receive_messages(COUNT - len(received) - len(dale.backlog))
    assert seqs(received) == list(range(1, COUNT + 1))
    assert texts(received) == numbered_texts(COUNT)


def test_who_joins_meanwhile_gets_everything_after_and_nothing_before(chat_server: ChatServer) -> None:
    hank, others, joined = (
        chat_server.log_in("hank"),
        [chat_server.log_in(name) for name in ("dale", "bobby", "peggy")],
        [],
    )
    assert hank.request("join", room="#dev")["response"] == 200
    with sending_meanwhile(hank, "#dev"):
        for other in others:
            last = other.request("join", room="#dev")["seq"]
            joined.append((last, [frame["seq"] for frame in other.events if frame["action"] == "msg"]))
    for other, (last, before) in zip(others, joined, strict=True):
        frames = receive_until(other, COUNT)
        assert 0 < last < COUNT
        assert frames == list(range(frames[0], COUNT + 1))
        assert frames[len(before)] == last + 1, "the answer said that this was the last, and then it came"
        assert seqs(other.history("#dev", after=0, limit=1)) == frames[:1]


def test_who_leaves_meanwhile_gets_nothing_after_the_answer(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
    with sending_meanwhile(hank, "#dev"):
        assert dale.request("leave", room="#dev")["response"] == 200
        received = seqs(dale.take_events())
        assert received == list(range(1, len(received) + 1))
    assert dale.take_events() == []
    assert "#dev" not in {frame["to"] for frame in chat_server.log_in("dale").backlog}


def test_who_registers_meanwhile_misses_nothing_and_reads_nothing_older(chat_server: ChatServer) -> None:
    hank, olga = chat_server.log_in("hank"), chat_server.log_in_guest("olga")
    with sending_meanwhile(hank, "olga"):
        olga.register()
    assert receive_until(olga, COUNT) == list(range(1, COUNT + 1))
    first = seqs(olga.history("hank", after=0, limit=1))[0]
    assert 1 < first < COUNT
    assert olga.search(f'"text {first - 1}"') == [] and olga.search(f'"text {first}"') == [f"text {first}"]


def test_who_is_cut_off_and_resends_everything_by_id_says_it_once(chat_server: ChatServer) -> None:
    dale, messages, ids = (
        chat_server.log_in("dale"),
        numbered_texts(COUNT),
        [f"mine {number}" for number in range(COUNT)],
    )
    for cut in (1, 400, 900):
        hank = chat_server.log_in("hank")
        greenlet = gevent.spawn(hank.send_pipelined, "dale", messages, ids)
        dale.receive_messages(1 if cut == 1 else 300)
        hank.sock.shutdown(2)
        greenlet.join(timeout=TIMEOUT)
        assert greenlet.ready()
    answers = chat_server.log_in("hank").send_pipelined("dale", messages, ids)
    assert {answer["response"] for answer in answers} == {200}
    sent = dict(zip(seqs(answers), messages, strict=True))
    assert sorted(sent) == list(range(1, COUNT + 1))
    chat_server.log_in("hank")
    backlog = chat_server.log_in("dale").backlog
    assert {frame["seq"]: frame["message"] for frame in backlog} == sent
    assert seqs(backlog) == sorted(sent)


def test_a_device_replaced_again_and_again_misses_nothing(chat_server: ChatServer) -> None:
    hank, sessions = chat_server.log_in("hank"), []
    with sending_meanwhile(hank, "dale"):
        sessions = [chat_server.log_in("dale") for _ in range(10)]
    for client in sessions[:-1]:
        frames = [
            *client.backlog,
            *(frame for frame in [*client.events, *client.receive_until_closed()] if "message" in frame),
        ]
        assert seqs(frames) == list(range(1, len(frames) + 1)), "holes or doubles before it was replaced"
    assert receive_until(sessions[-1], COUNT) == list(range(1, COUNT + 1))
