"""TLS with verification of the server. Import it where it is needed only: `ssl` loads slowly."""

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
"""OpenSSL's reasons when the server answers in plain text, or with an alert that it has no TLS."""


class TlsContext:
    """The TLS configuration of all connections of a client."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises `FileError` if the file of `config.ca` cannot be used."""
        self._pin = config.pin.lower().removeprefix(PIN_PREFIX).replace(":", "") if config.pin is not None else None
        self._context = _make_ssl_context(config)

    def wrap(self, sock: socket.socket, host: str, timeout: float) -> ssl.SSLSocket:
        """Perform the TLS handshake on a connected socket, which this takes over, within `timeout` seconds. Blocks.

        Raises:
            CertificateNotTrusted: the server's certificate is not trusted.
            OSError: the server does not speak TLS, or the time is over.
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
        digest = sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self._pin not in (None, digest):
            raise CertificateNotTrusted(
                Text(
                    "Cannot trust {host}: the pin of its certificate is {pin}, not the one given.",
                    host=host,
                    pin=PIN_PREFIX + digest,
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
        # Read here, as OpenSSL does not skip a byte order mark.
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
