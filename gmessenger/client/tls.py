"""How a server proves who it is: what a link asks of the certificate that it is shown, before it says a word."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from gevent import Timeout, socket, ssl

from gmessenger.errors import FileProblem, Untrusted

PIN: Final = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """An encrypted line, and what the certificate at its other end has to be.

    As it stands: signed by an authority that this system believes, for the host that is called. With `ca`, by an
    authority in that file (PEM) instead. With `pin` (`sha256:` and the digest of the certificate in DER, as
    `gmessenger-admin cert show` prints it) it has to be this very certificate; who signed it, and for whom, does not
    matter then, unless `ca` is given as well.
    """

    ca: Path | None = None
    pin: str | None = None

    def context(self) -> ssl.SSLContext:
        """What lines are encrypted with. Raises `FileProblem`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca is not None:
            _believe(context, self.ca)
        elif self.pin is None:
            context.load_default_certs()
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def check_pin(self, host: str, sock: ssl.SSLSocket) -> None:
        """Raises `Untrusted` where another certificate was shown than the one pinned."""
        shown = sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if self.pin is not None and shown != _digits(self.pin):
            raise Untrusted(f"Cannot trust {host}: the pin of its certificate is {PIN}{shown}, not the one given.")


def encrypt(sock: socket.socket, host: str, tls: Tls, context: ssl.SSLContext, timeout: float) -> ssl.SSLSocket:
    """Shake hands over a connected socket within `timeout` seconds, and look at the certificate; takes the socket over.

    Raises `Untrusted` where the server does not prove who it is, and OSError where it does not speak TLS.
    """
    sock.settimeout(None)
    try:
        sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        with Timeout(max(timeout, 0.0), TimeoutError("it does not answer in TLS in time")):
            sock.do_handshake()
        tls.check_pin(host, sock)
        return sock
    except BaseException as error:
        sock.close()
        if isinstance(error, ssl.SSLError | ValueError):
            raise _in_words(error, host) from error
        raise


def say_goodbye(sock: socket.socket) -> None:
    """Tell the other end, if the line is encrypted, that nothing was cut off; as far as that needs no waiting."""
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap()


def _in_words(error: Exception, host: str) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Untrusted(f"Cannot trust {host}: {error.verify_message.rstrip('.')}.")
    if isinstance(error, ssl.SSLError):
        return ConnectionError(f"it does not speak TLS there ({(error.reason or 'eof').replace('_', ' ').lower()})")
    return OSError("this is no host name")


def _believe(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise FileProblem(f"There is no certificate in {file}.") from error
    except OSError as error:
        raise FileProblem(f"Cannot read the certificates in {file}: {error.strerror}.") from error


def _digits(pin: str) -> str:
    return pin.lower().removeprefix(PIN).replace(":", "")
