"""What a link asks of the certificate that a server shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
