"""Certificates: what the commands `cert self-signed` and `cert show` do. Neither needs a server, or disturbs one."""

from __future__ import annotations

import socket
import time
from argparse import Namespace
from pathlib import Path
from typing import Final

from gmessenger.errors import FileProblem, UsageError
from gmessenger.new_files import new_file
from gmessenger.options import AdminOptions
from gmessenger.terminal_text import print_line

THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
DAYS: Final = 825.0
"""As long as every system believes a certificate at all."""
DAY: Final = 86_400.0


def self_signed(options: AdminOptions, given: Namespace) -> int:
    from gmessenger import certificates  # the other commands should not wait for it

    hosts = given.host or list(dict.fromkeys((socket.gethostname(), *THIS_MACHINE)))
    try:
        pem = certificates.self_signed(hosts, given.days or DAYS)
    except ValueError as error:
        raise UsageError(f"A certificate cannot be issued for {' '.join(hosts)}: {error}.") from error
    file = Path(given.file).absolute()  # the server stands in another directory
    with new_file(file) as output:
        output.write(pem)
    made = certificates.facts(pem)
    for line in (
        f"{file}: a key, and a certificate for {', '.join(made.names)}, until {made.expires}.",
        "",
        "For the server, in server.ini:",
        f"    tls-certificate = {file}",
        "",
        "For its clients:",
        f"    gmessenger-client {hosts[0]} --tls --pin {made.pin}",
    ):
        print_line(line)
    return 0


def show(options: AdminOptions, given: Namespace) -> int:
    from gmessenger import certificates

    file = given.file or options.tls_certificate
    if not file:
        raise UsageError("Name a certificate: give its file, or the server's config file with -c.")
    try:
        found = certificates.facts(Path(file).read_bytes())
    except OSError as error:
        raise FileProblem(f"Cannot read the certificate {file}: {error.strerror}.") from error
    except ValueError as error:
        raise FileProblem(f"There is no certificate in {file}.") from error
    left = (found.expires_at - time.time()) / DAY
    print_line(f"names: {', '.join(found.names) or 'none'}")
    print_line(f"until: {found.expires} ({f'{left:.0f} days left' if left > 0 else 'it has expired'})")
    print_line(f"pin:   {found.pin}")
    return 0
