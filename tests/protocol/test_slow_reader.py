"""An account that does not read: bounded memory, no delay for others, and all messages later.

docs/protocol.md, section 2, promise 5.
"""

from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from tests.support.accounts import ChatServer, PopulatedStore, ProcessAddress, UserClient, seqs, texts
from tests.support.course_clients import CLASSIC, Frame
from tests.support.native_clients import Connector
from tests.support.server import ServerProcess
from tests.support.timeouts import TEST_TIMEOUT

COUNT, SIZE = 4000, 3000
"""More than the socket buffers between two ends of a loopback connection take."""


def make_texts(start: int, count: int, size: int = SIZE) -> list[str]:
    return [f"{number} ".ljust(size, "x") for number in range(start, start + count)]


def send_flood(sender: UserClient, to: str, start: int = 1, count: int = COUNT, size: int = SIZE) -> None:
    """Send in batches of 500; each message must be answered 200 with the next seq."""
    for first in range(start, start + count, 500):
        answers = sender.send_pipelined(to, make_texts(first, min(500, start + count - first), size))
        assert [(one["response"], one["seq"]) for one in answers] == [
            (200, seq) for seq in range(first, first + len(answers))
        ]


@pytest.fixture
def small_outbox_server(start_chat_server: Callable[..., ChatServer]) -> ChatServer:
    return start_chat_server(outbox_frames=50)


def test_who_did_not_read_gets_everything_in_order_once_and_is_synced_again(small_outbox_server: ChatServer) -> None:
    dale, hank, bobby = (
        small_outbox_server.log_in("dale"),
        small_outbox_server.log_in("hank"),
        small_outbox_server.log_in("bobby"),
    )
    dale.send({"action": "probe", "id": "before"})
    assert dale.receive()["id"] == "before"
    send_flood(hank, "dale")
    assert bobby.send_messages("hank", "nobody is held up") == [1]
    assert hank.next_event("msg")["message"] == "nobody is held up"
    received = dale.receive_until_synced()
    assert seqs(received) == list(range(1, COUNT + 1))
    assert texts(received) == make_texts(1, COUNT)
    assert hank.send_messages("dale", "live again") == [COUNT + 1]
    assert dale.next_event()["message"] == "live again"


def test_who_reads_again_while_more_is_sent_gets_every_message_once(small_outbox_server: ChatServer) -> None:
    dale, hank = small_outbox_server.log_in("dale"), small_outbox_server.log_in("hank")
    send_flood(hank, "dale")
    sending = gevent.spawn(send_flood, hank, "dale", COUNT + 1, 2000, 300)
    received = dale.receive_messages(COUNT + 2000)
    sending.get(timeout=TEST_TIMEOUT)
    assert seqs(received) == list(range(1, COUNT + 2001))
    assert dale.take_events() == []
    assert hank.send_messages("dale", "live again") == [COUNT + 2001]
    assert dale.next_event("msg")["message"] == "live again"


def test_every_conversation_of_a_slow_reader_comes_in_order(small_outbox_server: ChatServer) -> None:
    dale, hank, bobby = (
        small_outbox_server.log_in("dale"),
        small_outbox_server.log_in("hank"),
        small_outbox_server.log_in("bobby"),
    )
    for client in (dale, hank, bobby):
        assert client.request("join", room="#dev")["response"] == 200
    jobs = [
        gevent.spawn(send_flood, sender, to, 1, 1500)
        for sender, to in ((hank, "dale"), (bobby, "dale"), (small_outbox_server.log_in("hank", "phone"), "#dev"))
    ]
    gevent.joinall(jobs, timeout=20, raise_error=True)
    received = dale.receive_until_synced()
    assert len(received) == 4500
    for sender, to in (("hank", "dale"), ("bobby", "dale"), ("hank", "#dev")):
        assert seqs(one for one in received if (one["from"], one["to"]) == (sender, to)) == list(range(1, 1501))
    assert dale.take_events() == []


def test_what_a_slow_reader_asks_is_answered_when_it_reads(small_outbox_server: ChatServer) -> None:
    dale, hank = small_outbox_server.log_in("dale"), small_outbox_server.log_in("hank")
    send_flood(hank, "dale", count=2000)
    requested = [f"p{number}" for number in range(20)]
    for one in requested:
        dale.send({"action": "probe", "id": one})
    dale.send({"action": "msg", "id": "said", "to": "hank", "message": "in between"})
    answers: dict[str, Frame] = {}
    while len(answers) < len(requested) + 1:
        if "response" in (frame := dale.receive()):
            answers[frame["id"]] = frame
        else:
            dale.events.append(frame)
    assert {answer["response"] for answer in answers.values()} == {200}
    assert set(answers) == {*requested, "said"} and answers["said"]["seq"] == 2001
    assert hank.next_event("msg")["message"] == "in between"
    assert seqs(dale.receive_messages(2000)) == list(range(1, 2001))


