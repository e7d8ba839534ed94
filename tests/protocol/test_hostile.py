"""Crowds, rubbish, people who never read, and the end of the server: none of it disturbs the others.
Sections 1 and 2 of the protocol, promises 5 and 6."""

import contextlib
import os
import resource
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from tests.support.course_clients import CLASSIC, VARIANTS, Address
from tests.support.native_clients import Connector, NativeClient, RawConnection, run_together
from tests.support.timeouts import TEST_TIMEOUT

IDLE = 2000
GARBAGE = (b"\x00\xff\x16\x03\x01", b"{" * 4096, b'{"action":"\xff', b"[" * 4096, b"GET / HTTP/1.1\r\n\r\n")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise the limit of open files: both ends of every connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLE + 500
    if hard not in (-1, resource.RLIM_INFINITY) and hard < needed:
        pytest.skip(f"only {hard} open files allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ping_pong(hank: NativeClient, dale: NativeClient, rounds: int) -> None:
    for number in range(rounds):
        assert hank.send_message("dale", f"ping {number}")["response"] == 202
        assert dale.receive_message() == ("hank", f"ping {number}")
        assert dale.send_message("hank", f"pong {number}")["response"] == 202
        assert hank.receive_message() == ("dale", f"pong {number}")


def send_garbage(server: Address, sent_counts: list[int], ended: Event) -> None:
    """Connect and send garbage, again after each disconnect, until `ended` is set; never read."""
    while not ended.is_set():
        connection = RawConnection(server)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            for _ in range(20):
                connection.send_bytes(os.urandom(4096))
                for piece in GARBAGE:
                    connection.send_bytes(piece)
                sent_counts.append(1)
                gevent.sleep(0.001)


def is_open(connection: RawConnection) -> bool:
    """Return whether a connection is open: reading finds nothing yet, or a frame."""
    connection.sock.settimeout(0)
    try:
        return connection.sock.recv(65536) != b""
    except BlockingIOError:
        return True


def test_two_thousand_idle_connections_and_a_thrower_of_rubbish_disturb_nobody(
    many_files: None, server: Address, connector: Connector
) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    idle = [connector.open_native(server) for _ in range(IDLE)]
    for number, connection in enumerate(idle[: IDLE // 2]):
        connection.log_in(f"idle-{number}")
    sent_counts: list[int] = []
    ended = Event()
    throwers = [gevent.spawn(send_garbage, server, sent_counts, ended) for _ in range(2)]
    try:
        ping_pong(hank, dale, 500)
    finally:
        ended.set()
        gevent.joinall(throwers, timeout=5)  # one that is killed while it connects leaves a socket open
        gevent.killall(throwers)
    assert len(sent_counts) > 20
    assert all(is_open(connection) for connection in idle[: IDLE // 2])
    hank.expect_no_events()
    dale.expect_no_events()


def test_who_never_reads_holds_up_nobody(server: Address, connector: Connector) -> None:
    stalled = [connector.open_native(server, f"deaf-{number}", receive_buffer=4096) for number in range(3)]
    stuck = connector.log_in_course(server, CLASSIC, "stuck")
    hank, dale, shouter = (connector.open_native(server, name) for name in ("hank", "dale", "shouter"))

    def send_all() -> None:
        while True:
            for name in (*(one.name for one in stalled), stuck.name):
                shouter.send_message(name, "x" * 16000)

    shouting = gevent.spawn(send_all)
    try:
        ping_pong(hank, dale, 200)
    finally:
        shouting.kill()


def test_who_asks_and_never_reads_the_answers_holds_up_nobody(server: Address, connector: Connector) -> None:
    asker = connector.open_native(server, "asker", receive_buffer=4096)
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    asking = gevent.spawn(asker.send_bytes, b'{"action":"users","id":"again"}\n' * 200_000)
    try:
        ping_pong(hank, dale, 100)
    finally:
        asking.kill()


def test_who_reads_nothing_for_too_long_is_closed(start_server: Callable[..., Address], connector: Connector) -> None:
    server = start_server(write_timeout=0.5, outbox_frames=5)
    connector.open_native(server, "deaf", receive_buffer=4096)
    hank = connector.open_native(server, "hank")
    responses = set()
    with gevent.Timeout(10):
        while 410 not in responses:
            responses.add(hank.send_message("deaf", "x" * 16000)["response"])
    assert responses == {202, 429, 410}


def test_one_too_many_is_told_503_and_closed_until_somebody_leaves(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(max_connections=3)
    hank, *_ = [connector.open_native(server, name) for name in ("hank", "dale", "bobby")]
    assert [frame["response"] for frame in connector.open_raw(server).receive_until_closed()] == [503]
    hank.send({"action": "quit"})
    hank.expect_closed()
    hank.close()
    with gevent.Timeout(5):
        while connector.open_native(server).try_log_in("peggy")["response"] == 503:
            pass


def test_who_never_says_its_presence_is_closed(start_server: Callable[..., Address], connector: Connector) -> None:
    server = start_server(login_timeout=0.3)
    silent, slow, dale = connector.open_raw(server), connector.open_raw(server), connector.open_native(server, "dale")
    slow.send_bytes(b'{"action":')
    silent.receive_until_closed()
    slow.receive_until_closed()
    dale.expect_no_events()


def test_stopping_tells_natives_to_move_after_everything_accepted_was_written(
    server: Any, connector: Connector
) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    for number in range(50):
        assert hank.send_message("dale", f"{number}")["response"] == 202
    stop = gevent.spawn(server.stop)
    frames = dale.receive_until_closed()
    assert [frame["message"] for frame in frames if frame["action"] == "msg"] == [f"{number}" for number in range(50)]
    moving = [frame for frame in frames if frame["action"] == "moving"]
    for each in moving, hank.receive_until_closed():
        assert each == [{"action": "moving", "retry_in": each[0]["retry_in"]}]
        assert isinstance(each[0]["retry_in"], float) and each[0]["retry_in"] > 0
    stop.get(timeout=TEST_TIMEOUT)


def test_stopping_writes_what_course_clients_were_promised_and_tells_them_nothing(
    server: Any, connector: Connector
) -> None:
    clients = connector.log_in_courses(server, {variant.name: variant for variant in VARIANTS})
    hank = connector.log_in_course(server, CLASSIC, "hank")
    texts = [f"promised {number}" for number in range(2)]
    for client in clients:
        for text in texts:
            hank.send_message(client.name, text)
    sentinel = connector.open_native(server, "sentinel")
    hank.send_message("sentinel", "all sent")
    assert sentinel.receive_message() == ("hank", "all sent")
    stop = gevent.spawn(server.stop)

    def receive_until_closed(client: Any) -> None:
        assert [client.receive_message()[1] for _ in texts] == texts
        client.expect_closed()

    assert run_together({one.name: lambda one=one: receive_until_closed(one) for one in clients}) == {}
    stop.get(timeout=TEST_TIMEOUT)


def test_a_stopping_server_does_not_wait_for_who_never_reads(
    start_server: Callable[..., Any], connector: Connector
) -> None:
    server = start_server(drain_timeout=0.5)
    connector.open_native(server, "deaf", receive_buffer=4096)
    hank = connector.open_native(server, "hank")
    while hank.send_message("deaf", "x" * 16000)["response"] == 202:
        pass
    stop = gevent.spawn(server.stop)
    assert [frame["action"] for frame in hank.receive_until_closed()] == ["moving"]
    stop.get(timeout=TEST_TIMEOUT)
