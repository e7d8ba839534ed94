"""The handshake in which a client presents a certificate: any is accepted, but only with its key."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gmessenger.server.net.tls import CertificateManager
from tests.support.tls import CertificateAuthority, ClientCertificate, any_server_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Handshake:
    """Both ends of a TLS connection; `replace` changes what the client sends on its way."""

    def __init__(
        self,
        server: Any,
        client: ssl.SSLContext,
        replace: tuple[bytes, bytes] = (b"\0\0", b"\0\0"),
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._replace = replace
        self._to_client, self._from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._near, far = socket.socketpair()
        for each in (self._near, far):
            each.setblocking(False)
        self.server: Any = server.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
        self.client: Any = client.wrap_bio(self._to_client, self._from_client, session=session)

    def __enter__(self) -> Handshake:
        """Let both ends talk until both are done. Raises SSLError of the server."""
        try:
            self._run()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.server.close()
        self._near.close()

    def _run(self) -> None:
        left = [self.client, self.server]
        while left:
            for end in list(left):
                try:
                    end.do_handshake()
                    left.remove(end)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self._carry()

    def _carry(self) -> None:
        self._near.sendall(self._from_client.read().replace(*self._replace))
        with suppress(BlockingIOError):
            self._to_client.write(self._near.recv(65_536))

    @property
    def fingerprint(self) -> str | None:
        der = self.server.getpeercert(binary_form=True)
        return sha256(der).hexdigest() if der else None


@pytest.fixture
def asking(tmp_path: Path) -> Any:
    """Return the context of a server that asks for certificates."""
    file = CertificateAuthority(tmp_path).issue()
    return CertificateManager(file, file).asking_context


@pytest.mark.parametrize("version", VERSIONS)
def test_any_certificate_is_accepted_and_known_by_its_fingerprint(
    asking: Any, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    for number, days in enumerate((30.0, -1.0)):
        certificate = ClientCertificate(tmp_path / f"{number}.pem", days=days)
        for _ in range(2):
            with Handshake(asking, certificate.context(version)) as handshake:
                assert handshake.fingerprint == certificate.fingerprint
    assert asking.cert_store_stats()["x509"] == 0  # nothing that was presented is kept


def test_a_connection_that_resumes_another_has_its_certificate(asking: Any, tmp_path: Path) -> None:
    certificate = ClientCertificate(tmp_path / "own.pem")
    client = certificate.context(VERSIONS[0])
    with Handshake(asking, client) as first, Handshake(asking, client, session=first.client.session) as second:
        assert second.client.session_reused and second.fingerprint == certificate.fingerprint


@pytest.mark.parametrize("version", VERSIONS)
def test_none_is_needed(asking: Any, version: ssl.TLSVersion) -> None:
    with Handshake(asking, any_server_context(version)) as handshake:
        assert handshake.fingerprint is None


def test_only_who_has_its_key_is_let_in(asking: Any, tmp_path: Path) -> None:
    """Certificates are no secret: in TLS 1.2 they are sent in the clear, so one can be put in the place of another."""
    own = ClientCertificate(tmp_path / "own.pem")
    length = len(der_of(own))
    made = (ClientCertificate(tmp_path / "stolen.pem") for _ in count())
    stolen = next(each for each in made if len(der_of(each)) == length)
    handshake = Handshake(asking, own.context(VERSIONS[0]), (der_of(own), der_of(stolen)))
    with pytest.raises(ssl.SSLError) as caught, handshake:
        pass
    assert caught.value.reason == "BAD_SIGNATURE"


def test_one_that_is_damaged_is_refused(asking: Any, tmp_path: Path) -> None:
    own = ClientCertificate(tmp_path / "own.pem")
    damaged = b"\x30" * len(der_of(own))
    handshake = Handshake(asking, own.context(VERSIONS[0]), (der_of(own), damaged))
    with pytest.raises(ssl.SSLError), handshake:
        pass


def der_of(certificate: ClientCertificate) -> bytes:
    pem = certificate.file.read_text("ascii")
    return ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
