"""The certificate of the TLS port: load, watch and reload it; open connections keep the one they have."""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from gevent import ssl

from gmessenger import log
from gmessenger.config.options import ServerOptions
from gmessenger.errors import ConfigError
from gmessenger.server.net.client_certificates import ask_for_certificate
from gmessenger.server.net.transport import describe_ssl_error

if TYPE_CHECKING:
    from gmessenger.certificates import CertificateInfo

DAY: Final = 86_400.0  # seconds
EXPIRY_WARNING: Final = 14 * DAY
"""Time before the expiry from which it is logged once a day."""
OPENSSL_FAULTS: Final = {
    "EE_KEY_TOO_SMALL": "its key is too short to be safe",
    "CA_MD_TOO_WEAK": "its signature algorithm is not safe",
}
"""OpenSSL's names of faults, in terms that an operator can act on."""

FileFingerprint: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def certificate_from_options(options: ServerOptions) -> CertificateManager | None:
    """Load the certificate that the options name; None if they name none. Raises `ConfigError`."""
    if not options.tls_certificate:
        if options.tls_key:
            raise ConfigError("--tls-key is given without --tls-certificate.")
        return None
    return CertificateManager(Path(options.tls_certificate), Path(options.tls_key or options.tls_certificate))


class CertificateManager:
    """The certificate and the TLS contexts of the TLS ports.

    `context` is for new connections, and `asking_context` for those whose clients are asked for a certificate of their
    own: a reload replaces both, so read them for each.
    """

    def __init__(self, file: Path, key: Path) -> None:
        """Load certificate and key. Raises `ConfigError`."""
        self._file = file
        self._key = key
        self._fingerprint = self._take_fingerprint()
        self.context, self.asking_context, self._info = load_certificate(file, key)
        self._warned_at = 0.0
        self._log_loaded()

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts that the certificate is for."""
        return self._info.names

    @property
    def expires_at(self) -> float:
        """The expiry, in Unix seconds."""
        return self._info.expires_at

    @property
    def expires(self) -> str:
        """The expiry, as text."""
        return self._info.expires_text

    @property
    def host(self) -> str:
        """The first name in the certificate, or empty."""
        return next(iter(self._info.names), "")

    @property
    def pin(self) -> str:
        """The digest by which clients know the certificate."""
        return self._info.pin

    def reload(self) -> bool:
        """Load the files again; return False, log why and keep the old certificate if that fails."""
        self._fingerprint = self._take_fingerprint()
        try:
            self.context, self.asking_context, self._info = load_certificate(self._file, self._key)
        except ConfigError as error:
            log.log_event("certificate_refused", reason=str(error))
            return False
        self._log_loaded()
        return True

    def watch(self, interval: float, wait_stopped: Callable[[float], object]) -> None:
        """Reload when the files change, until `wait_stopped(seconds)` returns true. Runs in its own greenlet."""
        while not wait_stopped(interval):
            if self._take_fingerprint() != self._fingerprint:
                self.reload()
            elif time.time() - self._warned_at >= DAY:
                self._warn_of_expiry()

    def _take_fingerprint(self) -> FileFingerprint:
        return tuple(_file_stamp(path) for path in (self._file, self._key))

    def _log_loaded(self) -> None:
        names = " ".join(self._info.names)
        log.log_event(
            "certificate_loaded", file=self._file, names=names, expires=self._info.expires_text, pin=self._info.pin
        )
        self._warn_of_expiry()

    def _warn_of_expiry(self) -> None:
        """Log the expiry if it is near; called once a day."""
        left = self.expires_at - time.time()
        if left < EXPIRY_WARNING:
            self._warned_at = time.time()
            log.log_event(
                "certificate_expires", file=self._file, expires=self._info.expires_text, days=round(left / DAY, 1)
            )


def load_certificate(file: Path, key: Path) -> tuple[ssl.SSLContext, ssl.SSLContext, CertificateInfo]:
    """Load a certificate chain and its key; return a TLS context, one that asks clients, and what the certificate says.

    Raises `ConfigError`.
    """
    from gmessenger import certificates  # imported late: a server without TLS does not need it

    try:
        pem, key_pem = file.read_bytes(), key.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read the certificate {error.filename}: {error.strerror}.") from error
    context, asking_context = _make_context(), _make_context()
    ask_for_certificate(asking_context)
    try:
        with _without_byte_order_mark(file, pem) as chain, _without_byte_order_mark(key, key_pem) as private:
            for each in (context, asking_context):
                each.load_cert_chain(chain, private, password=_refuse_pass_phrase)
        return context, asking_context, certificates.read_certificate(pem)
    except ssl.SSLError as error:
        fault = OPENSSL_FAULTS.get(error.reason) or certificates.key_pair_error(pem, key_pem)
        fault = fault or f"there must be a certificate, and its key, in PEM ({describe_ssl_error(error)})"
        raise ConfigError(f"Cannot use the certificate {file}: {fault}.") from error
    except ValueError as error:
        raise ConfigError(f"Cannot use the certificate {file}: it is damaged.") from error


@contextlib.contextmanager
def _without_byte_order_mark(file: Path, content: bytes) -> Iterator[str]:
    """Yield a file with the content, without the byte order mark that OpenSSL does not skip."""
    if not content.startswith(codecs.BOM_UTF8):
        yield str(file)
        return
    with NamedTemporaryFile(prefix="gmessenger-") as copy:  # its mode is 0600
        copy.write(content.removeprefix(codecs.BOM_UTF8))
        copy.flush()
        yield copy.name


def _make_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A handshake is for the beginning only; and a client that just closes gets its responses, as without TLS.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_IGNORE_UNEXPECTED_EOF
    context.num_tickets = 0  # chat clients resume their sessions by a token of JIM
    return context


def _refuse_pass_phrase() -> NoReturn:
    """Raise `ConfigError`: OpenSSL would ask for the key's pass phrase at the terminal."""
    raise ConfigError("The key of the certificate is encrypted; the server needs one without a pass phrase.")


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
