"""Certificates: what the commands `cert self-signed` and `cert show` do. Neither needs a server, or disturbs one."""

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
"""As long as every system believes a certificate at all."""
SECONDS_PER_DAY: Final = 86_400.0


def create_self_signed(options: AdminOptions, args: Namespace) -> int:
    from gmessenger import certificates  # the other commands should not wait for it

    hosts = args.host or list(dict.fromkeys((socket.gethostname(), *LOCAL_HOSTS)))
    try:
        pem = certificates.make_self_signed(hosts, args.days or DEFAULT_DAYS)
    except ValueError as error:
        raise UsageError(f"A certificate cannot be issued for {' '.join(hosts)}: {error}.") from error
    file = Path(args.file).absolute()  # the server stands in another directory
    with create_file(file) as output:
        output.write(pem)
    made = certificates.read_certificate(pem)
    for line in (
        f"{file}: a key, and a certificate for {', '.join(made.names)}, until {made.expires_text}.",
        "",
        "For the server, in server.ini:",
        f"    tls-certificate = {file}",
        "",
        "For its clients:",
        f"    gmessenger-client {hosts[0]} --tls --pin {made.pin}",
    ):
        print_line(line)
    return 0


def show_certificate(options: AdminOptions, args: Namespace) -> int:
    from gmessenger import certificates

    file = args.file or options.tls_certificate
    if not file:
        raise UsageError("Name a certificate: give its file, or the server's config file with -c.")
    try:
        found = certificates.read_certificate(Path(file).read_bytes())
    except OSError as error:
        raise FileError(f"Cannot read the certificate {file}: {error.strerror}.") from error
    except ValueError as error:
        raise FileError(f"There is no certificate in {file}.") from error
    left = (found.expires_at - time.time()) / SECONDS_PER_DAY
    print_line(f"names: {', '.join(found.names) or 'none'}")
    print_line(f"until: {found.expires_text} ({f'{left:.0f} days left' if left > 0 else 'it has expired'})")
    print_line(f"pin:   {found.pin}")
    return 0
