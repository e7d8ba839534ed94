"""TLS connections: frames arrive whole and in order, however large, slow or late."""

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
from tests.support.native_clients import Connector, encode_frame
from tests.support.server import open_connection as dial_plain
from tests.support.tls import CertificateAuthority, TlsAddress

LONG = "x" * 16_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def start_tls_server(
    start_server: Callable[..., RunningServer], authority: CertificateAuthority
) -> Callable[..., TlsAddress]:
    certificate = authority.issue()

    def started(**options: object) -> TlsAddress:
        return TlsAddress(start_server(tls_certificate=str(certificate), tls_port=0, **options), authority)

    return started


@pytest.fixture
def server(start_tls_server: Callable[..., TlsAddress]) -> TlsAddress:
    return start_tls_server()


def test_native_and_course_clients_talk_over_either_port(server: TlsAddress, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.log_in_course(server, STATUS, "dale")
    hank.send({"action": "msg", "to": "dale", "message": "hi"})
    assert dale.receive_message() == ("hank", "hi")
    dale.send_message("hank", "hello")
    assert hank.receive_message() == ("dale", "hello")


def test_an_account_is_made_and_comes_back(server: TlsAddress, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    assert hank.request("register", password=PASSWORD)["response"] == 201
    hank.close()
    assert connector.open_native(server).try_log_in("hank", password=PASSWORD)["response"] == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_many_large_frames_arrive_whole_both_ways(
    version: ssl.TLSVersion, server: TlsAddress, connector: Connector
) -> None:
    server.context.maximum_version = version
    try:
        hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    finally:
        server.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert {client.sock.version() for client in (hank, dale)} == {version.name.replace("v1_", "v1.")}  # type: ignore[attr-defined]
    sending = gevent.spawn(hank.send_bytes, encode_messages(100, "dale"))
    assert [dale.receive_message()[1] for _ in range(100)] == make_texts(100)
    sending.get(timeout=TIMEOUT)


def encode_messages(count: int, to: str) -> bytes:
    return b"".join(encode_frame(action="msg", to=to, message=text) for text in make_texts(count))


def make_texts(count: int) -> list[str]:
    return [f"{number} {LONG}" for number in range(count)]


class ManualTlsClient:
    """A client with its TLS records in memory, to send parts of them, or nothing after the last."""

    def __init__(self, server: TlsAddress) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.sock = dial_plain(server.port)
        self.step_until_done(self.tls.do_handshake)
        self.sock.sendall(self.outgoing.read())

    def step_until_done(self, step: Callable[[], Any]) -> Any:
        """Return the result of a TLS step once enough data has arrived."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(65_536))

    def receive_until_closed(self) -> list[dict[str, Any]]:
        """Return the frames up to the end of the connection."""
        while data := self.sock.recv(65_536):
            self.incoming.write(data)
        received = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):  # its goodbye; a cut line would raise SSLWantReadError
            while more := self.tls.read(65_536):
                received += more
        return [json.loads(line) for line in received.splitlines()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


PRESENCE = encode_frame(action="presence", jim=2, user={"account_name": "drip"})
PROBES = b"".join(encode_frame(action="probe", id=str(number)) for number in range(900))
IDS = [str(number) for number in range(900)]


def ids(frames: Iterable[dict[str, Any]]) -> list[str]:
    return [frame["id"] for frame in frames if "id" in frame]


def test_many_frames_in_one_record(server: TlsAddress, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    hank.send_bytes(PROBES)
    assert [hank.receive()["id"] for _ in IDS] == IDS


def test_a_record_that_comes_in_pieces(server: TlsAddress) -> None:
    with ManualTlsClient(server) as drip:
        drip.tls.write(PRESENCE)
        for byte in drip.outgoing.read():
            drip.sock.sendall(bytes([byte]))
        assert json.loads(drip.step_until_done(lambda: drip.tls.read(65_536)).partition(b"\n")[0])["response"] == 200


def test_a_slow_reader_gets_everything_once_in_order(
    start_tls_server: Callable[..., TlsAddress], connector: Connector
) -> None:
    server = start_tls_server(outbox_frames=50)
    dale, hank = connector.open_native(server, "dale", receive_buffer=4096), connector.open_native(server, "hank")
    for client in (dale, hank):
        assert client.request("register", password=PASSWORD)["response"] == 201
        assert client.next_event()["action"] == "synced"
    hank.send_bytes(
        b"".join(encode_frame(action="msg", to="dale", message=text, id=text[:20]) for text in make_texts(300))
    )
    assert {hank.receive()["response"] for _ in range(300)} == {200}
    received = []
    while (frame := dale.next_event())["action"] != "synced":
        received.append(frame)
    assert [frame["message"] for frame in received if frame["action"] == "msg"] == make_texts(300)


def test_who_quits_gets_the_last_answer_and_a_clean_end(server: TlsAddress, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    hank.send_bytes(PROBES + encode_frame(action="quit"))
    hank.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    assert ids(hank.receive_until_closed()) == IDS


def test_who_says_goodbye_in_tls_is_answered_whole(server: TlsAddress) -> None:
    """As `nc -N` on a plain line: everything asked, the writing side closed, and the answers still to be read."""
    with ManualTlsClient(server) as hank:
        hank.tls.write(PRESENCE)
        hank.tls.write(PROBES)
        with pytest.raises(ssl.SSLWantReadError):
            hank.tls.unwrap()
        hank.sock.sendall(hank.outgoing.read())
        assert ids(hank.receive_until_closed()) == IDS


def test_who_hangs_up_without_a_goodbye_is_answered_whole(server: TlsAddress) -> None:
    with ManualTlsClient(server) as hank:
        hank.tls.write(PRESENCE)
        hank.tls.write(PROBES)
        hank.sock.sendall(hank.outgoing.read())
        hank.sock.shutdown(socket.SHUT_WR)
        assert ids(hank.receive_until_closed()) == IDS


def test_one_connection_more_is_told_so_in_tls(
    start_tls_server: Callable[..., TlsAddress], connector: Connector
) -> None:
    server = start_tls_server(max_connections=1)
    connector.open_native(server, "hank")
    surplus = connector.open_raw(server)
    surplus.send({"action": "presence"})
    assert [frame["code"] for frame in surplus.receive_until_closed()] == ["server_full"]


def test_a_reader_that_stalls_is_ended(start_tls_server: Callable[..., TlsAddress], connector: Connector) -> None:
    server = start_tls_server(write_timeout=0.2, outbox_frames=1_000_000, outbox_bytes=2**30)
    connector.open_native(server, "dale", receive_buffer=4096)
    hank = connector.open_native(server, "hank")
    codes = (hank.send_message("dale", LONG).get("code") for _ in range(5000))
    assert next(code for code in codes if code) == "not_here"
