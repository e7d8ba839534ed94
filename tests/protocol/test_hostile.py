"""Crowds, rubbish, people who never read, and the end of the server: none of it disturbs the others.
Sections 1 and 2 of the protocol, promises 5 and 6."""

import contextlib
import os
import resource
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from tests.support.course_clients import CLASSIC, SPELLINGS, Address
from tests.support.native_clients import Dial, Native, Wire, together
from tests.support.timeouts import PATIENCE

IDLE = 2000
RUBBISH = (b"\x00\xff\x16\x03\x01", b"{" * 4096, b'{"action":"\xff', b"[" * 4096, b"GET / HTTP/1.1\r\n\r\n")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of every connection are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * IDLE + 500
    if hard not in (-1, resource.RLIM_INFINITY) and hard < needed:
        pytest.skip(f"only {hard} open files allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ping_pong(hank: Native, dale: Native, rounds: int) -> None:
    for number in range(rounds):
        assert hank.say("dale", f"ping {number}")["response"] == 202
        assert dale.hear() == ("hank", f"ping {number}")
        assert dale.say("hank", f"pong {number}")["response"] == 202
        assert hank.hear() == ("dale", f"pong {number}")


def throw_rubbish(server: Address, thrown: list[int]) -> None:
    """Connects and sends rubbish, again each time it is hung up on; never reads."""
    while True:
        wire = Wire(server)
        with contextlib.closing(wire), contextlib.suppress(OSError):
            for _ in range(20):
                wire.send_bytes(os.urandom(4096))
                for piece in RUBBISH:
                    wire.send_bytes(piece)
                thrown.append(1)
                gevent.sleep(0.001)


def is_open(wire: Wire) -> bool:
    """Not hung up on: reading finds either nothing yet or a frame."""
    wire.sock.settimeout(0)
    try:
        return wire.sock.recv(65536) != b""
    except BlockingIOError:
        return True


def test_two_thousand_idle_connections_and_a_thrower_of_rubbish_disturb_nobody(
    many_files: None, server: Address, dial: Dial
) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    idle = [dial.native(server) for _ in range(IDLE)]
    for number, wire in enumerate(idle[: IDLE // 2]):
        wire.login(f"idle-{number}")
    thrown: list[int] = []
    throwers = [gevent.spawn(throw_rubbish, server, thrown) for _ in range(2)]
    try:
        ping_pong(hank, dale, 500)
    finally:
        gevent.killall(throwers)
    assert len(thrown) > 20
    assert all(is_open(wire) for wire in idle[: IDLE // 2])
    hank.heard_nothing()
    dale.heard_nothing()


def test_who_never_reads_holds_up_nobody(server: Address, dial: Dial) -> None:
    deaf = [dial.native(server, f"deaf-{number}", receive_buffer=4096) for number in range(3)]
    stuck = dial.course(server, CLASSIC, "stuck")
    hank, dale, shouter = (dial.native(server, name) for name in ("hank", "dale", "shouter"))

    def shout() -> None:
        while True:
            for name in (*(one.name for one in deaf), stuck.name):
                shouter.say(name, "x" * 16000)

    shouting = gevent.spawn(shout)
    try:
        ping_pong(hank, dale, 200)
    finally:
        shouting.kill()


def test_who_asks_and_never_reads_the_answers_holds_up_nobody(server: Address, dial: Dial) -> None:
    asker = dial.native(server, "asker", receive_buffer=4096)
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    asking = gevent.spawn(asker.send_bytes, b'{"action":"users","id":"again"}\n' * 200_000)
    try:
        ping_pong(hank, dale, 100)
    finally:
        asking.kill()


def test_who_reads_nothing_for_too_long_is_closed(start_server: Callable[..., Address], dial: Dial) -> None:
    server = start_server(write_timeout=0.5, outbox_frames=20)
    dial.native(server, "deaf", receive_buffer=4096)
    hank = dial.native(server, "hank")
    responses = set()
    with gevent.Timeout(10):
        while 410 not in responses:
            responses.add(hank.say("deaf", "x" * 16000)["response"])
    assert responses == {202, 429, 410}


def test_one_too_many_is_told_503_and_closed_until_somebody_leaves(
    start_server: Callable[..., Address], dial: Dial
) -> None:
    server = start_server(max_connections=3)
    hank, *_ = [dial.native(server, name) for name in ("hank", "dale", "bobby")]
    assert [frame["response"] for frame in dial.wire(server).rest()] == [503]
    hank.send({"action": "quit"})
    hank.expect_closed()
    hank.close()
    with gevent.Timeout(5):
        while dial.native(server).present("peggy")["response"] == 503:
            pass


def test_who_never_says_its_presence_is_closed(start_server: Callable[..., Address], dial: Dial) -> None:
    server = start_server(login_timeout=0.3)
    silent, slow, dale = dial.wire(server), dial.wire(server), dial.native(server, "dale")
    slow.send_bytes(b'{"action":')
    silent.rest()
    slow.rest()
    dale.heard_nothing()


def test_stopping_tells_natives_to_move_after_everything_accepted_was_written(server: Any, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    for number in range(50):
        assert hank.say("dale", f"{number}")["response"] == 202
    stopping = gevent.spawn(server.stop)
    frames = dale.rest()
    assert [frame["message"] for frame in frames if frame["action"] == "msg"] == [f"{number}" for number in range(50)]
    moving = [frame for frame in frames if frame["action"] == "moving"]
    for each in moving, hank.rest():
        assert each == [{"action": "moving", "retry_in": each[0]["retry_in"]}]
        assert isinstance(each[0]["retry_in"], float) and each[0]["retry_in"] > 0
    stopping.get(timeout=PATIENCE)


def test_stopping_writes_what_course_clients_were_promised_and_tells_them_nothing(server: Any, dial: Dial) -> None:
    clients = dial.courses(server, {spelling.name: spelling for spelling in SPELLINGS})
    hank = dial.course(server, CLASSIC, "hank")
    texts = [f"promised {number}" for number in range(2)]
    for client in clients:
        for text in texts:
            hank.say(client.name, text)
    sentinel = dial.native(server, "sentinel")
    hank.say("sentinel", "all sent")
    assert sentinel.hear() == ("hank", "all sent")
    stopping = gevent.spawn(server.stop)

    def hear_and_be_hung_up_on(client: Any) -> None:
        assert [client.hear()[1] for _ in texts] == texts
        assert client.sock.recv(1024) == b""

    assert together({one.name: lambda one=one: hear_and_be_hung_up_on(one) for one in clients}) == {}
    stopping.get(timeout=PATIENCE)


def test_a_stopping_server_does_not_wait_for_who_never_reads(start_server: Callable[..., Any], dial: Dial) -> None:
    server = start_server(drain_timeout=0.5)
    dial.native(server, "deaf", receive_buffer=4096)
    hank = dial.native(server, "hank")
    while hank.say("deaf", "x" * 16000)["response"] == 202:
        pass
    stopping = gevent.spawn(server.stop)
    assert [frame["action"] for frame in hank.rest()] == ["moving"]
    stopping.get(timeout=PATIENCE)
