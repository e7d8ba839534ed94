"""Where people find the web port, for the URLs that they are told."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Final

from gmessenger.config.options import ServerOptions
from gmessenger.hosts import join_host_port, strip_brackets

EVERY_INTERFACE: Final = frozenset({"", "0.0.0.0", "::"})


def public_url(options: ServerOptions, names: Iterable[str] | None, port: int | None) -> str:
    """Return the beginning of URLs on the web port, as far as the server knows it; empty where it knows nothing.

    Args:
        names: the hosts of the certificate; None without one.
        port: None for a Unix socket, and without a web port.
    """
    if options.web_url or port is None:
        return options.web_url
    from gmessenger.server.web.endpoint import is_tls_wanted  # imported late: most servers have none

    host = strip_brackets(options.web.rpartition(":")[0])
    is_encrypted = names is not None and is_tls_wanted(options.web, options.web_tls)
    if host in EVERY_INTERFACE:
        known = [name for name in names or () if "*" not in name] if is_encrypted else []
        host = known[0] if known else socket.gethostname()
    return f"{'https' if is_encrypted else 'http'}://{join_host_port(host, port)}"