def test_a_slow_reader_who_hangs_up_gets_the_rest_at_its_next_login(small_outbox_server: ChatServer) -> None:
    dale, hank = small_outbox_server.log_in("dale"), small_outbox_server.log_in("hank")
    send_flood(hank, "dale", count=2500)
    assert seqs(dale.receive_messages(1000)) == list(range(1, 1001))
    dale.acknowledge("hank", 1000)
    dale.close()
    assert seqs(small_outbox_server.log_in("dale").backlog) == list(range(1001, 2501))


def test_a_slow_account_is_never_too_busy_for_guests_and_course_clients(small_outbox_server: ChatServer) -> None:
    dale, guest, cathy = (
        small_outbox_server.log_in("dale"),
        small_outbox_server.log_in_guest("guest"),
        small_outbox_server.log_in_course(CLASSIC, "cathy"),
    )
    send_flood(guest, "dale", count=2500)
    for number in range(100):
        cathy.send_message("dale", f"{number}")
    cathy.send_message("guest", "all said")
    assert guest.next_event("msg")["message"] == "all said"
    received = dale.receive_messages(2600)
    for name, count in (("guest", 2500), ("cathy", 100)):
        assert seqs(frame for frame in received if frame["from"] == name) == list(range(1, count + 1))
    assert dale.take_events() == []


def test_what_a_slow_reader_had_not_read_when_the_server_stopped_waits_for_it(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(outbox_frames=50, drain_timeout=0.2)
    chat_server.log_in("dale")
    send_flood(chat_server.log_in("hank"), "dale", count=2500)
    chat_server.server.stop()
    chat_server.start()
    assert seqs(chat_server.log_in("dale").backlog) == list(range(1, 2501))


def test_a_slow_device_does_not_hold_up_the_others(small_outbox_server: ChatServer) -> None:
    slow, fast, hank = (
        small_outbox_server.log_in("dale", "laptop"),
        small_outbox_server.log_in("dale", "phone"),
        small_outbox_server.log_in("hank"),
    )
    for first in range(1, 2501, 500):
        send_flood(hank, "dale", first, 500)
        assert seqs(fast.receive_messages(500)) == list(range(first, first + 500))
    assert seqs(slow.receive_until_synced()) == list(range(1, 2501))


def test_guests_and_course_clients_who_do_not_read_hold_up_no_room(small_outbox_server: ChatServer) -> None:
    hank, dale = small_outbox_server.log_in("hank"), small_outbox_server.log_in("dale")
    stalled, cathy = (
        small_outbox_server.log_in_guest("deaf", receive_buffer=4096),
        small_outbox_server.log_in_course(CLASSIC, "cathy"),
    )
    for client in (hank, dale, stalled):
        assert client.request("join", room="#dev")["response"] == 200
    cathy.send_message("#dev", "hello")
    assert dale.next_event("msg")["seq"] == 1
    for first in range(2, 2002, 500):
        send_flood(hank, "#dev", first, 500)
        assert seqs(dale.receive_messages(500)) == list(range(first, first + 500))


def resident_kilobytes(process: ServerProcess) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="how much memory a process uses is read from /proc")
def test_a_reader_who_sleeps_through_many_megabytes_costs_the_server_few(
    populated_store: PopulatedStore, connector: Connector, tmp_path: Path
) -> None:
    with ServerProcess("--ip", "127.0.0.1", "--store", populated_store.copy(tmp_path)) as process:
        address = ProcessAddress(process.wait_for_port())
        dale, hank = (populated_store.log_in(address, connector, name) for name in ("dale", "hank"))
        send_flood(hank, "dale", 1, 1000, 8000)
        before = resident_kilobytes(process)
        send_flood(hank, "dale", 1001, 5000, 8000)
        grown = resident_kilobytes(process) - before
        assert grown < 12_000, f"40 MB that nobody read cost the server {grown} kB"
        assert seqs(dale.receive_until_synced()) == list(range(1, 6001))
        connector.close()
