"""TLS: which servers are trusted, and that nothing is sent to any other."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, Connected, Disconnected, MessageReceived, Synced, TlsConfig
from gmessenger.client import connection as connections
from gmessenger.errors import CertificateNotTrusted, FileError, InsecureTransport, Refused, Unreachable
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer
from tests.support.tls import CertificateAuthority, pin_in

LONG = "x" * 15_000


class TlsServer(FakeServer):
    """The scripted server over TLS; its certificate can be changed between two connections."""

    def show(self, certificate: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)

    def accept(self) -> ClientConnection:
        sock, _ = self.listener.accept()
        sock.settimeout(TIMEOUT)
        tls = self.context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
        self.connections.append(connection := ClientConnection(tls))
        return connection


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: CertificateAuthority) -> Iterator[TlsServer]:
    with TlsServer() as server:
        server.show(authority.issue())
        yield server


@pytest.fixture
def call(server: TlsServer) -> Iterator[Callable[..., Reader]]:
    clients: list[Client] = []

    def client(**options: Any) -> Reader:
        timeouts = {"timeouts": SHORT_TIMEOUTS, "password": "correct horse"} | options
        clients.append(Client(server.host, server.port, "hank", **timeouts))
        return Reader(clients[-1])

    yield client
    for item in clients:
        item.close()


def let_in(server: TlsServer, reader: Reader) -> ClientConnection:
    starting = gevent.spawn(reader.client.start)
    connection = server.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    return connection


def heard_by(server: TlsServer) -> bytes:
    """Return what the next client sends before it disconnects."""
    try:
        return bytes(server.accept().sock.recv(1000))
    except OSError:
        return b""


def refused(server: TlsServer, reader: Reader) -> CertificateNotTrusted:
    """Return why a client does not trust the server; it MUST have sent nothing."""
    hearing = gevent.spawn(heard_by, server)
    with pytest.raises(CertificateNotTrusted) as caught:
        reader.client.start()
    assert hearing.get(timeout=TIMEOUT) == b""
    assert caught.value.exit_code == 77
    return caught.value


def test_by_an_authority_of_ones_own(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority
) -> None:
    reader = call(tls=TlsConfig(ca=authority.file))
    connection = let_in(server, reader)
    for number in range(20):
        connection.push_message("dale", f"{number} {LONG}")
    assert [reader.next(MessageReceived).delivery.message for _ in range(20)] == [
        f"{number} {LONG}" for number in range(20)
    ]
    for number in range(20):
        reader.client.send("dale", f"{number} {LONG}")
    assert connection.accept_messages(20) == [f"{number} {LONG}" for number in range(20)]


def test_an_authority_may_begin_with_a_byte_order_mark(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\xef\xbb\xbf" + authority.file.read_bytes())
    assert let_in(server, call(tls=TlsConfig(ca=tmp_path / "ca.pem")))


def test_by_its_pin_alone(server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority) -> None:
    pin = pin_in(authority.folder / "server.pem")
    assert let_in(server, call(tls=TlsConfig(pin=pin)))
    digits = pin.removeprefix("sha256:").upper()
    colons = ":".join(digits[place : place + 2] for place in range(0, 64, 2))
    assert let_in(server, call(tls=TlsConfig(pin=f"sha256:{colons}")))


@pytest.mark.parametrize("with_authority", [False, True])
def test_another_pin_is_told_and_no_password_is(
    with_authority: bool, server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority
) -> None:
    ca = authority.file if with_authority else None
    error = refused(server, call(tls=TlsConfig(ca=ca, pin="sha256:" + "0" * 64)))
    seen = pin_in(authority.folder / "server.pem")
    assert str(error) == f"Cannot trust 127.0.0.1: the pin of its certificate is {seen}, not the one given."


def test_a_pin_beside_an_authority_needs_both(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority, tmp_path: Path
) -> None:
    stranger = CertificateAuthority(tmp_path)
    server.show(stranger.issue())
    pin = pin_in(tmp_path / "server.pem")
    assert "issuer" in str(refused(server, call(tls=TlsConfig(ca=authority.file, pin=pin))))


YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
BAD = {
    "for another host": ({"hosts": ["chat.example"]}, "not valid for '127.0.0.1'"),
    "expired": ({"not_after": YESTERDAY}, "certificate has expired"),
}


@pytest.mark.parametrize(("certificate", "sentence"), BAD.values(), ids=BAD)
def test_a_certificate_that_is_not_valid(
    certificate: dict[str, Any],
    sentence: str,
    server: TlsServer,
    call: Callable[..., Reader],
    authority: CertificateAuthority,
) -> None:
    server.show(authority.issue("bad.pem", *certificate.pop("hosts", ()), **certificate))
    assert sentence in str(refused(server, call(tls=TlsConfig(ca=authority.file))))


def test_an_authority_that_nobody_knows(server: TlsServer, call: Callable[..., Reader]) -> None:
    assert "certificate" in str(refused(server, call(tls=TlsConfig())))


def test_who_is_somebody_else_after_a_break_is_told_nothing(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority
) -> None:
    reader = call(tls=TlsConfig(pin=pin_in(authority.folder / "server.pem")))
    connection = let_in(server, reader)
    server.show(authority.issue("other.pem"))
    connection.restart()
    hearing = gevent.spawn(heard_by, server)
    assert isinstance(reader.wait_for_end(), CertificateNotTrusted)
    assert hearing.get(timeout=TIMEOUT) == b""
    assert [type(event) for event in reader.seen] == [Connected, Synced, Disconnected]


def test_a_line_is_left_with_a_goodbye_in_tls(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority
) -> None:
    reader = call(tls=TlsConfig(ca=authority.file))
    connection = let_in(server, reader)
    reader.client.close()
    connection.expect("quit")
    assert connection.sock.recv(100) == b""  # a line that was cut raises SSLEOFError here


def test_a_line_that_fails_under_a_reader_is_lost_and_no_mistake(
    server: TlsServer, call: Callable[..., Reader], authority: CertificateAuthority
) -> None:
    reader = call(tls=TlsConfig(ca=authority.file))
    let_in(server, reader)
    connection = reader.client._reconnector._connection
    assert connection is not None
    connection.fail(ConnectionError("the cable was pulled"))
    assert reader.next(Disconnected).reason == "the cable was pulled"
    server.accept_and_log_in(account=True)
    assert reader.next(Connected).reconnected


def test_a_server_that_speaks_no_tls(fake: FakeServer) -> None:
    starting = gevent.spawn(Client(fake.host, fake.port, "hank", tls=TlsConfig(), timeouts=SHORT_TIMEOUTS).start)
    fake.accept().send_bytes(b'{"response":400}\n')
    with pytest.raises(Unreachable, match="that port does not use TLS"):
        starting.get(timeout=TIMEOUT)


def test_a_server_that_shakes_no_hands(fake: FakeServer) -> None:
    from dataclasses import replace

    client = Client(fake.host, fake.port, "hank", tls=TlsConfig(), timeouts=replace(SHORT_TIMEOUTS, connect=0.2))
    with pytest.raises(Unreachable, match="the TLS handshake timed out"):
        client.start()


@pytest.mark.parametrize(("content", "sentence"), [(None, "Cannot read"), (b"rubbish", "no certificate in")])
def test_an_authority_that_is_none_is_a_file_problem(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(FileError, match=sentence):
        Client("127.0.0.1", 7778, "hank", tls=TlsConfig(ca=tmp_path / "ca.pem"))


def test_on_a_plain_line_to_another_machine_no_password_is_said(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_is_loopback", lambda host: False)
    client = Client(fake.host, fake.port, "hank", password="correct horse", timeouts=SHORT_TIMEOUTS)
    starting = gevent.spawn(client.start)
    connection = fake.accept()
    connection.expect_closed()
    assert connection.unread == b""
    with pytest.raises(Refused) as caught:
        starting.get(timeout=TIMEOUT)
    assert isinstance(caught.value.__cause__, InsecureTransport)


def test_nor_is_one_registered_with(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_is_loopback", lambda host: False)
    client = Client(fake.host, fake.port, "hank", timeouts=SHORT_TIMEOUTS)
    starting = gevent.spawn(client.start)
    connection = fake.accept_and_log_in()
    starting.get(timeout=TIMEOUT)
    for say in (client.register, client.erase_account):
        with pytest.raises(InsecureTransport):
            say("correct horse")
    client.close()
    connection.expect("quit")


def test_unless_one_says_so(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_is_loopback", lambda host: False)
    client = Client(
        fake.host, fake.port, "hank", password="correct horse", plain_passwords=True, timeouts=SHORT_TIMEOUTS
    )
    starting = gevent.spawn(client.start)
    assert fake.accept().accept_login(account=True)["user"]["password"] == "correct horse"
    starting.get(timeout=TIMEOUT)
    client.close()


@pytest.mark.parametrize(
    ("host", "is_loopback"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True)]
)
def test_what_is_this_machine(host: str, is_loopback: bool) -> None:
    assert connections._is_loopback(host)
    assert not connections._is_loopback("192.0.2.1") and not connections._is_loopback("fe80::1%eth0")
