"""Certificates that TLS clients present: any is accepted, whichever its issuer, and known by its fingerprint.

OpenSSL refuses a certificate whose issuer it does not trust, and Python has no way to accept it. But `ssl` shows the
messages of a handshake before OpenSSL looks at them. So a certificate is trusted just before it is verified, by itself
and for this connection only. That its holder has the key is what OpenSSL verifies after that.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from gevent import ssl

HANDSHAKE: Final = 22
"""The type of records with messages of a handshake."""
CERTIFICATE: Final = 11
"""The type of the message with a certificate (RFC 8446, section 4)."""
HEADER_LENGTH: Final = 4
"""Bytes of the type and the length of a message."""
NO_CHECK_TIME: Final = 0x20_0000
"""OpenSSL's `X509_V_FLAG_NO_CHECK_TIME`, for which `ssl` has no name."""
NO_COMPRESSION: Final = 1 << 33
"""OpenSSL's `SSL_OP_NO_RX_CERTIFICATE_COMPRESSION`: from 3.2 on it takes compressed certificates (RFC 8879), too, and
shows none of their messages. Earlier ones have no such option."""


def ask_for_certificate(context: ssl.SSLContext) -> None:
    """Have clients of a context asked for a certificate, which they may have or not.

    A `TlsTransport` leaves the context after the handshake, or each record would be shown.
    """
    if not hasattr(ssl.SSLContext, "_msg_callback"):
        return  # without it, each certificate would be refused
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    context.options |= NO_COMPRESSION
    context._msg_callback = _trust_presented  # type: ignore[attr-defined]  # it has no public name


def fingerprint_of(sock: ssl.SSLSocket) -> str | None:
    """Return the fingerprint of the certificate that the client of a TLS socket has presented; None without one."""
    der = sock.getpeercert(binary_form=True)
    return sha256(der).hexdigest() if der else None


def _trust_presented(conn: Any, direction: str, version: int, content_type: int, msg_type: int, data: bytes) -> None:
    """Trust the certificate in a client's message. Called by OpenSSL, in the handshake."""
    if direction != "read" or content_type != HANDSHAKE or msg_type != CERTIFICATE:
        return
    der = _first_certificate(data, has_context=version == ssl.TLSVersion.TLSv1_3)
    if der:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with suppress(ssl.SSLError):  # it is damaged; OpenSSL refuses it
            context.load_verify_locations(cadata=der)
        conn.context = context


def _first_certificate(message: bytes, *, has_context: bool) -> bytes:
    """Return the client's own certificate in a message, in DER; empty where it has none."""
    start = HEADER_LENGTH
    if has_context:
        start += 1 + int.from_bytes(message[start : start + 1])
    start += 3  # the length of the list
    length = int.from_bytes(message[start : start + 3])
    return bytes(message[start + 3 : start + 3 + length])
