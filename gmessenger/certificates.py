"""Reading certificates and making self-signed ones. Import it where it is needed only: `cryptography` loads slowly."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gmessenger.hosts import ascii_host, strip_brackets

MAX_COMMON_NAME: Final = 64  # characters (X.520)
CLOCK_SKEW: Final = datetime.timedelta(hours=1)
"""A new certificate is valid from so long before now, as clocks differ."""


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """A certificate's hosts (names and addresses), the end of its validity (Unix seconds), and its pin."""

    names: tuple[str, ...]
    expires_at: float
    pin: str

    @property
    def expires_text(self) -> str:
        """The end of the validity, as text in UTC."""
        return datetime.datetime.fromtimestamp(self.expires_at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def pin_of(der: bytes) -> str:
    """Return the pin of a certificate in DER, by which clients can trust it: `sha256:` and its digest."""
    return f"sha256:{sha256(der).hexdigest()}"


def read_certificate(pem: bytes) -> CertificateInfo:
    """Read the first certificate of a chain, which is the server's own. Raises ValueError if there is none."""
    leaf = x509.load_pem_x509_certificates(pem)[0]
    return CertificateInfo(
        _subject_names(leaf),
        leaf.not_valid_after_utc.timestamp(),
        pin_of(leaf.public_bytes(serialization.Encoding.DER)),
    )


def key_pair_error(pem: bytes, key: bytes) -> str | None:
    """Return why a server cannot use a certificate and its key in PEM; None if it can.

    OpenSSL's own messages differ between its releases, and by the types of the two.
    """
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        return "it holds no certificate in PEM"
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, UnsupportedAlgorithm):
        return "there is no key in PEM with it"
    except TypeError:
        return "its key is encrypted; the server needs one without a pass phrase"
    return None if _public_key_der(private) == _public_key_der(leaf) else "the key belongs to another certificate"


def _public_key_der(holder: PrivateKeyTypes | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def make_self_signed(hosts: Sequence[str], days: float) -> bytes:
    """Make a key (ECDSA, P-256) and a self-signed certificate for some hosts; return both in PEM.

    Raises ValueError for a host that cannot exist.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:MAX_COMMON_NAME])])
    now = datetime.datetime.now(datetime.UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        # A CA, so that clients can use it with --ca, but without any certificates below it.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _private_key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject_names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(strip_brackets(host)))
    except ValueError:
        return x509.DNSName(ascii_host(host))
