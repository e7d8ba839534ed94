"""Real certificates for tests, and addresses of TLS ports."""

from __future__ import annotations

import ssl
from functools import cached_property
from pathlib import Path
from typing import Any

import trustme

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


def pin_in(file: Path) -> str:
    """Return the pin of the first certificate in a file."""
    text = file.read_text("ascii")
    start = text.index("-----BEGIN CERTIFICATE")
    end = "-----END CERTIFICATE-----"
    return pin_of(ssl.PEM_cert_to_DER_cert(text[start : text.index(end, start)] + end + "\n"))
