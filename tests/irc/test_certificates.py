"""Logging in by the TLS certificate of the client: SASL EXTERNAL, and CERT of NickServ."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find, plain
from tests.support.tls import CertificateAuthority, ClientCertificate, any_server_context

PASSWORD = "a password"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class TlsIrcServer:
    """A server with IRC over TLS, and clients of it that may present certificates."""

    def __init__(self, irc: IrcServer, folder: Path) -> None:
        self.irc = irc
        self.folder = folder
        port = irc.app.ports.irc_tls
        assert port is not None and port.number is not None
        self.port = port.number
        irc.register("hank", PASSWORD)

    def certificate(self, name: str = "client", **more: Any) -> ClientCertificate:
        return ClientCertificate(self.folder / f"{name}.pem", **more)

    def connect(self, certificate: ClientCertificate | None = None, version: ssl.TLSVersion = VERSIONS[1]) -> IrcClient:
        """Return a client that has said nothing yet."""
        context = certificate.context(version) if certificate is not None else any_server_context(version)
        client = IrcClient(self.port, context=context)
        self.irc.clients.append(client)
        return client

    def log_in(self, certificate: ClientCertificate | None, nick: str = "hank", authzid: str = "") -> IrcClient:
        """Return a client that has logged in by its certificate."""
        client = self.connect(certificate)
        assert authenticate(client, nick, authzid) == ["900", "903"]
        client.send("CAP END")
        client.nick = client.expect("001").params[0]
        client.sync()
        return client

    def enrol(self, certificate: ClientCertificate, nick: str = "hank", device: str = "laptop") -> IrcClient:
        """Return a client that has logged in by its password, and added the certificate that it presents."""
        client = self.connect(certificate)
        client.send("CAP REQ sasl", f"NICK {nick}", "USER user 0 * :x", "AUTHENTICATE PLAIN")
        client.send(f"AUTHENTICATE {plain(f'{nick}@{device}', PASSWORD)}", "CAP END")
        client.expect("001")
        client.nick = nick
        client.sync()
        assert certificate.fingerprint in said(client, "CERT ADD")[0]
        return client

    def devices(self, name: str = "hank") -> dict[str, dict[str, Any]]:
        """Return the devices of an account as JIM tells them, by name."""
        native = self.irc.log_in_natively(name, PASSWORD, device="watcher")
        return {device["device"]: device for device in native.request("devices")["devices"]}


@pytest.fixture
def start_tls(start_irc: Callable[..., IrcServer], tmp_path: Path) -> Callable[..., TlsIrcServer]:
    """Starts servers with IRC over TLS."""
    shipped = {"irc_tls_port": 0, "tls_port": 0, "tls_certificate": str(CertificateAuthority(tmp_path).issue())}
    return lambda **options: TlsIrcServer(start_irc(**shipped | options), tmp_path)


@pytest.fixture
def tls(start_tls: Callable[..., TlsIrcServer]) -> TlsIrcServer:
    return start_tls()


def said(client: IrcClient, command: str) -> list[str]:
    """Return what NickServ answers."""
    return [line.params[1] for line in client.ask(f"NS {command}") if line.command == "NOTICE"]


def authenticate(client: IrcClient, nick: str | None = "hank", authzid: str = "") -> list[str]:
    """Have a client log in by its certificate; return the numerics that it is answered."""
    client.send("CAP LS 302", *([f"NICK {nick}", "USER user 0 * :x"] if nick else []), "CAP REQ sasl")
    client.send("AUTHENTICATE EXTERNAL")
    while (line := client.receive()).command not in ("AUTHENTICATE", "908"):
        pass
    found = [line.command] if line.command == "908" else []
    if not found:
        client.send(f"AUTHENTICATE {base64.b64encode(authzid.encode()).decode() or '+'}")
    while not found or found[-1] not in ("903", "904"):
        found.append(client.receive().command)
    return found


def mechanisms(client: IrcClient) -> str:
    client.send("CAP LS 302")
    words = client.expect("CAP").params[-1].split()
    return next(word for word in words if word.startswith("sasl"))


# -- what TLS lets in


@pytest.mark.parametrize("version", VERSIONS)
def test_any_certificate_is_let_in_and_external_is_listed_where_one_is_presented(
    tls: TlsIrcServer, version: ssl.TLSVersion
) -> None:
    assert mechanisms(tls.connect(None, version)) == "sasl=PLAIN"
    for certificate in (
        tls.certificate(),
        tls.certificate("expired", days=-1.0),
        tls.certificate("usage", usages=[ExtendedKeyUsageOID.CLIENT_AUTH]),
    ):
        assert mechanisms(tls.connect(certificate, version)) == "sasl=PLAIN,EXTERNAL"


def test_a_certificate_of_an_authority_is_let_in_with_its_chain(tls: TlsIrcServer) -> None:
    file = CertificateAuthority(tls.folder).issue("member.pem")
    context = any_server_context()
    context.load_cert_chain(file)
    client = IrcClient(tls.port, context=context)
    tls.irc.clients.append(client)
    assert mechanisms(client) == "sasl=PLAIN,EXTERNAL"


def test_a_certificate_for_servers_only_is_refused_as_its_issuer_wants(tls: TlsIrcServer) -> None:
    certificate = tls.certificate(usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    with pytest.raises((ssl.SSLError, OSError, EOFError)):
        mechanisms(tls.connect(certificate))


def test_the_ports_without_irc_ask_for_none(tls: TlsIrcServer) -> None:
    port = tls.irc.app.tls_port
    assert port is not None
    context = tls.certificate().context(VERSIONS[0])
    shown: list[int] = []
    context._msg_callback = lambda conn, direction, version, content, message, data: shown.append(int(message))  # type: ignore[attr-defined]
    IrcClient(port, context=context).close()
    assert 11 in shown and 13 not in shown  # the server's certificate, and no request for the client's


# -- logging in


def test_a_certificate_that_was_added_logs_in(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    enrolled = tls.enrol(certificate)
    assert said(enrolled, "CERT LIST") == [f"laptop: {certificate.fingerprint}"]
    enrolled.send("QUIT")
    enrolled.read_to_end()
    client = tls.log_in(certificate)
    assert "This client is its device laptop." in said(client, "INFO")
    device = tls.devices()["laptop"]
    assert (device["certificate"], device["here"]) == (certificate.fingerprint, True)


def test_a_login_by_it_takes_the_place_of_its_devices_session(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    enrolled = tls.enrol(certificate)
    client = tls.log_in(certificate)
    assert enrolled.read_to_end()[-1].command == "ERROR"
    assert "This client is its device laptop." in said(client, "INFO")


def test_other_clients_are_not_given_its_device(tls: TlsIrcServer) -> None:
    enrolled = tls.enrol(tls.certificate(), device="irc")
    enrolled.send("QUIT")
    enrolled.read_to_end()
    other = tls.irc.log_in("hank", password=PASSWORD)
    assert "This client is its device irc-2." in said(other, "INFO")


def test_a_fingerprint_is_enough_to_add_one(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    colons = ":".join(certificate.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    hank = tls.irc.log_in("hank", password=PASSWORD)
    assert said(hank, f"CERT ADD {colons} phone") == [
        f"The device phone logs in by the certificate {certificate.fingerprint} (SASL EXTERNAL) from now on."
    ]
    assert tls.devices()["phone"]["certificate"] == certificate.fingerprint
    assert "This client is its device phone." in said(tls.log_in(certificate), "INFO")


@pytest.mark.parametrize(
    ("nick", "authzid", "numerics"),
    [
        ("other", "hank", ["900", "903"]),
        ("other", "hank@laptop", ["900", "903"]),
        ("other", "", ["900", "903"]),  # only one account has it
        (None, "", ["900", "903"]),
        ("hank", "hank@phone", ["904"]),
        ("hank", "dale", ["904"]),
        ("dale", "", ["900", "903"]),
        ("hank", "gone", ["904"]),
    ],
)
def test_the_account_is_that_of_the_identity_or_of_the_certificate(
    tls: TlsIrcServer, nick: str | None, authzid: str, numerics: list[str]
) -> None:
    tls.irc.register("dale", PASSWORD)
    certificate = tls.certificate()
    tls.enrol(certificate)
    client = tls.connect(certificate)
    assert authenticate(client, nick, authzid) == numerics
    if numerics[-1] == "903":
        client.send("NICK hank", "USER user 0 * :x", "CAP END")
        assert client.expect("001").params[0] == "hank"


def test_a_certificate_of_two_accounts_logs_in_the_one_of_the_nick(tls: TlsIrcServer) -> None:
    tls.irc.register("dale", PASSWORD)
    certificate = tls.certificate()
    tls.enrol(certificate)
    tls.enrol(certificate, "dale")
    assert tls.log_in(certificate, "dale").nick == "dale"
    assert tls.log_in(certificate, "hank").nick == "hank"
    assert tls.log_in(certificate, "other", "dale").nick == "dale"
    assert authenticate(tls.connect(certificate), "other") == ["904"]


def test_one_that_another_account_has_claimed_logs_its_owner_in_nowhere(tls: TlsIrcServer) -> None:
    """Other networks show fingerprints: who adds that of another must not be given its owner's logins."""
    tls.irc.register("mallory", PASSWORD)
    certificate = tls.certificate()
    said(tls.irc.log_in("mallory", password=PASSWORD), f"CERT ADD {certificate.fingerprint}")
    assert authenticate(tls.connect(certificate), "hank") == ["904"]
    tls.enrol(certificate)
    assert tls.log_in(certificate, "other").nick == "hank"


