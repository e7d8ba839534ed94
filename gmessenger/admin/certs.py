"""The commands `cert self-signed` and `cert show`, which need no server."""

from __future__ import annotations

import socket
import time
from argparse import Namespace
from pathlib import Path
from typing import Final

from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line
from gmessenger.durability import create_file
from gmessenger.errors import FileError, UsageError

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
DEFAULT_DAYS: Final = 825.0
"""The longest validity that macOS 10.15 and iOS 13 accept, of private authorities too."""
SECONDS_PER_DAY: Final = 86_400.0


def create_self_signed(options: AdminOptions, args: Namespace) -> int:
    """Run `cert self-signed`."""
    from gmessenger import certificates  # slow to import, and the other commands do not need it

    hosts = args.host or list(dict.fromkeys((socket.gethostname(), *LOCAL_HOSTS)))
    try:
        pem = certificates.make_self_signed(hosts, args.days or DEFAULT_DAYS)
    except ValueError as error:
        raise UsageError(f"A certificate cannot be issued for {' '.join(hosts)}: {error}.") from error
    file = Path(args.file).absolute()  # the server has another working directory
    with create_file(file) as output:
        output.write(pem)
    certificate = certificates.read_certificate(pem)
    for line in (
        f"{file}: a key, and a certificate for {', '.join(certificate.names)}, until {certificate.expires_text}.",
        "",
        "For the server, in server.ini:",
        f"    tls-certificate = {file}",
        "",
        "For its clients:",
        f"    gmessenger-client {hosts[0]} --tls --pin {certificate.pin}",
    ):
        print_line(line)
    return 0


def show_certificate(options: AdminOptions, args: Namespace) -> int:
    """Run `cert show`."""
    from gmessenger import certificates

    file = args.file or options.tls_certificate
    if not file:
        raise UsageError("Name a certificate: give its file, or the server's config file with -c.")
    try:
        certificate = certificates.read_certificate(Path(file).read_bytes())
    except OSError as error:
        raise FileError(f"Cannot read the certificate {file}: {error.strerror}.") from error
    except ValueError as error:
        raise FileError(f"There is no certificate in {file}.") from error
    days_left = (certificate.expires_at - time.time()) / SECONDS_PER_DAY
    print_line(f"names: {', '.join(certificate.names) or 'none'}")
    print_line(
        f"until: {certificate.expires_text} ({f'{days_left:.0f} days left' if days_left > 0 else 'it has expired'})"
    )
    print_line(f"pin:   {certificate.pin}")
    return 0
