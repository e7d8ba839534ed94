"""The ports for IRC: who is admitted, how others are refused, TLS, and what of other protocols is closed."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer

from gmessenger import log
from gmessenger.admin.status import _describe_irc
from gmessenger.certificates import pin_of
from gmessenger.config.options import ServerOptions
from gmessenger.errors import ConfigError
from gmessenger.server.settings import check_irc
from gmessenger.server.snapshot import status_report
from tests.conftest import RunningServer
from tests.server.test_openings import OPENINGS
from tests.server.test_proxy_protocol import header
from tests.support.irc import IrcConnection, open_irc, open_irc_tls
from tests.support.native_clients import Connector
from tests.support.server import ServerProcess
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority, pin_in

Start = Callable[..., RunningServer]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def start(start_server: Start, authority: CertificateAuthority) -> Start:
    """Starts servers with both ports for IRC."""
    shipped: dict[str, Any] = {
        "irc_port": 0,
        "irc_tls_port": 0,
        "tls_certificate": str(authority.issue()),
        "tls_port": 0,
    }
    return lambda **options: start_server(**shipped | options)


@pytest.fixture
def connections() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def port(server: RunningServer) -> int:
    assert server.app.ports.irc is not None and server.app.ports.irc.number
    return server.app.ports.irc.number


def tls_port(server: RunningServer) -> int:
    assert server.app.ports.irc_tls is not None and server.app.ports.irc_tls.number
    return server.app.ports.irc_tls.number


def opener(server: RunningServer, authority: CertificateAuthority, way: str) -> IrcConnection:
    return open_irc(port(server)) if way == "plain" else open_irc_tls(tls_port(server), authority.context)


ways = pytest.mark.parametrize("way", ["plain", "tls"])


@ways
def test_each_port_speaks_its_own_protocol(start: Start, authority: CertificateAuthority, way: str) -> None:
    server = start()
    with opener(server, authority, way) as hank, Connector() as connector:
        assert hank.is_served()
        assert connector.open_native(server, "dale").request("probe")["response"] == 200
        counts = server.app.acceptor.accepted_count
        assert (counts["irc", way], counts["jim", "plain"]) == (1, 1)
        encrypted = {(each.transport_label, each.is_encrypted) for each in server.app.acceptor.connections}
        assert encrypted == {(way, way == "tls"), ("plain", False)}


def test_without_the_options_there_is_no_port(server: RunningServer) -> None:
    assert (server.app.ports.irc, server.app.ports.irc_tls, server.app.ports.irc_websocket) == (None, None, None)
    assert server.app.irc_websocket_url == ""


def test_tls_alone_is_enough(start: Start, authority: CertificateAuthority) -> None:
    server = start(irc_port=None)
    assert server.app.ports.irc is None
    with opener(server, authority, "tls") as hank:
        assert hank.is_served()


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"irc_port": 6667}, None),
        ({"irc_port": 6667, "tls_certificate": "x"}, 6697),
        ({"irc_port": 6667, "tls_certificate": "x", "irc_tls_port": 7000}, 7000),
        ({"irc_tls_port": 7000, "tls_certificate": "x"}, 7000),
        ({"tls_certificate": "x"}, None),
        ({"irc_websocket": "127.0.0.1:0", "tls_certificate": "x"}, None),
    ],
)
def test_the_port_with_tls_has_a_default_beside_the_other_one(options: dict[str, Any], number: int | None) -> None:
    assert ServerOptions(**options).irc_tls_number == number


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"irc_tls_port": 0}, "--irc-tls-port needs a certificate"),
        ({"irc_websocket": "web"}, "--irc-websocket web needs --web"),
        ({"irc_port": 0, "irc_sts": 60.0}, "--irc-sts needs a port for IRC over TLS"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    start_server: Start, options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        start_server(**options)


def test_a_reload_with_such_options_changes_nothing(start_server: Start) -> None:
    server = start_server(irc_port=0)
    with pytest.raises(ConfigError, match="--irc-sts needs"):
        server.app.apply_options(ServerOptions(irc_port=0, irc_sts=60.0, max_text=5))
    assert server.app.options.max_text > 5
    check_irc(ServerOptions(irc_port=0, irc_sts=60.0, tls_certificate="x"))


def test_a_name_without_a_dot_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from gmessenger.config.options import irc

    for host, name in {
        "chat": "chat.local",
        "chat.example.org": "chat.example.org",
        "my_pc": "my-pc.local",
        "": "gmessenger.local",
        "a" * 64: "a" * 57 + ".local",
    }.items():
        monkeypatch.setattr(irc.socket, "gethostname", lambda host=host: host)
        irc.local_irc_name.cache_clear()
        assert ServerOptions().irc_server_name == name
    irc.local_irc_name.cache_clear()
    assert ServerOptions(irc_name="irc.example.org").irc_server_name == "irc.example.org"


def test_a_renewed_certificate_is_that_of_new_connections(start: Start, authority: CertificateAuthority) -> None:
    server = start()
    with opener(server, authority, "tls") as before:
        renewed = pin_in(authority.issue())
        assert server.app.certificate is not None and server.app.certificate.reload()
        with opener(server, authority, "tls") as after:
            assert pin_of(after.sock.getpeercert(binary_form=True)) == renewed
            assert pin_of(before.sock.getpeercert(binary_form=True)) != renewed
            assert before.is_served() and after.is_served()


@pytest.mark.parametrize(
    ("sts", "plain", "encrypted"),
    [
        (None, b"", b""),
        (2_592_000.0, b"sts=port=6697", b"sts=duration=2592000"),
        (0.0, b"", b"sts=duration=0"),
    ],
)
def test_clients_are_told_to_use_tls(
    start: Start, authority: CertificateAuthority, sts: float | None, plain: bytes, encrypted: bytes
) -> None:
    server = start(irc_sts=sts, irc_sts_port=6697)
    for way, policy in (("plain", plain), ("tls", encrypted)):
        with opener(server, authority, way) as hank:
            hank.send(b"CAP LS 302", b"CAP REQ sts")
            listed = b""
            while b" NAK " not in (line := hank.receive()):
                assert line
                listed += line.partition(b" :")[2] + b" "
            found = [word for word in listed.split() if word.startswith(b"sts")]
            assert found == ([policy] if policy else [])


@pytest.mark.parametrize("sent", [b"NICK hank\r\nUSER hank 0 * :Hank/1 HTTP/1.1\r\n", b"CAP LS 302\r\n", b" "])
def test_a_plain_client_of_the_tls_port_is_told(start: Start, sent: bytes) -> None:
    server = start()
    with open_irc(tls_port(server)) as hank:
        hank.sock.sendall(sent)
        refused = hank.receive()
        assert refused.startswith(b"ERROR :") and b"This port speaks TLS" in refused
        assert hank.receive() == b""
    assert server.app.acceptor.pool.join(TEST_TIMEOUT)
    assert server.app.acceptor.rejected_count == {"not_tls": 1}


def test_http_on_the_tls_port_is_answered_in_http(start: Start) -> None:
    with open_irc(tls_port(start())) as sock:
        sock.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.receive().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("slowly", [False, True])
@ways
@pytest.mark.parametrize("opening", OPENINGS)
def test_other_protocols_are_closed_before_anything_is_acted_upon(
    start: Start, authority: CertificateAuthority, opening: str, way: str, slowly: bool
) -> None:
    server, sent = start(), OPENINGS[opening]
    with opener(server, authority, way) as page:
        try:
            is_split = slowly and len(sent) < 1000
            for piece in [sent[place : place + 1] for place in range(len(sent))] if is_split else [sent]:
                page.sock.sendall(piece)
            page.send(b"", b"NICK webpage", b"USER x 0 * :x", b"CAP LS 302")
        except OSError:
            pass  # it was closed before the last of it
        answered = b""
        while line := page.sock.recv(65_536):
            answered += line
    assert b"CAP" not in answered and b"webpage" not in server.app.messenger.router.names
    assert sum(server.app.acceptor.rejected_count.values()) == 1


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize(
    "opening",
    [
        b"CAP LS 302",
        b"cap ls",
        b"\r\n\r\nNICK hank",
        b"PASS :correct horse/1 HTTP/1.1",
        b"USER hank 0 * :Hank/1 and friends/2",
        b"@label=a CAP LS 302",
        b":x CAP LS 302",
        b"PING /x HTTP/1.1",
        b"JOIN #get",
    ],
)
def test_what_clients_begin_with_is_let_through(start_server: Start, opening: bytes, slowly: bool) -> None:
    server = start_server(irc_port=0)
    with open_irc(port(server)) as hank:
        hank.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = [opening[place : place + 1] for place in range(len(opening))] if slowly else [opening]
        for piece in pieces:
            hank.sock.sendall(piece)
        hank.send(b"")
        assert hank.is_served()
    assert not server.app.acceptor.rejected_count


@pytest.mark.parametrize("opening", [b"x" * 9000, b"FROB /" + b"x" * 9000])
def test_first_words_without_an_end_are_closed(start_server: Start, opening: bytes) -> None:
    server = start_server(irc_port=0)
    with open_irc(port(server)) as sock:
        sock.sock.sendall(opening)
        assert sock.receive() == b""
    assert server.app.acceptor.rejected_count == {"unknown": 1}


@ways
def test_the_address_is_that_of_the_proxy_header(start: Start, authority: CertificateAuthority, way: str) -> None:
    server = start(proxy_from=(ip_network("127.0.0.0/8"),))
    sock = socket.create_connection(("127.0.0.1", port(server) if way == "plain" else tls_port(server)), TEST_TIMEOUT)
    sock.sendall(header("192.0.2.7"))
    plain: Any = sock if way == "plain" else authority.context.wrap_socket(sock, server_hostname="localhost")
    with IrcConnection(plain) as hank:
        assert hank.is_served()
        (connection,) = server.app.acceptor.connections
        assert (connection.address, connection.is_proxied) == ("192.0.2.7:12345", True)


@ways
@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ({"max_connections": 1}, "server_full", b"limit of connections"),
        ({"max_connections_per_ip": 1, "limit_loopback": True}, "too_many_connections", b"too many connections"),
    ],
)
def test_one_too_many_is_told_so_in_irc(
    start: Start,
    authority: CertificateAuthority,
    way: str,
    options: dict[str, Any],
    code: str,
    sentence: bytes,
) -> None:
    server = start(**options)
    with open_irc(port(server)) as first:
        assert first.is_served()
        with opener(server, authority, way) as other:
            refused = other.receive()
            assert refused.startswith(b"ERROR :") and sentence in refused.lower(), refused
            assert other.receive() == b""
        assert first.is_served()
    assert server.app.acceptor.rejected_count == {code: 1}


@ways
def test_a_banned_address_is_told_so_in_irc(start: Start, authority: CertificateAuthority, way: str) -> None:
    server = start()
    server.app.messenger.moderation.ban("server", None, "127.0.0.1", None, "spam")
    with opener(server, authority, way) as other:
        assert other.receive().startswith(b"ERROR :")
        assert other.receive() == b""


def test_without_a_descriptor_each_port_refuses_in_its_protocol(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(irc_websocket="127.0.0.1:0")
    failures, accept = [0], StreamServer.do_read

    def fail_once(listener: StreamServer) -> Any:
        failures[0] += 1
        if failures[0] == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(listener)

    monkeypatch.setattr(StreamServer, "do_read", fail_once)
    assert server.app.ports.irc_websocket is not None
    numbers = [port(server), tls_port(server), server.app.ports.irc_websocket.number, server.port]
    for number, reply in zip(numbers, [b"ERROR :", b"", b"HTTP/1.1 503 ", b'{"response":503'], strict=True):
        failures[0] = 0
        with socket.create_connection(("127.0.0.1", number), TEST_TIMEOUT) as sock:
            assert sock.recv(4096)[:13].startswith(reply[:13])
    assert server.app.acceptor.rejected_count == {"server_full": 4}


def test_a_taken_port_is_named_and_the_others_let_go(start_server: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(Exception, match=f"Cannot listen on port {number} of 127.0.0.1: Address already in use"):
            start_server(irc_port=number)


def test_a_stop_ends_connections_that_have_not_logged_in(start: Start, authority: CertificateAuthority) -> None:
    server = start(drain_timeout=TEST_TIMEOUT)
    with opener(server, authority, "plain") as plain, opener(server, authority, "tls") as tls:
        assert plain.is_served() and tls.is_served()
        stopping = gevent.spawn(server.stop)
        for connection in (plain, tls):
            while connection.receive():
                pass
            connection.sock.close()
        stopping.get(timeout=TEST_TIMEOUT)


def test_who_does_not_log_in_is_closed(start_server: Start) -> None:
    server = start_server(irc_port=0, login_timeout=0.05)
    with open_irc(port(server)) as silent:
        while silent.receive():
            pass


def test_protocols_are_called_by_the_sweep(start_server: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from gmessenger.server.jim.protocol import JimProtocol

    swept: list[float] = []
    monkeypatch.setattr(JimProtocol, "sweep", lambda protocol, now: swept.append(now))
    server = start_server(close_timeout=0.1)
    with Connector() as connector, gevent.Timeout(TEST_TIMEOUT):
        connector.open_native(server, "hank")
        while len(swept) < 2:
            gevent.sleep(0.01)


def test_the_ports_are_told(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    log.LOGGER.propagate = True
    caplog.set_level(logging.INFO, "gmessenger")
    server = start(web="127.0.0.1:0", irc_websocket="127.0.0.1:0", store="memory:")
    assert server.app.ports.irc_websocket is not None
    url = f"ws://127.0.0.1:{server.app.ports.irc_websocket.number}"
    (started,) = [record.fields for record in caplog.records if record.message == "server_started"]  # type: ignore[attr-defined]
    fields = {"irc_port": port(server), "irc_tls_port": tls_port(server), "irc_websocket": url}
    assert fields.items() <= started.items()
    report = status_report(server.app)
    assert _describe_irc(report) == f"port {port(server)}, with TLS port {tls_port(server)}, over WebSocket {url}"
    assert _describe_irc(status_report(start(irc_port=None, irc_tls_port=None, store="memory:").app)) == ""


def test_a_server_says_where_it_speaks_irc(authority: CertificateAuthority) -> None:
    arguments = ["--tls-certificate", str(authority.issue()), "--tls-port", "0", "--irc-port", "0"]
    with ServerProcess(*arguments, "--irc-tls-port", "0") as process:
        assert process.process.stdout is not None
        line = process.process.stdout.readline()
        number = int(line.partition(", for IRC on port ")[2].partition(",")[0])
        with open_irc(number) as hank:
            assert hank.is_served()
        assert ", for IRC with TLS on port " in line
