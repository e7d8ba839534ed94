"""The TLS port: certificates are loaded and reloaded, and silent clients hold up no others."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme

from gmessenger import log
from gmessenger.certificates import pin_of
from gmessenger.config.options import ServerOptions
from gmessenger.errors import ConfigError
from gmessenger.server.net.tls import CertificateManager, certificate_from_options
from tests.conftest import RunningServer
from tests.support.native_clients import Connector, NativeClient
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection, run_server
from tests.support.tls import CertificateAuthority, TlsAddress, pin_in

Start = Callable[..., RunningServer]
PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def begin(start_server: Start, authority: CertificateAuthority) -> Start:
    certificate = authority.issue()
    return lambda **options: start_server(**{"tls_certificate": str(certificate), "tls_port": 0} | options)


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    """Return the fields of the log events of a name, so far."""
    log.LOGGER.propagate = True
    caplog.set_level(logging.DEBUG, "gmessenger")
    return lambda word: [record.fields for record in caplog.records if record.message == word]  # type: ignore[attr-defined]


def until(what: Callable[[], object]) -> None:
    with gevent.Timeout(TEST_TIMEOUT):
        while not what():
            gevent.sleep(0.01)


def shown(server: RunningServer, authority: CertificateAuthority) -> str:
    """Return the pin of the certificate that a new connection gets."""
    with open_connection(server.app.tls_port or 0) as sock:
        tls = authority.context.wrap_socket(sock, server_hostname="localhost")
        with tls:
            return pin_of(tls.getpeercert(binary_form=True) or b"")


def native(server: RunningServer, authority: CertificateAuthority, name: str = "hank") -> NativeClient:
    line = NativeClient(TlsAddress(server, authority))
    line.log_in(name)
    return line


def test_silent_peers_hold_up_nobody_and_are_given_up(
    begin: Start, authority: CertificateAuthority, events: Any
) -> None:
    server = begin(tls_handshake_timeout=0.5, max_connections=30)
    silent = [open_connection(server.app.tls_port) for _ in range(20)]
    hank = native(server, authority)
    assert hank.request("probe")["response"] == 200
    for peer in silent:
        assert peer.recv(100) == b""
        peer.close()
    assert {event["reason"] for event in events("handshake_failed")} == {"no handshake in time"}
    assert hank.request("probe")["response"] == 200
    hank.close()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "it does not speak TLS"),
        (PRESENCE, "it does not speak TLS"),
        (b"\x16\x03\x01\x00\x05hello", "unexpected message"),
        (b"", "eof"),
    ],
)
def test_what_is_no_tls_is_closed_with_a_quiet_word(sent: bytes, reason: str, begin: Start, events: Any) -> None:
    server = begin()
    with open_connection(server.app.tls_port) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1000):
                pass
    until(lambda: not server.app.connection_count)
    (event,) = events("handshake_failed")
    assert reason in event["reason"]
    assert not events("greenlet_failed")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_older_than_1_2_is_refused(begin: Start, authority: CertificateAuthority) -> None:
    server = begin()
    context = authority.context
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with open_connection(server.app.tls_port) as sock, pytest.raises(ssl.SSLError, match="alert protocol version"):
        context.wrap_socket(sock, server_hostname="localhost")


def test_a_stop_does_not_wait_for_those_who_shake_no_hands(begin: Start) -> None:
    server = begin(drain_timeout=TEST_TIMEOUT)
    with open_connection(server.app.tls_port) as silent:
        until(lambda: server.app.connection_count)
        server.stop()
        assert silent.recv(100) == b""


def test_who_does_not_log_in_is_closed(begin: Start, authority: CertificateAuthority) -> None:
    server = begin(login_timeout=0.05)
    with open_connection(server.app.tls_port) as silent:
        assert silent.recv(100) == b""


def test_a_reload_is_seen_by_new_connections_and_felt_by_no_other(
    begin: Start, authority: CertificateAuthority
) -> None:
    server = begin()
    assert server.app.certificate is not None
    before = server.app.certificate.expires_at
    hank = native(server, authority)
    until_ = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    renewed = pin_in(authority.issue(not_after=until_))
    assert shown(server, authority) != renewed
    assert server.app.certificate.reload()
    assert shown(server, authority) == renewed
    assert server.app.certificate.expires_at < before
    assert hank.request("probe")["response"] == 200
    hank.close()


def test_a_changed_file_is_loaded_by_itself(begin: Start, authority: CertificateAuthority) -> None:
    server = begin(tls_check=0.02)
    renewed = pin_in(authority.issue())
    until(lambda: shown(server, authority) == renewed)


@pytest.mark.parametrize("bad", [b"", b"rubbish", None], ids=["empty", "rubbish", "gone"])
def test_a_bad_new_certificate_is_refused_once_and_the_old_one_kept(
    bad: bytes | None, begin: Start, authority: CertificateAuthority, events: Any
) -> None:
    server = begin(tls_check=0.02)
    assert server.app.certificate is not None
    file = authority.folder / "server.pem"
    good = pin_in(file)
    if bad is None:
        file.unlink()
    else:
        file.write_bytes(bad)
    until(lambda: events("certificate_refused"))
    assert not server.app.certificate.reload()
    gevent.sleep(0.1)
    assert len(events("certificate_refused")) == 2
    assert shown(server, authority) == good
    renewed = pin_in(authority.issue())
    until(lambda: shown(server, authority) == renewed)


def test_half_of_a_renewal_is_refused_until_the_other_half_is_there(
    begin: Start, authority: CertificateAuthority
) -> None:
    other = authority.issue("other.pem")
    certificate, key = (authority.folder / name for name in ("cert.pem", "key.pem"))
    for path in (certificate, key):
        shutil.copy(authority.folder / "server.pem", path)
    server = begin(tls_certificate=str(certificate), tls_key=str(key))
    assert server.app.certificate is not None
    shutil.copy(other, certificate)
    assert not server.app.certificate.reload()
    shutil.copy(other, key)
    assert server.app.certificate.reload()


@pytest.mark.parametrize(("days", "warnings"), [(13, 1), (20, 0)])
def test_the_last_fortnight_is_warned_of(
    days: int, warnings: int, authority: CertificateAuthority, events: Any
) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    file = authority.issue(not_after=ends)
    certificate = CertificateManager(file, file)
    assert abs(certificate.expires_at - time.time() - days * 86_400) < 60
    assert len(events("certificate_expires")) == warnings
    (loaded,) = events("certificate_loaded")
    assert (loaded["pin"], loaded["names"]) == (pin_in(file), "localhost 127.0.0.1")


def test_passwords_are_taken_on_an_encrypted_line_from_anywhere(
    begin: Start, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = begin()
    monkeypatch.setattr("gmessenger.server.protocol.handler.is_loopback", lambda address: False)
    hank = native(server, authority)
    assert hank.request("register", password="correct horse")["response"] == 201
    hank.close()
    with Connector() as plain:
        assert plain.open_native(server).try_log_in("hank", password="correct horse")["code"] == "password_exposed"


FAULTS = [
    ({"certificate": "missing.pem"}, "Cannot read the certificate {tmp}/missing.pem: No such file or directory."),
    ({"certificate": "."}, "Cannot read the certificate {tmp}: Is a directory."),
    ({"certificate": "rubbish.pem"}, "Cannot use the certificate {tmp}/rubbish.pem: it holds no certificate in PEM."),
    ({"certificate": "ca.pem"}, "Cannot use the certificate {tmp}/ca.pem: there is no key in PEM with it."),
    ({"certificate": "a.pem", "key": "b.pem"}, "{tmp}/a.pem: the key belongs to another certificate."),
    ({"certificate": "a.pem", "key": "rsa.pem"}, "{tmp}/a.pem: the key belongs to another certificate."),
    ({"certificate": "rsa.pem", "key": "a.pem"}, "{tmp}/rsa.pem: the key belongs to another certificate."),
    ({"certificate": "a.pem", "key": "ca.pem"}, "{tmp}/a.pem: there is no key in PEM with it."),
    ({"certificate": "a.pem", "key": "secret.pem"}, "the server needs one without a pass phrase."),
    ({"certificate": "a.pem", "key": "missing.pem"}, "Cannot read the certificate {tmp}/missing.pem: No such file"),
    ({"key": "a.pem"}, "--tls-key is given without --tls-certificate."),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography.hazmat.primitives import serialization as form

    authority = CertificateAuthority(tmp_path_factory.mktemp("faulty"))
    key = form.load_pem_private_key(authority.issue("a.pem").read_bytes(), None)
    phrase = form.BestAvailableEncryption(b"phrase")
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, phrase)
    (authority.folder / "secret.pem").write_bytes(secret)
    (authority.folder / "rubbish.pem").write_text("rubbish")
    authority.issue("b.pem")
    authority.issue("rsa.pem", key_type=trustme.KeyType.RSA)
    return authority.file.parent


@pytest.mark.parametrize(("files", "sentence"), FAULTS, ids=lambda value: str(value)[-40:])
def test_a_certificate_that_cannot_be_used_is_said_in_one_sentence(
    files: dict[str, str], sentence: str, faulty: Path
) -> None:
    options = ServerOptions(**{f"tls_{what}": str(faulty / name) for what, name in files.items()})
    with pytest.raises(ConfigError) as problem:
        certificate_from_options(options)
    assert sentence.format(tmp=faulty) in str(problem.value)


def test_files_may_begin_with_a_byte_order_mark(begin: Start, authority: CertificateAuthority) -> None:
    certificate, key = authority.issue("marked.pem"), authority.folder / "key.pem"
    key.write_bytes(certificate.read_bytes())
    for file in (certificate, key):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    server = begin(tls_certificate=str(certificate), tls_key=str(key))
    hank = native(server, authority)
    assert hank.request("probe")["response"] == 200
    hank.close()


def test_a_bad_certificate_ends_the_start_with_78(faulty: Path) -> None:
    arguments = ["--tls-certificate", f"{faulty}/a.pem", "--tls-key", f"{faulty}/secret.pem"]
    code, out, err = run_server("--ip", "127.0.0.1", "--port", "0", "--tls-port", "0", "--log-file", "-", *arguments)
    assert (code, out, err.count("\n")) == (78, "", 1)


def test_a_tls_port_that_is_taken_is_named_and_the_plain_one_let_go(begin: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Exception, match=f"Cannot listen on port {port} of 127.0.0.1: Address already in use"):
            begin(tls_port=port)


def test_it_says_where_it_listens(authority: CertificateAuthority) -> None:
    certificate = str(authority.issue())
    with ServerProcess("--tls-certificate", certificate, "--tls-port", "0") as process:
        assert process.process.stdout is not None
        line = process.process.stdout.readline()
        port = int(line.partition("and on port ")[2].partition(" with TLS")[0])
        with open_connection(port) as sock, authority.context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(PRESENCE)
            assert json.loads(tls.makefile("rb").readline())["response"] == 200
