"""What holds on a plain line holds on an encrypted one: frames whole and in order, however large, slow or final."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Self

import gevent
import pytest

from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD
from tests.support.course_clients import STATUS, TIMEOUT
from tests.support.native_clients import Dial, dumped
from tests.support.server import dial as dial_plain
from tests.support.tls import Authority, Encrypted

LONG = "x" * 16_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def begin(start_server: Callable[..., RunningServer], authority: Authority) -> Callable[..., Encrypted]:
    certificate = authority.issue()

    def started(**options: object) -> Encrypted:
        return Encrypted(start_server(tls_certificate=str(certificate), tls_port=0, **options), authority)

    return started


@pytest.fixture
def server(begin: Callable[..., Encrypted]) -> Encrypted:
    return begin()


def test_native_and_course_clients_talk_over_either_port(server: Encrypted, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.course(server, STATUS, "dale")
    hank.send({"action": "msg", "to": "dale", "message": "hi"})
    assert dale.hear() == ("hank", "hi")
    dale.say("hank", "hello")
    assert hank.hear() == ("dale", "hello")


def test_an_account_is_made_and_comes_back(server: Encrypted, dial: Dial) -> None:
    hank = dial.native(server, "hank")
    assert hank.ask("register", password=PASSWORD)["response"] == 201
    hank.close()
    assert dial.native(server).present("hank", password=PASSWORD)["response"] == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_many_large_frames_arrive_whole_both_ways(version: ssl.TLSVersion, server: Encrypted, dial: Dial) -> None:
    server.context.maximum_version = version
    try:
        hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    finally:
        server.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert {client.sock.version() for client in (hank, dale)} == {version.name.replace("v1_", "v1.")}  # type: ignore[attr-defined]
    sending = gevent.spawn(hank.send_bytes, many(100, "dale"))
    assert [dale.hear()[1] for _ in range(100)] == texts(100)
    sending.get(timeout=TIMEOUT)


def many(count: int, to: str) -> bytes:
    return b"".join(dumped(action="msg", to=to, message=text) for text in texts(count))


def texts(count: int) -> list[str]:
    return [f"{number} {LONG}" for number in range(count)]


class ByHand:
    """A client that has its records in its own hands, to send them in pieces or to be silent after the last."""

    def __init__(self, server: Encrypted) -> None:
        self.came, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.context.wrap_bio(self.came, self.going, server_hostname="localhost")
        self.sock = dial_plain(server.port)
        self.until(self.tls.do_handshake)
        self.sock.sendall(self.going.read())

    def until(self, step: Callable[[], Any]) -> Any:
        """The result of a step, once enough has come for it."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.going.read())
                self.came.write(self.sock.recv(65_536))

    def rest(self) -> list[dict[str, Any]]:
        """The frames up to the end of the connection."""
        while data := self.sock.recv(65_536):
            self.came.write(data)
        heard = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):  # its goodbye; a cut line would raise SSLWantReadError
            while more := self.tls.read(65_536):
                heard += more
        return [json.loads(line) for line in heard.splitlines()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


PRESENCE = dumped(action="presence", jim=2, user={"account_name": "drip"})
PROBES = b"".join(dumped(action="probe", id=str(number)) for number in range(900))
IDS = [str(number) for number in range(900)]


def ids(frames: Iterable[dict[str, Any]]) -> list[str]:
    return [frame["id"] for frame in frames if "id" in frame]


def test_many_frames_in_one_record(server: Encrypted, dial: Dial) -> None:
    hank = dial.native(server, "hank")
    hank.send_bytes(PROBES)
    assert [hank.recv()["id"] for _ in IDS] == IDS


def test_a_record_that_comes_in_pieces(server: Encrypted) -> None:
    with ByHand(server) as drip:
        drip.tls.write(PRESENCE)
        for byte in drip.going.read():
            drip.sock.sendall(bytes([byte]))
        assert json.loads(drip.until(lambda: drip.tls.read(65_536)).partition(b"\n")[0])["response"] == 200


def test_a_slow_reader_gets_everything_once_in_order(begin: Callable[..., Encrypted], dial: Dial) -> None:
    server = begin(outbox_frames=50)
    dale, hank = dial.native(server, "dale", receive_buffer=4096), dial.native(server, "hank")
    for person in (dale, hank):
        assert person.ask("register", password=PASSWORD)["response"] == 201
        assert person.event()["action"] == "synced"
    hank.send_bytes(b"".join(dumped(action="msg", to="dale", message=text, id=text[:20]) for text in texts(300)))
    assert {hank.recv()["response"] for _ in range(300)} == {200}
    heard = []
    while (frame := dale.event())["action"] != "synced":
        heard.append(frame)
    assert [frame["message"] for frame in heard if frame["action"] == "msg"] == texts(300)


def test_who_quits_gets_the_last_answer_and_a_clean_end(server: Encrypted, dial: Dial) -> None:
    hank = dial.native(server, "hank")
    hank.send_bytes(PROBES + dumped(action="quit"))
    hank.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    assert ids(hank.rest()) == IDS


def test_who_says_goodbye_in_tls_is_answered_whole(server: Encrypted) -> None:
    """As `nc -N` on a plain line: everything asked, the writing side closed, and the answers still to be read."""
    with ByHand(server) as hank:
        hank.tls.write(PRESENCE)
        hank.tls.write(PROBES)
        with pytest.raises(ssl.SSLWantReadError):
            hank.tls.unwrap()
        hank.sock.sendall(hank.going.read())
        assert ids(hank.rest()) == IDS


def test_who_hangs_up_without_a_goodbye_is_answered_whole(server: Encrypted) -> None:
    with ByHand(server) as hank:
        hank.tls.write(PRESENCE)
        hank.tls.write(PROBES)
        hank.sock.sendall(hank.going.read())
        hank.sock.shutdown(socket.SHUT_WR)
        assert ids(hank.rest()) == IDS


def test_one_connection_more_is_told_so_in_tls(begin: Callable[..., Encrypted], dial: Dial) -> None:
    server = begin(max_connections=1)
    dial.native(server, "hank")
    surplus = dial.wire(server)
    surplus.send({"action": "presence"})
    assert [frame["code"] for frame in surplus.rest()] == ["server_full"]


def test_a_reader_that_stalls_is_ended(begin: Callable[..., Encrypted], dial: Dial) -> None:
    server = begin(write_timeout=0.2, outbox_frames=1_000_000, outbox_bytes=2**30)
    dial.native(server, "dale", receive_buffer=4096)
    hank = dial.native(server, "hank")
    codes = (hank.say("dale", LONG).get("code") for _ in range(5000))
    assert next(code for code in codes if code) == "not_here"
