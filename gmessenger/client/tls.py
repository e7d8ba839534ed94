"""Encrypts lines, to servers that prove who they are. Import it only where it is needed: TLS takes a while to load."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from gevent import Timeout, socket, ssl

from gmessenger.client.config import TlsConfig
from gmessenger.errors import CertificateNotTrusted, FileError
from gmessenger.text import Fragment, Text

PIN_PREFIX: Final = "sha256:"
PLAIN_TEXT_ERRORS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "RECORD_LAYER_FAILURE"}
)
"""What OpenSSL calls it when the other end answers in plain text, or says with an alert that it speaks no TLS."""


class TlsContext:
    """What all lines of a link are encrypted with."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises `FileError`."""
        self._pin = config.pin.lower().removeprefix(PIN_PREFIX).replace(":", "") if config.pin is not None else None
        self._context = _make_ssl_context(config)

    def wrap(self, sock: socket.socket, host: str, timeout: float) -> ssl.SSLSocket:
        """Shake hands within `timeout` seconds, and look at the certificate; takes the connected socket over.

        Raises `CertificateNotTrusted` where the server does not prove who it is, OSError where it speaks no TLS.
        """
        sock.settimeout(None)
        try:
            sock = self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            with Timeout(max(timeout, 0.0), TimeoutError(Text("the TLS handshake timed out"))):
                sock.do_handshake()
            self._check_pin(host, sock)
            return sock
        except BaseException as error:
            sock.close()
            if isinstance(error, ssl.SSLError | ValueError):
                raise _describe_tls_error(error, host) from error
            raise

    def _check_pin(self, host: str, sock: ssl.SSLSocket) -> None:
        shown = sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self._pin not in (None, shown):
            raise CertificateNotTrusted(
                Text(
                    "Cannot trust {host}: the pin of its certificate is {pin}, not the one given.",
                    host=host,
                    pin=PIN_PREFIX + shown,
                )
            )


def _make_ssl_context(config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.ca is not None:
        _load_ca_file(context, config.ca)
    elif config.pin is None:
        context.load_default_certs()
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _load_ca_file(context: ssl.SSLContext, file: Path) -> None:
    try:
        # Not by its name: OpenSSL does not skip the byte order mark of some editors.
        context.load_verify_locations(cadata=file.read_text("utf-8-sig", errors="replace"))
    except ssl.SSLError as error:
        raise FileError(Text("There is no certificate in {file}.", file=file)) from error
    except OSError as error:
        raise FileError(
            Text(
                "Cannot read the certificates in {file}: {reason}.",
                file=file,
                reason=Text(error.strerror or str(error)),
            )
        ) from error


def _describe_tls_error(error: Exception, host: str) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateNotTrusted(
            Text("Cannot trust {host}: {reason}.", host=host, reason=Fragment(error.verify_message))
        )
    if isinstance(error, ssl.SSLError):
        fault = (error.reason or "eof").replace("_", " ").lower()
        if error.reason in PLAIN_TEXT_ERRORS:
            return ConnectionError(
                Text(
                    "that port does not use TLS ({fault}): connect without TLS, or give the server's TLS port",
                    fault=fault,
                )
            )
        return ConnectionError(Text("that port does not use TLS ({fault})", fault=fault))
    return OSError(Text("this is not a host name"))
