"""Which requests are let in by where they come from: the `Host` that they name, and the `Origin` of their page.

A page of any site may open a WebSocket to any server. It cannot choose its `Origin`; and with a name of its own that it
points at this server, it cannot choose a `Host` that the server knows as its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from gmessenger.wire.http import HttpError, HttpRequest

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class WebAddress(Struct, frozen=True):
    """Where a connection has come in: the scheme that the client uses, and the address that it has connected to."""

    scheme: str
    local_address: str


class OriginPolicy:
    """Decides by Host and Origin.

    `names` returns the names of the certificate, `url` the public URL or nothing, `others` the URLs of other sites
    whose pages are let in.
    """

    def __init__(
        self, names: Callable[[], Iterable[str]], url: Callable[[], str], others: Callable[[], Iterable[str]]
    ) -> None:
        self._names = names
        self._url = url
        self._others = others

    def check_host(self, request: HttpRequest, place: WebAddress) -> None:
        """Raise `HttpError` 421 where the request is for a name that is none of this server's."""
        host = host_of(request.header("host"))
        known = {"localhost", place.local_address, *map(str.lower, self._names()), urlsplit(self._url()).hostname}
        if host not in known and not _is_this_machine(host) and not _matches_wildcard(host, known):
            raise HttpError(421, "This server has another name; see its option --web-url.")

    def check_origin(self, request: HttpRequest, place: WebAddress) -> bool:
        """Return whether the request is of a page of another origin that is let in. Programs send no origin.

        Raises `HttpError` 403 where it is of any other page.
        """
        origin = request.header("origin")
        if not origin or normalize(origin) == normalize(f"{place.scheme}://{request.header('host')}"):
            return False
        if normalize(origin) not in {normalize(url) for url in (self._url(), *self._others()) if url}:
            raise HttpError(403, "Pages of other sites may not connect.")
        return True


def host_of(authority: str) -> str:
    """Return the host of `host:port`, in lower case and without the brackets of an IPv6 address; empty if invalid."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").lower()
    except ValueError:
        return ""


def normalize(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of a URL; None if it has none of these, as the origin `null`."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS.get(parts.scheme))
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    """Return whether a host is an address by which only this machine is reached from itself; 0.0.0.0 is one as well."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _matches_wildcard(host: str, known: Iterable[str | None]) -> bool:
    """Return whether one of the names is `*.` and what follows the first dot of the host."""
    return f"*.{host.partition('.')[2]}" in known
