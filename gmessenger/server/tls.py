"""The certificate of the TLS port: loaded, looked after, and replaced without touching anybody who is connected."""

from __future__ import annotations

import codecs
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from gevent import ssl

from gmessenger import logs
from gmessenger.errors import ConfigProblem
from gmessenger.options import ServerOptions
from gmessenger.server.lines import in_words

if TYPE_CHECKING:
    from gmessenger.certificates import Facts

DAY: Final = 86_400.0
WARN_BEFORE: Final = 14 * DAY
FAULTS: Final = {
    "EE_KEY_TOO_SMALL": "its key is too short to be safe",
    "CA_MD_TOO_WEAK": "its signature algorithm is not safe",
}
"""What OpenSSL calls it, and what an operator can do something about."""

Look: TypeAlias = tuple[tuple[int, int, int] | None, ...]


def given_certificate(options: ServerOptions) -> Certificate | None:
    """The certificate that the options name, if they do. Raises `ConfigProblem` where it cannot be used."""
    if not options.tls_certificate:
        if options.tls_key:
            raise ConfigProblem("--tls-key is given without --tls-certificate.")
        return None
    return Certificate(Path(options.tls_certificate), Path(options.tls_key or options.tls_certificate))


class Certificate:
    """What clients of the TLS port are shown.

    `context` is what new connections are made with: take it anew for each. A reload puts another in its place, and
    connections that are there keep the one they have. `expires_at` is in Unix seconds.
    """

    def __init__(self, file: Path, key: Path) -> None:
        """Raises `ConfigProblem` with a sentence."""
        self._file = file
        self._key = key
        self._look = self._look_at_files()
        self.context, self._facts = load(file, key)
        self._warned_at = 0.0
        self._tell()

    @property
    def expires_at(self) -> float:
        return self._facts.expires_at

    @property
    def expires(self) -> str:
        """The same, as people write it."""
        return self._facts.expires

    def reload(self) -> bool:
        """Take what the files hold now; a bad certificate is refused with a word in the log, and the old one kept."""
        self._look = self._look_at_files()
        try:
            self.context, self._facts = load(self._file, self._key)
        except ConfigProblem as error:
            logs.event("certificate_refused", reason=str(error))
            return False
        self._tell()
        return True

    def look_after(self, every: float, stopped: Callable[[float], object]) -> None:
        """Reload when the files have changed, until `stopped`, which waits that many seconds, says so."""
        while not stopped(every):
            if self._look_at_files() != self._look:
                self.reload()
            elif time.time() - self._warned_at >= DAY:
                self._warn()

    def _look_at_files(self) -> Look:
        return tuple(_look(path) for path in (self._file, self._key))

    def _tell(self) -> None:
        names = " ".join(self._facts.names)
        logs.event("certificate_loaded", file=self._file, names=names, expires=self._facts.expires, pin=self._facts.pin)
        self._warn()

    def _warn(self) -> None:
        """Once a day, when little time is left."""
        left = self.expires_at - time.time()
        if left < WARN_BEFORE:
            self._warned_at = time.time()
            logs.event("certificate_expires", file=self._file, expires=self._facts.expires, days=round(left / DAY, 1))


def load(file: Path, key: Path) -> tuple[ssl.SSLContext, Facts]:
    """A context with this chain and key, and what the certificate says. Raises `ConfigProblem`."""
    from gmessenger import certificates  # a server without TLS should not wait for it

    try:
        pem, key_pem = file.read_bytes(), key.read_bytes()
    except OSError as error:
        raise ConfigProblem(f"Cannot read the certificate {error.filename}: {error.strerror}.") from error
    context = _context()
    try:
        with _loadable(file, pem) as chain, _loadable(key, key_pem) as private:
            context.load_cert_chain(chain, private, password=_refuse_to_ask)
        return context, certificates.facts(pem)
    except ssl.SSLError as error:
        fault = FAULTS.get(error.reason) or certificates.find_fault(pem, key_pem)
        fault = fault or f"there must be a certificate, and its key, in PEM ({in_words(error)})"
        raise ConfigProblem(f"Cannot use the certificate {file}: {fault}.") from error
    except ValueError as error:
        raise ConfigProblem(f"Cannot use the certificate {file}: it is damaged.") from error


@contextlib.contextmanager
def _loadable(file: Path, content: bytes) -> Iterator[str]:
    """Name a file that OpenSSL can load the content from: it does not skip the byte order mark of some editors."""
    if not content.startswith(codecs.BOM_UTF8):
        yield str(file)
        return
    with NamedTemporaryFile(prefix="gmessenger-") as copy:  # its mode is 0600
        copy.write(content.removeprefix(codecs.BOM_UTF8))
        copy.flush()
        yield copy.name


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Handshakes have their time at the beginning; and who just hangs up is answered all the same, as on a plain line.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_IGNORE_UNEXPECTED_EOF
    context.num_tickets = 0  # chat clients keep their sessions by a token of ours
    return context


def _refuse_to_ask() -> NoReturn:
    """OpenSSL would ask for the key's pass phrase at the terminal, and wait."""
    raise ConfigProblem("The key of the certificate is encrypted; the server needs one without a pass phrase.")


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
