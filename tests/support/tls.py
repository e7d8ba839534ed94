"""Real certificates for tests, and addresses of TLS ports."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gmessenger.certificates import pin_of


class CertificateAuthority:
    """Issues certificates into a folder; `context` is that of a client that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()

    @cached_property
    def file(self) -> Path:
        """The file for a client's --ca."""
        self._ca.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        return self.folder / "ca.pem"

    @cached_property
    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def issue(self, name: str = "server.pem", *hosts: str, **more: Any) -> Path:
        """Write key, certificate and chain into a file, replacing its content."""
        path = self.folder / name
        issued = self._ca.issue_cert(*(hosts or ("localhost", "127.0.0.1")), **more)
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path


class TlsAddress:
    """Address of the TLS port of a running server."""

    host = "127.0.0.1"

    def __init__(self, server: Any, authority: CertificateAuthority) -> None:
        self.port = server.app.tls_port
        self.context = authority.context


class ClientCertificate:
    """A certificate that signs itself, as `openssl req -x509` makes it, with its key in one file."""

    def __init__(self, file: Path, *, days: float = 30.0, usages: Sequence[x509.ObjectIdentifier] = ()) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hank")])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        made = builder.sign(key, hashes.SHA256())
        encoding, form = serialization.Encoding, serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(encoding.PEM, form, serialization.NoEncryption()) + made.public_bytes(encoding.PEM)
        file.write_bytes(pem)
        self.file = file
        self.fingerprint = sha256(made.public_bytes(encoding.DER)).hexdigest()

    def context(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """Return the context of a client that presents it, and takes any server's."""
        context = any_server_context(version)
        context.load_cert_chain(self.file)
        return context


def any_server_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return the context of a client that takes any server's certificate, and presents none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    return context


def pin_in(file: Path) -> str:
    """Return the pin of the first certificate in a file."""
    text = file.read_text("ascii")
    start = text.index("-----BEGIN CERTIFICATE")
    end = "-----END CERTIFICATE-----"
    return pin_of(ssl.PEM_cert_to_DER_cert(text[start : text.index(end, start)] + end + "\n"))