def test_a_client_that_gives_its_nick_later_is_known_by_the_certificate(tls: TlsIrcServer) -> None:
    """As irssi does; here it has never presented the certificate before."""
    tls.irc.register("mallory", PASSWORD)
    certificate = tls.certificate()
    said(tls.irc.log_in("hank", password=PASSWORD), f"CERT ADD {certificate.fingerprint} phone")
    client = tls.connect(certificate)
    assert authenticate(client, None) == ["900", "903"]
    assert authenticate(tls.connect(tls.certificate("other")), None) == ["904"]
    said(tls.irc.log_in("mallory", password=PASSWORD), f"CERT ADD {certificate.fingerprint}")
    assert authenticate(tls.connect(certificate), None) == ["900", "903"]  # only hank has presented it
    hank = tls.irc.log_in("hank", password=PASSWORD)
    said(hank, "CERT DEL phone")
    said(hank, f"CERT ADD {certificate.fingerprint} phone")
    assert authenticate(tls.connect(certificate), None) == ["904"]  # it may be that of either


def test_a_guest_logs_in_by_it_later(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    tls.enrol(certificate)
    guest = tls.connect(certificate).log_in("guest", "sasl")
    guest.send("AUTHENTICATE EXTERNAL", "AUTHENTICATE +")
    assert guest.expect("900").params[2] == "hank"
    assert guest.expect("903").command == "903"
    assert guest.expect("NICK").params == ["hank"]


def test_what_is_not_right_is_refused(tls: TlsIrcServer) -> None:
    assert authenticate(tls.connect()) == ["908", "904"]
    assert authenticate(tls.connect(tls.certificate())) == ["904"]
    client = tls.connect(tls.certificate("other"))
    client.send("CAP REQ sasl", "AUTHENTICATE EXTERNAL", "AUTHENTICATE !!!")
    assert client.expect("904").command == "904"
    plain_port = tls.irc.connect()
    assert authenticate(plain_port) == ["908", "904"]


def test_certificates_that_fail_count_as_wrong_passwords_do(start_tls: Callable[..., TlsIrcServer]) -> None:
    tls = start_tls(limit_loopback=True, failures_per_ip=3)
    certificate = tls.certificate()
    for _ in range(3):
        assert authenticate(tls.connect(certificate)) == ["904"]
    client = tls.connect(certificate)
    client.send("CAP REQ sasl", "NICK hank", "AUTHENTICATE EXTERNAL", "AUTHENTICATE +")
    assert "Too many" in client.expect("904").params[1]


# -- removing


def test_one_that_was_removed_logs_in_no_more_and_its_session_stays(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    client = tls.enrol(certificate)
    assert said(client, f"CERT DEL {certificate.fingerprint}") == [
        "The device laptop logs in by no certificate any more."
    ]
    assert said(client, "CERT LIST") == ["None of your devices has a certificate."]
    assert said(client, "CERT DEL") == ["No device of that name has a certificate."]
    assert authenticate(tls.connect(certificate)) == ["904"]
    assert commands(client.ask("VERSION"))[0] == "351"


def test_it_goes_with_its_device_which_is_closed(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    client = tls.enrol(certificate)
    native = tls.irc.log_in_natively("hank", PASSWORD, device="watcher")
    assert native.request("drop", device="laptop")["response"] == 200
    assert client.read_to_end()[-1].command == "ERROR"
    assert authenticate(tls.connect(certificate)) == ["904"]


def test_a_new_password_voids_those_of_other_devices(tls: TlsIrcServer) -> None:
    certificate, own = tls.certificate(), tls.certificate("own")
    tls.enrol(certificate)
    client = tls.enrol(own, device="desk")
    native = tls.irc.log_in_natively("hank", PASSWORD, device="phone")
    assert native.request("password", old=PASSWORD, new="another password")["response"] == 200
    assert client.read_to_end()[-1].command == "ERROR"
    assert authenticate(tls.connect(certificate)) == authenticate(tls.connect(own)) == ["904"]


# -- the rest of the commands


def test_commands_that_make_no_sense_are_explained(tls: TlsIrcServer) -> None:
    hank = tls.irc.log_in("hank", password=PASSWORD)
    for command, answer in (
        ("CERT", "It is: CERT ADD "),
        ("CERT HELP", "It is: CERT ADD "),
        ("CERT ADD", "This connection has presented no certificate: "),
        ("CERT ADD phone", "This connection has presented no certificate: "),
        ("CERT ADD 12:34 phone", "This is not a SHA-256 fingerprint"),
        (f"CERT ADD {'ab' * 32} {'x' * 200}", "The name of the device is too long."),
        ("CERT DEL nowhere", "No device of that name has a certificate."),
    ):
        (line,) = said(hank, command)
        assert line.startswith(answer), line
    guest = tls.connect(tls.certificate()).log_in("guest")
    assert said(guest, "CERT ADD") == ["Only accounts may do this; register first."]


def test_whois_shows_it_to_its_owner_and_to_operators(tls: TlsIrcServer) -> None:
    certificate = tls.certificate()
    hank, guest = tls.enrol(certificate), tls.irc.log_in("guest")
    text = f"has client certificate fingerprint {certificate.fingerprint}"
    assert find(hank.ask("WHOIS hank"), "276").params == ["hank", "hank", text]
    assert "276" not in commands(guest.ask("WHOIS hank"))
    tls.irc.app.messenger.authenticator.accounts["hank"].role = "operator"
    operator = tls.irc.log_in("hank", password=PASSWORD)
    assert find(operator.ask("WHOIS hank"), "276").params[-1] == text
